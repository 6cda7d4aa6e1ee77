"""Time and peak memory of turning a GCT of GTEx's shape into a cohort, against zcat.

    .venv/bin/python bench/bench_ingest.py [FOLDER] [--fraction 0.02] [--repeats 2]

makes the synthetic GCT of `bench/synthetic_gct.py` in FOLDER, or takes the one that is there; with
no FOLDER, in a temporary one. Then ``zcat FILE > /dev/null`` and the ingest, a process of its own,
take turns. Seconds are those of the whole process, start and imports included. At last the h5ad is
compared with what pandas reads from the GCT, on genes and samples drawn at random.
"""

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import synthetic_gct
from anndata.io import read_elem

from mtm.cohort.build import build_cohort

CHECKED_GENES, CHECKED_SAMPLES = 100, 1000


def ingest(folder: Path) -> None:
    """Build the cohort of the synthetic files in `folder`; print the seconds without imports."""
    files = synthetic_gct.Files(folder)
    started = time.perf_counter()
    build_cohort(
        files.expression,
        files.sample_attributes,
        files.subject_phenotypes,
        gene_model=files.gene_model,
        units="tpm",
        out_expression=folder / "out" / "expression.h5ad",
        out_donors=folder / "out" / "donors.tsv",
        out_filtering=folder / "out" / "filtering.tsv",
        progress=False,
    )
    print(time.perf_counter() - started)


def measured(command: list[str], output: int) -> tuple[float, float, str]:
    """Run `command`; return its seconds, its peak RSS (and its children's) in MB, its output."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=output, text=True)
    text = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return elapsed, usage.ru_maxrss * 1024 / 1e6, text


def measure(folder: Path) -> dict[str, float]:
    """Time zcat, then the ingest."""
    path = synthetic_gct.Files(folder).expression
    zcat, _, _ = measured(["zcat", str(path)], subprocess.DEVNULL)
    command = [sys.executable, __file__, str(folder), "--ingest-only"]
    whole, peak, text = measured(command, subprocess.PIPE)
    return {
        "zcat (s)": zcat,
        "ingest (s)": whole,
        "of these, start (s)": whole - float(text),
        "ingest / zcat": whole / zcat,
        "without start": float(text) / zcat,
        "peak RSS (MB)": peak,
    }


def compare(folder: Path, seed: int = 0) -> str:
    """Compare the h5ad with pandas on drawn cells; return what was found equal."""
    rng = np.random.default_rng(seed)
    files = synthetic_gct.Files(folder)
    model = pd.read_csv(files.gene_model, sep="\t", header=None)[8]
    gene_ids = model.str.extract('gene_id "([^"]*)"')[0].to_numpy()
    coding = np.flatnonzero(model.str.contains("protein_coding"))
    with h5py.File(folder / "out" / "expression.h5ad") as file:
        samples = read_elem(file["obs"]).index
        assert list(read_elem(file["var"]).index) == list(gene_ids[coding])
        genes = np.sort(rng.choice(len(coding), min(CHECKED_GENES, len(coding)), replace=False))
        genes = np.union1d(genes, [0, len(coding) - 1])
        drawn = np.sort(rng.choice(len(samples), min(CHECKED_SAMPLES, len(samples)), False))
        ours = np.stack([file["X"][:, gene][drawn] for gene in genes])
    kept_lines = {2, *(3 + coding[genes])}
    theirs = pd.read_csv(
        files.expression,
        sep="\t",
        skiprows=lambda line: line not in kept_lines,
        index_col="Name",
        usecols=["Name", *samples[drawn]],
        float_precision="round_trip",
    ).loc[gene_ids[coding[genes]], samples[drawn]]
    np.testing.assert_array_equal(ours, theirs.to_numpy(np.float32))
    return f"{ours.size:,} cells of {len(genes)} genes and {len(drawn)} samples equal pandas'"


def n_declared(path: Path) -> int:
    """Return the number of genes in the header of a GCT."""
    with gzip.open(path, "rt") as file:
        next(file)
        return int(next(file).split("\t")[0])


def run(folder: Path, fraction: float, repeats: int) -> None:
    """Make the files if need be, measure, compare, print."""
    path = synthetic_gct.Files(folder).expression
    if not path.exists() or n_declared(path) != synthetic_gct.scaled(fraction)[0]:
        synthetic_gct.make(folder, fraction)
    rows = [measure(folder) for _ in range(repeats)]
    print(
        f"{n_declared(path):,} genes x {synthetic_gct.N_SAMPLES:,} samples, "
        f"{path.stat().st_size / 1e6:,.0f} MB gzipped, {os.cpu_count()} cores\n"
    )
    print(f"| run | {' | '.join(rows[0])} |\n|{'---|' * (1 + len(rows[0]))}")
    for number, row in enumerate(rows, 1):
        print(f"| {number} | {' | '.join(f'{value:,.2f}' for value in row.values())} |")
    print(f"\n{compare(folder)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of the files; default temporary")
    parser.add_argument("--fraction", type=float, default=0.02, help="of GTEx's genes")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--ingest-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ingest_only:
        ingest(arguments.folder)
    elif arguments.folder is not None:
        run(arguments.folder, arguments.fraction, arguments.repeats)
    else:
        with tempfile.TemporaryDirectory() as folder:
            run(Path(folder), arguments.fraction, arguments.repeats)


if __name__ == "__main__":
    main()
