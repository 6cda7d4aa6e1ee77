"""The average of models: its prediction, its scale, its bundle, its donors."""

from dataclasses import replace

import numpy as np
import pytest

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.bundle import write_bundle
from mtm.models.donors import DonorsKey
from mtm.models.ensemble import _weights
from mtm.models.inner_folds import inner_folds
from mtm.models.joint.model import Joint
from mtm.models.registry import build, load
from mtm.models.requests import held_out_requests, without_missing

SOURCE = "Whole Blood"
KEY = DonorsKey(b"of these tests")


def trained(name, parameters, cohort, path, **given):
    model = build(name, parameters)
    training = Training(cohort, cohort.tissue_index(SOURCE), device="cpu", donors_key=KEY, **given)
    table = model.fit(training)
    model.save(path, KEY)
    return model, table


@pytest.fixture
def members(cohort, tmp_path):
    """Two models and their bundles; the second is on the other scale."""
    made = {
        "first": trained("ridge", {}, cohort, tmp_path / "first")[0],
        "second": trained("same_gene", {"scale": "tpm_z"}, cohort, tmp_path / "second")[0],
    }
    return made, {name: tmp_path / name for name in made}


def test_it_is_the_mean_of_predictions_on_its_scale(cohort, members, tmp_path):
    made, bundles = members
    model, table = trained(
        "average", {"models": list(made)}, cohort, tmp_path / "average", members=bundles
    )
    assert list(table) == ["epoch"]
    requests, _ = held_out_requests(cohort, cohort.donors.index, SOURCE)
    first, second = (member.predict(cohort, requests) for member in made.values())
    second_tpm = made["second"].scaler.inverse(second, requests.target)
    on_log2 = made["first"].scaler.transform(second_tpm, requests.target)
    assert np.abs(on_log2 - second).max() > 0.1
    predicted = model.predict(cohort, requests)
    np.testing.assert_allclose(predicted, (first + on_log2) / 2, atol=1e-5)

    # Its bundle needs none of theirs.
    for path in bundles.values():
        path.unlink()
    loaded = load(tmp_path / "average")
    np.testing.assert_array_equal(loaded.predict(cohort, requests), predicted)


def test_an_average_may_be_averaged(cohort, members, tmp_path):
    made, bundles = members
    inner = tmp_path / "inner"
    trained("average", {"models": list(made)}, cohort, inner, members=bundles)
    bundles = {"inner": inner, "first": bundles["first"]}
    trained("average", {"models": list(bundles)}, cohort, tmp_path / "outer", members=bundles)
    requests, _ = held_out_requests(cohort, cohort.donors.index, SOURCE)
    expected = (
        load(inner).predict(cohort, requests) + made["first"].predict(cohort, requests)
    ) / 2
    np.testing.assert_allclose(
        load(tmp_path / "outer").predict(cohort, requests), expected, atol=1e-6
    )


def test_members_of_other_donors_are_refused(cohort, members, tmp_path):
    _, bundles = members
    fewer = cohort.of_donors(cohort.donors.index[2:])
    with pytest.raises(InputError, match="the 22 donors of the other members"):
        trained("average", {"models": list(bundles)}, fewer, tmp_path / "x", members=bundles)


@pytest.mark.parametrize("name", ["average", "ensemble"])
def test_a_member_that_can_leaves_out_genes_that_samples_lack(cohort, tmp_path, name):
    joint = {"n_factors": 2, "noise_freedom": 0, "noise_rank": 2, "fits": 1, "iterations": 5}
    made = {
        "ridge": trained("ridge", {}, cohort, tmp_path / "ridge")[0],
        "joint": trained("joint", joint, cohort, tmp_path / "joint")[0],
    }
    bundles = {member: tmp_path / member for member in made}
    model, _ = trained(name, {"models": list(made)}, cohort, tmp_path / name, members=bundles)
    assert model.takes_missing
    assert model.completed == ("ridge",)
    assert not model.several_sources
    requests, _ = held_out_requests(cohort, cohort.donors.index, SOURCE)
    sources = np.unique(requests.source_rows)
    lacking, completed = cohort.expr_tpm.copy(), cohort.expr_tpm.copy()
    lacking[np.ix_(sources, [1, 3])] = np.nan
    mean_tpm = made["ridge"].scaler.mean_tpm(cohort.tissue_index(SOURCE))
    completed[np.ix_(sources, [1, 3])] = mean_tpm[[1, 3]]
    lacking, completed = (replace(cohort, expr_tpm=values) for values in (lacking, completed))
    told = made["ridge"].predict(completed, requests), made["joint"].predict(lacking, requests)
    assert np.abs(told[1] - made["joint"].predict(completed, requests)).max() > 1e-3
    weights = getattr(model, "weights", np.full((len(cohort.tissues), 2), 0.5))
    expected = sum(weights[requests.target, [i], None] * told[i] for i in range(2))
    np.testing.assert_allclose(model.predict(lacking, requests), expected, atol=1e-5)


