"""Genes of a cohort under other names: Entrez ids, symbols of today and of earlier years."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.blocks import is_date
from mtm.cohort.genes import gene_key
from mtm.cohort.lines import demand_whole_rows
from mtm.errors import InputError
from mtm.io import demand_gzip, read_tsv

HGNC_COLUMNS = ("symbol", "ensembl_gene_id", "entrez_id")
NCBI_COLUMNS = ("GeneID", "Symbol", "EnsemblGeneID")
# Kinds of name in a file, and what a name was found as.
KINDS = ENSEMBL, ENTREZ, SYMBOL = ("Ensembl id", "Entrez id", "symbol")
PREVIOUS, OF_ENTREZ = "previous symbol", "symbol of an Entrez id"
NAMES = ["kind", "name", "gene", "source"]
PLACES = ["step", "n", "detail"]
# Several times what NCBI's table takes.
MOST_BYTES = 1 << 28
# Of a list in a table, as many are named.
MOST_NAMED = 20
_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?(_PAR_Y)?")
_SEVERAL = re.compile(r"[|;,]\s*")


def gene_names(hgnc: str | Path, ncbi: str | Path | None = None) -> pd.DataFrame:
    """Join what HGNC and, where it can be had, NCBI say of names of genes.

    Parameters
    ----------
    hgnc
        HGNC's complete set, or a table with its columns `HGNC_COLUMNS` and perhaps
        ``prev_symbol``.
    ncbi
        NCBI's table of the genes of its matrices.

    Returns
    -------
    pd.DataFrame
        `NAMES`: one row a name and gene (Ensembl id without version; of the kind `OF_ENTREZ` a
        symbol). Of an Entrez id that NCBI places, HGNC is not asked.
    """
    demand_whole_rows(hgnc)
    table = read_tsv(hgnc, HGNC_COLUMNS, dtype=str, quoting=csv.QUOTE_NONE)
    if "prev_symbol" not in table:
        table = table.assign(prev_symbol=None)
    gene, symbols = (
        table["ensembl_gene_id"],
        table["symbol"].str.cat(table["prev_symbol"], sep="|", na_rep=""),
    )
    parts = [
        _named(ENTREZ, table["entrez_id"], gene, "HGNC"),
        _named(SYMBOL, table["symbol"], gene, "HGNC"),
        _named(PREVIOUS, table["prev_symbol"], gene, "HGNC"),
        _named(OF_ENTREZ, table["entrez_id"], symbols, "HGNC"),
    ]
    if ncbi is not None:
        theirs = read_tsv(ncbi, NCBI_COLUMNS, dtype=str, quoting=csv.QUOTE_NONE)
        entrez = _named(ENTREZ, theirs["GeneID"], theirs["EnsemblGeneID"], "NCBI")
        parts[0] = parts[0][~parts[0]["name"].isin(entrez["name"])]
        parts = [entrez, *parts, _named(OF_ENTREZ, theirs["GeneID"], theirs["Symbol"], "NCBI")]
    return pd.concat(parts, ignore_index=True).drop_duplicates(["kind", "name", "gene"])


def read_ncbi_table(path: str | Path) -> Path:
    """Return the path of NCBI's gene table, if it is one.

    Raises
    ------
    InputError
        It is something else, a web page in most cases.
    """
    expected = "NCBI's gene table (Human.GRCh38.p13.annot.tsv.gz)"
    demand_gzip(path, expected)
    demand_whole_rows(path, most_bytes=MOST_BYTES)
    read_tsv(path, NCBI_COLUMNS, dtype=str, quoting=csv.QUOTE_NONE, nrows=1)
    return Path(path)


def _named(kind: str, names: pd.Series, genes: pd.Series, source: str) -> pd.DataFrame:
    """Rows of one kind of name; several names, or genes, of a row are taken apart."""
    table = pd.DataFrame({"kind": kind, "name": names, "gene": genes, "source": source}).dropna()
    for column in ("name", "gene"):
        table[column] = table[column].map(_SEVERAL.split)
        table = table.explode(column)
        table[column] = table[column].str.strip(' "')
    table = table[(table["name"] != "") & (table["gene"] != "")]
    if kind == OF_ENTREZ:
        return table
    table["gene"] = table["gene"].str.split(".").str[0]
    return table[table["gene"].str.fullmatch(_ENSEMBL)]


def kind_of(names: Sequence[str]) -> str:
    """Say what the names of a file's rows are, one of `KINDS`; most of them decide."""
    n = max(len(names), 1)
    if sum(_ENSEMBL.fullmatch(name) is not None for name in names) > n / 2:
        return ENSEMBL
    return ENTREZ if sum(name.isdecimal() for name in names) > n / 2 else SYMBOL


@dataclass(frozen=True)
class Placed:
    """Which genes of a cohort the rows of a file are.

    Parameters
    ----------
    row, gene
        Positions of a row, and of a gene that it is; int64. A row may be several genes, each of
        which takes its whole value, and several rows one gene, which takes their sum.
    report
        `PLACES`: rows and genes counted, what is lost by kind, ambiguous ones named.
    """

    row: np.ndarray
    gene: np.ndarray
    report: pd.DataFrame

    def sums(self, values: np.ndarray, first: int, out: np.ndarray) -> None:
        """Add rows ``first`` and following, shape ``(n_rows, n_samples)``, to their genes."""
        mine = (self.row >= first) & (self.row < first + len(values))
        np.add.at(out, self.gene[mine], values[self.row[mine] - first])


