"""Small cohorts as strangers bring them: other species, units, tables and names."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Files:
    """Files of a cohort, as `mtm init` takes them."""

    expression: Path
    samples: Path
    donors: Path | None = None
    gene_model: Path | None = None

    @property
    def options(self) -> list[str]:
        """Options of `mtm init`."""
        given = {name.replace("_", "-"): path for name, path in vars(self).items() if path}
        return [word for name, path in given.items() for word in (f"--{name}", str(path))]


def log2_values(donors, tissues, n_genes, rng, present=0.9):
    """Return one row a sample (donor, tissue), and its log2 expression with factors of donors."""
    rows = pd.DataFrame(
        [(d, t) for d in donors for t in tissues if rng.random() < present],
        columns=["donor", "tissue"],
    )
    factors = pd.DataFrame(rng.standard_normal((len(donors), 3)), index=donors)
    base = {tissue: rng.uniform(3, 9, n_genes) for tissue in tissues}
    loadings = {tissue: rng.standard_normal((3, n_genes)) for tissue in tissues}
    shared = rng.standard_normal((3, n_genes))
    values = [
        base[t] + factors.loc[d].to_numpy() @ (shared + 0.5 * loadings[t]) * 0.5
        for d, t in rows.itertuples(index=False)
    ]
    return rows, np.array(values) + 0.5 * rng.standard_normal((len(rows), n_genes))


def rats(folder: Path) -> Files:
    """Write raw counts of three organs without blood, one CSV of samples, and a gene model."""
    rng = np.random.default_rng(1)
    animals = [str(i) for i in range(101, 131)]
    rows, values = log2_values(animals, ["Liver", "Kidney", "Heart"], 60, rng)
    length = rng.integers(500, 6000, 60)
    counts = np.round(np.exp2(values) * length / 100 * rng.uniform(0.5, 2, (len(rows), 1)))
    ids = [f"S{i:03d}" for i in range(len(rows))]
    genes = [f"ENSRNOG{i:011d}" for i in range(60)]
    table = pd.DataFrame(counts.T.astype(int), index=genes, columns=ids)
    table.to_csv(folder / "counts.csv")
    sex = {animal: rng.choice(["Female", "Male"]) for animal in animals}
    weight = {animal: rng.integers(200, 400) for animal in animals}
    samples = rows.assign(
        sample=ids,
        sex=rows["donor"].map(sex),
        weight=rows["donor"].map(weight),
    ).rename(columns={"donor": "Rat ID", "tissue": "Organ"})
    samples.to_csv(folder / "samples.csv", index=False)
    gtf = [
        f'{i % 20 + 1}\tx\t{feature}\t{1000}\t{1000 + length[i] - 1}\t.\t+\t.\tgene_id "{gene}"; '
        f'gene_biotype "protein_coding"; transcript_id "T{i}";'
        for i, gene in enumerate(genes)
        for feature in ("gene", "exon")
    ]
    (folder / "rat.gtf").write_text("\n".join(gtf) + "\n")
    return Files(folder / "counts.csv", folder / "samples.csv", None, folder / "rat.gtf")


def mice(folder: Path) -> Files:
    """Write log ratios of two tissues, with CRLF, quotes and a table of mice."""
    rng = np.random.default_rng(2)
    names = [f"F2-{i}" for i in range(40)]
    rows, values = log2_values(names, ["hypothalamus", "liver"], 50, rng, 0.95)
    values -= values.mean(0)
    ids = [f"array {i}" for i in range(len(rows))]
    table = pd.DataFrame(values.T, index=[f"A_51_P{i}" for i in range(50)], columns=ids)
    table.rename_axis("probe").to_csv(
        folder / "ratios.txt", sep="\t", lineterminator="\r\n", quoting=1
    )
    rows.assign(array=ids, batch=[i % 3 for i in range(len(rows))]).rename(
        columns={"donor": "mouse"}
    ).to_csv(folder / "arrays.txt", sep="\t", index=False, encoding="utf-8-sig")
    people = pd.DataFrame({"name": names, "Sex": rng.choice(["F", "M"], 40)})
    people.assign(diet=rng.choice([1, 2, 3], 40)).to_csv(
        folder / "mice.tsv", sep="\t", index=False
    )
    return Files(folder / "ratios.txt", folder / "arrays.txt", folder / "mice.tsv")


def pilot(folder: Path) -> Files:
    """Write RPKM of 11 genes in GTEx's form, with phenotypes under other names."""
    rng = np.random.default_rng(3)
    donors = [f"GTEX-{i:04d}" for i in range(50)]
    rows, values = log2_values(donors, ["Whole Blood", "Lung", "Thyroid"], 11, rng)
    ids = [f"{donor}-{i:04d}-SM-X" for i, donor in enumerate(rows["donor"])]
    lines = ["#1.2", f"11\t{len(ids)}", "\t".join(["Name", "Description", *ids])]
    lines += [
        "\t".join([f"ENSG{i:011d}.1", f"G{i}", *(f"{value:.5g}" for value in column)])
        for i, column in enumerate(np.exp2(values).T)
    ]
    (folder / "pilot_rpkm.gct").write_text("\n".join(lines) + "\n")
    pd.DataFrame({"SAMPID": ids, "SMTSD": rows["tissue"]}).to_csv(
        folder / "attributes.txt", sep="\t", index=False
    )
    brackets = rng.choice(["20-29", "40-49", "60-69"], len(donors))
    people = pd.DataFrame({"SUBJID": donors, "GENDER": rng.integers(1, 3, 50), "AGE": brackets})
    people.to_csv(folder / "subjects.txt", sep="\t", index=False)
    return Files(folder / "pilot_rpkm.gct", folder / "attributes.txt", folder / "subjects.txt")


def strains(folder: Path) -> Files:
    """Write TPM of two tissues, of which nothing else is known."""
    rng = np.random.default_rng(4)
    rows, values = log2_values([f"BXD{i}" for i in range(24)], ["eye", "spleen"], 40, rng, 1.0)
    ids = [f"{donor}_{tissue}" for donor, tissue in rows.itertuples(index=False)]
    table = pd.DataFrame(np.exp2(values).T, index=[f"Gene{i}" for i in range(40)], columns=ids)
    table.rename_axis("gene").to_csv(folder / "tpm.tsv", sep="\t")
    rows.assign(id=ids)[["id", "donor", "tissue"]].to_csv(
        folder / "samples.tsv", sep="\t", index=False
    )
    return Files(folder / "tpm.tsv", folder / "samples.tsv")
