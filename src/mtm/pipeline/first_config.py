"""A first configuration of a cohort, from a look at its files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice, permutations
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.checks import WHOLE_BYTES
from mtm.cohort.delimited import text_table
from mtm.cohort.fields import FIELDS, SEX_CODES, numbers_of
from mtm.cohort.genes import read_gtf_genes
from mtm.cohort.lines import byte_lines
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.tables import SAMPLE_COVARIATES, donor_of_sample
from mtm.cohort.units import LARGEST_LOG2, LARGEST_TPM_SUM, MANY_GENES, SMALLEST_MAX_TPM
from mtm.errors import InputError, numbered, printable
from mtm.settings.cohort import Columns, Filters, Folds
from mtm.settings.wording import yaml_text
from mtm.vocabulary import Units

# What people call a donor, and a tissue; letters alone, in lower case.
DONOR_NAMES = (
    "subjid", "donor", "donorid", "subject", "subjectid", "individual", "individualid", "animal",
    "animalid", "patient", "patientid", "participant", "participantid", "person", "mouse",
    "mouseid", "rat", "ratid", "strain",
)  # fmt: skip
TISSUE_NAMES = ("smtsd", "tissue", "tissuetype", "tissuename", "organ", "bodysite", "sitetissue")
SEX_NAMES, AGE_NAMES = ("sex", "gender"), ("age", "ageyears", "ageinyears")
OTHER_NAMES = {
    "batch": ("batch", "smgebtch", "batchid"),
    "rin": ("rin", "smrin"),
    "center": ("center", "centre", "site", "smcenter"),
}
# What units are told by: samples, and blocks of genes where a file is too large to read whole.
SAMPLES_LOOKED_AT, LOOKED_AT = 200, 8
# Rows whose names are looked at where those of columns do not fit.
NAMES_SEEN = 1000
# Held-out donors of a fold and tissue that a correlation takes, with room for those it lacks.
A_FOLD, MOST_FOLDS = 8, 5
# Of a tissue, for a model to be fitted at all.
LEAST_SAMPLES = 10


@dataclass
class Look:
    """What was seen in the files of a cohort.

    Parameters
    ----------
    columns
        Columns by role, where they are not GTEx's.
    samples
        One row a sample of the expression file: ``donor``, ``tissue``.
    units, why
        Of expression, and what tells so.
    notes
        What a reader should know.
    """

    columns: dict[str, str] = field(default_factory=dict)
    samples: pd.DataFrame = field(default_factory=pd.DataFrame)
    units: Units | None = None
    why: str = ""
    has_covariates: bool = False
    biotypes: tuple[str, ...] = ()
    others: list[str] = field(default_factory=list)
    n_genes: int = 0

    @property
    def tissues(self) -> pd.Series:
        """Number of samples of every tissue, the most first."""
        return self.samples["tissue"].value_counts()


def _folded(name: str) -> str:
    """Letters of a name, in lower case."""
    return "".join(filter(str.isalnum, name.casefold()))


def _called(names: Iterable[str], table: Iterable[str]) -> str | None:
    """Column of a table that is called one of `names`, the first of these first."""
    folded = {_folded(column): column for column in reversed(list(table))}
    return next((folded[name] for name in names if name in folded), None)


def look(
    expression: str | Path,
    samples: str | Path,
    donors: str | Path | None = None,
    gene_model: str | Path | None = None,
    named: Mapping[str, str | None] | None = None,
) -> Look:
    """Look at the files of a cohort.

    Parameters
    ----------
    expression, samples, donors, gene_model
        Its files.
    named
        Columns of the table of samples by role (``sample_id``, ``donor``, ``tissue``), where they
        are told; the others are found.

    Raises
    ------
    InputError
        Of all files that cannot be read, and of columns that cannot be told.
    """
    named = {role: column for role, column in (named or {}).items() if column}
    sample_ids = read_expression_header(expression).sample_ids
    table = _by_id(samples, sample_ids, expression, named.get("sample_id"), named.values())
    seen = Look()
    id_column = table.index.name
    table = table[table.index.isin(sample_ids)].dropna(axis=1, how="all")
    for column in [named[role] for role in ("tissue", "donor") if role in named]:
        if column not in table:
            found = "the names of samples" if column == id_column else "nothing"
            raise InputError(f"{samples}, column {column}", found, "a name for every sample")
    tissue, donor = _tissue_and_donor(samples, table, named)
    for role, column in (("sample_id", id_column), ("tissue", tissue), ("donor", donor)):
        if column is not None and column != getattr(Columns(), role):
            seen.columns[role] = column
    of_donor = table.index.to_series().map(donor_of_sample) if donor is None else table[donor]
    seen.samples = pd.DataFrame({"donor": of_donor, "tissue": table[tissue]}).dropna()
    if len(seen.tissues) < 2:
        there = f"{numbered(len(seen.tissues), 'tissue')} in column {tissue}"
        found = f"{there} ({', '.join(seen.tissues.index)})"
        raise InputError(samples, found, "two or more tissues of the same donors")
    tables = [table.drop(columns=[tissue, *([donor] if donor else [])])]
    if donors is not None:
        people = _by_id(donors, set(of_donor.dropna()), samples)
        if people.index.name != (donor or Columns().donor):
            seen.columns["donor_id"] = people.index.name
        tables.insert(0, people)
    _find_phenotypes(seen, tables)
    seen.units, seen.why, seen.n_genes = detect_units(expression)
    if gene_model is not None:
        known = set(read_gtf_genes(gene_model)["biotype"])
        seen.biotypes = ("protein_coding",) if "protein_coding" in known else ()
    return seen


def _by_id(
    path: str | Path,
    ids: Iterable[str],
    where: str | Path,
    named: str | None = None,
    demanded: Iterable[str] = (),
) -> pd.DataFrame:
    """Read a table by the column that holds most of `ids`, which stand in another file."""
    table, ids = text_table(path, demanded), set(ids)
    n_found = {name: table[name].isin(ids).sum() for name in table}
    column = named or max(n_found, key=n_found.get)
    if n_found.get("") and column == "":
        hint = "Write a name over it, sample for instance (R's write.csv leaves it out)."
        raise InputError(f"{path}, header", "no name over the column of ids", "one", hint)
    if not n_found[column]:
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
    for column in table:
        if table[column].isin(ids).any():
            return f"Column {column} has them."
    alike = {_folded(name): name for name in sorted(ids, reverse=True)}
    for column in table:
        for name in table[column].dropna():
            if _folded(name) in alike:
                return (
                    f"Column {column} has {name} for {alike[_folded(name)]}: write both alike "
                    "(R turns signs in names of columns into dots unless check.names=FALSE)."
                )
    return ""


def _names_of_rows(path: Path) -> set[str]:
    """First field of the first rows of a text table."""
    if path.suffix == ".h5ad":
        return set()
    with closing(byte_lines(path)) as lines:
        firsts = [re.split(b"[\t,;]", line, maxsplit=1)[0] for line in islice(lines, NAMES_SEEN)]
    return {first.decode(errors="replace").strip().strip('"') for first in firsts[1:]}


def _tissue_and_donor(
    path: str | Path, table: pd.DataFrame, named: Mapping[str, str]
) -> tuple[str, str | None]:
    """Columns of tissue and donor; the latter None where GTEx's sample ids tell.

    By name, or, where no name tells, such that every donor has a tissue once and the table of
    donors by tissues has the fewest gaps.
    """
    tissue = named.get("tissue") or _called(TISSUE_NAMES, table)
    donor = named.get("donor") or _called(DONOR_NAMES, table)
    if donor is None and table.index.str.startswith("GTEX-").all() and tissue:
        return tissue, None
    if tissue is None or donor is None:
        fitting = {
            pair: len(table) / (table[pair[0]].nunique() * table[pair[1]].nunique())
            for pair in permutations(table.columns, 2)
            if (tissue or pair[0], donor or pair[1]) == pair and _are_crossed(table, *pair)
        }
        best = max(fitting, key=fitting.get, default=(None, None))
        if best == (None, None) or list(fitting.values()).count(fitting[best]) > 1:
            missing = [name for name, known in (("tissue", tissue), ("donor", donor)) if not known]
            raise InputError(
                path,
                f"columns {', '.join(table.columns)}, none of which is clearly the {missing[0]}",
                f"a column of each {' and '.join(missing)}",
                f"Name it: {' '.join(f'--{name} COLUMN' for name in missing)}.",
            )
        tissue, donor = best
    return tissue, donor


def _are_crossed(table: pd.DataFrame, tissue: str, donor: str) -> bool:
    """Whether two columns may be tissue and donor."""
    pair = table[[tissue, donor]]
    if pair.isna().any(axis=None) or pair.duplicated().any():
        return False
    n_tissues, n_donors = table[tissue].nunique(), table[donor].nunique()
    return 2 <= n_tissues < n_donors < len(table)


def _find_phenotypes(seen: Look, tables: Sequence[pd.DataFrame]) -> None:
    """Find sex, age, batch and so on; list what else there is. Samples' table is the last."""
    defaults, used = Columns(), set()
    for table in tables:
        for role, names in {"sex": SEX_NAMES, "age": AGE_NAMES, **OTHER_NAMES}.items():
            if role in SAMPLE_COVARIATES and table is not tables[-1]:
                # A site of donors is where they were recruited.
                continue
            column = _called((_folded(getattr(defaults, role)), *names), table)
            if column is None or role in used or not _fits(role, table[column]):
                continue
            used.add(role)
            seen.has_covariates |= role != "batch" and table[column].nunique() > 1
            if column != getattr(defaults, role):
                seen.columns[role] = column
    taken = {*seen.columns.values(), *(getattr(defaults, role) for role in FIXED)}
    for table in tables:
        of_table = [name for name in table if name not in taken and table[name].nunique() > 1]
        seen.others += [name for name in of_table if name not in seen.others]


