from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from people import BLOOD, SameGene, five_donors

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.certificate import Certificate
from mtm.models.covariate_design import covariate_table
from mtm.predictions.answer_files import provenance
from mtm.predictions.answers import ask, speaks_of, targets_for, trust
from mtm.predictions.gene_overlap import GeneChoice, GeneOverlap
from mtm.predictions.samples import NewSamples, Source

EVERY = GeneChoice.every(7)
OVERLAP = GeneOverlap(7, 7, 7, 0)


class WithSd(SameGene):
    """Says 0.5 of who is predicted from the first row, 1 from the second, and so on."""

    own_sd = True

    def predict_with_sd(self, inputs, requests):
        sd = 0.5 * (1 + requests.source_rows[:, :1])
        sd = np.repeat(sd, len(self.genes), axis=1).astype(np.float32)
        return self.predict(inputs, requests), sd


def certificate(own_sd=False, sources=(BLOOD,)):
    of_genes = ("sd", "rho", "ci_low", "ci_high", "q", "expected_rho")
    reliability = np.full((4, 7), 2, np.uint8)
    reliability[1, :3] = 0
    return Certificate(
        sources=sources,
        levels=(0.5, 0.9),
        own_sd=own_sd,
        thresholds={},
        n_donors=np.full(4, 30, np.int32),
        quantiles=np.full((4, 3, 2), [1, 2], np.float32),
        tertile=np.zeros((4, 7), np.uint8),
        reliability=reliability,
        **{name: np.full((4, 7), 0.25, np.float32) for name in of_genes},
    )


@pytest.fixture
def cohort():
    return five_donors()


@pytest.fixture
def model(cohort):
    fitted = WithSd()
    fitted.fit(Training(cohort, source=3))
    return fitted


def samples_of(cohort, *given):
    """Samples by donor and tissue."""
    table = pd.DataFrame(given, columns=["donor", "tissue"])
    table.insert(0, "sample_id", [f"S{i}" for i in range(len(table))])
    sources = tuple(
        Source("new", tissue, np.flatnonzero(table["tissue"] == tissue), OVERLAP)
        for tissue in table["tissue"].unique()
    )
    return NewSamples(cohort.expr_tpm[: len(table)], table, sources)


def whole(answers, name):
    return np.concatenate([getattr(block, name) for block in answers.blocks()])


@pytest.mark.parametrize("own_sd", [False, True])
def test_intervals_are_the_certificate_s_times_the_model_s_own_sd(
    monkeypatch, cohort, model, own_sd
):
    model.certificate = certificate(own_sd)
    monkeypatch.setattr("mtm.predictions.answers.LARGEST_BLOCK", 2)
    samples = samples_of(cohort, ("a", BLOOD), ("b", BLOOD), ("c", BLOOD))
    answers, silent = ask(model, samples, ["Lung"], EVERY)
    assert silent == []
    assert [len(block.z) for block in answers.blocks()] == [2, 1]
    half = np.full((3, 7), 0.5) * (np.array([[0.5], [1], [1.5]]) if own_sd else 1)
    z, low, high = (whole(answers, name) for name in ("z", "low_z", "high_z"))
    np.testing.assert_allclose(high - z, half, rtol=1e-4)
    np.testing.assert_allclose(z - low, half, rtol=1e-4)
    lung = np.array([1])
    np.testing.assert_array_equal(whole(answers, "tpm"), model.scaler.inverse(z, lung))
    np.testing.assert_array_equal(whole(answers, "high_tpm"), model.scaler.inverse(high, lung))
    np.testing.assert_allclose(2 ** whole(answers, "log2") - 1, whole(answers, "tpm"), rtol=1e-4)
    rho, classes = answers.reliability(["Lung"])
    assert (rho == 0.25).all()
    assert list(classes[0]) == [0, 0, 0, 2, 2, 2, 2]


