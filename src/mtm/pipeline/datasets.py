"""The external files by name: origin, checksum, and which of them a configuration needs."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from mtm.errors import InputError
from mtm.io import demand_gzip, read_tsv
from mtm.registered import SOURCE_ROOT
from mtm.settings.evaluation import OF_ANOTHER_COHORT

# The inputs that make the cohort; the others belong to single analyses.
COHORT_INPUTS = (
    "expression",
    "sample_attributes",
    "subject_phenotypes",
    "gene_model",
    "gene_list",
    "controlled_phenotypes",
)

# Which genes NCBI's matrices have.
GENE_TABLE = "ncbi_gene_table"
# What stands in the rows of files that every GEO series has: its accession, the same with what
# tells its platform, and the folder on GEO's server.
FILLED_IN = ("{accession}", "{matrix}", "{folder}")
PATTERNS = {
    "name": r"({accession}_)?[a-z][a-z0-9_]*",
    "version": r".+",
    "file": r"({accession}|{matrix}|[A-Za-z0-9])[A-Za-z0-9._-]*",
    "url": r"https?://\S+",
    "bytes": r"([1-9][0-9]*)?",
    "checksum": r"(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})?",
    "licence": r".+",
    "access": r"open|controlled",
    "verified": r"yes|no",
    "needed_for": r".+",
    "description": r".+",
}


@dataclass(frozen=True)
class Dataset:
    """One external file, one row of the manifest.

    Attributes
    ----------
    name
        Key used in the configuration.
    version
        Release of the source.
    file
        Name under the resources folder.
    url
        Where the file is published; for controlled access, where to apply for it.
    bytes
        Exact size, None if unknown.
    checksum
        "sha256:" or "md5:" and the hexadecimal digest, None if unknown.
    licence, needed_for, description
        Text for people.
    access
        "open": anybody may download; "controlled": given on application, never downloaded here.
    verified
        Whether the project has ever opened `url`.
    """

    name: str
    version: str
    file: str
    url: str
    bytes: int | None
    checksum: str | None
    licence: str
    access: Literal["open", "controlled"]
    verified: bool
    needed_for: str
    description: str


def read_manifest(
    path: str | Path, series: Iterable[tuple[str, str | None]] | None = None
) -> dict[str, Dataset]:
    """Read the table of external files.

    Parameters
    ----------
    path
        Tab-separated, with exactly the columns of `PATTERNS`; `bytes` and `checksum` may be empty.
    series
        GEO series whose files are wanted: accession, and platform where a series has a matrix for
        each of several. None leaves the rows of all series as they stand.

    Returns
    -------
    dict
        Dataset name to `Dataset`, in the order of the file; rows of GEO series once a series of
        `series`, see `series_dataset`.

    Raises
    ------
    InputError
        A column is missing or unknown, a field has a form that is not allowed, or a name or file
        occurs twice.
    """
    table = read_tsv(path, PATTERNS, dtype=str).fillna("")
    if unknown := [column for column in table if column not in PATTERNS]:
        raise InputError(path, f"columns {unknown}", f"only the columns {list(PATTERNS)}")
    for column, pattern in PATTERNS.items():
        wrong = ~table[column].str.fullmatch(pattern)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"{path}, line {row + 2}, column {column}",
                repr(table[column].iloc[row]),
                f"text of the form {pattern}",
            )
    for column in ("name", "file"):
        repeated = table[column][table[column].duplicated()]
        if len(repeated):
            where = f"{path}, line {repeated.index[0] + 2}, column {column}"
            raise InputError(where, f"{repeated.iloc[0]!r} more than once", "one row each")
    rows = []
    for row in table.to_dict("records"):
        of_series = series is not None and any(mark in row["name"] for mark in FILLED_IN)
        rows += [_filled(row, *one) for one in series] if of_series else [row]
    return {
        row["name"]: Dataset(
            **row
            | {
                "bytes": int(row["bytes"]) if row["bytes"] else None,
                "checksum": row["checksum"] or None,
                "verified": row["verified"] == "yes",
            }
        )
        for row in rows
    }


def _filled(row: Mapping[str, str], accession: str, platform: str | None) -> dict[str, str]:
    """Fill a row of all GEO series in for one of them."""
    values = {
        "{accession}": accession,
        "{matrix}": f"{accession}-{platform}" if platform else accession,
        "{folder}": f"{accession[:-3] if len(accession) > 6 else 'GSE'}nnn/{accession}",
    }

    def filled(text: str) -> str:
        for mark, value in values.items():
            text = text.replace(mark, value)
        return text

    return {column: filled(text) for column, text in row.items()} | {
        "name": series_dataset(row["name"].removeprefix("{accession}_"), accession, platform)
    }


def series_dataset(kind: str, accession: str, platform: str | None = None) -> str:
    """Name of the dataset that is a file of a GEO series.

    Parameters
    ----------
    kind
        ``series_matrix``, ``ncbi_tpm`` or ``ncbi_counts``.
    """
    of_platform = f"_{platform}" if platform and kind == "series_matrix" else ""
    return f"{accession}{of_platform}_{kind}".lower()


def series_of(config: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Return the GEO series of a checked configuration, for `read_manifest`."""
    cohorts = (config.get("external") or {}).values()
    return list(dict.fromkeys((one["geo"], one["platform"]) for one in cohorts if one["geo"]))