# Columns that need no word: they are taken by themselves.
FIXED = [role for role in Columns.model_fields if role not in ("covariates", "donor_id")]


def _fits(role: str, values: pd.Series) -> bool:
    """Whether values can be what a column is called."""
    known = values.dropna()
    if role == "sex":
        return known.str.casefold().isin(SEX_CODES).all()
    if role == "age" and known.str.contains(r"^\d+-\d+$").all():
        return True
    return role not in FIELDS or bool(
        numbers_of(known).notna().all() and FIELDS[role].allows(numbers_of(known)).all()
    )


def detect_units(expression: str | Path) -> tuple[Units | None, str, int]:
    """Tell the units of an expression file by its values.

    Returns
    -------
    units
        None where they may be TPM.
    why
        What tells so.
    n_genes
        Genes looked at.
    """
    columns = range(min(SAMPLES_LOOKED_AT, len(read_expression_header(expression).sample_ids)))
    blocks = iter_expression_blocks(expression, np.array(columns), signed=True)
    whole = Path(expression).stat().st_size <= WHOLE_BYTES
    blocks = blocks if whole else islice(blocks, LOOKED_AT)
    parts = [block.expr_tpm for block in blocks]
    if not parts:
        raise InputError(expression, "no gene", "at least one row of values")
    values = np.vstack(parts).astype(np.float64)
    low, high, n = values.min(), values.max(), len(values)
    if low < 0:
        center, spread = np.median(np.abs(values.mean(1))), np.median(values.std(1))
        if center < 0.1 and 0.5 < spread < 1.5:
            return "zscores", "negative values, genes centred with an sd near 1", n
        return "intensity", f"negative values, from {low:.3g} to {high:.3g}", n
    if (values == np.floor(values)).all() and high > 1:
        return "counts", f"whole numbers up to {high:.3g}", n
    of_length = any(word in Path(expression).name.lower() for word in ("rpkm", "fpkm"))
    if of_length and high >= LARGEST_LOG2:
        return "rpkm", "the name of the file", n
    if high < LARGEST_LOG2 and n >= MANY_GENES // 10:
        total = (np.exp2(values) - 1).sum(0)
        total = np.median(total) if whole and n >= MANY_GENES else np.nan
        if 0.2e6 < total < LARGEST_TPM_SUM or (np.isnan(total) and low == 0):
            return "log2", f"no value above {high:.3g}; intensity if no log2(1+TPM)", n
        return "intensity", f"no value above {high:.3g}; log2 if log2(1+TPM)", n
    if high < LARGEST_LOG2 and high < SMALLEST_MAX_TPM:
        return "log2", f"no value above {high:.3g}; tpm or intensity if no log2(1+TPM)", n
    if np.median(values.sum(0)) > LARGEST_TPM_SUM:
        return "counts", f"sums of samples near {np.median(values.sum(0)):.2g}", n
    return None, f"values up to {high:.3g}", n


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
    if seen.others:
        shown = ", ".join(seen.others[:6]) + " ..." * (len(seen.others) > 6)
        lines += [
            f"# not used: {printable(shown)}; columns.covariates takes them (config/README.md)"
        ]
    tissues = seen.tissues
    least, n_folds = sizes(seen)
    kept = tissues[tissues >= least]
    source = source_of(kept if len(kept) else tissues)
    others = ", ".join(f"{tissue} {n}" for tissue, n in tissues.items())
    others = others if len(others) < 300 else numbered(len(tissues), "tissue")
    lines += [f"source: {yaml_text(source)}  # samples: {printable(others)}"]
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
    if seen.has_covariates:
        lines += [
            "  ridge_covariates: {class: ridge, parameters: {covariates: own_penalty}}",
            "  covariates: {class: covariates}",
        ]
    lines += ["  same_gene: {class: same_gene}  # mtm: {class: mtm} takes hours, or a GPU"]
    return "\n".join(lines) + "\n"


