"""The pooling artefact on real data: baselines b0 and b1 of methods 4, on the 59-gene panel."""

import random

import anndata
import numpy as np
import pandas as pd
import pytest
from real_data import PANEL, needs_panel

from mtm.analyses.accuracy.score import score_predictions
from mtm.cohort.scaling import TissueScaler
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.scaling import Scaling
from mtm.vocabulary import MEAN_OF_TISSUES

pytestmark = needs_panel
BLOOD = "Whole Blood"
N_FOLDS = 5


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    """The cohort of the paper with the published code's folds."""
    folder = tmp_path_factory.mktemp("panel")
    gct = pd.read_csv(PANEL / "gene_tpm_like.acmg_59.gct.gz", sep="\t", skiprows=2, index_col=0)
    attributes = pd.read_csv(PANEL / "sample_attributes.txt.gz", sep="\t", index_col=0)
    expr_tpm = gct.drop(columns="Description").T
    obs = pd.DataFrame(
        {
            "donor": expr_tpm.index.str.split("-").str[:2].str.join("-"),
            "tissue": attributes.loc[expr_tpm.index, "SMTSD"],
        },
        index=expr_tpm.index,
    )
    for column, least in (("tissue", 50), ("donor", 2)):
        obs = obs[obs.groupby(column)["donor"].transform("size") >= least]
    obs = obs.sort_values(["donor", "tissue"])
    donors = sorted(obs["donor"].unique())
    random.seed(666)
    folds = pd.Series(random.choices(range(N_FOLDS), k=len(donors)), donors)
    values = expr_tpm.loc[obs.index].to_numpy(np.float32)
    data = anndata.AnnData(values, obs, var=pd.DataFrame(index=gct.index.astype(str)))
    data.write_h5ad(folder / "expression.h5ad")
    table = pd.DataFrame({"donor": folds.index, "fold": folds.to_numpy()})
    table.to_csv(folder / "folds.tsv", sep="\t", index=False)
    return folder, data, folds


def accuracy(panel, predict):
    """Predict every fold from blood z-scores and score."""
    folder, data, folds = panel
    tissues = sorted(data.obs["tissue"].unique())
    tissue = np.array([tissues.index(name) for name in data.obs["tissue"]])
    fold_of = data.obs["donor"].map(folds).to_numpy()
    is_blood = (data.obs["tissue"] == BLOOD).to_numpy()
    blood_row = pd.Series(np.flatnonzero(is_blood), data.obs["donor"][is_blood])
    paths = []
    for fold in range(N_FOLDS):
        train = fold_of != fold
        scaler = TissueScaler.fit(
            data.X[train], tissue[train], len(tissues), "log2_z", Scaling(log2_clip=None)
        )
        wanted = ~is_blood & ~train & data.obs["donor"].isin(blood_row.index).to_numpy()
        rows = np.flatnonzero(wanted)
        blood = blood_row[data.obs["donor"].iloc[rows]].to_numpy()
        obs = pd.DataFrame(
            {
                "donor": data.obs["donor"].iloc[rows],
                "sources": BLOOD,
                "target": data.obs["tissue"].iloc[rows],
                "fold": fold,
            }
        )
        # The probe of methods 4 took training means of donors with blood alone.
        paired = train & data.obs["donor"].isin(blood_row.index).to_numpy()
        expr_z = pd.DataFrame(scaler.transform(data.X[paired], tissue[paired]))
        mean_z = expr_z.groupby(tissue[paired]).mean().loc[tissue[rows]].to_numpy()
        predicted = predict(scaler.transform(data.X[blood], tissue[blood]), mean_z)
        uns = {"scale": "log2_z"}
        paths.append(folder / f"fold{fold}.h5ad")
        anndata.AnnData(predicted, obs, var=data.var, uns=uns).write_h5ad(paths[-1])
    held_out = read_held_out(folder / "expression.h5ad", folder / "folds.tsv", paths, BLOOD)
    assert len(held_out.rows) == 13_498
    settings = AccuracySettings(permutations=100, bootstraps=100)
    scores = score_predictions(held_out, "panel", settings, device="cpu")
    table = scores.by_tissue
    keep = (table["scale"] == "log2_z") & (table["tissue"] == MEAN_OF_TISSUES)
    return table[keep].set_index("convention")


@pytest.mark.slow
def test_training_mean(panel):
    table = accuracy(panel, lambda blood_z, mean_z: mean_z)
    assert table.loc["per_fold", "mean_rho"] == 0
    assert table.loc["pooled_raw", "mean_rho"] == pytest.approx(-0.126, abs=0.002)


@pytest.mark.slow
def test_same_gene_in_blood(panel):
    table = accuracy(panel, lambda blood_z, mean_z: blood_z)
    assert table.loc["per_fold", "mean_rho"] == pytest.approx(0.061, abs=0.004)
    assert table.loc["pooled_z", "mean_rho"] == pytest.approx(0.061, abs=0.004)
    assert table.loc["pooled_raw", "mean_rho"] == pytest.approx(0.056, abs=0.004)
    row = table.loc["per_fold"]
    assert row["null_high"] < row["ci_low"] < row["mean_rho"] < row["ci_high"]
