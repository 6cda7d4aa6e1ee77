import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from scripts import Named, run_script

from mtm.analyses.accuracy.comparison import PAPER_PAIRS
from mtm.analyses.accuracy.overlaps import fold_changes
from mtm.analyses.accuracy.pair_counts import pair_counts
from mtm.analyses.disease import agreement_tables, status_tables
from mtm.analyses.paper import disease
from mtm.analyses.paper.results import STATISTICS, Results, paper_values, read_tables
from mtm.analyses.paper.table import COLUMNS, FAMILIES, READINGS, paper_table
from mtm.analyses.traits import summary as trait_summary
from mtm.analyses.transfer import related_tissues
from mtm.errors import InputError
from mtm.vocabulary import MEAN_OF_TISSUES

ROLES = {"MTM": "mtm", "S1": "bgex", "S2": "teebot", "S3": "mlp"}
MODELS = [*ROLES.values(), "covariates"]
TISSUES = ["Esophagus - Muscularis", "Liver", "Lung", "Ovary"]
PAPERS = ("tpm_z", "pooled_raw", "predictable_paper", "n_better_rank_sum")
HEADLINES = ("log2_z", "per_fold", "predictable", "n_better_paired")
MEASURES = [
    (scale, level, convention)
    for scale in ("log2_z", "tpm_z")
    for level, convention in (("gene_wise", "per_fold"), ("gene_wise", "pooled_raw"),
                              ("sample_wise", "per_sample"))
]  # fmt: skip


def accuracy_tables(rng):
    summary, pairs, overlaps = [], [], []
    for scale, level, convention in MEASURES:
        key = {"scale": scale, "level": level, "convention": convention}
        for model in MODELS:
            for tissue in [*TISSUES, MEAN_OF_TISSUES]:
                row = {"model": model, "tissue": tissue, "mean_rho": rng.normal()}
                row |= {"n_predictable": rng.integers(900), "n_predictable_paper": rng.integers(9)}
                summary.append(key | row | {"ci_low": -5.0, "ci_high": -4.0})
        for a, b in PAPER_PAIRS:
            for tissue in [*TISSUES, MEAN_OF_TISSUES]:
                row = {"model_a": ROLES[a], "model_b": ROLES[b], "tissue": tissue}
                row |= {"difference": rng.normal(), "q": rng.random() / 8}
                pairs.append(key | row | {"p_rank_sum": rng.random() / 8})
    for scale, _, definition, _ in (PAPERS, HEADLINES):
        for a, b in PAPER_PAIRS:
            for n_samples, tissue in enumerate(TISSUES, start=70):
                row = {"model_a": ROLES[a], "model_b": ROLES[b], "tissue": tissue}
                row |= {"definition": definition, "scale": scale, "n_samples": n_samples}
                row |= dict(zip(("n_a", "n_b"), rng.integers(1, 90, 2), strict=True))
                shares = {"share_of_a_in_b": rng.random(), "share_of_b_in_a": rng.random()}
                overlaps.append(row | shares)
    overlaps = pd.DataFrame(overlaps)
    return {
        "summary": pd.DataFrame(summary),
        "pair_counts": pair_counts(pd.DataFrame(pairs)),
        "overlaps": overlaps,
        "fold_changes": fold_changes(
            overlaps, {name: n for n, name in enumerate(TISSUES, start=70)}
        ),
    }


def summary_of(keys, quantities):
    return pd.DataFrame([key | {"quantity": name, "value": value}
                         for key in keys for name, value in quantities.items()])  # fmt: skip