def test_a_model_of_several_sources_is_given_all_samples_but_the_target_s(cohort, model):
    samples = samples_of(
        cohort, ("b", "Lung"), ("a", BLOOD), ("b", BLOOD), ("c", "Lung"), ("a", "Testis")
    )
    answers, silent = ask(model, samples, ["Lung", "Testis"], EVERY)
    assert silent == []
    rows = answers.rows.astype(str).to_numpy().tolist()
    assert rows == [
        ["b", "S2", "Whole Blood", "Lung"],
        ["b", "S0;S2", "Lung;Whole Blood", "Testis"],
        ["a", "S4;S1", "Testis;Whole Blood", "Lung"],
        ["a", "S1", "Whole Blood", "Testis"],
        ["c", "S3", "Lung", "Testis"],
    ]
    expr_z = model.scaler.transform(samples.expr_tpm, np.array([1, 3, 3, 1, 2]))
    expected = [expr_z[2], expr_z[0] + expr_z[2], expr_z[1] + expr_z[4], expr_z[1], expr_z[3]]
    np.testing.assert_allclose(whole(answers, "z"), expected, rtol=1e-5, atol=1e-5)


def test_covariates_are_the_person_s_but_for_those_of_the_sample_itself(cohort, model):
    samples = samples_of(cohort, ("a", "Lung"), ("b", "Lung"), ("a", BLOOD), ("b", BLOOD))
    traits = {"sex": [1, 2, np.nan, 2], "age": [np.nan, 50, 60, 50], "rin": [5, np.nan, 9, 8],
              "dose": [1, 2, 3, 4]}  # fmt: skip
    samples = replace(samples, table=samples.table.assign(**traits))
    inputs = ask(model, samples, ["Testis"], EVERY)[0].inputs
    found = covariate_table(inputs, np.array([0, 1, 2, 3]), [*traits])
    assert found["sex"].tolist() == [1, 2, 1, 2]
    assert found["age"].tolist() == [60, 50, 60, 50]
    np.testing.assert_array_equal(found["rin"], traits["rin"])
    np.testing.assert_array_equal(found["dose"], traits["dose"])


def test_a_person_is_of_one_sex_and_an_age_told_once_is_that_of_all_samples(cohort, model):
    samples = samples_of(cohort, ("a", BLOOD), ("a", "Lung"), ("b", BLOOD), ("b", "Lung"))
    ages = samples.table.assign(age=[np.nan, 60, 50, 51])
    inputs = ask(model, replace(samples, table=ages), ["Testis"], EVERY)[0].inputs
    assert covariate_table(inputs, np.arange(4), ["age"])["age"].tolist() == [60, 60, 50, 51]
    sexes = samples.table.assign(sex=[1, 1, 2, 1])
    with pytest.raises(InputError, match="samples of b, sex: found 2 and 1"):
        ask(model, replace(samples, table=sexes), ["Testis"], EVERY)


def test_a_model_of_one_source_uses_it_alone(cohort, model):
    model.several_sources = False
    samples = samples_of(cohort, ("a", BLOOD), ("a", "Lung"), ("b", "Lung"))
    assert targets_for(model, samples, None) == ["Artery - Aorta", "Lung", "Testis"]
    answers, silent = ask(model, samples, ["Lung", "Testis"], EVERY)
    assert silent == ["b"]
    assert set(answers.rows["source"]) == {BLOOD}
    with pytest.raises(InputError, match="other than the source"):
        targets_for(model, samples, [BLOOD])


