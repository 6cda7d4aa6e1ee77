"""What is said of new people's samples beside their expression: tables, and obs of AnnData."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from mtm.cohort.fields import FIELDS, check_traits
from mtm.cohort.h5ad_matrices import read_h5ad_columns
from mtm.cohort.levels import as_levels
from mtm.cohort.tables import NOTHING
from mtm.cohort.tissue_names import named_tissue
from mtm.errors import InputError, shown
from mtm.io import read_apart
from mtm.models.base import Predictor

# What a table of samples says beside covariates.
SAMPLE_COLUMNS = ("sample_id", "donor", "tissue")
# Columns of an AnnData file's obs in which tissues of samples are looked for.
TISSUE_COLUMNS = ("tissue", "target")
AN_H5AD = "an AnnData h5ad file"
# Words of public atlases for a sex or age that nobody knows: obs cannot be left empty there.
UNKNOWN = (*NOTHING, "unknown", "Unknown")
# Of covariates, what the checks of samples look at, whatever the model.
CHECKED_COVARIATE = "sex"


def absent_covariates(model: Predictor, table: pd.DataFrame) -> list[str]:
    """Covariates that a model uses and no sample has."""
    filled = {name for name in table if table[name].notna().any()}
    return [name for name in model.used_covariates if name not in filled]


def absent_in_words(absent: Sequence[str]) -> str:
    """Say what it means that no sample has some covariates of the model."""
    return (
        f"covariates of the model that no sample has, missing for all: {', '.join(absent)}; "
        "its accuracy is that of people who have them"
    )


def unused_columns(model: Predictor, columns: Iterable[str]) -> list[str]:
    """Those columns of a table that neither a model nor a check of samples looks at."""
    used = {*SAMPLE_COLUMNS, CHECKED_COVARIATE, *model.used_covariates, ""}
    return [name for name in columns if name not in used]


def is_h5ad(path: str | Path) -> bool:
    """Whether a file is AnnData, by its name."""
    return Path(path).suffix.lower() == ".h5ad"


def demand_spelling(columns: Iterable[str], known: Iterable[str], where: object) -> None:
    """Refuse a column that differs from a known one in capitals alone: it would mean nothing.

    Parameters
    ----------
    columns
        Of a table or obs.
    known
        Names that mean something there.
    where
        The file.

    Raises
    ------
    InputError
        There is such a column, and the known one is not.
    """
    columns = [str(name) for name in columns]
    there, meant = set(columns), {name.casefold(): name for name in known}
    for column in columns:
        name = meant.get(column.strip().casefold(), column)
        if name not in there:
            hint = f"Columns are told by their names as they stand: call it {name}."
            raise InputError(f"{where}, header", f"a column {shown(column)}", name, hint)


def check_table_columns(model: Predictor, columns: Iterable[str], where: object) -> None:
    """Refuse, as `demand_spelling`, what a table of samples or covariates would mean in vain."""
    demand_spelling(columns, (*SAMPLE_COLUMNS, *FIELDS, *model.used_covariates), where)


def check_obs_columns(
    model: Predictor, columns: Iterable[str], where: object, tissue_said: bool
) -> None:
    """Do the same with obs, whose many columns may be called as they like where none is used."""
    known = ("donor", *["tissue"] * (not tissue_said), CHECKED_COVARIATE, *model.used_covariates)
    columns = list(columns)
    if "target" in columns:
        known = tuple(name for name in known if name != "tissue")
    demand_spelling(columns, known, where)


def with_numbers(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return text as numbers, in those columns where all of it is."""
    table = table.copy(deep=False)
    for name in names:
        with suppress(ValueError):
            table[name] = pd.to_numeric(table[name])
    return table


