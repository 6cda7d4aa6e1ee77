"""Traits of a donor and of the source sample as standardised columns (methods 4, b2)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from mtm.cohort.cohort import Cohort
from mtm.cohort.levels import as_levels
from mtm.errors import InputError
from mtm.models.layout import summary
from mtm.settings.base import Section
from mtm.vocabulary import COVARIATES

# What `CovariateDesign.to_array` returns.
DESIGN = summary(("bytes of the design",), "uint8", 0, 255)
# Codes; of what else there is, text is categories.
CATEGORICAL = frozenset({"sex", "hardy", "center", "batch"})


def covariate_table(
    cohort: Cohort, rows: np.ndarray, names: Sequence[str], donor: np.ndarray | None = None
) -> pd.DataFrame:
    """Collect covariates of samples: traits of their donors, then the samples' own.

    Parameters
    ----------
    rows
        Samples of `cohort`, shape ``(n_rows,)``; -1 for none, whose own covariates are missing.
    names
        Columns of ``cohort.donors`` or ``cohort.samples``.
    donor
        Their donors; None takes those of the samples.

    Returns
    -------
    pd.DataFrame
        One row a sample; those of `names` that the cohort has, in their order.
    """
    columns = {}
    donor = cohort.donor[rows] if donor is None else donor
    for name in names:
        if name in cohort.donors:
            columns[name] = cohort.donors[name].to_numpy()[donor]
        elif name in cohort.samples:
            columns[name] = cohort.samples[name].iloc[rows].where(rows >= 0).to_numpy()
    return pd.DataFrame(columns, index=cohort.samples.index[rows])


def _raw_columns(table: pd.DataFrame, columns: Sequence[dict]) -> np.ndarray:
    """Return columns before they are standardised, float64; NaN where training says nothing."""
    raw = np.empty((len(table), len(columns)))
    levels = {}
    for index, column in enumerate(columns):
        name = column["covariate"]
        values = table[name]
        if column["kind"] == "missing":
            raw[:, index] = values.isna()
        elif column["kind"] == "value":
            raw[:, index] = _numbers(values)
        else:
            if name not in levels:
                levels[name] = as_levels(values)
            raw[:, index] = _of_level(levels[name], column)
    return raw


def _of_level(levels: pd.Series, column: dict) -> np.ndarray:
    """1 where a category is the column's level, 0 where another that is known, else NaN."""
    missing = levels.isna().to_numpy()
    is_level = missing if column["level"] is None else (levels == column["level"]).to_numpy()
    known = levels.isin([level for level in column["known"] if level is not None]).to_numpy()
    if None in column["known"]:
        known = known | missing
    return np.where(known, is_level.astype(float), np.nan)


def _numbers(values: pd.Series) -> np.ndarray:
    """Return numbers, NaN where they are missing."""
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = numbers.isna() & values.notna()
    if wrong.any():
        where = f"covariate {values.name} of {wrong.idxmax()}"
        raise InputError(where, repr(values[wrong].iloc[0]), "a number")
    return numbers.to_numpy(float)


class Column(Section):
    """One column of a design, as a bundle holds it."""

    section: ClassVar = "array design"

    covariate: Annotated[str, Field(min_length=1, max_length=300)]
    kind: Literal["value", "missing", "level"]
    mean: Annotated[float, Field(ge=-1e12, le=1e12)]
    sd: Annotated[float, Field(gt=0, le=1e12)]
    known: tuple[str | None, ...] | None = None
    level: str | None = None


