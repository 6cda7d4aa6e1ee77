"""A first configuration of a cohort, from a look at its files."""

import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.checks import Problems
from mtm.cohort.delimited import text_table
from mtm.cohort.filters import EXCLUDED_FROM_FREEZE
from mtm.cohort.genes import read_gtf_genes
from mtm.cohort.lines import byte_lines
from mtm.cohort.matrices import read_expression_header
from mtm.cohort.spellings import WRITE_ALIKE, letters, near_name
from mtm.cohort.tables import donor_of_sample
from mtm.errors import InputError, numbered, printable
from mtm.pipeline.first_columns import (
    FIXED,
    Phenotypes,
    Table,
    find_phenotypes,
    is_phenotype,
    tissue_and_donor,
)
from mtm.pipeline.first_units import detect_units
from mtm.settings.cohort import Columns, Filters, Folds
from mtm.settings.wording import yaml_text
from mtm.vocabulary import Units

# Rows whose names are looked at where those of columns do not fit.
NAMES_SEEN = 1000
# Held-out donors of a fold and tissue that a correlation takes, with room for those it lacks.
A_FOLD, MOST_FOLDS = 8, 5
# Of a tissue, for a model to be fitted at all.
LEAST_SAMPLES = 10
# What stands before blood that was drawn from a vein; a blood vessel is none.
WHOLE_BLOOD = ("whole", "peripheral", "venous")
# Columns of these names are read whatever they hold.
READ_ANYWAY = [
    getattr(Columns(), role) for role in FIXED if role not in ("sample_id", "donor", "tissue")
]


@dataclass
class Look:
    """What was seen in the files of a cohort.

    Parameters
    ----------
    samples
        One row a sample of the expression file: ``donor``, ``tissue``.
    tissue, donor
        Their columns; the latter None where GTEx's sample ids tell.
    told
        Roles whose columns were named, not found.
    phenotypes
        What the tables have beside.
    units, why
        Of expression, and what tells so.
    biotypes
        Of genes to keep.
    problems
        Of files that are of no use until they are mended.
    """

    samples: pd.DataFrame = field(default_factory=pd.DataFrame)
    tissue: str = ""
    donor: str | None = None
    told: frozenset[str] = frozenset()
    phenotypes: Phenotypes = field(default_factory=Phenotypes)
    units: Units | None = None
    why: str = ""
    biotypes: tuple[str, ...] = ()
    problems: Problems = field(default_factory=Problems)

    @property
    def tissues(self) -> pd.Series:
        """Number of samples of every tissue, the most first."""
        return self.samples["tissue"].value_counts()

    @property
    def columns(self) -> dict[str, str]:
        """Columns by role, where they are not GTEx's."""
        return self.phenotypes.columns

    @property
    def kept(self) -> pd.DataFrame:
        """Those of `samples` that the filters keep."""
        least, _ = sizes(self)
        samples = self.samples[self.samples["tissue"].map(self.tissues) >= least]
        per_donor = samples.groupby("donor")["donor"].transform("size")
        return samples[per_donor >= Filters().min_samples_per_donor]


def look(
    expression: str | Path,
    samples: str | Path,
    donors: str | Path | None = None,
    gene_model: str | Path | None = None,
    named: Mapping[str, str | None] | None = None,
    units: Units | None = None,
) -> Look:
    """Look at the files of a cohort.

    Parameters
    ----------
    expression, samples, donors, gene_model
        Its files.
    named
        Columns of the table of samples by role (``sample_id``, ``donor``, ``tissue``), where they
        are told; the others are found.
    units
        Of expression, where they are told; else the values tell.

    Raises
    ------
    InputError
        Of tables that cannot be read, and of columns that cannot be told. What is wrong with
        values is in `Look.problems`.
    """
    named = {role: column for role, column in (named or {}).items() if column}
    sample_ids = read_expression_header(expression).sample_ids
    whole = _by_id(samples, sample_ids, expression, named.get("sample_id"), named.values())
    table = whole[whole.index.isin(sample_ids)].dropna(axis=1, how="all")
    for column in [named[role] for role in ("tissue", "donor") if role in named]:
        if column not in table:
            found = "the names of samples" if column == whole.index.name else "nothing"
            raise InputError(f"{samples}, column {column}", found, "a name for every sample")
    if "SMAFRZE" in table:
        table = table[table["SMAFRZE"] != EXCLUDED_FROM_FREEZE]
    tissue, donor = tissue_and_donor(samples, table, named)
    of_donor = table.index.to_series().map(donor_of_sample) if donor is None else table[donor]
    of_samples = pd.DataFrame({"donor": of_donor, "tissue": table[tissue]}).dropna()
    seen = Look(of_samples, tissue, donor, frozenset(named))
    _demand_tissues(samples, seen)
    columns = {"sample_id": whole.index.name, "tissue": tissue, "donor": donor or Columns().donor}
    rest = table.drop(columns=[tissue, *([donor] if donor else [])])
    tables = [Table(samples, whole, rest, of_donor)]
    if donors is not None:
        people = _by_id(donors, set(of_donor.dropna()), samples)
        if people.index.name != columns["donor"]:
            columns["donor_id"] = people.index.name
        tables.insert(0, Table(donors, people, people, people.index.to_series()))
    changed = {role: name for role, name in columns.items() if name != getattr(Columns(), role)}
    seen.phenotypes = find_phenotypes(tables, changed)
    # What cannot be read may have any sign.
    of_values = (units, "as --units says") if units else None
    of_values = of_values or seen.problems.of(detect_units, expression)
    seen.units, seen.why = of_values or ("intensity", "not read")
    if gene_model is not None:
        genes = seen.problems.of(read_gtf_genes, gene_model)
        known = set() if genes is None else set(genes["biotype"])
        seen.biotypes = ("protein_coding",) if "protein_coding" in known else ()
    return seen


