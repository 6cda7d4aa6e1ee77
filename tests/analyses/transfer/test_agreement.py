"""An external cohort with a planted batch shift through a model fitted without it."""

import io
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mtm.analyses.disease.case_control import ChangesWithout, fold_changes
from mtm.analyses.transfer.agreement import transfer_agreement
from mtm.analyses.transfer.reading import Files, read_people, said_by_config
from mtm.analyses.transfer.reference import (
    USERS_COLUMNS,
    read_reference,
    reference_contrast,
)
from mtm.analyses.transfer.related_tissues import compare_groups
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, InputError
from mtm.figures.registry import make_figure
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.predictions.alignment import align_moments
from mtm.settings.disease import DiseaseSettings
from mtm.settings.external import External
from mtm.settings.transfer import TransferSettings

N_GENES, BLOOD = 80, "Whole Blood"
DONORS = ["n_reference_cases", "n_reference_controls", "n_cases", "n_controls"]
TISSUES = ("Liver", "Lung", "Thyroid", BLOOD)
QUICK = TransferSettings(contrast="MHX", permutations=60)
DISEASE = DiseaseSettings(medical_history=None, min_cases=20, min_controls=20)
GENES = pd.DataFrame(
    {"symbol": [f"G{i}" for i in range(N_GENES)]},
    index=pd.Index([f"ENSG{i:011d}.{1 + i % 7}" for i in range(N_GENES)], name="gene_id"),
)


class Planted:
    """A disease that acts through a donor-wide state, which blood and two tissues show.

    The state is one of several that move all genes.
    """

    def __init__(self):
        rng = np.random.default_rng(0)
        self.base = rng.uniform(4, 7, N_GENES)
        self.loading = {tissue: rng.standard_normal((10, N_GENES)) for tissue in TISSUES}
        for loading in self.loading.values():
            loading[1:] *= 0.7
        # Nothing of the disease's state reaches Thyroid.
        self.loading["Thyroid"][0] = 0

    def log2fc(self, tissue):
        return 0.5 * self.loading[tissue][0]

    def donors(self, n, seed):
        rng = np.random.default_rng(seed)
        case = rng.permutation(np.arange(n) < 0.45 * n)
        states = 0.2 * rng.standard_normal((n, 10))
        states[:, 0] += 0.5 * case
        return case, states

    def log2(self, state, tissue, seed):
        noise = 0.2 * np.random.default_rng(seed).standard_normal((len(state), N_GENES))
        return self.base + state @ self.loading[tissue] + noise


@pytest.fixture(scope="module")
def planted():
    return Planted()


@pytest.fixture(scope="module")
def cohort(planted):
    case, state = planted.donors(90, 1)
    ids = pd.Index([f"D{i:03d}" for i in range(90)], name="donor")
    values = [planted.log2(state, tissue, 10 + k) for k, tissue in enumerate(TISSUES)]
    return Cohort(
        expr_tpm=np.exp2(np.concatenate(values)).astype(np.float32),
        samples=pd.DataFrame(index=[f"{d}-{t}" for t in TISSUES for d in ids]),
        donor=np.tile(np.arange(90), len(TISSUES)),
        tissue=np.repeat(np.arange(len(TISSUES)), 90),
        donors=pd.DataFrame({"MHX": case.astype(int), "sex": 1 + np.arange(90) % 2}, index=ids),
        tissues=TISSUES,
        genes=GENES,
    )


@pytest.fixture(scope="module")
def model(cohort):
    fitted = build("ridge", {"scale": "log2_z"})
    fitted.fit(Training(cohort, cohort.tissue_index(BLOOD), device="cpu"))
    return fitted


