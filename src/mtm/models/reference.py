"""What samples of training donors are like, kept in a bundle: limits for new ones (methods 6.20).

Summary statistics alone: medians and limits of a few measures of a sample in each tissue, and the
genes that tell the sexes apart there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler, log2_tpm
from mtm.models.layout import Layout, summary
from mtm.models.measures import (
    LIMITS,
    MEASURES,
    SEX_CODES,
    Sexes,
    measure,
    sexes_of,
    to_badness,
    to_limits,
    to_typical,
    unit_ranks,
)
from mtm.settings.scaling import Scaling
from mtm.statistics.left_out import GroupSums
from mtm.vocabulary import Scale

PREFIX = "reference/"
FALSE_ALARMS = 0.02
FOLDS = 5
# Samples' worth of all other tissues that stand beside a tissue's own.
COMMON_SAMPLES = 300.0
# Limits of n samples lie farther from the median by this over n.
WIDENED = 5.0
FEWEST_SAMPLES = 25
# What samples of a tissue are taken to differ by at least, in units of `to_badness`; no limit is
# nearer to the median.
LEAST_SPREAD = np.array([0.1, 0.002, 0.05, 0.05, 0.2, 0.05, 0.1])


@dataclass(frozen=True)
class Reference:
    """What new samples of each tissue are held against.

    Parameters
    ----------
    false_alarms
        Share of samples like the training donors' that go beyond some limit.
    n_samples
        Training samples, ``(n_tissues,)``, int32.
    typical
        Median of each of `MEASURES`, ``(n_tissues, 5)``, float32; NaN where a tissue has fewer
        than `FEWEST_SAMPLES`.
    limits
        Each of `LIMITS`, ``(n_tissues, 7)``, float32; NaN where there is none.
    sexes
        How the sexes are told.
    """

    false_alarms: float
    n_samples: np.ndarray
    typical: np.ndarray
    limits: np.ndarray
    sexes: Sexes

    @classmethod
    def fit(cls, cohort: Cohort, scale: Scale, scaling: Scaling) -> "Reference":
        """Learn it from training donors.

        Donors are split in `FOLDS` by their order, and measured by statistics of the other
        folds' donors: what a model's own donors are measured by would flatter them.
        """
        n_tissues = len(cohort.tissues)
        fold, sex = cohort.donor % FOLDS, sexes_of(cohort.donors)[cohort.donor]
        of_folds = _OfFolds(cohort, fold, sex, scale, scaling)
        badness = np.full((cohort.n_samples, len(LIMITS)), -np.inf)
        for number in range(FOLDS):
            scaler, sexes = of_folds.without(number)
            means = unit_ranks(scaler.mean)
            for tissue in range(n_tissues):
                rows = np.flatnonzero((fold == number) & (cohort.tissue == tissue))
                if len(rows):
                    expr_tpm = cohort.expr_tpm[rows]
                    measured = measure(scaler, sexes, expr_tpm, tissue, means=means)
                    badness[rows] = to_badness(measured, sex[rows], cohort.n_genes)
        typical = np.full((n_tissues, len(MEASURES)), np.nan, np.float32)
        limits = np.full((n_tissues, len(LIMITS)), np.nan, np.float32)
        counts = np.bincount(cohort.tissue, minlength=n_tissues)
        known = np.flatnonzero(counts >= FEWEST_SAMPLES)
        if len(known):
            medians, found = limits_of(badness, cohort.tissue, known)
            typical[known] = to_typical(medians, cohort.n_genes)
            limits[known] = to_limits(found, cohort.n_genes)
        return cls(FALSE_ALARMS, counts.astype(np.int32), typical, limits, of_folds.sexes())

    @staticmethod
    def layout(shape: tuple[int, int]) -> Layout:
        """Return its arrays, of so many tissues and genes, under `PREFIX`."""
        arrays = {
            "n_samples": summary(shape[:1], "int32", 0),
            "typical": summary(
                (shape[0], len(MEASURES)), missing=True, low=-(2.0**32), high=2.0**60
            ),
            "limits": summary((shape[0], len(LIMITS)), missing=True, low=-(2.0**32), high=2.0**60),
        } | Sexes.layout(shape)
        return {f"{PREFIX}{name}": array for name, array in arrays.items()}

    @classmethod
    def of(cls, header: Mapping, arrays: Mapping[str, np.ndarray]) -> "Reference | None":
        """Take it from the header and arrays of a bundle, checked; None where it has none."""
        plain = header.get("reference")
        if plain is None:
            return None
        mine = {k.removeprefix(PREFIX): v for k, v in arrays.items() if k.startswith(PREFIX)}
        sexes = Sexes(**{item.name: mine.pop(f"sex_{item.name}") for item in fields(Sexes)})
        return cls(false_alarms=plain["false_alarms"], sexes=sexes, **mine)

    def without(self, tissues: np.ndarray) -> "Reference":
        """Return it as if some tissues, ``(n_tissues,)``, bool, had had no sample."""
        return replace(
            self,
            n_samples=np.where(tissues, 0, self.n_samples).astype(np.int32),
            typical=np.where(tissues[:, None], np.nan, self.typical).astype(np.float32),
            limits=np.where(tissues[:, None], np.nan, self.limits).astype(np.float32),
            sexes=self.sexes.without(tissues),
        )

    def header(self) -> dict:
        """Return what a bundle's header holds of it, under ``reference``."""
        return {"false_alarms": self.false_alarms}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return its arrays under the names of a bundle."""
        mine = {name: getattr(self, name) for name in ("n_samples", "typical", "limits")}
        sexes = {f"sex_{item.name}": getattr(self.sexes, item.name) for item in fields(Sexes)}
        return {f"{PREFIX}{name}": array for name, array in (mine | sexes).items()}


class _OfFolds:
    """Statistics of all folds but one, from one pass over the samples of each tissue.

    Parameters
    ----------
    fold, sex
        Of each sample, ``(n_samples,)``; a sex of `SEX_CODES`, or 0.
    """

    def __init__(
        self, cohort: Cohort, fold: np.ndarray, sex: np.ndarray, scale: Scale, scaling: Scaling
    ):
        n_tissues, n_sexes = len(cohort.tissues), 1 + max(SEX_CODES)
        of_fold, of_sex = np.divmod(np.arange(FOLDS * n_sexes), n_sexes)
        kept = [of_fold != number for number in range(FOLDS)]
        self._scaled = scale, scaling, cohort.measure
        self._mean, self._sd = np.full((2, FOLDS, n_tissues, cohort.n_genes), np.nan, np.float32)
        # By the fold left out; the last without any.
        self._sexes = [Sexes.untold(n_tissues) for _ in range(FOLDS + 1)]
        for tissue in np.unique(cohort.tissue):
            rows = np.flatnonzero(cohort.tissue == tissue)
            expr_tpm, group = cohort.expr_tpm[rows], fold[rows] * n_sexes + sex[rows]
            log2 = GroupSums.of(log2_tpm(expr_tpm, cohort.measure), group, len(of_fold))
            values = log2 if scale == "log2_z" else GroupSums.of(expr_tpm, group, len(of_fold))
            for sexes, those in zip(self._sexes, [*kept, of_fold >= 0], strict=True):
                sexes.learn(tissue, log2, [those & (of_sex == code) for code in SEX_CODES])
            for number, those in enumerate(kept):
                if values.count(those):
                    self._mean[number, tissue], variance = values.moments(those)
                    self._sd[number, tissue] = np.sqrt(variance)

    def sexes(self) -> Sexes:
        """How the donors of all folds tell the sexes."""
        return self._sexes[-1]

    def without(self, number: int) -> tuple[TissueScaler, Sexes]:
        """Z-scores by the donors of all folds but one, and how they tell the sexes."""
        moments = self._mean[number], self._sd[number]
        return TissueScaler.of_moments(*moments, *self._scaled), self._sexes[number]


def limits_of(
    badness: np.ndarray, tissue: np.ndarray, known: np.ndarray, false_alarms: float = FALSE_ALARMS
) -> tuple[np.ndarray, np.ndarray]:
    """Find the limits that a share of samples goes beyond in one measure or another.

    Measures are made alike over tissues by their median and upper spread. A tissue's own samples
    stand beside `COMMON_SAMPLES` samples' worth of all others'. Each sample has a conformal P in
    each measure; all measures have one level of P, the largest at which no more than
    `false_alarms` of the samples are beyond one of them.

    Parameters
    ----------
    badness
        Larger is worse, ``(n_samples, n_measures)``; minus infinity where nothing was measured.
    tissue
        Of each sample.
    known
        Tissues to find limits of; samples of others are passed over.
    false_alarms
        The share.

    Returns
    -------
    np.ndarray
        Medians, ``(len(known), n_measures)``; NaN for what was not measured.
    np.ndarray
        Limits, as the medians; what is larger is refused.
    """
    medians = np.full((len(known), badness.shape[1]), np.nan)
    spreads = np.ones_like(medians)
    alike = np.full_like(badness, -np.inf)
    for place, index in enumerate(known):
        rows = np.flatnonzero(tissue == index)
        for column in np.flatnonzero(np.isfinite(badness[rows]).any(0)):
            values = badness[rows, column]
            values = values[np.isfinite(values)]
            medians[place, column] = np.median(values)
            spread = np.quantile(values, 0.9) - medians[place, column]
            spreads[place, column] = max(spread, LEAST_SPREAD[column])
        alike[rows] = (badness[rows] - np.nan_to_num(medians[place])) / spreads[place]
    limits = np.full_like(medians, np.nan)
    everyone = np.isin(tissue, known)
    for place, index in enumerate(known):
        mine = (tissue == index)[everyone]
        others = COMMON_SAMPLES / max((~mine).sum(), 1)
        beyond = _common_level(alike[everyone], np.where(mine, 1.0, others), false_alarms)
        # Median and spread are estimates, and the rarer the samples the rougher.
        beyond *= 1 + WIDENED / mine.sum()
        # Sums of TPM over all genes are a million in everybody: what differs less is alike.
        beyond = np.maximum(beyond, 1.0)
        limits[place] = medians[place] + beyond * spreads[place]
    return medians, limits


def _common_level(values: np.ndarray, weights: np.ndarray, false_alarms: float) -> np.ndarray:
    """Return each measure's limit at the one level of P that refuses `false_alarms` of all."""
    p = np.empty_like(values)
    for column, of_measure in enumerate(values.T):
        order = np.argsort(of_measure, kind="stable")
        ranked, below = of_measure[order], np.append(0, np.cumsum(weights[order]))
        as_bad = below[-1] - below[np.searchsorted(ranked, of_measure, side="left")]
        p[:, column] = as_bad / below[-1]
    least = p.min(axis=1)
    by_p = np.argsort(least, kind="stable")
    # The sample to come weighs 1.
    share = np.cumsum(weights[by_p]) / (weights.sum() + 1)
    refused = int(np.searchsorted(share, false_alarms, side="right"))
    level = least[by_p[refused - 1]] if refused else 0.0
    # The mildest of those counted as refused is the limit: without it, it would be beyond.
    limits = np.where(p <= level, values, np.inf).min(axis=0)
    limits = np.where(np.isfinite(limits), limits, values.max(axis=0))
    return np.where(np.isfinite(limits), limits, np.nan)
