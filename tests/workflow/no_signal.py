"""A cohort of a tenth of GTEx's genes in which nothing can be told, through every analysis."""

from pathlib import Path

from in_process import run_all

FOLDER = "resources/simulated/silent"
INPUTS = {
    "expression": "expression.gct.gz",
    "sample_attributes": "sample_attributes.tsv",
    "subject_phenotypes": "subject_phenotypes.tsv",
    "gene_model": "gene_model.gtf",
    "controlled_phenotypes": "controlled_phenotypes.tsv",
    "conservation": "conservation.bw",
    "interactions": "interactions.tsv",
    "gene_identifiers": "gene_identifiers.tsv",
}
WIDTHS = {"encoder_widths": [16], "code_width": 8}
MODELS = {
    "mtm": {
        "target_scale": "log2_z", "encoder_input": "z", **WIDTHS, "generator_widths": [16],
        "discriminator_widths": [16], "mapping_widths": [8], "noise_width": 4, "steps": 20,
    },
    "joint": {"n_factors": 2, "fits": 1, "noise_rank": 2, "noise_freedom": 0, "iterations": 4},
    "ridge": {"covariates": "own_penalty"},
    "same_gene": {},
    "covariates": {},
}  # fmt: skip
STRENGTHS = ("factor", "tissue", "own", "covariate", "nonlinear")
TISSUES = ["Lung", "Muscle - Skeletal", "Thyroid", "Whole Blood"]
SMALL = {"widths": [16], "epochs": 2}
# More than the paper's definition finds by chance, fewer than within training folds.
FEW_GENES = {"min_genes": 30}
DRAWS = {"permutations": 40, "bootstraps": 40}
CONFIG = {
    "cohort": "silent",
    "inputs": {name: f"{FOLDER}/{file}" for name, file in INPUTS.items()},
    "external": {
        "patients": {
            "expression": f"{FOLDER}/external_expression.tsv",
            "samples": f"{FOLDER}/external_samples.tsv",
        }
    },
    "simulation": {
        "n_donors": 100, "n_genes": 1929, "n_noncoding": 0, "n_par_y": 0, "tissues": TISSUES,
        "rare_tissues": [], "min_availability_share": 0.9, "disease_gene_share": 0,
        "conservation_strength": 0, "connectivity_strength": 0,
        **{f"{name}_strength": 0 for name in STRENGTHS},
    },
    "folds": {"n_folds": 2},
    "training": {"device": "cpu", "monitor_every": 10},
    "models": {
        name: {"class": name, "parameters": parameters} for name, parameters in MODELS.items()
    },
    "accuracy": DRAWS,
    "representations": DRAWS,
    "gene_characteristics": {"bootstraps": 40},
    "traits": {"permutations": 40, "splits": 2, **FEW_GENES},
    "disease": {
        "kinds": ["medical_history", "hardy"], "min_cases": 20, "min_controls": 20,
        "permutations": 20, **FEW_GENES,
    },
    "disease_status": {
        "parts": 1, "n_folds": 2, "repeats": 1, "inner_folds": 2, "n_penalties": 4,
        "permutations": 2, "halvings": 4,
    },
    "transfer": {"permutations": 40, "models": ["mtm", "joint"]},
    "evaluation": {
        "models": ["ridge"], "external": {"site_C1": {"hold_out": "center", "values": ["C1"]}}
    },
    "landmarks": {"n": 20, "methods": ["ridge"]},
    "ranks": {"epochs": 1, "layers": 1, "width": 8, "heads": 2, "length": 50, "components": 4},
    "profiles": {
        "run": True, "parts": ["neighbours", "conservation"], "hidden": [1], "seen": [],
        "n_folds": 2,
    },
    "imputation": {
        "methods": ["gaussian"], "autoencoder": {**SMALL, "code_width": 4},
        "random_features": 20, "probe_genes": 50,
    },
    "any_sources": {"models": ["joint"], "random": [1]},
}  # fmt: skip


def run_no_signal(folder: Path) -> None:
    """Run everything that the demo runs, with small models, on pure noise."""
    run_all(CONFIG, folder)
