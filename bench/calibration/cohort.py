"""A cohort whose genes and tissues share values, its files, and ridge regression fitted to it.

Tissues have 100%, 80%, 60% and 50% of the donors, three folds; genes share three donor-wide
factors, and tissues share half of their variance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Requests
from mtm.models.requests import predict_in_blocks
from mtm.models.solvers.ridge import gcv_ridge
from mtm.predictions.held_out import HeldOut, read_held_out
from mtm.settings.scaling import Scaling
from mtm.statistics.correlation import fisher_z
from mtm.vocabulary import MEAN_OF_TISSUES, Scale

SOURCE = "Whole Blood"
PRESENT = {"Liver": 1.0, "Lung": 0.8, "Spleen": 0.6, "Testis": 0.5}
N_FOLDS, N_GENES, RHO = 3, 30, 0.3
LOADINGS = np.random.default_rng(0).normal(0.5, 0.5, (3, N_GENES))
# Covariance of `shared_values` between genes of two tissues, and what genes of one have beside it.
_SPREAD = (LOADINGS**2).sum(0)
BETWEEN = LOADINGS.T @ LOADINGS / np.sqrt(np.outer(2 * _SPREAD + 1, 2 * _SPREAD + 1))
OWN = np.diag((_SPREAD + 1) / (2 * _SPREAD + 1))
# Correlation of a gene in the source with the same gene in a target.
TOLD = {"no": 0.0, "weak": 0.2, "strong": 0.8}


def shared_values(rng: np.random.Generator, n_donors: int, n_tissues: int) -> np.ndarray:
    """Values of variance 1, ``(n_tissues, n_donors, n_genes)``, that genes and tissues share."""
    wide = rng.standard_normal((n_donors, 3)) @ LOADINGS
    own = wide + rng.standard_normal((n_tissues, n_donors, N_GENES)) * _SPREAD**0.5
    own += rng.standard_normal((n_tissues, n_donors, N_GENES))
    return own / (2 * _SPREAD + 1) ** 0.5


def related(rng: np.random.Generator, observed: np.ndarray, rho: float = RHO) -> np.ndarray:
    """Predictions that correlate with `observed` by `rho`, with shared errors."""
    error = shared_values(rng, observed.shape[1], observed.shape[0])
    return rho * observed + (1 - rho**2) ** 0.5 * error


def who_has(rng: np.random.Generator, n_donors: int) -> np.ndarray:
    """Which donors have which tissue, ``(n_tissues, n_donors)``."""
    return rng.random((len(PRESENT), n_donors)) < np.array([*PRESENT.values()])[:, None]


def folds_of(n_donors: int) -> np.ndarray:
    """Fold of every donor."""
    return np.arange(n_donors) % N_FOLDS


class OneScale(HeldOut):
    """Predictions that are scored on their own scale alone; simulations look at no other."""

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Scale of the predictions."""
        return (self.scale,)


class Written:
    """A cohort in files: who has which tissue, and expression from values of variance 1.

    Parameters
    ----------
    folder
        Where the files are.
    expr_log2
        Of the targets, shape ``(n_tissues, n_donors, n_genes)``.
    has
        Who has which target, shape ``(n_tissues, n_donors)``; all have the source.
    source_log2
        Of the source, shape ``(n_donors, n_genes)``; by default it is the same for everyone.
    """

    def __init__(
        self,
        folder: Path,
        expr_log2: np.ndarray,
        has: np.ndarray,
        source_log2: np.ndarray | None = None,
    ):
        n_donors, n_genes = expr_log2.shape[1:]
        self.folder, self.folds = folder, folds_of(n_donors)
        self.tissue, self.donor = np.nonzero(np.insert(has, 0, True, axis=0))
        names = np.array([SOURCE, *PRESENT])
        self.obs = pd.DataFrame(
            {"donor": [f"D{d:03d}" for d in self.donor], "tissue": names[self.tissue]}
        )
        self.obs.index = self.obs["donor"] + "-" + self.obs["tissue"]
        blood = np.full((n_donors, n_genes), 8.0) if source_log2 is None else source_log2
        every_log2 = np.concatenate([blood[None], expr_log2])
        self.expr_tpm = np.exp2(every_log2[self.tissue, self.donor]) - 1
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
        held_out = read_held_out(
            self.folder / "expression.h5ad", self.folder / "folds.tsv", paths,
            scaling=Scaling(log2_clip=None),
        )  # fmt: skip
        return OneScale(**vars(held_out))


