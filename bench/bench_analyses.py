"""Time and peak memory of the analyses of held-out predictions, with GTEx v8's sample numbers.

    .venv/bin/python bench/bench_analyses.py             # 2,000 and 4,000 genes, and to full width
    .venv/bin/python bench/bench_analyses.py --growth     # exponents in genes, donors and tissues

Simulated values without biology: 48 target tissues, 755 donors with blood, 13,498 predictions of
each of three models, five folds. Each analysis of each size has a process of its own; seconds are
of the processor (all threads), which other work disturbs least. Full width is taken to
go on as between the last two sizes, as what is done for a sample of genes does not grow.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.io import read_parquet
from mtm.vocabulary import PREDICTABLE

N_DONORS, N_BLOOD, N_FOLDS = 944, 755, 5
N_TARGETS, N_PREDICTIONS, N_SAMPLES = 48, 13_498, 17_325
FULL_GENES = 19_291
# Genes, donors as a share of GTEx's, target tissues.
GROWTH = {
    "genes": ((2000, 0.5, 12), (4000, 0.5, 12), (8000, 0.5, 12)),
    "donors": ((2000, 0.25, 12), (2000, 0.5, 12), (2000, 1.0, 12)),
    "tissues": ((2000, 0.5, 12), (2000, 0.5, 24), (2000, 0.5, N_TARGETS)),
}
MODELS = {"a": 1.0, "b": 1.5, "c": 2.0}
SCALE, SOURCE = "log2_z", "Whole Blood"


@dataclass(frozen=True)
class Files:
    """Files of the simulated cohort."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        kinds = {"expression": "h5ad"} | dict.fromkeys(
            ("gene_wise", "sample_wise", "draws"), "parquet"
        )
        return self.folder / f"{name}.{kinds.get(name, 'tsv')}"

    def predictions(self, model: str) -> list[Path]:
        """Prediction files of a model."""
        return [self.folder / f"{model}{fold}.h5ad" for fold in range(N_FOLDS)]


def tissue_sizes(total: int, smallest: int, n_tissues: int) -> np.ndarray:
    """Numbers of samples from `smallest` on in even steps, `total` together."""
    largest = 2 * total / n_tissues - smallest
    sizes = np.linspace(smallest, largest, n_tissues).astype(int)
    sizes[-1] += total - sizes.sum()
    return sizes


def write_cohort(folder: Path, n_genes: int, share: float, n_tissues: int) -> None:
    """Write a cohort and the predictions of three models, half of their genes told."""
    rng, files = np.random.default_rng(0), Files(folder)
    n_donors, n_blood = int(share * N_DONORS), int(share * N_BLOOD)
    part = share * n_tissues / N_TARGETS
    folds = np.arange(n_donors) % N_FOLDS
    pairs = tissue_sizes(int(part * N_PREDICTIONS), int(share * 71), n_tissues)
    unpaired = int(part * (N_SAMPLES - N_BLOOD - N_PREDICTIONS))
    members = [(SOURCE, np.arange(n_blood))]
    others = tissue_sizes(unpaired, int(share * 14), n_tissues)
    for index, (paired, alone) in enumerate(zip(pairs, others, strict=True)):
        of_blood = rng.choice(n_blood, paired, replace=False)
        rest = n_blood + rng.choice(n_donors - n_blood, alone, replace=False)
        members.append((f"Tissue {index:02d}", np.r_[of_blood, rest]))
    donor = np.concatenate([donors for _, donors in members])
    tissue = np.repeat([name for name, _ in members], [len(donors) for _, donors in members])
    names = np.array([f"D{d:03d}" for d in range(n_donors)])
    obs = pd.DataFrame({"donor": names[donor], "tissue": tissue})
    obs["rin"] = rng.normal(7, 1, len(obs))
    obs["ischemic_minutes"] = rng.normal(500, 200, len(obs))
    obs.index = obs["donor"] + "-" + obs["tissue"]
    order = obs.index.argsort()
    obs, donor = obs.iloc[order], donor[order]
    var = pd.DataFrame({"symbol": "g"}, index=[f"ENSG{g:011d}.1" for g in range(n_genes)])
    expr_tpm = rng.lognormal(2, 1, (len(obs), n_genes)).astype(np.float32)
    anndata.AnnData(expr_tpm, obs, var).write_h5ad(files.expression)
    hardy = rng.choice(5, n_donors, p=[0.5, 0.05, 0.3, 0.05, 0.1])
    phenotypes = {"donor": names, "sex": rng.integers(1, 3, n_donors), "hardy": hardy}
    donors = pd.DataFrame(phenotypes | {"age": rng.integers(20, 71, n_donors)})
    donors.to_csv(files.donors, sep="\t", index=False)
    table = pd.DataFrame({"donor": names, "fold": folds})
    table.to_csv(files.folds, sep="\t", index=False)
    value = pd.DataFrame({"gene_id": var.index, "value": rng.normal(size=n_genes)})
    value.to_csv(files.characteristic, sep="\t", index=False)
    for model, noise in MODELS.items():
        for fold, path in enumerate(files.predictions(model)):
            told = (folds[donor] == fold) & (donor < n_blood) & (obs["tissue"] != SOURCE)
            rows = np.flatnonzero(told)
            file_obs = obs.iloc[rows][["donor", "tissue"]].rename(columns={"tissue": "target"})
            file_obs = file_obs.assign(sources=SOURCE, fold=fold)
            values = (np.log(expr_tpm[rows]) - 2) * (np.arange(n_genes) % 2).astype(np.float32)
            values += noise * rng.standard_normal(values.shape, np.float32)
            data = anndata.AnnData(values, file_obs, var[[]], uns={"scale": SCALE})
            data.write_h5ad(path)


