"""Check a run's configuration against its schema, fill in defaults, and document every key.

Needs nothing heavy: the workflow calls it while it is parsed.
"""

import copy
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from mtm.errors import InputError

LONG_LIST = 10
BEGIN, END = "<!-- keys: begin -->", "<!-- keys: end -->"


def read_schema(path: str | Path) -> dict:
    """Read a JSON schema written as YAML."""
    # Every start of the workflow reads it; the loader in C, where PyYAML has it, takes a tenth.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=loader)


def check_config(config: dict, schema: dict) -> None:
    """Refuse what the schema does not allow and fill in its defaults, in place.

    Raises
    ------
    InputError
        A key is unknown (the nearest known one is named) or a value is not allowed; `where` is
        the dotted path of the key.
    """
    _complete(config, [schema], schema, ())
    errors = list(Draft202012Validator(schema).iter_errors(config))
    if errors:
        raise _input_error(min(errors, key=lambda error: (-len(error.absolute_path), str(error))))
    _check_across_keys(config)


def _check_across_keys(config: dict) -> None:
    """Check what one key demands of another."""
    source, folds = config["source"], config["folds"]
    if (folds["scheme"] == "holdout") != (folds["n_folds"] == 1):
        raise InputError(
            "config key folds.n_folds",
            f"{folds['n_folds']} with the scheme {folds['scheme']}",
            "1 with the scheme holdout, 2 or more with any other",
        )
    genes_by_type = config["filters"]["gene_biotypes"] and not config["inputs"]["gene_list"]
    if genes_by_type and not config["inputs"]["gene_model"]:
        raise InputError(
            "config key inputs.gene_model",
            "nothing (null)",
            "a gene model, which filters.gene_biotypes needs",
            "Set filters.gene_biotypes to null to keep every gene.",
        )
    if source in config["filters"]["exclude_tissues"]:
        raise InputError(
            "config key filters.exclude_tissues",
            f"the source tissue {source!r}",
            "tissues other than the key `source`",
        )
    simulated = config["simulation"] is not None
    if simulated and config["simulation"]["source"] != source:
        raise InputError(
            "config key simulation.source",
            repr(config["simulation"]["source"]),
            f"the same tissue as the key `source`, {source!r}",
        )
    for name, model in config["models"].items():
        if name == "oracle" and simulated:
            raise InputError(
                "config key models.oracle",
                "a model called 'oracle'",
                "another name",
                "A simulated cohort's own oracle takes this name.",
            )
        if isinstance(model["sources"], list):
            excluded = set(model["sources"]) & set(config["filters"]["exclude_tissues"])
            if excluded:
                raise InputError(
                    f"config key models.{name}.sources",
                    f"excluded tissues {', '.join(sorted(excluded))}",
                    "tissues that filters.exclude_tissues keeps",
                )


def _complete(value: object, schemas: list[dict], root: dict, path: tuple[str, ...]) -> None:
    """Fill defaults into `value` and refuse unknown keys, from the top down."""
    if not isinstance(value, dict):
        return
    applicable = [part for schema in schemas for part in _parts(schema, value, root)]
    known = _gather(applicable, root)
    others = [
        schema["additionalProperties"]
        for schema in applicable
        if isinstance(schema.get("additionalProperties"), dict)
    ]
    closed = any(schema.get("additionalProperties") is False for schema in applicable)
    for key in value:
        if key not in known and closed:
            raise _unknown_key(str(key), path, list(known), root)
    for key, choices in known.items():
        defaults = [choice["default"] for choice in choices if "default" in choice]
        if key not in value and defaults:
            value[key] = copy.deepcopy(defaults[0])
    for key in value:
        _complete(value[key], known.get(key, others), root, (*path, str(key)))


def _parts(schema: dict, value: object, root: dict) -> Iterator[dict]:
    """Yield the parts of a schema that apply to `value`: references, conditions and itself."""
    if "$ref" in schema:
        yield from _parts(_resolve(schema["$ref"], root), value, root)
    yield schema
    for part in schema.get("allOf", ()):
        yield from _parts(part, value, root)
    if "if" in schema and Draft202012Validator(schema["if"]).is_valid(value):
        yield from _parts(schema["then"], value, root)


def _whole(schema: dict, root: dict) -> dict:
    """Return a schema with its reference followed; its own keywords go before the reference's."""
    return _resolve(schema["$ref"], root) | schema if "$ref" in schema else schema


def _resolve(reference: str, root: dict) -> dict:
    """Return the schema at a reference of the form ``#/$defs/name``."""
    for step in reference.removeprefix("#/").split("/"):
        root = root[step]
    return root


def _gather(schemas: list[dict], root: dict) -> dict[str, list[dict]]:
    """Collect the properties of several schemas by key."""
    known: dict[str, list[dict]] = {}
    for schema in schemas:
        for key, choice in schema.get("properties", {}).items():
            known.setdefault(key, []).append(_whole(choice, root))
    return known


def _unknown_key(key: str, path: tuple[str, ...], known: list[str], root: dict) -> InputError:
    """Return the error for an unknown key.

    A misspelling goes before the same name in another place, that before a name a bit alike.
    """
    elsewhere = [row["key"] for row in key_rows(root) if row["key"].split(".")[-1] == key]
    candidates = [
        *(".".join((*path, near)) for near in difflib.get_close_matches(key, known, 1, 0.9)),
        *elsewhere,
        *(".".join((*path, near)) for near in difflib.get_close_matches(key, known, 1)),
    ]
    hint = "Every key is described in config/README.md."
    if candidates:
        hint = f"Did you mean {candidates[0]!r}?"
    expected = f"one of {', '.join(known)}" if known else "no keys here"
    return InputError(f"config key {'.'.join((*path, key))}", "an unknown key", expected, hint)


