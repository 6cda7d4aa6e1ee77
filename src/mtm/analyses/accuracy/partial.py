"""What a model predicts beyond covariates: partial rho, and rho within a class of death.

Rho as it is stands in ``accuracy/summary.tsv``.

Sex, age, manner of death, ischemic time, RNA quality and center move blood and tissue together,
so a model may be accurate without knowing anything individual (methods 6.3). Two answers:

Partial rho. Within a target tissue and fold, prediction and observation are both regressed, by
ordinary least squares and gene by gene, on the covariates of the held-out donors and of their
source samples; the residuals are correlated, and the folds averaged as every per-fold rho is (by
Fisher z, with weights n - k - 3 where k columns were taken out). A prediction that is a linear
function of the covariates has partial rho 0, whatever its coefficients.

Two ways that spare degrees of freedom are wrong. One regression for all folds of a tissue leaves
in the prediction how its own coefficients differ from the other folds', and these are low where
the held-out donors are high: a covariates-only model then comes out far below 0, as with pooled
folds (methods 6.1; -0.25 on real data of 59 genes). With the covariates-only model's prediction as
the one control, its errors of estimation stay: a model that knows covariates alone, but their
effects better, comes out far above 0 (simulated with 100 donors, 8 covariates and the true
effects: 0.27). What the exact way costs is donors: a fold counts where n - k is at least
`MIN_LEFT` (and `AccuracySettings.min_donors_per_fold`), and a tissue without such a fold has no
partial rho. Only linear effects are removed, and none of the target sample's own.

Rho within a class of death. The per-fold rho of donors who died on a ventilator (Hardy class 0)
alone, and of the others (1 to 4) alone.

Intervals resample donors within fold, the same draws for all tissues. Null intervals are of donors
permuted within fold: their variance is known without drawing any, and the degrees of freedom that
covariates take are left out of it (methods 6.16). Both are wider where folds learn from each other
(methods 6.18).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.resampled import resampled_blocks, sampled_genes
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, InputError
from mtm.models.covariate_design import CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import BLOCK_GENES, Tissue, Values, of_each, tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.models.base import COVARIATES
from mtm.statistics.coupled_folds import coupling
from mtm.statistics.joint_null import PairProducts, null_interval, wider
from mtm.statistics.kernels import (
    RunningMean,
    mean_over_folds,
    standardise,
    summed,
    weighted_correlations,
)
from mtm.statistics.over_tissues import averaged, over_tissues
from mtm.statistics.testing import t_interval, t_interval_of_mean, within_correlations
from mtm.vocabulary import MEAN_OF_TISSUES, Scale

log = logging.getLogger(__name__)

VENTILATOR = 0
# Donors of a fold less covariates taken out. Simulated with 71 donors in five folds, intervals of
# 95% miss the truth in 6.8% of runs where 8 are left and in 9.5% where 5 are.
MIN_LEFT = 8
# What is left of a column by covariates that explain all of it, as a share of its norm.
EXPLAINED_TOLERANCE = 1e-6
# P below which a tissue counts as above 0.
LEVEL = 0.05
ROW = ["model", "scale", "adjustment"]


@dataclass(frozen=True)
class _View:
    """Some held-out samples of a tissue, and the covariates to take out of them.

    `rows` are the samples, sorted by fold, of the folds with enough of them; the lists have one
    entry a fold: its number, its slice of `rows`, an orthonormal basis of its centred covariates
    ``(n_fold_rows, rank)``, and the bootstrap weights of its donors.
    """

    adjustment: str
    rows: np.ndarray
    folds: list[int]
    parts: list[slice]
    bases: list[torch.Tensor]
    weights: list[torch.Tensor]

    @property
    def n_covariates(self) -> float:
        """Columns taken out of a fold, on average."""
        return float(np.mean([basis.shape[1] for basis in self.bases])) if self.bases else np.nan

    @property
    def n_fitted(self) -> int:
        """Numbers fitted to each gene: in every fold a mean and a coefficient a column."""
        return sum(1 + basis.shape[1] for basis in self.bases)

    @property
    def fold_weights(self) -> list[float]:
        """Weight of each fold's Fisher z: its degrees of freedom less 2."""
        return [float(len(basis) - basis.shape[1] - 3) for basis in self.bases]


