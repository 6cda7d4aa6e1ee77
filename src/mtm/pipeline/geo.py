"""Files of GEO series: each answer checked for what it is, and what may be missing."""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from mtm.cohort.gene_names import read_ncbi_table
from mtm.cohort.geo.series import read_series_matrix
from mtm.cohort.lines import demand_whole_rows
from mtm.cohort.matrices import read_expression_header
from mtm.errors import InputError
from mtm.pipeline.datasets import (
    GENE_TABLE,
    Dataset,
    manifest_path,
    optional_files,
    read_manifest,
    series_dataset,
)
from mtm.pipeline.download import Unreachable, fetch

log = logging.getLogger(__name__)

_OF_SERIES = re.compile(r"(gse\d+)(?:_gpl\d+)?_(series_matrix|ncbi_tpm|ncbi_counts)")


def content_check(name: str) -> Callable[[Path], None] | None:
    """Return what a dataset's file is checked by once it is there; None for no check.

    Parameters
    ----------
    name
        Of the dataset.
    """
    if name == GENE_TABLE:
        return _as_gzip(read_ncbi_table)
    found = _OF_SERIES.fullmatch(name)
    if found is None:
        return None
    accession, kind = found[1].upper(), found[2]
    if kind == "series_matrix":
        return _as_gzip(lambda path: read_series_matrix(path).demand_human_rna(accession))
    return _as_gzip(_demand_ncbi_matrix)


def _as_gzip(check: Callable[[Path], object]) -> Callable[[Path], None]:
    """Let a check that goes by the suffix see a gzip file, whatever it is called."""

    def checked(path: Path) -> None:
        with TemporaryDirectory() as folder:
            seen = Path(folder, "file.tsv.gz")
            seen.symlink_to(Path(path).resolve())
            check(seen)

    return checked


def _demand_ncbi_matrix(path: Path) -> None:
    """Refuse what has no GeneID and no GSM in its header, and what ends early."""
    sample_ids = read_expression_header(path).sample_ids
    if not all(name.startswith("GSM") for name in sample_ids):
        raise InputError(
            path,
            f"the columns {', '.join(sample_ids[:3])}",
            "NCBI's matrix of a series: GeneID, then a column a GSM",
        )
    demand_whole_rows(path)


def fetch_optional(
    manifest: Mapping[str, Dataset], names: list[str], folder: Path, **options
) -> dict[str, str]:
    """Fetch what a run can do without, and say what could not be had.

    Parameters
    ----------
    manifest, names
        Datasets, and which of them.
    folder
        Where they belong.
    options
        Of `mtm.pipeline.download.fetch`.

    Returns
    -------
    dict
        Why a file is missing, by dataset.
    """
    missing = {}
    for name in names:
        dataset = manifest[name]
        try:
            fetch(
                dataset, folder / dataset.file, check=content_check(name),
                **{"retries": 1, "timeout": 20.0} | options,
            )  # fmt: skip
        except InputError as error:
            missing[name] = error.found
            log.warning("%s is left out: found %s", name, error.found)
    return missing


def fetch_series(
    accession: str, platform: str | None, folder: Path, *, matrix_alone: bool = False, **options
) -> tuple[Path | None, ...]:
    """Fetch a series' files, and what says which genes they are of.

    Parameters
    ----------
    accession, platform
        Of the series.
    folder
        Where the files belong; what is there is used.
    matrix_alone
        Do without all but the series matrix.
    options
        Of `mtm.pipeline.download.fetch`.

    Returns
    -------
    tuple of Path
        Series matrix, NCBI's TPM, counts, HGNC's table, NCBI's gene table; None for what was not
        asked for or can be done without.

    Raises
    ------
    InputError
        A needed file cannot be had; the message lists all that are missing and their places.
    """
    manifest = read_manifest(manifest_path(), [(accession, platform)])
    needed = [series_dataset(kind, accession, platform) for kind in ("series_matrix", "ncbi_tpm")]
    needed.append("hgnc")
    needed = needed[:1] if matrix_alone else needed
    places = {name: folder / manifest[name].file for name in needed}
    for name, place in places.items():
        try:
            fetch(manifest[name], place, check=content_check(name), **options)
        except Unreachable as error:
            missing = [f"{manifest[other].url} to {path}" for other, path in places.items()
                       if not path.exists()]  # fmt: skip
            raise Unreachable(
                error.where,
                error.found,
                manifest[name].description,
                f"Get what is missing with a browser: {'; '.join(missing)}. Then run again.",
            ) from None
    if matrix_alone:
        return (*places.values(), None, None, None, None)
    optional = optional_files(accession)
    gone = fetch_optional(manifest, optional, folder, **options)
    table, counts = (None if name in gone else folder / manifest[name].file for name in optional)
    matrix, tpm, hgnc = places.values()
    return matrix, tpm, counts, hgnc, table
