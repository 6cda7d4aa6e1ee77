"""Hold the demo's results against what was planted in its simulated cohort.

    .venv/bin/python bench/demo_answers.py [results/demo resources/simulated/demo]

Run `make demo` first. Prints one table: the answer that was planted, and what the analysis found.
"""

import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.io import read_tsv
from mtm.simulation.population import DISEASES
from mtm.statistics.rank_sum import rank_sum
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import MEAN_OF_TISSUES, RAN, TARGET

Q_BELOW, MIN_CASES, REPEATS = 0.05, 20, 50
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


def planted_anew(
    cohort: Cohort, effects: dict[str, np.ndarray], seed: int = 0
) -> list[tuple[str, str, str]]:
    """Call genes whose effect is known to be the only difference of cases and controls.

    The demo's diseases follow from donor-wide states that move every gene, so no gene is without
    a difference. Here the planted effect is taken from the cases' observed expression, cases are
    drawn anew, and get it.
    """
    rng, rows = np.random.default_rng(seed), []
    for disease, effect in effects.items():
        status = cohort.donors[disease].to_numpy(int)
        false_share, found, n_planted = [], [], 0
        for tissue in range(len(cohort.tissues)):
            members = np.flatnonzero(cohort.tissue == tissue)
            case = status[cohort.donor[members]].astype(bool)
            if min(case.sum(), (~case).sum()) < MIN_CASES:
                continue
            log2fc, planted = effect[:, tissue], effect[:, tissue] != 0
            rest = cohort.expr_tpm[members] * np.exp2(-np.outer(case, log2fc))
            varying = np.ptp(rest, axis=0) > 0
            n_planted += planted[varying].sum()
            for _ in range(REPEATS):
                drawn = rng.permutation(case)
                values = rest * np.exp2(np.outer(drawn, log2fc))
                called = benjamini_hochberg(rank_sum(values[:, varying], drawn)) < Q_BELOW
                false_share.append((called & ~planted[varying]).sum() / max(called.sum(), 1))
                if planted[varying].any():
                    found.append(called[planted[varying]].mean())
        rows.append(
            (
                f"genes called for {disease} on observed expression, q < {Q_BELOW}, "
                f"{REPEATS} draws of cases a tissue",
                f"{n_planted} gene-tissues with an effect",
                f"false among called {np.mean(false_share):.1%} (mean over draws), "
                f"found {np.mean(found):.0%} of those with an effect",
            )
        )
    return rows


def disease(results: Path) -> list[tuple[str, str, str]]:
    """Agreement of fold changes and auROC beside the same with permuted labels."""
    agreement = read_tsv(results / "disease/agreement.tsv")
    kept = agreement[(agreement["status"] == RAN) & agreement["contrast"].str.startswith("MH")]
    rows = []
    for model, part in kept.groupby("model", sort=False):
        rows.append(
            (
                f"rho of log2 fold changes, median of pairs, {model}",
                "labels permuted: about 0",
                f"{part['rho_log2fc'].median():.2f}; permuted {part['rho_null_low'].median():.2f} "
                f"to {part['rho_null_high'].median():.2f}",
            )
        )
    known = kept.dropna(subset=["f1_up"])
    rows.append(
        (
            "F1 of genes up with permuted labels",
            "0 unless by chance",
            f"mean {known['f1_up_null'].mean():.3f} over {len(known)} pairs",
        )
    )
    for path in sorted((results / "disease/status").glob("*.tsv")):
        status = read_tsv(path)
        status = status[status["status"] == RAN]
        for name, part in status.groupby("input", sort=False):
            null = part["null_mean"]
            half = 2 * null.std() / len(null) ** 0.5
            rows.append(
                (
                    f"auROC of disease status from {name}, {path.stem}",
                    "labels permuted: 0.5",
                    f"informative pairs {part.loc[part['informative'], 'auroc'].mean():.2f}; "
                    f"permuted {null.mean():.3f} +- {half:.3f} over {len(null)} pairs",
                )
            )
    return rows


def transfer(results: Path) -> list[tuple[str, str, str]]:
    """Transfer with and without alignment."""
    rows = []
    for path in sorted((results / "transfer").glob("*/agreement/*.tsv")):
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
                (f"{path.parts[-3]} by {path.stem}, alignment {alignment}",
                 "alignment mends the shift",
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
    cohort = Cohort.read(results / "cohort/expression.h5ad", results / "cohort/donors.tsv")
    genes_ = truth.var_names.get_indexer(cohort.genes.index)
    tissues = pd.Index(truth.uns["tissues"]).get_indexer(cohort.tissues)
    effects = {name: truth.varm[name][genes_][:, tissues] for name in DISEASES}
    genes = read_tsv(simulated / "gene_truth.tsv")
    print("| quantity | planted | found |\n|---|---|---|")
    for name in ("conservation", "expected_degree"):
        rho = np.corrcoef(genes[["true_predictability", name]].dropna().rank().T)[0, 1]
        print(f"| {name} with true predictability | Spearman {rho:+.2f} | |")
    for row in (
        *characteristics(results), *planted_anew(cohort, effects), *disease(results),
        *transfer(results),
    ):  # fmt: skip
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
