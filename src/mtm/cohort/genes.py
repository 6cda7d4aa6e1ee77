"""Genes: their ids, the gene model (GTF) and lists of genes."""

import re
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mtm.cohort.lines import text_lines
from mtm.errors import InputError

_ENSEMBL_ID = re.compile(r"(ENS[A-Z]*G\d{11})(?:\.\d+)?(_PAR_Y)?")
_GTF_ATTRIBUTE = re.compile(r'(\w+) "([^"]*)"')
_POSITION = re.compile(r"[0-9]{1,18}")
_GENE_ID = re.compile(r'\bgene_id "([^"]+)"')
_AS_GTF = "It looks like GFF3: take the GTF of the release, or make one (gffread -T)."
_WITHOUT_BIOTYPES = "Without biotypes every gene is kept: set filters.gene_biotypes to null."


class GeneKey(NamedTuple):
    """What makes two gene ids the same gene (methods 1.1)."""

    stable_id: str
    par_y: bool


def gene_key(gene_id: str) -> GeneKey:
    """Return the key that gene ids of different sources are joined on.

    Ensembl ids lose their version and keep their ``_PAR_Y`` mark; any other id stays as it is
    (methods 1.1).
    """
    match = _ENSEMBL_ID.fullmatch(gene_id)
    return GeneKey(match[1], match[2] is not None) if match else GeneKey(gene_id, False)


class GtfRecord(NamedTuple):
    """A row of a gene model; `start` and `end` are 1-based, inclusive."""

    gene_id: str
    contig: str
    start: int
    end: int
    strand: str
    attributes: str

    def attribute(self, *names: str) -> str | None:
        """First of the attributes `names` that the row has."""
        attributes = dict(_GTF_ATTRIBUTE.findall(self.attributes))
        return next((attributes[name] for name in names if name in attributes), None)


def gtf_records(
    path: str | Path,
    feature: str,
    fits: Callable[[GtfRecord], bool],
    expected: str,
    hint: str = "",
) -> Generator[GtfRecord, None, None]:
    """Yield the rows of one feature of a GTF file.

    Parameters
    ----------
    feature
        What stands in the third field ("gene").
    fits
        Whether a row with gene_id and positions has what else is needed.
    expected
        What a row must have, for the error.
    hint
        What to do about a row that does not fit.

    Raises
    ------
    InputError
        A row without its nine fields, positions or gene_id, or that does not fit; no row at all.
    """
    empty = True
    with closing(text_lines(Path(path))) as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith("#") or f"\t{feature}\t" not in line:
                continue
            record = _gtf_record(line.split("\t"))
            if record is None or not fits(record):
                advice = hint if record else _AS_GTF * ("\tID=" in line)
                raise InputError(f"{path}, line {number}", repr(line[:80]), expected, advice)
            empty = False
            yield record
    if empty:
        raise InputError(
            path, f"no {feature} row", f"a GTF with rows whose third field is {feature}"
        )


def _gtf_record(fields: list[str]) -> GtfRecord | None:
    """Record of the fields of a row; None where they are no nine, or lack positions or gene_id."""
    if len(fields) != 9 or not all(_POSITION.fullmatch(field) for field in fields[3:5]):
        return None
    contig, _, _, start, end, _, strand, _, attributes = fields
    gene_id = _GENE_ID.search(attributes)
    return gene_id and GtfRecord(gene_id[1], contig, int(start), int(end), strand, attributes)


def read_gtf_genes(path: str | Path, biotypes: bool = False) -> pd.DataFrame:
    """Read the genes of a GTF file: of its gene rows or, where it has none, of its exons.

    Parameters
    ----------
    biotypes
        Whether every gene must have one.

    Returns
    -------
    pd.DataFrame
        Indexed by gene id: ``symbol`` (gene_name, else the gene id), ``biotype`` (gene_type or
        gene_biotype, else None), ``chrom``, ``strand`` ("+", "-" or "."), ``start`` and ``end``
        (1-based, inclusive).

    Raises
    ------
    InputError
        A row without its nine fields, gene_id or a biotype that it must have; a gene twice; no
        such row at all.
    """
    biotype = ("gene_type", "gene_biotype")
    of_exons = not _has_rows(path, "gene") and _has_rows(path, "exon")
    records = gtf_records(
        path,
        "exon" if of_exons else "gene",
        lambda row: not biotypes or row.attribute(*biotype) is not None,
        "nine fields, the last with gene_id" + " and gene_type or gene_biotype" * biotypes,
        _WITHOUT_BIOTYPES,
    )
    genes = pd.DataFrame.from_records(
        {
            "gene_id": row.gene_id,
            "symbol": row.attribute("gene_name", "gene_id"),
            "biotype": row.attribute(*biotype),
            "chrom": row.contig,
            "strand": row.strand,
            "start": row.start,
            "end": row.end,
        }
        for row in (_spans(records) if of_exons else records)
    ).set_index("gene_id")
    _demand_unique(path, genes.index)
    return genes


