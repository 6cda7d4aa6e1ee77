"""A series read from its submitter's file and from NCBI's, and what both then say.

    .venv/bin/python bench/geo_two_ways.py                       # a made-up series
    .venv/bin/python bench/geo_two_ways.py --tpm ..._NCBI.tsv.gz --submitted ..._count.txt.gz
        --hgnc hgnc_complete_set.txt --genes gencode.v26.GRCh38.genes.gtf

Columns of a submitter's file may say neither GSM nor visit. The same libraries are in both files,
so each column is given the GSM that its log2 TPM goes with best (Pearson over genes that both
have, less each gene's mean; one to one). It is sure where each is the other's best; the next best
is the same person's other visit.
The made-up series has GSE184050's layouts: a header a cell short, counts over size factors, zeros
stored as 1, earlier symbols, columns in another order.
"""

import argparse
import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from mtm.analyses.transfer.reading import Files, Reading, read_people
from mtm.cohort.gene_names import gene_names
from mtm.cohort.genes import gene_lengths, read_gtf_genes
from mtm.cohort.geo.series import read_series_matrix
from mtm.cohort.scaling import log2_tpm
from mtm.cohort.units import lengths_of
from mtm.settings.external import EVERYBODY, External
from mtm.settings.simulation import SimulationSettings
from mtm.simulation.external import write_external
from mtm.simulation.files import simulate_cohort
from mtm.simulation.series import SeriesFiles, write_series
from mtm.statistics.correlation import row_correlation

SETTINGS = SimulationSettings(n_donors=40, n_genes=1500, n_external_donors=58,
                              tissues=("Lung", "Thyroid", "Whole Blood"))  # fmt: skip
SHALLOW = (7, 12)


def made_up(folder: Path) -> dict[str, Path]:
    """Write a series both ways; return the files."""
    paths = {name: folder / name for name in ("tpm.tsv", "samples.tsv", "hgnc", "submitted.txt.gz",
                                              "genes.gtf")}  # fmt: skip
    others = ("expression", "sample_attributes", "subject_phenotypes", "controlled_phenotypes")
    simulate_cohort(SETTINGS, truth=folder / "t.h5ad", gene_model=paths["genes.gtf"],
                    **{name: folder / f"{name}.x" for name in others})  # fmt: skip
    write_external(SETTINGS, expression=paths["tpm.tsv"], samples=paths["samples.tsv"],
                   truth=folder / "e.h5ad")  # fmt: skip
    ids = pd.read_csv(paths["tpm.tsv"], sep="\t", usecols=["gene_id"])["gene_id"]
    entrez = pd.Series(1000 + np.arange(len(ids)), index=ids)
    made = SeriesFiles.below(folder, "GSE900000001")
    write_series(paths["tpm.tsv"], paths["samples.tsv"], entrez, made)
    symbols = pd.Series([f"S{i}" for i in range(len(ids))], ids)
    earlier = symbols.where(np.arange(len(ids)) % 4 > 0, "OLD" + symbols)
    pd.DataFrame(
        {"symbol": symbols, "ensembl_gene_id": ids.to_numpy(), "entrez_id": entrez.to_numpy(),
         "prev_symbol": earlier.where(earlier != symbols, "")}
    ).to_csv(paths["hgnc"], sep="\t", index=False)  # fmt: skip
    rng = np.random.default_rng(3)
    values = pd.read_csv(made.tpm, sep="\t", index_col=0)
    lengths = np.nan_to_num(lengths_of(ids, gene_lengths(paths["genes.gtf"])), nan=1000.0)
    rate = values.to_numpy() * lengths[:, None]
    depth = rng.uniform(2e6, 3e7, rate.shape[1])
    depth[list(SHALLOW)] = 1e5
    counts = rng.poisson(rate / rate.sum(0) * depth)
    ratio = counts / np.exp(np.log(counts + 1).mean(1, keepdims=True))
    normalised = np.maximum(counts / np.median(ratio, axis=0), 1)
    order = rng.permutation(rate.shape[1])
    names = [f"sample_{i}" for i in range(len(order))]
    table = pd.DataFrame(normalised[:, order], earlier.to_numpy(), names)
    with gzip.open(paths["submitted.txt.gz"], "wt") as file:
        file.write("\t".join(names) + "\n" + table.to_csv(sep="\t", header=False))
    truth = pd.Series(values.columns[order], names)
    truth.to_csv(folder / "truth.tsv", sep="\t")
    return {"tpm": made.tpm, "matrix": made.matrix, "submitted": paths["submitted.txt.gz"],
            "hgnc": paths["hgnc"], "genes": paths["genes.gtf"],
            "truth": folder / "truth.tsv"}  # fmt: skip


