"""Promoters of genes: read from FASTA or a table, and as numbers."""

from contextlib import closing
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.genes import gene_key
from mtm.cohort.lines import demand_whole_rows, text_lines
from mtm.errors import InputError, shown
from mtm.io import read_tsv

BASES = "ACGT"
# What a base may be called that was not read.
UNREAD = "NRYSWKMBDHV"
LONGEST = 20_000
WORDS = (3, 4, 5)
# Parts of the sequence of which the bases are counted; short sequences have one a base.
PLACES = 60
# A start of transcription lies so near to the gene model's; of another build next to none does.
NEAR, LEAST_NEAR = 5_000, 0.5


def read_promoters(path: str | Path) -> pd.DataFrame:
    """Read promoters: FASTA, whose names begin with a gene id, or a table.

    Returns
    -------
    pd.DataFrame
        One row a gene, the first of several: ``gene_id``, ``sequence``, and ``chromosome`` and
        ``tss`` where a table has them.

    Raises
    ------
    InputError
        No promoter, none of a name, an alphabet that is not DNA's, or a sequence that is too long.
    """
    path = Path(path)
    with closing(text_lines(path)) as lines:
        first = next(lines, "")
    table = _fasta(path) if first.startswith(">") else _table(path)
    if table.empty:
        raise InputError(path, "no promoter", "FASTA, or a table with gene_id and sequence")
    table["sequence"] = table["sequence"].str.upper()
    wrong = ~table["sequence"].str.fullmatch(f"[{BASES}{UNREAD}]+")
    long = table["sequence"].str.len() > LONGEST
    for bad, expected in (
        (wrong, "letters of DNA (A, C, G, T; N and its kin for a base that was not read)"),
        (long, f"{LONGEST:,} bases at most"),
    ):
        if bad.any():
            row = table.loc[bad.idxmax()]
            found = f"{shown(row['sequence'][:40])} of {shown(row['gene_id'])}"
            hint = "RNA has U for T." if "U" in row["sequence"] else ""
            raise InputError(path, found, expected, hint)
    return table.drop_duplicates("gene_id", ignore_index=True)


def _fasta(path: Path) -> pd.DataFrame:
    names: list[str] = []
    pieces: list[list[str]] = []
    with closing(text_lines(path)) as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith(">"):
                words = line[1:].replace("|", " ").split()
                if not words:
                    raise InputError(f"{path}, line {number}", "a name that is empty", "a gene id")
                names.append(words[0])
                pieces.append([])
            else:
                pieces[-1].append(line.strip())
    whole = ["".join(piece) for piece in pieces]
    return pd.DataFrame({"gene_id": names, "sequence": whole}, dtype=str)


def _table(path: Path) -> pd.DataFrame:
    demand_whole_rows(path)
    table = read_tsv(path, ["gene_id", "sequence"], dtype=str)
    placed = [name for name in ("chromosome", "tss") if name in table]
    table = table[["gene_id", "sequence", *placed]].dropna(subset=["gene_id", "sequence"])
    if "tss" in table:
        table["tss"] = pd.to_numeric(table["tss"], errors="coerce")
    return table.reset_index(drop=True)


def promoters_of(path: str | Path, genes: pd.DataFrame) -> list[str]:
    """Return each gene's promoter, empty where there is none.

    Parameters
    ----------
    path
        See `read_promoters`.
    genes
        Of `mtm.analyses.profiles.table.Table`.

    Raises
    ------
    InputError
        None of the promoters is of these genes, or their starts are those of another build.
    """
    table = read_promoters(path)
    table.index = [gene_key(gene_id).stable_id for gene_id in table["gene_id"]]
    table = table[~table.index.duplicated()]
    own = table.reindex([gene_key(gene_id).stable_id for gene_id in genes.index])
    if own["sequence"].isna().all():
        raise InputError(
            path,
            f"promoters of {len(table)} genes (first {shown(table['gene_id'].iloc[0])}), none of "
            f"them one of the {len(genes)} of the table",
            f"gene ids such as {genes.index[0]}",
        )
    if {"chromosome", "tss"} <= set(own):
        _demand_build(path, own, genes)
    return list(own["sequence"].fillna(""))