class Analyses:
    """The analyses as their rules run them, each a method that takes files alone."""

    def __init__(self, files: Files):
        self.files = files

    def held_out(self, model: str = "a"):
        """Read a model's predictions."""
        from mtm.predictions.held_out import read_held_out

        files = self.files
        return read_held_out(files.expression, files.folds, files.predictions(model), SOURCE)

    def gene_wise(self, columns: Iterable[str] = ()) -> pd.DataFrame:
        """Read the accuracy of the first model, or some columns of it."""
        return read_parquet(self.files.gene_wise, columns)

    def score_model(self):
        """Accuracy of every gene and sample."""
        from mtm.analyses.accuracy.score import score_predictions
        from mtm.settings.accuracy import AccuracySettings

        scores = score_predictions(self.held_out(), "a", AccuracySettings())
        scores.gene_wise.to_parquet(self.files.gene_wise)
        scores.sample_wise.to_parquet(self.files.sample_wise)
        scores.draws.to_parquet(self.files.draws)
        return scores.gene_wise, scores.sample_wise, scores.by_tissue

    def score_partial(self):
        """Accuracy beyond covariates."""
        from mtm.analyses.accuracy.partial import partial_accuracy
        from mtm.cohort.cohort import Cohort
        from mtm.settings.accuracy import AccuracySettings

        cohort = Cohort.read_samples(self.files.expression, self.files.donors)
        return (partial_accuracy(self.held_out(), cohort, SOURCE, "a", AccuracySettings()),)

    def compare_models(self):
        """Three models, two pairs; all get the first one's tables, which are as large."""
        from mtm.analyses.accuracy.comparison import Scored, compare_accuracy
        from mtm.settings.accuracy import AccuracySettings

        tables = self.gene_wise(), pd.read_parquet(self.files.sample_wise)
        draws = pd.read_parquet(self.files.draws)
        scored = {model: Scored(*tables, self.held_out(model), True, draws) for model in MODELS}
        return (compare_accuracy(scored, [("a", "b"), ("a", "c")], AccuracySettings()),)

    def contrast_genes(self):
        """Top against bottom genes in one characteristic."""
        from mtm.analyses.genes.contrast import contrast_genes
        from mtm.analyses.genes.rho_draws import resampled_rho
        from mtm.settings.accuracy import AccuracySettings
        from mtm.settings.gene_characteristics import GeneCharacteristics

        n = GeneCharacteristics().bootstraps
        draws = resampled_rho(self.held_out(), AccuracySettings().with_(bootstraps=n))
        value = {"value": pd.read_csv(self.files.characteristic, sep="\t")}
        return (contrast_genes("a", self.gene_wise(), value, draws),)

    def compare_dysregulation(self):
        """Differential expression of one contrast in every tissue."""
        from mtm.analyses.disease.contrasts import contrasts
        from mtm.analyses.disease.dysregulation import differential_expression
        from mtm.cohort.cohort import Cohort
        from mtm.settings.disease import DiseaseSettings

        settings = DiseaseSettings(kinds=("hardy",))
        labels = contrasts(Cohort.read_samples(self.files.expression, self.files.donors), settings)
        labels = labels[labels["tissue"] != SOURCE]
        gene_wise = self.gene_wise(PREDICTABLE)
        return differential_expression(self.held_out(), "a", labels, gene_wise, settings)

    def calibrate_intervals(self):
        """Intervals and reliability."""
        from mtm.analyses.intervals.score import calibrate_intervals
        from mtm.settings.accuracy import AccuracySettings
        from mtm.settings.intervals import IntervalSettings

        settings = IntervalSettings(), AccuracySettings()
        done = calibrate_intervals(self.held_out(), self.gene_wise(), "a", *settings)
        return done.genes, done.quantiles, done.coverage, done.reliability


