"""Held-out predictions of one model, checked and lined up with the cohort they predict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from mtm.cohort.folds import read_folds
from mtm.errors import InputError
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.scaling import Scaling
from mtm.statistics.resampling import donor_weights
from mtm.vocabulary import SCALES, SCALES_OF, Measure, Reading, Scale, readings_of

# Where prediction files have the model's own standard deviations.
OWN_SD = "layers/sd"


@dataclass(frozen=True)
class HeldOut:
    """Held-out predictions of one model, checked and lined up with the cohort.

    Parameters
    ----------
    expression
        ``cohort/expression.h5ad``.
    predictions
        The prediction files.
    scale
        Scale of the predictions.
    gene_ids
        Genes of cohort and predictions.
    samples
        Every sample of the cohort, indexed by sample id in file order: ``donor``, ``tissue``,
        ``fold`` (in which its donor is held out).
    rows
        One row a prediction, sorted by tissue, fold and donor: ``sample_id``, ``donor``,
        ``tissue``, ``fold``, ``cohort_row``, ``file`` (index into `predictions`), ``file_row``,
        ``n_sources`` (tissues that the prediction is made from).
    scaling
        How z-scores are made, in training as in scoring.
    measure
        What expression is measured in.
    """

    expression: Path
    predictions: tuple[Path, ...]
    scale: Scale
    gene_ids: pd.Index
    samples: pd.DataFrame
    rows: pd.DataFrame
    scaling: Scaling = Scaling()
    measure: Measure = "tpm"

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Scales that there are of what is measured, the headline's first."""
        return SCALES_OF[self.measure]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Readings of these scales."""
        return readings_of(self.scales)

    def of_tissues(self, tissues: Iterable[str]) -> "HeldOut":
        """Return the same with the predictions of some tissues alone."""
        kept = self.rows["tissue"].isin(list(tissues))
        return replace(self, rows=self.rows[kept].reset_index(drop=True))

    def predicted(self, rows: pd.DataFrame) -> np.ndarray:
        """Read predictions.

        Parameters
        ----------
        rows
            A part of `rows`, in any order.

        Returns
        -------
        np.ndarray
            Shape ``(n_rows, n_genes)``, float32, in `scale`, in the order of `rows`.

        Raises
        ------
        InputError
            A prediction is not finite.
        """
        predicted = self._read(rows, "X")
        if not np.isfinite(predicted).all():
            row, gene = np.argwhere(~np.isfinite(predicted))[0]
            raise InputError(
                self.predictions[rows["file"].iloc[row]],
                f"{predicted[row, gene]} for {self.gene_ids[gene]} "
                f"in {rows['sample_id'].iloc[row]}",
                "finite predictions",
            )
        return predicted

    @property
    def has_own_sd(self) -> bool:
        """Whether the model gives its predictions standard deviations."""
        for path in self.predictions:
            with h5py.File(path) as file:
                if OWN_SD not in file:
                    return False
        return True

    def predicted_sd(self, rows: pd.DataFrame) -> np.ndarray | None:
        """Read the standard deviations that the model gives its predictions.

        As `predicted`; None where the model gives none.
        """
        return self._read(rows, OWN_SD) if self.has_own_sd else None

    def _read(self, rows: pd.DataFrame, name: str) -> np.ndarray:
        """Read some rows of a matrix of the prediction files."""
        values = np.empty((len(rows), len(self.gene_ids)), np.float32)
        for index, part in rows.groupby("file").indices.items():
            with h5py.File(self.predictions[index]) as file:
                values[part] = read_rows(file[name], rows["file_row"].to_numpy()[part])
        return values


def read_held_out(
    expression: str | Path,
    folds: str | Path,
    predictions: Sequence[str | Path],
    source: str | None = None,
    scaling: Scaling = Scaling(),
) -> HeldOut:
    """Read and check everything but the matrices of held-out predictions.

    Parameters
    ----------
    expression
        ``cohort/expression.h5ad``.
    folds
        ``cohort/folds.tsv``.
    predictions
        The prediction files of one model, one for every fold, in any order.
    source
        The cohort's source tissue: every held-out sample of another tissue whose donor has the
        source must be predicted. None takes the one tissue that all predictions use and none
        predicts; without such a tissue, only donors that are predicted at all are checked.
    scaling
        The scaling section of the config, with which the model was trained.

    Raises
    ------
    InputError
        A file is missing or no AnnData file; genes, donors, tissues or folds disagree; a fold
        has no file or several; a held-out sample has no prediction or several; a prediction used
        the very tissue it predicts.
    """
    expression, files = Path(expression), tuple(Path(path) for path in predictions)
    obs, genes, uns = _read_tables(expression, ["donor", "tissue"])
    measure, assigned = str(uns.get("scale", "tpm")), read_folds(folds)
    samples = obs[["donor", "tissue"]].astype(str)
    samples["fold"] = samples["donor"].map(assigned)
    if samples["fold"].isna().any():
        donor = samples["donor"][samples["fold"].isna()].iloc[0]
        raise InputError(folds, f"no row for donor {donor}", f"every donor of {expression}")
    samples["fold"] = samples["fold"].astype(int)

    if not files:
        raise InputError("predictions", "no file", "one prediction file for every fold")
    parts, scales = [], []
    for index, path in enumerate(files):
        part, file_genes, uns = _read_tables(path, ["donor", "sources", "target", "fold"])
        _check_genes(path, file_genes, expression, genes)
        scales.append(str(uns.get("scale")))
        parts.append(_match_samples(path, part, samples).assign(file=index))
    for path, scale in zip(files, scales, strict=True):
        if scale not in SCALES or scale != scales[0]:
            raise InputError(path, f"scale {scale!r}", f"one of {', '.join(SCALES)}, in all files")
    _check_folds(files, parts, folds, assigned)
    rows = pd.concat(parts, ignore_index=True)
    _check_complete(files, rows, samples, source)
    rows = rows.sort_values(["tissue", "fold", "donor"], kind="stable", ignore_index=True)
    rows["n_sources"] = rows.pop("sources").str.count(";") + 1
    return HeldOut(expression, files, scales[0], genes, samples, rows, scaling, measure)


def _read_tables(path: Path, columns: Iterable[str]) -> tuple[pd.DataFrame, pd.Index, dict]:
    """Return obs, gene ids and uns of an AnnData file whose obs must have `columns`."""
    if not path.exists():
        raise InputError(path, "no such file", "an AnnData file (.h5ad)")
    try:
        with h5py.File(path) as file:
            obs, genes, uns = read_elem(file["obs"]), read_elem(file["var"]).index, {}
            if "uns" in file:
                uns = read_elem(file["uns"])
            dense = isinstance(file["X"], h5py.Dataset)
            shape = file["X"].shape if dense else None
    except (OSError, KeyError) as error:
        raise InputError(path, f"an unreadable file ({error})", "an AnnData file") from error
    if not dense:
        raise InputError(path, "a sparse X", "a dense X")
    if shape != (len(obs), len(genes)):
        raise InputError(path, f"X of shape {shape}", f"{(len(obs), len(genes))}, as obs and var")
    missing = [column for column in columns if column not in obs]
    if missing:
        raise InputError(path, f"obs columns {list(obs)}", f"a column {' and '.join(missing)}")
    return obs, genes.astype(str), uns


def _check_genes(path: Path, found: pd.Index, expression: Path, expected: pd.Index) -> None:
    """Raise unless the genes of a prediction file are the cohort's, in its order."""
    if found.equals(expected):
        return
    if len(found) != len(expected):
        raise InputError(path, f"{len(found)} genes", f"the {len(expected)} genes of {expression}")
    column = int(np.argmax(found != expected))
    raise InputError(
        path,
        f"gene {found[column]} in column {column + 1}",
        f"{expected[column]}, as in {expression}",
        "The cohort has changed since the prediction; run the model's folds again.",
    )


