"""The joint model where the truth is known: against its ceiling, ridge, and a silent source.

    .venv/bin/python bench/joint_simulations.py --seeds 3

Cohorts of 200 genes, held-out donors told from blood; gene-wise rho, mean of genes, tissues and
seeds. `known`: the joint model's own population (8 factors, own effects, noise of rank 4; four
tissues), whose exact conditional under the true loadings is the ceiling. `factors`: 4 strong
factors alone. `cross`: two tissues of 500 animals whose genes follow 100 loci, each gene its own
few. `nothing`: no relation between tissues. `silent`: `known`, one tissue being noise, which is
given beside blood.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.models.base import Requests, Training
from mtm.models.joint.conditional import condition
from mtm.models.joint.loadings import Loadings
from mtm.models.registry import build
from mtm.statistics.correlation import row_correlation

N_GENES, N_HELD_OUT = 200, 200
BLOOD, SILENT = 0, 3
MODELS = {
    "ridge": ("ridge", {}),
    "ridge_covariates": ("ridge", {"covariates": "own_penalty"}),
    "joint": ("joint", {}),
}


def cohort_of(expr: np.ndarray, rng: np.random.Generator) -> Cohort:
    """Make a cohort of expression ``(n_donors, n_tissues, n_genes)``, sd about 1, on log2."""
    n_donors, n_tissues, _ = expr.shape
    names = [f"d{i:05d}" for i in range(n_donors)]
    donor, tissue = np.divmod(np.arange(n_donors * n_tissues), n_tissues)
    return Cohort(
        np.exp2(8 + expr.reshape(len(donor), -1)).astype(np.float32),
        pd.DataFrame(index=[f"s{i}" for i in range(len(donor))]),
        donor,
        tissue,
        pd.DataFrame({"sex": rng.integers(1, 3, n_donors)}, index=names),
        tuple(f"t{i}" for i in range(n_tissues)),
        pd.DataFrame({"symbol": "x"}, index=[f"g{i}" for i in range(N_GENES)]),
    )


def population(rng: np.random.Generator, silent: bool) -> Loadings:
    """Draw true loadings of four tissues; a new sample has variance 1."""
    common = rng.standard_normal((1, N_GENES, 8))
    factors = (common + 0.7 * rng.standard_normal((4, N_GENES, 8))) * 0.17
    own = np.abs(rng.normal(0.35, 0.15, (4, N_GENES)))
    noise = rng.standard_normal((4, N_GENES, 4)) * 0.2
    if silent:
        factors[SILENT], own[SILENT] = 0, 0
    told = (factors**2).sum(2) + own**2 + (noise**2).sum(2)
    variance = np.maximum(1 - told, 0.05)
    arrays = {"factors": factors, "noise": noise, "own": own, "variance": variance}
    rest = {
        "organ": factors, "common": common[0], "own_mean": own[0], "variance_mean": variance[0],
        "covariates": np.zeros((0, 8)), "covariate_variance": np.zeros(0),
    }  # fmt: skip
    return Loadings(
        **{k: torch.from_numpy(v.astype(np.float32)) for k, v in (arrays | rest).items()}
    )


def draw(loadings: Loadings, n_donors: int, rng: np.random.Generator) -> np.ndarray:
    """Draw samples of every tissue of some donors."""
    factors, own = rng.standard_normal((n_donors, 8)), rng.standard_normal((n_donors, N_GENES))
    of = {name: value.numpy() for name, value in loadings.values().items()}
    expr = np.einsum("nk,tgk->ntg", factors, of["factors"]) + own[:, None] * of["own"]
    expr += np.einsum("ntr,tgr->ntg", rng.standard_normal((n_donors, 4, 4)), of["noise"])
    return expr + rng.standard_normal(expr.shape) * np.sqrt(of["variance"])


def factors_alone(n_donors: int, rng: np.random.Generator) -> np.ndarray:
    """Draw samples that follow 4 factors, tissues by loadings of their own."""
    told = np.einsum(
        "nk,tgk->ntg", rng.standard_normal((n_donors, 4)), rng.standard_normal((4, N_GENES, 4))
    )
    told /= told.std(0)
    return np.sqrt(0.4) * told + np.sqrt(0.6) * rng.standard_normal(told.shape)


def cross(n_donors: int, rng: np.random.Generator) -> np.ndarray:
    """Draw two tissues whose genes follow loci of 20 chromosomes, five on each."""
    loci = np.empty((n_donors, 20, 5))
    loci[..., 0] = rng.standard_normal((n_donors, 20))
    for place in range(1, 5):
        fresh = rng.standard_normal((n_donors, 20))
        loci[..., place] = 0.8 * loci[..., place - 1] + 0.6 * fresh
    effects = np.zeros((100, N_GENES))
    for gene in range(N_GENES):
        effects[rng.integers(0, 100, 3), gene] = rng.standard_normal(3) * (1, 0.4, 0.4)
    told = loci.reshape(n_donors, 100) @ effects
    told /= told.std(0)
    noise = rng.standard_normal((n_donors, 2, N_GENES))
    return np.sqrt(0.5) * (told[:, None] + noise)


def asked(cohort: Cohort, given: Sequence[int], targets: Sequence[int]) -> tuple:
    """Request every target of the held-out donors, who stand last; and the rows they have."""
    rows = cohort.row_of()[-N_HELD_OUT:]
    sources = np.tile(rows[:, given], (len(targets), 1))
    target = np.repeat(targets, len(rows))
    return Requests(sources, target), rows[:, targets].T.ravel()


def rho(predicted: np.ndarray, observed: np.ndarray, target: np.ndarray) -> float:
    """Gene-wise correlation, mean over genes and tissues; 0 for what does not vary."""
    of = [
        np.nan_to_num(row_correlation(predicted[target == t].T, observed[target == t].T)).mean()
        for t in np.unique(target)
    ]
    return float(np.mean(of))


def told(expr: np.ndarray, given: Sequence[int], targets: Sequence[int], models, rng) -> dict:
    """Fit models to all but the last donors and tell these."""
    cohort = cohort_of(expr, rng)
    training = Training(cohort.of_donors(cohort.donors.index[:-N_HELD_OUT]), BLOOD, device="cpu")
    requests, rows = asked(cohort, given, targets)
    observed = np.log2(cohort.expr_tpm[rows])
    found = {}
    for name in models:
        kind, parameters = MODELS[name]
        model = build(kind, parameters)
        model.fit(training)
        found[name] = rho(model.predict(cohort, requests), observed, requests.target)
    return found


def ceiling(loadings: Loadings, expr: np.ndarray, given: list[int]) -> float:
    """Tell the held-out donors by the exact conditional under the true loadings."""
    held_out = expr[-N_HELD_OUT:]
    posterior = condition(loadings, given)
    told_of = posterior.told(torch.from_numpy(held_out[:, given].astype(np.float32)))
    targets = [1, 2]
    predicted = np.concatenate([posterior.mean(t, told_of).numpy() for t in targets])
    observed = np.concatenate([held_out[:, t] for t in targets])
    return rho(predicted, observed, np.repeat(targets, N_HELD_OUT))


def rows_of(seed: int) -> list[dict]:
    """Simulate every kind of cohort once."""
    rows = []
    for n_donors in (100, 300, 1000):
        rng = np.random.default_rng([seed, n_donors])
        for kind in ("known", "silent"):
            truth = population(np.random.default_rng(seed), kind == "silent")
            expr = draw(truth, n_donors + N_HELD_OUT, rng)
            about = {"cohort": kind, "donors": n_donors}
            found = told(expr, [BLOOD], [1, 2], MODELS, rng)
            found["ceiling"] = ceiling(truth, expr, [BLOOD])
            if kind == "silent":
                beside = told(expr, [BLOOD, SILENT], [1, 2], ["joint"], rng)
                found["joint, silent tissue beside blood"] = beside["joint"]
            rows += [about | {"model": name, "rho": value} for name, value in found.items()]
    for kind, n_donors, make in (
        ("factors", 160, factors_alone),
        ("cross", 400, cross),
        ("nothing", 160, lambda n, rng: rng.standard_normal((n, 4, N_GENES))),
    ):
        rng = np.random.default_rng([seed, n_donors])
        expr = make(n_donors + N_HELD_OUT, rng)
        found = told(expr, [BLOOD], list(range(1, expr.shape[1])), MODELS, rng)
        rows += [
            {"cohort": kind, "donors": n_donors, "model": name, "rho": value}
            for name, value in found.items()
        ]
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    torch.set_num_threads(1)
    table = pd.DataFrame(
        [row for seed in range(parser.parse_args().seeds) for row in rows_of(seed)]
    )
    key = ["cohort", "donors"]
    wide = table.pivot_table(index=key, columns="model", values="rho", sort=False)
    print(wide.round(4).to_csv(sep="|"))


if __name__ == "__main__":
    main()