NAMES = ("score_model", "score_partial", "compare_models", "contrast_genes",
         "compare_dysregulation", "calibrate_intervals")  # fmt: skip


def measure(folder: Path, name: str, kept: Path | None) -> dict[str, float]:
    """Run one analysis; keep its tables where `kept` names a folder."""
    analysis = getattr(Analyses(Files(folder)), name)
    start, cpu_start = time.perf_counter(), time.process_time()
    tables = analysis()
    seconds = {"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu_start}
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        for index, table in enumerate(tables):
            table.to_parquet(kept / f"{name}{index}.parquet")
    return seconds | {"mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def of_size(size: tuple[int, float, int], names: list[str], kept: Path | None) -> dict:
    """Measure analyses of one size, by name, each in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--folder", folder]
        subprocess.run([*command, "--write", *map(str, size)], check=True)
        rows = {}
        for name in names:
            keep = [] if kept is None else ["--keep", str(kept)]
            done = subprocess.run(
                [*command, "--measure", name, *keep], check=True, stdout=subprocess.PIPE
            )
            rows[name] = json.loads(done.stdout.splitlines()[-1])
            print(f"# {size} {name} {rows[name]}", file=sys.stderr, flush=True)
        return rows


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of log(value) against log(size)."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def print_full(names: list[str], genes: list[int], kept: Path | None) -> None:
    """Print what was measured and, from two sizes on, what full width would take."""
    sizes = [(n, 1.0, N_TARGETS) for n in genes]
    measured = [of_size(size, names, kept if size == sizes[0] else None) for size in sizes]
    units = {"cpu_s": "s CPU", "s": "s", "mb": "MB"}
    of = {name: [[row[name][key] for key in units] for row in measured] for name in names}
    if len(genes) > 1:
        steps = (FULL_GENES - genes[-1]) / (genes[-1] - genes[-2])
        for rows in of.values():
            rows.append([b + steps * (b - a) for a, b in zip(*rows[-2:], strict=True)])
        genes = [*genes, FULL_GENES]
    columns = [f"{n:,} genes ({unit})" for n in genes for unit in units.values()]
    print(f"| analysis | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, rows in of.items():
        print(f"| {name} | {' | '.join(f'{value:,.0f}' for row in rows for value in row)} |")


def print_growth(names: list[str]) -> None:
    """Print times and memory along each axis, and their exponents."""
    axes = list(GROWTH)
    for axis, (label, sizes) in enumerate(GROWTH.items()):
        rows = [of_size(size, names, None) for size in sizes]
        along = [size[axis] for size in sizes]
        marks = [f"{n:.0%}" if label == "donors" else f"{n:,}" for n in along]
        head = [f"{label} {mark}: s CPU, MB" for mark in marks]
        print(f"\n| analysis | {' | '.join(head)} | exponent of time | of memory |")
        print(f"|{'---|' * (len(head) + 3)}")
        for name in names:
            values = {key: [row[name][key] for row in rows] for key in ("cpu_s", "mb")}
            cells = [f"{s:.1f}, {mb:,.0f}" for s, mb in zip(*values.values(), strict=True)]
            slopes = [f"{exponent(along, of):.2f}" for of in values.values()]
            print(f"| {name} | {' | '.join(cells + slopes)} |", flush=True)
    print(f"\nthe others are {', '.join(axes)} of the middle or least size: {GROWTH}")


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--analyses", nargs="*", default=list(NAMES), choices=NAMES)
    parser.add_argument("--genes", nargs="*", type=int, default=[2000, 4000])
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the tables of the first size")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=3, type=float, help=argparse.SUPPRESS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        n_genes, share, n_tissues = options.write
        write_cohort(options.folder, int(n_genes), share, int(n_tissues))
    elif options.measure:
        print(json.dumps(measure(options.folder, options.measure, options.keep)))
    elif options.growth:
        print_growth(options.analyses)
    else:
        print_full(options.analyses, sorted(options.genes), options.keep)


if __name__ == "__main__":
    main()