def _demand_tissues(path: str | Path, seen: Look) -> None:
    """Demand two tissues."""
    if len(seen.tissues) > 1:
        return
    there = f"{numbered(len(seen.tissues), 'tissue')} in column {seen.tissue}"
    found = f"{there} ({', '.join(seen.tissues.index)})"
    hint = "" if "tissue" in seen.told else "--tissue names another column."
    raise InputError(path, found, "two or more tissues of the same donors", hint)


def _by_id(
    path: str | Path,
    ids: Iterable[str],
    where: str | Path,
    named: str | None = None,
    demanded: Iterable[str] = (),
) -> pd.DataFrame:
    """Read a table by the column that holds most of `ids`, which stand in another file."""
    table, ids = text_table(path, demanded), set(ids)
    # A value that recurs in its column names none: the header may begin with #.
    if not ids.isdisjoint(table.columns) or any((table[name] == name).any() for name in table):
        table = text_table(path, demanded, commented=True)
    # Where names are numbers, ages and the like are, too, in more rows perhaps, but fewer names.
    n_found = {
        name: 0 if is_phenotype(name) else len(ids.intersection(table[name])) for name in table
    }
    column = named or max(n_found, key=lambda name: (n_found[name], table[name].is_unique))
    if n_found.get("") and column == "":
        hint = "Write a name over it, sample for instance (R's write.csv leaves it out)."
        raise InputError(f"{path}, header", "no name over the column of ids", "one", hint)
    if not (table[column].isin(ids).any() if named else n_found[column]):
        raise InputError(
            path,
            f"no column that holds names of {where}, such as {min(ids, default='')}",
            f"one of {', '.join(table.columns[:12])}",
            _why_no_name(table, ids, where),
        )
    return table.set_index(column)


def _why_no_name(table: pd.DataFrame, ids: set[str], where: str | Path) -> str:
    """Guess why no column of a table holds one of `ids`, which stand in `where`."""
    rows = _names_of_rows(Path(where))
    if rows & set(table.columns):
        return f"Its columns are called like rows of {where}: are the two files exchanged?"
    if table.isin(rows).any(axis=None):
        return f"Rows of {where} are samples: transpose it, genes as rows and samples as columns."
    columns = [column for column in table if not is_phenotype(column)]
    for column in columns:
        if table[column].isin(ids).any():
            return f"Column {column} has them."
    example = min(ids, default="")
    for column in columns:
        if (near := near_name(example, table[column].dropna().unique(), True)) is not None:
            return f"Column {column} has {near} for {example}: {WRITE_ALIKE}."
    return ""


def _names_of_rows(path: Path) -> set[str]:
    """First field of the first rows of a text table."""
    if path.suffix == ".h5ad":
        return set()
    with closing(byte_lines(path)) as lines:
        firsts = [re.split(b"[\t,;]", line, maxsplit=1)[0] for line in islice(lines, NAMES_SEEN)]
    return {first.decode(errors="replace").strip().strip('"') for first in firsts[1:]}


