"""Which samples, donors, tissues and genes enter a cohort."""

import difflib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.genes import GeneKey, gene_key, read_gene_list, read_gtf_genes
from mtm.cohort.spellings import WRITE_ALIKE, near_name
from mtm.errors import InputError, numbered
from mtm.settings.cohort import Columns

EXCLUDED_FROM_FREEZE = "EXCLUDE"
# Of samples that are too many, as many are named.
MOST_NAMED = 5


def check_source(
    cohort_tissues: Collection[str], source: str, where: str | Path = "source tissue"
) -> None:
    """Demand that `source` is a tissue of the cohort.

    Raises
    ------
    InputError
        It is none; the message names the nearest tissues.
    """
    if source in cohort_tissues:
        return
    by_folded = {_folded(tissue): tissue for tissue in sorted(cohort_tissues)}
    close = difflib.get_close_matches(_folded(source), by_folded, n=3, cutoff=0.5)
    near = ", ".join(repr(by_folded[name]) for name in close)
    raise InputError(
        where,
        f"{source!r}, which no sample left in the cohort comes from",
        f"one of its {len(cohort_tissues)} tissues, spelt as in the table of samples",
        f"Did you mean {near}?" if near else f"They are {', '.join(sorted(cohort_tissues))}.",
    )


def _folded(name: str) -> str:
    """Fold case and underscores, which tissue names are often misspelt by."""
    return name.lower().replace("_", " ")


def join_attributes(
    sample_ids: Sequence[str],
    attributes: pd.DataFrame,
    expression: str | Path,
    sample_attributes: str | Path,
    columns: Columns = Columns(),
) -> pd.DataFrame:
    """Look up the attributes of the samples of an expression file.

    Returns
    -------
    pd.DataFrame
        Rows of `attributes` in the order of `sample_ids`, with ``column``, the position of the
        sample in the expression file.

    Raises
    ------
    InputError
        A sample has no attributes, no tissue or no donor.
    """
    rows = attributes.index.get_indexer(pd.Index(sample_ids))
    if (rows < 0).any():
        name = sample_ids[int((rows < 0).argmax())]
        raise InputError(
            sample_attributes,
            f"no row for {(rows < 0).sum()} of {len(rows)} samples of {expression}, first {name}",
            f"attributes ({columns.sample_id}, {columns.tissue}) of every sample with expression",
            _why_no_row(name, attributes.index, (rows < 0).all()),
        )
    samples = attributes.iloc[rows].assign(column=np.arange(len(rows)))
    unnamed = "Where sample ids are not GTEx's, columns.donor names the column of donors."
    for column, bad, hint in (
        ("tissue", samples["tissue"].isna(), f"Fill the column {columns.tissue}."),
        ("donor", samples["donor"] == "", unnamed),
    ):
        if bad.any():
            where = f"{sample_attributes}, sample {samples.index[bad][0]}"
            raise InputError(where, f"no {column}", f"a {column} for every sample", hint)
    return samples


def _why_no_row(name: str, known: pd.Index, none_has: bool) -> str:
    """Say what to do about a sample of the expression file that has no row among those known."""
    if (near := near_name(name, known, within=none_has)) is not None:
        return f"It has {near} for {name}: {WRITE_ALIKE}."
    if none_has:
        return (
            f"Its samples are such as {known[0]}; samples of expression are columns "
            "of the file, genes its rows."
        )
    return f"If {name} is no sample, take its column out of the expression file."


def filtering_row(step: str, samples: pd.DataFrame, detail: str) -> dict[str, object]:
    """Make one row of the filtering table, genes left open."""
    return {
        "step": step,
        "n_samples": len(samples),
        "n_donors": samples["donor"].nunique(),
        "n_tissues": samples["tissue"].nunique(),
        "detail": detail,
    }


