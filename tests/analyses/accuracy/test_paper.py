import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from scripts import Named, run_script

from mtm.analyses.accuracy.comparison import PAPER_PAIRS
from mtm.analyses.accuracy.overlaps import fold_changes
from mtm.analyses.accuracy.paper import READING_OF, STATISTICS, Results, paper_table, paper_values
from mtm.errors import InputError
from mtm.vocabulary import MEAN_OF_TISSUES, READINGS

ROLES = {"MTM": "mtm", "S1": "bgex", "S2": "teebot", "S3": "mlp"}
TISSUES = ["Esophagus - Muscularis", "Liver", "Lung", "Ovary"]
MEASURES = [
    (scale, level, convention)
    for scale in ("log2_z", "tpm_z")
    for level, convention in (
        ("gene_wise", "per_fold"),
        ("gene_wise", "pooled_z"),
        ("gene_wise", "pooled_raw"),
        ("sample_wise", "per_sample"),
    )
]


@pytest.fixture
def results():
    rng = np.random.default_rng(0)
    summary, pairs, overlaps = [], [], []
    for scale, level, convention in MEASURES:
        key = {"scale": scale, "level": level, "convention": convention}
        for model in ROLES.values():
            for tissue in [*TISSUES, MEAN_OF_TISSUES]:
                counts = rng.integers(0, 900, 2) if level == "gene_wise" else [np.nan] * 2
                row = {"model": model, "tissue": tissue, "n_genes": 5000, "mean_rho": rng.normal()}
                row |= dict(zip(("n_predictable", "n_predictable_paper"), counts, strict=True))
                summary.append(key | row)
        for a, b in PAPER_PAIRS:
            for tissue in [*TISSUES, MEAN_OF_TISSUES]:
                row = {"model_a": ROLES[a], "model_b": ROLES[b], "tissue": tissue}
                row |= {"difference": rng.normal(), "q": rng.random() / 8}
                pairs.append(key | row | {"p_rank_sum": rng.random() / 8})
    for reading in READINGS:
        for a, b in PAPER_PAIRS:
            for n_samples, tissue in enumerate(TISSUES, start=70):
                row = {"model_a": ROLES[a], "model_b": ROLES[b], "tissue": tissue}
                row |= {
                    "definition": reading.definition,
                    "scale": reading.scale,
                    "n_samples": n_samples,
                }
                n_a, n_b = rng.integers(1, 90, 2)
                shares = {"share_of_a_in_b": rng.random(), "share_of_b_in_a": rng.random()}
                overlaps.append(row | {"n_a": n_a, "n_b": n_b} | shares)
    overlaps = pd.DataFrame(overlaps)
    changes = fold_changes(overlaps, dict(zip(TISSUES, range(200, 900), strict=False)))
    return Results(pd.DataFrame(summary), pd.DataFrame(pairs), overlaps, changes)


def pick(table, **values):
    for column, wanted in values.items():
        table = table[table[column] == wanted]
    return table


def one(table, **values):
    rows = pick(table, **values)
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_papers_values_are_whole_and_agree_with_its_own_ratios():
    values = paper_values()
    assert sorted(set(values["id"])) == [f"R{i}" for i in range(1, 10)]
    assert set(values["statistic"]) <= set(STATISTICS)
    assert not values.duplicated(["measure", "role_a", "role_b", "tissue", "statistic"]).any()
    mean = {
        (row["measure"], row["role_a"]): row["paper"]
        for row in pick(values, statistic="mean").to_dict("records")
    }
    for measure, times in (("sample_wise", 1.63), ("gene_wise", 2.29), ("predictable", 1.87)):
        gain = mean[measure, "MTM"] / mean[measure, "S2"] - 1
        assert gain == pytest.approx(times, abs=0.01)