def _input_error(error) -> InputError:
    """Turn a jsonschema error into one that a user can act on."""
    where = f"config key {'.'.join(str(step) for step in error.absolute_path) or '(top level)'}"
    rule = error.validator_value
    found = "nothing (null)" if error.instance is None else repr(error.instance)
    if error.validator == "required":
        missing = [key for key in rule if key not in error.instance]
        return InputError(where, f"no key {missing[0]!r}", "that key")
    if error.validator == "enum":
        near = difflib.get_close_matches(str(error.instance), map(str, rule), 1, 0.7)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        return InputError(where, found, f"one of {', '.join(map(str, rule))}", hint)
    hint = ""
    if error.validator == "type" and isinstance(error.instance, str) and _is_number(found):
        hint = (
            "It is text, not a number: write it without quotes, with a decimal point (5.0e-4), "
            "and in a file, since --config makes text of what stands in braces."
        )
    return InputError(where, found, _range_text(error.schema) or error.message, hint)


def _is_number(text: str) -> bool:
    try:
        float(text.strip("'\""))
    except ValueError:
        return False
    return True


def key_rows(schema: dict) -> list[dict[str, str]]:
    """Describe every key of a schema.

    Returns
    -------
    list of dict
        One row a key, in the order of the schema: ``key`` (dotted path; ``<name>`` stands for a
        name of the user's choice, ``parameters[class]`` for the parameters of one model class),
        ``meaning``, ``allowed``, ``unit``, ``default``.
    """
    return list(_rows(schema, schema, ""))


def _rows(schema: dict, root: dict, prefix: str) -> Iterator[dict[str, str]]:
    schema = _whole(schema, root)
    for key, choice in schema.get("properties", {}).items():
        yield from _row(choice, root, f"{prefix}{key}", key in schema.get("required", ()))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _row(schema["additionalProperties"], root, f"{prefix}<name>", False)
    for part in schema.get("allOf", ()):
        name = part["if"]["properties"]["class"]["const"]
        then = part["then"]["properties"]["parameters"]
        yield from _rows(then, root, f"{prefix}parameters[{name}].")


def _row(schema: dict, root: dict, key: str, required: bool) -> Iterator[dict[str, str]]:
    whole = _whole(schema, root)
    default = "required" if required else "" if "<name>" in key.split(".")[-1:] else "unset"
    if "default" in whole and not required:
        default = _yaml_text(whole["default"])
    yield {
        "key": key,
        "meaning": " ".join(str(whole.get("description", "")).split()),
        "allowed": _range_text(whole),
        "unit": whole.get("unit", ""),
        "default": default,
    }
    yield from _rows(whole, root, f"{key}.")


def _yaml_text(value: object) -> str:
    """Write a value as it stands in a config file, long lists by their ends."""
    if isinstance(value, list) and len(value) > LONG_LIST and not isinstance(value[0], str):
        return f"{value[0]:.4g}, {value[1]:.4g}, ... {value[-1]:.4g} ({len(value)} values)"
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).split("\n...")[0].strip()


def _range_text(schema: Mapping) -> str:
    """Say in words which values a schema allows."""
    if "enum" in schema:
        return ", ".join(_yaml_text(choice) for choice in schema["enum"])
    if "oneOf" in schema:
        return " or ".join(_range_text(choice) for choice in schema["oneOf"])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    text = " or ".join({"object": "mapping", "string": "text"}.get(kind, kind) for kind in kinds)
    if "array" in kinds and schema.get("items"):
        text = text.replace("array", f"list of {_range_text(schema['items'])}")
    bounds = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
        "pattern": "matching",
    }
    limits = [f"{word} {schema[rule]}" for rule, word in bounds.items() if rule in schema]
    return ", ".join([text, *limits]) if text else ", ".join(limits)


def key_tables(schema: dict) -> str:
    """Markdown tables of every key, one for each section and each class of model."""
    sections: dict[str, list[dict[str, str]]] = {"": []}
    heads = {}
    for row in key_rows(schema):
        head, dot, key = row["key"].rpartition("].")
        if dot:
            head = head[head.index("parameters[") :] + "]"
        else:
            head, key = row["key"].split(".")[0], row["key"]
            if schema["properties"][head].get("type") in ("string", "boolean"):
                head = ""
            elif key == head:
                heads[head] = row
                sections[head] = []
                continue
        sections.setdefault(head, []).append(row | {"key": key})
    for name, choice in schema["$defs"].items():
        heads[f"parameters[{name}]"] = {"meaning": choice["description"], "default": ""}
    return "\n\n".join(_markdown(head, heads.get(head), rows) for head, rows in sections.items())


def _markdown(head: str, section: Mapping[str, str] | None, rows: list[dict[str, str]]) -> str:
    lines = [f"### `{head}`" if head else "### The run", ""]
    if section is not None:
        note = {"required": " Required.", "null": " Default: `null`."}.get(section["default"], "")
        lines += [f"{section['meaning']}{note}", ""]
    lines += ["| key | meaning | allowed | unit | default |", "|---|---|---|---|---|"]
    for row in rows:
        cells = [f"`{row['key']}`", row["meaning"], row["allowed"], row["unit"]]
        plain = row["default"] in ("", "required")
        cells.append(row["default"] if plain else f"`{row['default']}`")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def with_key_tables(text: str, schema: dict) -> str:
    """Return a manual with the tables between its two markers brought up to date."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{key_tables(schema)}\n{END}{after}"


if __name__ == "__main__":
    manual = Path("config/README.md")
    current = manual.read_text(encoding="utf-8")
    manual.write_text(
        with_key_tables(current, read_schema("workflow/schemas/config.schema.yaml")),
        encoding="utf-8",
    )
