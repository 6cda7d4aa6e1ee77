"""A small cohort with predictions on disk, and slow references written with scipy alone."""

from dataclasses import dataclass, field
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from mtm.scaling import Scaling, TissueScaler

SOURCE = "Whole Blood"


@dataclass
class SmallCohort:
    """Donors who all have the source, and each target with some chance."""

    folder: Path
    n_donors: int = 60
    n_folds: int = 3
    n_genes: int = 12
    targets: tuple[str, ...] = ("Liver", "Lung", "Testis")
    present: float = 0.9
    seed: int = 0
    obs: pd.DataFrame = field(init=False)
    expr_tpm: np.ndarray = field(init=False)
    fold_of: pd.Series = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        donors = [f"D{i:03d}" for i in range(self.n_donors)]
        self.fold_of = pd.Series(rng.permutation(np.arange(self.n_donors) % self.n_folds), donors)
        rows = [
            (donor, tissue)
            for donor in donors
            for tissue in sorted((SOURCE, *self.targets))
            if tissue == SOURCE or rng.random() < self.present
        ]
        ids = [f"{donor}-{tissue}" for donor, tissue in rows]
        self.obs = pd.DataFrame(rows, columns=["donor", "tissue"], index=ids)
        base = rng.gamma(1.0, 30.0, self.n_genes)
        noise = rng.lognormal(0, 0.6, (len(rows), self.n_genes))
        self.expr_tpm = (base * noise).astype(np.float32)
        self.genes = [f"ENSG{i:011d}.1" for i in range(self.n_genes)]

    def scaler(self, tissue: str, fold: int, scale: str, clip: float | None = None):
        train = (self.obs["tissue"] == tissue) & (self.obs["donor"].map(self.fold_of) != fold)
        tpm = self.expr_tpm[train.to_numpy()]
        return TissueScaler.fit(tpm, np.zeros(len(tpm), int), 1, scale, Scaling(log2_clip=clip))

    def held_out_rows(self, fold: int) -> np.ndarray:
        held_out = (self.obs["donor"].map(self.fold_of) == fold) & (self.obs["tissue"] != SOURCE)
        return np.flatnonzero(held_out)

    def observed_z(self, scale: str, clip: float | None = None) -> np.ndarray:
        """Z of every sample by the statistics of its own fold; NaN for the source."""
        expr_z = np.full(self.expr_tpm.shape, np.nan)
        tissues = self.obs["tissue"].to_numpy()
        for fold in range(self.n_folds):
            rows = self.held_out_rows(fold)
            for tissue in self.targets:
                part = rows[tissues[rows] == tissue]
                scaler = self.scaler(tissue, fold, scale, clip)
                expr_z[part] = scaler.transform(self.expr_tpm[part], np.zeros(1, int))
        return expr_z

    def write(self) -> None:
        data = anndata.AnnData(
            X=self.expr_tpm,
            obs=self.obs,
            var=pd.DataFrame({"symbol": self.genes}, index=self.genes),
            uns={"scale": "tpm", "units": "TPM"},
        )
        data.write_h5ad(self.folder / "expression.h5ad")
        table = pd.DataFrame({"donor": self.fold_of.index, "fold": self.fold_of.to_numpy()})
        table.to_csv(self.folder / "folds.tsv", sep="\t", index=False)

    def write_predictions(self, predicted: np.ndarray, scale: str) -> list[Path]:
        """Write one file a fold from predictions of all samples, rows in a shuffled order."""
        rng = np.random.default_rng(5)
        paths = []
        for fold in range(self.n_folds):
            rows = rng.permutation(self.held_out_rows(fold))
            obs = pd.DataFrame(
                {
                    "donor": self.obs["donor"].to_numpy()[rows],
                    "sources": SOURCE,
                    "target": self.obs["tissue"].to_numpy()[rows],
                    "fold": fold,
                },
                index=self.obs.index[rows],
            )
            data = anndata.AnnData(
                X=np.asarray(predicted[rows], np.float32),
                obs=obs,
                var=pd.DataFrame(index=self.genes),
                uns={"scale": scale, "units": "z", "model": "small"},
            )
            paths.append(self.folder / f"fold{fold}.h5ad")
            data.write_h5ad(paths[-1])
        return paths


@pytest.fixture
def make_cohort(tmp_path):
    def make(**changes) -> SmallCohort:
        return SmallCohort(tmp_path, **changes)

    return make


@pytest.fixture
def noisy():
    """Predictions that share part of their variation with the observations."""

    def predict(cohort: SmallCohort, scale: str = "log2_z", noise: float = 1.5) -> np.ndarray:
        rng = np.random.default_rng(11)
        expr_z = cohort.observed_z(scale)
        return expr_z + noise * rng.standard_normal(expr_z.shape)

    return predict


def reference_rho(predicted: np.ndarray, observed: np.ndarray) -> float:
    """Pearson's rho by scipy under the project's rules for constants."""
    if np.ptp(observed) == 0:
        return np.nan
    if np.ptp(predicted) == 0:
        return 0.0
    return pearsonr(np.asarray(predicted, float), np.asarray(observed, float)).statistic


@pytest.fixture
def rho_of():
    return reference_rho