def _match_samples(path: Path, obs: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a prediction file with their place in the cohort, checked against it."""
    part = pd.DataFrame(
        {
            "sample_id": obs.index.astype(str),
            "donor": obs["donor"].astype(str).to_numpy(),
            "tissue": obs["target"].astype(str).to_numpy(),
            "sources": obs["sources"].astype(str).to_numpy(),
            "fold": obs["fold"].astype(str).to_numpy(),
            "file_row": np.arange(len(obs)),
        }
    )
    part["cohort_row"] = samples.index.astype(str).get_indexer(part["sample_id"])
    unknown = part["sample_id"][part["cohort_row"] < 0]
    if len(unknown):
        raise InputError(path, f"sample {unknown.iloc[0]}", "samples of the cohort")
    actual = samples.iloc[part["cohort_row"]].reset_index(drop=True)
    for column in ("donor", "tissue", "fold"):
        wrong = np.flatnonzero(part[column] != actual[column].astype(str))
        if len(wrong):
            row = part.iloc[wrong[0]]
            raise InputError(
                f"{path}, sample {row['sample_id']}",
                f"{column} {row[column]}",
                f"{actual[column].iloc[wrong[0]]}, as in the cohort and its folds",
            )
    seen = [
        tissue in sources.split(";")
        for tissue, sources in zip(part["tissue"], part["sources"], strict=True)
    ]
    if any(seen):
        row = part.iloc[int(np.argmax(seen))]
        raise InputError(
            f"{path}, sample {row['sample_id']}",
            f"{row['tissue']} predicted from itself",
            "sources without the target",
        )
    return part.assign(fold=actual["fold"])


def _check_folds(
    files: Sequence[Path], parts: Sequence[pd.DataFrame], where: str | Path, folds: pd.Series
) -> None:
    """Raise unless every fold has exactly one file, and every file one fold."""
    owner: dict[int, Path] = {}
    for path, part in zip(files, parts, strict=True):
        found = sorted(part["fold"].unique())
        if not found:
            raise InputError(
                path,
                "no prediction: none of the fold's donors has a tissue that the model sees",
                "predictions in every fold",
                "Name further tissues as the model's sources, or draw other folds (folds).",
            )
        if len(found) != 1:
            raise InputError(path, f"folds {found}", "held-out predictions of exactly one fold")
        if found[0] in owner:
            raise InputError(path, f"fold {found[0]}, as in {owner[found[0]]}", "one file a fold")
        owner[found[0]] = path
    missing = sorted(set(folds[folds >= 0]) - set(owner))
    if missing:
        raise InputError(
            "predictions", f"no file of fold {missing[0]}", f"one for every fold of {where}"
        )


def _check_complete(
    files: Sequence[Path], rows: pd.DataFrame, samples: pd.DataFrame, source: str | None
) -> None:
    """Raise unless every sample that should be predicted is predicted once."""
    twice = rows.duplicated(["donor", "tissue"])
    if twice.any():
        row = rows[twice].iloc[0]
        raise InputError(
            files[row["file"]],
            f"a second prediction of {row['tissue']} of donor {row['donor']}",
            "one prediction a donor and tissue",
        )
    source_sets = [set(text.split(";")) for text in rows["sources"].unique()]
    used, shared = set.union(*source_sets), set.intersection(*source_sets)
    targets = set(rows["tissue"])
    if source is None and len(shared - targets) == 1:
        (source,) = shared - targets
    if source is None:
        expected = samples["donor"].isin(rows["donor"]) & samples["tissue"].isin(targets)
    else:
        having = samples["donor"][samples["tissue"] == source]
        expected = samples["donor"].isin(having) & (samples["tissue"] != source)
    is_source = samples["tissue"].isin(used)
    n_sources = is_source.groupby(samples["donor"]).transform("sum") - is_source
    expected &= (n_sources > 0) & (samples["fold"] >= 0)
    missing = expected[expected].index.difference(pd.Index(rows["sample_id"]))
    if len(missing):
        row = samples.loc[missing[0]]
        path = files[rows.loc[rows["fold"] == row["fold"], "file"].iloc[0]]
        raise InputError(
            path,
            f"no prediction of {len(missing)} held-out samples, the first {missing[0]} "
            f"({row['tissue']} of donor {row['donor']})",
            "a prediction of every sample whose donor has the source",
            "Run the model's prediction of this fold again.",
        )


def read_rows(matrix: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Read rows of a dense HDF5 matrix in any order, float32; neighbours are read together."""
    order = np.argsort(rows, kind="stable")
    values = np.empty((len(rows), matrix.shape[1]), np.float32)
    # What lies side by side both in the file and in memory. h5py's own selections cost more than
    # the reading of a row.
    apart = (np.diff(rows[order]) != 1) | (np.diff(order) != 1)
    space = matrix.id.get_space()
    for run in np.split(order, np.flatnonzero(apart) + 1) if len(order) else ():
        shape = len(run), matrix.shape[1]
        space.select_hyperslab((int(rows[run[0]]), 0), shape)
        part = values[run[0] : run[-1] + 1]
        matrix.id.read(h5py.h5s.create_simple(shape), space, part)
    return values


def fold_weights(
    held_out: Sequence[HeldOut], settings: AccuracySettings
) -> dict[int, pd.DataFrame]:
    """Draw bootstrap samples of every fold's donors: ``(n_bootstraps, n_donors)`` by fold."""
    rows = pd.concat([model.rows[["fold", "donor"]] for model in held_out]).drop_duplicates()
    weights = {}
    for fold, part in rows.groupby("fold"):
        donors = sorted(part["donor"])
        rng = np.random.default_rng([settings.seed, int(fold)])
        drawn = donor_weights(len(donors), settings.bootstraps, rng)
        weights[int(fold)] = pd.DataFrame(drawn, columns=donors)
    return weights
