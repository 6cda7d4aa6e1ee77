"""A cohort that gives most analyses too little, through every rule from its files to figures."""

import pandas as pd
import pytest
from in_process import run_all

from mtm.settings.simulation import SimulationSettings
from mtm.simulation.files import simulate_cohort

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

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


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Run a cohort without signal, of 11 genes, two target tissues and no varying covariate."""
    folder = tmp_path_factory.mktemp("little")
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
        table = pd.read_csv(files[name], sep="\t").assign(**columns)
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
    run_all(config, folder)
    return folder / "results/little"


def test_what_cannot_be_done_is_listed_with_reason_and_remedy(tables):
    skipped = pd.read_csv(tables / "tables/skipped.tsv", sep="\t")
    reasons = skipped.set_index("analysis")["reason"]
    for analysis in ("similarity of tissues", "decoding paths"):
        assert reasons[analysis] == "2 target tissues, fewer than 3"
    assert reasons["accuracy beyond covariates"] == "no covariate varies between donors"
    assert "no tissue has 50 cases" in reasons["differential expression and disease status"]
    assert "one level" in reasons["traits/agreement"].iloc[0]
    assert "fewer than 5" in reasons["external/tissues of few"]
    assert "none of its tissues" in reasons["accuracy for people from elsewhere"]
    models = skipped[skipped["analysis"] == "fit of a model"].set_index("model")["reason"]
    assert models["covariates"] == "no covariate varies between training donors"
    assert models["mlp"] == "too few training pairs in 2 tissues"
    assert "transfer to an external cohort" in reasons
    assert skipped[["analysis", "reason", "remedy"]].notna().all(None)


def test_everything_else_goes_on(tables):
    summary = pd.read_csv(tables / "accuracy/summary.tsv", sep="\t")
    assert set(summary["model"]) == set(MODELS)
    rows = summary[summary["convention"].eq("per_fold")].set_index("model")
    assert (rows.loc[["covariates", "mlp"], "mean_rho"] == 0).all()
    assert (rows.loc["ridge", "mean_rho"] != 0).all()
    assert len(pd.read_csv(tables / "representations/codes_summary.tsv", sep="\t"))
    drawn = {path.stem for path in (tables / "figures").glob("*.png")}
    wanted = "fig2a fig3b fig_s8 fig_s9 fig_s12 fig3cd fig_s15 external"
    assert set(wanted.split()) <= drawn
