"""A very small simulated cohort through every rule but the figures."""

import numpy as np
import pandas as pd
import pytest

from mtm.models.donors import DonorsKey
from mtm.models.registry import load

pytestmark = pytest.mark.workflow


def test_models_are_ranked_as_they_must_be(small_run):
    summary = pd.read_csv(small_run / "results/small/accuracy/summary.tsv", sep="\t")
    rows = summary[
        (summary["tissue"] == "(mean of tissues)")
        & (summary["scale"] == "log2_z")
        & (summary["convention"] == "per_fold")
    ].set_index("model")["mean_rho"]
    assert set(rows.index) == {"mtm", "train_mean", "oracle"}
    assert rows["train_mean"] == 0
    assert rows["oracle"] > max(0.3, rows["mtm"])


def test_bundle_names_its_training_donors(small_run):
    folds = pd.read_csv(small_run / "results/small/cohort/folds.tsv", sep="\t")
    key = DonorsKey.read(small_run / "results/small/models/donors.key")
    model = load(small_run / "results/small/models/mtm/fold0.safetensors", key)
    seen = model.provenance.training_donors.among(folds["donor"])
    assert (seen == (folds["fold"] != 0)).all()
    assert (model.provenance.name, model.provenance.cohort) == ("mtm", "small")
    assert model.provenance.fold == "0"
    everyone = load(small_run / "results/small/models/mtm/all.safetensors", key)
    assert everyone.provenance.training_donors.among(folds["donor"]).all()
    assert len(everyone.provenance.training_donors) == len(folds)
    assert everyone.provenance.fold == "all"


def test_the_bundle_to_give_away_has_what_the_held_out_donors_told(small_run):
    folder = small_run / "results/small"
    plain, certified = (
        load(folder / name) for name in ("models/mtm/all.safetensors", "bundles/mtm.safetensors")
    )
    assert plain.certificate is None
    known = certified.certificate
    assert (known.sources, known.levels) == (("Whole Blood",), (0.5, 0.8, 0.9))
    assert [name for name, n in zip(certified.tissues, known.n_donors, strict=True) if n] == [
        "Lung",
        "Thyroid",
    ]
    assert plain.card is None
    by_tissue = pd.read_csv(folder / "accuracy/by_tissue/mtm.tsv", sep="\t")
    rho = by_tissue.query("scale == 'log2_z' and convention == 'per_fold'").set_index("tissue")
    for row in certified.card.accuracy:
        assert row.rho == pytest.approx(rho["mean_rho"][row.target], abs=1e-6)
    assert {row.target for row in certified.card.accuracy} == {"Lung", "Thyroid"}
    genes = pd.read_parquet(folder / "intervals/genes/mtm.parquet")
    of_lung = genes[genes["tissue"] == "Lung"].set_index("gene_id")
    np.testing.assert_array_equal(
        known.sd[certified.tissues.index("Lung")],
        of_lung["sd"][certified.genes.index].to_numpy(np.float32),
    )
    coverage = pd.read_csv(folder / "intervals/coverage.tsv", sep="\t")
    assert set(coverage["model"]) == {"mtm", "train_mean", "oracle"}
    whole = coverage[(coverage["by"] == "all") & (coverage["tissue"] == "(mean of tissues)")]
    # A dozen held-out donors: far from exact, and near what it should be.
    assert (whole["coverage"] - whole["level"]).abs().max() < 0.12


def test_training_state_is_gone_and_logs_are_in_place(small_run):
    assert not list((small_run / "checkpoints").rglob("*.pt"))
    assert "3 steps" in (small_run / "logs/small/train_fold/mtm/fold0.log").read_text()
    skipped = pd.read_csv(small_run / "results/small/tables/skipped.tsv", sep="\t")
    # Three tissues, few donors, and no phenotypes under controlled access.
    assert list(skipped["analysis"]) == [
        "exact age, BMI, disease",
        "accuracy for people from elsewhere",
        "growth of accuracy with donors",
        "landmarks",
        "zeros of read counts",
        "trait BMI",
        "agreement of patients with a reference (Fig 4)",
        "noise ceiling",
        *["accuracy/partial of covariates", "accuracy/partial of other_deaths"] * 2,
        "differential expression and disease status",
        "disease/contrasts",
        "decoding paths",
        "similarity of tissues",
        "traits/agreement",
    ]


def test_every_number_of_the_paper_stands_beside_ours_or_with_a_reason(small_run):
    table = pd.read_csv(small_run / "results/small/tables/paper.tsv", sep="\t")
    assert set(table["id"]) == {f"R{i}" for i in range(1, 23)}
    assert (table["verdict"] == "-").all()
    assert table.loc[table["ours"].isna(), "note"].notna().all()
    known = set(table.loc[table["ours"].notna(), "id"])
    assert {"R1", "R2", "R5", "R10", "R22"} <= known
    # Two target tissues: nothing to compare in pairs.
    assert not {"R11", "R12"} & known
