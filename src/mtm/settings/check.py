"""Check a run's configuration and fill in its defaults.

Needs nothing heavy: the workflow calls it while it is parsed.
"""

from typing import Any

from pydantic import ValidationError

from mtm.errors import InputError
from mtm.settings.config import Config
from mtm.settings.models.base import declared, model_names
from mtm.settings.training import one_entry_a_training


def check_config(config: dict[str, Any]) -> None:
    """Refuse what the settings do not allow and fill in their defaults, in place.

    A model of several seeds becomes one entry of `models` a seed, and their average.

    Raises
    ------
    InputError
        Keys are unknown (the nearest known one is named) or values are not allowed; `where` is
        the dotted path of the first, the message tells of all.
    """
    problems, checked = [], None
    try:
        checked = Config.model_validate(config)
    except ValidationError as error:
        problems += _problems(error, Config, config, "config key ")
    models = config.get("models")
    filled = {}
    for name, model in models.items() if isinstance(models, dict) else ():
        chosen = model.get("class") if isinstance(model, dict) else None
        values = model.get("parameters", {}) if isinstance(model, dict) else None
        if chosen in model_names() and isinstance(values, dict):
            settings = declared(chosen)
            try:
                filled[name] = settings.model_validate(values).model_dump()
            except ValidationError as error:
                where = f"config key models.{name}.parameters."
                problems += _problems(error, settings, values, where)
    if problems:
        raise InputError.together(problems)
    complete = checked.model_dump(by_alias=True)
    for name, parameters in filled.items():
        complete["models"][name]["parameters"] = parameters
    complete["models"] = one_entry_a_training(complete["models"])
    config.update(_plain(complete))


def _problems(error: ValidationError, section: type, values: dict, prefix: str):
    from mtm.settings.manual import key_rows
    from mtm.settings.wording import problems_of

    return problems_of(error, section, values, prefix, [row["key"] for row in key_rows()])


def _plain(value: object) -> object:
    """Return a value as YAML would give it, tuples as lists."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, tuple | list) else value
