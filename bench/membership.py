"""How well a bundle tells who it was trained on: membership inference (docs/sharing.md).

    .venv/bin/python bench/membership.py simulated
    .venv/bin/python bench/membership.py FOLDER --genes 600

The attacker has the bundle, and blood and target tissues of people of whom some were training
donors. In each split so many donors train, all others of the cohort did not; none of the scores
below knows which is which. A model's figure is that of the strongest score: an attacker may take
any, so it is a little high where several do equally well.

- ``plain``: how near the person's own z-scores are to the training mean
- ``told``: how much nearer the prediction is to what the person's tissues are, than the mean is
- ``span``: which share of the person's blood lies in the directions that the model knows
- ``stored``: the likeness of the person's blood to the most alike of the samples in the bundle

AUC, and the share of training donors found where 1% of the others are taken for one (threshold:
the highest score but 1% of the others, rounded down). FOLDER holds ``cohort/`` of a run; genes are
drawn at random.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from joint_simulations import cohort_of, draw, population

from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor, Requests, Training
from mtm.models.donors import DonorsKey
from mtm.models.registry import build

MTM = {
    "target_scale": "log2_z", "encoder_input": "z", "individual_loss": "smooth_l1",
    "lambda_adversarial": 0.0, "lambda_reconstruction": 0.0, "lambda_cycle": 0.0,
    "optimizer": "adamw", "weight_decay": 0.01, "learning_rate": 0.001, "beta1": 0.9,
    "beta2": 0.999, "schedule": "one_cycle", "encoder_widths": [64], "code_width": 32,
    "generator_widths": [64], "precision": "float32",
}  # fmt: skip
JOINT = {"n_factors": [8], "fits": 1, "noise_freedom": [0.0], "iterations": 30}
# Class, parameters, rank of the shareable form (0: the bundle as it is).
MODELS = {
    "train_mean": ("train_mean", {}, 0),
    "covariates": ("covariates", {}, 0),
    "bgex": ("bgex", {}, 0),
    "teebot": ("teebot", {}, 0),
    "ridge": ("ridge", {}, 0),
    "ridge, overfitted": ("ridge", {"penalties": [1e-3]}, 0),
    "ridge of rank 10": ("ridge", {"rank": 10}, 0),
    **{f"ridge, shareable, {r} axes": ("ridge", {}, r) for r in (2, 8, 16, 10**6)},
    "joint": ("joint", JOINT, 0),
    "joint, overfitted": (
        "joint",
        JOINT | {"n_factors": [40], "noise_penalty": 1.0, "factor_penalty": 0.01},
        0,
    ),
    "nearest_donors": ("nearest_donors", {}, 0),
    "ensemble of ridge and joint": (
        "ensemble",
        {"models": ["ridge", "joint"], "inner_fits": 1},
        0,
    ),
    "mtm_log2, small": ("mtm", MTM | {"steps": 300}, 0),
    "mtm_log2, small, overfitted": ("mtm", MTM | {"steps": 1000, "dropout": 0.0}, 0),
}
SPLITS = 2


def fitted(name: str, training: Training, folder: Path) -> Predictor:
    """Fit a model of `MODELS`; members are saved first."""
    kind, parameters, rank = MODELS[name]
    members = {member: folder / member for member in parameters.get("models", ())}
    for member, path in members.items():
        fitted(member, training, folder).save(path, training.donors_key)
    model = build(kind, parameters)
    model.fit(replace(training, members=members))
    return model.shareable(rank, 1) if rank else model


def known_directions(model: Predictor, source: int) -> np.ndarray | None:
    """Return directions of the source's z-scores that a model knows, ``(n_genes, k)``, or None."""
    state = model.state()
    if model.name == "ridge":
        rows = [state[name] for name in ("shared/source",) if name in state]
        rows += [state[name].T for name in ("shared/axes",) if name in state]
        rows = rows or [array.T for name, array in state.items() if name.endswith("/coef")]
    elif model.name == "teebot":
        rows = [state["shared/axes"].T]
    elif model.name == "joint":
        rows = [array[source].T for name, array in state.items() if name.endswith("/factors")]
    elif model.name == "nearest_donors":
        rows = [state["shared/source"]]
    else:
        return None
    vectors, values, _ = np.linalg.svd(np.vstack(rows).T.astype(float), full_matrices=False)
    kept = values > 1e-4 * values[0]
    return vectors[:, kept] if kept.sum() < len(vectors) else None