@pytest.fixture(scope="module")
def files(planted, tmp_path_factory):
    """External files: other donors, genes without version, a shift and a stretch of every gene."""
    folder, rng = tmp_path_factory.mktemp("external"), np.random.default_rng(7)
    case, state = planted.donors(50, 2)
    log2 = planted.log2(state, BLOOD, 30)
    log2 = log2.mean(0) + np.exp(0.5 * rng.standard_normal(N_GENES)) * (log2 - log2.mean(0))
    log2 += 3 * rng.standard_normal(N_GENES)
    names = [f"EXT{i:02d}" for i in range(50)]
    table = pd.DataFrame(np.exp2(log2).T, columns=names)
    table.insert(0, "gene_id", GENES.index.str.split(".").str[0])
    table.to_csv(folder / "expression.tsv", sep="\t", index=False, float_format="%.4g")
    group = np.where(case, "case", "control")
    samples = pd.DataFrame({"sample": names, "group": group, "sex": 1, "age": 50})
    samples.sample(frac=1, random_state=1).to_csv(folder / "samples.tsv", sep="\t", index=False)
    return folder


@pytest.fixture(scope="module")
def reference(cohort):
    return reference_contrast(cohort, BLOOD, DISEASE, QUICK)


def read_external(folder, **settings):
    given = External(expression="expression.tsv", samples="samples.tsv", **settings)
    files = Files(folder / "expression.tsv", folder / "samples.tsv")
    reading = read_people(
        given, files, GENES, None, min_per_group=5, said_by=partial(said_by_config, name="lab")
    )
    return reading.cohort(files.expression)


def blood_of(cohort):
    return cohort.expr_tpm[cohort.tissue == cohort.tissue_index(BLOOD)]


@pytest.fixture(scope="module")
def results(model, cohort, files, reference):
    external = read_external(files)
    predictable = pd.DataFrame({"tissue": "Lung", "gene_id": GENES.index[:30]})
    return transfer_agreement(
        model, "ridge", external, blood_of(cohort), BLOOD, *reference, QUICK, predictable
    )


def test_alignment_gives_mean_and_sd_of_the_reference():
    rng = np.random.default_rng(0)
    expr = np.exp2(rng.normal(4, 0.4, (30, 5))).astype(np.float32)
    target = np.exp2(rng.normal(7, 0.8, (40, 5))).astype(np.float32)
    expr[:, 4] = 2.0
    log2 = np.log2(1 + align_moments(expr, target, "log2"))
    wanted = np.log2(1 + target)
    np.testing.assert_allclose(log2.mean(0), wanted.mean(0), rtol=1e-4)
    np.testing.assert_allclose(log2.std(0)[:4], wanted.std(0)[:4], rtol=1e-4)
    assert log2.std(0)[4] < 1e-5
    tpm = align_moments(expr, target + 1000, "tpm")
    np.testing.assert_allclose(tpm.mean(0), target.mean(0) + 1000, rtol=1e-5)
    np.testing.assert_allclose(tpm.std(0)[:4], target.std(0)[:4], rtol=1e-3)
    np.testing.assert_array_equal(align_moments(expr, target, "none"), expr)


def test_fold_changes_by_hand():
    expr = np.array([[1.0, 10], [3, 30], [7, 0]])
    case = np.array([True, True, False])
    expected = np.log2([(2 + 1) / (7 + 1), (20 + 1) / (0 + 1)])
    np.testing.assert_allclose(fold_changes(expr, case, 1.0), expected)
    gone = np.array([[3, 3], [1, 3], [0, 1], [2, 3]])
    result = ChangesWithout(expr, case, 1.0).of(gone)
    np.testing.assert_allclose(result[0], expected)
    np.testing.assert_allclose(result[1], np.log2([(1 + 1) / (7 + 1), (10 + 1) / 1]))
    # Without any case or any control there is no fold change.
    assert np.isnan(result[2:]).all()
    counted = np.array([True, False, True])
    result = ChangesWithout(expr, case, 1.0, counted).of(gone)
    np.testing.assert_allclose(result[:2], np.log2([[2 / 8, 11 / 1]] * 2))


