import numpy as np
import pandas as pd
import pytest
from cohorts import SmallCohort
from scipy.stats import binom, pearsonr

from mtm.analyses.traits.associations import trait_associations
from mtm.analyses.traits.summary import summarise_traits
from mtm.analyses.traits.trait import read_trait
from mtm.errors import InputError
from mtm.predictions.held_out import read_held_out
from mtm.settings.traits import TraitSettings
from mtm.vocabulary import MEDIAN_OF_TISSUES

FEW = {"columns": ["age", "sex"], "permutations": 99, "splits": 10}
N_GENES = 40


class World:
    """A small cohort whose genes carry age, with noisy predictions; every gene predictable."""

    def __init__(self, folder, seed=0, age_effect=1.0, **changes):
        self.cohort = SmallCohort(folder, n_genes=N_GENES, present=0.95, seed=seed, **changes)
        rng = np.random.default_rng([seed, 1])
        donors = list(self.cohort.fold_of.index)
        self.donors = pd.DataFrame(index=pd.Index(donors, name="donor"))
        self.donors["age"] = rng.normal(50, 12, len(donors)).round(1)
        self.donors["sex"] = rng.integers(1, 3, len(donors))
        row = pd.Index(donors).get_indexer(self.cohort.obs["donor"])
        z = (self.donors["age"].to_numpy()[row] - 50) / 12
        effect = age_effect * rng.normal(0, 0.4, N_GENES)
        self.cohort.expr_tpm *= np.exp2(np.outer(z, effect)).astype(np.float32)
        self.cohort.write()
        observed_z = self.cohort.observed_z("log2_z")
        self.noisy = observed_z + 0.8 * rng.standard_normal(observed_z.shape)
        # A model of age alone, as the covariates model is.
        self.of_age = np.outer(z, effect)

    def held_out(self, predicted):
        paths = self.cohort.write_predictions(predicted, "log2_z")
        folder = self.cohort.folder / f"model{len(list(self.cohort.folder.glob('model*')))}"
        folder.mkdir()
        paths = [path.rename(folder / path.name) for path in paths]
        return read_held_out(
            self.cohort.folder / "expression.h5ad", self.cohort.folder / "folds.tsv", paths
        )

    def gene_wise(self):
        parts = [
            pd.DataFrame(
                {"scale": scale, "tissue": tissue, "gene_id": self.cohort.genes,
                 "predictable": True, "predictable_paper": True}
            )
            for scale in ("log2_z", "tpm_z")
            for tissue in self.cohort.targets
        ]  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def compare(self, predicted, reference=None, **settings):
        return trait_associations(
            self.held_out(predicted),
            "small",
            self.donors,
            self.gene_wise(),
            TraitSettings(**FEW | settings),
            reference=None if reference is None else self.held_out(reference),
        )


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def rows_of(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def test_associations_equal_scipy(world):
    genes, agreement = world.compare(world.noisy, columns=["age"])
    cohort = world.cohort
    rows = np.flatnonzero(cohort.obs["tissue"] == "Lung")
    age = world.donors.loc[cohort.obs["donor"].iloc[rows], "age"].to_numpy()
    paper = rows_of(genes, definition="predictable_paper", tissue="Lung").set_index("gene_id")
    headline = rows_of(genes, definition="predictable", tissue="Lung").set_index("gene_id")
    fold = cohort.obs["donor"].iloc[rows].map(cohort.fold_of).to_numpy()
    indicators = (fold[:, None] == np.unique(fold)).astype(float)

    def without_fold(values):
        return values - indicators @ np.linalg.lstsq(indicators, values, rcond=None)[0]

    for gene in range(0, N_GENES, 7):
        tpm = cohort.expr_tpm[rows, gene].astype(float)
        name = cohort.genes[gene]
        assert paper.loc[name, "r_observed"] == pytest.approx(pearsonr(tpm, age)[0], abs=1e-6)
        residual = without_fold(np.log2(1 + tpm))
        expected = pearsonr(residual, without_fold(age))[0]
        assert headline.loc[name, "r_observed"] == pytest.approx(expected, abs=1e-6)
    row = rows_of(agreement, definition="predictable", tissue="Lung").iloc[0]
    expected = pearsonr(headline["r_predicted"], headline["r_observed"])[0]
    assert row["rho"] == pytest.approx(expected, abs=1e-9)
    assert row["ci_low"] < row["rho"] < row["ci_high"]
    assert row["n_donors"] == len(rows)
    assert row["mean_abs_r_observed"] == pytest.approx(headline["r_observed"].abs().mean())


def test_a_planted_trait_is_kept_beyond_chance_and_the_median_is_the_tissues(world):
    _, agreement = world.compare(world.noisy, columns=["age"])
    rows = rows_of(agreement, definition="predictable")
    tissues = rows[rows["tissue"] != MEDIAN_OF_TISSUES]
    assert len(tissues) == 3
    assert (tissues["rho"] > 0.85).all()
    assert (tissues["rho_split"] > 0.5).all()
    assert (tissues["p"] <= 0.05).all()
    median = rows[rows["tissue"] == MEDIAN_OF_TISSUES].iloc[0]
    assert median["rho"] == pytest.approx(tissues["rho"].median())
    summary = summarise_traits(agreement)
    quantities = rows_of(summary, definition="predictable").set_index("quantity")
    assert quantities.loc["median rho", "value"] == pytest.approx(median["rho"])
    assert quantities.loc["median rho", "paper"] == 0.81
    assert quantities.loc["rho > 0.3 and P < 0.05 over genes", "value"] == 3


@pytest.mark.slow
def test_traits_without_meaning_stay_at_chance(tmp_path):
    world = World(tmp_path, age_effect=0.0, targets=("Lung",))
    n_traits = 40
    rng = np.random.default_rng(3)
    names = [f"t{k:02d}" for k in range(n_traits)]
    drawn = rng.normal(size=(len(world.donors), n_traits))
    world.donors = world.donors.join(pd.DataFrame(drawn, world.donors.index, names))
    _, agreement = world.compare(world.noisy, columns=names, seed=5)
    rows = rows_of(agreement, definition="predictable", tissue="Lung")
    assert len(rows) == n_traits
    low, high = binom.ppf([0.0005, 0.9995], n_traits, 0.05)
    assert low <= (rows["p"] <= 0.05).sum() <= high
    outside = ((rows["rho"] < rows["null_low"]) | (rows["rho"] > rows["null_high"])).sum()
    assert outside <= high
    # The same donors on both sides agree on nothing; disjoint ones do not.
    assert rows["null_mean"].mean() > 0.3
    standard_error = rows["rho_split"].std() / np.sqrt(n_traits)
    assert abs(rows["rho_split"].mean()) < 3.5 * standard_error


@pytest.mark.slow
def test_a_model_of_age_alone_scores_high_and_has_nothing_beyond(world):
    _, agreement = world.compare(world.of_age, reference=world.of_age, columns=["age"])
    row = rows_of(agreement, definition="predictable", tissue="Lung").iloc[0]
    assert row["rho"] > 0.6
    assert row["rho_covariates"] == pytest.approx(row["rho"])
    assert np.isnan(row["rho_beyond"])

    _, agreement = world.compare(world.noisy, reference=world.of_age, columns=["age"])
    rows = rows_of(agreement, definition="predictable")
    assert (rows["rho_beyond"] > 0.3).all()
    assert (rows["beyond_ci_low"] < rows["rho_beyond"]).all()
    assert (rows["rho_covariates"] > 0.6).all()


def test_predictions_that_never_vary_have_no_agreement_and_no_p(world):
    _, agreement = world.compare(np.zeros_like(world.noisy), columns=["age"])
    row = rows_of(agreement, definition="predictable", tissue="Lung").iloc[0]
    assert row[["rho", "ci_low", "ci_high", "null_mean", "p"]].isna().all()
    median = rows_of(agreement, definition="predictable", tissue=MEDIAN_OF_TISSUES).iloc[0]
    assert median[["rho", "ci_low", "p"]].isna().all()


def test_p_is_of_the_genes_that_are_permuted(world):
    _, few = world.compare(world.noisy, columns=["age"], sampled_genes=3)
    _, all_genes = world.compare(world.noisy, columns=["age"])
    assert few["rho"].to_list() == pytest.approx(all_genes["rho"].to_list())
    # Of three genes a rho near 1 is common, whatever all genes say.
    assert (few["p"] > all_genes["p"]).any()


def test_partial_correlation_over_genes_is_that_of_residuals(world):
    genes, agreement = world.compare(world.noisy, reference=world.of_age, columns=["age"])
    mine = rows_of(genes, definition="predictable_paper", tissue="Testis")

    def residual(name):
        slope, intercept = np.polyfit(mine["r_covariates"], mine[name], 1)
        return mine[name] - slope * mine["r_covariates"] - intercept

    expected = pearsonr(residual("r_predicted"), residual("r_observed"))[0]
    row = rows_of(agreement, definition="predictable_paper", tissue="Testis").iloc[0]
    assert row["rho_beyond"] == pytest.approx(expected, abs=1e-6)


def test_sex_neutral_tissues_follow_from_the_cohort(world):
    cohort = world.cohort
    testis = set(cohort.obs["donor"][cohort.obs["tissue"] == "Testis"])
    world.donors["sex"] = [1 if donor in testis else 2 for donor in world.donors.index]
    few = world.donors.index[world.donors["sex"] == 1][:12]
    world.donors.loc[few, "sex"] = np.nan
    _, agreement = world.compare(world.noisy, columns=["sex"], min_per_level=2)
    rows = rows_of(agreement, definition="predictable").set_index("tissue")
    assert rows.loc["Testis", "status"] == "skipped"
    assert rows.loc["Testis", "reason"] == "0 donors of one level, fewer than 2"
    assert rows.loc["Testis", ["n_low", "n_high"]].tolist() == [len(testis) - 12, 0]
    assert rows.loc["Lung", "status"] == "ran"


def test_a_trait_of_one_level_is_skipped_and_the_others_run(world):
    world.donors["race"] = "3"
    world.donors["smoker"] = np.where(world.donors["age"] > 50, "yes", "no")
    genes, agreement = world.compare(world.noisy, columns=["race", "age", "smoker"])
    skipped = rows_of(agreement, trait="race")
    assert skipped["status"].eq("skipped").all()
    assert skipped["reason"].eq("the trait has the one level 3").all()
    assert set(genes["trait"]) == {"age", "smoker"}
    summary = summarise_traits(agreement)
    assert rows_of(summary, trait="race", quantity="tissues skipped")["value"].eq(3).all()


def test_too_few_predictable_genes_are_a_reason(world):
    _, agreement = world.compare(world.noisy, columns=["age"], min_genes=N_GENES + 1)
    assert agreement["reason"].eq("40 predictable genes, fewer than 41").all()
    assert agreement["rho"].isna().all()


def test_text_of_many_levels_cannot_be_used():
    donors = pd.DataFrame({"center": ["B1", "C1", "D1"]}, index=list("abc"))
    assert "3 levels" in read_trait(donors, "center").problem


def test_a_cohort_may_lack_what_open_data_have():
    donors = pd.DataFrame({"sex": [1, 2]}, index=list("ab"))
    for column in ("age", "BMI", "hardy"):
        assert read_trait(donors, column).problem == f"donors have no column {column}"


BAD = [
    (lambda donors: read_trait(donors, "agee"), ["'agee'", "Did you mean 'age'"]),
    (lambda donors: read_trait(donors, "bmi_"), ["'bmi_'", "cohort/donors.tsv (age, sex)"]),
    (lambda donors: TraitSettings.of({"min_genes": 2}), ["traits.min_genes", "at least 3"]),
    (lambda donors: TraitSettings.of({"splits": 0}), ["traits.splits", "at least 1"]),
]


@pytest.mark.parametrize(("use", "words"), BAD)
def test_bad_input_is_named(use, words):
    donors = pd.DataFrame({"age": [50.0], "sex": [1]}, index=["a"])
    with pytest.raises(InputError) as caught:
        use(donors)
    for word in words:
        assert word in str(caught.value)


def test_a_reference_of_other_samples_is_refused(world):
    held_out = world.held_out(world.noisy)
    reference = world.held_out(world.of_age)
    kept = reference.rows[reference.rows["tissue"] != "Lung"].reset_index(drop=True)
    object.__setattr__(reference, "rows", kept)
    with pytest.raises(InputError, match="no prediction of some samples of Lung"):
        trait_associations(
            held_out, "small", world.donors, world.gene_wise(), TraitSettings(**FEW), reference
        )