def test_a_member_that_sees_ranks_ranks_the_genes_there_are(cohort, tmp_path):
    made = {
        name: trained("ridge", {"inputs": name}, cohort, tmp_path / name)[0]
        for name in ("z", "ranks")
    }
    bundles = {name: tmp_path / name for name in made}
    model, _ = trained(
        "average", {"models": list(made)}, cohort, tmp_path / "average", members=bundles
    )
    requests, _ = held_out_requests(cohort, cohort.donors.index[:6], SOURCE)
    lacking = cohort.expr_tpm.copy()
    lacking[np.ix_(np.unique(requests.source_rows), [1, 3])] = np.nan
    lacking = replace(cohort, expr_tpm=lacking)
    told = [
        made["z"].predict(*without_missing(made["z"], lacking, requests)),
        made["ranks"].predict(lacking, requests),
    ]
    np.testing.assert_allclose(model.predict(lacking, requests), np.mean(told, 0), atol=1e-5)
    assert (model.given_missing, model.completed) == (True, ("z",))


def test_a_tissue_that_only_donors_left_out_have_does_not_spoil_the_weights(cohort, tmp_path):
    training = Training(cohort, cohort.tissue_index(SOURCE), device="cpu")
    _, left_out = next(inner_folds(training, 5))
    rare = cohort.tissue_index("Lung")
    kept = (cohort.tissue != rare) | cohort.donors.index.isin(left_out)[cohort.donor]
    assert 2 <= (cohort.tissue[kept] == rare).sum() <= len(left_out)
    cohort = replace(
        cohort, expr_tpm=cohort.expr_tpm[kept], samples=cohort.samples[kept],
        donor=cohort.donor[kept], tissue=cohort.tissue[kept],
    )  # fmt: skip
    for name in ("ridge", "same_gene"):
        trained(name, {}, cohort, tmp_path / name)
    bundles = {name: tmp_path / name for name in ("ridge", "same_gene")}
    parameters = {"models": list(bundles), "inner_fits": 1}
    model, table = trained("ensemble", parameters, cohort, tmp_path / "e", members=bundles)
    assert np.isfinite(model.weights).all()
    assert table.set_index("tissue").loc["Lung", "n"] == 0


def test_members_that_are_seeds_of_one_model_are_fitted_again_with_their_own(cohort, tmp_path):
    small = {"n_factors": 2, "noise_freedom": 0, "noise_rank": 2, "fits": 1, "iterations": 5}
    bundles = {name: tmp_path / name for name in ("joint", "joint_seed7")}
    for name, seed in zip(bundles, (0, 7), strict=True):
        trained("joint", small, cohort, bundles[name], seed=seed)
    parameters = {"models": list(bundles), "inner_fits": 1}
    again = []
    fit = Joint.fit

    def noted(model, training):
        again.append(training.seed)
        return fit(model, training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Joint, "fit", noted)
        trained("ensemble", parameters, cohort, tmp_path / "e", members=bundles)
    assert again == [0, 7]


def test_a_tissue_that_no_donor_left_out_tells_has_the_weights_of_all():
    rng = np.random.default_rng(0)
    told, observed = rng.normal(size=(2, 50)), rng.normal(size=50)
    observed += told.sum(0)
    squares, products = np.zeros((2, 2, 2)), np.zeros((2, 2))
    squares[0], products[0] = told @ told.T, told @ observed
    weights = _weights(squares, products, np.array([50, 0]), common_samples=0)
    np.testing.assert_allclose(weights[1], weights[0])
    assert weights[0].min() > 0.5


def test_members_whose_names_run_into_each_others_arrays_are_refused(cohort, members, tmp_path):
    made, bundles = members
    model, _ = trained(
        "average", {"models": list(made)}, cohort, tmp_path / "average", members=bundles
    )
    names = {"first": "first", "second": "first/x"}
    header, arrays = model.header(), model.arrays()
    header["members"] = {names[name]: member for name, member in header["members"].items()}
    header["parameters"]["models"] = list(names.values())
    arrays = {key.replace("/second/", "/first/x/"): array for key, array in arrays.items()}
    write_bundle(tmp_path / "average", header, arrays)
    with pytest.raises(InputError, match="members: found 'first/x'"):
        load(tmp_path / "average")


def test_members_of_two_scales_put_each_its_own_mean_where_genes_lack(cohort, tmp_path):
    made = {
        scale: trained("ridge", {"scale": scale}, cohort, tmp_path / scale)[0]
        for scale in ("log2_z", "tpm_z")
    }
    bundles = {name: tmp_path / name for name in made}
    model, _ = trained("average", {"models": list(made)}, cohort, tmp_path / "a", members=bundles)
    requests, _ = held_out_requests(cohort, cohort.donors.index[:6], SOURCE)
    lacking = cohort.expr_tpm.copy()
    lacking[np.ix_(np.unique(requests.source_rows), [1, 3])] = np.nan
    lacking = replace(cohort, expr_tpm=lacking)
    first, second = (
        member.predict(*without_missing(member, lacking, requests)) for member in made.values()
    )
    second_tpm = made["tpm_z"].scaler.inverse(second, requests.target)
    on_log2 = made["log2_z"].scaler.transform(second_tpm, requests.target)
    assert model.given_missing
    np.testing.assert_allclose(model.predict(lacking, requests), (first + on_log2) / 2, atol=1e-5)
