"""What `mtm predict --align` gains where a laboratory differs, and costs where none does.

    .venv/bin/python bench/alignment.py results/gtex_five_tissues/cohort --lab 50

reads a cohort (``snakemake --configfile tests/real/five_tissues.yaml
results/gtex_five_tissues/cohort/folds.tsv``; likewise the panel), holds `--lab` donors who gave
blood out of a ridge on log2 z-scores, spoils their blood as another laboratory might, and predicts
them as laboratories of n people each, every one aligned by itself. Gene-wise rho over all of them
and sample-wise rho, means over tissues with ten such donors; `--draws` choices of donors.

A shift of all people leaves gene-wise rho as it is, and taking away the mean of n people takes
1/n of what people differ by with it: a factor of sqrt(1 - 1/n), which no weight can spare where
the effect is not known otherwise. Where `--own` gives every laboratory an effect of its own, that
is what stands against their differences.

Effects, on log2(1+TPM) of blood: ``none``; ``gene`` adds N(0, 0.7) to each gene; ``whole`` is a
scale of 0.85 and an offset of 0.6 besides; ``half`` is half of ``whole``. Two are of each sample
by itself: ``depth`` has a scale N(1, 0.08) and an offset N(0, 0.5), ``floor`` adds a background to
40 times the TPM, as arrays do, and a scale N(1, 0.05). ``--inputs ranks`` shows the model the
ranks of blood (methods 6.25) in place of z-scores.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.models.base import Predictor, Training
from mtm.models.registry import build
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.predictions.alignment import align_to_training
from mtm.predictions.gene_overlap import GeneOverlap
from mtm.predictions.samples import NewSamples, Source
from mtm.statistics.correlation import row_correlation
from mtm.vocabulary import NEW_ALIGNMENTS

SOURCE = "Whole Blood"
EFFECTS = {"none": (1.0, 0.0, 0.0), "gene": (1.0, 0.0, 0.7), "whole": (0.85, 0.6, 0.7),
           "half": (0.925, 0.3, 0.35)}  # fmt: skip
# Of each sample: sds of scale and offset, and how far its background lies below 1 TPM (0: none).
OF_SAMPLES = {"depth": (0.08, 0.5, 0.0), "floor": (0.05, 0.0, 40.0)}
LEAST = 10
# A joint model that is fitted in seconds.
PARAMETERS = {"joint": {"n_factors": 14, "fits": 1, "noise_freedom": 0.0, "iterations": 20}}


def spoiled(expr_tpm: np.ndarray, effect: str, rng: np.random.Generator) -> np.ndarray:
    """Measure samples in a laboratory of its own, or each in its own way."""
    if effect in OF_SAMPLES:
        scale, offset, above = OF_SAMPLES[effect]
        expr_log2 = np.log2(1 + above * (1 + expr_tpm)) if above else log2_tpm(expr_tpm)
        one = len(expr_tpm), 1
        expr_log2 = expr_log2 * rng.normal(1, scale, one) + rng.normal(0, offset, one)
        return (np.exp2(np.clip(expr_log2, 0, 24)) - 1).astype(np.float32)
    scale, offset, gene = EFFECTS[effect]
    expr_log2 = log2_tpm(expr_tpm) * scale + offset * (effect != "none")
    expr_log2 = expr_log2 + rng.normal(0, gene or 1e-12, expr_tpm.shape[1])
    return (np.exp2(np.clip(expr_log2, 0, 24)) - 1).astype(np.float32)


def aligned(model: Predictor, expr_tpm: np.ndarray, n: int, method: str) -> np.ndarray:
    """Align samples as laboratories of `n` people each, in order."""
    done = np.empty_like(expr_tpm)
    for start in range(0, len(expr_tpm), n):
        lab = expr_tpm[start : start + n].copy()
        overlap = GeneOverlap(lab.shape[1], lab.shape[1], lab.shape[1], 0)
        source = Source("lab", SOURCE, np.arange(len(lab)), overlap)
        samples = NewSamples(lab, pd.DataFrame({"tissue": [SOURCE] * len(lab)}), (source,))
        align_to_training(model, samples, method)
        done[start : start + n] = lab
    return done


def accuracy(model: Predictor, cohort: Cohort, donors: list[str]) -> tuple[float, float]:
    """Gene-wise and sample-wise rho of held-out donors."""
    requests, rows = held_out_requests(cohort, donors, SOURCE)
    predicted = np.concatenate(list(predict_in_blocks(model, cohort, requests)))
    truth = vars(cohort)["truth"][rows]
    by_gene, by_sample = [], []
    for target in np.unique(requests.target):
        kept = requests.target == target
        if kept.sum() >= LEAST:
            by_gene.append(np.nanmean(row_correlation(predicted[kept].T, truth[kept].T)))
            by_sample.append(np.nanmean(row_correlation(predicted[kept], truth[kept])))
    return float(np.mean(by_gene)), float(np.mean(by_sample))


def drawn_at(seed: int, start: int) -> np.random.Generator:
    """Return what draws the effect of a laboratory."""
    return np.random.default_rng([seed, 7, start] if start else [seed, 7])


def rows_of(
    cohort: Cohort, size: int, sizes: list[int], seed: int, model: str, parameters: dict, own: bool
):
    """Yield one row an effect, number of people and method."""
    rng = np.random.default_rng(seed)
    of_source = cohort.tissue == cohort.tissue_index(SOURCE)
    gave = cohort.donors.index[cohort.donor[of_source]]
    lab = sorted(rng.permutation(gave)[:size])
    fitted = build(model, parameters)
    training = cohort.of_donors(set(cohort.donors.index) - set(lab))
    fitted.fit(Training(training, source=cohort.tissue_index(SOURCE), device="cpu", seed=seed))
    held = cohort.of_donors(lab)
    truth = fitted.scaler.transform(held.expr_tpm, held.tissue)
    blood = rng.permutation(np.flatnonzero(held.tissue == held.tissue_index(SOURCE)))
    plain = held.expr_tpm.copy()
    vars(held)["truth"] = truth
    for effect in (*EFFECTS, *OF_SAMPLES):
        for n in sizes:
            step = n if own else len(blood)
            other = np.concatenate(
                [
                    spoiled(plain[blood[start : start + step]], effect, drawn_at(seed, start))
                    for start in range(0, len(blood), step)
                ]
            )
            for method in NEW_ALIGNMENTS if n > 1 else ("none",):
                held.expr_tpm[blood] = aligned(fitted, other, n, method)
                by_gene, by_sample = accuracy(fitted, held, lab)
                yield {"effect": effect, "n": n, "method": method, "gene": by_gene,
                       "sample": by_sample}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--lab", type=int, default=50, help="held-out donors")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 5, 20, 50])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--model", default="ridge")
    parser.add_argument("--own", action="store_true", help="effects differ between laboratories")
    parser.add_argument("--inputs", choices=["z", "ranks"], default="z")
    options = parser.parse_args()
    cohort = Cohort.read(options.cohort / "expression.h5ad", options.cohort / "donors.tsv")
    parameters = PARAMETERS.get(options.model, {}) | {"inputs": options.inputs}
    table = pd.DataFrame(
        row
        for seed in range(options.draws)
        for row in rows_of(
            cohort, options.lab, options.sizes, seed, options.model, parameters, options.own
        )
    )
    wide = table.groupby(["effect", "n", "method"], sort=False)[["gene", "sample"]].mean()
    print(wide.unstack("method").round(3).to_string())


if __name__ == "__main__":
    main()
