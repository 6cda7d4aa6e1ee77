"""Genes by tissues, in the order of the chromosomes."""

import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.genes.matching import is_second_copy
from mtm.analyses.profiles.promoters import promoters_of
from mtm.cohort.cohort import Cohort
from mtm.cohort.genes import gene_key, read_gtf_genes
from mtm.cohort.lines import demand_whole_rows
from mtm.errors import CannotDo, InputError, shown
from mtm.io import read_tsv

log = logging.getLogger(__name__)

ANALYSIS = "profiles of genes over tissues"
# log2(1+TPM) of a gene that is all of a sample is 20.
LARGEST_LOG2 = 30.0
FEWEST_TISSUES, FEWEST_GENES = 3, 20
NO_VALUE = ("", "NA", "NaN", "nan")
# Bases between the starts of two genes that may share a promoter.
SHARED_PROMOTER = 1000
# A symbol's root, then its number: SLC2A1 and SLC2A3 are of SLC2A.
_ROOT = re.compile(r"([A-Z][A-Z0-9]*?[A-Z])-?[0-9]+[A-Z]{0,2}[0-9]*(?:-[0-9]+)?")
FEWEST_FAMILIES = 30
# Roots that HGNC gives to what it knows nothing of.
NO_FAMILY = ("FAM", "TMEM", "CCDC", "KIAA", "LOC", "LINC", "ENSG", "ORF")


@dataclass(frozen=True)
class Table:
    """Expression of genes by tissue, genes in the order of their starts on each chromosome.

    Parameters
    ----------
    expr_log2
        Shape ``(n_genes, n_tissues)``, log2(1+TPM); NaN is a hole.
    tissues
        Their names.
    genes
        Indexed by gene id: ``symbol``, ``chrom``, ``tss`` (base of its start), ``strand`` (1, -1,
        0 where it is not known).
    """

    expr_log2: np.ndarray
    tissues: tuple[str, ...]
    genes: pd.DataFrame

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return len(self.genes)

    def family(self) -> np.ndarray:
        """Return a number of each gene's family, shape ``(n_genes,)``; -1 where it is alone.

        All are alone where the table has few families: the mean of a family without the gene says
        then what the gene is not.
        """
        roots = pd.Series([_root(symbol) for symbol in self.genes["symbol"]], dtype=object)
        several = roots.notna() & roots.duplicated(keep=False)
        if roots[several].nunique() < FEWEST_FAMILIES:
            return np.full(self.n_genes, -1)
        return pd.factorize(roots.where(several))[0]

    def shares_promoter(self) -> np.ndarray:
        """Whether a gene starts back to back with its neighbour, shape ``(n_genes,)``."""
        genes = self.genes
        chrom, tss, strand = (genes[name].to_numpy() for name in ("chrom", "tss", "strand"))
        apart = (strand[:-1] == -1) & (strand[1:] == 1) & (chrom[:-1] == chrom[1:])
        apart &= tss[1:] - tss[:-1] <= SHARED_PROMOTER
        return np.append(apart, False) | np.insert(apart, 0, False)


def _root(symbol: str) -> str | None:
    match = _ROOT.fullmatch(str(symbol).upper())
    return None if match is None or match[1].endswith(NO_FAMILY) else match[1]


def medians(cohort: Cohort) -> pd.DataFrame:
    """Return the median of log2(1+TPM) of every gene and tissue of a cohort, copies left out."""
    values = np.log2(1 + cohort.expr_tpm) if cohort.measure == "tpm" else cohort.expr_tpm
    each = [np.median(values[cohort.tissue == i], 0) for i in range(len(cohort.tissues))]
    table = pd.DataFrame(np.stack(each, 1), cohort.genes.index, cohort.tissues, dtype=float)
    return table[~is_second_copy(cohort.genes.index)]


