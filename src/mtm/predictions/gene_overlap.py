"""Genes of new data matched to a model's, and those of a model that are told."""

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.blocks import SYMBOL_COLUMNS, samples_as_rows
from mtm.cohort.delimited import comma_fields, is_csv, tab_fields
from mtm.cohort.genes import GeneKey, gene_key
from mtm.cohort.lines import text_lines
from mtm.errors import InputError, numbered, shown
from mtm.models.certificate import Certificate
from mtm.vocabulary import MIN_OVERLAP, RELIABILITY

# What becomes of genes that data lack.
MISSING_GENES = (
    "Models that can do so leave missing genes out; others are told the source tissue's "
    "training mean."
)
# What stands before the digits of an Ensembl id.
ENSEMBL_SPECIES = r"^(ENS[A-Z]*G)\d{11}"
# First line of a file of genes that is no gene.
NAMES_OF_GENES = ("gene", "gene_id", "ensembl_gene_id", "name", *SYMBOL_COLUMNS)


def unversioned(gene_ids: Iterable[str]) -> pd.Index:
    """Drop the version of Ensembl ids; the ``_PAR_Y`` mark stays (ENSG00000002586_PAR_Y)."""
    keys = map(gene_key, gene_ids)
    return pd.Index([f"{stable_id}{'_PAR_Y' * par_y}" for stable_id, par_y in keys], dtype=object)


@dataclass(frozen=True)
class GeneOverlap:
    """How the genes of new data meet a model's.

    Parameters
    ----------
    n_model, n_data
        Genes of the model, and of the data.
    n_exact
        Model genes found under their versioned id.
    n_unversioned
        Further model genes found when versions are ignored.
    """

    n_model: int
    n_data: int
    n_exact: int
    n_unversioned: int

    @property
    def n_found(self) -> int:
        """Model genes found in the data."""
        return self.n_exact + self.n_unversioned

    @property
    def fraction(self) -> float:
        """Share of the model's genes found in the data, 0 to 1."""
        return self.n_found / self.n_model

    def __str__(self) -> str:
        unused = self.n_data - self.n_found
        of_data = f"{numbered(unused, 'gene')} of the data {'is' if unused == 1 else 'are'}"
        return (
            f"{self.n_found} of the model's {numbered(self.n_model, 'gene')} found "
            f"({self.fraction:.1%}): {self.n_exact} by versioned id, {self.n_unversioned} with "
            f"versions ignored; {of_data} not used"
        )


def match_genes(
    model_genes: pd.DataFrame,
    gene_ids: Sequence[str],
    min_overlap: float = MIN_OVERLAP,
    where: object = "expression",
) -> tuple[np.ndarray, GeneOverlap]:
    """Find the model's genes in new data, by versioned id and then with versions ignored.

    Parameters
    ----------
    model_genes
        `Predictor.genes`.
    gene_ids
        Gene ids of the data.
    min_overlap
        Smallest share of the model's genes that must be found, 0 to 1.
    where
        File named in errors.

    Returns
    -------
    np.ndarray
        Column of the data for each gene of the model, -1 where it has none, int64.
    GeneOverlap
        The counts.

    Raises
    ------
    InputError
        A gene stands twice, or fewer than `min_overlap` of the model's genes are found.
    """
    wanted, given = model_genes.index.astype(str), pd.Index(gene_ids).astype(str)
    _refuse_repeats(given, given, where)
    columns = given.get_indexer(wanted)
    exact = int((columns >= 0).sum())
    plain_wanted, plain_given = unversioned(wanted), unversioned(given)
    open_genes = columns < 0
    candidates = plain_given.isin(plain_wanted[open_genes])
    _refuse_repeats(plain_given[candidates], given[candidates], where)
    positions = np.flatnonzero(candidates)
    found = plain_given[candidates].get_indexer(plain_wanted[open_genes])
    columns[open_genes] = np.where(found >= 0, np.append(positions, -1)[found], -1)
    overlap = GeneOverlap(len(wanted), len(given), exact, int((columns >= 0).sum()) - exact)
    if overlap.n_found == 0 or overlap.fraction < min_overlap:
        _refuse_overlap(model_genes, given, overlap, min_overlap, where)
    return columns.astype(np.int64), overlap


