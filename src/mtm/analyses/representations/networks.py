"""MTM's networks of every fold, their untrained twins, and the samples they never saw."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor
from mtm.models.donors import DonorsKey
from mtm.models.mtm.model import MTM
from mtm.models.mtm.networks import ConditionedStack
from mtm.models.registry import load
from mtm.models.requests import refuse_seen

ENCODER_BATCH = 1024


def held_out_rows(cohort: Cohort, folds: pd.Series) -> dict[int, np.ndarray]:
    """Rows of the samples of every fold's held-out donors.

    Parameters
    ----------
    folds
        Fold by donor id, from `mtm.cohort.folds.read_folds`.

    Raises
    ------
    InputError
        A donor of the cohort has no row.
    """
    fold_of = folds.reindex(cohort.donors.index)
    if fold_of.isna().any():
        raise InputError(
            "folds", f"no row for donor {fold_of.index[fold_of.isna()][0]}", "every donor"
        )
    fold = fold_of.to_numpy(int)[cohort.donor]
    return {int(index): np.flatnonzero(fold == index) for index in np.unique(fold[fold >= 0])}


def bundles_by_model(
    paths: Sequence[str | Path], models: Sequence[str], folds: Sequence[int]
) -> dict[str, dict[int, str | Path]]:
    """Put the paths of bundles, folds running fastest, in a dict by model and fold."""
    rest = iter(paths)
    return {model: {fold: next(rest) for fold in folds} for model in models}


def fold_models(
    cohort: Cohort,
    rows: Mapping[int, np.ndarray],
    bundles: Mapping[int, str | Path],
    key: DonorsKey | None = None,
    of_class: type[Predictor] = MTM,
) -> Iterator[tuple[int, Predictor]]:
    """Load one fold's model after the other and check that it fits the cohort.

    Raises
    ------
    InputError
        A fold has no bundle, or a bundle is not `of_class`, has other genes or tissues than
        the cohort, or was fitted with held-out donors of its fold.
    """
    missing = sorted(set(rows) - set(bundles))
    if missing:
        raise InputError("model bundles", f"none of fold {missing[0]}", "one for every fold")
    for fold, members in rows.items():
        path = bundles[fold]
        model = load(path, key)
        if not isinstance(model, of_class):
            raise InputError(
                path,
                f"a model of class {model.name}",
                f"class {of_class.name}",
                "Others have no such codes.",
            )
        for what, found, expected in (
            ("genes", list(model.genes.index), list(cohort.genes.index)),
            ("tissues", list(model.tissues), list(cohort.tissues)),
        ):
            if found != expected:
                differ = sorted(set(found) ^ set(expected)) or ["the order"]
                raise InputError(
                    path,
                    f"{len(found)} {what}, unlike the cohort's in {differ[0]}",
                    f"the cohort's {len(expected)} {what}, in its order",
                    "Train the model again on this cohort.",
                )
        refuse_seen(model, cohort.donors.index[np.unique(cohort.donor[members])], path)
        yield fold, model


def untrained(model: MTM, seed: int) -> MTM:
    """Return a model like `model` whose encoder and generator are as before any training.

    Parameters
    ----------
    seed
        Of the initial weights.
    """
    p, n_genes, n_tissues = model.parameters, len(model.genes), len(model.tissues)
    state = model.state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, widths in (
            ("encoder", (n_genes, *p.encoder_widths, p.code_width)),
            ("generator", (p.code_width, *p.generator_widths, n_genes)),
        ):
            for key, value in ConditionedStack(widths, n_tissues).state_dict().items():
                dtype = state[f"{name}/{key}"].dtype
                state[f"{name}/{key}"] = value.numpy().astype(dtype)
    twin = MTM(p)
    twin.tissues, twin.genes = model.tissues, model.genes
    twin.scaler, twin.ranks = model.scaler, model.ranks
    twin.provenance = model.provenance
    twin.restore(state)
    return twin


def codes_of(model: MTM, cohort: Cohort, rows: np.ndarray) -> np.ndarray:
    """Codes of the samples `rows`, in batches, shape ``(n_rows, code_width)``."""
    batches = range(0, len(rows), ENCODER_BATCH)
    parts = [model.codes(cohort, rows[i : i + ENCODER_BATCH]).cpu().numpy() for i in batches]
    return np.concatenate(parts)