def read_profiles(path: str | Path) -> pd.DataFrame:
    """Read a table of genes by tissues.

    Parameters
    ----------
    path
        Tab-separated, plain or gzipped: ``gene_id``, and a column a tissue; a column ``symbol``
        is passed over.

    Returns
    -------
    pd.DataFrame
        Indexed by gene id, float64; NaN where the field is empty or NA.

    Raises
    ------
    InputError
        A value is no number, or no logarithm; a gene stands twice; a tissue or the table is empty.
    """
    demand_whole_rows(path)
    text = read_tsv(path, ["gene_id"], dtype=str).drop(columns="symbol", errors="ignore")
    gene_ids = text.pop("gene_id").fillna("")
    keys = pd.Series([gene_key(gene_id).stable_id for gene_id in gene_ids], dtype=object)
    if (twice := keys.duplicated()).any():
        gene = shown(gene_ids[twice.argmax()])
        raise InputError(path, f"gene {gene} twice", "every gene once, whatever its version")
    if text.shape[1] < FEWEST_TISSUES or len(text) < FEWEST_GENES:
        raise InputError(
            path,
            f"{len(text)} genes by {text.shape[1]} tissues",
            f"{FEWEST_GENES} genes by {FEWEST_TISSUES} tissues at least",
        )
    text = text.fillna("").apply(lambda column: column.str.strip())
    hole = text.isin(NO_VALUE)
    values = text.mask(hole).apply(pd.to_numeric, errors="coerce").to_numpy(float)
    wrong = ~hole.to_numpy() & ~(np.abs(values) <= LARGEST_LOG2)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{path}, line {row + 2}, column {shown(text.columns[column])}",
            shown(text.iat[row, column]),
            f"log2(1+TPM), a number of {LARGEST_LOG2:g} at most, or an empty field for a hole",
        )
    known = np.isfinite(values)
    if not known.any(0).all():
        tissue = shown(text.columns[known.any(0).argmin()])
        raise InputError(
            path, f"tissue {tissue} hidden in every gene", "some genes measured in every tissue"
        )
    if (n := known.any(1).sum()) < FEWEST_GENES:
        raise InputError(
            path, f"{n} genes with a value, all others with every tissue hidden",
            f"{FEWEST_GENES} measured genes at least",
        )  # fmt: skip
    return pd.DataFrame(values, pd.Index(gene_ids, name="gene_id"), text.columns)


def place(values: pd.DataFrame, gene_model: str | Path, path: str | Path | None = None) -> Table:
    """Order genes along the chromosomes.

    Parameters
    ----------
    values
        Indexed by gene id, a column a tissue.
    gene_model
        GTF.
    path
        File of the user's that `values` are from, of which every gene must have a place; None
        where they are the cohort's, of which others are left out.

    Raises
    ------
    InputError
        A gene of the user's table has no place.
    CannotDo
        There are too few genes or chromosomes to hold any out.
    """
    model = read_gtf_genes(gene_model)
    rows = {gene_key(gene_id): row for row, gene_id in enumerate(model.index)}
    at = np.array([rows.get(gene_key(gene_id), -1) for gene_id in values.index], np.int64)
    lost = values.index[at < 0]
    if len(lost) and path is not None:
        raise InputError(
            path,
            f"{len(lost)} of {len(values)} genes without a position, first {shown(lost[0])}",
            f"Ensembl ids of genes that {gene_model} has, such as {model.index[0]}",
            "Leave them out, or name the gene model of the same release.",
        )
    if len(lost):
        log.warning("%d genes without a position in %s are left out", len(lost), gene_model)
    values, genes = values[at >= 0], model.iloc[at[at >= 0]]
    backwards = (genes["strand"] == "-").to_numpy()
    about = pd.DataFrame(
        {
            "symbol": genes["symbol"].to_numpy(),
            "chrom": genes["chrom"].to_numpy(),
            "tss": np.where(backwards, genes["end"], genes["start"]),
            "strand": genes["strand"].map({"+": 1, "-": -1}).fillna(0).astype(int).to_numpy(),
        },
        values.index.rename("gene_id"),
    )
    order = np.lexsort((about["tss"], about["chrom"]))
    table = Table(values.to_numpy(float)[order], tuple(values.columns), about.iloc[order])
    measured = np.isfinite(table.expr_log2).any(1)
    n_chromosomes = table.genes["chrom"][measured].nunique()
    if measured.sum() < FEWEST_GENES or n_chromosomes < 3 or len(table.tissues) < FEWEST_TISSUES:
        raise CannotDo(
            ANALYSIS,
            f"{measured.sum()} genes on {n_chromosomes} chromosomes, {len(table.tissues)} tissues",
            f"bring {FEWEST_GENES} genes on 3 chromosomes and {FEWEST_TISSUES} tissues at least",
        )
    return table


def check_table(
    path: str | Path, gene_model: str | Path, promoters: str | Path | None = None
) -> None:
    """Read a table of the user's, with the places of its genes and their promoters.

    Raises
    ------
    InputError
        A file cannot be used.
    """
    values = read_profiles(path)
    # That there are too few genes or chromosomes the run says.
    with suppress(CannotDo):
        table = place(values, gene_model, path)
        if promoters is not None:
            promoters_of(promoters, table.genes)