def refuse_genes_as_samples(
    model_genes: pd.DataFrame, sample_ids: Sequence[str], where: object
) -> None:
    """Refuse samples most of which are called like genes of the model.

    Parameters
    ----------
    model_genes
        Indexed by gene id, with ``symbol``.
    sample_ids
        As they stand in the file.
    where
        File named in the error.

    Raises
    ------
    InputError
        Samples are rows of the file, or its layout is another one.
    """
    known = {*unversioned(model_genes.index.astype(str)), *model_genes["symbol"].astype(str)}
    genes = [name for name in sample_ids if name in known]
    if 2 * len(genes) > len(sample_ids):
        raise samples_as_rows(where, f"gene symbols ({genes[0]})")


def _refuse_repeats(keys: pd.Index, given: pd.Index, where: object) -> None:
    """Raise if a gene stands twice."""
    repeated = keys.duplicated(keep=False)
    if repeated.any():
        names = given[keys == keys[repeated][0]]
        raise InputError(
            where,
            f"gene {names[0]} {len(names)} times ({', '.join(names.unique()[:3])})",
            "every gene once",
            "Sum or drop the repeated rows.",
        )


def _of_another_kind(of_model: pd.Index, given: pd.Index) -> str:
    """Say what to do about genes none of which is named as the model's are."""
    species = [set(names.str.extract(ENSEMBL_SPECIES)[0].dropna()) for names in (of_model, given)]
    if all(len(prefixes) == 1 for prefixes in species) and species[0] != species[1]:
        ours, theirs = (prefixes.pop() for prefixes in species)
        return f"They are of another species ({theirs}, not {ours}): a model tells its own alone."
    n_alike = int(given.str.casefold().isin(of_model.str.casefold()).sum())
    if n_alike:
        differ = "differs" if n_alike == 1 else "differ"
        return (
            f"{n_alike} of them {differ} from the model's in capitals alone: write them as it "
            "does if they are of its species (mice have Actb for ACTB)."
        )
    names = "names of the kind that the model was trained on"
    if species[0]:
        names = "Ensembl gene ids (ENSG...) as gene names, with or without version"
    return f"Use {names}; check that genes are not where samples should be."


def _refuse_overlap(
    model_genes: pd.DataFrame,
    given: pd.Index,
    overlap: GeneOverlap,
    min_overlap: float,
    where: object,
) -> None:
    """Raise the error about too few common genes, with a guess at the reason."""
    n_symbols = int(given.isin(model_genes["symbol"].astype(str)).sum())
    examples = ", ".join(given[:3])
    if n_symbols > overlap.n_found:
        hint = (
            f"{n_symbols} of the data's names are gene symbols of the model; "
            "use Ensembl gene ids (ENSG...), with or without version. The bundle has the id of "
            "each symbol: mtm.load(BUNDLE).genes in Python."
        )
    elif overlap.n_found == 0:
        hint = _of_another_kind(model_genes.index.astype(str), given)
    else:
        hint = (
            f"{MISSING_GENES} Accept that with a smaller minimum overlap "
            f"(--min-overlap, now {min_overlap:g})."
        )
    if overlap.n_found == 0:
        found = (
            f"no gene of the model among {numbered(overlap.n_data, 'gene')} named like {examples}"
        )
    else:
        found = (
            f"{overlap.n_found} of the model's {overlap.n_model} genes ({overlap.fraction:.1%}) "
            f"among {numbered(overlap.n_data, 'gene')} named like {examples}"
        )
    raise InputError(
        where,
        found,
        f"at least {min_overlap:.0%} of genes named like {', '.join(model_genes.index[:3])}",
        hint,
    )


@dataclass(frozen=True)
class GeneChoice:
    """Genes of a model that are told.

    Parameters
    ----------
    columns
        Positions of those told in any tissue, int64, in the model's order.
    shown
        Which are told in each tissue, ``(n_tissues, n_model_genes)``; None for `columns` in all.
    """

    columns: np.ndarray
    shown: np.ndarray | None = None

    @classmethod
    def every(cls, n_genes: int) -> "GeneChoice":
        """Tell all genes."""
        return cls(np.arange(n_genes))

    def least(self, certificate: Certificate | None, least: str) -> "GeneChoice":
        """Tell of these the ones that are as reliable in a tissue, by what the bundle knows.

        Parameters
        ----------
        certificate
            Of the bundle.
        least
            The least class, one of `RELIABILITY`, or the least correlation to expect.

        Raises
        ------
        InputError
            There is no certificate, or no gene as reliable in any tissue.
        """
        if certificate is None:
            raise InputError(
                "--min-reliability", "a bundle that knows nothing of it", "a certified bundle"
            )
        if least in RELIABILITY:
            reliable = certificate.reliability >= RELIABILITY.index(least)
            reliable &= ~np.isnan(certificate.expected_rho)
        else:
            reliable = np.nan_to_num(certificate.expected_rho, nan=-2) >= _correlation(least)
        columns = self.columns[reliable[:, self.columns].any(0)]
        if not len(columns):
            most = np.nanmax(certificate.expected_rho[:, self.columns])
            raise InputError(
                "--min-reliability", least, f"what some gene reaches, at most {most:.2f} expected"
            )
        return GeneChoice(columns, reliable)


