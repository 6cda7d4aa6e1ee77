"""Time and peak memory of scoring one model, with the sample numbers of GTEx v8.

Run ``python bench/bench_accuracy.py [n_genes ...]``. Every number of genes runs in its own process
on simulated values: 48 target tissues, 755 donors with blood, 13,498 predictions, five folds. The
last line gives what 19,291 genes would take if things went on as between the last two sizes: in
seconds of CPU, which other work on the machine disturbs least.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import torch

from mtm.analyses.accuracy.score import score_predictions
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings

N_DONORS, N_BLOOD, N_FOLDS = 944, 755, 5
N_TARGETS, N_PREDICTIONS, N_SAMPLES = 48, 13_498, 17_325
FULL_GENES = 19_291
SIZES = (1000, 2000, 4000)
SCALE = "log2_z"
SETTINGS = AccuracySettings()
FEW = AccuracySettings(permutations=1, bootstraps=1, null_genes=1, bootstrap_genes=1)


def tissue_sizes(total: int, smallest: int) -> np.ndarray:
    largest = 2 * total / N_TARGETS - smallest
    sizes = np.linspace(smallest, largest, N_TARGETS).astype(int)
    sizes[-1] += total - sizes.sum()
    return sizes


def write_cohort(folder: Path, n_genes: int) -> list[Path]:
    rng = np.random.default_rng(0)
    folds = np.arange(N_DONORS) % N_FOLDS
    pairs = tissue_sizes(N_PREDICTIONS, 71)
    others = tissue_sizes(N_SAMPLES - N_BLOOD - N_PREDICTIONS, 14)
    members = [("Whole Blood", np.arange(N_BLOOD))]
    for index, (paired, unpaired) in enumerate(zip(pairs, others, strict=True)):
        of_blood = rng.choice(N_BLOOD, paired, replace=False)
        rest = N_BLOOD + rng.choice(N_DONORS - N_BLOOD, unpaired, replace=False)
        members.append((f"Tissue {index:02d}", np.r_[of_blood, rest]))
    donor = np.concatenate([donors for _, donors in members])
    tissue = np.repeat([name for name, _ in members], [len(donors) for _, donors in members])
    obs = pd.DataFrame({"donor": [f"D{d:03d}" for d in donor], "tissue": tissue})
    obs.index = obs["donor"] + "-" + obs["tissue"]
    order = obs.index.argsort()
    obs, donor = obs.iloc[order], donor[order]
    var = pd.DataFrame({"symbol": "g"}, index=[f"ENSG{g:011d}.1" for g in range(n_genes)])
    expr_tpm = rng.lognormal(2, 1, (len(obs), n_genes)).astype(np.float32)
    anndata.AnnData(expr_tpm, obs, var).write_h5ad(folder / "expression.h5ad")
    table = pd.DataFrame({"donor": [f"D{d:03d}" for d in range(N_DONORS)], "fold": folds})
    table.to_csv(folder / "folds.tsv", sep="\t", index=False)
    paths = []
    for fold in range(N_FOLDS):
        predicted = (folds[donor] == fold) & (donor < N_BLOOD) & (obs["tissue"] != "Whole Blood")
        rows = np.flatnonzero(predicted)
        file_obs = obs.iloc[rows].rename(columns={"tissue": "target"})
        file_obs = file_obs.assign(sources="Whole Blood", fold=fold)
        values = np.log(expr_tpm[rows]) - 2
        values += 2 * rng.standard_normal(values.shape, np.float32)
        paths.append(folder / f"fold{fold}.h5ad")
        data = anndata.AnnData(values, file_obs, var[[]], uns={"scale": SCALE})
        data.write_h5ad(paths[-1])
    return paths


def measure(folder: Path, paths: list[str]) -> dict:
    """Score twice, for point estimates alone and with the default settings."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held_out = read_held_out(folder / "expression.h5ad", folder / "folds.tsv", paths)
    seconds = {}
    for name, settings in (("points", FEW), ("all", SETTINGS)):
        start, cpu_start = time.perf_counter(), time.process_time()
        score_predictions(held_out, "bench", settings)
        seconds[name] = time.perf_counter() - start
        seconds[f"{name}_cpu"] = time.process_time() - cpu_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    memory = {"start_mb": before / 1024, "peak_mb": peak / 1024}
    return seconds | memory | {"n_predictions": len(held_out.rows)}


def _seconds(row: dict) -> str:
    points = f"{row['points']:7.1f} ({row['points_cpu']:6.1f})"
    return f"{points}   {row['all']:4.0f} ({row['all_cpu']:6.0f})"


def _run(*arguments: str):
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    # Each step has its own process: peak memory passes from parent to child.
    if sys.argv[1:2] == ["--write"]:
        print(
            json.dumps([str(path) for path in write_cohort(Path(sys.argv[2]), int(sys.argv[3]))])
        )
        return
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]), sys.argv[3:])))
        return
    sizes = sorted(int(size) for size in sys.argv[1:]) or list(SIZES)
    device = "GPU" if torch.cuda.is_available() else "CPU"
    print(
        f"{N_PREDICTIONS} predictions, {torch.get_num_threads()} threads, {device}; "
        f"{SETTINGS.permutations} permutations of {SETTINGS.null_genes} genes, "
        f"{SETTINGS.bootstraps} bootstrap samples of {SETTINGS.bootstrap_genes} genes"
    )
    print("genes   points, s (CPU)   all, s (CPU)   peak, MB   of which at start, MB")
    rows = []
    for n_genes in sizes:
        with tempfile.TemporaryDirectory() as name:
            paths = _run("--write", name, str(n_genes))
            row = _run("--measure", name, *paths)
        rows.append(row)
        print(f"{n_genes:5d}   {_seconds(row)}   {row['peak_mb']:8.0f}   {row['start_mb']:21.0f}")
    # Below, the sampled genes grow with all genes, and nothing goes on as it was.
    if len(rows) > 1 and sizes[-2] >= max(SETTINGS.null_genes, SETTINGS.bootstrap_genes):
        steps = (FULL_GENES - sizes[-1]) / (sizes[-1] - sizes[-2])
        projected = {
            key: rows[-1][key] + steps * (rows[-1][key] - rows[-2][key])
            for key in ("points_cpu", "all_cpu", "peak_mb")
        }
        print(
            f"{FULL_GENES} genes, projected from the last two rows: points "
            f"{projected['points_cpu']:.0f} s CPU, all {projected['all_cpu']:.0f} s CPU, "
            f"peak {projected['peak_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