def representation_tables():
    p = {"p": 0.04, "p_as_paper": 1e-9}
    codes = [
        {"model": "mtm", "network": network, "comparison": comparison, "p_as_paper": 0.0,
         "p": 0.001 if comparison == "same tissues" else 0.5, "difference": 0.3, "n_donors": 90}
        for network in ("trained", "untrained")
        for comparison in ("same tissues", "all pairs")
    ]  # fmt: skip
    decoding = [
        {"model": "mtm", "subset": "all tissues", "layer": layer, "spearman_rho": rho, **p}
        for layer, rho in enumerate((0.5, 0.4, -0.6, 0.2))
    ]
    similarity = [
        {"model": "mtm", "measure": measure, "scale": scale, "of": of, "subset": "all tissues",
         "n_pairs": 6, "spearman_rho": rho, "ci_low": rho - 0.1, "ci_high": rho + 0.1, **p}
        for measure, scale, of, rho in (
            ("pearson", "tpm_z", "rho_pooled_raw", 0.5),
            ("pearson", "log2_z", "rho_per_fold", 0.6),
            ("jaccard", "log2_z", "predictable", 0.7),
        )
    ]  # fmt: skip
    tables = {"codes": codes, "decoding": decoding, "tissue_similarity": similarity}
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def gene_table():
    rows = []
    for model in ("mtm", "teebot"):
        for scale in ("tpm_z", "log2_z"):
            deltas = dict.fromkeys(TISSUES, np.nan) | {MEAN_OF_TISSUES: 0.9}
            deltas |= dict(zip(TISSUES[:3], (0.5, -0.5, 0.3), strict=True))
            for tissue, delta in deltas.items():
                row = {"model": model, "scale": scale, "reading": "all_genes", "tissue": tissue}
                row |= {"cliffs_delta": delta, "q": 0.01 if tissue == "Liver" else 0.2}
                rows.append(row | {"p_as_paper": 0.01 if delta > 0.4 else 0.2})
    return pd.DataFrame(rows)


def disease_tables():
    both = [
        {"model": model, "definition": definition, "selection": selection}
        for model in ("mtm", "covariates")
        for definition in ("predictable", "predictable_paper")
        for selection in ("all_folds", "nested")
    ]
    quantities = {
        "pairs tested": 30, "pairs with enough observed genes": 15, "tissues of these": 9,
        "contrasts of these": 3, "of these, sign consistency > 0.7 and rho > 0.3": 13,
        "of these, rho above labels without meaning (q < 0.05)": 7,
    }  # fmt: skip
    for name in ("up", "down"):
        quantities |= {
            f"pairs with enough genes {name}": 12, f"of these, overlap P < 0.05, {name}": 11,
            f"of these, F1 above permuted labels (q < 0.05), {name}": 5,
            f"median F1, {name}": 0.4, f"pairs with F1 > 0.7, {name}": 2,
        }  # fmt: skip
    status = [
        {"model": "mtm", "definition": "predictable", "selection": selection, "pairs": pairs,
         "input_a": a, "input_b": b, "n_pairs": 8 if pairs == "informative" else 30,
         "n_pairs_all": 30, "mean_a": mean_a, "mean_b": mean_b, "difference": mean_a - mean_b,
         "p": 0.02, "wilcoxon_p": 0.001}
        for selection in ("all_folds", "nested")
        for pairs in ("informative", "all")
        for a, b, mean_a, mean_b in (
            ("observed", "predicted", 0.8, 0.6), ("predicted", "source", 0.6, 0.7),
            ("predicted", "covariates", 0.6, 0.55),
        )
    ]  # fmt: skip
    traits = {
        "tissues compared": 4, "rho > 0.3 and P < 0.05 over genes": 3, "median rho": 0.7,
        "rho above the permuted trait (q < 0.05)": 2, "median rho, low": 0.6,
        "median rho, high": 0.8,
    }  # fmt: skip
    of_traits = [key | {"trait": trait} for key in both[::2] for trait in ("age", "sex")]
    return {
        "dysregulation": summary_of(both, quantities),
        "status": pd.DataFrame(status),
        "traits": summary_of(of_traits, traits),
    }


def transfer_tables():
    agreement, groups = [], []
    for alignment in ("log2", "tpm"):
        key = {"model": "mtm", "alignment": alignment, "genes": "all"}
        groups.append(key | {"n_tissues": 4, "p_as_paper": 0.3, "permuted_p": 0.2,
                             "difference": 0.1})  # fmt: skip
        rhos = (0.99, 0.1, 0.3, 0.6, np.nan)
        for tissue, rho in zip(["Whole Blood", *TISSUES], rhos, strict=True):
            role = "source" if tissue == "Whole Blood" else "target"
            row = {"tissue": tissue, "role": role, "related": rho < 0.5, "rho_log2fc": rho}
            agreement.append(key | row | {"n_cases": 25, "n_controls": 33})
    return {"transfer": pd.DataFrame(agreement), "transfer_groups": pd.DataFrame(groups)}


