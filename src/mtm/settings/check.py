"""Check a run's configuration and fill in its defaults.

Needs nothing heavy: the workflow calls it while it is parsed.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mtm.errors import InputError, printable, shown
from mtm.settings.config import Config
from mtm.settings.models.base import declared, model_names
from mtm.settings.training import one_entry_a_training
from mtm.settings.yaml_file import read_lines
from mtm.vocabulary import OWN_UNITS

KEY = "config key "


# Longer text is no name of anything; a path is at most so long.
LONGEST_NAME, LONGEST_TEXT = 100, 4096


def check_config(
    config: dict[str, Any], files: Sequence[str | Path] = (), overridden: Container[str] = ()
) -> None:
    """Refuse what the settings do not allow and fill in their defaults, in place.

    A model of several seeds becomes one entry of `models` a seed, and their average.

    Parameters
    ----------
    config
        The configuration.
    files
        YAML files that it comes from, of which the last that has a key gives it: errors name its
        line there.
    overridden
        Keys of the first level that come from elsewhere, as the command line.

    Raises
    ------
    InputError
        Keys are unknown (the nearest known one is named) or values are not allowed; `where` is
        the dotted path of the first, the message tells of all.
    """
    lines: dict[str, str] = {}
    written = []
    for file in files:
        of_file, wrong = read_lines(file)
        lines |= {key: f"{file}, line {line}, " for key, line in of_file.items()}
        written += wrong
    problems, checked = list(_strange_texts(config, "")), None
    try:
        checked = Config.model_validate(config)
    except ValidationError as error:
        problems += _problems(error, Config, config, KEY)
        problems += _of_the_rest(config, list(_places(error)))
    filled, of_models = _parameters(config.get("models"))
    problems += of_models
    if problems or written:
        lines = {k: line for k, line in lines.items() if k.split(".")[0] not in overridden}
        told = [_at_line(problem, lines) for problem in problems]
        # What YAML makes of a key has its own line already.
        known = {problem.where for problem in written}
        raise InputError.together(written + [p for p in told if p.where not in known])
    complete = checked.model_dump(by_alias=True)
    for name, parameters in filled.items():
        complete["models"][name]["parameters"] = parameters
    _use_own_columns(checked, config, complete)
    complete["models"] = one_entry_a_training(complete["models"])
    config.update(_plain(complete))


def _parameters(models: object) -> tuple[dict[str, dict[str, Any]], list[InputError]]:
    """Fill in the parameters of models, by name; return what is wrong with them too."""
    filled, problems = {}, []
    for name, model in models.items() if isinstance(models, dict) else ():
        chosen = model.get("class") if isinstance(model, dict) else None
        values = model.get("parameters", {}) if isinstance(model, dict) else None
        if chosen in model_names() and isinstance(values, dict):
            settings = declared(chosen)
            try:
                filled[name] = settings.model_validate(values).model_dump()
            except ValidationError as error:
                where = f"{KEY}models.{name}.parameters."
                problems += _problems(error, settings, values, where)
    return filled, problems


def _use_own_columns(checked: Config, config: dict[str, Any], complete: dict[str, Any]) -> None:
    """Add the cohort's own covariates, traits and statuses to what is used of donors.

    To the covariates of models where the class has some and the configuration names none. A
    model's scale is that of the expression.
    """
    columns, own = checked.columns, checked.inputs.units in OWN_UNITS
    for name, model in complete["models"].items():
        given = config["models"][name].get("parameters", {})
        for key in ("covariates", "covariate_columns"):
            default = model["parameters"].get(key)
            if default and isinstance(default, tuple) and key not in given:
                model["parameters"][key] = (*default, *columns.used_for("covariate"))
        for key in ("scale", "target_scale") if own else ():
            if key in model["parameters"]:
                model["parameters"][key] = "log2_z"
    for section, key, use in (("traits", "columns", "trait"), ("disease", "statuses", "status")):
        named = complete[section][key]
        complete[section][key] = tuple(dict.fromkeys((*named, *columns.used_for(use))))


# What sections demand of each other is about these.
_TOGETHER = {"cohort", "inputs", "filters", "source", "models", "simulation"}
# Sections whose keys demand something of each other: without one the others may be wrong.
_WHOLE = {"folds", "intervals", "ranks"}


def _places(error: ValidationError) -> Iterator[tuple[object, ...]]:
    """Yield where a configuration is wrong: the section, and its key where one is known."""
    for item in error.errors(include_input=False, include_url=False):
        place, told = item["loc"][:2], item.get("ctx", {}).get("problems", ())
        if len(place) == 1 and told:
            yield from ((*place, problem.where.split(".")[0]) for problem in told)
        else:
            yield place


def _of_the_rest(config: dict[str, Any], wrong: list[tuple[object, ...]]) -> list[InputError]:
    """Return what is told once all keys are as allowed, of those that are not `wrong`."""
    if any(not place or place[0] in _TOGETHER for place in wrong):
        return []
    rest = dict(config)
    for section, *key in dict.fromkeys(wrong):
        values = rest.pop(section, None)
        if section not in _WHOLE and isinstance(values, dict) and key and key[0] in values:
            rest[section] = {name: value for name, value in values.items() if name != key[0]}
    if rest == config:
        return []
    try:
        Config.model_validate(rest)
    except ValidationError as error:
        # A section that disagrees within itself hides what sections demand of each other.
        return _problems(error, Config, rest, KEY) + _of_the_rest(rest, list(_places(error)))
    return []


def _problems(error: ValidationError, section: type, values: dict, prefix: str):
    from mtm.settings.manual import key_rows
    from mtm.settings.wording import problems_of

    return problems_of(error, section, values, prefix, [row["key"] for row in key_rows()])


def _at_line(problem: InputError, lines: Mapping[str, str]) -> InputError:
    """Return a problem with the file and line of its key, or of what that would stand in."""
    steps = problem.where.removeprefix(KEY).split(".")
    while steps and ".".join(steps) not in lines:
        steps.pop()
    if not steps:
        return problem
    where = f"{lines['.'.join(steps)]}{problem.where}"
    return InputError(where, problem.found, problem.expected, problem.hint)


def _strange_texts(value: object, key: str) -> Iterator[InputError]:
    """Yield texts and names that no one means: empty, of signs without a shape, too long."""
    if isinstance(value, dict):
        for name, item in value.items():
            place = f"{key}.{name}" if key else str(name)
            # What is no text, the settings refuse.
            if isinstance(name, str) and (wrong := _strange(name, LONGEST_NAME)):
                at = f"{KEY}{printable(key)}".rstrip()
                yield InputError(at, f"the name {shown(name)}", wrong)
            yield from _strange_texts(item, place)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _strange_texts(item, f"{key}.{place}")
    elif isinstance(value, str) and (wrong := _strange(value, LONGEST_TEXT)):
        yield InputError(f"{KEY}{key}", shown(value), wrong)


def _strange(text: str, longest: int) -> str:
    """Return what was expected of a strange text; nothing of any other."""
    if not text.strip():
        return "text, or null for nothing"
    if not text.isprintable():
        return "text that can be printed on one line"
    if text != text.strip():
        return "text without blank ends"
    return f"at most {longest} letters" if len(text) > longest else ""


def _plain(value: object) -> object:
    """Return a value as YAML would give it, tuples as lists."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, tuple | list) else value
