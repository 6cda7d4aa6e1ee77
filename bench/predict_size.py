"""What `mtm predict` costs at the width of the whole transcriptome, through the command itself.

    .venv/bin/python bench/predict_size.py FOLDER [--genes 19000] [--tissues 48] [--donors 100]

FOLDER gets a ridge of made-up donors, which holds no signal: time and memory mean something,
accuracy does not. Then every pair of a number of samples and a number of targets is asked for as
AnnData. Memory is the most that the command held at once as the kernel counts it, pages of files
included that it can take back whenever it needs them (the people's samples stand in such a file),
and without these; the rate is of values told, all scales of one counted once.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.models.base import Training
from mtm.models.registry import build

SOURCE = 0
ASKED = "10x all,100x all,1000x1,10000x1"


def gene_ids(n: int) -> list[str]:
    """Made-up ids."""
    return [f"ENSG{i:011d}.1" for i in range(n)]


def expression(rng: np.random.Generator, n: int, n_genes: int) -> np.ndarray:
    """Made-up TPM, ``(n, n_genes)``."""
    level = np.random.default_rng(1).normal(0, 2, n_genes).astype(np.float32)
    values = np.exp(level + 0.5 * rng.standard_normal((n, n_genes), dtype=np.float32))
    return values * (1e6 / values.sum(1, keepdims=True))


def bundle(path: Path, n_genes: int, n_tissues: int, n_donors: int) -> None:
    """Fit a ridge on donors who gave every tissue."""
    rng, n = np.random.default_rng(0), n_donors * n_tissues
    ids = pd.Index(gene_ids(n_genes), name="gene_id")
    donor = np.repeat(np.arange(n_donors), n_tissues)
    cohort = Cohort(
        expr_tpm=expression(rng, n, n_genes),
        samples=pd.DataFrame(index=pd.Index([f"s{i}" for i in range(n)], name="sample_id")),
        donor=donor,
        tissue=np.tile(np.arange(n_tissues), n_donors),
        donors=pd.DataFrame(index=pd.Index([f"d{i:05d}" for i in range(n_donors)], name="donor")),
        tissues=tuple(f"tissue {i:02d}" for i in range(n_tissues)),
        genes=pd.DataFrame({"symbol": ids}, index=ids),
    )  # fmt: skip
    model = build("ridge")
    model.fit(Training(cohort, source=SOURCE, device="cpu"))
    model.save(path)


def apart(do, *given) -> None:
    """Do it in a process of its own: what this one ever held would count as a child's, too."""
    process = multiprocessing.get_context("fork").Process(target=do, args=given)
    process.start()
    process.join()
    assert process.exitcode == 0


def write_people(path: Path, n: int, n_genes: int) -> None:
    """Write made-up people."""
    data = anndata.AnnData(expression(np.random.default_rng(2), n, n_genes))
    data.obs_names = [f"p{i}" for i in range(n)]
    data.var_names = gene_ids(n_genes)
    data.write_h5ad(path)


def own_mb(pid: int) -> float:
    """Memory of a process that no file stands behind, which the system cannot take back."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((float(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon")),
               default=0.0)  # fmt: skip


def asked(folder: Path, n: int, targets: str, n_genes: int) -> dict:
    """Ask for tissues of `n` people; return what it took."""
    people, out = folder / "people.h5ad", folder / "told.h5ad"
    apart(write_people, people, n, n_genes)
    size = people.stat().st_size / 1e6
    command = [sys.executable, "-m", "mtm.cli", "predict", "--force", "--units", "tpm",
               "--bundle", folder / "ridge.safetensors", "--expression", people,
               "--source", f"tissue {SOURCE:02d}", "--out", out]  # fmt: skip
    for number in range(1, int(targets) + 1) if targets != "all" else ():
        command += ["--target", f"tissue {number:02d}"]
    start = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    own = 0.0
    while (done := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        own = max(own, own_mb(process.pid))
        time.sleep(0.1)
    _, status, usage = done
    assert status == 0, command
    seconds = time.monotonic() - start
    told = anndata.read_h5ad(out, backed="r").shape
    row = {"samples": n, "tissues": told[0] // n, "their file (MB)": size, "seconds": seconds,
           "values a second": told[0] * told[1] / seconds, "answer (MB)": out.stat().st_size / 1e6,
           "memory (MB)": usage.ru_maxrss / 1e3, "of it its own (MB)": own}  # fmt: skip
    out.unlink()
    people.unlink()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--genes", type=int, default=19000)
    parser.add_argument("--tissues", type=int, default=48)
    parser.add_argument("--donors", type=int, default=100)
    parser.add_argument("--asked", default=ASKED, help="samples x targets, with commas")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "ridge.safetensors"
    if not path.exists():
        apart(bundle, path, options.genes, options.tissues, options.donors)
    print(f"bundle {path.stat().st_size / 1e6:,.0f} MB", flush=True)
    for text in options.asked.split(","):
        n, targets = text.split("x")
        row = asked(options.folder, int(n), targets.strip(), options.genes)
        print("; ".join(f"{name} {value:,.0f}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
