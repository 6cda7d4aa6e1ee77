"""Intervals of predictions from the residuals of held-out donors (methods 6.11).

The residual of gene g in a held-out sample of tissue t, in units of the sd that the model itself
gives (1 where it gives none), has a moderated sd s_tg. What is left, ``|residual| / s_tg`` with
s_tg from the other samples, is of one kind for genes of a tissue's low, middle or high expression:
its quantiles over genes and samples make intervals. Each donor was held out once, so nothing is
fitted for this.

The scores of a tissue are kept as counts on a grid, so that any set of donors can be calibrated
on, and any other judged, after one pass over the tissues.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.predictions.tissues import BLOCK_GENES
from mtm.statistics.moderation import VariancePrior
from mtm.vocabulary import TERTILES

# Cells of score / (1 + score), from 0 to 1; within one, scores are taken as spread evenly.
N_CELLS = 1024
EDGES = np.linspace(0, 1, N_CELLS + 1)


@dataclass(frozen=True)
class Residuals:
    """Held-out residuals of one tissue.

    Parameters
    ----------
    tissue
        Its name.
    rows
        One row a sample: ``donor`` and ``n_sources``.
    values
        Residuals in units of `own_sd`, shape ``(n_samples, n_genes)``, float32.
    own_sd
        What the model itself gives, same shape; None where it gives none, which counts as 1.
    tertile
        Of each gene, position in `TERTILES`, shape ``(n_genes,)``.
    """

    tissue: str
    rows: pd.DataFrame
    values: np.ndarray
    own_sd: np.ndarray | None
    tertile: np.ndarray


@dataclass(frozen=True)
class TissueScores:
    """Scores of one tissue: those to calibrate on, and those of donors who are judged.

    With n_groups groups of donors there are n_groups + 1 calibrations: without each group, and
    with all.

    Parameters
    ----------
    tissue, rows
        As in `Residuals`.
    sd
        s_tg of every calibration, ``(n_groups + 1, n_genes)``; NaN for genes without a residual.
    cumulated
        Share of calibrating scores up to each of `EDGES`, by tertile,
        ``(n_groups + 1, 3, N_CELLS + 1)``; 0 throughout where there is none.
    sizes
        Calibrating samples, ``(n_groups + 1,)``.
    group
        Of each sample, ``(n_samples,)``.
    judged
        Scores of each sample by the calibration without its group, counted by tertile and
        cell, ``(n_samples, 3, N_CELLS)``.
    unit
        Mean over those genes of the sd that is scored with, ``(n_samples, 3)``.
    """

    tissue: str
    rows: pd.DataFrame
    sd: np.ndarray
    cumulated: np.ndarray
    sizes: np.ndarray
    group: np.ndarray
    judged: np.ndarray
    unit: np.ndarray

    @property
    def n_genes(self) -> np.ndarray:
        """Genes of each tertile that are judged, shape ``(3,)``."""
        return self.judged[0].sum(1, dtype=np.int64)

    def covered(self, quantile: np.ndarray) -> np.ndarray:
        """Share of genes that an interval holds.

        Parameters
        ----------
        quantile
            Of every calibration and tertile, shape ``(n_groups + 1, 3)``.

        Returns
        -------
        np.ndarray
            Shape ``(n_samples, 3)``; NaN where a tertile has no gene.
        """
        reached = np.nan_to_num(quantile / (1 + quantile))
        place = N_CELLS * reached[self.group]
        cell = np.minimum(place.astype(int), N_CELLS - 1)[..., None]
        whole = np.where(np.arange(N_CELLS) < cell, self.judged, 0).sum(2, dtype=np.int64)
        part = np.take_along_axis(self.judged, cell, 2)[..., 0] * (place - cell[..., 0])
        return (whole + part) / np.where(self.n_genes > 0, self.n_genes, np.nan)


def score_tissue(residuals: Residuals, group: np.ndarray, n_groups: int) -> TissueScores:
    """Score the samples of a tissue for every calibration.

    Parameters
    ----------
    residuals
        Of the tissue.
    group
        Of each sample, 0 to `n_groups` - 1, shape ``(n_samples,)``.
    n_groups
        Groups of donors, of all tissues.
    """
    values = residuals.values
    n_samples, n_genes = values.shape
    squares = np.stack([_squares(values[group == number]) for number in range(n_groups)])
    squares = np.concatenate([squares.sum(0) - squares, squares.sum(0, keepdims=True)])
    sizes = n_samples - np.append(np.bincount(group, minlength=n_groups), 0)
    varying = squares[-1] > 0
    priors = [
        VariancePrior.of(of_all[varying] / max(size, 1), size)
        for of_all, size in zip(squares, sizes, strict=True)
    ]
    sd = np.full((n_groups + 1, n_genes), np.nan, np.float32)
    counts = np.zeros((n_groups + 1, len(TERTILES), N_CELLS))
    judged = np.zeros((n_samples, len(TERTILES), N_CELLS), np.uint16)
    unit = np.zeros((n_samples, len(TERTILES)))
    for start in range(0, n_genes, BLOCK_GENES):
        genes = start + np.flatnonzero(varying[start : start + BLOCK_GENES])
        block = np.square(values[:, genes], dtype=np.float64)
        tertile = residuals.tertile[genes]
        for number, (prior, size) in enumerate(zip(priors, sizes, strict=True)):
            variance = prior.moderated(squares[number, genes], size)
            sd[number, genes] = np.sqrt(variance)
            inside, outside = group != number, group == number
            calibrating = block[inside]
            calibrating /= prior.moderated(squares[number, genes] - calibrating, size - 1)
            counts[number] += _counted(_cells(calibrating, tertile), 1)[0]
            if not outside.any():
                continue
            rows = len(TERTILES) * N_CELLS * np.arange(outside.sum())[:, None]
            cells = _cells(block[outside] / variance, tertile) + rows
            judged[outside] += _counted(cells, len(rows)).astype(np.uint16)
            scored = np.broadcast_to(sd[number, genes], (outside.sum(), len(genes)))
            if residuals.own_sd is not None:
                scored = scored * residuals.own_sd[np.ix_(outside, genes)]
            for place in range(len(TERTILES)):
                unit[outside, place] += scored[:, tertile == place].sum(1, dtype=np.float64)
    cumulated = np.insert(counts.cumsum(2), 0, 0, axis=2)
    return TissueScores(
        tissue=residuals.tissue,
        rows=residuals.rows,
        sd=sd,
        cumulated=cumulated / np.maximum(cumulated[..., -1:], 1),
        sizes=sizes,
        group=group,
        judged=judged,
        unit=unit / np.maximum(judged[:1].sum(2, dtype=np.int64), 1),
    )


def _squares(values: np.ndarray) -> np.ndarray:
    """Sum of squares of each gene, float64."""
    return np.einsum("ng,ng->g", values, values, dtype=np.float64)


def _cells(squared_scores: np.ndarray, tertile: np.ndarray) -> np.ndarray:
    """Place of each score among the cells of all tertiles; its square is overwritten."""
    score = np.sqrt(squared_scores, out=squared_scores)
    share = np.divide(score, score + 1, out=score)
    share *= N_CELLS
    cells = share.astype(np.int64)
    np.minimum(cells, N_CELLS - 1, out=cells)
    cells += N_CELLS * tertile
    return cells


def _counted(cells: np.ndarray, n_rows: int) -> np.ndarray:
    """Count the scores of each cell, ``(n_rows, 3, N_CELLS)``."""
    shape = n_rows, len(TERTILES), N_CELLS
    return np.bincount(cells.ravel(), minlength=np.prod(shape)).reshape(shape)


def interval_quantiles(
    scores: Sequence[TissueScores], levels: Sequence[float], common_donors: float
) -> np.ndarray:
    """Score that intervals reach to, for every tissue, calibration, tertile and level.

    A tissue's distribution of scores is mixed with the mean of all tissues', which counts as
    `common_donors` samples. One further sample, the one that is predicted, may score anything:
    with n samples in all, a share of level (n + 1) / n must be held.

    Returns
    -------
    np.ndarray
        Shape ``(n_tissues, n_groups + 1, 3, n_levels)``, in units of s_tg; NaN for a tertile
        without a gene in any tissue.
    """
    cumulated = np.stack([tissue.cumulated for tissue in scores])
    known = cumulated[..., -1:] > 0
    with np.errstate(invalid="ignore"):
        common = cumulated.sum(0) / known.sum(0)
    sizes = known * np.stack([tissue.sizes for tissue in scores])[..., None, None]
    total = sizes + common_donors
    mixed = (sizes * cumulated + common_donors * common) / total
    wanted = np.asarray(levels) * (total + 1) / total
    found = np.empty(wanted.shape)
    for place in np.ndindex(mixed.shape[:-1]):
        found[place] = np.interp(wanted[place], mixed[place], EDGES)
    found[np.isnan(mixed[..., -1])] = np.nan
    return found / np.maximum(1 - found, 1 / N_CELLS)
