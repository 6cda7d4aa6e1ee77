"""Conservation of genes: mean PhastCons score over their exons (He et al. 2023, Fig S11).

The paper takes PhastCons scores of 100 vertebrates with deepTools, over which parts of a gene it
does not say. Here the exons of all transcripts of a gene are merged, so that a base counts once
(methods 3), whatever its strand. The gene model of GTEx has merged them already, and not alike: it
leaves out transcripts with a retained intron or that read through into the next gene, and every
base that two genes share, which in a model of transcripts counts for both. Which of the two was
read stands in the log. As in deepTools, the mean is over the bases that have a score;
how many those are stands beside it. A table with one value a gene may take the bigWig's place.
"""

import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig

from mtm.analyses.genes.matching import UNMATCHED, gene_values, is_second_copy
from mtm.cohort.genes import gene_key, gtf_records
from mtm.cohort.lines import demand_whole_rows, text_lines
from mtm.errors import InputError
from mtm.io import read_tsv, require_file

log = logging.getLogger(__name__)

TABLE_SUFFIXES = (".tsv", ".txt", ".tsv.gz", ".txt.gz")
ID_COLUMNS = ("gene_id", "ensembl_gene_id")
NO_EXON = "without exons in the gene model"
NO_CONTIG = "on a contig that the bigWig lacks"
NO_SCORE = "without a base that has a score"
MERGED_MODEL = "one merged transcript a gene (GTEx): bases that genes share count for none"
TRANSCRIPT_MODEL = "transcripts: bases that genes share count for each"
# Length of chromosome 1, which tells the builds of the human genome apart.
CHR1_LENGTH = {"GRCh37": 249_250_621, "GRCh38": 248_956_422, "T2T-CHM13": 248_387_328}
_BUILD_NAME = re.compile(r"GRCh3[78]|T2T-CHM13")


def is_table(source: str | Path) -> bool:
    """Whether a source of conservation is a table rather than a bigWig, by its suffix."""
    return str(source).lower().endswith(TABLE_SUFFIXES)


def is_remote(source: str | Path) -> bool:
    """Whether a source of conservation is the address of a bigWig."""
    return "://" in str(source)