def test_ours_are_taken_from_the_tables_under_both_conventions(results):
    table = paper_table(results, ROLES, list(ROLES.values()), "demo")
    assert len(table) == len(paper_values())
    assert (table["cohort"] == "demo").all()
    assert (table["n_genes"] == 5000).all()
    for label, scale, convention, definition, significance in (
        ("tpm_z_pooled", "tpm_z", "pooled_raw", "predictable_paper", "p_rank_sum"),
        ("log2_z_per_fold", "log2_z", "per_fold", "predictable", "q"),
    ):
        ours = f"ours_{label}"
        single = results.summary[results.summary["tissue"] != MEAN_OF_TISSUES]
        of = pick(single, scale=scale, convention=convention, model="teebot")
        row = one(table, id="R2", role_a="S2", statistic="sd")
        assert row[ours] == pytest.approx(np.std(of["mean_rho"], ddof=1))
        assert row[f"n_tissues_{label}"] == 4
        row = one(table, id="R5", role_a="S2", statistic="max")
        assert row[ours] == of[f"n_{definition}"].max()
        of = pick(single, scale=scale, level="sample_wise", model="mtm")
        row = one(table, id="R1", role_a="MTM", statistic="mean")
        assert row[ours] == pytest.approx(np.mean(of["mean_rho"]))

        pairs = results.pairs[results.pairs["tissue"] != MEAN_OF_TISSUES]
        of = pick(pairs, scale=scale, level="sample_wise", model_a="mtm", model_b="mlp")
        row = one(table, id="R3", role_b="S3", paper=41.0)
        assert row[ours] == (of["difference"] > 0).sum()
        row = one(table, id="R3", role_b="S3", paper=24.0)
        assert row[ours] == ((of["difference"] > 0) & (of[significance] < 0.05)).sum()
        of = pick(pairs, scale=scale, convention=convention, model_a="mlp", model_b="teebot")
        row = one(table, id="R4", role_a="S3", paper=43.0)
        assert row[ours] == ((of["difference"] > 0) & (of[significance] < 0.05)).sum()

        of = pick(results.overlaps, definition=definition, model_a="mtm", model_b="bgex")
        row = one(table, id="R6", role_a="S1", statistic="median")
        assert row[ours] == pytest.approx(np.median(of["share_of_b_in_a"]))
        row = one(table, id="R7", role_b="S1", statistic="min")
        assert row[ours] == of["share_of_a_in_b"].min()
        of = pick(results.overlaps, definition=definition, model_a="mtm", model_b="mlp")
        row = one(table, id="R7", role_a="S3", tissue="Esophagus - Muscularis")
        assert row[ours] == one(of, tissue="Esophagus - Muscularis")["share_of_b_in_a"]
        of = pick(results.overlaps, definition=definition, model_a="mtm", model_b="teebot")
        change = of["n_a"] / of["n_b"]
        row = one(table, id="R8", role_a="MTM", role_b="S2", statistic="median")
        assert row[ours] == pytest.approx(np.median(change))
        rho, p = spearmanr(of["n_samples"], change)
        assert one(table, id="R9", paper=0.48)[ours] == pytest.approx(rho)
        assert one(table, id="R9", paper=5.26e-4)[ours] == pytest.approx(p)


def test_a_model_that_was_not_run_is_named(results):
    table = paper_table(results, ROLES, ["mtm", "bgex", "teebot"], "demo")
    of_s3 = (table["role_a"] == "S3") | (table["role_b"] == "S3")
    ours = [f"ours_{label}" for label in READING_OF]
    assert table.loc[of_s3, ours].isna().all(axis=None)
    assert table.loc[of_s3, "remark"].str.endswith("not run: mlp").all()
    assert table.loc[~of_s3, ours].notna().all(axis=None)
    assert not table.loc[~of_s3, "remark"].str.contains("not run").any()
    without_role = paper_table(results, {"MTM": "mtm"}, ["mtm", "bgex"], "demo")
    rows = pick(without_role, role_a="S1", role_b="")
    assert (rows["remark"] == "not run: no model plays S1").all()


def test_an_absent_tissue_and_an_unknown_role_are_named(results):
    fewer = results.overlaps[results.overlaps["tissue"] != "Esophagus - Muscularis"]
    changed = Results(results.summary, results.pairs, fewer, results.fold_changes)
    table = paper_table(changed, ROLES, list(ROLES.values()), "demo")
    row = one(table, id="R7", role_a="S2", tissue="Esophagus - Muscularis")
    assert "no Esophagus - Muscularis with a value" in row["remark"]
    assert np.isnan(row["ours_tpm_z_pooled"])
    with pytest.raises(InputError, match="found S4"):
        paper_table(results, {"S4": "mlp"}, ["mlp"], "demo")


def test_the_script_reads_tables_and_writes_one(results, tmp_path):
    inputs = {}
    for name in ("summary", "pairs", "overlaps", "fold_changes"):
        inputs[name] = tmp_path / f"{name}.tsv"
        getattr(results, name).to_csv(inputs[name], sep="\t", index=False)
    output = Named(table=tmp_path / "out" / "paper.tsv")
    run_script(
        "compare_with_paper",
        tmp_path / "log.txt",
        input=inputs,
        params={"roles": ROLES, "models": list(ROLES.values()), "cohort": "demo"},
        output=output,
    )
    written = pd.read_csv(output.table, sep="\t")
    expected = paper_table(results, ROLES, list(ROLES.values()), "demo")
    for label in READING_OF:
        np.testing.assert_allclose(written[f"ours_{label}"], expected[f"ours_{label}"])
