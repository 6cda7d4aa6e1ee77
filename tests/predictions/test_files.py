import anndata
import numpy as np
import pytest
from people import BLOOD, TISSUES, SameGene, five_donors

from mtm.models.base import Training
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.predictions.files import write_predictions


@pytest.fixture
def cohort():
    return five_donors()


@pytest.fixture
def model(cohort):
    fitted = SameGene()
    fitted.fit(Training(cohort, source=3))
    return fitted


@pytest.mark.parametrize("block", [1, 2, 100])
def test_prediction_file_round_trip(tmp_path, cohort, model, block):
    requests, rows = held_out_requests(cohort, ["D0", "D4"], BLOOD, "others")
    path, starts = tmp_path / "fold1.h5ad", range(0, 5, block)
    sds = [np.arange(35, dtype=np.float32).reshape(5, 7)[a : a + block] for a in starts]
    write_predictions(
        path,
        zip(predict_in_blocks(model, cohort, requests, block), sds, strict=True),
        cohort,
        requests,
        rows,
        model=model.name,
        scale=model.scale,
        fold=1,
        own_sd=True,
    )
    data = anndata.read_h5ad(path)
    np.testing.assert_array_equal(data.layers["sd"], np.arange(35).reshape(5, 7))
    assert data.X.dtype == np.float32
    np.testing.assert_array_equal(data.X, model.predict(cohort, requests))
    assert list(data.obs_names) == ["D0-0", "D0-1", "D0-2", "D4-0", "D4-2"]
    assert list(data.obs["donor"]) == ["D0", "D0", "D0", "D4", "D4"]
    assert list(data.obs["target"]) == [TISSUES[t] for t in (0, 1, 2, 0, 2)]
    assert data.obs["sources"].iloc[1] == "Artery - Aorta;Testis;Whole Blood"
    assert set(data.obs["fold"]) == {1}
    assert list(data.var_names) == list(cohort.genes.index)
    assert (data.uns["scale"], data.uns["model"]) == ("log2_z", model.name)
    assert "log2(1+TPM)" in data.uns["units"]
    assert [p.name for p in tmp_path.iterdir()] == ["fold1.h5ad"]


@pytest.mark.parametrize("n_rows", [4, 6])
def test_a_wrong_number_of_predictions_leaves_no_file(tmp_path, cohort, n_rows):
    requests, rows = held_out_requests(cohort, ["D0", "D4"], BLOOD)
    with pytest.raises(ValueError, match="announced"):
        write_predictions(
            tmp_path / "x.h5ad", np.zeros((n_rows, 7), np.float32), cohort, requests, rows,
            model="m", scale="log2_z", fold=0,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_half_the_bytes_hold_what_they_can(tmp_path, cohort):
    requests, rows = held_out_requests(cohort, ["D0", "D4"], BLOOD)
    expr_z = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    expr_z[0, 0], expr_z[1, 0] = 1e6, -1e6
    path = tmp_path / "fold0.h5ad"
    said = {"model": "m", "scale": "log2_z", "fold": 0, "kind": "float16"}
    write_predictions(path, expr_z, cohort, requests, rows, **said)
    found = anndata.read_h5ad(path).X
    assert found.dtype == np.float16
    limit = np.finfo(np.float16).max
    np.testing.assert_allclose(found, np.clip(expr_z, -limit, limit), rtol=2**-11, atol=1e-7)
