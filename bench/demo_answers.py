"""Hold the demo's results against what was planted in its simulated cohort.

    .venv/bin/python bench/demo_answers.py [results/demo resources/simulated/demo]

Run `make demo` first. Prints one table: the answer that was planted, and what the analysis found.
"""

import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.io import read_tsv
from mtm.vocabulary import MEAN_OF_TISSUES, RAN, TARGET

MODEL, Q_BELOW = "mtm_log2", 0.05
SIGNS = {"expression_level": 1, "conservation": -1, "connectivity": 1}


def characteristics(results: Path) -> list[tuple[str, str, str]]:
    """Contrast of genes by predictability, against the sign that was planted."""
    rows = []
    for name, sign in SIGNS.items():
        table = read_tsv(results / "gene_characteristics" / f"{name}.tsv")
        mean = table[
            (table["tissue"] == MEAN_OF_TISSUES)
            & (table["scale"] == "log2_z")
            & (table["reading"] == "all_genes")
        ]
        for row in mean.itertuples():
            found = f"{row.cliffs_delta:+.2f} ({row.ci_low:+.2f} to {row.ci_high:+.2f})"
            rows.append(
                (f"{name}, top against bottom quarter, {row.model}", f"{sign:+d}, Cliff's delta",
                 found)
            )  # fmt: skip
    return rows


def dysregulation(results: Path, truth: anndata.AnnData) -> list[tuple[str, str, str]]:
    """Genes called on observed expression, against the genes with a planted effect."""
    table = pd.read_parquet(results / "disease/expression/covariates.parquet").drop_duplicates(
        ["contrast", "tissue", "gene_id"]
    )
    tissues = list(truth.uns["tissues"])
    rows = []
    for disease, part in table[table["contrast"].isin(truth.varm)].groupby("contrast"):
        genes = truth.var_names.get_indexer(part["gene_id"])
        effect = truth.varm[disease][genes, [tissues.index(name) for name in part["tissue"]]]
        called, planted = (part["q_observed"] < Q_BELOW).to_numpy(), effect != 0
        wrong = (called & ~planted).sum()
        rows.append(
            (f"genes called for {disease} on observed expression, q < {Q_BELOW}",
             f"{planted.sum()} planted among {len(part)}",
             f"{called.sum()} called, {wrong} of them not planted "
             f"({wrong / max(called.sum(), 1):.0%})")
        )  # fmt: skip
    return rows


def disease(results: Path) -> list[tuple[str, str, str]]:
    """F1 and auROC beside the same with permuted labels."""
    agreement = read_tsv(results / "disease/agreement.tsv")
    kept = agreement[(agreement["model"] == MODEL) & (agreement["status"] == RAN)]
    rows = []
    for direction in ("up", "down"):
        f1, null = kept[f"f1_{direction}"], kept[f"f1_{direction}_null"]
        rows.append(
            (f"F1 of genes {direction}, median, {MODEL}", "above permuted labels",
             f"{f1.median():.2f}; permuted {null.median():.2f}, "
             f"highest 97.5% {kept[f'f1_{direction}_null_high'].max():.2f}")
        )  # fmt: skip
    return rows


def transfer(results: Path) -> list[tuple[str, str, str]]:
    """Transfer with and without alignment."""
    rows = []
    for path in sorted((results / "transfer/agreement").glob("*.tsv")):
        table = read_tsv(path)
        table = table[
            (table["status"] == RAN) & (table["role"] == TARGET) & (table["genes"] == "all")
        ]
        wide = table.pivot(
            index="tissue", columns="alignment", values=["rho_log2fc", "level_error_log2"]
        )
        higher = (wide["rho_log2fc"]["log2"] > wide["rho_log2fc"]["none"]).sum()
        for alignment in ("none", "log2"):
            part = wide.xs(alignment, axis=1, level=1)
            rows.append(
                (f"transfer by {path.stem}, alignment {alignment}", "alignment mends the shift",
                 f"rho {part['rho_log2fc'].median():.2f}, level off by "
                 f"{part['level_error_log2'].median():.2f} log2 units"
                 + (f"; rho higher in {higher} of {len(wide)} tissues"
                    if alignment == "log2" else ""))
            )  # fmt: skip
    return rows


def main() -> None:
    """Print the table."""
    paths = [Path(name) for name in sys.argv[1:]] or [
        Path("results/demo"),
        Path("resources/simulated/demo"),
    ]
    results, simulated = paths
    truth = anndata.read_h5ad(simulated / "truth.h5ad")
    genes = read_tsv(simulated / "gene_truth.tsv")
    print("| quantity | planted | found |\n|---|---|---|")
    for name in ("conservation", "expected_degree"):
        rho = np.corrcoef(genes[["true_predictability", name]].dropna().rank().T)[0, 1]
        print(f"| {name} with true predictability | Spearman {rho:+.2f} | |")
    for row in (
        *characteristics(results), *dysregulation(results, truth), *disease(results),
        *transfer(results),
    ):  # fmt: skip
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
