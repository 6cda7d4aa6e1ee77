"""The files of a run that a page may read, and why some of them are not there."""

from collections.abc import Iterable
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import pandas as pd

from mtm.errors import CannotDo
from mtm.io import read_table
from mtm.statistics.small_counts import of_enough_people
from mtm.vocabulary import HEADLINE, MEAN_OF_TISSUES


class Results:
    """Tables of one run, by their names below its folder.

    Parameters
    ----------
    folder
        ``results/{cohort}``.
    files
        Paths of what the page may read: the inputs of its rule.
    config
        The configuration of the run.
    reference
        The covariates-only model, where the run has one.
    """

    def __init__(
        self, folder: str | Path, files: Iterable[str | Path], config: dict, reference: str | None
    ):
        self.folder = Path(folder)
        self.config, self.reference = config, reference
        below = (Path(path) for path in files)
        self.names = {
            path.relative_to(self.folder).as_posix()
            for path in below
            if path.is_relative_to(self.folder)
        }
        self._reasons: dict[str, str] = {}

    @property
    def fewest_people(self) -> int:
        """People that a row must be of to be shown."""
        return self.config["fewest_people"]

    def path(self, name: str) -> Path:
        """Path of a file."""
        return self.folder / name

    def matching(self, pattern: str) -> list[str]:
        """Names that fit a pattern such as ``growth/*.tsv``, sorted."""
        return sorted(name for name in self.names if fnmatch(name, pattern))

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table; None where an option switched it off or it could not be made."""
        if name not in self.names:
            return None
        try:
            return of_enough_people(read_table(self.path(name)), self.fewest_people)
        except CannotDo as why:
            self._reasons[name] = f"{why.reason}. To have it: {why.remedy}."
            return None

    def joined(self, pattern: str) -> pd.DataFrame | None:
        """Return the rows of all tables that fit a pattern; None where there are none."""
        tables = [self.table(name) for name in self.matching(pattern)]
        tables = [table for table in tables if table is not None and len(table)]
        return pd.concat(tables, ignore_index=True) if tables else None

    def why_not(self, *names: str) -> str:
        """Why tables are not there, in words."""
        return next(
            (self._reasons[name] for name in names if name in self._reasons),
            "This run has no such analysis; what it left out is listed below.",
        )

    @cached_property
    def summary(self) -> pd.DataFrame:
        """``accuracy/summary.tsv``."""
        return of_enough_people(read_table(self.path("accuracy/summary.tsv")), self.fewest_people)

    @cached_property
    def headline(self) -> pd.DataFrame:
        """Gene-wise headline rows, the mean of tissues, by model, the most accurate first."""
        table = self.summary
        chosen = (
            (table["scale"] == HEADLINE.scale)
            & (table["level"] == "gene_wise")
            & (table["convention"] == HEADLINE.convention)
            & (table["tissue"] == MEAN_OF_TISSUES)
        )
        by_model = table[chosen].set_index("model")
        return by_model.sort_values("mean_rho", ascending=False, kind="stable")

    @property
    def models(self) -> list[str]:
        """Scored models, the most accurate first."""
        return list(self.headline.index)

    def rivals(self) -> list[str]:
        """Models that could be used: without the oracle and those of covariates alone."""
        return [name for name in self.models if name in self.config["models"]
                and not self._sees_no_tissue(name)]  # fmt: skip

    def _sees_no_tissue(self, model: str) -> bool:
        """Whether a model knows covariates alone; the first of these is the reference."""
        return model == self.reference or self.config["models"][model]["class"] == "covariates"

    def sources(self, model: str) -> str:
        """Say what of a donor a model is given."""
        if model not in self.config["models"]:
            return "the simulation's own truth"
        if self._sees_no_tissue(model):
            return "covariates alone"
        given = self.config["models"][model]["sources"]
        if given == "source":
            return self.config["source"]
        return "all other tissues" if given == "others" else ", ".join(given)

    def best(self, one_source: bool) -> str | None:
        """Most accurate model that sees the source tissue alone, or of those that see more."""
        source = self.config["source"]
        return next(
            (name for name in self.rivals() if (self.sources(name) == source) == one_source), None
        )

    def leading(self, table: pd.DataFrame) -> str | None:
        """Most accurate model of a table, of those that see the source alone if there are any."""
        source = self.config["source"]
        there = [name for name in self.rivals() if name in set(table["model"])]
        return next((name for name in there if self.sources(name) == source), None) or next(
            iter(there), None
        )


def rows(table: pd.DataFrame | None, **where: object) -> pd.DataFrame:
    """Rows of a table, if there is one, with these values."""
    if table is None:
        return pd.DataFrame()
    for column, value in where.items():
        table = table[table[column] == value]
    return table
