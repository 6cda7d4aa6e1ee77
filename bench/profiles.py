"""Profiles of genes over tissues on real data, chromosomes held out (methods 6.23).

    .venv/bin/python bench/profiles.py ../shared/data/annotation --promoters 60
    .venv/bin/python bench/profiles.py ../shared/data/annotation --parts hybrid --only 0

FOLDER has GTEx's nTPM of 29 groups of tissues, places of genes, promoters and conservation.
The table at the end is of `mtm.analyses.profiles.held_out.measure_accuracy`, all genes; seconds
are of the processor.
"""

import argparse
import logging
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.profiles.complete import surroundings_of
from mtm.analyses.profiles.features import Surroundings
from mtm.analyses.profiles.held_out import (
    Scores,
    accuracy_table,
    chromosome_folds,
    measure_accuracy,
    score_fold,
)
from mtm.analyses.profiles.table import Table
from mtm.settings.profiles import ProfileSettings
from mtm.vocabulary import ALL_GENES

PROMOTERS = {"60": "promoters_epdnew60_grch38.tsv.gz", "900": "promoters_900_grch38.tsv.gz"}
PARTS = ("neighbours", "promoter", "conservation", "family", "trees")


def read(folder: Path, name: str) -> pd.DataFrame:
    """Read a table of the folder."""
    return pd.read_csv(folder / name, sep="\t")


def table_of(folder: Path) -> Table:
    """Return log2(1+nTPM) of the genes of GTEx's list that have a place."""
    ntpm = read(folder, "gtex_ntpm_by_tissue.tsv.gz").set_index("ensembl_gene_id")
    ntpm = ntpm.filter(like="gtex_")
    genes = read(folder, "gene_positions_grch38.tsv.gz").set_index("gene_id")
    genes = genes[(genes["in_gtex_v8_19291"] == 1) & ~genes.index.duplicated()]
    genes = genes.sort_values(["chromosome", "tss"])
    about = pd.DataFrame(
        {
            "symbol": genes["symbol"],
            "chrom": genes["chromosome"],
            "tss": genes["tss"],
            "strand": genes["strand"].map({"+": 1, "-": -1}),
        }
    )
    values = np.log2(1 + ntpm[~ntpm.index.duplicated()].reindex(genes.index))
    names = tuple(name.removeprefix("gtex_") for name in ntpm.columns)
    return Table(values.to_numpy(float), names, about)


def write_known(folder: Path, promoters: str, to: Path) -> tuple[Path, Path]:
    """Write promoters, the first of each gene, and conservation as the analysis reads them."""
    bases = read(folder, PROMOTERS[promoters]).drop_duplicates("gene_id")
    bases[["gene_id", "sequence"]].to_csv(to / "promoters.tsv", sep="\t", index=False)
    kept = read(folder, "phastcons100way_gene_means.tsv.gz").iloc[:, [0, 2]].dropna()
    kept = kept.set_axis(["gene_id", "value"], axis=1).drop_duplicates("gene_id")
    kept.to_csv(to / "conservation.tsv", sep="\t", index=False)
    return to / "promoters.tsv", to / "conservation.tsv"


def measured(
    around: Surroundings, settings: ProfileSettings, only: list[int] | None
) -> pd.DataFrame:
    """Measure the accuracy in all folds, or in some of them."""
    if not only:
        return measure_accuracy(around, settings, "cpu")
    table, scores = around.table, Scores()
    known = np.isfinite(table.expr_log2).any(1)
    fold = chromosome_folds(table.genes["chrom"].to_numpy(), known, settings.n_folds)
    for number in only:
        score_fold(scores, around, fold == number, settings, settings.seed + number, "cpu")
    return accuracy_table(scores, around)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--promoters", choices=PROMOTERS, default="60")
    parser.add_argument("--parts", nargs="*", default=[], help="beside the usual ones")
    parser.add_argument("--only", type=int, nargs="*", help="of the five folds")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = ProfileSettings(parts=(*PARTS, *options.parts))
    with tempfile.TemporaryDirectory() as made:
        known = write_known(options.folder, options.promoters, Path(made))
        around = surroundings_of(table_of(options.folder), settings, *known)
    start = time.process_time()
    scores = measured(around, settings, options.only)
    seconds = time.process_time() - start
    scores = scores[scores["genes"] == ALL_GENES]
    text = scores.apply(
        lambda row: f"{row['value']:.3f} ({row['ci_low']:.3f} to {row['ci_high']:.3f})", axis=1
    )
    cells = scores.assign(text=text).pivot(
        index=["method", "measure"], columns="hidden", values="text"
    )
    order = scores.drop_duplicates(["method", "measure"]).set_index(["method", "measure"]).index
    print(cells.loc[order].fillna("").reset_index().to_markdown(index=False))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{around.table.n_genes} genes, {seconds:.0f} s of the processor, {peak:,.0f} MB")


if __name__ == "__main__":
    main()
