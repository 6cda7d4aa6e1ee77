"""Runs that were never computed: tables with numbers of a known kind, as large as wanted."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from mtm.figures.style import gtex_tissues
from mtm.page.build import Places
from mtm.page.results import Results
from mtm.settings.check import check_config
from mtm.vocabulary import MEAN_OF_TISSUES, RELIABILITY

ROOT = Path(__file__).parents[1]
HOSTILE = "<script>alert(1)</script>"
MODELS = {
    "ridge": {"class": "ridge"},
    "mtm": {"class": "mtm"},
    "joint_others": {"class": "joint", "sources": "others"},
    "covariates": {"class": "covariates"},
}
SKILL = {"ridge": 0.3, "mtm": 0.25, "joint_others": 0.4, "covariates": 0.1}
NOTE = "not_done\treason\tremedy\nfigure\ttoo few donors\tmore donors\n"


def configuration(**changes) -> dict:
    """Return a configuration, checked and filled in."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config |= {"cohort": "made_up", "models": {k: dict(v) for k, v in MODELS.items()}} | changes
    # It names models that are not made up.
    del config["storage"]
    check_config(config)
    return config


def gtex_names(n: int) -> list[str]:
    """Names of tissues, the source left out."""
    return sorted(set(gtex_tissues().index) - {"Whole Blood"})[:n]


