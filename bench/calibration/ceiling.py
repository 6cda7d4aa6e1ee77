"""Intervals of the noise ceiling and of the floor below it.

Genes' shares of variance that the donor explains are drawn from a beta distribution, but for a
fourth of the genes in every second cohort, of which the donor explains nothing. Genes come in
modules whose donor effects and whose noise correlate; two sister tissues share the donor's part,
and two other tissues half of it. The ceiling's estimand is the mean over the simulated genes of
the correlation of a sample with its donor's part, which is the square root of that share; the
floor's is the mean over genes of the true correlation with the mean z-score of the other tissues.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from bench.calibration.trial import Interval

from mtm.analyses.accuracy.ceiling import estimate_ceilings
from mtm.cohort.cohort import Cohort
from mtm.vocabulary import CEILING, FLOOR, MEAN_OF_TISSUES

N_GENES = 300
MODULE = 15
WITHIN = 0.4
TISSUES = ("Heart - A", "Heart - B", "Lung", "Whole Blood")
# Donor part of a tissue, as weights of two independent ones.
WEIGHTS = np.array([[1, 0], [1, 0], [0.5, 0.75**0.5], [0.5, 0.75**0.5]])


def modules(rng: np.random.Generator, n_rows: int) -> np.ndarray:
    """Draw unit normal values ``(n_rows, N_GENES)`` that correlate within modules of genes."""
    shared = rng.standard_normal((n_rows, N_GENES // MODULE)).repeat(MODULE, axis=1)
    own = rng.standard_normal((n_rows, N_GENES))
    return WITHIN**0.5 * shared + (1 - WITHIN) ** 0.5 * own


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval]:
    """Simulate one cohort of four tissues that every donor has."""
    share = rng.beta(2, 3, N_GENES)
    without = rng.random() < 0.5
    if without:
        share[rng.random(N_GENES) < 0.25] = 0
    donor_parts = np.stack([modules(rng, n_donors) for _ in range(2)])
    expr_log2 = [
        8 + np.sqrt(share) * np.tensordot(weights, donor_parts, 1)
        + np.sqrt(1 - share) * modules(rng, n_donors)
        for weights in WEIGHTS
    ]  # fmt: skip
    table = estimate_ceilings(as_cohort(np.stack(expr_log2, axis=1)), "Whole Blood")
    # Correlation of two tissues' samples, then of one with the mean of the three others.
    between = share[:, None, None] * (WEIGHTS @ WEIGHTS.T) + (1 - share)[:, None, None] * np.eye(4)
    floors = []
    for tissue in range(3):
        rest = np.delete(np.arange(4), tissue)
        scale = np.sqrt(between[:, rest][:, :, rest].sum((1, 2)))
        floors.append((between[:, tissue, rest].sum(1) / scale).mean())
    truth = {
        (CEILING, TISSUES[0]): np.sqrt(share).mean(),
        (FLOOR, TISSUES[2]): floors[2],
        (FLOOR, MEAN_OF_TISSUES): np.mean(floors),
    }
    rows = table.set_index(["kind", "tissue"])
    for (kind, tissue), value in truth.items():
        low, high = rows.loc[(kind, tissue), ["ci_low", "ci_high"]]
        of = "mean of tissues" if tissue == MEAN_OF_TISSUES else "one tissue"
        genes = ", a fourth without" if without and kind == CEILING else ""
        yield Interval(f"{kind}, {of}{genes}", low, high, value)


def as_cohort(expr_log2: np.ndarray) -> Cohort:
    """Make a cohort of ``(n_donors, n_tissues, n_genes)``, log2(1+TPM)."""
    n_donors, n_tissues, n_genes = expr_log2.shape
    expr_tpm = np.maximum(2.0 ** expr_log2.reshape(-1, n_genes) - 1, 0).astype(np.float32)
    donors = pd.DataFrame(index=pd.Index([f"D{i:04d}" for i in range(n_donors)], name="donor"))
    return Cohort(
        expr_tpm=expr_tpm,
        samples=pd.DataFrame(index=[f"S{i:05d}" for i in range(len(expr_tpm))]),
        donor=np.repeat(np.arange(n_donors), n_tissues),
        tissue=np.tile(np.arange(n_tissues), n_donors),
        donors=donors,
        tissues=TISSUES,
        genes=pd.DataFrame({"symbol": "G"}, index=[f"ENSG{i:011d}.1" for i in range(n_genes)]),
    )