def source_and_targets(
    rng: np.random.Generator, n_donors: int, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Values of the source, ``(n_donors, n_genes)``, and of tissues that correlate by `share`."""
    source = shared_values(rng, n_donors, 1)[0]
    own = shared_values(rng, n_donors, len(PRESENT))
    return source, share * source + (1 - share**2) ** 0.5 * own


@dataclass(frozen=True)
class Ridge:
    """Predictions of held-out donors, and what each fold's fit reaches in the population.

    Parameters
    ----------
    predicted
        Z-scores, shape ``(n_tissues, n_donors, n_genes)``.
    rho
        True correlation of every fit, shape ``(n_folds, n_tissues, n_genes)``.
    sizes
        Held-out donors, shape ``(n_folds, n_tissues)``.
    """

    predicted: np.ndarray
    rho: np.ndarray
    sizes: np.ndarray

    def truth(self, taken: int, least: int) -> dict[str, float]:
        """Mean over genes of the folds' true correlation, averaged as the folds' estimates are.

        Parameters
        ----------
        taken
            Covariates taken out of each fold.
        least
            Donors, less covariates, from which a fold counts.
        """
        left = self.sizes - taken
        weights = np.where(left >= least, left - 3.0, 0)[..., None]
        total = weights.sum(0)
        mean_z = np.divide(
            (weights * fisher_z(self.rho)).sum(0), total, out=np.full(self.rho.shape[1:], np.nan),
            where=total > 0,
        )  # fmt: skip
        of_tissues = np.tanh(mean_z).mean(1)
        truth = dict(zip(PRESENT, of_tissues.tolist(), strict=True))
        return truth | {MEAN_OF_TISSUES: float(np.nanmean(of_tissues))}


def cross_validated_ridge(
    source: np.ndarray,
    observed: np.ndarray,
    has: np.ndarray,
    share: float,
    most: int | None = None,
) -> Ridge:
    """Predict every fold's donors by ridge fitted to the z-scores of the others with the tissue.

    Parameters
    ----------
    source, observed, share
        From `source_and_targets`.
    has
        From `who_has`.
    most
        Training donors of a fold, the first ones; None for all.
    """
    folds, predicted = folds_of(len(source)), np.empty_like(observed)
    rho = np.empty((N_FOLDS, len(observed), N_GENES))
    for fold in range(N_FOLDS):
        for tissue, values in enumerate(observed):
            training = folds != fold
            training[np.flatnonzero(training)[most:] if most else []] = False
            training &= has[tissue]
            told, learned = source[training], values[training]
            fit = gcv_ridge(told @ told.T, (learned - learned.mean(0)) / learned.std(0))
            slopes = told.T @ fit.dual
            held_out = folds == fold
            predicted[tissue, held_out] = source[held_out] @ slopes + fit.intercept
            with_gene = (BETWEEN + OWN) @ slopes
            variance = np.maximum((slopes * with_gene).sum(0), 1e-30)
            rho[fold, tissue] = share * np.diag(with_gene) / np.sqrt(variance)
    sizes = np.stack([(has & (folds == fold)).sum(1) for fold in range(N_FOLDS)])
    return Ridge(predicted, rho, sizes)


def slopes_of(model: Predictor, given: Sequence[str], target: str) -> np.ndarray:
    """Slopes of a linear model's predictions on log2 expression of the tissues that it is given.

    Returns
    -------
    np.ndarray
        Shape ``(n_given * n_genes, n_genes)``.
    """
    n = len(given) * N_GENES
    expr_log2 = 8 + np.vstack([np.zeros(n), 0.1 * np.eye(n)]).reshape(-1, N_GENES)
    donor = np.repeat(np.arange(1 + n), len(given))
    inputs = Cohort(
        expr_tpm=(np.exp2(expr_log2) - 1).astype(np.float32),
        samples=pd.DataFrame(index=np.arange(len(donor)).astype(str)),
        donor=donor,
        tissue=np.tile([model.tissues.index(tissue) for tissue in given], 1 + n),
        donors=pd.DataFrame(index=np.arange(1 + n).astype(str)),
        tissues=model.tissues,
        genes=model.genes,
    )
    rows = np.arange(len(donor)).reshape(1 + n, len(given))
    asked = Requests(rows, np.full(1 + n, model.tissues.index(target)), np.arange(1 + n))
    told = np.concatenate(list(predict_in_blocks(model, inputs, asked))).astype(float)
    return told[1:] - told[0]