def _correlation(text: str) -> float:
    """Return a number."""
    try:
        return float(text)
    except ValueError:
        expected = f"one of {', '.join(RELIABILITY)}, or a correlation"
        raise InputError("--min-reliability", shown(text), expected) from None


@dataclass(frozen=True)
class NamedGenes:
    """Genes found by their names.

    Parameters
    ----------
    columns
        Positions among the model's, int64, in its order.
    ambiguous
        Symbols of several genes, with the ids of all, which are all taken.
    unknown
        Names of none.
    """

    columns: np.ndarray
    ambiguous: dict[str, list[str]]
    unknown: list[str]


def find_genes(
    model_genes: pd.DataFrame, names: Sequence[str], where: object = "--genes"
) -> NamedGenes:
    """Find genes by id or symbol; versions do not matter, nor does case but in an id as it stands.

    Raises
    ------
    InputError
        None of the names is one.
    """
    keys = [gene_key(str(gene).upper()) for gene in model_genes.index]
    # Ids of other species may differ in case alone (dl and Dl of flies).
    as_is = {gene: [place] for place, gene in enumerate(model_genes.index.astype(str))}
    by_id: dict[GeneKey, list[int]] = {}
    for place, key in enumerate(keys):
        by_id.setdefault(key, []).append(place)
    by_symbol: dict[str, list[int]] = {}
    for place, symbol in enumerate(model_genes["symbol"].astype(str)):
        by_symbol.setdefault(symbol.upper(), []).append(place)
    found, ambiguous, unknown = [], {}, []
    for name in dict.fromkeys(names):
        same = as_is.get(name) or by_id.get(gene_key(name.upper()))
        places = same or by_symbol.get(name.upper(), [])
        found += places
        if not places:
            unknown.append(name)
        elif len(places) > 1:
            ambiguous[name] = list(model_genes.index[places])
    if not found:
        raise InputError(
            where,
            f"no gene of the model ({', '.join(map(shown, unknown[:5]))})",
            f"symbols or ids as {', '.join(map(shown, [*by_symbol][:2]))}, "
            f"{model_genes.index[0]}, or a file of them",
        )
    return NamedGenes(np.unique(found).astype(np.int64), ambiguous, unknown)


def gene_names(given: str) -> list[str]:
    """Return names of genes: of a file, one a line, or as they stand, with commas between them.

    A file may be a table, whose fields are parted as in any: names stand in the first column that
    is called so, else in the first.
    """
    # Many names are longer than a file's name may be.
    if not os.path.isfile(given):
        return [name for name in (part.strip() for part in given.split(",")) if name]
    split = comma_fields if is_csv(given) else tab_fields
    with closing(text_lines(Path(given))) as lines:
        rows = [
            [field.strip() for field in split(line.removeprefix("\ufeff"))]
            for line in lines
            if line.strip() and not line.startswith("#")
        ]
    header = [name.lower().replace(" ", "_") for name in rows[0]] if rows else []
    column = next((place for place in range(len(header)) if _heads(header, rows, place)), None)
    names = [row[column or 0] for row in rows[column is not None :] if len(row) > (column or 0)]
    return [name for name in names if name]


def _heads(header: list[str], rows: list[list[str]], column: int) -> bool:
    """Whether the first of the rows names a column of genes; a first gene has a row as others."""
    name = header[column]
    if column == 0:
        return name in (*NAMES_OF_GENES, "id")
    below = [row[column].lower() for row in rows[1:] if len(row) > column]
    is_prose = name == "description"
    return name in NAMES_OF_GENES and not is_prose and bool(below) and name not in below