def test_fold_changes_of_permuted_labels_stand_one_huge_value():
    rng = np.random.default_rng(1)
    expr = rng.lognormal(2, 1, (30, 5))
    expr[0, 0] = 1e6
    labels = np.stack([rng.permutation(30) < 12 for _ in range(20)])
    expected = [np.log2((expr[row].mean(0) + 1) / (expr[~row].mean(0) + 1)) for row in labels]
    found = fold_changes(expr.astype(np.float32), labels, 1.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_reference_finds_the_related_tissues(reference, cohort, planted):
    genes, tissues = reference
    tissues = tissues.set_index("tissue")
    assert tissues["related"].to_dict() == {
        "Liver": True, "Lung": True, "Thyroid": False, BLOOD: True
    }  # fmt: skip
    assert tissues.loc[BLOOD, "role"] == "source"
    lung = genes[genes["tissue"] == "Lung"]
    assert np.corrcoef(lung["log2fc_reference"], planted.log2fc("Lung"))[0, 1] > 0.95
    rows = cohort.tissue == cohort.tissue_index("Lung")
    case = (cohort.donors["MHX"] == 1).to_numpy()
    expr = cohort.expr_tpm[rows]
    expr = expr.astype(float)
    p = stats.mannwhitneyu(expr[case], expr[~case], method="asymptotic").pvalue
    np.testing.assert_allclose(lung["p_reference"], p, rtol=1e-6)


def test_alignment_mends_what_the_batch_shift_breaks(cohort, files, reference, planted):
    # On the paper's scale a shift in log2 TPM is a factor: shifted genes drown the others. (On
    # log2 z-scores a linear model takes the same shift from cases and controls.)
    fitted = build("ridge", {"scale": "tpm_z"})
    fitted.fit(Training(cohort, cohort.tissue_index(BLOOD), device="cpu"))
    external = read_external(files)
    table, _, genes = transfer_agreement(
        fitted, "ridge", external, blood_of(cohort), BLOOD, *reference, QUICK
    )
    rho = table.set_index(["alignment", "tissue"])["rho_log2fc"]
    for tissue in ("Liver", "Lung"):
        assert rho["log2", tissue] > 0.8
        assert rho["log2", tissue] > rho["none", tissue] + 0.15
        part = genes[genes["tissue"] == tissue]
        truth = np.corrcoef(part["log2fc_predicted"], planted.log2fc(tissue))[0, 1]
        assert truth > 0.8
    assert abs(rho["log2", "Thyroid"]) < 0.5


def test_uncorrected_shift_puts_predictions_on_another_level(results):
    table, groups, _ = results
    ran = table[(table["status"] == "ran") & (table["genes"] == "all")]
    error = ran.set_index(["alignment", "tissue"])["level_error_log2"]
    for tissue in ("Liver", "Lung", "Thyroid"):
        assert error["log2", tissue] < 0.15
        assert error["none", tissue] > 3 * error["log2", tissue]
    assert error["none", BLOOD] > 1
    row = groups.set_index(["alignment", "genes"]).loc[("none", "all")]
    assert row["median_level_error_log2"] == error["none"].drop(BLOOD).median()


def test_every_table_counts_cases_and_controls(results, reference):
    table, groups, genes = results
    given = table.drop_duplicates("tissue").set_index("tissue")[DONORS]
    assert given.notna().all(None)
    people = table[DONORS[2:]].drop_duplicates()
    assert len(people) == 1
    assert (groups[DONORS[2:]] == people.iloc[0]).all(None)
    rows = genes.set_index("tissue")[DONORS]
    pd.testing.assert_frame_equal(rows, given.loc[rows.index], check_dtype=False)
    rows = reference[0].set_index("tissue")[DONORS[:2]]
    pd.testing.assert_frame_equal(rows, given.loc[rows.index, DONORS[:2]], check_dtype=False)


def test_intervals_and_null_bracket(results):
    table, _, _ = results
    ran = table[(table["status"] == "ran") & (table["genes"] == "all")]
    assert (ran["ci_low"] < ran["rho_log2fc"]).all()
    assert (ran["rho_log2fc"] < ran["ci_high"]).all()
    aligned = ran[ran["alignment"] == "log2"].set_index("tissue")
    assert (aligned.loc[["Liver", "Lung"], "p"] < 0.05).all()
    assert (aligned["null_low"] < 0).all()
    assert (aligned["null_high"] > 0).all()
    assert aligned.loc[BLOOD, "rho_log2fc"] > 0.9
    assert np.isnan(aligned.loc[BLOOD, "q"])
    sets = table[table["genes"] == "predictable"].set_index(["alignment", "tissue"])
    assert sets.loc[("log2", "Lung"), "n_genes"] == 30
    assert sets.loc[("log2", "Liver"), "n_genes"] == 0
    assert np.isnan(sets.loc[("log2", "Liver"), "rho_log2fc"])


def test_the_source_stands_over_the_genes_that_the_people_have(model, cohort, files, reference):
    genes, tissues = reference
    external = read_external(files)
    kept = np.sort(np.random.default_rng(1).permutation(N_GENES)[:66])
    few = replace(
        external, expr_tpm=external.expr_tpm[:, kept],
        gene_ids=[external.gene_ids[gene] for gene in kept],
    )  # fmt: skip
    settings = QUICK.with_(alignments=("none",))
    table, _, by_gene = transfer_agreement(
        model, "ridge", few, blood_of(cohort), BLOOD, genes, tissues, settings
    )
    row = table[table["role"] == "source"].iloc[0]
    told = by_gene[by_gene["tissue"] == BLOOD]
    known = told["log2fc_predicted"].notna().to_numpy()
    assert row["n_genes"] == known.sum() == 66
    pairs = told.loc[known, ["log2fc_predicted", "log2fc_reference"]]
    assert row["rho_log2fc"] == pytest.approx(pairs.corr().iloc[0, 1], abs=1e-6)
    same = np.sign(pairs["log2fc_predicted"]) == np.sign(pairs["log2fc_reference"])
    assert row["sign_consistency"] == pytest.approx(same.mean())


def test_groups_of_tissues(results):
    table, groups, _ = results
    row = groups.set_index(["alignment", "genes"]).loc[("log2", "all")]
    assert (row["n_related"], row["n_other"], row["n_tissues"]) == (2, 1, 3)
    rho = table[(table["alignment"] == "log2") & (table["genes"] == "all")]
    rho = rho.set_index("tissue")["rho_log2fc"]
    assert row["median_related"] == pytest.approx(rho[["Liver", "Lung"]].median())
    assert row["difference"] == pytest.approx(row["median_related"] - rho["Thyroid"])
    expected = stats.mannwhitneyu(
        rho[["Liver", "Lung"]], rho[["Thyroid"]], method="asymptotic"
    ).pvalue
    assert row["p_as_paper"] == pytest.approx(expected)
    assert row["paper_median_related"] == 0.52


def test_permuted_groups_are_no_better_than_the_null(model, cohort, files, reference):
    external = read_external(files)
    p = []
    for seed in range(12):
        mixed = external.samples.assign(
            case=np.random.default_rng(seed).permutation(external.samples["case"])
        )
        one = QUICK.with_(alignments=("log2",), seed=seed, permutations=40)
        table, _, _ = transfer_agreement(
            model, "ridge", replace(external, samples=mixed), blood_of(cohort), BLOOD,
            *reference, one,
        )  # fmt: skip
        p.append(table.set_index("tissue").loc["Lung", "p"])
    assert 0.2 < np.mean(p) < 0.8


def test_without_related_tissues_there_is_no_test_of_groups():
    table = pd.DataFrame(
        {"model": "m", "alignment": "log2", "genes": "all", "tissue": ["a", "b"],
         "role": "target", "related": [False, False], "rho_log2fc": [0.1, 0.3],
         "n_cases": 20, "n_controls": 30, "level_error_log2": [0.2, 0.4]}
    )  # fmt: skip
    null = {("log2", "all", tissue): np.linspace(-0.5, 0.5, 11) for tissue in "ab"}
    row = compare_groups(table, null).iloc[0]
    assert row["median"] == pytest.approx(0.2)
    assert row["n_related"] == 0
    assert np.isnan(row["p_as_paper"])


def test_tissues_with_too_few_cases_stay_as_rows(model, cohort, files):
    kept = np.ones(cohort.n_samples, bool)
    kept[np.flatnonzero(cohort.tissue == 0)[:60]] = False
    smaller = replace(
        cohort, expr_tpm=cohort.expr_tpm[kept], samples=cohort.samples[kept],
        donor=cohort.donor[kept], tissue=cohort.tissue[kept], donors=cohort.donors,
    )  # fmt: skip
    genes, tissues = reference_contrast(smaller, BLOOD, DISEASE, QUICK)
    assert "fewer than 20" in tissues.set_index("tissue").loc["Liver", "reason"]
    external = read_external(files)
    table, groups, _ = transfer_agreement(
        model, "ridge", external, blood_of(smaller), BLOOD, genes, tissues, QUICK
    )
    assert table.loc[table["tissue"] == "Liver", "status"].tolist() == ["skipped"]
    assert (groups["n_tissues"] == 2).all()


def columns(text, scale):
    """Change every value of the expression."""
    table = pd.read_csv(io.StringIO(text), sep="\t", index_col=0)
    return scale(table).to_csv(sep="\t")


BAD = {
    "sample_in_expression_alone": (
        "samples.tsv", lambda text: "\n".join(text.splitlines()[:-1]) + "\n",
        ("samples.tsv", "no sample EXT", "stand in one file alone"),
    ),
    "sample_in_table_alone": (
        "samples.tsv", lambda text: text + "EXT99\tcase\t1\t50\n",
        ("expression.tsv", "no sample EXT99"),
    ),
    "sample_twice": (
        "samples.tsv", lambda text: text + text.splitlines()[1] + "\n", ("samples.tsv", "twice"),
    ),
    "another_group": (
        "samples.tsv", lambda text: text.replace("\tcase", "\tT2D"),
        ("samples.tsv", "0 cases (23 neither case nor control: group T2D)", "external.lab.group"),
    ),
    "no_group_column": (
        "samples.tsv", lambda text: text.replace("group", "status"),
        ("fields sample, status, sex, age", "a field 'group'", "external.lab.group.field"),
    ),
    "too_few_controls": (
        "samples.tsv", lambda text: text.replace("\tcontrol", "\tcase"),
        ("0 controls", "at least 5", "transfer.min_per_group"),
    ),
    "log_values": (
        "expression.tsv", lambda text: columns(text, lambda t: np.log2(1 + t)),
        ("looks log-scaled", "expected TPM", "external.lab.units: log2"),
    ),
    "counts": (
        "expression.tsv", lambda text: columns(text, lambda t: t * 1e4),
        ("looks like counts", "external.lab.units: tpm"),
    ),
    "foreign_genes": (
        "expression.tsv", lambda text: text.replace("ENSG0", "ENSMUSG0"),
        ("no gene of the cohort among 80 rows", "ENSMUSG"),
    ),
    "few_genes": (
        "expression.tsv", lambda text: "\n".join(text.splitlines()[:41]) + "\n",
        ("40 of the model's 80 genes", "transfer.min_gene_overlap"),
    ),
    "negative_value": (
        "expression.tsv", lambda text: columns(text, lambda t: -t), ("negative",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_external_files(name, files, model, cohort, reference, tmp_path):
    spoilt, change, words = BAD[name]
    for file in ("expression.tsv", "samples.tsv"):
        text = (files / file).read_text()
        (tmp_path / file).write_text(change(text) if file == spoilt else text)

    def use():
        external = read_external(tmp_path)
        transfer_agreement(model, "ridge", external, blood_of(cohort), BLOOD, *reference, QUICK)

    with pytest.raises(InputError) as caught:
        use()
    assert "--" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_units_can_be_said(files, tmp_path):
    text = columns((files / "expression.tsv").read_text(), lambda t: np.log2(1 + t))
    (tmp_path / "expression.tsv").write_text(text)
    (tmp_path / "samples.tsv").write_text((files / "samples.tsv").read_text())
    log2, tpm = read_external(tmp_path, units="log2"), read_external(files)
    np.testing.assert_allclose(log2.expr_tpm, tpm.expr_tpm, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "disease", "error", "words"),
    [
        ({"contrast": "MHY"}, DISEASE, InputError, ("transfer.contrast", "'MHY'", "MHX")),
        (
            {},
            DiseaseSettings(medical_history=None),
            CannotDo,
            ("MHX: at most", "disease.min_cases"),
        ),
    ],
)
def test_bad_reference(cohort, changes, disease, error, words):
    with pytest.raises(error) as caught:
        reference_contrast(cohort, BLOOD, disease, QUICK.with_(**changes))
    assert all(word in str(caught.value) for word in words)


def test_a_table_of_ones_own_stands_in_the_references_place(
    model, cohort, files, planted, tmp_path
):
    path = tmp_path / "mine.tsv"
    rows = [(tissue, GENES["symbol"].iloc[i], planted.log2fc(tissue)[i], 0.001 if i < 20 else "")
            for tissue in ("Lung", BLOOD) for i in range(60)]  # fmt: skip
    table = pd.DataFrame([*rows, ("Lung", "NOBODY", 1, 0.5)], columns=USERS_COLUMNS)
    table.to_csv(path, sep="\t", index=False)
    genes, tissues = read_reference(path, cohort, BLOOD, QUICK)
    assert len(genes) == 120
    assert genes[DONORS[:2]].isna().all(None)
    assert tissues.set_index("tissue")["role"].to_dict() == {"Lung": "target", BLOOD: "source"}
    assert tissues["related"].tolist() == [True, True]
    found, _, by_gene = transfer_agreement(
        model, "ridge", read_external(files), blood_of(cohort), BLOOD, genes, tissues, QUICK
    )
    lung = found[(found["tissue"] == "Lung") & (found["alignment"] == "log2")]
    assert lung["rho_log2fc"].item() > 0.7
    assert lung["level_error_log2"].isna().all()
    drawing, _ = make_figure("fig4", {"genes": by_gene, "agreement": found})
    assert "as given in a table" in drawing.get_supxlabel()


def test_a_symbol_of_several_genes_is_that_of_each(cohort, tmp_path):
    symbols = ["SAME", "SAME", *cohort.genes["symbol"].iloc[2:]]
    cohort = replace(cohort, genes=cohort.genes.assign(symbol=symbols))
    path = tmp_path / "mine.tsv"
    path.write_text("tissue\tgene\tlog2fc\tq\nLung\tSAME\t0.5\t0.1\nLung\tG2\t1\t\n")
    genes, _ = read_reference(path, cohort, BLOOD, QUICK)
    assert list(genes["gene_id"]) == list(cohort.genes.index[:3])
    assert list(genes["log2fc_reference"]) == [0.5, 0.5, 1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Lung\tG1\thigh\t0.1", ("row 2", "'high'")),
        ("Lung\tG1\t1\t2", ("q '2'", "0 to 1")),
        ("Nose\tG1\t1\t", ("'Nose'", "Liver, Lung")),
        ("Lung\tG0\t1\t", ("twice in Lung",)),
    ],
)
def test_bad_tables_of_ones_own(row, words, cohort, tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text(f"tissue\tgene\tlog2fc\tq\nLung\tG0\t0.5\t0.1\n{row}\n")
    with pytest.raises(InputError) as caught:
        read_reference(path, cohort, BLOOD, QUICK)
    assert all(word in str(caught.value) for word in words), caught.value


def test_bad_alignment():
    with pytest.raises(InputError, match=r"transfer\.alignments\.0: found 'log'"):
        TransferSettings(alignments=("log",))


def test_model_that_needs_covariates_names_the_one_that_is_missing(cohort, files, reference):
    fitted = build("ridge", {"covariates": "own_penalty", "covariate_columns": ["sex", "MHX"]})
    fitted.fit(Training(cohort, cohort.tissue_index(BLOOD), device="cpu"))
    external = read_external(files)
    with pytest.raises(InputError, match="no column MHX"):
        transfer_agreement(fitted, "ridge", external, blood_of(cohort), BLOOD, *reference, QUICK)
