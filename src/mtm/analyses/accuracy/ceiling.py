"""How well any model could predict a tissue: an estimate of its ceiling, and a floor below it.

A sample holds what its donor explains and noise of its own, and a prediction from the donor can
reach the first alone. Two tissues of one organ are nearly two samples of it (methods 6.15).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import fisher_z
from mtm.statistics.deconvolution import mixing_weights
from mtm.statistics.group_jackknife import donor_groups, jackknife_interval, jackknife_variance
from mtm.statistics.kernels import standardise, weighted_correlations
from mtm.vocabulary import CEILING, FLOOR, HEADLINE, MEAN_OF_TISSUES

GROUPS = 20
MIN_DONORS = 20
ORGAN_SEPARATOR = " - "
# Correlations of one gene between two samples of a donor; less than 0 makes no sense.
POSSIBLE_R = np.linspace(0, 0.98, 50)
# Cultured cells share a name before the separator, and no organ.
NO_ORGANS = ("Cells",)
ASSUMPTIONS = {
    CEILING: "the sister tissue shares all that the donor explains and none of the noise, and "
    "has as much of either",
    FLOOR: "none: the mean z-score of the donor's other tissues, as a prediction, reaches it",
}


@dataclass(frozen=True)
class Correlations:
    """Correlations of genes over donors: of all, and without each group of donors.

    Parameters
    ----------
    rho
        Shape ``(n_genes,)``; NaN where a gene is constant on a side, or but for one donor.
    left_out
        Shape ``(n_groups, n_genes)``.
    sizes
        Donors of each group.
    """

    rho: np.ndarray
    left_out: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, groups: np.ndarray, n_groups: int) -> "Correlations":
        """Correlate every gene of two arrays ``(n_donors, n_genes)``, lined up by donor."""
        of_a, of_b = (torch.from_numpy(side.astype(np.float64)) for side in (a, b))
        unit_a, unit_b = (standardise(side, 0)[0] for side in (of_a, of_b))
        member = torch.from_numpy(groups == np.arange(n_groups)[:, None])
        kept = torch.cat([torch.ones_like(member[:1]), ~member]).double()
        rho = weighted_correlations(unit_a, unit_b, kept).numpy()
        # A constant first side has rho 0 there; here neither side tells anything then.
        rho[:, ~np.isfinite(rho).all(0) | (rho == 0).any(0)] = np.nan
        return cls(rho[0], rho[1:], member.sum(1).numpy())


def ceiling_of(found: Correlations) -> tuple[float, np.ndarray]:
    """Estimate the mean over genes of the reachable rho from correlations with a sister tissue.

    A gene that correlates r between two samples of equal quality is reached by what they share
    with sqrt(r). How true r are distributed over genes follows from estimated ones and their
    noise on Fisher's scale, which the jackknife measures; what the noise of all genes has in
    common moves them together and does not spread them.

    Returns
    -------
    float, np.ndarray
        Of all donors, and without each group.
    """
    known = np.isfinite(found.rho)
    z, left_out = fisher_z(found.rho[known]), fisher_z(found.left_out[:, known])
    noise = jackknife_variance(z, left_out, found.sizes).mean()
    common = jackknife_variance(z.mean(), left_out.mean(1), found.sizes)
    variance = max(noise - common, noise / 100)
    grown = variance * found.sizes.sum() / (found.sizes.sum() - found.sizes)
    return _mean_root(z, variance), np.array(list(map(_mean_root, left_out, grown)))


def _mean_root(z: np.ndarray, variance: float) -> float:
    """Mean over genes of the root of true correlations, from their noisy Fisher z."""
    weights = mixing_weights(z, np.sqrt(variance), np.arctanh(POSSIBLE_R))
    return float(weights @ np.sqrt(POSSIBLE_R))


def floor_of(found: Correlations) -> tuple[float, np.ndarray]:
    """Mean over genes of the correlations, of all donors and without each group."""
    known = np.isfinite(found.rho)
    return float(found.rho[known].mean()), found.left_out[:, known].mean(1)


def estimate_ceilings(
    cohort: Cohort, source: str, scaling: Scaling = Scaling(), seed: int = 0
) -> pd.DataFrame:
    """Estimate what any model could reach in every tissue (methods 6.15).

    Parameters
    ----------
    cohort
        All donors: no model is involved.
    source
        Tissue that is predicted from; it has no row.
    scaling
        How z-scores are made.
    seed
        Of the groups of donors.

    Returns
    -------
    pd.DataFrame
        One row (``tissue``, ``kind``), as docs/contracts.md has it; the mean of the tissues that
        have a kind stands in the row of `MEAN_OF_TISSUES`.
    """
    groups = donor_groups(len(cohort.donors), min(GROUPS, len(cohort.donors)), seed)
    all_sizes = np.bincount(groups)
    rows, estimates = [], {}
    for tissue, kind, sister, found in _found(cohort, source, scaling, groups):
        of = {CEILING: ceiling_of, FLOOR: floor_of}[kind]
        estimate, left_out = of(found)
        estimates.setdefault(kind, []).append((estimate, left_out))
        rows.append(
            {"tissue": tissue, "kind": kind, "sister": sister}
            | _limits(estimate, left_out, found.sizes)
            | {"n_donors": found.sizes.sum(), "n_genes": np.isfinite(found.rho).sum()}
        )
    for kind, of_tissues in estimates.items():
        mean = np.mean([estimate for estimate, _ in of_tissues])
        left_out = np.mean([values for _, values in of_tissues], axis=0)
        rows.append(
            {"tissue": MEAN_OF_TISSUES, "kind": kind, "sister": ""}
            | _limits(mean, left_out, all_sizes)
            | {"n_donors": len(groups), "n_tissues": len(of_tissues)}
        )
    named = ["tissue", "kind", "sister", "rho", "ci_low", "ci_high", "n_donors"]
    table = pd.DataFrame(rows, columns=[*named, "n_genes", "n_tissues"])
    counts = dict.fromkeys(("n_genes", "n_tissues"), "Int64")
    return table.astype(counts).assign(assumption=table["kind"].map(ASSUMPTIONS))


def _limits(estimate: float, left_out: np.ndarray, sizes: np.ndarray) -> dict[str, float]:
    """Estimate and interval, within what a correlation can be."""
    low, high = np.clip(jackknife_interval(estimate, left_out, sizes), -1, 1).tolist()
    return {"rho": float(estimate), "ci_low": low, "ci_high": high}


def _found(
    cohort: Cohort, source: str, scaling: Scaling, groups: np.ndarray
) -> Iterator[tuple[str, str, str, Correlations]]:
    """Yield tissue, kind, sister tissue and correlations of all that can be had."""
    scaler = cohort.scaler(HEADLINE.scale, scaling)
    row_of = cohort.row_of()

    def expr_z(tissue: int, donors: np.ndarray) -> np.ndarray:
        rows = row_of[donors, tissue]
        return scaler.transform(cohort.expr_tpm[rows], cohort.tissue[rows])

    having = [np.flatnonzero(row_of[:, tissue] >= 0) for tissue in range(len(cohort.tissues))]
    total = np.zeros((len(cohort.donors), cohort.n_genes), np.float32)
    for tissue, donors in enumerate(having):
        total[donors] += expr_z(tissue, donors)
    others = (row_of >= 0).sum(1) - 1
    sisters = _sisters(cohort, row_of)
    n_groups = groups.max() + 1
    for tissue, name in enumerate(cohort.tissues):
        if name == source:
            continue
        if tissue in sisters:
            sister = sisters[tissue]
            both = np.intersect1d(having[tissue], having[sister])
            sides = (expr_z(part, both) for part in (tissue, sister))
            found = Correlations.of(*sides, groups[both], n_groups)
            yield name, CEILING, cohort.tissues[sister], found
        several = having[tissue][others[having[tissue]] > 0]
        if len(several) >= MIN_DONORS:
            mine = expr_z(tissue, several)
            rest = (total[several] - mine) / others[several, None]
            yield name, FLOOR, "", Correlations.of(mine, rest, groups[several], n_groups)


def _sisters(cohort: Cohort, row_of: np.ndarray) -> dict[int, int]:
    """Of each tissue that of the same organ whose mean expression is most like its own."""
    organs = [name.split(ORGAN_SEPARATOR)[0] for name in cohort.tissues]
    candidates = {
        tissue: [
            other
            for other, organ in enumerate(organs)
            if other != tissue
            and organ == organs[tissue]
            and organ not in NO_ORGANS
            and (row_of[:, [tissue, other]] >= 0).all(1).sum() >= MIN_DONORS
        ]
        for tissue in range(len(organs))
    }
    needed = {tissue for tissue, others in candidates.items() if others}
    means = {
        tissue: log2_tpm(
            cohort.expr_tpm[row_of[row_of[:, tissue] >= 0, tissue]], cohort.measure
        ).mean(0)
        for tissue in needed
    }

    def likeness(tissue: int, other: int) -> float:
        return np.corrcoef(means[tissue], means[other])[0, 1]

    return {
        tissue: max(candidates[tissue], key=lambda other: likeness(tissue, other))
        for tissue in sorted(needed)
    }
