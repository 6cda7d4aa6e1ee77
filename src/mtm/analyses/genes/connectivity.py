"""Connectivity of genes: number of partners in a protein network (He et al. 2023; methods 3).

The network is HIPPIE's (https://cbdm-01.zdv.uni-mainz.de/~mschaefer/hippie/), in either of its
download formats, or any table of two columns that name partners. Partners are brought to genes by
Entrez id, else UniProt accession, else symbol. Proteins of one gene are one partner. Interactions
count once, whichever way round and however often they stand, and those of a gene with itself do
not count. A gene that is not in the network has no known degree, rather than 0.
"""

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.genes.matching import gene_values
from mtm.cohort.genes import gene_key
from mtm.cohort.lines import demand_whole_rows
from mtm.errors import InputError
from mtm.io import read_tsv

log = logging.getLogger(__name__)

IDENTIFIER_COLUMNS = ("symbol", "ensembl_gene_id", "entrez_id", "uniprot_ids")
KINDS = ("ensembl", "entrez", "uniprot", "symbol")
KIND_NAMES = {
    "ensembl": "Ensembl id",
    "entrez": "Entrez id",
    "uniprot": "UniProt accession",
    "symbol": "symbol, or UniProt entry name read as one",
}
MITAB_COLUMNS = 15
HIPPIE_COLUMNS = (5, 6)
EXPECTED = (
    "HIPPIE's tab format (UniProt entry, Entrez id, UniProt entry, Entrez id, score, comments; no "
    "header), MITAB 2.5 (15 columns or more), or two named columns of partners and perhaps `score`"
)
SCORE = "score"
_ACCESSION = r"(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})"
_ENTRY_SUFFIX = r"_HUMAN$"


def read_interactions(path: str | Path) -> pd.DataFrame:
    """Read a protein network; the format is told by the first line.

    Returns
    -------
    pd.DataFrame
        Columns (side, kind), sides 0 and 1, kinds "entrez" (Entrez id), "name" (UniProt entry name
        or accession, symbol, Ensembl id) and "symbol", as text, missing where not known; then
        ``score`` (confidence from 0 to 1, NaN where the file has none).

    Raises
    ------
    InputError
        The file is missing, of another format, or has no interaction; a score is no number.
    """
    path = Path(path)
    options = {"dtype": str, "quoting": csv.QUOTE_NONE}
    demand_whole_rows(path, header=False)
    head = read_tsv(path, header=None, nrows=1, **options)
    first, n_columns = head.iloc[0].fillna("").tolist(), head.shape[1]
    if n_columns >= MITAB_COLUMNS:
        return _read_mitab(path, first, options)
    if n_columns in HIPPIE_COLUMNS:
        table = read_tsv(path, header=None, usecols=range(5), **options)
        return _hippie(path, table)
    named = [name for name in first if name != SCORE]
    if len(named) != 2 or any(name == "" or _is_number(name) for name in named):
        raise InputError(f"{path}, line 1", repr("\t".join(first)[:80]), EXPECTED)
    table = read_tsv(path, **options)
    _demand_rows(path, table)
    sides = {(side, "name"): table[name] for side, name in enumerate(named)}
    scores = table.get(SCORE, pd.Series(np.nan, table.index, dtype=object))
    return _interactions(path, sides, scores)


def _is_number(text: str) -> bool:
    """Whether a text is a number."""
    return bool(np.isfinite(pd.to_numeric(pd.Series([text]), errors="coerce"))[0])


def _demand_rows(path: Path, table: pd.DataFrame) -> None:
    """Raise unless there is an interaction."""
    if table.empty:
        raise InputError(path, "no interaction", "at least one")


def _known(fields: pd.Series) -> pd.Series:
    """Text fields with "-" taken for missing."""
    return fields.mask(fields == "-")


def _hippie(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Bring HIPPIE's tab format to the columns of `read_interactions`."""
    table = table.apply(_known)
    for column in (1, 3):
        wrong = ~table[column].fillna("0").str.fullmatch(r"\d+")
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"{path}, line {row + 1}, column {column + 1}",
                repr(table[column].iloc[row]),
                f"an Entrez id, as in {EXPECTED}",
            )
    sides = {
        (side, kind): table[2 * side + place]
        for side in (0, 1)
        for place, kind in enumerate(("name", "entrez"))
    }
    return _interactions(path, sides, table[4])