@dataclass(frozen=True)
class CovariateDesign:
    """How covariates become columns, learned from training samples.

    A number becomes its z-score, missing ones the training mean, with one more column that marks
    them; a category becomes one column a level (one alone where there are two levels), a missing
    one a level of its own. Every column is standardised over the training samples. What training
    did not see (a new level, a value missing where none was) stands at the training mean.

    Parameters
    ----------
    columns
        One dict a column: ``covariate``, ``kind`` ("value", "missing", "level"), for a level
        ``level`` and all ``known`` ones (None: missing), and ``mean`` and ``sd``.
    """

    columns: tuple[dict, ...]

    @property
    def covariates(self) -> list[str]:
        """Names of the covariates in use."""
        return list(dict.fromkeys(column["covariate"] for column in self.columns))

    def __len__(self) -> int:
        return len(self.columns)

    @classmethod
    def fit(cls, table: pd.DataFrame) -> "CovariateDesign":
        """Learn levels, means and sds from `table` (see `covariate_table`).

        Columns that do not vary are left out.
        """
        specs = []
        for name in table:
            numbers = pd.to_numeric(table[name], errors="coerce")
            is_text = (numbers.isna() & table[name].notna()).any()
            if name in CATEGORICAL or is_text:
                levels = as_levels(table[name])
                known = sorted(levels.dropna().unique())
                if levels.isna().any():
                    known.append(None)
                spec = {"covariate": name, "kind": "level", "known": known}
                shown = known[1:] if len(known) == 2 else known
                specs += [spec | {"level": level} for level in shown]
            else:
                specs.append({"covariate": name, "kind": "value"})
                specs.append({"covariate": name, "kind": "missing"})
        columns = []
        for spec, raw in zip(specs, _raw_columns(table, specs).T, strict=True):
            seen = raw[~np.isnan(raw)]
            if len(seen) and np.ptp(seen) > 1e-9 * max(1, np.abs(seen).max()):
                mean = float(seen.mean())
                sd = float(np.where(np.isnan(raw), mean, raw).std())
                columns.append(spec | {"mean": mean, "sd": sd})
        return cls(tuple(columns))

    def transform(self, table: pd.DataFrame) -> np.ndarray:
        """Return the standardised columns of `table`, shape ``(n_rows, n_columns)``, float64.

        Raises
        ------
        InputError
            `table` lacks a covariate, or holds text where a number belongs.
        """
        for name in self.covariates:
            if name not in table:
                raise InputError(
                    COVARIATES,
                    f"no column {name}",
                    ", ".join(self.covariates),
                    "Add it to the donors' or samples' table; its fields may be empty.",
                )
        return np.nan_to_num(self._standardised(table), copy=False, nan=0.0)

    def known(self, table: pd.DataFrame) -> np.ndarray:
        """Return what `transform` does, with NaN where a column says nothing of a row.

        Numbers whose being missing training has seen stand at the training mean: another column
        says so. A covariate that `table` lacks is missing throughout.
        """
        result = self._standardised(table.reindex(columns=self.covariates))
        missing = {column["covariate"] for column in self.columns if column["kind"] == "missing"}
        marked = [
            column["kind"] == "value" and column["covariate"] in missing for column in self.columns
        ]
        result[:, marked] = np.nan_to_num(result[:, marked], nan=0.0)
        return result

    def _standardised(self, table: pd.DataFrame) -> np.ndarray:
        """Return the columns with NaN wherever training says nothing."""
        mean, sd = ([column[name] for column in self.columns] for name in ("mean", "sd"))
        return (_raw_columns(table, self.columns) - mean) / sd

    def to_array(self) -> np.ndarray:
        """Return the design as JSON bytes, uint8, for a bundle."""
        return np.frombuffer(json.dumps(self.columns).encode(), dtype=np.uint8)

    @classmethod
    def from_array(cls, array: np.ndarray) -> "CovariateDesign":
        """Take over what `to_array` returned.

        Raises
        ------
        InputError
            It did not return this.
        """
        try:
            columns = json.loads(array.tobytes().decode())
            given = [Column.of(column) for column in columns]
        except (InputError, TypeError, ValueError, RecursionError) as error:
            found = f"what is no design ({type(error).__name__}: {error})"
            raise InputError("array design", found, "columns of covariates") from None
        for column in given:
            if (column.kind == "level") != (column.known is not None):
                raise InputError(
                    "array design", f"a {column.kind} of levels", "known levels of a level alone"
                )
            # None is a level too.
            if column.kind == "level" and "level" not in column.model_fields_set:
                raise InputError("array design", "a level without its name", "key level")
        return cls(tuple(columns))
