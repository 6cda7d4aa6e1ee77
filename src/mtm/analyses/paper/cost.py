"""R22: what training costs."""

import pandas as pd

from mtm.analyses.paper.results import STATISTICS, NotRun, Ours, Results, Value
from mtm.vocabulary import PAPER, Reading

HOUR, GB, MEBIBYTE = 3600, 1e9, 2**20
SOURCES = {
    "hours": "training loop",
    "step_seconds": "training loop",
    "job_hours": "whole job, its last attempt",
    "memory_gb": "whole job, its last attempt",
    "gpu_memory_gb": "training loop",
}


def how(value: Value, reading: Reading) -> tuple[str, str] | None:
    """Return scale (none) and definition of a number; it has one reading."""
    return ("", SOURCES[value.measure]) if reading == PAPER else None


def ours(value: Value, results: Results, reading: Reading) -> Ours:
    """Look a number up in the training tables of all folds, or the benchmarks of their jobs."""
    results.model(value.role_a)
    values = _of_folds(value.measure, results).dropna()
    if values.empty:
        raise NotRun("not recorded")
    return Ours(float(STATISTICS[value.statistic](values)), len(values), "folds")


def _of_folds(measure: str, results: Results) -> pd.Series:
    """Return a measure of every fold."""
    if measure == "job_hours":
        return results.rows("benchmarks", "s")["s"].astype(float) / HOUR
    if measure == "memory_gb":
        return results.rows("benchmarks", "max_rss")["max_rss"].astype(float) * MEBIBYTE / GB
    folds = results.rows("training", "file").groupby("file").last()
    needed = {"hours": ["seconds"], "step_seconds": ["seconds", "step"]}
    if lacking := [name for name in needed.get(measure, ["gpu_gb"]) if name not in folds]:
        raise NotRun(f"the training table has no {lacking[0]}")
    if measure == "hours":
        return folds["seconds"] / HOUR
    return folds["seconds"] / folds["step"] if measure == "step_seconds" else folds["gpu_gb"]