def _read_mitab(path: Path, first: list[str], options: dict) -> pd.DataFrame:
    """Read MITAB 2.5, with HIPPIE's columns of gene names where it has them."""
    header = not any(":" in field for field in first[:4])
    names = [name.lstrip("#") for name in first] if header else []
    symbols = [f"Gene Name Interactor {side}" for side in "AB"]
    columns = [0, 1, 2, 3, MITAB_COLUMNS - 1]
    columns += [names.index(name) for name in symbols if name in names]
    table = read_tsv(path, header=None, skiprows=int(header), usecols=columns, **options)
    _demand_rows(path, table)
    sides = {}
    for side in (0, 1):
        ids = table[side].fillna("") + "|" + table[side + 2].fillna("")
        sides[side, "entrez"] = ids.str.extract(r"entrez gene(?:/locuslink)?:(\d+)")[0]
        sides[side, "name"] = ids.str.extract(r"uniprotkb:([^|()]+)")[0]
        if len(columns) == 7:
            sides[side, "symbol"] = _known(table[columns[5 + side]])
    nameless = pd.concat([sides[0, "entrez"], sides[0, "name"]], axis=1).isna().all(axis=1)
    if nameless.all():
        raise InputError(
            f"{path}, line {1 + int(header)}",
            repr(table[0].iloc[0]),
            "ids as `entrez gene:7529` or `uniprotkb:1433B_HUMAN` in the first four columns",
        )
    return _interactions(path, sides, _known(table[MITAB_COLUMNS - 1]))


def _interactions(path: Path, sides: dict, scores: pd.Series) -> pd.DataFrame:
    """Put the columns of `read_interactions` together."""
    score = pd.to_numeric(scores.str.replace(r"^.*:", "", regex=True)
                          if scores.notna().any() else scores, errors="coerce")  # fmt: skip
    wrong = score.isna() & scores.notna()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path}, score of interaction {row + 1}",
            repr(scores.iloc[row]),
            f"a number, as in {EXPECTED}",
        )
    empty = pd.Series(np.nan, scores.index, dtype=object)
    columns = {
        (side, kind): sides.get((side, kind), empty)
        for side in (0, 1)
        for kind in ("entrez", "name", "symbol")
    }
    table = pd.DataFrame(columns)
    table["score"] = score.astype(float)
    return table


def read_gene_identifiers(path: str | Path) -> pd.DataFrame:
    """Read HGNC's complete set, or a table with its columns `IDENTIFIER_COLUMNS`, as text.

    Rows without an Ensembl id are left out.
    """
    demand_whole_rows(path)
    table = read_tsv(
        path, IDENTIFIER_COLUMNS, dtype=str, quoting=csv.QUOTE_NONE, usecols=IDENTIFIER_COLUMNS
    )
    return table[table["ensembl_gene_id"].notna()].reset_index(drop=True)


def _unique_map(ids: pd.Series, genes: pd.Series) -> pd.Series:
    """Gene of each id; ids of several genes are left out."""
    pairs = pd.DataFrame({"id": ids, "gene": genes}).dropna().drop_duplicates()
    pairs = pairs[~pairs["id"].duplicated(keep=False)]
    return pairs.set_index("id")["gene"]


def identifier_maps(
    symbols: pd.Series, identifiers: pd.DataFrame | None = None
) -> dict[str, pd.Series]:
    """Make the maps from ids to stable Ensembl ids.

    Parameters
    ----------
    symbols
        Symbol of each gene of the cohort, indexed by gene id. They go before those of
        `identifiers`.
    identifiers
        From `read_gene_identifiers`.

    Returns
    -------
    dict
        For each of `KINDS`, stable gene id by id. An id that several genes share is in no map.
    """
    stable = pd.Series([gene_key(gene_id).stable_id for gene_id in symbols.index])
    own = _unique_map(symbols.reset_index(drop=True), stable)
    maps = {kind: pd.Series(dtype=object) for kind in KINDS}
    known = stable
    if identifiers is not None:
        gene = identifiers["ensembl_gene_id"]
        known = pd.concat([stable, gene])
        accessions = identifiers["uniprot_ids"].str.strip('"').str.split("|").explode()
        maps["entrez"] = _unique_map(identifiers["entrez_id"], gene)
        maps["uniprot"] = _unique_map(accessions, gene.reindex(accessions.index))
        further = _unique_map(identifiers["symbol"], gene)
        own = pd.concat([own, further[~further.index.isin(symbols)]])
    known = pd.Series(pd.unique(known))
    maps["ensembl"] = known.set_axis(known)
    maps["symbol"] = own
    return maps


