"""Folds of donors: who is held out when, and how much is left to train on."""

import random
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, get_args

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from mtm.cohort.filters import check_source
from mtm.cohort.lines import demand_whole_rows
from mtm.errors import InputError
from mtm.io import read_tsv

Scheme = Literal["published", "balanced", "holdout"]
SCHEMES: tuple[str, ...] = get_args(Scheme)
NEVER_HELD_OUT = -1
HOLDOUT_FRACTION = 0.2


def _sorted_donors(donors: Sequence[str], n_folds: int, least: int) -> pd.Index:
    """Return distinct donors in sorted order, enough of them for `n_folds`."""
    if n_folds < least:
        raise InputError("folds.n_folds", str(n_folds), f"{least} or more")
    index = pd.Index(sorted(set(donors)), name="donor")
    if len(index) < max(n_folds, 2):
        raise InputError(
            "folds",
            f"{len(index)} donors for {n_folds} folds",
            "at least as many donors as folds" if n_folds > 1 else "at least two donors",
            "Lower folds.n_folds or relax the sample filters.",
        )
    return index


def _table(donors: pd.Index, fold: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Make the fold table."""
    return pd.DataFrame({"donor": donors, "fold": np.asarray(fold, dtype=np.int64)})


def published_folds(donors: Sequence[str], n_folds: int = 5, seed: int = 666) -> pd.DataFrame:
    """Draw folds as the published code does: each sorted donor's fold at random (methods 1.1).

    The folds are of unequal size and stratified by nothing.

    Returns
    -------
    pd.DataFrame
        ``donor`` (sorted), ``fold`` (0 to `n_folds` - 1).

    Raises
    ------
    InputError
        `n_folds` is below 2, or there are fewer donors than folds.
    """
    index = _sorted_donors(donors, n_folds, 2)
    return _table(index, random.Random(seed).choices(range(n_folds), k=len(index)))


def holdout_folds(donors: Sequence[str], seed: int = 666) -> pd.DataFrame:
    """Hold out a random fifth of the donors once.

    Returns
    -------
    pd.DataFrame
        ``donor`` (sorted), ``fold``: 0 for held-out donors, `NEVER_HELD_OUT` for the others.

    Raises
    ------
    InputError
        There are fewer than two donors.
    """
    index = _sorted_donors(donors, 1, 1)
    n_held_out = max(1, round(HOLDOUT_FRACTION * len(index)))
    fold = np.full(len(index), NEVER_HELD_OUT)
    fold[np.random.default_rng(seed).permutation(len(index))[:n_held_out]] = 0
    return _table(index, fold)


def balanced_folds(
    donor: Sequence[str], tissue: Sequence[str], n_folds: int, seed: int, source: str
) -> pd.DataFrame:
    """Draw folds of equal size, stratified by the source tissue and by rare tissues (methods 6.9).

    The number of donors, and of donors with the source tissue, differ by one at most between
    folds. Within that, donors are dealt out tissue by tissue from the rarest on, each to the fold
    that lacks most of its share of the tissue (iterative stratification).

    Parameters
    ----------
    donor, tissue
        Of every sample.

    Returns
    -------
    pd.DataFrame
        ``donor`` (sorted), ``fold`` (0 to `n_folds` - 1).

    Raises
    ------
    InputError
        `n_folds` is below 2, there are fewer donors than folds, or nobody has `source`.
    """
    index = _sorted_donors(donor, n_folds, 2)
    check_source(set(tissue), source)
    rng = np.random.default_rng(seed)
    has = pd.crosstab(np.asarray(donor), np.asarray(tissue)).reindex(index) > 0
    without_source, has = ~has[source].to_numpy(), has.to_numpy()
    room = _rooms(np.bincount(without_source, minlength=2), n_folds, rng)
    # Donors in the room of their stratum count towards every tissue they have.
    lacking = np.outer(room.sum(0) / len(index), has.sum(0))
    fold = np.full(len(index), NEVER_HELD_OUT)
    while (open_donors := fold == NEVER_HELD_OUT).any():
        left = has[open_donors].sum(0)
        rarest = np.argmin(np.where(left > 0, left, len(index) + 1))
        for row in rng.permutation(np.flatnonzero(open_donors & has[:, rarest])):
            stratum = int(without_source[row])
            # Most lacking first, then the fold with most room, then chance.
            order = np.lexsort((rng.random(n_folds), -room[stratum], -lacking[:, rarest]))
            chosen = next(k for k in order if room[stratum, k] > 0)
            fold[row] = chosen
            room[stratum, chosen] -= 1
            lacking[chosen] -= has[row]
    return _table(index, fold)


def _rooms(sizes: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Donors that each fold takes of each stratum, shape ``(n_strata, n_folds)``.

    Folds differ by one at most within every stratum and in total: the strata's remainders are
    dealt out one after the other around the folds.
    """
    rooms = np.repeat((sizes // n_folds)[:, None], n_folds, axis=1)
    dealt = np.cumsum(np.r_[0, sizes % n_folds])
    around = rng.permutation(n_folds)
    for stratum in range(len(sizes)):
        extra = np.arange(dealt[stratum], dealt[stratum + 1]) % n_folds
        rooms[stratum, around[extra]] += 1
    return rooms


def fold_counts(
    folds: pd.DataFrame, donor: Sequence[str], tissue: Sequence[str], source: str
) -> pd.DataFrame:
    """Count what every fold holds out and trains on.

    Parameters
    ----------
    folds
        ``donor``, ``fold``.
    donor, tissue
        Of every sample.

    Returns
    -------
    pd.DataFrame
        One row a fold: ``fold``, ``n_held_out_donors``, ``n_held_out_source_donors`` (with the
        source tissue), ``n_training_pairs`` (ordered pairs of different samples of one training
        donor), ``smallest_tissue_training_samples``.

    Raises
    ------
    InputError
        A fold holds out nobody, or nobody who can be predicted; a tissue has no training sample
        in some fold, or nobody has `source`.
    """
    check_source(set(tissue), source)
    has = pd.crosstab(np.asarray(donor), np.asarray(tissue)).reindex(folds["donor"])
    held_out_in = folds["fold"].to_numpy()
    per_donor = has.sum(axis=1).to_numpy()
    rows = []
    for fold in range(max(held_out_in.max() + 1, 1)):
        held_out = held_out_in == fold
        if not held_out.any():
            raise InputError(
                f"folds, fold {fold}",
                "no held-out donor",
                "at least one in every fold",
                "Use the balanced scheme or fewer folds.",
            )
        training = has[~held_out].sum(axis=0)
        if (training == 0).any():
            raise InputError(
                f"folds, fold {fold}",
                f"no training sample of tissue {training.idxmin()!r}",
                "at least one training sample of every tissue in every fold",
                "Use the balanced scheme (folds.scheme), or leave the tissue out "
                "(filters.exclude_tissues, or a higher filters.min_samples_per_tissue).",
            )
        n_training = per_donor[~held_out]
        rows.append(
            {
                "fold": fold,
                "n_held_out_donors": int(held_out.sum()),
                "n_held_out_source_donors": int(has.loc[held_out, source].gt(0).sum()),
                "n_training_pairs": int((n_training * (n_training - 1)).sum()),
                "smallest_tissue_training_samples": int(training.min()),
            }
        )
    _demand_told(held_out_in, has[source].gt(0).to_numpy() & (per_donor > 1), source)
    return pd.DataFrame(rows)


def _demand_told(held_out_in: np.ndarray, can_be: np.ndarray, source: str) -> None:
    """Refuse a fold of whose donors nobody can be predicted: it would have no predictions."""
    for fold in range(held_out_in.max() + 1):
        held_out = held_out_in == fold
        if not (held_out & can_be).any():
            raise InputError(
                f"folds, fold {fold}",
                f"none of {held_out.sum()} held-out donors with {source} and another tissue",
                "at least one in every fold, as these are predicted",
                "Use the balanced scheme (folds.scheme), fewer folds or another folds.seed.",
            )


def make_folds(
    scheme: Scheme,
    donor: Sequence[str],
    tissue: Sequence[str],
    *,
    n_folds: int,
    seed: int,
    source: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw folds by a named scheme and count them.

    Parameters
    ----------
    scheme
        - ``"published"``: `published_folds`
        - ``"balanced"``: `balanced_folds`
        - ``"holdout"``: `holdout_folds`; `n_folds` must be 1
    donor, tissue
        Of every sample of the cohort.
    source
        Tissue that is predicted from.

    Returns
    -------
    folds, counts
        ``donor`` and ``fold``; what `fold_counts` returns.

    Raises
    ------
    InputError
        An unknown scheme, a number of folds that does not fit it, or folds that cannot be
        trained on.
    """
    if scheme == "published":
        folds = published_folds(donor, n_folds, seed)
    elif scheme == "balanced":
        folds = balanced_folds(donor, tissue, n_folds, seed, source)
    elif scheme == "holdout":
        if n_folds != 1:
            raise InputError("folds.n_folds", str(n_folds), "1 with the scheme holdout")
        folds = holdout_folds(donor, seed)
    else:
        raise InputError("folds.scheme", repr(scheme), f"one of {', '.join(SCHEMES)}")
    return folds, fold_counts(folds, donor, tissue, source)


def read_samples(expression: str | Path) -> pd.DataFrame:
    """Read donor and tissue of every sample of ``cohort/expression.h5ad``, not its X.

    Returns
    -------
    pd.DataFrame
        Indexed by sample id: ``donor``, ``tissue``, as text.

    Raises
    ------
    InputError
        The file is no h5ad, or has no donor or tissue.
    """
    expected = "an h5ad with obs columns donor and tissue"
    try:
        with h5py.File(expression) as file:
            obs = read_elem(file["obs"])
    except (OSError, KeyError) as error:
        raise InputError(expression, f"an unreadable file ({error})", expected) from error
    if not {"donor", "tissue"} <= set(obs.columns):
        raise InputError(expression, f"obs columns {list(obs.columns)}", expected)
    return obs[["donor", "tissue"]].astype(str)


def read_folds(
    path: str | Path, donors: Collection[str] | None = None, n_folds: int | None = None
) -> pd.Series:
    """Read ``cohort/folds.tsv``.

    Parameters
    ----------
    donors
        Those of the cohort, who must be those of the file; None does not look.
    n_folds
        How many folds the run has: donors of any other would never be told. None does not look.

    Returns
    -------
    pd.Series
        Fold by donor id, int64; `NEVER_HELD_OUT` for donors who are in none.

    Raises
    ------
    InputError
        A column is missing; a donor is empty, stands twice or is none of `donors`; one of these
        has no row; a fold is no integer, below `NEVER_HELD_OUT`, beyond one that is empty, or
        they are not `n_folds`.
    """
    demand_whole_rows(path)
    table = read_tsv(path, ["donor", "fold"], dtype=str).fillna("")
    donor, fold = table["donor"], pd.to_numeric(table["fold"], errors="coerce")
    for column, bad, expected in (
        ("donor", (donor == "") | donor.duplicated(), "every donor once"),
        (
            "fold",
            ~(fold >= NEVER_HELD_OUT) | (fold % 1 != 0),
            f"an integer, 0 or more, or {NEVER_HELD_OUT} (never held out)",
        ),
    ):
        if bad.any():
            row = int(bad.argmax())
            where = f"{path}, row {row + 1}, column {column}"
            raise InputError(where, repr(table[column][row]), expected)
    fold = fold.astype(np.int64).set_axis(pd.Index(donor))
    _demand_every_fold(path, fold, n_folds)
    for names, found in (
        (pd.Index(donors or []).difference(fold.index), "no row for {} donors, first {}"),
        (fold.index.difference(donors or fold.index), "{} donors of no sample, first {}"),
    ):
        if len(names):
            raise InputError(
                path, found.format(len(names), names[0]), "one row for each donor of the cohort"
            )
    return fold


def _demand_every_fold(path: str | Path, fold: pd.Series, n_folds: int | None) -> None:
    """Refuse folds without donors, and others than the run has."""
    empty = np.setdiff1d(np.arange(fold.max() + 1), fold)
    if len(empty):
        row = int(np.argmax(fold > empty[0]))
        raise InputError(
            f"{path}, row {row + 1}, column fold",
            f"{fold.iloc[row]}, while fold {empty[0]} has no donor",
            "folds from 0 on, each with donors",
        )
    if n_folds is not None and fold.max() + 1 != n_folds:
        row = int(np.argmax(fold == fold.max()))
        raise InputError(
            f"{path}, row {row + 1}, column fold",
            f"{fold.max()} as the highest",
            f"folds 0 to {n_folds - 1}, as folds.n_folds says",
        )


def some_donors(donors: pd.Index, n_donors: int, seed: int) -> pd.Index:
    """Draw donors at random, the draw of fewer among that of more.

    Parameters
    ----------
    donors
        To draw from, in any order.
    n_donors
        How many; all where there are no more.
    seed
        Of the order.

    Returns
    -------
    pd.Index
        Sorted.
    """
    order = np.random.default_rng(seed).permutation(len(donors))
    return donors.sort_values()[order[:n_donors]].sort_values()
