"""Print where a run's report is and the three headline numbers of one of its models.

Usage: python scripts/print_headline.py results/demo mtm_log2
"""

import sys
from pathlib import Path

import pandas as pd

from mtm.errors import InputError
from mtm.io import read_tsv


def headline_lines(table: pd.DataFrame, model: str) -> list[str]:
    """Return three lines of text from ``accuracy/headline.tsv``, on log2(1+TPM) z-scores."""
    if model not in set(table["model"]):
        raise InputError("model", repr(model), f"one of {', '.join(table['model'].unique())}")
    table = table[(table["scale"] == "log2_z") & (table["model"] == model)].set_index("level")
    genes, samples = table.loc["gene_wise"], table.loc["sample_wise"]
    return [
        f"{model}: gene-wise correlation, mean of tissues      {_interval(genes)}",
        f"{model}: sample-wise correlation, mean of tissues    {_interval(samples)}",
        f"{model}: predictable genes in a tissue, mean         "
        f"{genes['n_predictable']:.0f} of {genes['n_genes']:.0f}",
    ]


def _interval(row: pd.Series) -> str:
    return f"{row['mean_rho']:.3f} (95% {row['ci_low']:.3f} to {row['ci_high']:.3f})"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    headline = read_tsv(folder / "accuracy" / "headline.tsv", ["model", "mean_rho"])
    lines = headline_lines(headline, sys.argv[2])
    print("", *lines, f"Report: {folder / 'report.html'}", sep="\n")
