"""Status from predicted expression: planted truth, chance, pairs compared."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mtm.analyses.disease.contrasts import contrast_table, held_out_samples
from mtm.analyses.disease.status import (
    StatusPairs,
    disease_status,
    donor_halves,
    labels_of_part,
)
from mtm.analyses.disease.status_classifier import HALF
from mtm.analyses.disease.status_tables import (
    COUNTS,
    KEY,
    PART_CURVE,
    PART_STATUS,
    combine_status,
    compare_inputs,
)
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import read_folds
from mtm.errors import InputError
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.disease import DiseaseSettings
from mtm.settings.disease_status import ClassifierSettings, StatusSettings
from mtm.vocabulary import BASELINE, OBSERVED, PREDICTED, SOURCE

N_DONORS, N_GENES, N_FOLDS = 100, 40, 2
QUICK = ClassifierSettings(
    n_folds=4, repeats=2, inner_folds=3, n_penalties=8, patience=3, permutations=2, halvings=4
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a cohort whose disease shows in Lung, at a third in blood, and not in Liver."""
    folder, rng = tmp_path_factory.mktemp("status"), np.random.default_rng(0)
    donors = pd.Index([f"D{i:03d}" for i in range(N_DONORS)], name="donor")
    case = rng.random(N_DONORS) < 0.45
    fold = rng.permutation(np.arange(N_DONORS) % N_FOLDS)
    own = rng.standard_normal((N_DONORS, N_GENES))
    blocks, obs = [], []
    for tissue, effect in (("Liver", 0.0), ("Lung", 1.2), ("Whole Blood", 0.2)):
        log2 = 5 + own + 0.8 * rng.standard_normal(own.shape)
        log2[case, :4] += effect
        blocks.append(np.exp2(log2))
        obs.append(
            pd.DataFrame({"donor": list(donors), "tissue": tissue}, list(donors + f"-{tissue}"))
        )
    obs, expr_tpm = pd.concat(obs), np.concatenate(blocks).astype(np.float32)
    order = np.lexsort([obs["tissue"], obs["donor"]])
    obs, expr_tpm = obs.iloc[order], expr_tpm[order]
    genes = pd.DataFrame({"symbol": "G"}, index=[f"ENSG{i:011d}.1" for i in range(N_GENES)])
    anndata.AnnData(X=expr_tpm, obs=obs, var=genes, uns={"scale": "tpm"}).write_h5ad(
        folder / "expression.h5ad"
    )
    table = pd.DataFrame({"donor": donors, "MHX": case.astype(int), "sex": 1})
    table.to_csv(folder / "donors.tsv", sep="\t", index=False)
    pd.DataFrame({"donor": donors, "fold": fold}).to_csv(
        folder / "folds.tsv", sep="\t", index=False
    )
    target = (obs["tissue"] != "Whole Blood").to_numpy()
    observed_z = np.log2(1 + expr_tpm) - 5
    for model, noise in (("good", 0.7), ("covariates", 5.0)):
        for index in range(N_FOLDS):
            rows = np.flatnonzero(target & (obs["donor"].map(dict(zip(donors, fold, strict=True)))
                                            == index).to_numpy())  # fmt: skip
            part = obs.iloc[rows].rename(columns={"tissue": "target"})
            part = part.assign(sources="Whole Blood", fold=index)
            values = observed_z[rows] + noise * rng.standard_normal((len(rows), N_GENES))
            # Models of different folds are off by a constant.
            values = (values + 0.5 * index).astype(np.float32)
            anndata.AnnData(
                X=values, obs=part, var=genes, uns={"scale": "log2_z", "model": model}
            ).write_h5ad(folder / f"{model}{index}.h5ad")
    return folder


def held_out_of(folder, model):
    files = [folder / f"{model}{index}.h5ad" for index in range(N_FOLDS)]
    return read_held_out(folder / "expression.h5ad", folder / "folds.tsv", files, "Whole Blood")