def cost_tables():
    rows = [
        {"file": f"fold{fold}", "step": step, "seconds": step * (fold + 1) * 36.0, "gpu_gb": 3.0}
        for fold in range(2)
        for step in (10, 100)
    ]
    benchmarks = pd.DataFrame({"s": [7200.0, 14400.0], "max_rss": [1000.0, 2000.0]})
    return {"training": pd.DataFrame(rows), "benchmarks": benchmarks}


@pytest.fixture(scope="module")
def tables():
    return {
        **accuracy_tables(np.random.default_rng(0)),
        **representation_tables(),
        **dict.fromkeys(("expression_level", "conservation", "connectivity"), gene_table()),
        **disease_tables(),
        **transfer_tables(),
        **cost_tables(),
    }


def table_of(tables, absent=None, roles=ROLES, models=MODELS, same_data=()):
    results = Results(tables, absent or {}, roles, models)
    return paper_table(results, "demo", frozenset(same_data), "covariates")


@pytest.fixture(scope="module")
def table(tables):
    return table_of(tables)


def pick(table, **values):
    for column, wanted in values.items():
        table = table[table[column] == wanted]
    return table


def one(table, **values):
    rows = pick(table, **values)
    assert len(rows) == 1
    return rows.iloc[0]


def both(table, column="ours", **values):
    """Return a number as the paper's reading has it, and as the headline's."""
    return [one(table, reading=reading, **values)[column] for reading in READINGS]


def test_the_papers_values_are_whole_and_agree_with_its_own_ratios():
    values = pd.DataFrame([vars(value) for value in paper_values()])
    assert list(dict.fromkeys(values["id"])) == [f"R{i}" for i in range(1, 23)] == list(FAMILIES)
    assert set(values["statistic"]) <= set(STATISTICS)
    assert not values.duplicated(["measure", "role_a", "role_b", "of", "statistic"]).any()
    mean = {
        (row["measure"], row["role_a"]): float(row["paper"])
        for row in pick(values, statistic="mean").to_dict("records")
        if row["paper"]
    }
    for measure, times in (("sample_wise", 1.63), ("gene_wise", 2.29), ("predictable", 1.87)):
        gain = mean[measure, "MTM"] / mean[measure, "S2"] - 1
        assert gain == pytest.approx(times, abs=0.01)


def test_tables_of_analyses_print_the_same_numbers_of_the_paper():
    of = {(v.id, v.measure, v.of, v.statistic): float(v.paper) for v in paper_values() if v.paper}
    for trait, (median, n_tissues, _) in trait_summary.PAPER.items():
        number = "R16" if trait == "age" else "R17"
        assert of[number, "rho", trait, "median"] == median
        assert of[number, "tissues_that_agree", trait, "count"] == n_tissues
    for (number, measure, direction, _), paper in of.items():
        if number in ("R18", "R19"):
            name = disease.QUANTITIES[measure].format(of=direction)
            assert agreement_tables.PAPER.get(name, paper) == paper
    for name, mean in status_tables.PAPER_MEAN.items():
        assert of["R20", "auroc", name, "mean"] == mean
    for pair, p in status_tables.PAPER_P.items():
        assert of["R20", "status_p", ", ".join(pair), "p"] == p
    for group in ("related", "other"):
        n, median = (related_tissues.PAPER[f"{name}_{group}"] for name in ("n", "median"))
        assert of["R21", "transfer_tissues", group, "count"] == n
        assert of["R21", "transfer_rho", group, "median"] == median
    assert of["R21", "transfer_p", "", "p"] == related_tissues.PAPER["rank_sum_p"]


