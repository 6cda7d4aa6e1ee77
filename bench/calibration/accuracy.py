"""Accuracy of one model: intervals, null bands and P values of `score_predictions`.

Estimands. Gene-wise: the population's correlation of prediction and observation of a gene, the
same for every gene, `RHO`, in folds of any size. Sample-wise: the mean over donors of the
correlation over genes, from `MANY` donors. "Mean of tissues" is their mean over tissues. Tissues
have 100%, 80%, 60% and 50% of the donors, three folds; genes share three donor-wide factors, in
the prediction as in the observation, and tissues share half of their variance.

Null: predictions know nothing of a donor, but their errors are shared over genes and tissues as
observations are. The null band must hold the mean rho in 95% of cohorts, one gene's P must be
uniform, and a gene of 80%, 90% or 95% zeros on both sides must have one as well; "any predictable"
is the least q of a tissue, all false. These predictions are fitted to nothing; ridge regression on
a source without any relation is fitted to the donors of the other folds.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import anndata
import numpy as np
import pandas as pd
from bench.calibration.trial import Interval, Test

from mtm.analyses.accuracy.score import Scores, score_predictions
from mtm.models.solvers.ridge import gcv_ridge
from mtm.predictions.held_out import HeldOut, read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.scaling import Scaling
from mtm.vocabulary import MEAN_OF_TISSUES

RHO = 0.3
SOURCE = "Whole Blood"
PRESENT = {"Liver": 1.0, "Lung": 0.8, "Spleen": 0.6, "Testis": 0.5}
N_FOLDS, N_GENES, MANY = 3, 30, 20_000
ZEROS = (0.8, 0.9, 0.95)
SPARSE_GENES = 20
LOADINGS = np.random.default_rng(0).normal(0.5, 0.5, (3, N_GENES))
SETTINGS = AccuracySettings(permutations=200, bootstraps=200)


def shared_values(rng: np.random.Generator, n_donors: int, n_tissues: int) -> np.ndarray:
    """Values of variance 1, ``(n_tissues, n_donors, n_genes)``, that genes and tissues share."""
    wide = rng.standard_normal((n_donors, 3)) @ LOADINGS
    own = wide + rng.standard_normal((n_tissues, n_donors, N_GENES)) * (LOADINGS**2).sum(0) ** 0.5
    own += rng.standard_normal((n_tissues, n_donors, N_GENES))
    return own / (2 * (LOADINGS**2).sum(0) + 1) ** 0.5


def related(rng: np.random.Generator, observed: np.ndarray, rho: float = RHO) -> np.ndarray:
    """Predictions that correlate with `observed` by `rho`, with shared errors."""
    error = shared_values(rng, observed.shape[1], observed.shape[0])
    return rho * observed + (1 - rho**2) ** 0.5 * error


class Written:
    """A cohort in files: who has which tissue, and expression from values of variance 1."""

    def __init__(
        self,
        rng: np.random.Generator,
        folder: Path,
        expr_log2: np.ndarray,
        present: dict[str, float],
    ):
        n_tissues, n_donors, n_genes = expr_log2.shape
        self.folder, self.folds = folder, np.arange(n_donors) % N_FOLDS
        has = np.ones((n_tissues + 1, n_donors), bool)
        has[1:] = rng.random((n_tissues, n_donors)) < np.array([*present.values()])[:, None]
        self.tissue, self.donor = np.nonzero(has)
        names = np.array([SOURCE, *present])
        self.obs = pd.DataFrame(
            {"donor": [f"D{d:03d}" for d in self.donor], "tissue": names[self.tissue]}
        )
        self.obs.index = self.obs["donor"] + "-" + self.obs["tissue"]
        blood = np.full((1, n_donors, n_genes), 8.0)
        self.expr_tpm = np.exp2(np.concatenate([blood, expr_log2])[self.tissue, self.donor]) - 1
        ids = [f"ENSG{g:011d}.1" for g in range(n_genes)]
        self.genes = pd.DataFrame({"symbol": ids}, index=ids)
        data = anndata.AnnData(self.expr_tpm.astype(np.float32), self.obs, self.genes)
        data.write_h5ad(folder / "expression.h5ad")
        table = {"donor": [f"D{d:03d}" for d in range(n_donors)], "fold": self.folds}
        pd.DataFrame(table).to_csv(folder / "folds.tsv", sep="\t", index=False)

    def held_out(self, name: str, predicted: np.ndarray) -> HeldOut:
        """Write predictions ``(n_tissues, n_donors, n_genes)`` of a model, and read them."""
        paths = []
        for fold in range(N_FOLDS):
            rows = np.flatnonzero((self.folds[self.donor] == fold) & (self.tissue > 0))
            obs = self.obs.iloc[rows].rename(columns={"tissue": "target"})
            obs = obs.assign(sources=SOURCE, fold=fold)
            values = predicted[self.tissue[rows] - 1, self.donor[rows]].astype(np.float32)
            paths.append(self.folder / f"{name}{fold}.h5ad")
            data = anndata.AnnData(values, obs, self.genes, uns={"scale": "log2_z"})
            data.write_h5ad(paths[-1])
        return read_held_out(
            self.folder / "expression.h5ad", self.folder / "folds.tsv", paths,
            scaling=Scaling(log2_clip=None),
        )  # fmt: skip


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Score a model that knows something, and one that knows nothing."""
    observed = shared_values(rng, n_donors, len(PRESENT))
    scores = _scores(rng, 8 + observed, related(rng, observed))
    for level, truth in (("gene_wise", RHO), ("sample_wise", _sample_wise())):
        for tissue, about in (("Spleen", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues")):
            row = _row(scores, level, tissue)
            yield Interval(f"{level} {about}", row["ci_low"], row["ci_high"], truth)

    unrelated = shared_values(rng, n_donors, len(PRESENT))
    sparse_observed, sparse_predicted = (_sparse(rng, n_donors) for _ in range(2))
    expr_log2 = np.concatenate([8 + observed, sparse_observed], 2)
    scores = _scores(rng, expr_log2, np.concatenate([unrelated, sparse_predicted], 2))
    genes = scores.gene_wise[scores.gene_wise["scale"] == "log2_z"]
    genes = genes[genes["tissue"] == "Spleen"].reset_index(drop=True)
    yield Test("gene without zeros", genes["p"][int(rng.integers(N_GENES))])
    for number, zeros in enumerate(ZEROS):
        first = N_GENES + number * SPARSE_GENES
        assessed = genes["p"][first : first + SPARSE_GENES].dropna().to_numpy()
        p = rng.choice(assessed) if len(assessed) else np.nan
        yield Test(f"gene of {zeros:.0%} zeros", p)
    yield Test("any predictable, without signal", genes["q"].min())

    scores = _scores(rng, 8 + observed, unrelated)
    for level in ("gene_wise", "sample_wise"):
        for tissue, about in (("Spleen", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues")):
            row = _row(scores, level, tissue)
            name = f"null band, {level} {about}"
            yield Interval(name, row["null_low"], row["null_high"], row["mean_rho"])

    fitted = cross_validated_ridge(shared_values(rng, n_donors, 1)[0], observed)
    scores = _scores(rng, 8 + observed, fitted, learned=True)
    genes = scores.gene_wise[scores.gene_wise["scale"] == "log2_z"]
    genes = genes[genes["tissue"] == "Spleen"].reset_index(drop=True)
    yield Test("gene, ridge fitted without signal", genes["p"][int(rng.integers(N_GENES))])
    for level in ("gene_wise", "sample_wise"):
        for tissue, about in (("Spleen", "a tissue"), (MEAN_OF_TISSUES, "mean of tissues")):
            row = _row(scores, level, tissue)
            name = f"null band, ridge fitted without signal, {level} {about}"
            yield Interval(name, row["null_low"], row["null_high"], row["mean_rho"])


def cross_validated_ridge(source: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Predict every fold's donors from `source` by ridge fitted to the others; shapes as above."""
    folds, predicted = np.arange(len(source)) % N_FOLDS, np.empty_like(observed)
    for fold in range(N_FOLDS):
        held_out = folds == fold
        kernel = source[~held_out] @ source[~held_out].T
        for tissue, values in enumerate(observed):
            fit = gcv_ridge(kernel, values[~held_out])
            told = source[held_out] @ source[~held_out].T @ fit.dual + fit.intercept
            predicted[tissue, held_out] = told
    return predicted


def _scores(
    rng: np.random.Generator, expr_log2: np.ndarray, predicted: np.ndarray, learned: bool = False
) -> Scores:
    with TemporaryDirectory() as folder:
        written = Written(rng, Path(folder), expr_log2, PRESENT)
        held_out = written.held_out("m", predicted)
        return score_predictions(held_out, "m", SETTINGS, learned, device="cpu")


def _row(scores: Scores, level: str, tissue: str) -> pd.Series:
    table = scores.by_tissue
    kept = (table["scale"] == "log2_z") & (table["level"] == level) & (table["tissue"] == tissue)
    return table[kept & table["convention"].isin(["per_fold", "per_sample"])].iloc[0]


def _sparse(rng: np.random.Generator, n_donors: int) -> np.ndarray:
    """Expression of sparse genes on log2(1 + TPM), independent."""
    zeros = np.repeat(ZEROS, SPARSE_GENES)
    shape = (len(PRESENT), n_donors, len(zeros))
    return np.log2(1 + rng.lognormal(0.5, 1, shape)) * (rng.random(shape) >= zeros)


@lru_cache
def _sample_wise() -> float:
    """Mean sample-wise rho of very many donors."""
    rng = np.random.default_rng(1)
    observed = shared_values(rng, MANY, 1)
    predicted = related(rng, observed)
    rho = [np.corrcoef(p, o)[0, 1] for p, o in zip(predicted[0], observed[0], strict=True)]
    return float(np.mean(rho))
