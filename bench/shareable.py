"""Size, error and speed of the shareable form of ridge, by rank (docs/sharing.md).

    .venv/bin/python bench/shareable.py FOLDER --genes 2398
    .venv/bin/python bench/shareable.py simulated --genes 19291

Against the model itself, of which it is made: megabytes of the two bundles, RMS change of
predictions of people who were not trained on (and of the training donors, as the bundle states
it), in z-scores and as a share of the predictions' own RMS, correlation over people with what was
observed (mean over genes and tissues), and seconds to load a bundle and to predict one target of
all these people. FOLDER holds ``cohort/`` of a run.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Training
from mtm.models.registry import build, load
from mtm.models.requests import held_out_requests
from mtm.statistics.correlation import row_correlation


def simulated(n_donors: int, n_genes: int) -> Cohort:
    """Draw blood and two tissues that share eight factors of their donors, and genes' own."""
    rng = np.random.default_rng(0)
    donor, tissue = np.divmod(np.arange(3 * n_donors), 3)
    factors, own = rng.normal(size=(n_donors, 8)), rng.normal(size=(n_donors, n_genes))
    loadings = 0.25 * (rng.normal(size=(1, 8, n_genes)) + 0.7 * rng.normal(size=(3, 8, n_genes)))
    expr = np.empty((len(donor), n_genes), np.float32)
    for t in range(3):
        expr[tissue == t] = 8 + factors @ loadings[t] + 0.35 * own
    expr += 0.8 * rng.standard_normal(expr.shape, np.float32)
    names = [f"d{i:05d}" for i in range(n_donors)]
    return Cohort(
        np.exp2(expr), pd.DataFrame(index=[f"s{i}" for i in range(len(donor))]), donor, tissue,
        pd.DataFrame(index=names), ("Whole Blood", "t1", "t2"),
        pd.DataFrame({"symbol": "x"}, index=[f"g{i}" for i in range(n_genes)]),
    )  # fmt: skip


def timed(path: Path, cohort: Cohort, requests) -> tuple[Predictor, np.ndarray, float, float]:
    """Load and predict; return both, and the seconds of each."""
    start = time.perf_counter()
    model = load(path)
    loaded = time.perf_counter()
    predicted = model.predict(cohort, requests)
    return model, predicted, loaded - start, time.perf_counter() - loaded


def rho(model: Predictor, predicted: np.ndarray, cohort: Cohort, rows: np.ndarray) -> float:
    """Return the correlation over people with what was observed, mean over genes and tissues."""
    observed = model.scaler.transform(cohort.expr_tpm[rows], cohort.tissue[rows])
    of = [cohort.tissue[rows] == t for t in np.unique(cohort.tissue[rows])]
    return float(np.mean([np.nanmean(row_correlation(predicted[i].T, observed[i].T)) for i in of]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", help="'simulated', or a folder")
    parser.add_argument("--source", default="Whole Blood")
    parser.add_argument("--genes", type=int, default=10**6)
    parser.add_argument("--donors", type=int, default=200)
    options = parser.parse_args()
    if options.cohort == "simulated":
        cohort = simulated(options.donors, options.genes)
    else:
        place = Path(options.cohort) / "cohort"
        cohort = Cohort.read(place / "expression.h5ad", place / "donors.tsv")
    new = cohort.donors.index[::3]
    training = cohort.of_donors(cohort.donors.index.difference(new))
    model = build("ridge")
    model.fit(Training(training, cohort.tissue_index(options.source), device="cpu"))
    requests, rows = held_out_requests(cohort, new, options.source)
    n_training = len(training.donors)
    table = []
    with TemporaryDirectory() as folder:
        model.save(Path(folder) / "ridge.safetensors")
        for rank in (None, 2, 4, 8, 16, 32, 64, 128, n_training):
            path = Path(folder) / "ridge.safetensors"
            told = {}
            if rank is not None and rank > n_training:
                continue
            if rank is not None:
                shared = model.shareable(rank, 1)
                path = Path(folder) / "shareable.safetensors"
                shared.save(path)
                told = shared.provenance.notes["shareable"]
            loaded, predicted, load_s, predict_s = timed(path, cohort, requests)
            if rank is None:
                whole = predicted
            change = np.sqrt(np.square(predicted - whole).mean())
            table.append({
                "axes": rank or "ridge", "MB": path.stat().st_size / 1e6, "load s": load_s,
                "predict s": predict_s, "RMS change, new": change,
                "share": change / np.sqrt(np.square(whole).mean()),
                "RMS change, trained": told.get("rms_error_z", 0.0),
                "rho": rho(loaded, predicted, cohort, rows),
            })  # fmt: skip
    print(f"{cohort.n_genes} genes, {n_training} training donors, {len(new)} new people, "
          f"{len(model.fits)} tissues")  # fmt: skip
    print(pd.DataFrame(table).to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