def place_rows(
    row_names: Sequence[str], genes: pd.DataFrame, names: pd.DataFrame | None = None
) -> Placed:
    """Find the genes of a cohort or model that the rows of a file are.

    An Ensembl id is looked up whatever its version; a cohort of other ids knows its own. An Entrez
    id is what `names` says; one whose Ensembl id is another than in the cohort's gene model is
    found there by its symbols. A symbol is that of the gene model, else of HGNC today, else an
    earlier one of HGNC; an earlier one of several genes is nobody's.

    Parameters
    ----------
    row_names
        Of the file, in its order.
    genes
        Indexed by gene id, with ``symbol``.
    names
        From `gene_names`; needed for all but Ensembl ids and the cohort's own.

    Raises
    ------
    InputError
        Names are no Ensembl ids, and `names` is not there.
    """
    kind = kind_of(row_names)
    own_ids = kind_of(genes.index.astype(str)) != ENSEMBL
    if names is None and kind != ENSEMBL and not own_ids:
        raise InputError(
            "genes of the expression",
            f"{kind}s such as {', '.join(row_names[:3])}",
            "Ensembl ids, or a table that tells what the names are",
            "Set inputs.gene_identifiers to HGNC's complete set.",
        )
    keys = [gene_key(gene_id) for gene_id in genes.index.astype(str)]
    position = {key.stable_id: i for i, key in reversed(list(enumerate(keys))) if not key.par_y}
    lookups = _lookups(kind, genes, names, position, keys)
    if own_ids:
        # Of other species, or symbols: names are the cohort's own.
        ids = {gene_id: [i] for i, gene_id in enumerate(genes.index.astype(str))}
        lookups = [("id of the cohort", ids, str), *lookups]
    rows, found, how, lost = [], [], {}, {}
    known = {name for _, table, _ in lookups for name in table}
    known |= set() if names is None else set(names.loc[names["kind"] != OF_ENTREZ, "name"])
    for row, name in enumerate(row_names):
        name = name.strip()
        for label, table, key in lookups:
            hit = table.get(key(name))
            if hit:
                rows += [row] * len(hit)
                found += hit
                how[label] = how.get(label, 0) + 1
                break
        else:
            lost.setdefault(_loss(name, ENSEMBL if own_ids else kind, known), []).append(name)
    pairs = np.array(rows, np.int64), np.array(found, np.int64)
    return Placed(*pairs, _report(row_names, genes, kind, *pairs, how, lost))


def _lookups(kind, genes, names, position, keys):
    """Tables from name to positions of genes, in the order of asking, with the key of a name."""
    if kind == ENSEMBL:
        exact = {key: [i] for i, key in enumerate(keys)}
        return [(ENSEMBL, exact, gene_key)]
    names = pd.DataFrame(columns=NAMES) if names is None else names

    def of(which: str, once: bool) -> dict[str, list[int]]:
        table = names[names["kind"] == which]
        hits = table.assign(place=table["gene"].map(position)).dropna(subset="place")
        grouped = hits.groupby("name", sort=False)["place"].unique()
        lists = {name: [int(i) for i in places] for name, places in grouped.items()}
        return {name: places for name, places in lists.items() if not once or len(places) == 1}

    own: dict[str, list[int]] = {}
    for i, (symbol, key) in enumerate(zip(genes["symbol"].astype(str), keys, strict=True)):
        if not key.par_y:
            own.setdefault(symbol, []).append(i)
    if kind == ENTREZ:
        direct = of(ENTREZ, False)
        reached = {i for places in direct.values() for i in places}
        # The last entry of a name stays: turned round, a symbol of today before earlier ones.
        symbols = names[names["kind"] == OF_ENTREZ].iloc[::-1]
        by_symbol = {
            name: places
            for name, symbol in zip(symbols["name"], symbols["gene"], strict=True)
            if len(places := own.get(symbol, ())) == 1 and places[0] not in reached
        }
        return [(ENTREZ, direct, str), (f"{ENTREZ} and {SYMBOL}", by_symbol, str)]
    return [
        (f"{SYMBOL} of the gene model", own, str),
        (f"{SYMBOL} of HGNC", of(SYMBOL, False), str),
        (PREVIOUS, of(PREVIOUS, True), str),
    ]


def _loss(name: str, kind: str, known: set) -> str:
    """Say why a row has no gene."""
    if kind == SYMBOL and is_date(name):
        return "rows lost: a spreadsheet's date in place of a symbol"
    if kind == ENSEMBL or name in known:
        return "rows lost: not a gene of the cohort"
    return f"rows lost: {kind} without a known Ensembl id"


def _report(row_names, genes, kind, row, gene, how, lost) -> pd.DataFrame:
    """Count rows and genes."""
    lines = [("rows of the file", len(row_names), kind)]
    lines += [(f"rows found by {label}", n, "") for label, n in how.items()]
    lines += [(label, len(names), _some(names)) for label, names in lost.items()]
    many = pd.Series(gene).groupby(row).size()
    several = [row_names[i] for i in many.index[many > 1]]
    lines.append(("rows of several genes, each of which takes the whole value", len(several),
                  _some(several)))  # fmt: skip
    summed = pd.Series(row).groupby(gene).size()
    of_several = list(genes.index[summed.index[summed > 1]])
    lines.append(("genes of several rows, which are summed in TPM", len(of_several),
                  _some(of_several)))  # fmt: skip
    n_genes = len(summed)
    lines.append(("genes of the cohort", len(genes), ""))
    lines.append(("genes reached", n_genes, f"{n_genes / max(len(genes), 1):.2%} of the cohort's"))
    return pd.DataFrame(lines, columns=PLACES)


def _some(names: Sequence[str]) -> str:
    """Name some of many."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(map(str, names[:MOST_NAMED])) + more
