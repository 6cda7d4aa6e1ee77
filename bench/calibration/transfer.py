"""Agreement of an external cohort's predicted fold changes with those of the reference.

The model and the reference are fixed; the external people, whose blood is shifted by a batch, are
new. The estimand of an interval is the mean of Fisher's z of the correlation over external cohorts
of as many people. P values and null bands are of groups without a difference; the rank-sum test
over tissues (`p_as_paper`) stands beside the permutation of groups, and the upper end of the
median's null has to hold 97.5%. `p_reference` is of a gene of a reference of so many donors.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from bench.calibration.trial import Interval, Test

from mtm.analyses.transfer.agreement import transfer_agreement
from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.reference import reference_contrast
from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Training
from mtm.models.registry import build
from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings
from mtm.statistics.correlation import fisher_z

BLOOD, N_GENES, N_STATES, N_TRAINING, N_TRUTH = "Whole Blood", 120, 10, 120, 100
TISSUES = (*(f"Tissue {number}" for number in range(6)), BLOOD)
SHOWN = ("Tissue 0", "Tissue 5")
SETTINGS = TransferSettings(contrast="MHX", alignments=("log2",), permutations=199)
EFFECTS = {"groups differ": 0.5, "groups alike": 0.0}


def expression(rng: np.random.Generator, case: np.ndarray, effect: float) -> dict[str, np.ndarray]:
    """Expression in TPM of people, by tissue; the last three do not show the disease's state."""
    states = 0.4 * rng.normal(size=(len(case), N_STATES))
    states[:, 0] += effect * case
    result = {}
    for number, tissue in enumerate(TISSUES):
        fixed = np.random.default_rng([13, number])
        loading, base = fixed.normal(size=(N_STATES, N_GENES)), fixed.uniform(4, 7, N_GENES)
        loading[1:] *= 0.7
        if tissue != BLOOD and number >= 3:
            loading[0] = 0
        noise = 0.3 * rng.normal(size=(len(case), N_GENES))
        result[tissue] = np.exp2(base + states @ loading + noise).astype(np.float32)
    return result


def reference_cohort(rng: np.random.Generator, n_donors: int, effect: float) -> Cohort:
    """Draw donors with all tissues, 45% of them cases of ``MHX``."""
    case = rng.permutation(np.arange(n_donors) < 0.45 * n_donors)
    ids = pd.Index([f"D{i:03d}" for i in range(n_donors)], name="donor")
    values = expression(rng, case, effect)
    genes = pd.Index([f"ENSG{i:011d}.1" for i in range(N_GENES)], name="gene_id")
    return Cohort(
        expr_tpm=np.concatenate([values[tissue] for tissue in TISSUES]),
        samples=pd.DataFrame(index=[f"{donor}-{tissue}" for tissue in TISSUES for donor in ids]),
        donor=np.tile(np.arange(n_donors), len(TISSUES)),
        tissue=np.repeat(np.arange(len(TISSUES)), n_donors),
        donors=pd.DataFrame({"MHX": case.astype(int)}, index=ids),
        tissues=TISSUES,
        genes=pd.DataFrame({"symbol": genes}, index=genes),
    )


def reference_of(cohort: Cohort) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test the genes of a reference; return genes and tissues."""
    disease = DiseaseSettings(medical_history=None, min_cases=10, min_controls=10)
    return reference_contrast(cohort, BLOOD, disease, SETTINGS)


@lru_cache
def fitted() -> tuple[Predictor, np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Model, training blood, and the reference's genes and tissues."""
    cohort = reference_cohort(np.random.default_rng(17), N_TRAINING, 0.5)
    model = build("ridge", {"scale": "log2_z", "covariates": "none"})
    model.fit(Training(cohort, cohort.tissue_index(BLOOD), device="cpu"))
    blood = cohort.expr_tpm[cohort.tissue == cohort.tissue_index(BLOOD)]
    return model, blood, *reference_of(cohort)


def agreement(
    rng: np.random.Generator, n_people: int, effect: float, settings: TransferSettings
) -> tuple[pd.DataFrame, pd.Series]:
    """Agreement by tissue of one external cohort, and its comparison of groups of tissues."""
    model, blood, *reference = fitted()
    case = rng.permutation(np.arange(n_people) < 0.45 * n_people)
    seed = int(rng.integers(2**31))
    shift = np.exp2(np.random.default_rng(19).normal(size=N_GENES))
    external = ExternalCohort(
        expression(rng, case, effect)[BLOOD] * shift.astype(np.float32),
        list(model.genes.index),
        pd.DataFrame({"case": case}, index=[f"E{i:03d}" for i in range(n_people)]),
        Path("external"),
    )
    table, groups, _ = transfer_agreement(
        model, "ridge", external, blood, BLOOD, *reference, settings.with_(seed=seed)
    )
    return table.set_index("tissue"), groups.iloc[0]


@lru_cache
def truth(n_people: int, effect: float) -> pd.Series:
    """Mean over external cohorts of the agreement, by tissue."""
    rng, once = np.random.default_rng([6, n_people]), SETTINGS.with_(permutations=1)
    tables = [agreement(rng, n_people, effect, once)[0] for _ in range(N_TRUTH)]
    z = [fisher_z(table["rho_log2fc"].to_numpy(float)) for table in tables]
    return pd.Series(np.tanh(np.mean(z, 0)), tables[0].index)


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Yield intervals of a tissue that shows the disease and of one that does not; P values."""
    for name, effect in EFFECTS.items():
        table, groups = agreement(rng, n_donors, effect, SETTINGS)
        true = truth(n_donors, effect)
        for tissue in SHOWN:
            row = table.loc[tissue]
            yield Interval(f"rho: {tissue}, {name}", row["ci_low"], row["ci_high"], true[tissue])
            if not effect:
                yield Test(f"p: {tissue}", row["p"])
                limits = row["null_low"], row["null_high"]
                yield Interval(f"null band: {tissue}", *limits, row["rho_log2fc"])
        if not effect:
            high = groups["median_null_high"]
            yield Interval("null's upper end (97.5%), median", -1.0, high, groups["median"])
            for p in ("median_p", "permuted_p", "p_as_paper"):
                yield Test(p, groups[p])
    genes, _ = reference_of(reference_cohort(rng, n_donors, 0.0))
    gene = genes.iloc[int(rng.integers(len(genes)))]
    yield Test("p_reference, a gene", gene["p_reference"])
