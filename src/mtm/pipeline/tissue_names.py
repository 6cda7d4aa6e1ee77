"""Tissues that a configuration names: looked up before any job where the sample table is small."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from mtm.cohort.delimited import splitting, take_header
from mtm.cohort.filters import check_source
from mtm.cohort.lines import text_lines
from mtm.cohort.spellings import spelt
from mtm.errors import InputError
from mtm.settings.comparison import Comparison

# Of more, a dry run would take longer than it may; the first job reads any.
MOST_BYTES = 50 * 2**20


def named_tissues(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a configuration that name tissues of the cohort, each with a name."""
    yield "config key source", config["source"]
    for name, model in config["models"].items():
        for tissue in () if isinstance(model["sources"], str) else model["sources"]:
            yield f"config key models.{name}.sources", tissue
    venn = config["comparison"]["venn_tissue"]
    if venn != Comparison().venn_tissue:
        yield "config key comparison.venn_tissue", venn


def demand_tissues(config: Mapping[str, Any], attributes: str | Path) -> None:
    """Refuse tissues that no sample of the table comes from, before filters.

    What is wrong with the table itself, and what filters leave out, the first job says.

    Parameters
    ----------
    config
        A checked configuration.
    attributes
        Table of samples, with the column of tissues that the configuration names.

    Raises
    ------
    InputError
        Of all names that are none of its tissues.
    """
    known = _tissues(Path(attributes), config["columns"]["tissue"])
    problems = []
    for where, tissue in named_tissues(config) if known else ():
        try:
            check_source(known, tissue, where)
        except InputError as error:
            problems.append(error)
    if problems:
        raise InputError.together(problems)


def _tissues(path: Path, column: str) -> set[str]:
    """Tissues of a sample table; none of one that is not there yet, large, or cannot be read."""
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return set()
    try:
        with closing(text_lines(path)) as lines:
            header, rows = take_header(path, enumerate(lines, 1), [column])
            fields = splitting(path)
            place = [name.strip() for name in fields(header)].index(column)
            whole = (fields(spelt(line)) for _, line in rows if line.strip())
            return {row[place].strip() for row in whole} - {""}
    except (InputError, OSError, ValueError, IndexError):
        return set()
