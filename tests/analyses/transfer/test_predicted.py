"""What differs in predicted tissues: people who came twice, designs that cannot be told."""

from copy import copy
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import mtm
from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.predicted import CHANGE, GENES, TISSUES, predicted_differences
from mtm.analyses.transfer.predicting import predicted_tissues, to_bundle, to_training
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.settings.transfer import TransferSettings

BLOOD, N_GENES, N_STATES, N_TRAINING, N = "Whole Blood", 60, 8, 150, 58
CHANGED = [f"Changed {i}" for i in range(5)]
NAMES = (*CHANGED, *(f"Other {i}" for i in range(5)), BLOOD)
QUICK = TransferSettings(permutations=199, alignments=("log2",))


def expression(states, tissue, noise, seed):
    """TPM by states of people; the disease's state, the first, does not reach other tissues."""
    fixed = np.random.default_rng([5, NAMES.index(tissue)])
    loading, base = fixed.normal(size=(N_STATES, N_GENES)), fixed.uniform(4, 7, N_GENES)
    if tissue.startswith("Other"):
        loading[0] = 0
    rng = np.random.default_rng(seed)
    return np.exp2(base + 0.4 * states @ loading + noise * rng.normal(size=(len(states), N_GENES)))


@pytest.fixture(scope="module")
def fitted():
    states = np.random.default_rng(1).normal(size=(N_TRAINING, N_STATES))
    ids = pd.Index([f"D{i:03d}" for i in range(N_TRAINING)], name="donor")
    values = [expression(states, tissue, 0.2, [2, i]) for i, tissue in enumerate(NAMES)]
    genes = pd.Index([f"ENSG{i:011d}.1" for i in range(N_GENES)], name="gene_id")
    cohort = Cohort(
        expr_tpm=np.concatenate(values).astype(np.float32),
        samples=pd.DataFrame(index=[f"{d}-{t}" for t in NAMES for d in ids]),
        donor=np.tile(np.arange(N_TRAINING), len(NAMES)),
        tissue=np.repeat(np.arange(len(NAMES)), N_TRAINING),
        donors=pd.DataFrame(index=ids),
        tissues=NAMES,
        genes=pd.DataFrame({"symbol": genes}, index=genes),
    )
    model = build("ridge", {"scale": "log2_z"})
    model.fit(Training(cohort, cohort.tissue_index(BLOOD), device="cpu"))
    return model, values[-1]


def people(model, change=0.35, seed=7):
    """Cases and controls twice: only the cases' first state moves, less than people differ by."""
    rng = np.random.default_rng(seed)
    case = rng.permutation(np.arange(N) < 25)
    first = rng.normal(size=(N, N_STATES))
    later = first + 0.2 * rng.normal(size=first.shape)
    later[:, 0] += change * case
    tpm = np.concatenate(
        [expression(states, BLOOD, 0.1, [seed, i]) for i, states in enumerate((first, later))]
    )
    tpm *= np.exp2(rng.normal(size=N_GENES))
    samples = pd.DataFrame(
        {"case": np.tile(case, 2), "donor": np.tile([f"P{i}" for i in range(N)], 2),
         "visit": np.repeat(["kept", "follow-up"], N), "sex": np.tile(rng.integers(1, 3, N), 2),
         "age": np.tile(rng.integers(30, 70, N), 2)},
        index=[f"S{i}" for i in range(2 * N)],
    )  # fmt: skip
    return ExternalCohort(tpm.astype(np.float32), list(model.genes.index), samples, Path("x"))


def differences(fitted, external, **changes):
    model, blood = fitted
    align = to_training(blood, "log2")
    return predicted_differences(
        model, "ridge", external, align, BLOOD, QUICK.with_(**changes)
    )  # fmt: skip


def test_change_within_people_is_found_where_groups_alone_show_nothing(fitted):
    table, genes = differences(fitted, people(fitted[0]))
    assert list(table) == TISSUES
    assert list(genes) == GENES
    of = {name: part.set_index("tissue") for name, part in table.groupby("comparison")}
    assert set(of) == {"kept", "follow-up", "change"}
    assert (of[CHANGE].loc[CHANGED, "q"] < 0.05).all()
    assert set(of[CHANGE].drop(BLOOD).sort_values("rank").index[:5]) == set(CHANGED)
    for unpaired in ("kept", "follow-up"):
        assert (of[unpaired].loc[CHANGED, "q"] > 0.05).all()
    assert (of[CHANGE]["n_cases"] == 25).all()
    key = ["comparison", "tissue"]
    counts = table.set_index(key)[["n_cases", "n_controls"]]
    rows = genes.set_index(key)[["n_cases", "n_controls"]]
    pd.testing.assert_frame_equal(rows, counts.loc[rows.index])
    assert (of[CHANGE]["covariates"] == "sex, age").all()
    found = of[CHANGE].loc[CHANGED]
    assert (found["ci_low"] > 0).all()
    told = found["n_as_source"] + found["n_beyond_source"]
    assert (told == found["n_up"] + found["n_down"]).all()
    assert np.isnan(of[CHANGE].loc[BLOOD, "q"])
    part = genes[(genes["comparison"] == CHANGE) & (genes["tissue"] == CHANGED[0])]
    assert ((part["ci_low"] < part["log2fc"]) & (part["log2fc"] < part["ci_high"])).all()