def said_by_file(
    model: Predictor, path: Path, sample_ids: Sequence[str], tissue_said: bool
) -> pd.DataFrame:
    """Return what obs of an AnnData file says of its samples; of another file nothing.

    Parameters
    ----------
    sample_ids
        Of all samples of the file.
    tissue_said
        Whether their tissue is known already.

    Returns
    -------
    pd.DataFrame
        A row a sample: ``donor``, ``tissue`` and covariates, as far as they are there.

    Raises
    ------
    InputError
        A covariate is not what people can have, or a column is spelt with other capitals.
    """
    if not is_h5ad(path):
        return pd.DataFrame(index=range(len(sample_ids)))
    tissues = () if tissue_said else TISSUE_COLUMNS
    covariates = [*dict.fromkeys((CHECKED_COVARIATE, *model.used_covariates))]

    def read(file: Path) -> tuple[list[str], dict[str, np.ndarray]]:
        columns = read_h5ad_columns(file, ("donor", *tissues, *covariates))
        with h5py.File(file) as opened:
            # Names of samples are a column there, which may be called as one of these.
            names = set(opened["obs"]) - {opened["obs"].attrs.get("_index", "_index")}
        return sorted(names), {name: columns[name] for name in names.intersection(columns)}

    names, columns = read_apart(read, path, AN_H5AD)
    where = f"{path}, obs"
    check_obs_columns(model, names, where, tissue_said)
    of = {"donor": columns.get("donor")}
    of["tissue"] = next((columns[name] for name in tissues if name in columns), None)
    of |= {name: columns[name] for name in covariates if name in columns}
    said = pd.DataFrame({name: texts for name, texts in of.items() if texts is not None})
    said = said.reindex(range(len(sample_ids))).astype(object)
    here = [name for name in covariates if name in said]
    told = said[here].map(str.strip)
    # A model's own levels may be words such as "None".
    fields = [name for name in here if name in FIELDS]
    told = told.mask(told == "", None)
    told[fields] = told[fields].mask(told[fields].isin(UNKNOWN), None)
    told = with_numbers(told, [name for name in here if name != "sex"])
    told = check_traits(told.set_axis(pd.Index(sample_ids)), where)
    return pd.concat([said.drop(columns=here), told.reset_index(drop=True)], axis=1)


def beside(rows: pd.DataFrame, said: pd.DataFrame, where: object) -> pd.DataFrame:
    """Add what obs says to a table's rows of the same samples; fields of the table go before.

    Raises
    ------
    InputError
        Both say a covariate, and not the same.
    """
    rows = rows.copy(deep=False)
    for name in said:
        if name not in rows:
            rows[name] = said[name]
        elif name not in SAMPLE_COLUMNS:
            rows[name] = agreed(rows["sample_id"], rows[name], said[name], where)
    return rows


def agreed(ids: pd.Series, given: pd.Series, said: pd.Series, where: object) -> pd.Series:
    """Return a covariate as a table gives it, and as obs says it where the table has nothing.

    Raises
    ------
    InputError
        A sample has two values.
    """
    ours, theirs = as_levels(given), as_levels(said)
    differ = (ours.notna() & theirs.notna() & (ours != theirs)).to_numpy()
    for row in np.flatnonzero(differ)[:1]:
        sample, values = ids.iloc[row], (shown(ours.iloc[row]), shown(theirs.iloc[row]))
        found = f"{given.name} {values[0]} of sample {shown(sample)}, which is {values[1]} in obs"
        raise InputError(where, found, "one value of both", "Correct one, or leave it out.")
    return given.where(given.notna(), said)


def demand_same(told: pd.DataFrame, table: pd.DataFrame, where: object) -> None:
    """Refuse covariates beside which other donors or tissues stand than samples are of.

    Parameters
    ----------
    told
        Covariates, a row a sample.
    table
        The samples, in the same order: ``sample_id``, ``donor`` and ``tissue``.
    """

    def same(name: str, text: str, known: str) -> bool:
        if name == "donor":
            return text == known
        with suppress(InputError):
            return named_tissue(text, [known]) == known
        return False

    for name in ("donor", "tissue"):
        if name not in told:
            continue
        rows = zip(table["sample_id"], told[name], table[name], strict=True)
        for sample, text, known in rows:
            if not pd.isna(text) and not same(name, str(text), known):
                found = f"the {name} {shown(str(text))} of sample {shown(sample)}"
                hint = "Say whose samples are whose, and of which tissue, as --samples."
                raise InputError(where, found, f"{shown(known)}, or no column {name}", hint)


def no_donor(donors: pd.Series, sample_ids: pd.Series) -> pd.Series:
    """Whether a donor is not known: nothing stands there, or a word that tables have for it.

    All such samples would be one donor's. A sample that nobody gave a donor is its own, whatever
    it is called, unless another is called the same.
    """
    names = donors.astype(str).str.strip()
    word = names.isin(NOTHING) & ((names != sample_ids.astype(str)) | names.duplicated(keep=False))
    return donors.isna() | (donors.astype(str) == "") | word


def first_names(names: Sequence[str], most: int) -> str:
    """Join some names, at most so many, with dots where there are more."""
    return ", ".join(map(shown, names[:most])) + ", ..." * (len(names) > most)