def first_config(
    name: str,
    files: Mapping[str, str],
    seen: Look,
) -> str:
    """Write the configuration of a cohort.

    Parameters
    ----------
    name
        Of the cohort.
    files
        Paths by key of the section `inputs`.
    seen
        From `look`.

    Returns
    -------
    str
        YAML with comments, of twenty lines at most.
    """
    lines = [f"cohort: {yaml_text(name)}", "", "inputs:"]
    lines += [f"  {role}: {yaml_text(path)}" for role, path in files.items()]
    lines += [f"  units: {yaml_text(seen.units)}  # {seen.why}"]
    if seen.columns:
        columns = yaml_text(seen.columns)
        lines += [f"columns: {columns}"]
    if others := seen.phenotypes.others:
        shown = ", ".join(others[:6]) + " ..." * (len(others) > 6)
        lines += [
            f"# not used: {printable(shown)}; columns.covariates takes them (config/README.md)"
        ]
    least, n_folds = sizes(seen)
    tissues = _kept_tissues(seen)
    lines += [
        f"source: {yaml_text(source_of(tissues))}  # samples: {printable(_counted(tissues))}"
    ]
    biotypes = yaml_text(list(seen.biotypes) or None)
    lines += [
        "filters: "
        + yaml_text({"gene_biotypes": None, "min_samples_per_tissue": int(least)}).replace(
            "null", biotypes
        ),
        f"folds: {yaml_text({'scheme': 'balanced', 'n_folds': int(n_folds)})}",
        "training: {device: auto}",
        "models:",
        "  joint: {class: joint}",
        "  ridge: {class: ridge}",
    ]
    if seen.phenotypes.has_covariates:
        lines += [
            "  ridge_covariates: {class: ridge, parameters: {covariates: own_penalty}}",
            "  covariates: {class: covariates}",
        ]
    lines += ["  same_gene: {class: same_gene}  # mtm: {class: mtm} takes hours, or a GPU"]
    return "\n".join(lines) + "\n"


def _counted(tissues: pd.Series) -> str:
    """Tissues with their numbers of samples."""
    text = ", ".join(f"{tissue} {n}" for tissue, n in tissues.items())
    return text if len(text) < 300 else numbered(len(tissues), "tissue")


def _kept_tissues(seen: Look) -> pd.Series:
    """Return how many samples of every tissue the filters keep; of all where they keep none."""
    tissues, kept = seen.tissues, seen.kept["tissue"].value_counts()
    return kept[tissues.index[tissues.index.isin(kept.index)]] if len(kept) else tissues


def sizes(seen: Look) -> tuple[int, int]:
    """Least number of samples of a tissue, and number of folds, for so many donors.

    A tissue's folds shall each hold out enough donors for a correlation; blood stays where it can.
    """
    usual, counts = Filters().min_samples_per_tissue, seen.tissues
    # With fewer the second largest tissue would go, and with it all pairs.
    second = int(counts.iloc[1]) if len(counts) > 1 else 0
    least = usual if second >= 2 * usual else max(LEAST_SAMPLES, min(usual, second // 2))
    if (blood := int(counts.get(_blood_of(counts), 0))) >= LEAST_SAMPLES:
        least = min(least, blood)
    least = max(2, min(least, second))
    n_folds = int(np.clip(second // A_FOLD, 2, min(MOST_FOLDS, Folds().n_folds)))
    return least, n_folds


def too_few(seen: Look) -> str:
    """Say that models cannot be fitted to so few donors; "" where they can."""
    source = source_of(_kept_tissues(seen))
    donors = seen.kept.groupby("tissue")["donor"].agg(set)
    pairs = max(len(donors[source] & donors[name]) for name in donors.index.drop(source))
    left = pairs - pairs // sizes(seen)[1]
    if left >= LEAST_SAMPLES:
        return ""
    return (
        f"{pairs} donors have {source} and another tissue; models need {LEAST_SAMPLES} to train "
        f"on beside those held out ({left} here), and will say the training mean"
    )


def left_out(seen: Look) -> str:
    """Say which tissues and how many donors the filters leave out; "" where none."""
    least, tissues = sizes(seen)[0], seen.tissues
    few = tissues[tissues < least]
    parts = [f"{_counted(few)} (fewer than {least})"] if len(few) else []
    n_donors = seen.samples["donor"].nunique() - seen.kept["donor"].nunique()
    if n_donors:
        of_donor = Filters().min_samples_per_donor
        parts += [f"{numbered(n_donors, 'donor')} (fewer than {of_donor} samples)"]
    return ", ".join(parts)


def source_of(tissues: pd.Series) -> str:
    """Tissue to predict from: blood where there is any, else the one with most samples."""
    return _blood_of(tissues) or tissues.index[0]


def _blood_of(tissues: pd.Series) -> str | None:
    """Tissue that is blood, or whose name has most to do with it."""

    def distance(name: str) -> int:
        of_name = letters(name)
        whole = any(word in of_name for word in WHOLE_BLOOD)
        return 0 if of_name.removesuffix("blood") in ("", *WHOLE_BLOOD) else 2 - whole

    blood = [name for name in tissues.index if "blood" in name.casefold()]
    return min(blood, key=distance, default=None)


def advised(problem: InputError, seen: Look) -> InputError:
    """Return a problem of a file with what can be done about it where columns were found."""
    hint = ""
    if problem.found.startswith("duplicate donor-tissue") and not seen.told >= {"donor", "tissue"}:
        donors = f"Column {seen.donor}" if seen.donor else "The names of samples"
        hint = f"{donors} and column {seen.tissue} were taken; --donor and --tissue name others."
    elif any(f", column {name} of " in problem.where for name in READ_ANYWAY):
        hint = "Under another name the column is left out."
    return InputError(
        problem.where, problem.found, problem.expected, f"{hint} {problem.hint}".strip()
    )
