"""Accuracy for people from elsewhere: intervals, null bands and P values of `score_external`.

A ridge is fitted once, to `N_TRAINING` donors, and stays as it is; the people whom it tells are
new in every simulation, one fold, and a batch moves and stretches every gene of theirs. Their
source is given as it is (``none``) and brought to the moments of the training (``log2``). The
estimand is what the fit reaches among all such people, in ``log2`` with the moments of the people
at hand. Null: the same people, their tissues independent of their source. The cohort's own
cross-validation, which stands beside, is the area accuracy.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from bench.calibration.cohort import (
    BETWEEN,
    N_GENES,
    OWN,
    PRESENT,
    SOURCE,
    Written,
    slopes_of,
    source_and_targets,
    who_has,
)
from bench.calibration.trial import Interval, Test

from mtm.analyses.accuracy.external import score_external
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import NEVER_HELD_OUT
from mtm.models.base import Predictor, Training
from mtm.models.registry import build
from mtm.predictions.external import EXTERNAL_FOLD
from mtm.predictions.held_out import HeldOut
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.scaling import Scaling
from mtm.vocabulary import MEAN_OF_TISSUES

N_TRAINING, SHARE, ALIGNMENTS = 120, 0.6, ("none", "log2")
SCALING = Scaling(log2_clip=None)
SETTINGS = AccuracySettings(permutations=200, bootstraps=200)
PLACES = {"Spleen": "a tissue", MEAN_OF_TISSUES: "mean of tissues"}
BATCH = np.random.default_rng(31)
SHIFT, STRETCH = BATCH.normal(size=N_GENES), np.exp(0.3 * BATCH.normal(size=N_GENES))
Values = tuple[np.ndarray, np.ndarray, np.ndarray]


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Score people whose source tells of their tissues, and people whose source does not."""
    for share, alignments in ((SHARE, ALIGNMENTS), (0.0, ALIGNMENTS[1:])):
        source, observed = source_and_targets(rng, n_donors, share)
        model, genes, table = _scored((source, observed, who_has(rng, n_donors)), alignments)
        for alignment in alignments:
            rows = table[table["alignment"] == alignment].set_index("tissue")
            stretch = STRETCH if alignment == "none" else fitted()[1][0].std(0) / source.std(0)
            truth = {t: _reached(model, t, share, stretch) for t in PRESENT}
            truth[MEAN_OF_TISSUES] = float(np.mean([*truth.values()]))
            for tissue, place in PLACES.items():
                row, about = rows.loc[tissue], f"{alignment}, {place}"
                if share:
                    yield Interval(f"rho, {about}", row["ci_low"], row["ci_high"], truth[tissue])
                else:
                    limits = row["null_low"], row["null_high"]
                    yield Interval(f"rho, no signal, {about}", row["ci_low"], row["ci_high"], 0.0)
                    yield Interval(f"null band, {about}", *limits, row["mean_rho"])
    genes = genes[(genes["tissue"] == "Spleen") & (genes["scale"] == "log2_z")]
    yield Test("gene, no signal, log2", genes["p"].iloc[int(rng.integers(N_GENES))])


def _scored(
    people: Values, alignments: tuple[str, ...]
) -> tuple[Predictor, pd.DataFrame, pd.DataFrame]:
    """Return the model, its accuracy for genes of these people, and gene-wise by tissue."""
    model, training = fitted()
    source, observed, has = people
    moved = SHIFT + STRETCH * source, SHIFT + STRETCH * observed, has
    nothing = pd.DataFrame({"tissue": []})
    internal = HeldOut(Path(), (), "log2_z", model.genes.index, nothing, nothing, SCALING)
    with TemporaryDirectory() as name:
        folder = Path(name)
        joined = [np.concatenate(sides, -1 if sides[0].dtype == bool else -2)
                  for sides in zip(training, moved, strict=True)]  # fmt: skip
        files = _write(folder, *joined)
        donors = pd.read_csv(files[1], sep="\t")
        fold = np.where(np.arange(len(donors)) < N_TRAINING, NEVER_HELD_OUT, EXTERNAL_FOLD)
        donors.assign(fold=fold).to_csv(folder / "folds.tsv", sep="\t", index=False)
        predictions = {alignment: folder / f"{alignment}.h5ad" for alignment in alignments}
        scores = score_external(
            model, "ridge", *files, folder / "folds.tsv", predictions, internal, "elsewhere",
            SETTINGS, learned=True,
        )  # fmt: skip
    table = scores.by_tissue
    kept = (table["scale"] == "log2_z") & (table["convention"] == "per_fold")
    return model, scores.gene_wise, table[kept]


@lru_cache
def fitted() -> tuple[Predictor, Values]:
    """Fit the model; return it and the values that it was fitted to."""
    rng = np.random.default_rng(37)
    training = *source_and_targets(rng, N_TRAINING, SHARE), who_has(rng, N_TRAINING)
    with TemporaryDirectory() as folder:
        cohort = Cohort.read(*_write(Path(folder), *training))
    model = build("ridge", {"scale": "log2_z", "covariates": "none"})
    model.fit(Training(cohort, cohort.tissue_index(SOURCE), scaling=SCALING, device="cpu"))
    return model, training


def _write(
    folder: Path, source: np.ndarray, observed: np.ndarray, has: np.ndarray
) -> tuple[Path, Path]:
    """Write a cohort; return the files of its expression and donors."""
    written = Written(folder, 8 + observed, has, 8 + source)
    files = folder / "expression.h5ad", folder / "donors.tsv"
    written.obs[["donor"]].drop_duplicates().to_csv(files[1], sep="\t", index=False)
    return files


def _reached(model: Predictor, tissue: str, share: float, stretch: np.ndarray) -> float:
    """Mean over genes of the correlation that the model reaches from sources so stretched."""
    slopes = slopes_of(model, [SOURCE], tissue) * stretch[:, None]
    with_gene = (BETWEEN + OWN) @ slopes
    return float((share * np.diag(with_gene) / np.sqrt((slopes * with_gene).sum(0))).mean())
