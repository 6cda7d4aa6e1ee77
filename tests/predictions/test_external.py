"""People from elsewhere joined to the training donors, and predicted from their blood alone."""

import anndata
import numpy as np
import pandas as pd
import pytest
from elsewhere import BLOOD, GENES, Elsewhere, fitted, joined

from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import NEVER_HELD_OUT, read_folds
from mtm.errors import InputError
from mtm.predictions.alignment import align_moments
from mtm.predictions.external import People, predict_external


@pytest.fixture
def training(tmp_path):
    return Elsewhere(tmp_path, "A", 40, seed=2)


@pytest.fixture
def external(tmp_path):
    return Elsewhere(tmp_path, "B", 12, seed=3, shift=1.0)


def predictions(paths, model, alignment):
    cohort = Cohort.read(*paths[:2])
    folds = read_folds(paths[2])
    donors = folds.index[folds == 0]
    requests, rows, blocks = predict_external(model, cohort, donors, BLOOD, alignment)
    return cohort, requests, rows, np.concatenate(list(blocks))


def test_joined_files_are_those_of_a_cohort(tmp_path, training, external):
    paths, tissues = joined(tmp_path, training.people(), external.people())
    cohort, folds = Cohort.read(*paths[:2]), read_folds(paths[2])
    assert list(tissues["status"]) == ["ran", "ran"]
    assert cohort.n_samples == len(training.obs) + len(external.obs)
    assert set(folds.index[folds == 0]) == set(external.donors["donor"])
    assert (folds[training.donors["donor"]] == NEVER_HELD_OUT).all()
    written = pd.DataFrame(cohort.expr_tpm, index=cohort.samples.index)
    for side in (training, external):
        np.testing.assert_array_equal(written.loc[side.obs.index], side.expr_tpm)


def test_external_targets_never_reach_a_prediction(tmp_path, training, external):
    model = fitted(training.cohort())
    before = {}
    for alignment in ("none", "log2"):
        paths, _ = joined(tmp_path, training.people(), external.people())
        before[alignment] = predictions(paths, model, alignment)[3]
    targets = (external.obs["tissue"] != BLOOD).to_numpy()
    external.expr_tpm[targets] = 7 * external.expr_tpm[targets][::-1] + 3
    external.write()
    paths, _ = joined(tmp_path, training.people(), external.people())
    for alignment, values in before.items():
        np.testing.assert_array_equal(predictions(paths, model, alignment)[3], values)
    # A shift of log2(1+TPM) alike in all is what alignment takes away.
    external.expr_tpm[~targets] = 2 * external.expr_tpm[~targets] + 1
    external.write()
    paths, _ = joined(tmp_path, training.people(), external.people())
    assert not np.allclose(predictions(paths, model, "none")[3], before["none"])
    np.testing.assert_allclose(predictions(paths, model, "log2")[3], before["log2"], atol=1e-3)


def test_donors_of_the_training_are_refused_by_name(tmp_path, training, external):
    model = fitted(training.cohort())
    external.obs["donor"] = external.obs["donor"].replace("B-003", "A-007")
    external.donors["donor"] = external.donors["donor"].replace("B-003", "A-007")
    external.write()
    with pytest.raises(InputError, match="1 donors of the training cohort: A-007"):
        joined(tmp_path, training.people(), external.people())
    assert not (tmp_path / "joined.h5ad").exists()
    # The same people under files that say otherwise: the bundle itself knows whom it has seen.
    outside, inside = training.people().split("center", ["C1"])
    paths, _ = joined(tmp_path, outside, inside)
    with pytest.raises(InputError, match="8 of the external donors among its training donors: A"):
        predictions(paths, model, "none")


def test_tissues_without_training_or_with_few_donors_are_skipped_with_a_reason(tmp_path, training):
    tissues = ("Liver", "Lung", "Moon", BLOOD)
    external = Elsewhere(tmp_path, "B", 12, seed=3, tissues=tissues)
    few = (external.obs["tissue"] == "Liver") & (external.obs["donor"] > "B-003")
    external.obs = external.obs[~few]
    external.expr_tpm = external.expr_tpm[~few.to_numpy()]
    external.write()
    paths, table = joined(tmp_path, training.people(), external.people())
    table = table.set_index("tissue")
    assert list(table.index[table["status"] == "ran"]) == ["Lung"]
    assert table.loc["Moon", "reason"] == "no training sample of this tissue"
    n = table.loc["Liver", "n_pairs"]
    expected = f"{n} external donors with it and Whole Blood, fewer than 5"
    assert n < 5
    assert table.loc["Liver", "reason"] == expected
    assert Cohort.read(*paths[:2]).tissues == ("Lung", BLOOD)


def test_people_without_a_tissue_to_score_are_joined_with_their_source_alone(tmp_path, training):
    external = Elsewhere(tmp_path, "B", 12, seed=3)
    paths, table = joined(tmp_path, training.people(), external.people(), min_donors=13)
    assert (table["status"] == "skipped").all()
    assert table["reason"].str.endswith("fewer than 13").all()
    assert Cohort.read(*paths[:2]).tissues == (BLOOD,)
    alone = Elsewhere(tmp_path, "D", 12, seed=3, tissues=(BLOOD,))
    _, table = joined(tmp_path, training.people(), alone.people())
    assert table[["tissue", "n_pairs", "n_genes"]].to_numpy().tolist() == [["", 0, 40]]
    assert table["reason"].tolist() == ["no external sample but of Whole Blood"]
    # None has the source, as at a site that takes no blood.
    alone = Elsewhere(tmp_path, "E", 12, seed=3, tissues=("Liver", "Lung"))
    _, table = joined(tmp_path, training.people(), alone.people())
    assert table["reason"].str.startswith("0 external donors with it and Whole Blood").all()


