"""Models of expression on a scale of its own, where a shift of a gene changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
from cohorts import SOURCE, simulated_cohort

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.registry import build, load
from mtm.models.requests import held_out_requests

SMALL = {"encoder_widths": [8], "code_width": 4, "batch_size": 16}
MODELS = {
    "ridge": {},
    "same_gene": {},
    "bgex": {},
    "teebot": {},
    "joint": {
        "n_factors": [2], "fits": 1, "iterations": 3, "noise_freedom": [0.0], "noise_rank": 2,
    },
    "mtm": SMALL
    | {
        "target_scale": "log2_z", "generator_widths": [8], "discriminator_widths": [8],
        "mapping_widths": [8], "noise_width": 4, "steps": 3,
    },
}  # fmt: skip


def fitted(name, cohort, values):
    """Fit on values that are no TPM; return predictions of the last donors, and the model."""
    own = replace(cohort, expr_tpm=values, measure="own")
    donors, held_out = own.donors.index[:-6], own.donors.index[-6:]
    source = own.tissue_index(SOURCE)
    model = build(name, MODELS[name])
    model.fit(Training(cohort=own.of_donors(donors), source=source, seed=1, device="cpu"))
    requests, _ = held_out_requests(own, held_out, SOURCE, "source")
    return model.predict(own, requests), model, own, requests


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_shift_of_every_gene_changes_no_prediction(name, tmp_path):
    cohort = simulated_cohort(n_donors=36)
    values = np.log2(1 + cohort.expr_tpm) - 5
    predicted, model, own, requests = fitted(name, cohort, values)
    assert (values < 0).any()
    assert np.isfinite(predicted).all()
    model.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.measure == "own"
    np.testing.assert_array_equal(again.predict(own, requests), predicted)
    # What mtm's encoder sees is not standardised.
    if name != "mtm":
        shifted = values + np.linspace(-3, 3, values.shape[1], dtype=np.float32)
        np.testing.assert_allclose(fitted(name, cohort, shifted)[0], predicted, atol=2e-3)


def test_tpm_scales_do_not_exist_there():
    cohort = simulated_cohort()
    own = replace(cohort, measure="own")
    model = build("ridge", {"scale": "tpm_z"})
    with pytest.raises(InputError, match="one of log2_z"):
        model.fit(Training(cohort=own, source=own.tissue_index(SOURCE), seed=1))