def place_partners(partners: pd.DataFrame, maps: dict[str, pd.Series]) -> pd.DataFrame:
    """Find the gene of each partner.

    Parameters
    ----------
    partners
        ``entrez``, ``name``, ``symbol``; one row a distinct combination.
    maps
        From `identifier_maps`.

    Returns
    -------
    pd.DataFrame
        ``gene`` (stable id, missing where unknown) and ``kind`` (how it was found), index of
        `partners`.
    """
    name = partners["name"].astype(object)
    text = name.fillna("")
    tries = [
        ("ensembl", text.str.replace(r"\.\d+$", "", regex=True)),
        ("entrez", partners["entrez"]),
        ("entrez", name.where(text.str.fullmatch(r"\d+"))),
        ("uniprot", name.where(text.str.fullmatch(_ACCESSION))),
        ("symbol", partners["symbol"]),
        ("symbol", text.str.replace(_ENTRY_SUFFIX, "", regex=True)),
    ]
    placed = pd.DataFrame({"gene": None, "kind": None}, index=partners.index, dtype=object)
    for kind, ids in tries:
        gene = ids.astype(object).map(maps[kind])
        new = placed["gene"].isna() & gene.notna()
        placed.loc[new, "gene"], placed.loc[new, "kind"] = gene[new], kind
    return placed


def _nodes(
    interactions: pd.DataFrame, maps: dict[str, pd.Series]
) -> tuple[np.ndarray, pd.DataFrame]:
    """Give partners numbers, ``(n_interactions, 2)``, and each its ``gene`` and ``kind``."""
    kinds = ["entrez", "name", "symbol"]
    stacked = pd.concat([interactions[side][kinds] for side in (0, 1)], ignore_index=True)
    # What tells partners apart before they are placed: proteins of one Entrez gene are one.
    identity = ("entrez " + stacked["entrez"]).fillna(stacked["name"]).fillna(stacked["symbol"])
    code, names = pd.factorize(identity)
    distinct = stacked.assign(code=code)[code >= 0].drop_duplicates()
    placed = place_partners(distinct, maps)
    rank = placed["kind"].map({kind: place for place, kind in enumerate(KINDS)})
    placed = placed.assign(code=distinct["code"], rank=rank).dropna(subset="gene")
    placed = placed.sort_values(["code", "rank"], kind="stable")
    best = placed["rank"] == placed.groupby("code")["rank"].transform("min")
    placed = placed[best].drop_duplicates(["code", "gene"])
    # Names of one Entrez gene that point to several genes decide nothing.
    placed = placed[~placed["code"].duplicated(keep=False)].set_index("code")
    described = placed[["gene", "kind"]].reindex(np.arange(len(names)))
    final = described["gene"].fillna("? " + pd.Series(names))
    number, genes = pd.factorize(final)
    nodes = pd.DataFrame(
        {"gene": described["gene"].to_numpy(), "kind": described["kind"].to_numpy()}
    )
    nodes = nodes.groupby(number).first()
    numbers = np.where(code >= 0, number[code], -1).reshape(2, -1).T
    return numbers, nodes


