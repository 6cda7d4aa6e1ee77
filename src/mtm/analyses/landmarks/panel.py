"""Which genes are measured: a list, a choice by the data, or chance (methods 6.22)."""

from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import NEVER_HELD_OUT
from mtm.cohort.genes import gene_key, read_gene_list
from mtm.errors import CannotDo, InputError, shown
from mtm.io import read_tsv
from mtm.settings.landmarks import Landmarks
from mtm.settings.scaling import Scaling
from mtm.vocabulary import CHOSEN, HEADLINE, LISTED, RANDOM

COLUMNS = ["panel", "fold", "rank", "gene_id", "symbol", "told"]


def choose_landmarks(
    expr_z: np.ndarray, tissue: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose genes one after the other, each that which tells most of what all genes still hold.

    Told is the share of variance that a ridge regression on the landmarks tells in a tissue, mean
    over all genes and tissues. Its penalty is `n`: coefficients a priori of variance 1 / `n`,
    noise of variance 1. Without one, as many landmarks as samples would tell all of anything.

    Parameters
    ----------
    expr_z
        z-scores of training samples, shape ``(n_samples, n_genes)``.
    tissue
        Shape ``(n_samples,)``.
    n
        How many.

    Returns
    -------
    np.ndarray, np.ndarray
        Positions of the genes in order, and what they tell together with those before,
        tr(Y'HY) / tr(Y'Y) with the hat matrix H of the ridge and the samples Y that they were
        chosen on; both of shape ``(n,)``.
    """
    parts = [_Left(expr_z[tissue == index], n) for index in np.unique(tissue)]
    chosen, told = [], []
    for _ in range(n):
        gain = sum(part.gain() for part in parts) / (len(parts) * expr_z.shape[1])
        gain[chosen] = -np.inf
        best = int(gain.argmax())
        chosen.append(best)
        told.append(gain[best])
        for part in parts:
            part.take_out(best)
    return np.array(chosen), np.cumsum(told)


class _Left:
    """What the landmarks so far leave of a tissue's genes: residuals, and their products.

    With residuals R and the penalty l, gene j tells ``|R' R_j|^2 / (|R_j|^2 + l)`` of the squares
    of all genes, and ``|R' R_j|^2`` is ``R_j' (R R' R)_j``: no matrix of genes by genes is needed.
    """

    def __init__(self, expr_z: np.ndarray, penalty: float):
        self.penalty = penalty
        self.residual = expr_z - expr_z.mean(0)
        self.product = (self.residual @ self.residual.T) @ self.residual

    def gain(self) -> np.ndarray:
        """Variance of all genes that each would tell, shape ``(n_genes,)``."""
        own = (self.residual**2).sum(0)
        told = np.einsum("ng,ng->g", self.residual, self.product)
        return told / (own + self.penalty) / len(self.residual)

    def take_out(self, gene: int) -> None:
        """Make a gene a landmark: R' R loses ``R' R_j R_j' R / (|R_j|^2 + l)``."""
        own = self.residual[:, gene]
        square = float(own @ own)
        if not square:
            return
        axis = own / np.sqrt(square)
        twice = square / (square + self.penalty)
        once = 1 - np.sqrt(1 - twice)
        share = axis @ self.residual
        # R R' times the axis, from R R' R and the axis' own gene.
        turned = self.product[:, gene] / np.sqrt(square)
        self.product -= twice * np.outer(turned, share)
        self.product -= once * np.outer(axis, axis @ self.product)
        self.residual -= once * np.outer(axis, share)


def listed_landmarks(path: str | Path, genes: pd.DataFrame) -> np.ndarray:
    """Find the genes of a list, by id or else by symbol.

    Parameters
    ----------
    path
        What `mtm.cohort.genes.read_gene_list` reads.
    genes
        Of the cohort: indexed by gene id, ``symbol``.

    Returns
    -------
    np.ndarray
        Positions in `genes`, in the order of the list.

    Raises
    ------
    InputError
        The cohort has none of them.
    """
    listed = read_gene_list(path)
    by_id = {gene_key(gene_id): place for place, gene_id in enumerate(genes.index)}
    symbols = genes["symbol"].astype(str)
    once = ~symbols.duplicated(keep=False)
    by_symbol = dict(zip(symbols[once].str.upper(), np.flatnonzero(once), strict=True))
    found = [by_id.get(gene_key(name), by_symbol.get(name.upper())) for name in listed]
    places = pd.unique(np.array([place for place in found if place is not None], np.int64))
    if not len(places):
        raise InputError(
            path,
            f"none of its {len(listed)} genes (first {shown(listed[0])}) among the cohort's",
            f"ids or symbols of the cohort's genes, such as {genes.index[0]} or {symbols.iloc[0]}",
        )
    return places


def panel_table(
    cohort: Cohort, folds: pd.Series, settings: Landmarks, scaling: Scaling, listed: str | None
) -> pd.DataFrame:
    """Set up every panel for every fold.

    Parameters
    ----------
    cohort, folds
        The cohort, and `mtm.cohort.folds.read_folds`.
    settings, scaling
        Sections of the config.
    listed
        File of a list of genes; None for none.

    Returns
    -------
    pd.DataFrame
        One row a ``panel`` (listed, chosen, random), ``fold`` and landmark: ``rank`` (from 1),
        ``gene_id``, ``symbol``, ``told`` (chosen: from `choose_landmarks`). Fold -1
        is chosen on all donors.

    Raises
    ------
    InputError
        The cohort has no gene of the list.
    CannotDo
        A panel leaves no gene to tell.
    """
    panels: dict[str, np.ndarray] = {}
    if listed is not None:
        panels[LISTED] = listed_landmarks(listed, cohort.genes)
    if settings.n:
        rng = np.random.default_rng(settings.seed)
        panels[RANDOM] = rng.permutation(cohort.n_genes)[: settings.n]
    rows = []
    for name, places in panels.items():
        if len(places) >= cohort.n_genes:
            raise CannotDo(
                "landmarks",
                f"{len(places)} landmarks ({name}) of {cohort.n_genes} genes leave none to tell",
                "name fewer landmarks (inputs.landmarks, landmarks.n), or keep more genes",
            )
    fold_of = folds.reindex(cohort.donors.index).to_numpy()[cohort.donor]
    for fold in (*range(int(folds.max()) + 1), NEVER_HELD_OUT):
        for name, places in panels.items():
            rows.append(_rows(cohort.genes, name, fold, places))
        if settings.n:
            train = fold_of != fold if fold != NEVER_HELD_OUT else np.ones(len(fold_of), bool)
            tissue, scaler = cohort.tissue[train], cohort.scaler(HEADLINE.scale, scaling, train)
            expr_z = scaler.transform(cohort.expr_tpm[train], tissue)
            chosen = choose_landmarks(expr_z, tissue, settings.n)
            rows.append(_rows(cohort.genes, CHOSEN, fold, *chosen))
    return pd.concat(rows, ignore_index=True).reindex(columns=COLUMNS)


def read_panels(path: str | Path, gene_ids: pd.Index) -> pd.DataFrame:
    """Read what `panel_table` returns; `gene_ids` are the cohort's.

    Raises
    ------
    InputError
        A column is missing, or a landmark is no gene of the cohort.
    """
    panels = read_tsv(path, ["panel", "fold", "gene_id"], dtype={"gene_id": str})
    unknown = ~panels["gene_id"].isin(gene_ids)
    if unknown.any():
        name = shown(panels["gene_id"][unknown].iloc[0])
        raise InputError(path, f"landmark {name}", "genes of the cohort")
    return panels


def _rows(
    genes: pd.DataFrame,
    panel: str,
    fold: int,
    places: np.ndarray,
    told: np.ndarray | None = None,
) -> pd.DataFrame:
    """Rows of one panel of a fold."""
    about = {"panel": panel, "fold": fold, "rank": np.arange(len(places)) + 1}
    about |= {"gene_id": genes.index[places], "symbol": genes["symbol"].to_numpy()[places]}
    return pd.DataFrame(about if told is None else about | {"told": told})
