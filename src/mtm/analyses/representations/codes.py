"""What MTM's latent codes hold of a person (He et al. 2023, Fig S8; methods 3, R10).

Is a code more like the donor's own code of another tissue than like that of another donor?
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.representations.networks import (
    codes_of,
    fold_models,
    held_out_rows,
    untrained,
)
from mtm.analyses.representations.within_donors import (
    FoldComparison,
    compare_donors,
    mean_by_pair,
    sample_similarity,
    summarise_folds,
)
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, InputError
from mtm.models.donors import DonorsKey
from mtm.models.mtm.model import MTM
from mtm.vocabulary import ENCODER_INPUT, NETWORKS, UNTRAINED

log = logging.getLogger(__name__)


def code_similarity(
    cohort: Cohort,
    folds: pd.Series,
    bundles: Mapping[str, Mapping[int, str | Path]],
    n_permutations: int,
    n_bootstraps: int,
    seed: int,
    key: DonorsKey | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compare codes within and between held-out donors, each fold with its own model.

    Beside the trained encoder stand two references that keep some of a donor's identity without
    any training: an untrained encoder of the same shape, and what the encoder is shown. Covariates
    that a model adds to its codes are left out: they are the same for all samples of a donor.

    Parameters
    ----------
    cohort, folds
        Every sample, and the fold by donor id, from `mtm.cohort.folds.read_folds`.
    bundles
        Path of the bundle by model and fold; models of class "mtm".
    n_permutations, n_bootstraps, seed
        See `compare_donors`; the untrained weights of fold f have the seed ``seed + f``.
    key
        What the bundles tell their training donors by.

    Returns
    -------
    pd.DataFrame
        One row a model, network of `NETWORKS`, ``fold`` and donor: `FoldComparison.donors`.
    pd.DataFrame
        One row a model, network and pair of tissues, from `mean_by_pair`.
    pd.DataFrame
        One row a model, network and ``comparison``, from `summarise_folds`.

    Raises
    ------
    InputError, CannotDo
        See `fold_models` and `held_out_rows`; codes are not finite; no donor has two tissues.
    """
    rows_of = held_out_rows(cohort, folds)
    donors, pairs, summary = [], [], []
    for name, paths in bundles.items():
        parts: dict[str, list[FoldComparison]] = {network: [] for network in NETWORKS}
        for fold, model in fold_models(cohort, rows_of, paths, key):
            rows = rows_of[fold]
            samples = _donors_and_tissues(cohort, rows, fold)
            for network in NETWORKS:
                similarity = _similarity(network, model, cohort, rows, seed + fold, paths[fold])
                drawn = (n_permutations, n_bootstraps, (seed, fold))
                parts[network].append(compare_donors(similarity, *samples, *drawn))
                about = {"model": name, "network": network, "fold": fold}
                donors.append(_with_key(about, _named(parts[network][-1].donors, cohort)))
            log.info("%s, fold %d: codes of %d samples compared", name, fold, len(rows))
        for network, of_network in parts.items():
            about = {"model": name, "network": network}
            summary += [about | line for line in summarise_folds(of_network, n_permutations)]
            pairs.append(_with_key(about, mean_by_pair(of_network, cohort.tissues)))
    whole = (pd.concat(tables, ignore_index=True) for tables in (donors, pairs))
    return *whole, pd.DataFrame(summary)


def _donors_and_tissues(
    cohort: Cohort, rows: np.ndarray, fold: int
) -> tuple[np.ndarray, np.ndarray]:
    """Donor and tissue of the held-out samples of a fold."""
    donor = cohort.donor[rows]
    if np.unique(donor, return_counts=True)[1].max() < 2:
        raise CannotDo(
            "latent codes",
            f"no held-out donor of fold {fold} with two tissues",
            "draw folds with the scheme balanced, or fewer folds",
        )
    return donor, cohort.tissue[rows]


def _similarity(
    network: str, model: MTM, cohort: Cohort, rows: np.ndarray, seed: int, path: str | Path
) -> np.ndarray:
    """Similarity of the codes of one of `NETWORKS`, or of what the encoder is shown."""
    if network == ENCODER_INPUT:
        values = model.encoder_input(cohort, rows)
    else:
        model = untrained(model, seed) if network == UNTRAINED else model
        values = codes_of(model, cohort, rows)
    if not np.isfinite(values).all():
        raise InputError(
            path,
            f"{network} values that are not finite",
            "finite codes of every held-out sample",
            "The model has diverged, or its training had no sample of a tissue.",
        )
    return sample_similarity(values)


def _named(donors: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Name the donors, and add the difference of their means."""
    table = donors.assign(donor=cohort.donors.index[donors["donor"]])
    gap = table["mean_within"] - table["mean_between"]
    table.insert(table.columns.get_loc("auc"), "difference", gap)
    return table


def _with_key(key: Mapping[str, object], table: pd.DataFrame) -> pd.DataFrame:
    """Put the columns of a key before those of a table."""
    return pd.DataFrame(dict(key), index=table.index).join(table)
