import numpy as np
import pandas as pd
import pytest

from mtm.cohort import Cohort


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


@pytest.fixture
def cohort():
    return simulated_cohort()