def partial_accuracy(
    held_out: HeldOut,
    cohort: Cohort,
    source: str,
    model: str,
    settings: AccuracySettings,
    learned: bool = True,
    covariates: Sequence[str] = COVARIATES,
    device: str = "auto",
    block_genes: int = BLOCK_GENES,
) -> pd.DataFrame:
    """Average gene-wise rho given covariates, and within classes of death.

    Parameters
    ----------
    held_out, cohort, source, model
        Predictions, the whole cohort, its source tissue (for covariates), and a name.
    covariates
        Columns of ``cohort.donors`` or ``cohort.samples`` (then of the source sample), used as
        far as the cohort has them.
    settings, learned, device, block_genes
        As in `mtm.analyses.accuracy.score.score_predictions`.

    Returns
    -------
    pd.DataFrame
        ``model``, ``scale``, ``adjustment`` ("covariates" and, where donors have a ``hardy``
        class, "ventilator", "other_deaths"), ``tissue``, ``n_samples`` (in the folds
        that count), ``n_covariates`` (independent columns taken out of a fold, on average),
        ``n_genes`` (with a correlation), ``mean_rho``, the fields of
        `mtm.statistics.testing.t_interval`, ``null_low`` and ``null_high``; empty where no fold
        has enough donors. Tissue "(mean of tissues)" is their mean; there, ``n_tissues`` counts
        those with a value and ``n_above_zero`` those with a mean above 0 and P below `LEVEL`.

    Raises
    ------
    InputError, CannotDo
        A donor has no sample of `source`; none of `covariates` varies between donors.
    """
    _demand_covariates(cohort, source, covariates)
    torch_device = torch.device(choose_device(device))
    weights = fold_weights([held_out], settings)
    sample = sampled_genes(len(held_out.gene_ids), settings.bootstrap_genes, settings.seed)

    def of_tissue(tissue: Tissue) -> tuple[str, dict[tuple, _Measured]]:
        design = _design(cohort, tissue.rows, source, covariates)
        views = _views(cohort, tissue.rows, design, weights, settings, torch_device)
        log.info("%s: %.1f covariates taken out", tissue.name, views[0].n_covariates)
        measured = {}
        for scale in held_out.scales:
            sums = {view.adjustment: _Sums(tissue, view, settings.bootstraps, learned)
                    for view in views}  # fmt: skip
            _add_genes(tissue, scale, sums.values(), sample, block_genes)
            for adjustment, of_view in sums.items():
                measured[model, scale, adjustment] = of_view.measured()
        return tissue.name, measured

    of_tissues = of_each(of_tissue, tissues(held_out, device=str(torch_device)))
    return _with_means(dict(of_tissues))


def _demand_covariates(cohort: Cohort, source: str, covariates: Sequence[str]) -> None:
    """Raise unless a covariate of the cohort varies; log what it lacks else."""
    source_rows = np.flatnonzero(cohort.tissue == cohort.tissue_index(source))
    if not len(CovariateDesign.fit(covariate_table(cohort, source_rows, covariates))):
        raise CannotDo(
            "accuracy beyond covariates",
            "no covariate varies between donors",
            f"give donors or samples one or more of {', '.join(covariates)}",
        )
    if "hardy" not in cohort.donors:
        log.info("donors have no Hardy class: no rho within classes of death")


def _design(
    cohort: Cohort, rows: pd.DataFrame, source: str, covariates: Sequence[str]
) -> np.ndarray:
    """Covariates of donors and source samples, standardised, ``(n_rows, n_columns)``."""
    donor = cohort.donors.index.get_indexer(rows["donor"])
    source_rows = cohort.row_of()[donor, cohort.tissue_index(source)]
    if (source_rows < 0).any():
        name = rows["donor"].iloc[int(np.argmax(source_rows < 0))]
        raise InputError(
            f"predictions of donor {name}", f"no sample of {source}", "a source sample"
        )
    table = covariate_table(cohort, source_rows, covariates)
    return CovariateDesign.fit(table).transform(table)