class MadeUp(Results):
    """Tables in memory; figures in a folder."""

    def __init__(self, folder: Path, tables: dict[str, pd.DataFrame], config: dict):
        super().__init__(folder, [folder / name for name in tables], config, "covariates")
        self.tables = tables
        for name, table in tables.items():
            if name.startswith(("cohort/", "accuracy/summary", "figures/")):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                table.to_csv(folder / name, sep="\t", index=False)

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table of those made up."""
        return self.tables.get(name)


def made_up(folder: Path, n_genes: int, tissues: list[str], symbols: list[str], **changes):
    """Make up a run.

    Returns
    -------
    SimpleNamespace
        ``results``, ``symbols``, ``figures``, ``places``: what `mtm.page.build.build_page` takes.
    """
    rng = np.random.default_rng(0)
    genes = pd.Index([f"ENSG{i:011d}.{i % 9 + 1}" for i in range(n_genes)], name="gene_id")
    names = pd.Series(symbols + [f"MADE{i}" for i in range(n_genes - len(symbols))], genes)
    config = configuration(**changes)
    tables = cohort_tables(n_genes, tissues) | characteristics(genes, tissues, rng)
    means = []
    for model in config["models"]:
        of_genes = gene_table(SKILL[model], genes, tissues, rng)
        tables[f"intervals/genes/{model}.parquet"] = of_genes
        tables[f"accuracy/gene_wise/{model}.parquet"] = of_genes[["tissue", "gene_id"]].assign(
            scale="log2_z", predictable=(of_genes["rho"] > 0.3) & (of_genes["q"] < 0.05)
        )
        means.append(summary(model, of_genes))
    tables["accuracy/summary.tsv"] = pd.concat(means, ignore_index=True)
    tables["accuracy/ceiling.tsv"] = pd.DataFrame(
        {"tissue": [*tissues, MEAN_OF_TISSUES], "kind": "floor", "rho": 0.35, "ci_low": 0.33,
         "ci_high": 0.37, "n_tissues": len(tissues)}
    )  # fmt: skip
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 255, (80, 120, 3), np.uint8)).save(
        folder / "figures/fig2a.png"
    )
    summary_rows = tables["accuracy/summary.tsv"].head(50)
    summary_rows.to_csv(folder / "figures/fig2a.tsv", sep="\t", index=False)
    (folder / "figures/fig4.tsv").write_text(NOTE)
    return SimpleNamespace(
        results=MadeUp(folder, tables, config),
        symbols=names,
        figures={
            "fig2a": {"category": "Accuracy", "title": "Accuracy of every model"},
            "fig4": {"category": "External cohort", "title": "Fold changes"},
        },
        places=Places(ROOT / "workflow/report", folder / "benchmarks", ROOT / "CITATION.cff"),
    )


def cohort_tables(n_genes: int, tissues: list[str]) -> dict[str, pd.DataFrame]:
    """Tables of the cohort, and of what was left out."""
    return {
        "cohort/filtering.tsv": pd.DataFrame(
            {"step": ["expression file"], "n_samples": 900, "n_donors": 100,
             "n_tissues": len(tissues) + 1, "n_genes": n_genes, "detail": ""}
        ),
        "cohort/fold_counts.tsv": pd.DataFrame(
            {"fold": [0], "n_held_out_donors": 20, "n_held_out_source_donors": 18}
        ),
        "tables/skipped.tsv": pd.DataFrame(
            {"analysis": ["transfer"], "model": "", "tissue": HOSTILE, "reason": "no cohort",
             "remedy": "name one"}
        ),
    }  # fmt: skip


def in_every_tissue(genes, tissues: list[str]) -> pd.Categorical:
    """Name the tissue of every gene in every tissue."""
    return pd.Categorical.from_codes(np.repeat(np.arange(len(tissues)), len(genes)), tissues)


def characteristics(genes, tissues, rng) -> dict[str, pd.DataFrame]:
    """Level, conservation and partners of genes."""
    tissue = in_every_tissue(genes, tissues)
    folder = "gene_characteristics/genes"
    return {
        f"{folder}/expression_level.parquet": pd.DataFrame(
            {"tissue": tissue, "gene_id": np.tile(genes, len(tissues)),
             "value": rng.lognormal(1.5, 1.5, len(tissue))}
        ),
        f"{folder}/conservation.tsv": pd.DataFrame(
            {"gene_id": genes, "value": rng.uniform(0, 1, len(genes))}
        ),
        f"{folder}/connectivity.tsv": pd.DataFrame(
            {"gene_id": genes, "value": rng.poisson(20, len(genes)).astype(float)}
        ),
    }  # fmt: skip


def gene_table(skill: float, genes, tissues: list[str], rng) -> pd.DataFrame:
    """Every gene in every tissue, as ``intervals/genes`` has them; a hundredth has no rho."""
    n = len(genes) * len(tissues)
    n_donors = np.repeat(rng.integers(60, 500, len(tissues)), len(genes))
    error = 1 / np.sqrt(n_donors - 15)
    z = np.arctanh(skill) + rng.normal(0, 0.15, n) + rng.normal(0, error)
    wide = 2.2 * error * np.exp(rng.normal(0, 0.08, n))
    table = pd.DataFrame({
        "tissue": in_every_tissue(genes, tissues),
        "gene_id": np.tile(genes, len(tissues)),
        "n": n_donors,
        "rho": np.tanh(z),
        "ci_low": np.tanh(z - wide),
        "ci_high": np.tanh(z + wide),
        "q": np.minimum(1, 2 * np.exp(-0.7 * np.clip(z / error, 0, None) ** 2)),
    })  # fmt: skip
    table.loc[rng.random(n) < 0.01, ["rho", "ci_low", "ci_high", "q"]] = np.nan
    rank = np.digitize(np.nan_to_num(table["rho"]), [0.1, 0.3, 0.5])
    return table.assign(reliability=pd.Categorical.from_codes(rank, RELIABILITY))


def summary(model: str, of_genes: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``accuracy/summary.tsv`` of one model."""
    by_tissue = of_genes.groupby("tissue", observed=True).agg(
        n_samples=("n", "first"), mean_rho=("rho", "mean"), n_genes=("rho", "count")
    )
    by_tissue.loc[MEAN_OF_TISSUES] = by_tissue.mean()
    parts = [
        by_tissue.reset_index().assign(level=level, convention=convention)
        for level, convention in (("gene_wise", "per_fold"), ("sample_wise", "per_sample"))
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(
        model=model, scale="log2_z", ci_low=table["mean_rho"] - 0.03,
        ci_high=table["mean_rho"] + 0.03, null_low=-0.04, null_high=0.04,
        n_predictable=np.floor(table["n_genes"] * table["mean_rho"]),
    )  # fmt: skip
