"""A cohort and people from elsewhere, of the same biology, with or without a batch shift."""

from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.io import write_tsv
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.predictions.external import People, join_people

BLOOD = "Whole Blood"
TISSUES = ("Liver", "Lung", BLOOD)
N_GENES = 40
GENES = tuple(f"ENSG{i:011d}.{1 + i % 7}" for i in range(N_GENES))


@dataclass
class Elsewhere:
    """Donors whose tissues share states; `shift` in log2 TPM moves every gene of a laboratory."""

    folder: Path
    name: str
    n_donors: int
    seed: int
    shift: float = 0.0
    tissues: tuple[str, ...] = TISSUES
    genes: tuple[str, ...] = GENES

    def __post_init__(self):
        planted, rng = np.random.default_rng(1), np.random.default_rng(self.seed)
        base = {tissue: planted.uniform(3, 8, N_GENES) for tissue in TISSUES}
        loading = {tissue: 0.5 * planted.standard_normal((6, N_GENES)) for tissue in TISSUES}
        states = rng.standard_normal((self.n_donors, 6))
        batch = np.random.default_rng([9, self.seed])
        shift = self.shift * batch.standard_normal(N_GENES)
        stretch = np.exp(0.3 * self.shift * batch.standard_normal(N_GENES))
        donors = [f"{self.name}-{i:03d}" for i in range(self.n_donors)]
        rows, values = [], []
        for donor, state in zip(donors, states, strict=True):
            for tissue in self.tissues:
                if tissue != BLOOD and rng.random() > 0.9:
                    continue
                of = tissue if tissue in TISSUES else "Lung"
                biology = state @ loading[of] + 0.5 * rng.standard_normal(N_GENES)
                rows.append((donor, tissue))
                values.append(base[of] + shift + stretch * biology)
        self.obs = pd.DataFrame(rows, columns=["donor", "tissue"])
        self.obs.index = self.obs["donor"] + "|" + self.obs["tissue"]
        self.obs["center"] = np.where(self.obs["donor"].str[-1].isin(["0", "1"]), "C1", "B1")
        self.expr_tpm = np.exp2(np.stack(values)).astype(np.float32)
        self.donors = pd.DataFrame({"donor": donors, "sex": rng.integers(1, 3, self.n_donors)})
        self.write()

    @property
    def files(self):
        return self.folder / f"{self.name}.h5ad", self.folder / f"{self.name}.tsv"

    def write(self):
        kept = pd.Index(self.genes, name="gene_id")
        data = anndata.AnnData(
            self.expr_tpm[:, : len(kept)],
            obs=self.obs,
            var=pd.DataFrame({"symbol": [f"G{i}" for i in range(len(kept))]}, index=kept),
        )
        data.write_h5ad(self.files[0])
        write_tsv(self.donors, self.files[1])

    def part(self, name, donors):
        """Write some donors as a cohort of their own; return its files."""
        whole = anndata.read_h5ad(self.files[0])
        kept = whole[whole.obs["donor"].isin(donors).to_numpy()].copy()
        files = self.folder / f"{name}.h5ad", self.folder / f"{name}.tsv"
        kept.write_h5ad(files[0])
        write_tsv(self.donors[self.donors["donor"].isin(donors)], files[1])
        return files

    def people(self):
        return People.read(*self.files)

    def cohort(self):
        return Cohort.read(*self.files)


def fitted(cohort, name="ridge", donors=None, **parameters):
    """Fit a model on some donors of a cohort, or on all."""
    kept = cohort if donors is None else cohort.of_donors(donors)
    model = build(name, parameters)
    model.fit(Training(kept, source=kept.tissue_index(BLOOD), device="cpu"))
    return model


def joined(folder, training, external, **options):
    """Join people in `folder`; return the paths of expression, donors and folds, and tissues."""
    paths = [folder / "joined.h5ad", folder / "joined.tsv", folder / "folds.tsv"]
    tissues = join_people(
        training, external, source=BLOOD, **{"min_donors": 5} | options,
        out_expression=paths[0], out_donors=paths[1], out_folds=paths[2],
        out_tissues=folder / "tissues.tsv",
    )  # fmt: skip
    return paths, tissues