def test_a_tissue_of_few_training_samples_is_skipped(tmp_path, training, external):
    lung = np.flatnonzero(training.obs["tissue"] == "Lung")
    kept = np.delete(np.arange(len(training.obs)), lung[1:])
    training.obs, training.expr_tpm = training.obs.iloc[kept], training.expr_tpm[kept]
    training.write()
    _, table = joined(tmp_path, training.people(), external.people())
    table = table.set_index("tissue")
    assert table["status"].to_dict() == {"Liver": "ran", "Lung": "skipped"}
    expected = "1 training samples of this tissue, fewer than 5"
    assert table.loc["Lung", "reason"] == expected


def test_genes_are_matched_without_versions_and_absent_ones_are_not_scored(tmp_path, training):
    found = tuple(gene.split(".")[0] for gene in GENES[:36])
    external = Elsewhere(tmp_path, "B", 12, seed=3, genes=found)
    paths, table = joined(tmp_path, training.people(), external.people())
    assert (table["n_genes"] == 36).all()
    model = fitted(training.cohort())
    cohort, _, _, values = predictions(paths, model, "none")
    assert list(cohort.genes.index) == list(GENES[:36])
    assert values.shape[1] == 36
    with pytest.raises(InputError, match=r"36 of the model's 40 genes \(90.0%\)"):
        joined(tmp_path, training.people(), external.people(), min_gene_overlap=0.95)


def test_aligned_prediction_is_that_of_the_aligned_sample(tmp_path, training, external):
    paths, _ = joined(tmp_path, training.people(), external.people())
    model = fitted(training.cohort(), "same_gene")
    cohort, requests, rows, values = predictions(paths, model, "log2")
    is_blood = (external.obs["tissue"] == BLOOD).to_numpy()
    reference = training.expr_tpm[(training.obs["tissue"] == BLOOD).to_numpy()]
    aligned = align_moments(external.expr_tpm[is_blood], reference, "log2")
    source = model.tissues.index(BLOOD)
    expr_z = model.scaler.transform(aligned, np.full(len(aligned), source))
    of_donor = dict(zip(external.obs["donor"][is_blood], expr_z, strict=True))
    expected = [of_donor[cohort.donors.index[cohort.donor[row]]] for row in rows]
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert [cohort.tissues[t] for t in requests.target] == [
        cohort.tissues[t] for t in cohort.tissue[rows]
    ]


def test_covariates_that_the_external_people_lack_are_missing(tmp_path, training, external):
    model = fitted(training.cohort(), "covariates")
    external.obs = external.obs.drop(columns="center")
    external.write()
    paths, _ = joined(tmp_path, training.people(), external.people())
    cohort, _, rows, values = predictions(paths, model, "none")
    sex = cohort.donors["sex"].to_numpy()[cohort.donor[rows]]
    liver = cohort.tissue[rows] == cohort.tissues.index("Liver")
    for code in (1, 2):
        alike = values[liver & (sex == code)]
        np.testing.assert_allclose(alike, alike[:1].repeat(len(alike), 0), atol=1e-6)


def test_a_part_of_the_cohort_is_all_donors_with_a_sample_of_it(training):
    training.obs.loc["A-004|Lung", "center"] = "C1"
    training.write()
    outside, inside = training.people().split("center", ["C1"])
    assert "A-004" in inside.donors.index
    assert set(outside.samples["center"]) == {"B1"}
    assert len(outside.samples) + len(inside.samples) == len(training.obs)
    _, women = training.people().split("sex", ["2"])
    assert set(women.donors["sex"]) == {2}
    with pytest.raises(InputError, match="'D9', which no sample has"):
        training.people().split("center", ["C1", "D9"])
    with pytest.raises(InputError, match="'centre'"):
        training.people().split("centre", ["C1"])


def test_a_part_is_named_by_a_code_of_eight_digits(training):
    first = training.obs["center"] == "C1"
    training.obs["batch"] = np.where(first, 20180312, 20180315)
    training.write()
    outside, inside = training.people().split("batch", ["20180312"])
    assert set(inside.samples["batch"]) == {20180312}
    assert set(outside.samples["batch"]) == {20180315}


def test_a_part_of_the_cohort_is_joined_as_another_cohort_of_the_same_people(tmp_path, training):
    outside, inside = training.people().split("center", ["C1"])
    halves = [
        People.read(*training.part(name, people.donors.index))
        for name, people in (("out", outside), ("in", inside))
    ]
    written = []
    for sides in ((outside, inside), halves):
        paths, tissues = joined(tmp_path, *sides)
        cohort = Cohort.read(*paths[:2])
        written.append(
            (cohort.expr_tpm, cohort.samples, cohort.donors, read_folds(paths[2]), tissues)
        )
    np.testing.assert_array_equal(written[0][0], written[1][0])
    for one, other in zip(written[0][1:3], written[1][1:3], strict=True):
        pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_series_equal(written[0][3], written[1][3])
    pd.testing.assert_frame_equal(written[0][4], written[1][4])


def test_joined_file_is_an_anndata(tmp_path, training, external):
    paths, _ = joined(tmp_path, training.people(), external.people())
    data = anndata.read_h5ad(paths[0])
    assert data.uns["scale"] == "tpm"
    assert list(data.obs) == ["donor", "tissue", "center"]