def filter_samples(
    samples: pd.DataFrame,
    *,
    min_samples_per_tissue: int = 50,
    min_samples_per_donor: int = 2,
    exclude_tissues: Collection[str] = (),
    where: str | Path = "sample attributes",
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Apply the sample filters, in the order that gives the published cohort (methods 1.1).

    Once each: samples outside the analysis freeze (where ``freeze`` is known), excluded tissues,
    tissues with few samples, then donors with few of the samples left.

    Parameters
    ----------
    samples
        One row a sample, indexed by sample id: ``donor``, ``tissue``, perhaps ``freeze``.

    Returns
    -------
    samples
        The rows left, sorted by (donor, tissue).
    counts
        One row a filter, as `build_cohort` writes them, without genes.

    Raises
    ------
    InputError
        `exclude_tissues` names an unknown tissue; nothing is left; a donor has two samples of one
        tissue.
    """
    counts = []
    if "freeze" in samples:
        samples = samples[samples["freeze"] != EXCLUDED_FROM_FREEZE]
        detail = f"SMAFRZE not {EXCLUDED_FROM_FREEZE}"
        counts.append(filtering_row("analysis freeze", samples, detail))
    for tissue in exclude_tissues:
        check_source(set(samples["tissue"]), tissue, "filters.exclude_tissues")
    samples = samples[~samples["tissue"].isin(list(exclude_tissues))]
    detail = f"excluded: {'; '.join(exclude_tissues) or 'none'}"
    counts.append(filtering_row("excluded tissues", samples, detail))
    per_tissue = samples.groupby("tissue")["tissue"].transform("size")
    dropped = sorted(set(samples.loc[per_tissue < min_samples_per_tissue, "tissue"]))
    samples = samples[per_tissue >= min_samples_per_tissue]
    detail = f"at least {min_samples_per_tissue}; dropped: {'; '.join(dropped) or 'none'}"
    counts.append(filtering_row("samples per tissue", samples, detail))
    per_donor = samples.groupby("donor")["donor"].transform("size")
    samples = samples[per_donor >= min_samples_per_donor]
    counts.append(filtering_row("samples per donor", samples, f"at least {min_samples_per_donor}"))
    samples = samples.sort_values(["donor", "tissue"], kind="stable")
    if samples.empty:
        raise InputError(
            where,
            "no sample that passes every filter",
            f"tissues of at least {min_samples_per_tissue} samples and donors of at least "
            f"{min_samples_per_donor}",
            "Lower min_samples_per_tissue or min_samples_per_donor.",
        )
    _demand_one_a_tissue(samples, where)
    return samples, counts


def _demand_one_a_tissue(samples: pd.DataFrame, where: str | Path) -> None:
    """Refuse two samples of one donor and tissue."""
    pair = ["donor", "tissue"]
    twice = samples.duplicated(pair)
    if twice.any():
        row = samples[twice].iloc[0]
        same = samples.index[(samples[pair] == row[pair]).all(axis=1)]
        n_further = len(samples[twice].drop_duplicates(pair)) - 1
        more = f" (and {numbered(n_further, 'further pair')} of donor and tissue)"
        raise InputError(
            f"{where}, donor {row['donor']}, tissue {row['tissue']}",
            f"duplicate donor-tissue: samples {' and '.join(same[:MOST_NAMED])}"
            + ", ..." * (len(same) > MOST_NAMED)
            + more * (n_further > 0),
            "one sample of a donor and tissue",
            "Leave all but one of them out of the expression file; if they are not repeats, name "
            "the columns that tell them apart (columns.donor, columns.tissue).",
        )


class GeneFilter:
    """Which genes of an expression file a cohort keeps, and how many each step leaves.

    Genes are matched by `mtm.cohort.genes.gene_key`: unversioned id and PAR_Y mark (methods 1.1).

    Parameters
    ----------
    gene_model
        GTF with biotypes; None filters by none.
    gene_biotypes
        Biotypes to keep; empty or None keeps all.
    gene_list
        File of gene ids to keep; None filters by none.

    Raises
    ------
    InputError
        A file cannot be used, or the gene model has no gene of one of `gene_biotypes`.

    Attributes
    ----------
    seen
        Genes that `keep` was asked about, in order.
    known
        Genes of the gene model; None where it was not read.
    """

    def __init__(
        self,
        gene_model: str | Path | None,
        gene_biotypes: Collection[str] | None,
        gene_list: str | Path | None,
    ):
        self.steps: list[tuple[str, str | Path, set[GeneKey], str]] = []
        self.seen: list[GeneKey] = []
        self.known: set[GeneKey] | None = None
        if gene_model is not None and gene_biotypes:
            model = read_gtf_genes(gene_model, biotypes=True)
            for biotype in gene_biotypes:
                if biotype not in set(model["biotype"]):
                    known = ", ".join(sorted(set(model["biotype"])))
                    raise InputError(
                        gene_model, f"no gene of biotype {biotype!r}", f"one of {known}"
                    )
            self.known = set(map(gene_key, model.index))
            keys = set(map(gene_key, model.index[model["biotype"].isin(list(gene_biotypes))]))
            self.steps.append(("gene biotypes", gene_model, keys, "; ".join(gene_biotypes)))
        if gene_list is not None:
            keys = set(map(gene_key, read_gene_list(gene_list)))
            self.steps.append(("gene list", gene_list, keys, f"{len(keys)} listed"))

    def demand(self, step: str, path: str | Path, keys: set[GeneKey], detail: str) -> None:
        """Add a step that keeps genes of `path` alone."""
        self.steps.append((step, path, keys, detail))

    def keep(self, gene_id: str) -> bool:
        """Take note of a gene of the expression file; say whether every step keeps it."""
        key = gene_key(gene_id)
        self.seen.append(key)
        return all(key in keys for _, _, keys, _ in self.steps)

    def counts(self) -> list[tuple[str, int, str]]:
        """Step, genes left and detail of every step, after the whole file was seen.

        Raises
        ------
        InputError
            No gene is left after some step.
        """
        left = set(self.seen)
        result = []
        for step, path, keys, detail in self.steps:
            absent = len(keys.difference(self.seen))
            left &= keys
            if not left:
                raise InputError(
                    path,
                    f"no gene in common with the {len(self.seen)} of the expression file"
                    if absent == len(keys)
                    else "no gene that the steps before leave",
                    "Ensembl gene ids of the same organism",
                    f"For example {next(iter(sorted(keys))).stable_id} here and "
                    f"{self.seen[0].stable_id} there."
                    if self.seen
                    else "",
                )
            result.append((step, len(left), f"{detail}; {absent} of these not in the expression"))
        return result