def _views(
    cohort: Cohort,
    rows: pd.DataFrame,
    design: np.ndarray,
    weights: Mapping[int, pd.DataFrame],
    settings: AccuracySettings,
    device: torch.device,
) -> list[_View]:
    """All samples given covariates, and those of each class of death as they are."""
    chosen = {"covariates": (np.ones(len(rows), bool), design)}
    if "hardy" in cohort.donors:
        nothing = design[:, :0]
        hardy = pd.to_numeric(cohort.donors["hardy"]).reindex(rows["donor"]).to_numpy(float)
        chosen["ventilator"] = (hardy == VENTILATOR, nothing)
        chosen["other_deaths"] = (hardy > VENTILATOR, nothing)
    views = []
    for adjustment, (members, columns) in chosen.items():
        view = _View(adjustment, np.empty(0, np.int64), [], [], [], [])
        for fold in np.unique(rows["fold"]):
            index = np.flatnonzero(members & (rows["fold"] == fold).to_numpy())
            basis = _basis(columns[index])
            least = settings.min_donors_per_fold
            if len(index) - basis.shape[1] < (max(least, MIN_LEFT) if columns.size else least):
                continue
            drawn = weights[int(fold)][rows["donor"].iloc[index]].to_numpy()
            start = len(view.rows)
            view = replace(view, rows=np.concatenate([view.rows, index]))
            view.folds.append(int(fold))
            view.parts.append(slice(start, len(view.rows)))
            view.bases.append(torch.from_numpy(basis).to(device))
            view.weights.append(torch.from_numpy(drawn).to(device))
        views.append(view)
    return views


def _basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the centred columns, ``(n_rows, rank)``."""
    if not columns.size:
        return np.empty((len(columns), 0))
    left, singular, _ = np.linalg.svd(columns - columns.mean(0), full_matrices=False)
    return left[:, singular > EXPLAINED_TOLERANCE * np.sqrt(len(columns))]


def _standardised(
    values: torch.Tensor, view: _View
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Take covariates out of ``(n_rows, n_genes)`` and standardise, fold by fold.

    Yields
    ------
    torch.Tensor
        As of `mtm.statistics.kernels.standardise`; 0 where values are constant or nothing
        but covariates.
    torch.Tensor
        Whether they are, shape ``(n_genes,)``.
    """
    for part, basis in zip(view.parts, view.bases, strict=True):
        unit, fixed = standardise(values[part], 0)
        if basis.shape[1]:
            # What covariates nearly explain is a small difference, which float32 does not hold.
            exact = unit.double()
            residual = torch.addmm(exact, basis, basis.T @ exact, alpha=-1)
            left = summed(residual * residual, 0).sqrt_()
            fixed = fixed | (left <= EXPLAINED_TOLERANCE)
            unit = residual.mul_(left.masked_fill_(fixed, torch.inf).reciprocal_()).float()
        yield unit, fixed


@dataclass(frozen=True)
class _Measured:
    """One view of a tissue: fields of its row, mean in each bootstrap sample, pairs of donors.

    `sizes` are the samples, and the numbers fitted to them.
    """

    fields: dict[str, float]
    resampled: np.ndarray
    sizes: tuple[int, int]
    pairs: dict[int, PairProducts]

    @property
    def donors(self) -> set[tuple[int, str]]:
        """Who is in it, each with the fold."""
        return {(fold, donor) for fold, pairs in self.pairs.items() for donor in pairs.donors}


