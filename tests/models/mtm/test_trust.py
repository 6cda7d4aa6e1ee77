"""What a reader must be able to rely on: no leak, no luck, no loss when a run is killed."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cohorts import simulated_cohort
from scipy import stats

from mtm.models.base import Requests, Training
from mtm.models.mtm.model import MTM, MTMParameters
from mtm.models.registry import load
from mtm.models.requests import held_out_requests

HERE = Path(__file__).parent
# A rate that falls to nothing: where training ends is then a matter of the data, not of the step
# it happened to stop at, so that two precisions can be compared.
ANNEALED = {
    "target_scale": "log2_z", "schedule": "one_cycle", "lambda_adversarial": 0.0, "epochs": 60,
    "dropout": 0.0,
}  # fmt: skip
SMALL = MTMParameters(
    encoder_widths=(32, 16), code_width=8, generator_widths=(16, 32),
    discriminator_widths=(16, 8), mapping_widths=(8,), noise_width=4, dropout=0.1,
    batch_size=64, epochs=40, learning_rate=2e-3, precision="float32", checkpoint_every=1,
)  # fmt: skip


def split(cohort):
    """Hold out every fourth donor."""
    held_out = cohort.donors.index[::4]
    return cohort.of_donors(cohort.donors.index.difference(held_out)), held_out


def test_noise_in_place_of_held_out_donors_leaves_the_bundle_bit_identical(tmp_path):
    cohort = simulated_cohort()
    _, held_out = split(cohort)
    noisy = cohort.expr_tpm.copy()
    rows = cohort.donors.index.isin(held_out)[cohort.donor]
    noisy[rows] = np.random.default_rng(1).lognormal(3, 2, noisy[rows].shape)
    bundles = []
    for number, expr_tpm in enumerate((cohort.expr_tpm, noisy)):
        training, _ = split(replace(cohort, expr_tpm=expr_tpm))
        model = MTM(SMALL.with_(epochs=2))
        model.fit(Training(training, source=cohort.tissue_index("Whole Blood")))
        path = tmp_path / f"{number}.safetensors"
        model.save(path)
        bundles.append(path.read_bytes())
    assert not np.array_equal(noisy, cohort.expr_tpm)
    assert bundles[0] == bundles[1]


def mean_rho(predicted, observed, tissue):
    """Mean Pearson's rho over genes and tissues, brute force."""
    return np.mean(
        [
            np.corrcoef(predicted[tissue == t][:, g], observed[tissue == t][:, g])[0, 1]
            for t in np.unique(tissue)
            for g in range(observed.shape[1])
        ]
    )


@pytest.fixture(scope="module")
def trained():
    """Fit on three quarters of the donors of a cohort with one strong donor-wide factor."""
    cohort = simulated_cohort(n_donors=120, n_genes=20)
    training, held_out = split(cohort)
    models = {}
    for precision in ("float32", "bfloat16"):
        models[precision] = MTM(SMALL.with_(precision=precision, **ANNEALED))
        models[precision].fit(Training(training, source=cohort.tissue_index("Whole Blood")))
    requests, target_rows = held_out_requests(cohort, held_out, "Whole Blood")
    observed = models["float32"].scaler.transform(cohort.expr_tpm[target_rows], requests.target)
    return cohort, models, requests, observed


@pytest.mark.slow
def test_bfloat16_training_ends_at_the_accuracy_of_float32(trained):
    cohort, models, requests, observed = trained
    rho = {
        name: mean_rho(model.predict(cohort, requests), observed, requests.target)
        for name, model in models.items()
    }
    assert rho["float32"] > 0.5
    assert rho["bfloat16"] == pytest.approx(rho["float32"], abs=0.005)


@pytest.mark.slow
def test_permuted_blood_stays_within_the_null_interval(trained):
    cohort, models, requests, observed = trained
    rng = np.random.default_rng(0)
    bloods, donor = np.unique(requests.source_rows, return_inverse=True)
    donor = donor.ravel()

    def rho_with_swapped_blood():
        rows = rng.permutation(bloods)[donor][:, None]
        predicted = models["float32"].predict(cohort, Requests(rows, requests.target))
        return mean_rho(predicted, observed, requests.target)

    predicted = models["float32"].predict(cohort, requests)

    def rho_with_swapped_donors():
        # One permutation of donors for all tissues: a donor's tissues follow the blood together.
        permutation = rng.permutation(len(bloods))
        rows = np.arange(len(predicted))
        for target in np.unique(requests.target):
            here = np.flatnonzero(requests.target == target)
            # Who meets a donor without the tissue meets the next one on the cycle who has it.
            met = permutation[donor[here]]
            while not np.isin(met, donor[here]).all():
                met = np.where(np.isin(met, donor[here]), met, permutation[met])
            rows[here] = here[np.argsort(donor[here])][np.searchsorted(np.sort(donor[here]), met)]
        return mean_rho(predicted[rows], observed, requests.target)

    true = mean_rho(predicted, observed, requests.target)
    low, high = np.percentile([rho_with_swapped_donors() for _ in range(400)], [2.5, 97.5])
    permuted = np.array([rho_with_swapped_blood() for _ in range(100)])
    inside = ((low <= permuted) & (permuted <= high)).sum()
    assert inside >= stats.binom.ppf(0.005, len(permuted), 0.95)
    assert true > max(high, *permuted)


KILLED = """
import sys
sys.path[:0] = [{here!r}, {tests!r}]
from dataclasses import replace
import test_trust as t
cohort = t.simulated_cohort(n_donors=60, n_genes=40)
model = t.MTM(t.SMALL.with_(epochs=12, checkpoint_every=3))
model.fit(t.Training(cohort, source=0, checkpoint={checkpoint!r}))
model.save({out!r})
"""


@pytest.mark.slow
def test_a_process_killed_with_sigkill_mid_epoch_ends_with_the_same_bundle(tmp_path):
    def start(name, checkpoint):
        code = KILLED.format(
            here=str(HERE),
            tests=str(HERE.parents[1]),
            checkpoint=checkpoint,
            out=str(tmp_path / name),
        )
        return subprocess.Popen([sys.executable, "-c", code])

    assert start("unbroken.safetensors", None).wait(timeout=120) == 0
    checkpoint = tmp_path / "checkpoint"
    process = start("killed.safetensors", str(checkpoint))
    deadline = time.monotonic() + 120
    while not (checkpoint / "state.pt").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.safetensors").exists()
    assert start("killed.safetensors", str(checkpoint)).wait(timeout=120) == 0
    unbroken, killed = (
        load(tmp_path / "unbroken.safetensors"),
        load(tmp_path / "killed.safetensors"),
    )
    a, b = unbroken.state(), killed.state()
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_training_table_has_the_memory_held_on_a_graphics_card():
    cohort = simulated_cohort()
    source = cohort.tissue_index("Whole Blood")
    tables = {
        device: MTM(SMALL.with_(epochs=2)).fit(Training(cohort, source=source, device=device))
        for device in ("cpu", "cuda")
    }
    assert "gpu_gb" not in tables["cpu"]
    assert tables["cuda"]["gpu_gb"].between(1e-3, 200).all()
