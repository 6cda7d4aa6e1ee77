"""A cohort that gives most analyses too little, through every rule from its files to the page."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from in_process import run_all

from mtm.settings.simulation import SimulationSettings
from mtm.simulation.files import simulate_cohort

WIDTHS = {"encoder_widths": [8], "code_width": 4}
MODELS = {
    "mtm": {
        **WIDTHS, "generator_widths": [8], "discriminator_widths": [8], "mapping_widths": [4],
        "noise_width": 4, "steps": 2,
    },
    "mlp": {**WIDTHS, "decoder_widths": [8], "epochs": 1, "min_pairs": 40},
    "covariates": {},
    "ridge": {"covariates": "together"},
}  # fmt: skip
FEW = {"permutations": 19}
NAMES = ("expression", "sample_attributes", "subject_phenotypes", "gene_model")


def run_little(folder: Path, varying: Sequence[str] = (), targets: Sequence[str] = ()) -> None:
    """Run a cohort without signal, of 11 genes and two target tissues.

    Of sex, age and class of death those in `varying` differ between donors.
    """
    files = {name: folder / f"{name}.tsv" for name in (*NAMES, "controlled_phenotypes", "truth")}
    files |= {"expression": folder / "expression.gct.gz", "truth": folder / "truth.h5ad"}
    strengths = ("factor", "tissue", "own", "covariate", "nonlinear")
    settings = SimulationSettings(
        n_donors=44,
        n_genes=11,
        n_noncoding=0,
        n_par_y=0,
        tissues=("Lung", "Thyroid", "Whole Blood"),
        rare_tissues=(),
        min_availability_share=0.9,
        disease_gene_share=0,
        **{f"{name}_strength": 0 for name in strengths},
    )
    simulate_cohort(settings, **files)
    for name, columns in (
        ("subject_phenotypes", {"SEX": 1, "AGE": "60-69", "DTHHRDY": 2}),
        ("sample_attributes", {"SMPTHNTS": "nothing"}),
    ):
        fixed = {column: value for column, value in columns.items() if column not in varying}
        table = pd.read_csv(files[name], sep="\t").assign(**fixed)
        if "SMPTHNTS" in table:
            table.loc[:8, "SMPTHNTS"] = "of few donors"
        kept = [column for column in table if column in ("SUBJID", "SAMPID", "SMTSD", *columns)]
        table[kept].to_csv(files[name], sep="\t", index=False)
    config = {
        "cohort": "little",
        "inputs": {name: str(files[name]) for name in NAMES},
        "filters": {"min_samples_per_tissue": 10},
        "folds": {"n_folds": 2},
        "training": {"device": "cpu", "monitor_every": 1},
        "models": {
            name: {"class": name, "parameters": parameters} for name, parameters in MODELS.items()
        },
        "disease": FEW | {"kinds": ["hardy"]},
        "traits": FEW,
        "evaluation": {
            "models": ["covariates"],
            "external": {"few": {"hold_out": "pathology_notes", "values": ["of few donors"]}},
        },
        **dict.fromkeys(("accuracy", "representations"), FEW | {"bootstraps": 20}),
    }
    run_all(config, folder, targets)