def external_roles(external: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands for the expression and the samples of an external cohort.

    Parameters
    ----------
    external
        One of the section ``external`` of a checked configuration.

    Returns
    -------
    dict
        ``expression`` and, where there is one, ``samples``: datasets or paths.
    """
    series = external["geo"], external["platform"]
    if external["geo"]:
        kinds = {"expression": "ncbi_tpm", "samples": "series_matrix"}
        return {role: series_dataset(kind, *series) for role, kind in kinds.items()}
    return {role: external[role] for role in ("expression", "samples") if external[role]}


def gene_names_dataset(config: Mapping[str, Any]) -> str | None:
    """Return what tells names of genes: ``inputs.gene_identifiers``, HGNC's where GEO needs it."""
    return config["inputs"].get("gene_identifiers") or ("hgnc" if series_of(config) else None)


def optional_files(accession: str) -> list[str]:
    """Names of the datasets that a series can do without: NCBI's gene table and counts."""
    return [GENE_TABLE, series_dataset("ncbi_counts", accession)]


def unknown_dataset(
    key: str, name: str, expected: str, manifest: Mapping[str, Dataset]
) -> InputError:
    """Return the error for a name that is no dataset."""
    near = get_close_matches(name, manifest, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else ""
    return InputError(f"config key {key}", repr(name), expected, hint)


def resolve_file(
    key: str, named: str, manifest: Mapping[str, Dataset], local_files: Mapping[str, str]
) -> str:
    """Return the path of what a key names: a fetched dataset, a local copy of it, or a path.

    Parameters
    ----------
    key
        Of the configuration, for errors.
    named
        What stands there.
    manifest
        Dataset name to `Dataset`.
    local_files
        Paths by dataset name.

    Raises
    ------
    InputError
        It looks like a dataset and is none, or is one that is given on application alone.
    """
    if named not in manifest:
        if Path(named).name == named and Path(named).suffix == "":
            expected = "a dataset of config/datasets.tsv or the path of a file"
            raise unknown_dataset(key, named, expected, manifest)
        return named
    if named in local_files:
        return local_files[named]
    if manifest[named].access == "controlled":
        raise InputError(
            f"config key {key}",
            f"{named}, a controlled-access dataset",
            f"your copy of it, as local_files.{named}",
            f"Apply for it at {manifest[named].url}.",
        )
    return f"resources/{manifest[named].file}"


def input_files(config: Mapping[str, Any], manifest: Mapping[str, Dataset]) -> dict[str, str]:
    """Return the path of every file that a configuration names, by key.

    Parameters
    ----------
    config
        A checked configuration.
    manifest
        Dataset name to `Dataset`.

    Raises
    ------
    InputError
        A name is no dataset, or one that is given on application alone.
    """
    roles = {name: value for name, value in config["inputs"].items() if name != "units"}
    named = {f"inputs.{role}": value for role, value in roles.items() if value}
    for name, other in config["evaluation"]["external"].items():
        for role in COHORT_INPUTS:
            if other.get(role):
                named[f"evaluation.external.{name}.{role}"] = other[role]
    for name, external in (config.get("external") or {}).items():
        for role, value in external_roles(external).items():
            named[f"external.{name}.{role}"] = value
    if config.get("transfer", {}).get("reference"):
        named["transfer.reference"] = config["transfer"]["reference"]
    for role in ("table", "promoters"):
        if config.get("profiles", {}).get("run") and config["profiles"][role]:
            named[f"profiles.{role}"] = config["profiles"][role]
    local = config["local_files"]
    files = {key: resolve_file(key, value, manifest, local) for key, value in named.items()}
    # A bigWig may be read where it is published.
    return {key: path for key, path in files.items() if "://" not in path}


def needed_files(
    manifest: Mapping[str, Dataset], config: Mapping[str, Any], folder: str | Path
) -> dict[str, Path]:
    """Return where the open datasets that a configuration uses belong.

    Parameters
    ----------
    manifest
        As `read_manifest` returns it.
    config
        The configuration, its defaults filled in: files are named by `inputs` and by other
        cohorts under `evaluation.external` and `external`; `local_files` are those that the user
        has a copy of.
    folder
        The resources folder.
    """
    used = set(config["inputs"].values())
    for other in config["evaluation"]["external"].values():
        used.update(other[role] for role in OF_ANOTHER_COHORT)
    for external in (config.get("external") or {}).values():
        used.update(external_roles(external).values())
    used.add(gene_names_dataset(config))
    return {
        name: Path(folder) / dataset.file
        for name, dataset in manifest.items()
        if name in used - set(config["local_files"]) and dataset.access == "open"
    }


def missing_files(
    manifest: Mapping[str, Dataset], destinations: Mapping[str, Path]
) -> list[InputError]:
    """Return, for every file of `destinations` that is not in place, what to do about it.

    Parameters
    ----------
    manifest
        Dataset name to `Dataset`.
    destinations
        Dataset name to where its file belongs.
    """
    problems = []
    for name, path in destinations.items():
        if Path(path).exists():
            continue
        dataset = manifest[name]
        size = f", {dataset.bytes:,} bytes" if dataset.bytes else ""
        expected = f"{name} ({dataset.description}{size})"
        problems.append(InputError(path, "no such file", expected, by_hand(dataset, path)))
    return problems


def by_hand(dataset: Dataset, path: str | Path) -> str:
    """Return how the file of `dataset` comes to `path` without this machine's network."""
    return (
        f"Download {dataset.url} where there is internet access and put it at {path}, or name "
        f"your copy in the configuration, local_files.{dataset.name}: /path/to/your/copy"
    )


def checksum_of(path: str | Path, algorithm: str) -> str:
    """Return "algorithm:hexdigest" of a file; `algorithm` is "sha256" or "md5"."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return f"{algorithm}:{digest.hexdigest()}"


def verify(dataset: Dataset, path: str | Path, hint: str = "") -> None:
    """Compare the file at `path` with the size and checksum of `dataset`, where known.

    Raises
    ------
    InputError
        Either differs, or a file called .gz is no gzip file; `hint` is its advice.
    """
    size = Path(path).stat().st_size
    if dataset.bytes is not None and size != dataset.bytes:
        raise InputError(path, f"{size:,} bytes", f"{dataset.bytes:,} bytes", hint)
    if dataset.checksum is not None:
        found = checksum_of(path, dataset.checksum.partition(":")[0])
        if found != dataset.checksum:
            raise InputError(path, found, dataset.checksum, hint)
    elif dataset.file.endswith(".gz"):
        demand_gzip(path, f"the gzipped file {dataset.file}", hint)


def manifest_path() -> Path:
    """Path of ``config/datasets.tsv``: here or, where there is none, of this code's checkout."""
    here = Path("config", "datasets.tsv")
    return here if here.exists() else SOURCE_ROOT.parent / here
