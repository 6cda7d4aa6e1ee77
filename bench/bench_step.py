"""Time one MTM training step: the fused engine beside a plain PyTorch loop, in one run.

    .venv/bin/python bench/bench_step.py --genes 59 --threads 2

The plain loop is the literal step of methods 1.3 (tests/models/mtm_reference.py): float32, a
DataLoader that ships batches, no fusion. The two are timed in turns, so that a machine whose speed
drifts treats both alike. Data are random: only the time is of interest.
"""

import argparse
import importlib.util
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtm.cohort import Cohort
from mtm.device import choose_device
from mtm.models.mtm import MTMParameters
from mtm.models.mtm_training import Engine, PairSampler, ordered_pairs
from mtm.scaling import TissueScaler

REFERENCE = Path(__file__).parents[1] / "tests" / "models" / "mtm_reference.py"


def random_cohort(n_donors: int, n_genes: int, n_tissues: int, seed: int = 0) -> Cohort:
    """Make random expression in GTEx's pattern: each donor has about 18 of 49 tissues."""
    rng = np.random.default_rng(seed)
    donor, tissue = np.nonzero(rng.random((n_donors, n_tissues)) < 18 / 49)
    base = rng.uniform(0, 8, n_genes).astype(np.float32)
    expr_log2 = base + rng.normal(size=(len(donor), n_genes)).astype(np.float32)
    return Cohort(
        np.exp2(expr_log2),
        pd.DataFrame(index=[f"s{i}" for i in range(len(donor))]),
        donor.astype(np.int64),
        tissue.astype(np.int64),
        pd.DataFrame(index=[f"d{i:04d}" for i in range(n_donors)]),
        tuple(f"t{i:02d}" for i in range(n_tissues)),
        pd.DataFrame({"symbol": "x"}, index=[f"g{i}" for i in range(n_genes)]),
    )


def plain_loop(parameters, cohort, scaler, device):
    """Return a function that takes one plain step."""
    spec = importlib.util.spec_from_file_location("mtm_reference", REFERENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.set_default_device(device)
    reference = module.Reference(
        parameters, scaler.mean, scaler.sd, dropout=parameters.dropout, dtype=torch.float32
    )
    for name in "EGDM":
        getattr(reference, name).to(device)
    torch.set_default_device("cpu")
    expr_z = torch.from_numpy(scaler.transform(cohort.expr_tpm, cohort.tissue))
    tissue = torch.from_numpy(cohort.tissue)
    pairs = torch.from_numpy(ordered_pairs(cohort.donor))
    pairs = pairs[torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0))]

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(pairs)

        def __getitem__(self, i):
            a, b = pairs[i]
            return expr_z[a], tissue[a], expr_z[b], tissue[b]

    loader = iter(torch.utils.data.DataLoader(Pairs(), batch_size=parameters.batch_size))

    def step():
        batch = [x.to(device) for x in next(loader)]
        n = len(batch[0])
        noise = torch.randn(n, parameters.noise_width, device=device)
        reference.step(*batch, noise, torch.randint(len(cohort.tissues), (n,), device=device))

    return step


def fused_loop(parameters, cohort, scaler, device):
    """Return a function that takes one step of the engine."""
    engine = Engine(parameters, cohort, scaler, device, seed=0)
    batches = PairSampler(cohort.donor, parameters, 0, device).batches(0)

    def step():
        batch = next(batches)
        engine.step(batch, *engine.draw(len(batch.source)))

    return step


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genes", type=int, default=59)
    parser.add_argument("--donors", type=int, default=200)
    parser.add_argument("--tissues", type=int, default=49)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = choose_device(arguments.device)
    cohort = random_cohort(arguments.donors, arguments.genes, arguments.tissues)
    scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, len(cohort.tissues), "tpm_z")
    default = MTMParameters()
    loops = {
        "plain loop, float32": plain_loop(default, cohort, scaler, device),
        "engine, float32": fused_loop(
            replace(default, precision="float32"), cohort, scaler, device
        ),
        "engine, bfloat16": fused_loop(
            replace(default, precision="bfloat16"), cohort, scaler, device
        ),
    }
    seconds = {name: [] for name in loops}
    for turn in range(arguments.steps + 2):
        for name, step in loops.items():
            started = time.perf_counter()
            step()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - started)
    plain = np.median(seconds["plain loop, float32"])
    print(f"{device}, {arguments.threads} threads, {arguments.genes} genes, published widths")
    print(f"{'step':<22}{'median ms':>11}{'min ms':>9}{'plain / this':>14}")
    for name, values in seconds.items():
        middle = np.median(values)
        print(f"{name:<22}{middle * 1e3:>11.1f}{min(values) * 1e3:>9.1f}{plain / middle:>14.2f}")


if __name__ == "__main__":
    main()
