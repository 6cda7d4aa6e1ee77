"""The samples of a GEO series, from its series matrix.

The file's head has lines of the series (``!Series_...``) and of the samples (``!Sample_...``, one
quoted cell a sample). ``!Sample_characteristics_ch1`` repeats, its cells are "key: value", and
neither the keys of one line nor their order need be the same in all samples. What follows
``!series_matrix_table_begin``, nothing for RNA-seq, is not read.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mtm.cohort.lines import byte_lines
from mtm.errors import InputError, shown
from mtm.io import demand_gzip, require_file

EXPECTED = "the series matrix of a GEO series (GSE..._series_matrix.txt.gz)"
ACCESSION = re.compile(r"GSE[1-9]\d{0,8}")
# What the largest series' samples take, several times.
MOST_BYTES, MOST_LINES = 1 << 28, 5000
MISSING = {"", "na", "n/a", "nan", "null", "--", "not available", "not applicable"}
CHARACTERISTICS = "characteristics_ch1"
SEQUENCED, HUMAN = "high throughput sequencing", "homo sapiens"
_NO_WORD = re.compile(r"[^a-z0-9]+")


def field_name(text: str) -> str:
    """Return the name of a field, whatever its capitals, blanks and signs: Disease State (T2D)."""
    return _NO_WORD.sub("_", text.casefold()).strip("_")


@dataclass(frozen=True)
class Series:
    """What a series matrix says.

    Parameters
    ----------
    accession, title
        Of the series.
    kinds, relations
        ``!Series_type`` and ``!Series_relation``.
    samples
        One row a sample, indexed by its GSM, text; a column a field, named by `field_name`: lines
        of samples that stand once (``title``, ``source_name_ch1``, ``organism_ch1``,
        ``platform_id``, ...) and keys of characteristics; a line that is called like a key
        (``status``, the day of publication) is ``sample_status``, and a key ``sample``
        ``sample_ch1``, as the samples are called so. Missing values are None.
    path
        Of the file.
    """

    accession: str
    title: str
    kinds: tuple[str, ...]
    relations: tuple[str, ...]
    samples: pd.DataFrame
    path: Path

    def demand_human_rna(self, accession: str) -> None:
        """Refuse another series, one that has others as its parts, arrays, and animals.

        Parameters
        ----------
        accession
            Of the series that was asked for.
        """
        wanted = f"the series matrix of {accession}, RNA-seq of people"
        if self.accession != accession:
            raise InputError(
                self.path,
                f"the series {shown(self.accession)}",
                wanted,
                f"Put the file of {accession} in its place.",
            )
        parts = [text for text in self.relations if text.startswith("SuperSeries of")]
        if parts:
            names = ", ".join(re.findall(r"GSE\d+", " ".join(parts)))
            raise InputError(
                self.path,
                f"a superseries (of {names or 'others'})",
                wanted,
                "Name one of its parts in its place.",
            )
        if self.kinds and not any(SEQUENCED in kind for kind in self.kinds):
            raise InputError(
                self.path,
                f"a series of {' and '.join(self.kinds)}",
                wanted,
                "Arrays give no TPM; take a series of RNA-seq.",
            )
        organism = self.samples.get("organism_ch1", pd.Series(HUMAN, self.samples.index))
        human = organism.fillna(HUMAN).str.casefold() == HUMAN
        if not human.any():
            raise InputError(
                self.path, f"samples of {organism.iloc[0]}", wanted, "Take a series of people."
            )


def read_series_matrix(path: str | Path) -> Series:
    """Read the head of a series matrix, plain or gzipped.

    Raises
    ------
    InputError
        It is something else (a web page, an empty file, another kind of table); a line has not a
        cell a sample; a sample stands twice.
    """
    path = Path(path)
    (demand_gzip if path.suffix == ".gz" else require_file)(path, EXPECTED)
    series: dict[str, list[str]] = {}
    lines: list[tuple[int, str, list[str]]] = []
    for number, kind, name, cells in _head(path):
        if kind == "Series":
            series.setdefault(name, []).append(cells[0] if cells else "")
        else:
            lines.append((number, name, cells))
    accession = series.get("geo_accession", [""])[0]
    ids = next((cells for _, name, cells in lines if name == "geo_accession"), None)
    if not accession or not ids:
        found = "no !Series_geo_accession" if not accession else "no !Sample_geo_accession"
        raise InputError(path, found, EXPECTED)
    index = pd.Index(ids, name="sample")
    if (index == "").any() or index.has_duplicates:
        twice = [*index[index == ""], *index[index.duplicated()]][0]
        raise InputError(path, f"sample {shown(twice)} twice or empty", "every sample once")
    return Series(
        accession,
        series.get("title", [""])[0],
        tuple(series.get("type", ())),
        tuple(series.get("relation", ())),
        _samples(path, index, lines),
        path,
    )


def _head(path: Path) -> Iterator[tuple[int, str, str, list[str]]]:
    """Yield the lines before the table: number, ``Series`` or ``Sample``, name, cells."""
    taken = 0
    with closing(byte_lines(path)) as lines:
        for number, line in enumerate(lines, 1):
            taken += len(line)
            if taken > MOST_BYTES or number > MOST_LINES:
                raise InputError(
                    f"{path}, line {number}",
                    f"more than {MOST_LINES:,} lines or {MOST_BYTES:,} bytes before the table",
                    EXPECTED,
                )
            if line.startswith(b"!series_matrix_table_begin"):
                return
            name, *cells = line.decode(errors="replace").split("\t")
            found = re.fullmatch(r"!(Series|Sample)_(\w+)", name.strip())
            if found:
                yield number, found[1], found[2], [_unquoted(cell) for cell in cells]


def _unquoted(cell: str) -> str:
    """Text of a cell without its quotes."""
    cell = cell.strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        cell = cell[1:-1].replace('""', '"')
    return cell.strip()


def _key(cell: str) -> str:
    """Field that a cell of characteristics is of; "" where it has none."""
    key, colon, _ = cell.partition(":")
    name = field_name(key) if colon else ""
    return "sample_ch1" if name == "sample" else name


def _samples(path: Path, index: pd.Index, lines: list[tuple[int, str, list[str]]]) -> pd.DataFrame:
    """Fields of all samples; a key that a sample has twice keeps both values."""
    fields: dict[str, list[list[str]]] = {}
    keys = {_key(cell) for _, name, cells in lines if name == CHARACTERISTICS for cell in cells}

    def put(field: str, row: int, value: str) -> None:
        if value.casefold() not in MISSING:
            column = fields.setdefault(field, [[] for _ in index])
            if value not in column[row]:
                column[row].append(value)

    for number, name, cells in lines:
        if len(cells) != len(index):
            raise InputError(
                f"{path}, line {number} (!Sample_{name})",
                f"{len(cells)} cells",
                f"{len(index)}, one a sample",
                "The file is cut or was edited; download it again.",
            )
        for row, cell in enumerate(cells):
            field = field_name(name)
            if name == CHARACTERISTICS and _key(cell):
                put(_key(cell), row, cell.partition(":")[2].strip())
            else:
                put(f"sample_{field}" if field in keys else field, row, cell)
    text = {
        field: ["; ".join(values) if values else None for values in column]
        for field, column in fields.items()
    }
    return pd.DataFrame(text, index=index, dtype=object)