def test_every_number_stands_under_both_readings_and_cost_under_one(table):
    assert list(table) == COLUMNS
    n_values, n_costs = len(paper_values()), sum(value.id == "R22" for value in paper_values())
    assert len(table) == 2 * n_values - n_costs
    assert (table["verdict"] == "-").all()
    # The made tables have all but BMI, and one of the tissues has no rho.
    lacking = table[table["ours"].isna()]
    assert set(lacking["of"]) == {"BMI"}
    assert table.loc[table["ours"].notna(), "n"].gt(0).all()


@pytest.mark.parametrize(("reading", "words"), [("paper", PAPERS), ("headline", HEADLINES)])
def test_accuracy_is_taken_from_its_tables(tables, table, reading, words):
    scale, convention, definition, won = words
    table = pick(table, reading=reading)
    single = pick(tables["summary"], scale=scale)
    single = single[single["tissue"] != MEAN_OF_TISSUES]
    of = pick(single, convention=convention, model="teebot")
    row = one(table, id="R2", role_a="S2", statistic="sd")
    assert row["ours"] == pytest.approx(np.std(of["mean_rho"], ddof=1))
    assert (row["n"], row["scale"], row["definition"]) == (4, scale, convention)
    assert np.isnan(row["ci_low"])
    assert one(table, id="R5", role_a="S2", statistic="max")["ours"] == of[f"n_{definition}"].max()
    row = one(table, id="R1", role_a="MTM", statistic="mean")
    of = pick(single, level="sample_wise").groupby("model")["mean_rho"].mean()
    assert row["ours"] == pytest.approx(of["mtm"])
    assert row["covariates"] == pytest.approx(of["covariates"])
    assert (row["ci_low"], row["ci_high"]) == (-5, -4)

    counts = pick(tables["pair_counts"], scale=scale, model_a="mtm", model_b="mlp")
    of = one(counts, level="sample_wise")
    row = one(table, id="R3", role_b="S3", paper=41.0)
    assert (row["ours"], row["n"]) == (of["n_better"], 4)
    assert one(table, id="R3", role_b="S3", paper=24.0)["ours"] == of[won]
    row = one(table, id="R4", role_a="MTM", role_b="S3")
    assert row["ours"] == one(counts, convention=convention)[won]
    assert np.isnan(row["covariates"])


@pytest.mark.parametrize(("reading", "words"), [("paper", PAPERS), ("headline", HEADLINES)])
def test_overlaps_are_taken_from_their_tables(tables, table, reading, words):
    table = pick(table, reading=reading)
    overlaps = pick(tables["overlaps"], definition=words[2], model_a="mtm")
    of = pick(overlaps, model_b="bgex")
    row = one(table, id="R6", role_a="S1", statistic="median")
    assert row["ours"] == pytest.approx(np.median(of["share_of_b_in_a"]))
    row = one(table, id="R7", role_b="S1", statistic="min")
    assert row["ours"] == of["share_of_a_in_b"].min()
    of = one(overlaps, model_b="mlp", tissue="Esophagus - Muscularis")
    row = one(table, id="R7", role_a="S3", of="Esophagus - Muscularis")
    assert row["ours"] == of["share_of_b_in_a"]
    of = pick(overlaps, model_b="teebot")
    change = of["n_a"] / of["n_b"]
    row = one(table, id="R8", role_a="MTM", role_b="S2", statistic="median")
    assert row["ours"] == pytest.approx(np.median(change))
    rho = spearmanr(of["n_samples"], change).statistic
    assert one(table, id="R9", statistic="value")["ours"] == pytest.approx(rho)
    changes = pick(tables["fold_changes"], definition=words[2], model_a="mtm", model_b="teebot")
    [p] = changes["p_as_paper"].unique()
    assert one(table, id="R9", statistic="p")["ours"] == pytest.approx(p)


def test_what_the_network_learned(table):
    assert both(table, id="R10") == [0.0, 0.001]
    # A layer whose paths go against similarity is none that goes with it.
    assert both(table, id="R11") == [0.75, 0.75]
    assert both(table, id="R12", statistic="value") == [0.5, 0.6]
    assert both(table, "ci_high", id="R12", statistic="value") == [0.6, 0.7]
    assert both(table, id="R12", statistic="p") == [1e-9, 0.04]


