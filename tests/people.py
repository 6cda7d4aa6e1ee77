"""A handful of donors and a model that shows what it was given."""

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor
from mtm.settings.models.base import ModelParameters

TISSUES = ("Artery - Aorta", "Lung", "Testis", "Whole Blood")
BLOOD = "Whole Blood"


def ids(n, version=1):
    return [f"ENSG{i:011d}.{version}" for i in range(n - 1)] + [f"ENSG{0:011d}.{version}_PAR_Y"]


def make_cohort(presence, n_genes=7, seed=0):
    """One donor a row of `presence`, one sample where it is true."""
    donor, tissue = np.nonzero(np.asarray(presence))
    expr_tpm = np.random.default_rng(seed).gamma(1, 40, (len(donor), n_genes))
    return Cohort(
        expr_tpm=expr_tpm.astype(np.float32),
        samples=pd.DataFrame(
            index=pd.Index([f"D{d}-{t}" for d, t in zip(donor, tissue, strict=True)])
        ),
        donor=donor,
        tissue=tissue,
        donors=pd.DataFrame(index=[f"D{i}" for i in range(len(presence))]),
        tissues=TISSUES,
        genes=pd.DataFrame({"symbol": [f"SYM{i}" for i in range(n_genes)]}, index=ids(n_genes)),
    )


def five_donors():
    """Return the cohort of these tests: four tissues, five donors, one of them without blood."""
    return make_cohort(
        [
            [1, 1, 1, 1],
            [1, 1, 0, 0],  # no blood: never predicted
            [0, 0, 0, 1],  # blood alone: nothing to predict
            [0, 1, 0, 1],
            [1, 0, 1, 1],
        ]
    )


class SameGene(Predictor):
    """Predicts the source sample's own z, summed over sources: shows what it was given."""

    Parameters = ModelParameters

    name = "same_gene_of_this_test"
    scale = "log2_z"
    several_sources = True
    own_sd = False

    def _fit(self, training):
        return pd.DataFrame()

    def predict(self, inputs, requests):
        expr_z = self.scaler.transform(inputs.expr_tpm, inputs.tissue)
        padded = np.vstack([expr_z, np.zeros((1, expr_z.shape[1]), np.float32)])
        return padded[requests.source_rows].sum(1)

    def state(self):
        return {}

    def restore(self, state):
        pass
