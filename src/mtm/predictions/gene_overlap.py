"""Genes of new data matched to a model's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.cohort.genes import gene_key
from mtm.errors import InputError
from mtm.settings.transfer import MIN_OVERLAP


def unversioned(gene_ids: Iterable[str]) -> pd.Index:
    """Drop the version of Ensembl ids; the ``_PAR_Y`` mark stays (ENSG00000002586_PAR_Y)."""
    keys = map(gene_key, gene_ids)
    return pd.Index([f"{stable_id}{'_PAR_Y' * par_y}" for stable_id, par_y in keys], dtype=object)


@dataclass(frozen=True)
class GeneOverlap:
    """How the genes of new data meet a model's.

    Parameters
    ----------
    n_model, n_data
        Genes of the model, and of the data.
    n_exact
        Model genes found under their versioned id.
    n_unversioned
        Further model genes found when versions are ignored.
    """

    n_model: int
    n_data: int
    n_exact: int
    n_unversioned: int

    @property
    def n_found(self) -> int:
        """Model genes found in the data."""
        return self.n_exact + self.n_unversioned

    @property
    def fraction(self) -> float:
        """Share of the model's genes found in the data, 0 to 1."""
        return self.n_found / self.n_model

    def __str__(self) -> str:
        return (
            f"{self.n_found} of the model's {self.n_model} genes found ({self.fraction:.1%}): "
            f"{self.n_exact} by versioned id, {self.n_unversioned} with versions ignored; "
            f"{self.n_data - self.n_found} genes of the data are not used"
        )


def match_genes(
    model_genes: pd.DataFrame,
    gene_ids: Sequence[str],
    min_overlap: float = MIN_OVERLAP,
    where: object = "expression",
) -> tuple[np.ndarray, GeneOverlap]:
    """Find the model's genes in new data, by versioned id and then with versions ignored.

    Parameters
    ----------
    model_genes
        `Predictor.genes`.
    gene_ids
        Gene ids of the data.
    min_overlap
        Smallest share of the model's genes that must be found, 0 to 1.
    where
        File named in errors.

    Returns
    -------
    np.ndarray
        Column of the data for each gene of the model, -1 where it has none, int64.
    GeneOverlap
        The counts.

    Raises
    ------
    InputError
        A gene stands twice, or fewer than `min_overlap` of the model's genes are found.
    """
    wanted, given = model_genes.index.astype(str), pd.Index(gene_ids).astype(str)
    _refuse_repeats(given, given, where)
    columns = given.get_indexer(wanted)
    exact = int((columns >= 0).sum())
    plain_wanted, plain_given = unversioned(wanted), unversioned(given)
    open_genes = columns < 0
    candidates = plain_given.isin(plain_wanted[open_genes])
    _refuse_repeats(plain_given[candidates], given[candidates], where)
    positions = np.flatnonzero(candidates)
    found = plain_given[candidates].get_indexer(plain_wanted[open_genes])
    columns[open_genes] = np.where(found >= 0, np.append(positions, -1)[found], -1)
    overlap = GeneOverlap(len(wanted), len(given), exact, int((columns >= 0).sum()) - exact)
    if overlap.n_found == 0 or overlap.fraction < min_overlap:
        _refuse_overlap(model_genes, given, overlap, min_overlap, where)
    return columns.astype(np.int64), overlap


def _refuse_repeats(keys: pd.Index, shown: pd.Index, where: object) -> None:
    """Raise if a gene stands twice."""
    repeated = keys.duplicated(keep=False)
    if repeated.any():
        names = shown[keys == keys[repeated][0]]
        raise InputError(
            where,
            f"gene {names[0]} {len(names)} times ({', '.join(names.unique()[:3])})",
            "every gene once",
            "Sum or drop the repeated rows.",
        )


def _refuse_overlap(
    model_genes: pd.DataFrame,
    given: pd.Index,
    overlap: GeneOverlap,
    min_overlap: float,
    where: object,
) -> None:
    """Raise the error about too few common genes, with a guess at the reason."""
    n_symbols = int(given.isin(model_genes["symbol"].astype(str)).sum())
    examples = ", ".join(given[:3])
    if n_symbols > overlap.n_found:
        hint = (
            f"{n_symbols} of the data's names are gene symbols of the model; "
            "use Ensembl gene ids (ENSG...), with or without version."
        )
    elif overlap.n_found == 0:
        hint = (
            "Use Ensembl gene ids (ENSG...) as gene names, with or without version; "
            "check that genes are not where samples should be."
        )
    else:
        hint = (
            "Missing genes would be filled with the source tissue's training mean. "
            f"Accept that with a smaller minimum overlap (--min-overlap, now {min_overlap:g})."
        )
    if overlap.n_found == 0:
        found = f"no gene of the model among {overlap.n_data} genes named like {examples}"
    else:
        found = (
            f"{overlap.n_found} of the model's {overlap.n_model} genes ({overlap.fraction:.1%}) "
            f"among {overlap.n_data} genes named like {examples}"
        )
    raise InputError(
        where,
        found,
        f"at least {min_overlap:.0%} of genes named like {', '.join(model_genes.index[:3])}",
        hint,
    )