def read_exons(gene_model: str | Path, gene_ids: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Read the exons of some genes from a GTF file.

    Genes are matched whatever their version; the PAR_Y copies are genes of their own.

    Returns
    -------
    pd.DataFrame
        ``gene_id`` (as in `gene_ids`), ``chrom``, ``start``, ``end`` (0-based, end exclusive).
    str
        Genome build that the comments at the head of the file name; empty where they name none.

    Raises
    ------
    InputError
        A malformed exon row; no exon row; no exon of any of the genes.
    """
    wanted = {gene_key(gene_id): gene_id for gene_id in gene_ids}
    of_model: dict[str, str | None] = {}
    records = []
    for row in gtf_records(
        gene_model,
        "exon",
        lambda row: 0 < row.start <= row.end,
        "nine fields, the fourth and fifth start and end, the last with gene_id",
    ):
        if not of_model:
            merged = row.attribute("transcript_id") == row.gene_id
            log.info("%s: %s", gene_model, MERGED_MODEL if merged else TRANSCRIPT_MODEL)
        if row.gene_id not in of_model:
            of_model[row.gene_id] = wanted.get(gene_key(row.gene_id))
        if (name := of_model[row.gene_id]) is not None:
            records.append((name, row.contig, row.start - 1, row.end))
    if not records:
        raise InputError(
            gene_model,
            f"exons of {len(of_model)} genes, none of them one of the {len(wanted)} of the cohort",
            "exons of the cohort's genes",
            f"First gene of the file: {next(iter(of_model))}; of the cohort: {gene_ids[0]}.",
        )
    exons = pd.DataFrame(records, columns=["gene_id", "chrom", "start", "end"])
    return exons, _build_of(Path(gene_model))


def _build_of(gene_model: Path) -> str:
    """Genome build that the comments at the head of a GTF name; empty where they name none."""
    with closing(text_lines(gene_model)) as lines:
        for line in takewhile(lambda line: line.startswith("#"), lines):
            if named := _BUILD_NAME.search(line):
                return named[0]
    return ""


def merge_exons(exons: pd.DataFrame) -> pd.DataFrame:
    """Merge exons of a gene that overlap or touch, so that every base of it stands once.

    Parameters
    ----------
    exons
        ``gene_id``, ``chrom``, ``start``, ``end`` (0-based, end exclusive), in any order.

    Returns
    -------
    pd.DataFrame
        The same columns, sorted by gene, chromosome and start.
    """
    key = ["gene_id", "chrom"]
    table = exons.sort_values([*key, "start", "end"], ignore_index=True)
    groups = table.groupby(key, sort=False)
    reached = groups["end"].cummax()
    before = reached.groupby([table[name] for name in key], sort=False).shift(fill_value=-1)
    block = (table["start"] > before).cumsum()
    return (
        table.groupby(block)
        .agg(gene_id=("gene_id", "first"), chrom=("chrom", "first"), start=("start", "min"),
             end=("end", "max"))
        .reset_index(drop=True)
    )  # fmt: skip


def gene_lengths(gene_model: str | Path, gene_ids: Sequence[str]) -> pd.Series:
    """Bases of the merged exons of genes, indexed by gene id; those the model lacks are absent."""
    exons = merge_exons(read_exons(gene_model, gene_ids)[0])
    return (exons["end"] - exons["start"]).groupby(exons["gene_id"]).sum()


def _open(source: str | Path):
    """Open a bigWig."""
    if is_remote(source) and not pyBigWig.remote:
        raise InputError(
            source,
            "an address, which pyBigWig as installed here cannot read",
            "a local bigWig",
            "Download the file, or install a pyBigWig that was built with curl.",
        )
    if not is_remote(source):
        require_file(Path(source), "a bigWig")
    try:
        bigwig = pyBigWig.open(str(source))
    except Exception as error:  # Of a reader that says what it says.
        raise InputError(
            source,
            "a file that is no bigWig, or is cut",
            "a bigWig",
            f"A table with one value a gene has a name in {', '.join(TABLE_SUFFIXES)}.",
        ) from error
    if not bigwig.isBigWig():
        bigwig.close()
        raise InputError(source, "a bigBed", "a bigWig")
    return bigwig


def check_build(
    exons: pd.DataFrame, sizes: dict[str, int], source: str | Path, model: str | Path, build: str
) -> None:
    """Raise unless exons and bigWig can be of the same genome.

    Parameters
    ----------
    exons
        From `read_exons`.
    sizes
        Length of each chromosome of the bigWig.
    source, model
        Files to name in the message.
    build
        Genome build of the gene model; empty where it is not known.

    Raises
    ------
    InputError
        No chromosome in common (the names may differ by "chr"); chromosome 1 has the length of
        another build; an exon lies beyond the end of its chromosome.
    """
    names = pd.unique(exons["chrom"])
    common = [name for name in names if name in sizes]
    hint = "Both must be of one genome build, with the same names of chromosomes."
    if not common:
        bare = {name.removeprefix("chr") for name in sizes}
        if any(name.removeprefix("chr") in bare for name in names):
            hint = "The names differ by the prefix 'chr': rename the chromosomes of the GTF."
        raise InputError(
            source,
            f"chromosomes {', '.join(sorted(sizes)[:3])}, ...",
            f"those of {model}: {', '.join(map(str, names[:3]))}, ...",
            hint,
        )
    length = sizes.get("chr1", sizes.get("1"))
    found = next((name for name, bases in CHR1_LENGTH.items() if bases == length), "")
    if found and build and found != build:
        raise InputError(
            source,
            f"chromosome 1 of {length} bases, that of {found}",
            f"{build}, as {model}",
            hint,
        )
    size = exons["chrom"].map(sizes)
    beyond = exons[exons["end"] > size]
    if len(beyond):
        first = beyond.iloc[0]
        named = f" ({found})" if found else ""
        raise InputError(
            source,
            f"{first['chrom']} of {sizes[first['chrom']]} bases{named}, while an exon of "
            f"{first['gene_id']} ends at {first['end']} ({len(beyond)} exons lie beyond the end)",
            f"a bigWig of the genome build of {model}",
            hint,
        )


def _measure_chromosome(job: tuple[str, str, np.ndarray, np.ndarray]) -> tuple:
    """Sum of the scores of each interval of a chromosome, and how many bases have one."""
    source, chrom, starts, ends = job
    total, covered = np.zeros(len(starts)), np.zeros(len(starts), np.int64)
    with closing(_open(source)) as bigwig:
        for index in np.argsort(starts, kind="stable"):
            place = int(starts[index]), int(ends[index])
            try:
                scores = bigwig.values(chrom, *place, numpy=True)
            except Exception as error:
                raise InputError(
                    f"{source}, {chrom}:{place[0]}-{place[1]}",
                    f"scores that cannot be read ({error})",
                    "a whole bigWig",
                    "Download or copy it again.",
                ) from error
            known = np.isfinite(scores)
            covered[index] = known.sum()
            total[index] = scores[known].sum(dtype=np.float64)
    return total, covered


def measure_bigwig(
    source: str | Path, gene_model: str | Path, gene_ids: Sequence[str], processes: int = 1
) -> pd.DataFrame:
    """Average a bigWig over the merged exons of each gene.

    Chromosomes are read one after the other, each by one process; memory is that of one exon.

    Parameters
    ----------
    source
        bigWig file; or its address, where pyBigWig was built with curl.
    gene_model
        GTF file of the same genome build.
    gene_ids
        Genes of the cohort; second (PAR_Y) copies are not measured.
    processes
        Chromosomes measured at a time.

    Returns
    -------
    pd.DataFrame
        As `mtm.analyses.genes.matching.gene_values`, then ``n_bases`` (of merged exons) and
        ``covered_share`` (bases with a score, over which ``value`` is the mean).

    Raises
    ------
    InputError
        What `read_exons` and `check_build` refuse, or no bigWig.
    """
    exons, contigs = _scored_exons(source, gene_model, gene_ids, processes)
    genes = exons.groupby("gene_id").agg(
        {"total": "sum", "covered": "sum", "n_bases": "sum", "there": "any"}
    )
    mean = genes["total"] / genes["covered"].where(genes["covered"] > 0)
    table = gene_values(gene_ids, {gene_key(name).stable_id: v for name, v in mean.items()})
    own = genes.reindex(table["gene_id"])
    reason = np.where(own["there"].eq(True), NO_SCORE, NO_CONTIG)
    reason = np.where(own["n_bases"].isna(), NO_EXON, reason)
    unmatched = (table["status"] == UNMATCHED).to_numpy()
    table.loc[unmatched, "reason"] = reason[unmatched]
    table["n_bases"] = own["n_bases"].astype("Int64").to_numpy()
    table["covered_share"] = (own["covered"] / own["n_bases"]).to_numpy(float)
    missing = sorted(set(exons["chrom"]) - contigs)
    if missing:
        log.warning("the bigWig lacks %d contigs: %s", len(missing), ", ".join(missing))
    share = genes["covered"].sum() / genes["n_bases"].sum()
    log.info("%.3f of the bases of exons have a score", share)
    return table


def _scored_exons(
    source: str | Path, gene_model: str | Path, gene_ids: Sequence[str], processes: int
) -> tuple[pd.DataFrame, set[str]]:
    """Return merged exons, with sum and number of their scores, and the bigWig's contigs."""
    first = list(np.asarray(gene_ids, object)[~is_second_copy(gene_ids)])
    sizes = read_chromosomes(source)
    exons, build = read_exons(gene_model, first)
    check_build(exons, sizes, source, gene_model, build)
    merged = merge_exons(exons)
    merged["n_bases"] = merged["end"] - merged["start"]
    merged["there"] = merged["chrom"].isin(list(sizes))
    merged[["total", "covered"]] = 0.0, 0
    chromosomes = [part for _, part in merged[merged["there"]].groupby("chrom")]
    jobs = [
        (str(source), part["chrom"].iloc[0], part["start"].to_numpy(), part["end"].to_numpy())
        for part in chromosomes
    ]
    measured = _apart(source, _measure_chromosome, jobs, processes)
    for part, (total, covered) in zip(chromosomes, measured, strict=True):
        merged.loc[part.index, "total"], merged.loc[part.index, "covered"] = total, covered
        log.info("%s: %d merged exons", part["chrom"].iloc[0], len(part))
    return merged, set(sizes)


def read_chromosomes(source: str | Path) -> dict[str, int]:
    """Length of each chromosome of a bigWig.

    Raises
    ------
    InputError
        It is no bigWig, or a damaged one.
    """
    (sizes,) = _apart(source, _chromosomes, [str(source)], 1)
    return sizes


def _chromosomes(source: str) -> dict[str, int]:
    """Length of each chromosome, read in this process."""
    with closing(_open(source)) as bigwig:
        sizes = bigwig.chroms()
    if not isinstance(sizes, dict) or not sizes:
        raise InputError(source, "no chromosome", "a whole bigWig", "Download or copy it again.")
    return dict(sizes)


def _apart(source: str | Path, function: Callable, jobs: list, processes: int) -> list:
    """Read a bigWig in processes of their own, which a damaged one may crash; results in order."""
    with ProcessPoolExecutor(max(1, min(processes, len(jobs)))) as pool:
        try:
            return list(pool.map(function, jobs))
        except BrokenProcessPool:
            raise InputError(
                source,
                "content that crashes its reader",
                "a whole bigWig",
                "The file is damaged: download or copy it again.",
            ) from None


def read_conservation_table(
    path: str | Path, gene_ids: Sequence[str], column: str | None = None
) -> pd.DataFrame:
    """Read one value a gene from a table.

    Parameters
    ----------
    path
        Tab-separated, with a column ``gene_id`` or ``ensembl_gene_id``; versions do not matter.
    gene_ids
        Genes of the cohort.
    column
        Column of the values; None takes the one numeric column there is.

    Returns
    -------
    pd.DataFrame
        As `mtm.analyses.genes.matching.gene_values`.

    Raises
    ------
    InputError
        A column is missing or not numeric, several could be meant, a gene stands twice, or none
        is one of the cohort's.
    """
    values = conservation_values(path, column)
    genes = gene_values(gene_ids, values.to_dict())
    stable_ids = pd.Series([gene_key(gene_id).stable_id for gene_id in gene_ids])
    if not stable_ids.isin(values.index).any():
        raise InputError(
            path,
            f"{len(values)} genes, none of them one of the {len(genes)} of the cohort",
            "Ensembl ids of the cohort's genes",
            f"First gene of the file: {values.index[0]}; of the cohort: {gene_ids[0]}.",
        )
    empty = (genes["status"] == UNMATCHED) & stable_ids.isin(values.index)
    genes.loc[empty, "reason"] = "without a value in the file"
    return genes


def conservation_values(path: str | Path, column: str | None = None) -> pd.Series:
    """Read the values of `read_conservation_table`, indexed by stable gene id, float64."""
    demand_whole_rows(path)
    table = read_tsv(path)
    if table.empty:
        raise InputError(path, "no row", "one row a gene")
    id_column = next((name for name in ID_COLUMNS if name in table), None)
    if id_column is None:
        raise InputError(path, f"columns {list(table)}", f"a column {' or '.join(ID_COLUMNS)}")
    column = _value_column(path, table, column)
    keys = [gene_key(str(gene_id)) for gene_id in table[id_column]]
    stable = pd.Series([key.stable_id for key in keys], index=table.index)
    stable = stable[[not key.par_y for key in keys]]
    if stable.duplicated().any():
        name = stable[stable.duplicated()].iloc[0]
        raise InputError(f"{path}, column {id_column}", f"{name} twice", "every gene once")
    return table.loc[stable.index, column].astype(float).set_axis(stable)


def _value_column(path: str | Path, table: pd.DataFrame, column: str | None) -> str:
    """Column of the values: the one named, else the one numeric column there is."""
    numeric = [name for name in table if pd.api.types.is_numeric_dtype(table[name])]
    if column is None and len(numeric) == 1:
        return numeric[0]
    if column in numeric:
        return column
    there = column is None or column in table
    raise InputError(
        path,
        f"numeric columns {numeric}" if there else f"columns {list(table)}",
        "one numeric column of values" if column is None else f"a numeric column {column}",
        "Name the column in gene_characteristics.conservation_column.",
    )


def measure_conservation(
    source: str | Path,
    gene_ids: Sequence[str],
    gene_model: str | Path | None = None,
    column: str | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """Measure conservation by `measure_bigwig`, or read it by `read_conservation_table`.

    Raises
    ------
    InputError
        What those refuse; a bigWig without a gene model.
    """
    if is_table(source):
        return read_conservation_table(source, gene_ids, column)
    if gene_model is None:
        raise InputError(
            "config key inputs.gene_model", "nothing (null)", "a GTF, whose exons are scored"
        )
    return measure_bigwig(source, gene_model, gene_ids, processes)
