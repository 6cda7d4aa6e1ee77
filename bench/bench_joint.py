"""How an iteration of the joint model and its memory grow with genes, donors and factors.

    .venv/bin/python bench/bench_joint.py

One row a process, so that its peak memory is its own; random data in GTEx's pattern, 49 tissues.
The last line of each block is the exponent of a power law fitted to the rows: 1 is linear.
"""

import argparse
import json
import resource
import subprocess
import sys

import torch
from bench_scaling import exponent
from bench_step import random_cohort

from mtm.models.base import Training
from mtm.models.registry import build

N_TISSUES = 49
# Genes, donors, factors.
ROWS = {
    "genes": [(n, 100, 14) for n in (1_000, 3_000, 9_000, 19_291)],
    "donors": [(2_000, n, 14) for n in (100, 200, 400, 750)],
    "factors": [(2_000, 200, n) for n in (6, 14, 30, 60)],
}
MEASURED = {"samples": "{:,.0f}", "data_mb": "{:,.0f}", "peak_mb": "{:,.0f}", "s": "{:.3f}"}


def measure(n_genes: int, n_donors: int, n_factors: int, iterations: int, device: str) -> dict:
    """Fit some iterations of one size; the fastest, as other work can only add."""
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # noqa: E731
    bare = peak()
    cohort = random_cohort(n_donors, n_genes, N_TISSUES)
    row = {"samples": cohort.n_samples, "data_mb": cohort.expr_tpm.nbytes / 2**20}
    parameters = {"n_factors": n_factors, "noise_freedom": 30, "fits": 1, "tolerance": 0}
    model = build("joint", parameters | {"iterations": iterations})
    table = model.fit(Training(cohort, 0, device=device))
    return row | {"peak_mb": peak() - bare, "s": table["seconds"].diff().min()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", type=int, nargs=3, help="genes, donors, factors of one row")
    given = parser.parse_args()
    if given.size:
        torch.set_num_threads(given.threads)
        print(json.dumps(measure(*given.size, given.iterations, given.device)))
        return
    for axis, (name, sizes) in enumerate(ROWS.items()):
        print(f"\n{name:>8}" + "".join(f"{column:>11}" for column in MEASURED))
        rows = []
        for size in sizes:
            command = [sys.executable, __file__, "--size", *map(str, size)]
            command += ["--iterations", str(given.iterations), "--device", given.device]
            command += ["--threads", str(given.threads)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            cells = (text.format(rows[-1][column]) for column, text in MEASURED.items())
            print(f"{size[axis]:>8}" + "".join(f"{cell:>11}" for cell in cells), flush=True)
        along = [size[axis] for size in sizes]
        slopes = (exponent(along, [row[column] for row in rows]) for column in MEASURED)
        print(f"{'~' + name:>8}" + "".join(f"{slope:>11.2f}" for slope in slopes))


if __name__ == "__main__":
    main()
