"""Tell a tissue that no training donor gave, beside the same model that was trained with it.

    .venv/bin/python bench/unseen_tissue.py tests/real/five_tissues.yaml

reads the cohort and the predictions of `joint` that a run of that configuration left. All
training samples of every target tissue are taken away in turn; the joint model gives the tissue
the loadings of its organ, or those common to all organs. What is told are z-scores: nobody knows
the tissue's means. Correlations are those of the headline, intervals (95%) and paired differences
over donors.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mtm.analyses.accuracy.counted import CONVENTION_OF, Counted, degrees_of
from mtm.analyses.accuracy.resampled import headline_correlations
from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Requests, Training
from mtm.models.registry import build
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.predictions.held_out import HeldOut, fold_weights, read_held_out
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.joint_null import wider
from mtm.statistics.over_tissues import known_mean
from mtm.statistics.testing import t_interval_of_mean
from mtm.vocabulary import MEAN_OF_TISSUES

SOURCES = ("source", "others")
TRAINED, UNSEEN = "trained with it", "unseen"


def fitted(cohort: Cohort, source: str, parameters: dict, without: int | None = None) -> Predictor:
    """Fit the joint model, the samples of one tissue taken away."""
    kept = cohort.tissue != (-1 if without is None else without)
    part = replace(
        cohort,
        expr_tpm=cohort.expr_tpm[kept],
        samples=cohort.samples[kept],
        donor=cohort.donor[kept],
        tissue=cohort.tissue[kept],
    )
    model = build("joint", parameters)
    model.fit(Training(part, cohort.tissue_index(source), device="cpu"))
    return model


def told(
    cohort: Cohort, held_out: HeldOut, source: str, parameters: dict
) -> dict[tuple[str, str], np.ndarray]:
    """Predict every held-out sample with and without its tissue in training, by sources."""
    shape = (cohort.n_samples, cohort.n_genes)
    predicted = {
        (training, sources): np.full(shape, np.nan, np.float32)
        for training in (TRAINED, UNSEEN)
        for sources in SOURCES
    }
    fold_of = held_out.samples.drop_duplicates("donor").set_index("donor")["fold"]
    for fold in sorted(fold_of[fold_of >= 0].unique()):
        left_out = fold_of.index[fold_of == fold]
        training = cohort.of_donors(fold_of.index[fold_of != fold])
        asked = {name: held_out_requests(cohort, left_out, source, name) for name in SOURCES}
        whole = fitted(training, source, parameters)
        for target in np.unique(asked["source"][0].target):
            models = {TRAINED: whole, UNSEEN: fitted(training, source, parameters, target)}
            print(f"fold {fold}: {cohort.tissues[target]}", flush=True)
            for name, (requests, rows) in asked.items():
                mine = np.flatnonzero(requests.target == target)
                part = Requests(
                    requests.source_rows[mine], requests.target[mine], cohort.donor[rows[mine]]
                )
                for key, model in models.items():
                    blocks = predict_in_blocks(model, cohort, part)
                    predicted[key, name][rows[mine]] = np.concatenate(list(blocks))
    return predicted


def rows_of(
    held_out: HeldOut, predicted: dict[tuple[str, str], np.ndarray]
) -> Iterator[dict[str, object]]:
    """Yield a row a target, what it is told from and level; last the mean over targets."""
    accuracy = AccuracySettings()
    weights = fold_weights([held_out], accuracy)
    drawn: dict[tuple[str, str], list] = {}
    for tissue in tissues(held_out):
        rows = tissue.rows["cohort_row"].to_numpy()
        for sources in SOURCES:
            of = {
                training: headline_correlations(
                    replace(tissue, predicted=predicted[training, sources][rows]),
                    weights, accuracy, learned=True,
                )
                for training in (TRAINED, UNSEEN)
            }  # fmt: skip
            for level in of[TRAINED]:
                seen, unseen = of[TRAINED][level], of[UNSEEN][level]
                rho = float(known_mean(seen.rho)), float(known_mean(unseen.rho))
                draws = wider(unseen.draws, unseen.ratio), unseen.beside(seen)
                counted = Counted.of(tissue.rows, accuracy, CONVENTION_OF[level])
                drawn.setdefault((sources, level), []).append((rho, draws, counted))
                yield row(tissue.name, sources, level, [(rho, draws, counted)])
    for (sources, level), found in drawn.items():
        yield row(MEAN_OF_TISSUES, sources, level, found)


def row(tissue: str, sources: str, level: str, found: list[tuple]) -> dict[str, object]:
    """Average over targets, with intervals for the unseen tissue and the difference."""
    seen, unseen = np.mean([rho for rho, *_ in found], 0)
    own, paired = zip(*(draws for _, draws, _ in found), strict=True)
    counted = [of for *_, of in found]
    sizes, degrees = [of.sizes for of in counted], degrees_of(counted)
    return {"tissue": tissue, "from": sources, "level": level, TRAINED: f"{seen:.3f}"} | {
        name: f"{value:.3f} ({limits['ci_low']:.3f} to {limits['ci_high']:.3f})"
        for name, value, draws in ((UNSEEN, unseen, own), ("difference", unseen - seen, paired))
        for limits in [t_interval_of_mean(value, draws, sizes, degrees)]
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--fits", type=int, default=1, help="fits that are averaged")
    parser.add_argument("--noise-freedom", type=float, help="in place of a choice in every fit")
    given = parser.parse_args()
    config = yaml.safe_load(given.config.read_text())
    source, run = config.get("source", "Whole Blood"), Path("results", config["cohort"])
    parameters: dict = {"fits": given.fits}
    if given.noise_freedom is not None:
        parameters["noise_freedom"] = [given.noise_freedom]
    expression = run / "cohort/expression.h5ad"
    cohort = Cohort.read(expression, run / "cohort/donors.tsv")
    files = sorted((run / "predictions/joint").glob("fold*.h5ad"))
    held_out = read_held_out(expression, run / "cohort/folds.tsv", files, source)
    predicted = told(cohort, held_out, source, parameters)
    table = pd.DataFrame(rows_of(held_out, predicted))
    print(table.to_csv(sep="|", index=False))


if __name__ == "__main__":
    main()