def scores(model: Predictor, cohort: Cohort, source: int) -> dict[str, np.ndarray]:
    """Return each score of every donor with the source and a target; higher is more a member."""
    rows = cohort.row_of()
    people = np.flatnonzero(rows[:, source] >= 0)
    z = model.scaler.transform(cohort.expr_tpm, cohort.tissue)
    targets = np.flatnonzero((cohort.tissue != source) & np.isin(cohort.donor, people))
    asked = Requests(rows[cohort.donor[targets], source][:, None], cohort.tissue[targets])
    left = np.square(z[targets] - model.predict(cohort, asked)).mean(1)
    plain = np.square(z[targets]).mean(1)
    by_person = pd.DataFrame({"donor": cohort.donor[targets], "left": left, "plain": plain})
    mean = by_person.groupby("donor").mean()
    people = mean.index.to_numpy()
    blood = z[rows[people, source]]
    found = {
        "plain": -(np.square(blood).mean(1) + mean["plain"].to_numpy()),
        "told": -(mean["left"] / mean["plain"]).to_numpy(),
        "left": -mean["left"].to_numpy(),
    }
    if (known := known_directions(model, source)) is not None:
        found["span"] = np.square(blood @ known).sum(1) / np.square(blood).sum(1)
    stored = model.state().get("shared/source")
    if stored is not None:
        both = [part - part.mean(1, keepdims=True) for part in (blood, stored)]
        both = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in both]
        found["stored"] = (both[0] @ both[1].T).max(1)
    return found | {"people": people}


def figures(score: np.ndarray, member: np.ndarray) -> tuple[float, float]:
    """Return AUC, and the share of members above all but 1% of the others."""
    own, others = score[member], np.sort(score[~member])
    below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
    threshold = others[len(others) - 1 - int(0.01 * len(others))]
    return below.mean() / (2 * len(others)), (own > threshold).mean()


def attacked(
    cohort: Cohort, source: int, n_training: int, folder: Path, names: list[str]
) -> Iterator[dict]:
    """Fit models on some donors of each split, and attack them with all."""
    held = np.flatnonzero(cohort.row_of()[:, source] >= 0)
    for split in range(SPLITS):
        rng = np.random.default_rng(split)
        chosen = cohort.donors.index[rng.permutation(held)[:n_training]]
        training = Training(
            cohort.of_donors(chosen), source, split, device="cpu", donors_key=DonorsKey(b"bench"),
            for_others=False,
        )  # fmt: skip
        for name in names:
            model = fitted(name, replace(training, for_others=MODELS[name][2] > 0), folder)
            found = scores(model, cohort, source)
            member = cohort.donors.index[found.pop("people")].isin(chosen)
            for attack, score in found.items():
                auc, found_share = figures(score, member)
                yield {"model": name, "split": split, "attack": attack, "auc": auc,
                       "found": found_share, "others": int((~member).sum())}  # fmt: skip


def of_genes(cohort: Cohort, n_genes: int) -> Cohort:
    """Return a cohort of some genes, drawn at random."""
    kept = np.sort(np.random.default_rng(0).permutation(cohort.n_genes)[:n_genes])
    return replace(cohort, expr_tpm=cohort.expr_tpm[:, kept], genes=cohort.genes.iloc[kept])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", help="'simulated', or a folder")
    parser.add_argument("--source", default="Whole Blood")
    parser.add_argument("--training", type=int, default=150)
    parser.add_argument("--genes", type=int, default=10**6)
    parser.add_argument("--models", default="", help="those whose name has this")
    parser.add_argument("--not-models", default="none", help="but those whose name has this")
    options = parser.parse_args()
    names = [n for n in MODELS if options.models in n and options.not_models not in n]
    if options.cohort == "simulated":
        rng = np.random.default_rng(0)
        cohort = cohort_of(draw(population(rng, False), options.training + 300, rng), rng)
        source = 0
    else:
        place = Path(options.cohort) / "cohort"
        cohort = Cohort.read(place / "expression.h5ad", place / "donors.tsv")
        cohort = of_genes(cohort, options.genes)
        source = cohort.tissue_index(options.source)
    rows = []
    with TemporaryDirectory() as folder:
        for row in attacked(cohort, source, options.training, Path(folder), names):
            rows.append(row)
            print(".", end="", flush=True)
    table = pd.DataFrame(rows).groupby(["model", "attack"], sort=False).mean()
    best = table.loc[table.groupby("model", sort=False)["auc"].idxmax()].reset_index()
    text = {"auc": "{:.2f}".format, "found": "{:.0%}".format, "others": "{:.0f}".format}
    print(f"\n{cohort.n_genes} genes, {options.training} training donors, {SPLITS} splits")
    print(best.drop(columns="split").to_string(index=False, formatters=text))
    print(table["auc"].unstack().reindex(names).to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
