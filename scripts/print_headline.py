"""Print where a run's report is and the three headline numbers of its best model.

Usage: python scripts/print_headline.py results/demo
"""

import sys
from pathlib import Path

import pandas as pd

from mtm.io import read_tsv


def headline_lines(table: pd.DataFrame) -> list[str]:
    """Return three lines of text from ``accuracy/headline.tsv``, on log2(1+TPM) z-scores.

    The best model is the one of highest gene-wise correlation, a simulation's oracle left out.
    """
    table = table[(table["scale"] == "log2_z") & (table["model"] != "oracle")]
    gene_wise = table[table["level"] == "gene_wise"].set_index("model")
    sample_wise = table[table["level"] == "sample_wise"].set_index("model")
    best = gene_wise["mean_rho"].idxmax()
    genes, samples = gene_wise.loc[best], sample_wise.loc[best]
    return [
        f"{best}: gene-wise correlation, mean of tissues      {_interval(genes)}",
        f"{best}: sample-wise correlation, mean of tissues    {_interval(samples)}",
        f"{best}: predictable genes in a tissue, mean         "
        f"{genes['n_predictable']:.0f} of {genes['n_genes']:.0f}",
    ]


def _interval(row: pd.Series) -> str:
    return f"{row['mean_rho']:.3f} (95% {row['ci_low']:.3f} to {row['ci_high']:.3f})"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    lines = headline_lines(read_tsv(folder / "accuracy" / "headline.tsv", ["model", "mean_rho"]))
    print("", *lines, f"Report: {folder / 'report.html'}", sep="\n")
