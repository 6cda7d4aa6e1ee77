"""How many of a cohort's genes each kind of name of a GEO file reaches, and which rows are lost.

    .venv/bin/python bench/geo_names.py ../shared/data [--ncbi Human.GRCh38.p13.annot.tsv.gz]

takes GTEx v8's 19,291 protein-coding genes, the 39,376 rows that NCBI's matrices have, and HGNC's
ids and symbols. Rows are named by Entrez ids (with NCBI's gene table where there is one, and by
HGNC alone), by NCBI's symbols, and as an old file of a submitter would name them: by the first
earlier symbol of each gene that has one.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd

from mtm.cohort.gene_names import PREVIOUS, SYMBOL, gene_names, place_rows


def read(path: Path) -> pd.DataFrame:
    """Read a table as text."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def old(symbols: pd.Series, names: pd.DataFrame) -> list[str]:
    """Name genes by an earlier symbol, where they have one that is no other gene's today."""
    of = {kind: names[names["kind"] == kind] for kind in (SYMBOL, PREVIOUS)}
    today = dict(zip(of[SYMBOL]["name"], of[SYMBOL]["gene"], strict=True))
    earlier = of[PREVIOUS].drop_duplicates("gene").set_index("gene")["name"].to_dict()
    named = [earlier.get(today.get(symbol), symbol) for symbol in symbols]
    return [new if new not in today else symbol
            for symbol, new in zip(symbols, named, strict=True)]  # fmt: skip


def main() -> None:
    """Print a table, a column a kind of name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--ncbi", type=Path, help="NCBI's gene table")
    options = parser.parse_args()
    annotation = options.data / "annotation"
    genes = read(annotation / "gtex_v8_protein_coding_19291.tsv.gz").set_index("ensembl_gene_id")
    rows = read(options.data / "geo/ncbi_geneid_symbol_39376.tsv.gz")
    with tempfile.TemporaryDirectory() as folder:
        hgnc = Path(folder, "hgnc.tsv")
        ids = read(annotation / "gene_ids_entrez_ensembl_symbol.tsv.gz")
        ids[ids["source"] == "HGNC"].to_csv(hgnc, sep="\t", index=False)
        names = gene_names(hgnc)
        ways = {"Entrez ids, HGNC": (list(rows["GeneID"]), names)}
        if options.ncbi is not None:
            ways["Entrez ids, NCBI's table"] = list(rows["GeneID"]), gene_names(hgnc, options.ncbi)
        ways["NCBI's symbols"] = list(rows["Symbol"]), names
        ways["earlier symbols"] = old(rows["Symbol"], names), names
        columns = {}
        for way, (named, known) in ways.items():
            report = place_rows(named, genes, known).report
            columns[way] = report.set_index("step")["n"]
    table = pd.DataFrame(columns, dtype="Int64").loc[lambda t: t.notna().any(axis=1)]
    order = list(dict.fromkeys(step for column in columns.values() for step in column.index))
    print(f"| | {' | '.join(table)} |\n|{'---|' * (1 + len(table.columns))}")
    for step in order:
        cells = ["" if pd.isna(n) else f"{n:,}" for n in table.loc[step]]
        print(f"| {step} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
