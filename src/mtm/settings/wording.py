"""Settings in words: which values a key allows, and what is wrong with one that it does not."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mtm.errors import InputError, shown

LONG_LIST = 10
KINDS = {"object": "mapping", "string": "text"}
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "maxLength": "letters at most",
    "pattern": "matching",
}


def yaml_text(value: object) -> str:
    """Write a value as it stands in a config file, long lists by their ends."""
    if isinstance(value, list) and len(value) > LONG_LIST and not isinstance(value[0], str):
        return f"{value[0]:.4g}, {value[1]:.4g}, ... {value[-1]:.4g} ({len(value)} values)"
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).split("\n...")[0].strip()


def resolved(schema: Mapping, root: Mapping) -> dict:
    """Return a JSON schema with its reference followed; its own words go before those there.

    Of a section that may be null it is the section.
    """
    branches = [part for part in schema.get("anyOf", ())
                if "$ref" in part or of_any_name(part)]  # fmt: skip
    if branches:
        schema = schema | branches[0]
    if "$ref" not in schema:
        return dict(schema)
    return root["$defs"][schema["$ref"].rsplit("/", 1)[1]] | schema


def range_text(schema: Mapping, extra: str = "") -> str:
    """Say in words which values a JSON schema allows."""
    branches = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if len(branches) > 1:
        return " or ".join(map(range_text, branches))
    if branches:
        return range_text(branches[0], ", null" if "enum" in branches[0] else " or null")
    if "const" in schema or "enum" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return ", ".join(map(yaml_text, choices)) + extra
    text = KINDS.get(kind := schema.get("type", ""), kind)
    if kind == "array":
        items = schema.get("items") or schema["prefixItems"][0]
        text = f"list of {range_text(items)}"
    bounds = [f"{word} {schema[rule]}" for rule, word in BOUNDS.items() if rule in schema]
    return ", ".join([text + extra, *bounds])


def problems_of(
    error: ValidationError,
    section: type[BaseModel],
    values: Mapping[str, Any],
    prefix: str,
    elsewhere: Sequence[str] = (),
) -> list[InputError]:
    """Turn pydantic's errors into ones that a user can act on.

    Parameters
    ----------
    error
        What checking `values` against `section` raised.
    section, values
        The settings and what was given for them.
    prefix
        What stands before the keys for a user, with what separates it ("config key ", "disease.").
    elsewhere
        Every key of a configuration, dotted, for hints.
    """
    schema = section.model_json_schema(by_alias=True)
    found = {
        str(problem): problem
        for item in error.errors(include_url=False)
        for problem in _problems(item, schema, values, prefix, elsewhere)
    }
    return list(found.values())


def _problems(item: Mapping, root: Mapping, values: Any, prefix: str, elsewhere: Sequence[str]):
    """Yield the problems of one of pydantic's errors."""
    path, kind = list(item["loc"]), item["type"]
    last = path.pop() if kind in ("missing", "extra_forbidden") else None
    schema = resolved(root, root)
    for step in path:
        # Further steps name the kind that a value was tried as, not a key.
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            break
        schema = resolved(_below(schema, step), root)
        prefix += f"{step}."
    where = prefix.rstrip(". ")
    text = "nothing (null)" if values is None else shown(values)
    if kind == "disagreement":
        for problem in item["ctx"]["problems"]:
            at = (prefix + problem.where).rstrip(". ")
            yield InputError(at, problem.found, problem.expected, problem.hint)
    elif kind == "missing" and isinstance(last, int):
        yield InputError(where, text, f"{schema['minItems']} of them")
    elif kind == "missing":
        yield InputError(where, f"no key {last!r}", "that key")
    elif kind == "extra_forbidden":
        yield _unknown_key(str(last), prefix, list(schema["properties"]), elsewhere)
    elif path[-1:] == ["[key]"]:
        pattern = item.get("ctx", {}).get("pattern", "")
        above = where.removesuffix(f".{path[-2]}")
        expected = f"text, matching {pattern}" if pattern else "text"
        yield InputError(above, f"the name {shown(path[-2])}", expected)
    elif kind == "too_long":
        yield InputError(where, text, f"at most {item['ctx']['max_length']} of them")
    elif kind == "too_short":
        # Items that are not allowed are not counted, and named themselves.
        least = item["ctx"]["min_length"]
        if len(values) < least:
            yield InputError(where, text, f"at least {least} of them")
    else:
        allowed = ("one of " if "enum" in schema else "") + range_text(schema)
        yield InputError(where, text, allowed or item["msg"], _hint(values, schema))


def _below(schema: Mapping, step: object) -> dict:
    """Return the JSON schema of one key or place of a value."""
    for part in (schema, *schema.get("anyOf", ())):
        if step in part.get("properties", ()):
            return part["properties"][step]
        if isinstance(step, int) and "prefixItems" in part:
            return part["prefixItems"][min(step, len(part["prefixItems"]) - 1)]
        rest = part.get("items", of_any_name(part))
        if rest is not None:
            return rest
    return {}


def of_any_name(schema: Mapping) -> dict | None:
    """Return the JSON schema of values whose keys are names of the user's choice."""
    named = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return named[0] if isinstance(named[0], dict) else None


def _hint(value: object, schema: Mapping) -> str:
    """Say what to do about a value that is not allowed, where that can be guessed."""
    choices = [c for part in (schema, *schema.get("anyOf", ())) for c in part.get("enum", ())]
    near = difflib.get_close_matches(str(value), map(str, choices), 1, 0.7)
    if near:
        return f"Did you mean {near[0]!r}?"
    if isinstance(value, str) and any(name in str(schema) for name in ("'number'", "'integer'")):
        try:
            float(value)
        except ValueError:
            return ""
        return (
            "It is text, not a number: write it without quotes, with a decimal point (5.0e-4), "
            "and in a file, since --config makes text of what stands in braces."
        )
    return ""


def _unknown_key(name: str, prefix: str, known: list[str], elsewhere: Sequence[str]) -> InputError:
    """Return the error for an unknown key.

    A misspelling goes before the same name in another place, that before a name a bit alike.
    """
    within = prefix.removeprefix("config key ")
    candidates = [
        *(within + near for near in difflib.get_close_matches(name, known, 1, 0.9)),
        *(other for other in elsewhere if other.split(".")[-1] == name),
        *(within + near for near in difflib.get_close_matches(name, known, 1)),
    ]
    hint = "Every key is described in config/README.md."
    if candidates:
        hint = f"Did you mean {candidates[0]!r}?"
    expected = f"one of {', '.join(known)}" if known else "no keys here"
    return InputError(prefix + name, "an unknown key", expected, hint)
