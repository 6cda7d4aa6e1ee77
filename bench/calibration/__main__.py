"""Coverage of every interval and size of every test of the project, by simulation.

Run ``python -m bench.calibration`` from the root of the project. Every module of this folder that
has a function ``simulate`` is an area: ``simulate(rng, n_donors)`` makes one cohort with a known
truth and yields `Interval` and `Test`. The table says which share of the nominal 95% intervals
held the truth, and which share of the P values of true null hypotheses was below 0.05, each with
its own 95% interval (Wilson); bench/README.md keeps it.
"""

import argparse
import importlib
import pkgutil
import time
import zlib
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

import bench.calibration
import numpy as np
import pandas as pd
import torch
from bench.calibration.trial import Interval, Test
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.05
KEY = ["area", "kind", "name", "donors"]


def areas() -> list[str]:
    """Modules beside this one that simulate something."""
    names = [module.name for module in pkgutil.iter_modules(bench.calibration.__path__)]
    return [name for name in names if name not in {"trial", "population", "cohort", "__main__"}]


def one_simulation(area: str, n_donors: int, number: int) -> list[dict]:
    """Run one simulation of an area, with a stream of random numbers of its own."""
    torch.set_num_threads(1)
    simulate = importlib.import_module(f"bench.calibration.{area}").simulate
    rng = np.random.default_rng([zlib.crc32(area.encode()), n_donors, number])
    rows = []
    for trial in simulate(rng, n_donors):
        row = {"area": area, "name": trial.name, "donors": n_donors}
        if isinstance(trial, Interval):
            known = np.isfinite([trial.low, trial.high, trial.truth]).all()
            hit = trial.low <= trial.truth <= trial.high
            row |= {"kind": "interval", "width": trial.high - trial.low}
        elif isinstance(trial, Test):
            known, hit = np.isfinite(trial.p), trial.p < LEVEL
            row |= {"kind": "test", "width": np.nan}
        rows.append(row | {"hit": float(hit) if known else np.nan})
    return rows


def summarise(rows: Iterable[dict]) -> pd.DataFrame:
    """Share of intervals that held the truth, and of tests that rejected."""
    summary = []
    for key, part in pd.DataFrame(rows).groupby(KEY, sort=False):
        hits = part["hit"].dropna()
        low, high = proportion_confint(hits.sum(), len(hits), method="wilson")
        share = f"{hits.mean():.1%} ({low:.1%} to {high:.1%})" if len(hits) else "-"
        summary.append(
            dict(zip(KEY, key, strict=True))
            | {"n": len(hits), "share": share, "mean width": f"{part['width'].mean():.3g}"}
        )
    return pd.DataFrame(summary)


def main() -> None:
    """Simulate and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("areas", nargs="*", help=f"of {', '.join(areas())}; default all")
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--donors", type=int, nargs="+", default=[40, 100, 300])
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    wanted = given.areas or areas()
    rows = []
    with ProcessPoolExecutor(given.jobs) as pool:
        for area in wanted:
            for n_donors in given.donors:
                start = time.perf_counter()
                numbers = range(given.simulations)
                of_size = pool.map(
                    one_simulation, [area] * len(numbers), [n_donors] * len(numbers), numbers
                )
                rows += [row for simulated in of_size for row in simulated]
                seconds = time.perf_counter() - start
                print(f"{area}, {n_donors} donors: {seconds:.0f} s", flush=True)
    print(summarise(rows).to_markdown(index=False))


if __name__ == "__main__":
    main()
