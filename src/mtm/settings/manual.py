"""The manual of every key, made from the settings: ``python -m mtm.settings.manual``."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from mtm.settings.base import LARGEST, LARGEST_SEED
from mtm.settings.config import Config
from mtm.settings.models.base import declared, model_names
from mtm.settings.wording import of_any_name, range_text, resolved, yaml_text

BEGIN, END = "<!-- keys: begin -->", "<!-- keys: end -->"
Row = dict[str, str]
# What people set first, in the order of a new configuration.
FIRST = (
    "cohort", "source", "inputs.expression", "inputs.units", "inputs.sample_attributes",
    "inputs.subject_phenotypes", "inputs.gene_model", "columns.sample_id", "columns.donor",
    "columns.tissue", "columns.covariates", "filters.gene_biotypes",
    "filters.min_samples_per_tissue", "filters.exclude_tissues", "folds.scheme", "folds.n_folds",
    "training.device", "models", "final_bundle", "external",
)  # fmt: skip
# Bounds that hold for every count and every seed are said once, above the tables.
_GENERAL = re.compile(rf", at most ({LARGEST}|{LARGEST_SEED})(\.0)?(?![0-9.])")


@cache
def key_rows() -> tuple[Row, ...]:
    """Describe every key of a configuration.

    Returns
    -------
    tuple of dict
        One row a key, in the order of the settings: ``key`` (dotted path; ``<name>`` stands for a
        name of the user's choice, ``parameters[class]`` for the parameters of one model class),
        ``meaning``, ``allowed``, ``unit``, ``default``.
    """
    return tuple(row for _, _, rows in _sections() for row in rows)


def _sections() -> Iterator[tuple[str, Row | None, list[Row]]]:
    """Yield a name, the row that describes it and the rows of its keys for every section."""
    root = Config.model_json_schema(by_alias=True)
    rows = list(_rows(root, root, ""))
    heads = {row["key"]: row for row in rows if "." not in row["key"]}
    below = {name: [r for r in rows if r["key"].startswith(f"{name}.")] for name in heads}
    yield "", None, [heads[name] for name in heads if not below[name]]
    for name in heads:
        if below[name]:
            yield name, heads[name], below[name]
        if name == "models":
            yield from map(_parameters, model_names())


def _parameters(name: str) -> tuple[str, Row, list[Row]]:
    root = declared(name).model_json_schema()
    head = {"meaning": _words(root["description"]), "default": ""}
    prefix = f"parameters[{name}]"
    return prefix, head, list(_rows(root, root, f"models.<name>.{prefix}."))


def _rows(schema: Mapping, root: Mapping, prefix: str) -> Iterator[Row]:
    """Yield a row for every key below a part of a JSON schema."""
    whole = resolved(schema, root)
    rest = of_any_name(whole)
    named = {"<name>": rest} if rest else {}
    for name, part in (whole.get("properties", {}) | named).items():
        choice = resolved(part, root)
        default = yaml_text(choice["default"]) if "default" in choice else ""
        if "properties" in choice and default not in ("", "null"):
            default = "{}"
        yield {
            "key": prefix + name,
            "meaning": _words(choice.get("description", "")),
            "allowed": _GENERAL.sub("", range_text(choice)),
            "unit": choice.get("unit", ""),
            "default": "required" if name in whole.get("required", ()) else default,
        }
        yield from _rows(choice, root, f"{prefix}{name}.")


def _words(text: str) -> str:
    return " ".join(text.split())


def key_tables() -> str:
    """Markdown tables: what is set first, then every key by section and class of model."""
    rows = {row["key"]: row for row in key_rows()}
    heads = {name: head | {"key": name} for name, head, _ in _sections() if head is not None}
    first = {
        "meaning": "All else has a default that suits most cohorts; a configuration that `mtm init` "
        "wrote has most of these.",
        "default": "",
    }
    parts = [
        _markdown(
            "", first, [rows.get(name) or heads[name] for name in FIRST], "What is set first"
        ),
        *(_markdown(*section) for section in _sections()),
    ]
    return "\n\n".join(parts)


def _markdown(name: str, head: Row | None, rows: list[Row], title: str = "The run") -> str:
    lines = [f"### `{name}`" if name else f"### {title}", ""]
    if head is not None:
        note = {"required": " Required.", "null": " Default: `null`."}.get(head["default"], "")
        lines += [f"{head['meaning']}{note}", ""]
    lines += ["| key | meaning | allowed | unit | default |", "|---|---|---|---|---|"]
    for row in rows:
        shown = row["key"].removeprefix(f"models.<name>.{name}.")
        default = row["default"]
        default = default if default in ("", "required") else f"`{default}`"
        cells = [f"`{shown}`", row["meaning"], row["allowed"], row["unit"], default]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def with_key_tables(text: str) -> str:
    """Return a manual with the tables between its two markers brought up to date."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{key_tables()}\n{END}{after}"


if __name__ == "__main__":
    manual = Path("config/README.md")
    manual.write_text(with_key_tables(manual.read_text("utf-8")), encoding="utf-8")
