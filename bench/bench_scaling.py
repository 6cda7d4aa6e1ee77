"""How a training step's time and the run's memory grow with genes, donors and tissues.

    .venv/bin/python bench/bench_scaling.py

One row a process, so that its peak memory is its own; random data in GTEx's pattern, hidden layers
a tenth of the published width, float32 (bfloat16 units shift the balance from machine to machine).
The last column of each block is the exponent of a power law fitted to the rows: 1 is linear.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from bench_step import fused_loop, random_cohort, scaled_parameters, seconds_of

from mtm.cohort.scaling import TissueScaler
from mtm.models.device import choose_device
from mtm.models.mtm.pairs import PairSampler

# Genes, donors, tissues.
ROWS = {
    "genes": [(n, 60, 49) for n in (2_000, 5_000, 10_000, 19_291)],
    "donors": [(2_000, n, 49) for n in (100, 200, 400, 800)],
    "tissues": [(2_000, 200, n) for n in (12, 24, 49)],
}
MEASURED = {
    "samples": "{:,.0f}",
    "pairs": "{:,.0f}",
    "data_mb": "{:,.0f}",
    "peak_mb": "{:,.0f}",
    "set_up_s": "{:.2f}",
    "order_s": "{:.3f}",
    "step_ms": "{:.1f}",
    "epoch_s": "{:,.0f}",
}


def measure(n_genes: int, n_donors: int, n_tissues: int, steps: int, device: str) -> dict:
    """Set up and time one size."""
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # noqa: E731
    bare = peak()
    cohort = random_cohort(n_donors, n_genes, n_tissues)
    parameters = scaled_parameters(0.1).with_(precision="float32")
    started = time.perf_counter()
    scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, n_tissues, "tpm_z")
    step, engine = fused_loop(parameters, cohort, scaler, device)
    set_up = time.perf_counter() - started
    started = time.perf_counter()
    sampler = PairSampler(cohort.donor, parameters, 0, device)
    next(sampler.batches(0))
    order = time.perf_counter() - started
    times = [seconds_of(step, device) for _ in range(steps + 3)][3:]
    # The fastest: other work on the machine can only add.
    fastest = min(times)
    row = {
        "samples": cohort.n_samples,
        "pairs": len(sampler),
        "data_mb": cohort.expr_tpm.nbytes / 2**20,
        "peak_mb": peak() - bare,
        "set_up_s": set_up,
        "order_s": order,
        "step_ms": 1e3 * fastest,
        "epoch_s": fastest * sampler.steps_per_epoch,
    }
    if device == "cuda":
        row["device_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return row


def exponent(sizes, values) -> float:
    """Slope of log(value) against log(size)."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", type=int, nargs=3, help="genes, donors, tissues of one row")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    if arguments.size:
        torch.set_num_threads(arguments.threads)
        print(json.dumps(measure(*arguments.size, arguments.steps, device)))
        return
    formats = MEASURED | ({"device_mb": "{:,.0f}"} if device == "cuda" else {})
    print(f"{device}, {arguments.threads} thread(s), a tenth of the published widths, float32")
    for axis, (name, sizes) in enumerate(ROWS.items()):
        print(f"\n{name:>8}" + "".join(f"{column:>11}" for column in formats))
        rows = []
        for size in sizes:
            command = [sys.executable, __file__, "--size", *map(str, size)]
            command += ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
            command += ["--device", device]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            cells = (text.format(rows[-1][column]) for column, text in formats.items())
            print(f"{size[axis]:>8}" + "".join(f"{cell:>11}" for cell in cells), flush=True)
        for label, along in ((name, [size[axis] for size in sizes]), ("samples", None)):
            along = along or [row["samples"] for row in rows]
            if len(set(along)) > 1:
                slopes = (exponent(along, [row[column] for row in rows]) for column in formats)
                print(f"{'~' + label:>8}" + "".join(f"{slope:>11.2f}" for slope in slopes))
    print(
        "\npeak_mb: above the bare interpreter with its libraries; order_s: one epoch's pairs "
        "listed, shuffled and placed"
    )


if __name__ == "__main__":
    main()