def matched(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give each row of `one` a row of `other`: its number, the correlation, the margin.

    The margin is to the next best of either; below 0, one of them goes better with a third.
    """
    sides = [values - values.mean(0) for values in (one, other)]
    norms = [np.linalg.norm(side, axis=1, keepdims=True) for side in sides]
    rho = (sides[0] / norms[0]) @ (sides[1] / norms[1]).T
    _, place = linear_sum_assignment(-rho)
    cells = np.arange(len(one)), place
    mine, rest = rho[cells], rho.copy()
    rest[cells] = -np.inf
    return place, mine, mine - np.maximum(rest.max(1), rest.max(0)[place])


def compare(paths: dict[str, Path]) -> None:
    """Read both files, map the samples and print."""
    genes = read_gtf_genes(paths["genes"])[["symbol"]]
    names = gene_names(paths["hgnc"])
    lengths = pd.Series(lengths_of(genes.index, gene_lengths(paths["genes"])), genes.index)
    ways: dict[str, Reading] = {}
    for way, units in (("tpm", None), ("submitted", "counts")):
        everybody = External(expression="x", units=units, group=EVERYBODY)
        ways[way] = read_people(everybody, Files(paths[way]), genes, names, lengths,
                                min_per_group=0)  # fmt: skip
    common = ways["tpm"].gene_ids.intersection(ways["submitted"].gene_ids)
    log2 = {
        way: log2_tpm(read.expr_tpm[:, read.gene_ids.get_indexer(common)].astype(float))
        for way, read in ways.items()
    }
    n = {way: len(read.gene_ids) for way, read in ways.items()}
    print(
        f"genes reached: NCBI's {n['tpm']:,}, submitter's {n['submitted']:,}, both {len(common):,}"
    )
    place, rho, margin = matched(log2["submitted"], log2["tpm"])
    gsm = ways["tpm"].samples["sample"].to_numpy()[place]
    sure = margin > 0
    typical = f"medians: correlation {np.median(rho):.3f}, margin {np.median(margin):.3f}"
    print(f"samples mapped: {sure.sum()} of {len(gsm)} are each the other's best ({typical})")
    if "truth" in paths:
        truth = pd.read_csv(paths["truth"], sep="\t", index_col=0).iloc[:, 0]
        right = truth.reindex(ways["submitted"].samples["sample"]).to_numpy() == gsm
        print(f"rightly: {right.sum()}, of these {right[sure].sum()}")
    of_both = log2["submitted"], log2["tpm"][place]
    by_sample = np.median(row_correlation(*of_both))
    by_gene = np.nanmedian(row_correlation(*(values.T for values in of_both)))
    print(f"log2 TPM, median: sample by sample {by_sample:.3f}, gene by gene {by_gene:.3f}")
    if "matrix" not in paths:
        return
    fields = read_series_matrix(paths["matrix"]).samples.loc[gsm]
    case = (fields["disease_state"].str.casefold() == "t2d").to_numpy()
    for visit in fields["timepoint"].unique():
        kept = sure & (fields["timepoint"] == visit).to_numpy()
        change = [x[kept & case].mean(0) - x[kept & ~case].mean(0) for x in of_both]
        print(f"fold changes at {visit} ({(kept & case).sum()} against {(kept & ~case).sum()}): "
              f"rho {row_correlation(*(x[None] for x in change))[0]:.3f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("tpm", "matrix", "submitted", "hgnc", "genes"):
        parser.add_argument(f"--{name}", type=Path)
    given = {name: path for name, path in vars(parser.parse_args()).items() if path is not None}
    with tempfile.TemporaryDirectory() as folder:
        compare(given or made_up(Path(folder)))


if __name__ == "__main__":
    main()