def _has_rows(path: str | Path, feature: str) -> bool:
    """Whether a GTF file has a row of a feature."""
    with closing(text_lines(Path(path))) as lines:
        return any(f"\t{feature}\t" in line for line in lines if not line.startswith("#"))


def _spans(exons: Iterable[GtfRecord]) -> Iterable[GtfRecord]:
    """Return a row a gene, from the start of its first exon to the end of its last."""
    genes: dict[str, GtfRecord] = {}
    for row in exons:
        gene = genes.setdefault(row.gene_id, row)
        if gene.contig == row.contig:
            start, end = min(gene.start, row.start), max(gene.end, row.end)
            genes[row.gene_id] = gene._replace(start=start, end=end)
    return genes.values()


def merge_exons(exons: pd.DataFrame) -> pd.DataFrame:
    """Merge exons of a gene that overlap or touch, so that every base of it stands once.

    Parameters
    ----------
    exons
        ``gene_id``, ``chrom``, ``start``, ``end`` (0-based, end exclusive), in any order.

    Returns
    -------
    pd.DataFrame
        The same columns, sorted by gene, chromosome and start.
    """
    key = ["gene_id", "chrom"]
    table = exons.sort_values([*key, "start", "end"], ignore_index=True)
    groups = table.groupby(key, sort=False)
    reached = groups["end"].cummax()
    before = reached.groupby([table[name] for name in key], sort=False).shift(fill_value=-1)
    block = (table["start"] > before).cumsum()
    return (
        table.groupby(block)
        .agg(gene_id=("gene_id", "first"), chrom=("chrom", "first"), start=("start", "min"),
             end=("end", "max"))
        .reset_index(drop=True)
    )  # fmt: skip


def exon_records(gene_model: str | Path) -> Generator[GtfRecord, None, None]:
    """Yield the exons of a GTF file; errors are those of `gtf_records`."""
    return gtf_records(
        gene_model,
        "exon",
        lambda row: 0 < row.start <= row.end,
        "nine fields, the fourth and fifth start and end, the last with gene_id",
    )


def gene_lengths(gene_model: str | Path) -> dict[GeneKey, int]:
    """Length of every gene of a GTF file: bases in the union of its exons.

    Raises
    ------
    InputError
        A malformed exon row, or no exon row.
    """
    records = exon_records(gene_model)
    exons = pd.DataFrame.from_records(
        [(row.gene_id, row.contig, row.start - 1, row.end) for row in records],
        columns=["gene_id", "chrom", "start", "end"],
    )
    merged = merge_exons(exons)
    lengths = (merged["end"] - merged["start"]).groupby(merged["gene_id"]).sum()
    return {gene_key(name): int(length) for name, length in lengths.items()}


def read_gene_list(path: str | Path) -> pd.Index:
    """Read gene ids: a table with a column ensembl_gene_id or gene_id, or one id a line.

    Raises
    ------
    InputError
        Several columns and none of those names; an empty id; a gene twice; no gene.
    """
    path = Path(path)
    with closing(text_lines(path)) as lines:
        rows = [line.split("\t") for line in lines if line.strip()]
    if not rows:
        raise InputError(path, "an empty file", "gene ids")
    names = ("ensembl_gene_id", "gene_id")
    column = next((rows[0].index(name) for name in names if name in rows[0]), None)
    if column is None and len(rows[0]) > 1:
        raise InputError(
            f"{path}, line 1", f"columns {rows[0]}", "a column ensembl_gene_id or gene_id"
        )
    body = rows if column is None else rows[1:]
    gene_ids = [row[column or 0].strip() if len(row) > (column or 0) else "" for row in body]
    if "" in gene_ids or not gene_ids:
        raise InputError(path, "a row without a gene id, or no row", "a gene id in every row")
    index = pd.Index(gene_ids, name="gene_id")
    _demand_unique(path, index)
    return index


def _demand_unique(path: str | Path, gene_ids: pd.Index) -> None:
    """Refuse a gene that stands twice, whatever its versions."""
    duplicated = pd.Series([gene_key(gene_id) for gene_id in gene_ids]).duplicated()
    if duplicated.any():
        raise InputError(
            path,
            f"duplicate gene {gene_ids[duplicated.argmax()]}",
            "every gene once, whatever its version",
            "The copies of pseudo-autosomal genes on Y carry the suffix _PAR_Y.",
        )
