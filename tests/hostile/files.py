"""Good files that rows spoil: a cohort of four tissues and its configuration."""

import copy
from pathlib import Path

import numpy as np
import yaml

TISSUES = ("Liver", "Lung", "Thyroid", "Whole Blood")
N_DONORS, N_GENES = 20, 12
GENES = tuple(f"ENSG{i:011d}.{1 + i % 5}" for i in range(1, N_GENES + 1))
DONORS = tuple(f"GTEX-{1001 + i}" for i in range(N_DONORS))
CONFIG = {
    "cohort": "small",
    "inputs": {
        "expression": "expression.gct",
        "sample_attributes": "attributes.tsv",
        "subject_phenotypes": "phenotypes.tsv",
    },
    "filters": {"gene_biotypes": None, "min_samples_per_tissue": 5},
    "folds": {"scheme": "balanced", "n_folds": 2, "seed": 1},
    "training": {"device": "cpu"},
    "models": {"mean": {"class": "train_mean"}, "ridge": {"class": "ridge"}},
    "accuracy": {"permutations": 20, "bootstraps": 20},
}


def expression() -> np.ndarray:
    """Return TPM of every gene (rows) in every tissue of every donor, donors slowest."""
    rng = np.random.default_rng(5)
    of_genes = rng.uniform(2, 8, (N_GENES, 1))
    return np.exp2(of_genes + rng.standard_normal((N_GENES, N_DONORS * len(TISSUES))))


def samples() -> list[tuple[str, str, str]]:
    """Return sample, donor and tissue in the order of the columns of `expression`."""
    return [
        (f"{donor}-{place:04d}-SM-A", donor, tissue)
        for donor in DONORS
        for place, tissue in enumerate(TISSUES)
    ]


def gct(values: np.ndarray, sample_ids, gene_ids=GENES) -> str:
    """Return a GCT file of values with genes in rows."""
    lines = ["#1.2", f"{len(values)}\t{values.shape[1]}"]
    lines.append("\t".join(["Name", "Description", *sample_ids]))
    for gene, row in zip(gene_ids, values, strict=True):
        lines.append("\t".join([gene, f"S{gene[-3:-2]}", *(f"{value:.5g}" for value in row)]))
    return "\n".join(lines) + "\n"


def write_cohort(folder: Path) -> None:
    """Write the files that `CONFIG` names."""
    rows = samples()
    (folder / "expression.gct").write_text(gct(expression(), [row[0] for row in rows]))
    attributes = ["SAMPID\tSMTSD\tSMRIN\tSMTSISCH\tSMCENTER"]
    attributes += [f"{sample}\t{tissue}\t7.1\t340\tB1" for sample, _, tissue in rows]
    (folder / "attributes.tsv").write_text("\n".join(attributes) + "\n")
    people = ["SUBJID\tSEX\tAGE\tDTHHRDY"]
    people += [f"{donor}\t{1 + i % 2}\t{20 + 10 * (i % 5)}-{29 + 10 * (i % 5)}\t{i % 5}"
               for i, donor in enumerate(DONORS)]  # fmt: skip
    (folder / "phenotypes.tsv").write_text("\n".join(people) + "\n")


def config(**changes) -> dict:
    """Return `CONFIG` with sections laid over its own: a section's keys, or another value."""
    whole = copy.deepcopy(CONFIG)
    for name, value in changes.items():
        merge = isinstance(value, dict) and isinstance(whole.get(name), dict) and name != "models"
        whole[name] = whole[name] | value if merge else value
    return whole


def write_config(folder: Path, content: dict | str | bytes) -> list[str]:
    """Write ``config.yaml``; return the command of its dry run."""
    if isinstance(content, dict):
        content = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "config.yaml").write_bytes(data)
    return ["snakemake", "-n", "--configfile", "config.yaml"]