def test_nothing_is_found_where_nothing_changes(fitted):
    table, _ = differences(fitted, people(fitted[0], change=0.0, seed=11))
    targets = table[(table["comparison"] == CHANGE) & (table["role"] == "target")]
    assert (targets["q"] > 0.05).all()


@pytest.mark.parametrize("method", ["shift", "combat", "none"])
def test_people_are_predicted_as_by_mtm_predict(fitted, tmp_path, method):
    model, blood = fitted
    external = people(model).kept()
    few = replace(external, expr_tpm=external.expr_tpm[:, 4:], gene_ids=external.gene_ids[4:])
    model.save(tmp_path / "ridge.safetensors")
    data = anndata.AnnData(few.expr_tpm, few.samples[[]], pd.DataFrame(index=few.gene_ids))
    told = mtm.load(tmp_path / "ridge.safetensors").predict(data, source=BLOOD, align=method)
    for align in (to_bundle(method), to_training(blood, method)):
        for tissue, values in predicted_tissues(model, few, align, BLOOD, 0.8):
            if tissue != BLOOD:
                expected = told[told.obs["target"] == tissue].X
                np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_many_people_are_aligned_alike_by_a_bundle_and_by_training_samples(fitted):
    model, blood = fitted
    external = people(model).kept()
    (_, by_bundle), (_, by_samples) = (
        next(predicted_tissues(model, external, align, BLOOD, 0.8))
        for align in (to_bundle("combat"), to_training(blood, "log2"))
    )
    apart = np.log2(1 + by_bundle) - np.log2(1 + by_samples)
    assert np.abs(apart.mean(0)).max() < 0.15
    assert np.abs(apart).mean() < 0.1


def test_a_model_that_can_is_told_nothing_of_genes_that_a_series_lacks(fitted):
    model, _ = fitted
    seen = []

    class Leaves(type(model)):
        takes_missing = True

        def predict(self, inputs, requests):
            seen.append(np.isnan(inputs.expr_tpm).mean(0) == 1)
            return np.zeros((len(requests), len(self.genes)), np.float32)

    leaves = copy(model)
    leaves.__class__ = Leaves
    external = people(model).kept()
    few = replace(external, expr_tpm=external.expr_tpm[:, 4:], gene_ids=external.gene_ids[4:])
    (_, source), *_ = predicted_tissues(leaves, few, to_bundle("shift"), BLOOD, 0.8)
    assert all((lacks == (np.arange(N_GENES) < 4)).all() for lacks in seen)
    assert seen
    # Nothing is made up for the sampled tissue either.
    assert (np.isnan(source).any(0) == (np.arange(N_GENES) < 4)).all()


def test_the_source_is_compared_over_the_genes_that_a_series_has(fitted):
    external = people(fitted[0])
    few = replace(external, expr_tpm=external.expr_tpm[:, 24:], gene_ids=external.gene_ids[24:])
    table, genes = differences(fitted, few, min_gene_overlap=0.5)
    table, genes = (part[part["comparison"] == "change"] for part in (table, genes))
    source = genes[genes["tissue"] == BLOOD].set_index("gene_id")
    assert set(source.index) == set(fitted[0].genes.index[24:])
    rows = table.set_index("tissue").drop(BLOOD)
    assert rows["n_as_source"].sum() > 0
    for tissue, row in rows.iterrows():
        both = genes[genes["tissue"] == tissue].set_index("gene_id").join(
            source, rsuffix="_source", how="inner"
        )  # fmt: skip
        found = both["q"] < 0.05
        same = (both["q_source"] < 0.05) & (both["log2fc"] * both["log2fc_source"] > 0)
        assert row["n_as_source"] == (found & same).sum()
        assert row["n_beyond_source"] == (found & ~same).sum()
        rho = np.corrcoef(both["log2fc"], both["log2fc_source"])[0, 1]
        assert row["rho_source"] == pytest.approx(rho, abs=1e-5)


def test_groups_that_are_the_sexes_and_too_few_people_are_left_out(fitted):
    external = people(fitted[0]).kept()
    external.samples["sex"] = 1 + external.samples["case"].astype(int)
    with pytest.raises(CannotDo, match="cannot be told from sex and age"):
        differences(fitted, external)
    both = people(fitted[0])
    few = both.of(np.r_[:N, N : N + 6])
    table, _ = differences(fitted, few, min_per_group=10)
    skipped = table[table["status"] == "skipped"]
    assert set(skipped["comparison"]) == {"follow-up", "change"}
    assert skipped["reason"].str.contains("fewer than 10").all()


def test_missing_sex_and_age_are_counted_as_such(fitted):
    external = people(fitted[0])
    external.samples.loc[external.samples.index[[0, N]], "age"] = np.nan
    external.samples.loc[external.samples.index[[3, N + 3]], "sex"] = np.nan
    table, _ = differences(fitted, external)
    assert (table["covariates"] == "sex, age").all()
    assert table["p"].notna().all()
