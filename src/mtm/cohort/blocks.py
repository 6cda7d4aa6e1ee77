"""What readers of expression files hand on: the header, then block after block of genes."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.cohort.spellings import letters, spelt
from mtm.errors import InputError, numbered, printable, shown

logger = logging.getLogger(__name__)

BLOCK_GENES = 512
SYMBOL_COLUMNS = ("symbol", "description", "gene_name", "gene_symbol")
# The same by their letters, and what annotation (biomaRt, CELLxGENE) calls them.
_SYMBOLS = (*map(letters, SYMBOL_COLUMNS), "externalgenename", "hgncsymbol", "featurename")
# Rows beside those of genes that HTSeq (with underscores since 0.5.4) and STAR write.
_READS_OF_NO_GENE = {
    "no_feature", "ambiguous", "too_low_aqual", "not_aligned", "alignment_not_unique",
    "n_unmapped", "n_multimapping", "n_nofeature", "n_ambiguous",
}  # fmt: skip
# What spreadsheets end with; no gene is called so.
_SUMS = {"total", "totals", "sum", "grand total"}
# What Excel makes of SEPTIN2 and MARCHF1.
_MONTH = "(Feb|Mar|Apr|Sep|Oct|Nov|Dec)"
_DATE = re.compile(rf"\d{{1,2}}-{_MONTH}|{_MONTH}-\d{{1,2}}", re.IGNORECASE)
ENSEMBL_GENE = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?")


@dataclass(frozen=True)
class ExpressionHeader:
    """What stands before the first value of an expression file.

    Parameters
    ----------
    sample_ids
        One a column of values (h5ad: one a row), in the order of the file.
    n_genes
        Number of genes the file declares; None where its format declares none.
    gene_column
        Position of the gene id among the fields of a row.
    symbol_column
        Position of the gene symbol; None where the file has none.
    """

    sample_ids: tuple[str, ...]
    n_genes: int | None
    gene_column: int = 0
    symbol_column: int | None = None

    @property
    def n_leading(self) -> int:
        """Number of fields before the first value of a row."""
        return 1 + max(self.gene_column, -1 if self.symbol_column is None else self.symbol_column)


@dataclass(frozen=True)
class GeneBlock:
    """Some genes of an expression file.

    Parameters
    ----------
    gene_ids, symbols
        One a gene; a file without symbols repeats the gene id.
    expr_tpm
        Shape ``(n_block_genes, n_selected_samples)``, float32, in the unit of the file.
    """

    gene_ids: list[str]
    symbols: list[str]
    expr_tpm: np.ndarray


def checked_samples(where: str, sample_ids: Sequence[str], n_leading: int = 0) -> tuple[str, ...]:
    """Return `sample_ids` without blanks around them, if there are any and all are named once.

    Accents are one sign each, as in tables.
    Genes are none: who has them for columns is told to transpose the table. `n_leading` columns
    stand before the samples', for errors.
    """
    index = pd.Index([spelt(sample_id.strip()) for sample_id in sample_ids])
    if not len(index) or (index == "").any():
        found, hint = "none", ""
        if len(index):
            found = f"an empty name in column {n_leading + list(index).index('') + 1}"
            hint = "Name it, or take the column out if it is empty."
        raise InputError(f"{where}, sample ids", found, "one sample id a column", hint)
    if index.has_duplicates:
        name = index[index.duplicated()][0]
        raise InputError(f"{where}, sample ids", f"duplicate sample {name}", "every sample once")
    if index.str.fullmatch(ENSEMBL_GENE).all():
        raise samples_as_rows(where, f"gene ids ({index[0]})")
    return tuple(index)


def symbol_column(names: Iterable[str]) -> str | None:
    """Name of the column of gene symbols, the first by their usual names; None if there is none.

    Neither case counts nor signs: Gene Name is gene_name.
    """
    by_letters = {letters(name): name for name in reversed(list(names))}
    return next((by_letters[name] for name in _SYMBOLS if name in by_letters), None)


def is_reads_of_no_gene(name: str) -> bool:
    """Whether a row is what counters of reads put beside genes."""
    return name.casefold().removeprefix("__") in _READS_OF_NO_GENE


def is_date(name: str) -> bool:
    """Whether a gene's name is what spreadsheets make of some symbols: 1-Mar, Sep-02."""
    return _DATE.fullmatch(name) is not None


def warn_of_reads_of_no_gene(where: object, names: Sequence[str]) -> None:
    """Say that rows were left out that HTSeq or STAR put beside genes; sums lack them, too."""
    if names:
        logger.warning(
            "%s: %s reads of no gene left out, as HTSeq and STAR count them: %s",
            where, numbered(len(names), "row of", "rows of"), ", ".join(map(printable, names)),
        )  # fmt: skip


def demand_gene(where: object, gene_id: str) -> None:
    """Refuse a row of sums among genes: each sample's own sum would have it."""
    if gene_id.casefold() in _SUMS:
        raise InputError(where, f"a row {shown(gene_id)}", "genes", "Take it out.")


def duplicate_gene(where: object, gene_id: str, first: str = "") -> InputError:
    """Return the error of a gene that stands twice."""
    hint = "Add up its counts or TPM, or leave one out; ids tell apart what symbols do not."
    if is_date(gene_id):
        hint = "Excel made dates of symbols (SEPTIN1, MARCHF1): take the file as it was before."
    found = f"duplicate gene {gene_id}{first}"
    return InputError(where, found, "every gene once, whatever its version", hint)


def warn_of_dates(where: object, gene_ids: Iterable[str]) -> None:
    """Warn of genes whose names are dates: no other file has them under these."""
    dates = [gene_id for gene_id in gene_ids if is_date(gene_id)]
    if dates:
        logger.warning(
            "%s: %s dates, first %s, as Excel makes of symbols (SEPTIN2, MARCHF1): write what "
            "they were, as genes are known by their names",
            where, numbered(len(dates), "gene is", "genes are"), dates[0],
        )  # fmt: skip


def samples_as_rows(where: object, found: str) -> InputError:
    """Return the error of an expression file whose samples are `found` to be genes."""
    return InputError(
        f"{where}, sample ids",
        found,
        "genes as rows and samples as columns (h5ad: samples in obs, genes in var)",
        "Transpose the table.",
    )