def test_targets(cohort, model):
    one = samples_of(cohort, ("a", BLOOD), ("b", BLOOD))
    assert targets_for(model, one, ["all"]) == ["Artery - Aorta", "Lung", "Testis"]
    assert targets_for(model, one, ["Testis", "Lung", "Testis"]) == ["Testis", "Lung"]
    with pytest.raises(InputError, match="other than the source"):
        targets_for(model, one, [BLOOD])
    two = samples_of(cohort, ("a", BLOOD), ("b", "Lung"))
    assert targets_for(model, two, None) == list(model.tissues)
    with pytest.raises(InputError, match="'Spleen'"):
        targets_for(model, one, ["Spleen"])
    lung = samples_of(cohort, ("a", "Lung"))
    model.several_sources = False
    with pytest.raises(InputError, match="no sample to tell a target from"):
        ask(model, lung, ["Testis"], EVERY)


def test_a_certificate_speaks_of_its_own_sources_and_of_more_where_the_sd_says_so(cohort, model):
    samples = samples_of(cohort, ("a", BLOOD), ("a", "Testis"), ("b", BLOOD), ("c", "Testis"))
    for own_sd, expected in ((False, [False, True, False]), (True, [True, True, False])):
        model.certificate = certificate(own_sd)
        answers, _ = ask(model, samples, ["Lung"], EVERY)
        assert answers.certified.tolist() == expected
        assert np.isfinite(whole(answers, "low_z")).all(1).tolist() == expected
        assert ("alone gives" in trust(answers)) == own_sd
    model.certificate = certificate(sources=(BLOOD, "Testis"))
    assert not speaks_of(model, BLOOD)
    assert "from Whole Blood, Testis" in trust(ask(model, samples, ["Lung"], EVERY)[0])
    model.certificate = None
    assert "has no certificate" in trust(ask(model, samples, ["Lung"], EVERY)[0])


def test_genes_that_are_not_reliable_are_not_told(cohort, model):
    model.certificate = certificate()
    samples = samples_of(cohort, ("a", BLOOD), ("b", "Testis"))
    choice = EVERY.least(model.certificate, "moderate")
    answers, _ = ask(model, samples, ["Lung", "Artery - Aorta"], choice)
    told = np.isfinite(whole(answers, "tpm"))
    assert told[0].tolist() == [False] * 3 + [True] * 4
    assert told[1].all()
    # Of whom the certificate does not speak.
    assert not told[2:].any()
    with pytest.raises(InputError, match="at most 0.25"):
        EVERY.least(model.certificate, "0.3")


def test_genes_that_are_reliable_elsewhere_alone_are_no_genes_of_the_answer(cohort, model):
    model.certificate = certificate()
    choice = EVERY.least(model.certificate, "moderate")
    samples = samples_of(cohort, ("a", BLOOD), ("b", "Testis"))
    answers, _ = ask(model, samples, ["Lung"], choice)
    assert list(answers.genes.index) == list(model.genes.index[3:])
    assert answers.n_told.tolist() == [4, 0]
    # All genes of other tissues are reliable, and nobody is certified there.
    with pytest.raises(InputError, match="samples of Testis alone.*predictions from Whole Blood"):
        ask(model, samples_of(cohort, ("b", "Testis")), ["Lung"], choice)
    model.certificate.reliability[1] = 0
    choice = EVERY.least(model.certificate, "moderate")
    with pytest.raises(InputError, match="no such gene of Lung.*at most 0.25 expected"):
        ask(model, samples, ["Lung"], choice)


def test_what_a_cut_form_is_told_to_be_worth_is_said_to_be_another_s(cohort, model):
    model.certificate = certificate()
    samples = samples_of(cohort, ("a", BLOOD))
    model.provenance.notes["shareable"] = {"axes": 5, "of_axes": 5, "rms_error_z": 1e-7}
    assert "made from" not in trust(ask(model, samples, ["Lung"], EVERY)[0])
    model.provenance.notes["shareable"] = {"axes": 2, "of_axes": 5, "rms_error_z": 0.3}
    answers = ask(model, samples, ["Lung"], EVERY)[0]
    said = "of the model that this form was made from (2 of 5 axes are left), not measured again"
    assert said in trust(answers)
    assert provenance(model, None, ())["cut"] == "2 of 5 axes are left"