def sizes(seen: Look) -> tuple[int, int]:
    """Least number of samples of a tissue, and number of folds, for so many donors.

    A tissue's folds shall each hold out enough donors for a correlation.
    """
    usual, counts = Filters().min_samples_per_tissue, seen.tissues
    # With fewer the second largest tissue would go, and with it all pairs.
    second = int(counts.iloc[1]) if len(counts) > 1 else 0
    least = usual if second >= 2 * usual else max(LEAST_SAMPLES, min(usual, second // 2))
    least = max(2, min(least, second))
    n_folds = int(np.clip(second // A_FOLD, 2, min(MOST_FOLDS, Folds().n_folds)))
    return least, n_folds


def too_few(seen: Look) -> str:
    """Say that models cannot be fitted to so few donors; "" where they can."""
    source = source_of(seen.tissues)
    donors = seen.samples.groupby("tissue")["donor"].agg(set)
    pairs = max(len(donors[source] & donors[name]) for name in seen.tissues.index.drop(source))
    left = pairs - pairs // sizes(seen)[1]
    if left >= LEAST_SAMPLES:
        return ""
    return (
        f"{pairs} donors have {source} and another tissue; models need {LEAST_SAMPLES} to train "
        f"on beside those held out ({left} here), and will say the training mean"
    )


def source_of(tissues: pd.Series) -> str:
    """Tissue to predict from: blood where there is any, else the one with most samples."""
    blood = [name for name in tissues.index if "blood" in name.casefold()]
    return blood[0] if blood else tissues.index[0]