def _demand_build(path: str | Path, own: pd.DataFrame, genes: pd.DataFrame) -> None:
    """Refuse promoters whose starts are far from the genes'."""
    named = own["tss"].notna().to_numpy()
    theirs = own["chromosome"].astype(str).str.removeprefix("chr").to_numpy()
    same = theirs == genes["chrom"].astype(str).str.removeprefix("chr").to_numpy()
    near = same & (np.abs(own["tss"].to_numpy(float) - genes["tss"].to_numpy()) <= NEAR)
    if named.any() and near[named].mean() < LEAST_NEAR:
        raise InputError(
            path,
            f"{(~near[named]).sum()} of {named.sum()} starts of transcription more than {NEAR:,} "
            "bases from the gene model's",
            "promoters of the genome build of inputs.gene_model",
        )


def one_hot(sequences: list[str], length: int | None = None) -> np.ndarray:
    """Return sequences as letters, shape ``(n, 4, length)``, float32, aligned at their starts.

    Zeros stand for a base that was not read, and beyond the end. `length` is that of the longest
    unless it is given.
    """
    length = max(map(len, sequences)) if length is None else length
    out = np.zeros((len(sequences), 4, length), np.float32)
    for row, codes in enumerate(map(_codes, sequences)):
        at = np.flatnonzero(codes[:length] >= 0)
        out[row, codes[at], at] = 1
    return out


def _codes(sequence: str) -> np.ndarray:
    letters = np.full(256, -1)
    letters[[ord(base) for base in BASES]] = range(4)
    return letters[np.frombuffer(sequence.encode("ascii"), np.uint8)]


def promoter_features(sequences: list[str]) -> np.ndarray:
    """Return how often each word stands in a promoter, on either strand, and its bases by place.

    All are about the mean of the genes that have a promoter; a gene without one has 0 everywhere,
    and so does not tell that it has none.

    Returns
    -------
    np.ndarray
        Shape ``(n_genes, n_features)``.
    """
    codes = [_codes(sequence) for sequence in sequences]
    blocks = [_words(codes, size) for size in WORDS] + [_places(codes)]
    out = np.hstack(blocks)
    there = np.array([len(sequence) > 0 for sequence in sequences])
    out[there] -= out[there].mean(0)
    return out


def _words(codes: list[np.ndarray], size: int) -> np.ndarray:
    """Share of each word, a word and its reverse complement being one."""
    words = ["".join(word) for word in product(BASES, repeat=size)]
    other = str.maketrans(BASES, BASES[::-1])
    either = [min(word, word[::-1].translate(other)) for word in words]
    column, known = pd.factorize(np.array(either))
    out = np.zeros((len(codes), len(known)), np.float32)
    for row, letters in enumerate(codes):
        if len(letters) >= size:
            parts = np.lib.stride_tricks.sliding_window_view(letters, size)
            parts = parts[(parts >= 0).all(1)] @ 4 ** np.arange(size)[::-1]
            counts = np.bincount(column[parts], minlength=len(known))
            out[row] = counts / max(len(parts), 1)
    return out


def _places(codes: list[np.ndarray]) -> np.ndarray:
    """Share of each base in each of `PLACES` equal parts of a sequence."""
    out = np.zeros((len(codes), PLACES, 4), np.float32)
    for row, letters in enumerate(codes):
        known = np.flatnonzero(letters >= 0)
        place = known * PLACES // max(len(letters), PLACES)
        np.add.at(out[row], (place, letters[known]), 1)
    return (out / out.sum(2, keepdims=True).clip(min=1)).reshape(len(codes), -1)
