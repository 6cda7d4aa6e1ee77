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

from mtm.statistics.moderation import VariancePrior
from mtm.vocabulary import TERTILES

# Cells of score / (1 + score), from 0 to 1; within one, scores are taken as spread evenly.
N_CELLS = 1024
EDGES = np.linspace(0, 1, N_CELLS + 1)
# Genes scored at a time, so that what is made of them stays in a processor's cache.
SCORED_GENES = 512


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
    squares = np.stack([_squares(values[group == number]) for number in range(n_groups)])
    squares = np.concatenate([squares.sum(0) - squares, squares.sum(0, keepdims=True)])
    sizes = len(values) - np.append(np.bincount(group, minlength=n_groups), 0)
    varying = squares[-1] > 0
    # Genes without a residual are counted aside.
    kind = np.where(varying, residuals.tertile, len(TERTILES))
    priors = [
        VariancePrior.of(of_all[varying] / max(size, 1), size)
        for of_all, size in zip(squares, sizes, strict=True)
    ]
    variances = [
        prior.moderated(of_all, size)
        for prior, of_all, size in zip(priors, squares, sizes, strict=True)
    ]
    scored = np.sqrt(variances).astype(np.float32)
    cumulated = np.zeros((n_groups + 1, len(TERTILES), N_CELLS + 1))
    judged = np.zeros((len(values), len(TERTILES), N_CELLS), np.uint16)
    for number, (prior, size) in enumerate(zip(priors, sizes, strict=True)):
        total = prior.degrees * prior.variance + squares[number]
        counts = _calibrating(values[group != number], total, prior.degrees + size - 1, kind)
        cumulated[number, :, 1:] = counts.cumsum(1)
        for sample in np.flatnonzero(group == number):
            judged[sample] = _counted(np.abs(values[sample]), scored[number], kind)
    return TissueScores(
        tissue=residuals.tissue,
        rows=residuals.rows,
        sd=np.where(varying, scored, np.float32(np.nan)),
        cumulated=cumulated / np.maximum(cumulated[..., -1:], 1),
        sizes=sizes,
        group=group,
        judged=judged,
        unit=_mean_sd(scored, residuals.own_sd, group, kind),
    )


def _calibrating(
    values: np.ndarray, total: np.ndarray, degrees: float, kind: np.ndarray
) -> np.ndarray:
    """Count scores by the moderated variance of the other samples, ``(3, N_CELLS)``.

    Parameters
    ----------
    values
        Residuals, shape ``(n_samples, n_genes)``.
    total
        Of each gene, sum of squares of all samples and the prior's.
    degrees
        Degrees of freedom of the other samples and the prior.
    kind
        Tertile of each gene, and one more for what is left out.
    """
    counts = np.zeros((len(TERTILES), N_CELLS), np.int64)
    total, scale = total.astype(np.float32), np.float32(np.sqrt(degrees))
    for start in range(0, len(kind), SCORED_GENES):
        genes = slice(start, start + SCORED_GENES)
        block = values[:, genes]
        rest = total[genes] - np.square(block)
        np.sqrt(np.maximum(rest, 0, out=rest), out=rest)
        counts += _counted(np.abs(block) * scale, rest, kind[genes])
    return counts


def _mean_sd(
    sd: np.ndarray, own_sd: np.ndarray | None, group: np.ndarray, kind: np.ndarray
) -> np.ndarray:
    """Mean over each tertile's genes of the sd that samples are scored with, ``(n_samples, 3)``.

    `sd` is of every calibration, ``(n_groups + 1, n_genes)``.
    """
    member = kind[:, None] == np.arange(len(TERTILES))
    if own_sd is None:
        unit = (sd.astype(np.float64) @ member)[group]
    else:
        unit = np.empty((len(own_sd), len(TERTILES)))
        for number in np.unique(group):
            rows = group == number
            unit[rows] = own_sd[rows].astype(np.float64) @ (sd[number, :, None] * member)
    return unit / np.maximum(member.sum(0), 1)


def _squares(values: np.ndarray) -> np.ndarray:
    """Sum of squares of each gene, float64."""
    return np.einsum("ng,ng->g", values, values, dtype=np.float64)


def _counted(values: np.ndarray, sds: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Count scores, values over sds, by tertile and cell, ``(3, N_CELLS)``.

    `values`, at least 0, are overwritten.
    """
    whole = values + sds
    values *= N_CELLS
    values /= whole
    # A score beyond all bounds belongs to the last cell.
    cells = np.minimum(values, N_CELLS - 0.5, out=values).astype(np.int64)
    cells += N_CELLS * kind
    counts = np.bincount(cells.ravel(), minlength=(len(TERTILES) + 1) * N_CELLS)
    return counts.reshape(-1, N_CELLS)[: len(TERTILES)]


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
