"""Time ways to fit one LASSO of disease status, penalty choice included.

    OMP_NUM_THREADS=1 .venv/bin/python bench/bench_disease_status.py [--all]

One fit is one training fold: the penalty by 4-fold inner cross-validation on 320 of 400 simulated
donors and 6,000 genes, then the fit with it, and the auROC of the other 80. All candidates get the
same data and inner folds. Processor seconds of one thread are reported (other work on the machine
does not count), and the hours that the 87,750 fits of GTEx (117 pairs, 50 repeats, 5 folds, 3
inputs; methods 3) would take on 8 cores. skglm, celer and adelie are timed where they are
installed; --all adds the slow candidates.
"""

import argparse
import importlib
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.linear_model import Lasso, LassoCV, lasso_path
from sklearn.model_selection import StratifiedKFold

from mtm.analyses.disease.status_classifier import auroc, choose_penalty, fit_predict, standardised
from mtm.settings.disease_status import ClassifierSettings

N_FITS, N_CORES, INNER = 117 * 50 * 5 * 3, 8, 4
Data = tuple[np.ndarray, np.ndarray, np.ndarray]
SETTINGS = ClassifierSettings()


def simulate(n_donors: int, n_genes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw expression with 30 donor-wide factors, and labels that 30 genes tell in part."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n_donors, 30))
    values = 0.15 * factors @ rng.standard_normal((30, n_genes))
    values += rng.standard_normal(values.shape)
    liability = 0.15 * values[:, :30] @ rng.choice([-1, 1], 30)
    return values, liability + 1.2 * rng.standard_normal(n_donors) > 0.3


def penalties_of(x: np.ndarray, y: np.ndarray, n: int, smallest: float) -> np.ndarray:
    """Path of penalties from the one that leaves no gene."""
    return np.abs(x.T @ (y - y.mean())).max() / len(y) * np.geomspace(1, smallest, n)


def inner_error(path: Callable, x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Squared error of every penalty over the inner folds; `path` gives coefficients."""
    total = np.zeros(len(penalties))
    splits = StratifiedKFold(INNER, shuffle=True, random_state=0).split(x, y)
    for kept, left in splits:
        mean, level = x[kept].mean(0), y[kept].mean()
        coef = path(np.asfortranarray(x[kept] - mean), y[kept] - level, penalties)
        total += (((x[left] - mean) @ coef + level - y[left][:, None]) ** 2).sum(0)
    return total


def with_path(path: Callable, n: int, smallest: float, tol: float = 1e-4) -> Callable:
    """Make a candidate of a path solver: choose on the inner folds, fit with scikit-learn."""

    def fit(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
        penalties = penalties_of(x, y, n, smallest)
        best = penalties[inner_error(path, x, y, penalties).argmin()]
        return Lasso(alpha=best, tol=tol).fit(x, y).predict(new), best / penalties[0]

    return fit


def lasso_cv(n: int, smallest: float, **options) -> Callable:
    """LassoCV of scikit-learn with the same inner folds."""

    def fit(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
        splits = StratifiedKFold(INNER, shuffle=True, random_state=0)
        model = LassoCV(
            eps=smallest, alphas=n, cv=splits.split(x, y), max_iter=5000, **options
        ).fit(x, y)
        return model.predict(new), model.alpha_ / model.alphas_[0]

    return fit


def chosen(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit as the project does (`mtm.analyses.disease.status_classifier`)."""
    x, new = np.asfortranarray(x, np.float32), new.astype(np.float32)
    labels = y.astype(np.float32)
    share = choose_penalty(x, labels, SETTINGS, 0)[0] / penalties_of(x, labels, 1, 1)[0]
    start = time.process_time()
    score = fit_predict(x, y, new, SETTINGS, 0)
    chosen.seconds = time.process_time() - start
    return score, share


def known_penalty(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
    """One fit with a penalty chosen once for all: the floor, and a leak between repeats."""
    share = 0.45
    return Lasso(alpha=share * penalties_of(x, y, 1, 1)[0]).fit(x, y).predict(new), share


def sklearn_path(x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    return lasso_path(x, y, alphas=penalties, precompute=False)[1]


def celer_path(x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    celer = importlib.import_module("celer")
    return celer.celer_path(x, y, "lasso", alphas=penalties, tol=1e-4)[1]


def skglm_path(x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    parts = [importlib.import_module(f"skglm.{name}") for name in ("datafits", "penalties")]
    solver = importlib.import_module("skglm.solvers").AndersonCD(tol=1e-4, fit_intercept=False)
    return solver.path(x, y, parts[0].Quadratic(), parts[1].L1(1.0), alphas=penalties)[1]


def adelie_path(x: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    adelie = importlib.import_module("adelie")
    state = adelie.solver.grpnet(
        x, adelie.glm.gaussian(y=y), lmda_path=penalties, intercept=False, early_exit=False,
        progress_bar=False, n_threads=1,
    )  # fmt: skip
    return state.betas.toarray().T


def candidates(slow: bool) -> dict[str, Callable]:
    """Candidates by name, the slow ones where asked for."""
    found = {
        "project: scikit-learn path, left early": chosen,
        "scikit-learn, penalty known beforehand": known_penalty,
        "scikit-learn LassoCV, 30 to 0.1": lasso_cv(30, 0.1),
    }
    for name, path in (("celer", celer_path), ("adelie", adelie_path), ("skglm", skglm_path)):
        found[f"{name} path, 30 to 0.1"] = with_path(path, 30, 0.1)
        found[f"{name} path, 100 to 0.01"] = with_path(path, 100, 0.01)
    if slow:
        found["scikit-learn LassoCV, 100 to 0.01"] = lasso_cv(100, 0.01)
        found["scikit-learn LassoCV, 100 to 0.001 (its default)"] = lasso_cv(100, 0.001)
        found["scikit-learn LassoCV, 30 to 0.1, Gram"] = lasso_cv(30, 0.1, precompute=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--donors", type=int, default=400)
    parser.add_argument("--genes", type=int, default=6000)
    parser.add_argument("--fits", type=int, default=2, help="data sets to average over")
    parser.add_argument("--all", action="store_true", help="slow candidates too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name, fit in candidates(options.all).items():
        seconds, scores, shares = [], [], []
        try:
            if name.startswith("skglm"):
                # Its first call compiles.
                skglm_path(np.asfortranarray(np.eye(8)), np.arange(8.0), np.array([0.5]))
            for seed in range(options.fits):
                values, case = simulate(options.donors, options.genes, seed)
                training = np.arange(options.donors) < 0.8 * options.donors
                x = standardised(values, np.flatnonzero(training)).astype(np.float64)
                y = np.where(case, 1.0, -1.0)
                train_x, new = np.asfortranarray(x[training]), x[~training]
                start = time.process_time()
                score, share = fit(train_x, y[training], new)
                taken = time.process_time() - start
                seconds.append(chosen.seconds if fit is chosen else taken)
                scores.append(auroc(score, case[~training]))
                shares.append(share)
        except ImportError:
            print(f"{name}: not installed", flush=True)
            continue
        row = {"candidate": name, "s per fit": np.mean(seconds), "auROC": np.mean(scores)}
        row["penalty / largest"] = np.mean(shares)
        row["h, GTEx, 8 cores"] = np.mean(seconds) * N_FITS / N_CORES / 3600
        rows.append(row)
        print(f"{name}: {np.mean(seconds):.2f} s", flush=True)
    table = pd.DataFrame(rows).round(3)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