class _Sums:
    """Mean rho of a view over blocks of genes, and the products of every two donors."""

    def __init__(self, tissue: Tissue, view: _View, n_bootstraps: int, learned: bool):
        sizes = [part.stop - part.start for part in view.parts]
        self._ratio = coupling(sizes, view.fold_weights, tissue.n_samples) if learned else 1.0
        self._view, self._donors = view, tissue.rows["donor"].to_numpy()[view.rows]
        self._mean = RunningMean((), tissue.device)
        self._resampled = RunningMean((n_bootstraps,), tissue.device)
        self._products: dict[int, torch.Tensor] = {}

    @property
    def has_folds(self) -> bool:
        """Whether any fold has enough donors."""
        return bool(self._view.parts)

    def add(self, values: Values) -> None:
        """Add genes to the mean."""
        view = self._view
        predicted = _standardised(values.predicted_z[view.rows], view)
        observed = _standardised(values.observed_z[view.rows], view)
        units = [(p, o, fixed) for (p, _), (o, fixed) in zip(predicted, observed, strict=True)]
        rho = torch.stack(
            [summed(p * o, 0).masked_fill(fixed, torch.nan) for p, o, fixed in units]
        )
        self._mean.add(mean_over_folds(rho[:, None], view.fold_weights)[0], 0)
        weights = torch.tensor(view.fold_weights).to(rho)
        total = (weights[:, None] * ~rho.isnan()).sum(0)
        for index, (p, o, _) in enumerate(units):
            # Slopes of Fisher's z on rho, and of the mean rho on the mean z, by chance alone.
            share = weights[index] * (1 + 1 / (weights[index] + 1)) / (1 + total)
            products = (p * share.float()) @ o.T
            self._products[index] = self._products.get(index, 0) + products.double()

    def resample(self, values: Values, block_genes: int) -> None:
        """Add sampled genes to the mean in each bootstrap sample."""
        view = self._view
        predicted, observed = (
            [unit for unit, _ in _standardised(side[view.rows], view)]
            for side in (values.predicted_z, values.observed_z)
        )
        n_genes, device = values.predicted_z.shape[1], values.predicted_z.device
        for genes in resampled_blocks(n_genes, device, block_genes):
            of_folds = [
                weighted_correlations(p[:, genes], o[:, genes], weights)
                for p, o, weights in zip(predicted, observed, view.weights, strict=True)
            ]
            self._resampled.add(mean_over_folds(of_folds, view.fold_weights), 1)

    def measured(self) -> _Measured:
        """Put the mean beside its interval and its null."""
        view, n_genes = self._view, int(self._mean.count)
        mean_rho, resampled = float(self._mean.mean()), wider(self._resampled.mean(), self._ratio)
        pairs = {
            view.folds[index]: PairProducts(
                self._donors[view.parts[index]],
                self._ratio * products.cpu().numpy() / max(n_genes, 1),
                view.bases[index].cpu().numpy(),
            )
            for index, products in self._products.items()
        }
        fields = {
            "n_samples": len(view.rows),
            "n_covariates": view.n_covariates,
            "n_genes": n_genes,
            "mean_rho": mean_rho,
        }
        sizes = len(view.rows), view.n_fitted
        fields |= t_interval(mean_rho, resampled, *sizes) | null_interval([pairs])
        return _Measured(within_correlations(fields), resampled, sizes, pairs)


def _add_genes(
    tissue: Tissue, scale: Scale, sums: Iterable[_Sums], sample: np.ndarray, block_genes: int
) -> None:
    """Add all genes of a tissue to what is summed, and those of `sample` to what is resampled."""
    present = [of_view for of_view in sums if of_view.has_folds]
    for start in range(0, tissue.n_genes, block_genes):
        values = tissue.values(scale, slice(start, start + block_genes))
        for of_view in present:
            of_view.add(values)
    for start in range(0, len(sample), block_genes):
        values = tissue.values(scale, sample[start : start + block_genes])
        for of_view in present:
            of_view.resample(values, block_genes)


def _with_means(measured: Mapping[str, Mapping[tuple, _Measured]]) -> pd.DataFrame:
    """Make rows of what was measured by tissue and `ROW`, and of the mean over tissues."""
    rows = [
        dict(zip(ROW, key, strict=True)) | {"tissue": tissue} | of_view.fields
        for tissue, of_views in measured.items()
        for key, of_view in of_views.items()
    ]

    def mean_of_tissues(key: tuple, part: pd.DataFrame) -> dict[str, float]:
        columns = ["n_covariates", "mean_rho"]
        mean = averaged(part, columns, counts=["n_genes"], totals=["n_samples"])
        of_tissues = [of_views[key] for of_views in measured.values()]
        draws, sizes = zip(*((one.resampled, one.sizes) for one in of_tissues), strict=True)
        donors = set().union(*(one.donors for one in of_tissues))
        n_fitted = len({fold for fold, _ in donors}) * (1 + np.nan_to_num(mean["n_covariates"]))
        mean |= t_interval_of_mean(mean["mean_rho"], draws, sizes, len(donors) - n_fitted)
        mean |= null_interval([one.pairs for one in of_tissues])
        above = int(((part["mean_rho"] > 0) & (part["p"] < LEVEL)).sum())
        counts = {"n_tissues": int(part["mean_rho"].notna().sum()), "n_above_zero": above}
        return within_correlations(mean) | counts

    joined = over_tissues(pd.DataFrame(rows), ROW, MEAN_OF_TISSUES, mean_of_tissues)
    return joined.astype({"n_tissues": "Int64", "n_above_zero": "Int64"})
