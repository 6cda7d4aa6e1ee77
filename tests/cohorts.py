"""Small cohorts of the tests, on disk and in memory, and a slow reference of correlation."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.settings.scaling import Scaling

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


def noisy_predictions(
    cohort: SmallCohort, scale: str = "log2_z", noise: float = 1.5
) -> np.ndarray:
    """Predictions that share part of their variation with the observations."""
    rng = np.random.default_rng(11)
    expr_z = cohort.observed_z(scale)
    return expr_z + noise * rng.standard_normal(expr_z.shape)


def reference_rho(predicted: np.ndarray, observed: np.ndarray) -> float:
    """Pearson's rho by scipy under the project's rules for constants."""
    if np.ptp(observed) == 0:
        return np.nan
    if np.ptp(predicted) == 0:
        return 0.0
    return pearsonr(np.asarray(predicted, float), np.asarray(observed, float)).statistic


def simulated_cohort(n_donors=24, n_genes=12, n_tissues=4, seed=0, keep=0.8) -> Cohort:
    """Make a small cohort with one donor-wide factor, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    present = rng.random((n_donors, n_tissues)) < keep
    present[:, 0] = True
    donor, tissue = np.nonzero(present)
    base = rng.uniform(0, 8, (n_tissues, n_genes))
    factor = rng.normal(size=n_donors)
    loading = rng.normal(size=n_genes)
    expr_log2 = (
        base[tissue] + factor[donor, None] * loading + 0.3 * rng.normal(size=(len(donor), n_genes))
    )
    names = ("Whole Blood", "Lung", "Liver", "Nerve - Tibial", "Spleen", "Testis")[:n_tissues]
    order = np.argsort(names)
    rank = np.empty(n_tissues, int)
    rank[order] = np.arange(n_tissues)
    donors = pd.DataFrame(
        {
            "sex": rng.integers(1, 3, n_donors),
            "age_bracket": rng.choice(["20-29", "50-59", "60-69"], n_donors),
            "hardy": rng.integers(0, 5, n_donors).astype(float),
        },
        index=pd.Index([f"GTEX-{i:05d}" for i in range(n_donors)], name="donor"),
    )
    donors["age"] = donors["age_bracket"].str[:2].astype(float) + 4.5
    return Cohort(
        expr_tpm=np.maximum(2.0**expr_log2 - 1, 0).astype(np.float32),
        samples=pd.DataFrame(
            index=pd.Index([f"s{i}" for i in range(len(donor))], name="sample_id")
        ),
        donor=donor.astype(np.int64),
        tissue=rank[tissue].astype(np.int64),
        donors=donors,
        tissues=tuple(sorted(names)),
        genes=pd.DataFrame(
            {"symbol": [f"G{i}" for i in range(n_genes)]},
            index=pd.Index([f"ENSG{i:011d}.1" for i in range(n_genes)], name="gene_id"),
        ),
    )


def with_sex_genes(cohort: Cohort) -> Cohort:
    """Let the first gene be of males alone, the second of females."""
    sex = cohort.donors["sex"].to_numpy()[cohort.donor]
    noise = np.random.default_rng(1).uniform(0, 0.2, (2, cohort.n_samples))
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[:, 0] = np.where(sex == 1, 10, 0) + noise[0]
    expr_tpm[:, 1] = np.where(sex == 2, 10, 0) + noise[1]
    return replace(cohort, expr_tpm=expr_tpm)