def test_tissues_are_counted_higher_and_lower_with_their_tests(table):
    for key in ({"id": "R13"}, {"id": "R14"}, {"id": "R15", "role_a": "S2"}):
        rows = pick(table, **key)
        higher, lower = (rows[rows["quantity"].str.contains(word)] for word in ("higher", "lower"))
        assert both(higher) == [1, 0]
        assert both(lower) == [0, 1]
        # A tissue without a value is not counted among those compared.
        assert set(rows["n"]) == {3}
    assert both(table, id="R15", paper=47.0) == [2, 2]


def test_traits_and_disease(table):
    assert both(table, id="R16", statistic="count") == [3, 2]
    assert both(table, id="R17", of="sex", statistic="median") == [0.7, 0.7]
    assert both(table, "ci_low", id="R16", statistic="median") == [0.6, 0.6]
    assert both(table, id="R18", paper=117.0) == [15, 15]
    assert both(table, "n", id="R18", paper=117.0) == [30, 30]
    assert both(table, id="R18", paper=112.0) == [13, 7]
    assert both(table, "covariates", id="R18", paper=112.0) == [13, 7]
    assert both(table, id="R19", paper=93.0) == [11, 5]
    assert both(table, "n", id="R19", paper=93.0) == [12, 12]
    assert both(table, id="R20", statistic="count") == [8, 30]
    for name, mean in (("observed", 0.8), ("predicted", 0.6), ("source", 0.7)):
        assert both(table, id="R20", statistic="mean", of=name) == [mean, mean]
    assert both(table, id="R20", of="predicted, source") == [0.001, 0.02]
    assert pick(table, id="R20")["note"].str.contains("genes predictable").all()


def test_external_people_and_cost(table):
    assert both(table, id="R21", of="related", statistic="median") == [0.2, 0.2]
    assert both(table, id="R21", of="other", statistic="max") == [0.6, 0.6]
    assert both(table, id="R21", of="other", statistic="count") == [1, 1]
    assert both(table, id="R21", statistic="p") == [0.3, 0.2]
    cost = pick(table, id="R22").set_index("quantity")["ours"]
    assert cost["hours of training a fold"] == pytest.approx(1.5)
    assert cost["hours of training, folds together"] == pytest.approx(3)
    assert cost["seconds of a training step"] == pytest.approx(54)
    assert cost["hours of the job that trains a fold"] == 3
    assert cost["memory of the job that trains a fold, GB"] == pytest.approx(2.097152)
    assert cost["memory on the graphics card, GB"] == 3


@pytest.mark.slow
def test_a_table_that_is_not_there_or_empty_leaves_its_numbers_with_a_reason(tables, table):
    gone = {"conservation", "transfer", "transfer_groups", "benchmarks"}
    kept = {name: value for name, value in tables.items() if name not in gone}
    kept |= {name: tables[name].iloc[:0] for name in ("status", "traits", "codes")}
    fewer = table_of(kept, {"conservation": "no conservation scores", "trait BMI": "no file"})
    assert len(fewer) == len(table)
    for key in ({"id": "R14"}, {"id": "R20"}, {"id": "R21"}, {"id": "R17"}, {"id": "R10"}):
        rows = pick(fewer, **key)
        assert rows["ours"].isna().all()
        assert (rows["note"] != "").all()
        assert (rows["definition"] != "").all()
    assert pick(fewer, id="R14")["note"].str.endswith("not run: no conservation scores").all()
    assert pick(fewer, id="R20")["note"].eq("nothing ran: table status is empty").all()
    assert pick(fewer, id="R22")["ours"].isna().sum() == 2
    with_traits = table_of(tables, {"trait BMI": "no file"})
    assert (pick(with_traits, of="BMI")["note"] == "not run: no file").all()


