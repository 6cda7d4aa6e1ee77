"""A configuration's file as it was written: lines of its keys, and what YAML makes of it unasked."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mtm.errors import InputError, shown
from mtm.io import require_file

# A configuration is a page or two; what is beyond these was not written by hand.
LARGEST_FILE, DEEPEST, MOST_VALUES = 2**20, 20, 100_000
LOADER = yaml.SafeLoader
_SIXTIES = re.compile(r"[-+]?\d+(:[0-5]?\d)+(\.\d*)?")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
PLAIN_KINDS = {"bool": "a truth value", "null": "nothing", "int": "a number", "float": "a number"}


def read_values(path: str | Path) -> dict[str, Any]:
    """Return what stands in a YAML file; raises as `read_lines` does."""
    read_lines(path)
    return yaml.load(Path(path).read_text(encoding="utf-8"), LOADER)


def read_lines(path: str | Path) -> tuple[dict[str, int], list[InputError]]:
    """Return the line of every key of a YAML file, dotted, and what is wrong with how it is written.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        Line, counted from 1, by key; places of lists count from 0.
    list of InputError
        Keys that stand twice, names that YAML takes for something else, numbers that it reads as
        no one means them.

    Raises
    ------
    InputError
        It cannot be read at all.
    """
    path = require_file(path, "a configuration (YAML)")
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise InputError(path, f"{size} bytes", f"at most {LARGEST_FILE} of a configuration")
    root = _composed(path)
    lines: dict[str, int] = {}
    return lines, [
        InputError(f"{path}, line {line}, config key {key}", found, expected, hint)
        for key, line, found, expected, hint in _walk(root, "", lines)
    ]


def _composed(path: Path) -> yaml.MappingNode:
    """Return the nodes of a file that can be read as a configuration."""
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_depth(path, text)
        root = yaml.compose(text, LOADER)
        if not isinstance(root, yaml.MappingNode):
            raise InputError(path, "no keys", "a configuration, with keys at its top")
        if (n_values := _size(root, {})) > MOST_VALUES:
            found = f"anchors that unfold to {n_values:.3g} values"
            raise InputError(path, found, f"at most {MOST_VALUES}")
        yaml.load(text, LOADER)
    except InputError:
        raise
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}", "a letter that is not UTF-8", "text in UTF-8",
            "Save it as UTF-8 (iconv -f latin1 -t utf8).",
        ) from None  # fmt: skip
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError) as error:
        # Values that are tagged as what they are not fail in the loader's own ways.
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else path
        found = getattr(error, "problem", None) or getattr(error, "reason", "") or error
        raise InputError(where, f"what is no YAML ({found})", "a configuration") from None
    return root


def _refuse_depth(path: Path, text: str) -> None:
    """Refuse what is nested deeper than any configuration, before it is put together."""
    depth = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            where = f"{path}, line {event.start_mark.line + 1}"
            raise InputError(where, "what is nested too deep", f"at most {DEEPEST} levels")


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values that a node unfolds to, aliases each time they stand."""
    if id(node) not in known:
        # An anchor that holds itself never ends.
        known[id(node)] = MOST_VALUES + 1
        below = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for item in below for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _walk(
    node: yaml.Node, prefix: str, lines: dict[str, int]
) -> Iterator[tuple[str, int, str, str, str]]:
    """Note lines; yield key, line, found, expected and hint of what is wrong with the writing."""
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _noted(item, item, f"{prefix}{place}", lines)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for name, value in node.value:
            key = f"{prefix}{name.value}" if isinstance(name, yaml.ScalarNode) else f"{prefix}?"
            line = name.start_mark.line + 1
            if name.tag == "tag:yaml.org,2002:merge":
                continue
            if name.tag != "tag:yaml.org,2002:str":
                kind = PLAIN_KINDS.get(name.tag.rsplit(":", 1)[-1], "no text")
                found = f"the name {shown(name.value)}, which YAML reads as {kind}"
                yield key, line, found, "text", "Put it in quotes, or name it otherwise."
            if key in seen:
                found = f"a key that stands in line {seen[key]} already"
                yield key, line, found, "every key once", "The later one would replace the first."
            seen.setdefault(key, line)
            yield from _noted(name, value, key, lines)


def _noted(at: yaml.Node, value: yaml.Node, key: str, lines: dict[str, int]):
    line = at.start_mark.line + 1
    lines[key] = line
    if isinstance(value, yaml.ScalarNode) and value.style is None:
        quotes = "Write it in full, or in quotes where it is text."
        if _SIXTIES.fullmatch(value.value):
            yield key, line, value.value, "a number that YAML does not count in sixties", quotes
        elif value.tag.endswith(":int") and _OCTAL.fullmatch(value.value):
            yield key, line, value.value, "a number that YAML does not count in eights", quotes
        elif value.tag.endswith(":timestamp"):
            yield key, line, f"the date {value.value}", "a number or text", quotes
    yield from _walk(value, f"{key}.", lines)
