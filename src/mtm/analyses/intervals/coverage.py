"""Whether intervals hold the share of observations that they should, and how wide they are.

The donors of a fold are judged by the calibration on all other folds' donors. Models of those
folds have seen the judged donors, which moves residuals that are pooled over all genes too little
to matter (methods 6.11). Intervals of coverage leave donors out in twenty groups; the calibration
is taken as it is. What knowing a donor's sources buys is the width beside that of intervals around
the tissue's mean, calibrated in the same way on the same donors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.intervals.calibration import TissueScores, interval_quantiles
from mtm.settings.intervals import IntervalSettings
from mtm.statistics.group_jackknife import donor_groups, jackknife_interval
from mtm.statistics.over_tissues import known_mean
from mtm.vocabulary import MEAN_OF_TISSUES, TERTILES

# Groups of donors left out for intervals.
N_GROUPS = 20
# Coverage of a tissue may be so far from its level.
MARGIN = 0.04
# From how many tissues a prediction is made; each group ends where the next begins.
SOURCE_GROUPS = {1: "1", 2: "2-4", 5: "5-9", 10: "10 and more"}
# A tissue with fewer samples of a group of sources is left out of the group's row.
MIN_SAMPLES = 5
# What a row is of, beside single tissues.
ALL, EXPRESSION, SOURCES = "all", "expression", "sources"


@dataclass(frozen=True)
class Judged:
    """Held-out samples of one tissue on one level.

    Parameters
    ----------
    tissue
        Its name.
    donor_group, n_sources
        Of each sample: group that is left out with it, and sources; shape ``(n_samples,)``.
    covered, width, reference_width
        Of each sample, means over the genes of each tertile, ``(n_samples, 3)``.
    n_genes
        Genes of each tertile, ``(3,)``.
    """

    tissue: str
    donor_group: np.ndarray
    n_sources: np.ndarray
    covered: np.ndarray
    width: np.ndarray
    reference_width: np.ndarray
    n_genes: np.ndarray

    def of(self, samples: np.ndarray, genes: np.ndarray) -> "Judged":
        """Keep some samples, and some tertiles, given as weights of genes ``(3,)``."""
        weights = genes * self.n_genes
        share = weights / max(weights.sum(), 1)
        means = (
            (np.nan_to_num(values[samples]) @ share)[:, None]
            for values in (self.covered, self.width, self.reference_width)
        )
        kept = (self.donor_group[samples], self.n_sources[samples])
        return Judged(self.tissue, *kept, *means, np.array([weights.sum()]))


def coverage_table(
    model: str,
    scores: Sequence[TissueScores],
    reference: Sequence[TissueScores],
    settings: IntervalSettings,
) -> pd.DataFrame:
    """Judge intervals of every level, by tissue, expression and number of sources.

    Parameters
    ----------
    model
        Its name, for the table.
    scores, reference
        Of every tissue: of the model, and of the tissue's mean as prediction.
    settings
        Levels, and how tissues share quantiles.

    Returns
    -------
    pd.DataFrame
        Columns of ``intervals/coverage.tsv`` (docs/contracts.md).
    """
    donors = sorted({donor for tissue in scores for donor in tissue.rows["donor"]})
    left_out = pd.Series(donor_groups(len(donors), N_GROUPS, seed=0), donors)
    quantiles = interval_quantiles(scores, settings.levels, settings.common_donors)
    of_reference = interval_quantiles(reference, settings.levels, settings.common_donors)
    rows = []
    for index, level in enumerate(settings.levels):
        judged = [
            Judged(
                tissue.tissue,
                left_out[tissue.rows["donor"]].to_numpy(),
                tissue.rows["n_sources"].to_numpy(),
                tissue.covered(q[..., index]),
                2 * q[tissue.group, :, index] * tissue.unit,
                2 * q_mean[mean.group, :, index] * mean.unit,
                tissue.n_genes,
            )
            for tissue, mean, q, q_mean in zip(
                scores, reference, quantiles, of_reference, strict=True
            )
        ]
        rows += [{"model": model, "level": level} | row for row in _rows(judged, level)]
    table = pd.DataFrame(rows)
    return table.astype({"n_tissues": "Int64", "n_within": "Int64"})


def _rows(judged: Sequence[Judged], level: float) -> Iterator[Mapping[str, object]]:
    """Yield the rows of one level: every tissue, then means over tissues."""
    everyone = np.ones(len(TERTILES))
    whole = [one.of(np.ones(len(one.covered), bool), everyone) for one in judged]
    for one in whole:
        yield {"tissue": one.tissue, "by": ALL, "group": ALL} | _mean([one])
    yield _over_tissues(whole, level, ALL, ALL)
    for place, name in enumerate(TERTILES):
        genes = everyone * (np.arange(len(TERTILES)) == place)
        part = [one.of(np.ones(len(one.covered), bool), genes) for one in judged]
        if part := [one for one in part if one.n_genes[0]]:
            yield _over_tissues(part, level, EXPRESSION, name)
    starts = np.array(list(SOURCE_GROUPS))
    group_of = [np.searchsorted(starts, one.n_sources, side="right") - 1 for one in judged]
    present = np.unique(np.concatenate(group_of))
    for place in present if len(present) > 1 else ():
        members = [of == place for of in group_of]
        part = [
            one.of(mine, everyone)
            for one, mine in zip(judged, members, strict=True)
            if mine.sum() >= MIN_SAMPLES
        ]
        if part:
            yield _over_tissues(part, level, SOURCES, SOURCE_GROUPS[int(starts[place])])


def _over_tissues(
    part: Sequence[Judged], level: float, by: str, group: str
) -> Mapping[str, object]:
    """Mean over tissues, and how many of them are near the level."""
    own = np.array([one.covered.mean() for one in part])
    near = int((np.abs(own - level) <= MARGIN).sum())
    row = {"tissue": MEAN_OF_TISSUES, "by": by, "group": group}
    return row | _mean(part) | {"n_tissues": len(part), "n_within": near}


def _mean(part: Sequence[Judged]) -> dict[str, float]:
    """Mean over tissues of the mean over samples, with the interval of coverage."""
    sums = np.stack([np.bincount(one.donor_group, one.covered[:, 0], N_GROUPS) for one in part])
    counts = np.stack([np.bincount(one.donor_group, minlength=N_GROUPS) for one in part])
    coverage = float((sums.sum(1) / counts.sum(1)).mean())
    rest = counts.sum(1, keepdims=True) - counts
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (sums.sum(1, keepdims=True) - sums) / rest
    left_out = known_mean(without)
    sizes = counts.sum(0) * np.isfinite(left_out)
    low, high = np.nan, np.nan
    if (sizes > 0).sum() > 1:
        low, high = jackknife_interval(coverage, left_out, sizes)
    width = float(np.mean([one.width.mean() for one in part]))
    reference = float(np.mean([one.reference_width.mean() for one in part]))
    return {
        "n_samples": int(counts.sum()),
        "n_genes": round(np.mean([one.n_genes[0] for one in part])),
        "coverage": coverage,
        "ci_low": low,
        "ci_high": high,
        "width": width,
        "reference_width": reference,
        "width_ratio": width / reference,
    }