@dataclass(frozen=True)
class _Network:
    """Partners and the distinct interactions between them.

    `nodes` are partners by number, each with `degree`; the counts are of interactions: with two
    named partners, of a partner with itself, and distinct.
    """

    nodes: pd.DataFrame
    degree: np.ndarray
    n_named: int
    n_self: int
    n_edges: int

    @classmethod
    def of(cls, interactions: pd.DataFrame, maps: dict[str, pd.Series]) -> "_Network":
        """Count every pair of partners once, whichever way round it stands."""
        numbers, nodes = _nodes(interactions, maps)
        named = np.sort(numbers[(numbers >= 0).all(1)], axis=1)
        apart = named[named[:, 0] != named[:, 1]].astype(np.int64)
        edges = np.unique(apart[:, 0] * max(len(nodes), 1) + apart[:, 1])
        ends = np.concatenate(np.divmod(edges, max(len(nodes), 1)))
        degree = np.bincount(ends, minlength=len(nodes))
        return cls(nodes, degree, len(named), len(named) - len(apart), len(edges))

    @property
    def placed(self) -> np.ndarray:
        """Whether the gene of each partner is known."""
        return self.nodes["gene"].notna().to_numpy()

    def counts(self) -> list[tuple[str, int, str]]:
        """Count what became of interactions with named partners, and of partners."""
        n_repeated = self.n_named - self.n_self - self.n_edges
        by_kind = self.nodes["kind"].value_counts()
        return [
            ("interactions of a gene with itself", self.n_self, "left out"),
            ("interactions repeated or reversed", n_repeated, "counted once"),
            ("interactions counted", self.n_edges, ""),
            ("partners", len(self.nodes), "genes, or proteins of no known gene"),
            *(
                (f"partners placed by {KIND_NAMES[kind]}", int(by_kind[kind]), "")
                for kind in KINDS
                if kind in by_kind
            ),
            ("partners of no known gene", int((~self.placed).sum()), "counted as partners"),
        ]


def _confident(interactions: pd.DataFrame, min_score: float, where: str | Path) -> pd.DataFrame:
    """Interactions with a score that is high enough; without one, where none is asked for."""
    score = interactions["score"].to_numpy(float)
    if min_score > 0 and not np.isfinite(score).any():
        raise InputError(
            where,
            "interactions without scores",
            f"scores, since gene_characteristics.interaction_score is {min_score}",
        )
    return interactions[(score >= min_score) | (np.isnan(score) & (min_score <= 0))]


def measure_connectivity(
    interactions: pd.DataFrame,
    symbols: pd.Series,
    identifiers: pd.DataFrame | None = None,
    min_score: float = 0.0,
    where: str | Path = "interactions",
) -> tuple[pd.DataFrame, list[tuple[str, int, str]]]:
    """Count the distinct partners of each gene.

    Partners that are no gene of the cohort, or of no gene at all, count as partners too.

    Parameters
    ----------
    interactions
        From `read_interactions`.
    symbols
        Symbol of each gene of the cohort, indexed by gene id.
    identifiers
        From `read_gene_identifiers`; without it, Entrez ids and UniProt accessions lead to no
        gene, and UniProt entry names are read as symbols, which half of them are.
    min_score
        Interactions of a lower confidence score are left out, and above 0 those without score.
    where
        File to name in messages.

    Returns
    -------
    pd.DataFrame
        As `mtm.analyses.genes.matching.gene_values`; a gene of the network whose
        interactions are all with itself has 0.
    list of tuple
        Step, number and meaning: what became of interactions and partners, for
        `mtm.analyses.genes.matching.matching_table`.

    Raises
    ------
    InputError
        A score is asked of a file without any, or no partner is a gene of the cohort.
    """
    kept = _confident(interactions, min_score, where)
    network = _Network.of(kept, identifier_maps(symbols, identifiers))
    degree = pd.Series(network.degree, network.nodes["gene"])[network.placed]
    genes = gene_values(symbols.index, degree.to_dict(), "not in the network")
    if not genes["value"].notna().any():
        n = len(network.nodes)
        raise InputError(
            where,
            f"{n} partners, none of them one of the {len(genes)} genes of the cohort",
            "partners that Entrez id, UniProt accession or symbol lead to the cohort's genes",
            "Set inputs.gene_identifiers to HGNC's complete set.",
        )
    return genes, [
        ("interactions read", len(interactions), ""),
        ("interactions left out by score", len(interactions) - len(kept), f"below {min_score:g}"),
        ("interactions without a partner's name", len(kept) - network.n_named, ""),
        *network.counts(),
    ]