def gene_table(predictable=True):
    genes = [f"ENSG{i:011d}.1" for i in range(N_GENES)]
    parts = [
        pd.DataFrame({"scale": scale, "tissue": tissue, "gene_id": genes,
                      "predictable": predictable, "predictable_paper": predictable})
        for scale in ("log2_z", "tpm_z") for tissue in ("Liver", "Lung")
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def every_pair(labels, settings, n_de=50):
    """Say of every pair that it has so many differentially expressed genes."""
    pairs = labels[["tissue", "contrast"]].drop_duplicates()
    agreement = pd.concat(
        pairs.assign(definition=definition, selection=selection)
        for definition in ("predictable", "predictable_paper")
        for selection in ("all_folds", "nested")
    ).assign(status="ran", reason="", n_de_observed=n_de)
    return StatusPairs(donor_halves(labels, settings), agreement, 10)


def parts_of_status(folder, n_parts=1, **changes):
    cohort = Cohort.read(folder / "expression.h5ad", folder / "donors.tsv")
    disease = DiseaseSettings(medical_history=None, min_cases=20, min_controls=20)
    samples = held_out_samples(cohort, read_folds(folder / "folds.tsv"), "Whole Blood")
    labels, _ = contrast_table(cohort, samples, disease)
    settings = StatusSettings(**dict(QUICK) | changes.pop("settings", {}))
    options = {
        "pairs": every_pair(labels, settings),
        "gene_wise": gene_table(),
        "baseline": held_out_of(folder, "covariates"),
    }
    return [
        disease_status(
            held_out_of(folder, "good"), "good", cohort, "Whole Blood",
            labels_of_part(labels, part, n_parts),
            settings=settings, accuracy=AccuracySettings(permutations=1, bootstraps=1),
            **options | changes,
        )
        for part in range(n_parts)
    ]  # fmt: skip


def joined_status(parts, **settings):
    return combine_status(
        *map(list, zip(*parts, strict=True)), StatusSettings(**dict(QUICK) | settings)
    )


def run_status(folder, n_parts=1, **changes):
    return joined_status(
        parts_of_status(folder, n_parts, **changes), **changes.get("settings", {})
    )


@pytest.fixture(scope="module")
def parts(folder):
    return parts_of_status(folder)


@pytest.fixture(scope="module")
def results(parts):
    return joined_status(parts)


@pytest.mark.slow
def test_tissue_tells_more_than_blood_where_it_was_planted(results):
    table, curves, summary = results
    assert set(table["status"]) == {"ran"}
    assert set(table["input"]) == {OBSERVED, PREDICTED, SOURCE, BASELINE}
    auc = table.set_index(["selection", "tissue", "input"])["auroc"].sort_index()
    for selection in ("all_folds", "nested"):
        lung = auc.xs((selection, "Lung"))
        assert lung[OBSERVED] > lung[SOURCE] + 0.1
        assert lung[PREDICTED] > max(lung[SOURCE], lung[BASELINE]) + 0.05
        assert abs(auc[selection, "Liver", OBSERVED] - 0.5) < 0.2
    assert ((table["ci_low"] <= table["auroc"]) & (table["auroc"] <= table["ci_high"])).all()
    assert abs(table["null_mean"].mean() - 0.5) < 0.1
    shown = curves[curves["shown"]]
    assert set(shown["tissue"]) == {"Lung"}
    one = shown[(shown["selection"] == "nested") & (shown["input"] == OBSERVED)]
    area = np.trapezoid(one["true_positive_rate"], one["false_positive_rate"])
    assert area == pytest.approx(auc["nested", "Lung", OBSERVED], abs=0.05)
    assert set(summary["pairs"]) == {"informative", "all"}


@pytest.mark.slow
def test_rows_of_a_pair_count_its_cases_and_controls(parts, results):
    status, curves, summary = results
    counted = status.drop_duplicates(KEY).set_index(KEY)[COUNTS]
    assert (counted > 20).all(None)
    for table in (*parts[0], curves):
        rows = table.set_index(KEY)[COUNTS]
        pd.testing.assert_frame_equal(rows, counted.reindex(rows.index))
    of_all = summary[summary["pairs"] == "all"].set_index(KEY[:3])["n_pairs"]
    assert (of_all == counted.groupby(KEY[:3]).size().reindex(of_all.index)).all()


@pytest.mark.slow
def test_parts_give_the_same_tables_as_the_whole(folder, results):
    # Two tissues: the third part is empty.
    for whole, joined in zip(results, run_status(folder, n_parts=3), strict=True):
        pd.testing.assert_frame_equal(whole, joined)


def test_tissues_are_dealt_out_by_labelled_samples():
    tissues = ["Lung"] * 5 + ["Liver"] * 9 + ["Colon"] * 5 + ["Heart"] * 2
    labels = pd.DataFrame({"tissue": tissues})
    parts = [labels_of_part(labels, part, 3) for part in range(3)]
    dealt = [list(part["tissue"].unique()) for part in parts]
    assert dealt == [["Liver", "Heart"], ["Colon"], ["Lung"]]
    assert sum(map(len, parts)) == len(labels)
    assert labels_of_part(labels, 4, 5).empty


@pytest.mark.slow
def test_summary_compares_over_pairs(results):
    table, _, summary = results
    wide = table[table["selection"] == "nested"].pivot(
        index="tissue", columns="input", values="auroc"
    )
    row = summary.set_index(["selection", "pairs", "input_a", "input_b"]).loc[
        ("nested", "all", PREDICTED, SOURCE)
    ]
    assert row["difference"] == pytest.approx((wide[PREDICTED] - wide[SOURCE]).mean())
    assert row["n_pairs"] == row["n_pairs_all"] == row["n_pairs_halved"] == 2
    assert row["ci_low"] < row["difference"] < row["ci_high"]


@pytest.mark.slow
def test_summary_counts_the_pairs_that_make_its_interval(results):
    table = results[0]
    halves = table[[*KEY, "input"]].merge(
        pd.DataFrame({"kind": HALF, "number": [0, 0, 1, 1], "part": [0, 1, 0, 1]}), how="cross"
    )
    halves["auroc"] = np.random.default_rng(0).uniform(0.4, 0.8, len(halves))
    for gone, expected in ((None, 2), ("Liver", 1)):
        summary = compare_inputs(table, halves[halves["tissue"] != gone])
        everything = summary[summary["pairs"] == "all"]
        assert (everything["n_pairs"] == 2).all()
        assert (everything["n_pairs_halved"] == expected).all()
        assert everything["p"].notna().all()


@pytest.mark.slow
def test_offsets_between_folds_of_the_model_do_not_matter(folder, results):
    held_out = held_out_of(folder, "good")
    for index in range(N_FOLDS):
        data = anndata.read_h5ad(folder / f"good{index}.h5ad")
        data.X = data.X - np.float32(0.5 * index)
        data.write_h5ad(folder / f"level{index}.h5ad")
    level = held_out_of(folder, "level")
    settings = {"settings": {"selections": ["all_folds"]}, "baseline": None}
    aucs = []
    for model in (held_out, level):
        cohort = Cohort.read(folder / "expression.h5ad", folder / "donors.tsv")
        labels, _ = contrast_table(
            cohort,
            pd.Index(model.rows["sample_id"]),
            DiseaseSettings(medical_history=None, min_cases=20, min_controls=20),
        )
        options = StatusSettings(**dict(QUICK) | settings["settings"])
        table, _, _ = disease_status(
            model, "m", cohort, "Whole Blood", labels[labels["tissue"] == "Lung"], gene_table(),
            options, every_pair(labels, options),
        )  # fmt: skip
        aucs.append(table.set_index("input")["auroc"])
    # Not exactly: log2(1+TPM) below 0 is cut at 0.
    assert aucs[0][PREDICTED] == pytest.approx(aucs[1][PREDICTED], abs=0.03)
    assert aucs[0][OBSERVED] == aucs[1][OBSERVED]


def test_pairs_without_enough_genes_or_donors_are_rows_with_a_reason(folder):
    table, curves, summary = run_status(
        folder, gene_wise=gene_table(False), settings={"selections": ["all_folds"]}
    )
    assert (table["status"] == "skipped").all()
    assert (table["reason"] == "0 predictable genes, fewer than 10").all()
    assert curves.empty
    assert summary.empty
    few = ClassifierSettings(n_folds=5, inner_folds=40)
    table, _, _ = run_status(folder, settings=dict(few) | {"selections": ["nested"]})
    assert table["reason"].str.contains("which the folds need").all()


@pytest.mark.slow
def test_paper_reading_is_on_tpm(folder):
    table, _, _ = run_status(
        folder, settings={"definition": "predictable_paper", "selections": ["nested"]}
    )
    assert set(table["status"]) == {"ran"}
    assert table["n_genes"].between(1, N_GENES).all()


KEYS = {"model": "m", "definition": "predictable", "selection": "nested", "contrast": "X"}


def made_tables(values, rng=None):
    """Tables of pairs with given auROCs by tissue and input, and replicates around them."""
    rows, replicates = [], []
    for tissue, sides in values.items():
        for name, score in sides.items():
            row = KEYS | {"tissue": tissue, "input": name, "auroc": score}
            row |= {"n_cases": 50, "n_controls": 60}
            rows.append(row | {"status": "ran"})
            replicates += [
                row | {"kind": kind, "number": number, "part": part,
                       "auroc": score + (0.01 * rng.standard_normal() if rng else 0)}
                for kind, numbers, parts in (("repeat", 3, 1), ("half", 4, 2))
                for number in range(numbers) for part in range(parts)
            ]  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(replicates)


def test_informative_pairs_are_the_papers():
    scores = {"a": (0.7, 0.65, 0.6), "b": (0.7, 0.65, 0.72), "c": (0.55, 0.5, 0.5)}
    names = (OBSERVED, PREDICTED, SOURCE)
    values = {tissue: dict(zip(names, row, strict=True)) for tissue, row in scores.items()}
    summary = compare_inputs(*made_tables(values, np.random.default_rng(0)))
    first = summary.set_index(["pairs", "input_a", "input_b"])
    assert first.loc[("informative", OBSERVED, PREDICTED), "n_pairs"] == 1
    row = first.loc[("all", OBSERVED, PREDICTED)]
    assert row["n_pairs"] == 3
    gaps = [0.05, 0.05, 0.05]
    assert row["wilcoxon_p"] == pytest.approx(stats.wilcoxon(gaps).pvalue)
    assert first.loc[("informative", PREDICTED, SOURCE), "paper_mean_a"] == 0.62


def test_over_pairs_of_the_same_donors_the_interval_is_as_wide_as_of_one():
    # Two tissues with the very same numbers tell no more than one.
    rng = np.random.default_rng(1)
    one = made_tables({"a": {OBSERVED: 0.7, PREDICTED: 0.65, SOURCE: 0.6}}, rng)
    both = [pd.concat([table, table.assign(tissue="b")], ignore_index=True) for table in one]
    rows = [
        compare_inputs(*tables).set_index(["pairs", "input_a", "input_b"])
        for tables in (one, both)
    ]
    ends = [row.loc[("all", PREDICTED, SOURCE), ["ci_low", "ci_high", "p"]] for row in rows]
    np.testing.assert_allclose(ends[0].to_numpy(float), ends[1].to_numpy(float))
    assert rows[1].loc[("all", PREDICTED, SOURCE), "n_pairs"] == 2


def test_halves_split_cases_and_controls_evenly_and_are_the_same_in_all_tissues():
    rng = np.random.default_rng(2)
    donors = [f"D{i:02d}" for i in range(60)]
    case = {"X": rng.random(60) < 0.5, "Y": rng.random(60) < 0.3}
    labels = pd.DataFrame([
        {"contrast": name, "tissue": tissue, "donor": donor, "case": int(status)}
        for name, of_donors in case.items() for tissue in ("Lung", "Liver")
        for donor, status in zip(donors, of_donors, strict=True)
    ])  # fmt: skip
    settings = StatusSettings(halvings=12)
    halves = donor_halves(labels, settings)
    assert list(halves.columns) == donors
    assert (halves.sum(axis=1) == 30).all()
    for name, of_donors in case.items():
        uneven = (halves.loc[:, of_donors].sum(axis=1) - of_donors.sum() / 2).abs()
        assert uneven.max() <= 2, name
    assert len(halves.drop_duplicates()) == 12
    pd.testing.assert_frame_equal(halves, donor_halves(labels, settings))


def test_pairs_with_too_few_differentially_expressed_genes_are_not_told(folder):
    cohort = Cohort.read(folder / "expression.h5ad", folder / "donors.tsv")
    samples = held_out_samples(cohort, read_folds(folder / "folds.tsv"), "Whole Blood")
    labels, _ = contrast_table(
        cohort, samples, DiseaseSettings(medical_history=None, min_cases=20, min_controls=20)
    )
    settings = StatusSettings(**dict(QUICK))
    table, _, summary = run_status(folder, pairs=every_pair(labels, settings, n_de=9))
    assert set(table["status"]) == {"skipped"}
    assert set(table["reason"]) == {"9 observed differentially expressed genes, fewer than 10"}
    assert set(table["n_de_observed"]) == {9}
    assert summary.empty


def test_without_the_pair_asked_for_the_one_shown_is_not_told_by_covariates():
    sides = {"Liver": {OBSERVED: 1.0, PREDICTED: 0.9, SOURCE: 0.9, BASELINE: 1.0},
             "Lung": {OBSERVED: 0.8, PREDICTED: 0.7, SOURCE: 0.7, BASELINE: 0.55}}  # fmt: skip
    rows, replicates = made_tables(sides)
    rows = rows.reindex(columns=PART_STATUS)
    curves = rows[[*KEY, "input"]].reindex(columns=PART_CURVE)
    _, shown, _ = combine_status([rows], [curves], [replicates], StatusSettings())
    assert set(shown.loc[shown["shown"], "tissue"]) == {"Lung"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"definition": "predictible"}, ("disease_status.definition", "'predictible'")),
        ({"selections": ["nestd"]}, ("disease_status.selections", "'nestd'")),
    ],
)
def test_bad_settings(changes, words):
    with pytest.raises(InputError) as caught:
        StatusSettings(**changes)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.slow
def test_baseline_without_the_samples(folder):
    held_out = held_out_of(folder, "covariates")
    rows = held_out.rows[held_out.rows["tissue"] == "Liver"].reset_index(drop=True)
    lacking = type(held_out)(**{**vars(held_out), "rows": rows})
    with pytest.raises(InputError, match="no prediction of some samples of Lung"):
        run_status(folder, baseline=lacking)