def test_a_model_that_was_not_run_is_named(tables):
    table = table_of(tables, models=["mtm", "bgex", "teebot"])
    of_s3 = (table["role_a"] == "S3") | (table["role_b"] == "S3")
    assert table.loc[of_s3, "ours"].isna().all()
    assert table.loc[of_s3, "note"].str.endswith("not run: mlp").all()
    assert not table.loc[~of_s3, "note"].str.contains("not run: mlp").any()
    without_role = table_of(tables, roles={"MTM": "mtm"}, models=["mtm", "bgex"])
    rows = pick(without_role, role_a="S1", role_b="")
    assert (rows["note"] == "not run: no model plays S1").all()


def test_wrong_tables_and_roles_are_named(tables):
    with pytest.raises(InputError, match="found S4"):
        table_of(tables, roles={"S4": "mlp"})
    with pytest.raises(InputError, match="table codes.*a column p_as_paper"):
        table_of({**tables, "codes": tables["codes"].drop(columns="p_as_paper")})
    traits = tables["traits"][tables["traits"]["quantity"] != "median rho"]
    with pytest.raises(InputError, match="table traits.*'median rho'"):
        table_of({**tables, "traits": traits})


@pytest.mark.slow
def test_verdicts_stand_where_the_data_are_the_papers(tables):
    table = table_of(tables, same_data={"cohort", "conservation"})
    judged = table[table["verdict"] != "-"]
    assert set(judged["verdict"]) <= {"reproduced", "higher", "lower", "other", "missing"}
    assert {"R1", "R12", "R13", "R14", "R22"} <= set(judged["id"])
    assert not set(judged["id"]) & {"R15", "R16", "R18", "R20", "R21"}
    rows = pick(table, id="R15")
    assert rows["note"].str.contains("data not the paper's: interactions").all()
    # Significant, but the other way round.
    controlled = table_of(tables, same_data={"cohort", "controlled_phenotypes"})
    assert both(controlled, "verdict", of="observed, predicted") == ["reproduced"] * 2
    assert both(controlled, "verdict", of="predicted, source") == ["other"] * 2


def test_the_script_reads_tables_and_writes_one(tables, table, tmp_path):
    inputs, parts = {}, {"training", "status", "transfer", "transfer_groups"}
    filtering = pd.DataFrame({"n_tissues": [4], "n_genes": [5]})
    for name, values in {**tables, "filtering": filtering}.items():
        path = tmp_path / f"{name}.tsv"
        values.drop(columns="file", errors="ignore").to_csv(path, sep="\t", index=False)
        inputs[name] = [path] if name in parts else path
    of_fold = dict(iter(tables["training"].groupby("file")))
    inputs["training"] = [tmp_path / name for name in of_fold]
    for path, rows in zip(inputs["training"], of_fold.values(), strict=True):
        rows.drop(columns="file").to_csv(path, sep="\t", index=False)
    benchmarks = [str(inputs.pop("benchmarks")), str(tmp_path / "deleted.tsv")]
    output = Named(table=tmp_path / "out" / "paper.tsv")
    params = {"roles": ROLES, "models": MODELS, "cohort": "demo", "reference": "covariates"}
    params |= {"inputs": {"expression": "demo.gct"}, "absent": {}, "benchmarks": benchmarks}
    params["fewest_people"] = 1
    run_script("compare_with_paper", tmp_path / "log", input=inputs, params=params, output=output)
    written = pd.read_csv(output.table, sep="\t", keep_default_na=False, na_values=[""])
    assert list(written) == COLUMNS
    for column in ("ours", "covariates", "n", "ci_low"):
        numbers = [frame[column].astype(float) for frame in (written, table)]
        np.testing.assert_allclose(*numbers)


def test_no_number_is_made_of_few_people(tmp_path):
    path = tmp_path / "summary.tsv"
    rows = pd.DataFrame({"tissue": ["Lung", "Ovary"], "n_pairs": [40, 3], "rho": [0.1, 0.9]})
    rows.to_csv(path, sep="\t", index=False)
    assert len(read_tables({"summary": path})[0]["summary"]) == 2
    assert read_tables({"summary": path}, 5)[0]["summary"]["tissue"].tolist() == ["Lung"]
