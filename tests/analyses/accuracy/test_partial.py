from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scripts import Named, run_script

from mtm.analyses.accuracy.partial import MIN_LEFT, partial_accuracy
from mtm.analyses.accuracy.score import score_predictions
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, InputError
from mtm.predictions.held_out import read_held_out
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.models.base import COVARIATES
from mtm.settings.scaling import Scaling
from mtm.statistics.resampling import donor_weights
from mtm.vocabulary import MEAN_OF_TISSUES

SOURCE = "Whole Blood"
SETTINGS = AccuracySettings(permutations=4, bootstraps=30, null_genes=4)


class Traits:
    """Covariates of the small cohort, and the columns that they mean."""

    def __init__(self, cohort, seed=3):
        rng = np.random.default_rng(seed)
        n = cohort.n_donors
        self.donors = pd.DataFrame(
            {
                "donor": cohort.fold_of.index,
                "sex": rng.integers(1, 3, n),
                "age": rng.integers(20, 70, n),
                "hardy": np.where(rng.random(n) < 0.05, np.nan, rng.choice([0, 0, 0, 2, 4], n)),
            }
        )
        self.rin = rng.normal(7, 1, len(cohort.obs))
        self.cohort = cohort
        cohort.obs["rin"] = self.rin
        cohort.write()
        self.donors.to_csv(cohort.folder / "donors.tsv", sep="\t", index=False)

    def read(self):
        folder = self.cohort.folder
        return Cohort.read(folder / "expression.h5ad", folder / "donors.tsv")

    def columns(self):
        """One row a donor: intercept, sex, age, classes of death, quality of the blood."""
        obs = self.cohort.obs
        blood = obs[obs["tissue"] == SOURCE].set_index("donor")["rin"]
        hardy = self.donors["hardy"].fillna(9).to_numpy()
        classes = np.unique(hardy)[1:, None]
        return pd.DataFrame(
            np.column_stack(
                [
                    np.ones(len(self.donors)),
                    self.donors["sex"],
                    self.donors["age"],
                    *(hardy == classes),
                    blood.loc[self.donors["donor"]],
                ]
            ),
            index=self.donors["donor"],
        )

    def held_out(self, predicted, scale="log2_z"):
        paths = self.cohort.write_predictions(predicted, scale)
        folder = self.cohort.folder
        return read_held_out(
            folder / "expression.h5ad",
            folder / "folds.tsv",
            paths,
            scaling=Scaling(log2_clip=None),
        )


@pytest.fixture
def traits(make_cohort):
    return Traits(make_cohort(n_donors=75, n_genes=8))


def partial(traits, held_out, settings=SETTINGS, **options):
    return partial_accuracy(
        held_out, traits.read(), SOURCE, "m", settings, device="cpu", **options
    )


def value(table, adjustment, tissue, scale="log2_z"):
    rows = table[(table["adjustment"] == adjustment) & (table["scale"] == scale)]
    rows = rows[rows["tissue"] == tissue]
    assert len(rows) == 1
    return rows.iloc[0]


def fold_rows(cohort, tissue, fold):
    held_out = (cohort.obs["donor"].map(cohort.fold_of) == fold) & (cohort.obs["tissue"] == tissue)
    return np.flatnonzero(held_out)


def residuals(values, columns):
    return values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0]


def reference_rho(traits, predicted, tissue, rho_of, adjusted, members=None, repeats=None):
    """Per-fold rho of every gene, averaged by Fisher z, one gene and fold after the other."""
    cohort, design = traits.cohort, traits.columns()
    observed = cohort.observed_z("log2_z")
    total, weight, n = np.zeros(cohort.n_genes), 0, 0
    for fold in range(cohort.n_folds):
        rows = fold_rows(cohort, tissue, fold)
        if members is not None:
            rows = rows[cohort.obs["donor"].iloc[rows].isin(members)]
        columns = design.loc[cohort.obs["donor"].iloc[rows]].to_numpy()
        rank = np.linalg.matrix_rank(columns) - 1 if adjusted else 0
        if len(rows) - rank < (MIN_LEFT if adjusted else SETTINGS.min_donors_per_fold):
            continue
        for gene in range(cohort.n_genes):
            p, o = predicted[rows, gene], observed[rows, gene]
            if adjusted:
                p, o = residuals(p, columns), residuals(o, columns)
            if repeats is not None:
                p, o = np.repeat(p, repeats[fold][tissue]), np.repeat(o, repeats[fold][tissue])
            total[gene] += (len(rows) - rank - 3) * np.arctanh(rho_of(p, o))
        weight += len(rows) - rank - 3
        n += len(rows)
    return np.tanh(total / weight), n


def of_one_class(traits, hardy):
    """The cohort with every donor in one class of death."""
    cohort = traits.read()
    return replace(cohort, donors=cohort.donors.assign(hardy=hardy))


def test_where_all_died_alike_rho_of_that_class_is_the_headline(traits, noisy):
    held_out = traits.held_out(noisy(traits.cohort))
    cohort = of_one_class(traits, 0)
    table = partial_accuracy(held_out, cohort, SOURCE, "m", SETTINGS, device="cpu")
    scores = score_predictions(held_out, "m", SETTINGS, device="cpu").by_tissue
    rows = scores[(scores["convention"] == "per_fold")].set_index(["scale", "tissue"])
    for scale in ("log2_z", "tpm_z"):
        for tissue in ("Liver", "Lung", "Testis", MEAN_OF_TISSUES):
            found = value(table, "ventilator", tissue, scale)
            for name in ("mean_rho", "ci_low", "ci_high"):
                assert found[name] == pytest.approx(rows.loc[(scale, tissue), name])
            assert found["n_samples"] == rows.loc[(scale, tissue), "n_samples"]
            assert found["n_covariates"] == 0


def test_the_mean_of_a_class_has_the_degrees_of_freedom_of_its_own_donors(traits, noisy):
    held_out, cohort = traits.held_out(noisy(traits.cohort)), traits.read()
    few = traits.cohort.fold_of.groupby(traits.cohort.fold_of).head(8).index
    hardy = np.where(cohort.donors.index.isin(few), 0, 2)
    cohort = replace(cohort, donors=cohort.donors.assign(hardy=hardy))
    table = partial_accuracy(held_out, cohort, SOURCE, "m", SETTINGS, device="cpu")
    row = value(table, "ventilator", MEAN_OF_TISSUES)
    told = held_out.rows[held_out.rows["donor"].isin(few)]
    counts = told.groupby(["tissue", "fold"])["donor"].transform("size")
    told = told[counts >= SETTINGS.min_donors_per_fold]
    degrees = told["donor"].nunique() - told["fold"].nunique()
    assert degrees < 24
    limit = (row["ci_high"] - row["mean_rho"]) / row["se"]
    assert limit == pytest.approx(stats.t.ppf(0.975, degrees))


def test_given_covariates_it_is_the_correlation_of_residuals(traits, noisy, rho_of):
    predicted = noisy(traits.cohort)
    table = partial(traits, traits.held_out(predicted))
    for tissue in ("Liver", "Lung"):
        rho, n = reference_rho(traits, predicted, tissue, rho_of, adjusted=True)
        found = value(table, "covariates", tissue)
        assert found["mean_rho"] == pytest.approx(rho.mean(), abs=1e-6)
        assert found["n_samples"] == n
        assert found["n_genes"] == 8
        assert 3 < found["n_covariates"] <= 6
        as_it_is, _ = reference_rho(traits, predicted, tissue, rho_of, adjusted=False)
        assert found["mean_rho"] != pytest.approx(as_it_is.mean())


def test_the_null_is_as_wide_as_covariates_leave_degrees_of_freedom(traits):
    """With unrelated predictions of independent genes a mean rho has a known variance."""
    rng = np.random.default_rng(0)
    cohort = traits.cohort
    held_out = traits.held_out(rng.standard_normal((len(cohort.obs), cohort.n_genes)))
    table = partial(traits, held_out, learned=False)
    for adjustment in ("ventilator", "covariates"):
        row = value(table, adjustment, "Liver")
        degrees = row["n_samples"] - 3 * (1 + row["n_covariates"])
        half = 1.96 / np.sqrt(cohort.n_genes * degrees)
        assert row["null_high"] == pytest.approx(half, rel=0.2)
        assert row["null_low"] == -row["null_high"]
        mean = value(table, adjustment, MEAN_OF_TISSUES)
        assert 0 < mean["null_high"] < row["null_high"]


@pytest.mark.slow
def test_the_standard_error_resamples_residuals_of_donors(traits, noisy, rho_of):
    cohort, predicted = traits.cohort, noisy(traits.cohort)
    table = partial(traits, traits.held_out(predicted), learned=False)
    found = value(table, "covariates", "Lung")
    drawn = {}
    for fold in range(cohort.n_folds):
        rows = [fold_rows(cohort, tissue, fold) for tissue in cohort.targets]
        donors = sorted(set(cohort.obs["donor"].iloc[np.concatenate(rows)]))
        rng = np.random.default_rng([SETTINGS.seed, fold])
        weights = pd.DataFrame(donor_weights(len(donors), 30, rng), columns=donors)
        lung = cohort.obs["donor"].iloc[fold_rows(cohort, "Lung", fold)]
        drawn[fold] = weights[lung].to_numpy().astype(int)
    means = [
        reference_rho(
            traits, predicted, "Lung", rho_of, True,
            repeats={fold: {"Lung": weights[index]} for fold, weights in drawn.items()},
        )[0].mean()
        for index in range(30)
    ]  # fmt: skip
    n, fitted = found["n_samples"], cohort.n_folds * (1 + found["n_covariates"])
    expected = np.std(means, ddof=1) * np.sqrt(n / (n - fitted))
    assert found["se"] == pytest.approx(expected, rel=1e-3)


def test_a_prediction_of_covariates_alone_is_nothing_given_covariates(traits):
    """Coefficients of other folds' donors would come out far below 0 with pooled regressions."""
    cohort, design = traits.cohort, traits.columns()
    rng = np.random.default_rng(0)
    observed = cohort.observed_z("log2_z")
    of_sample = design.loc[cohort.obs["donor"]].to_numpy()
    effect = rng.normal(size=(design.shape[1], cohort.n_genes))
    effect /= of_sample.std(0)[:, None] + 1e-9
    effect[0] = 0
    expr_log2 = 5 + 0.7 * of_sample @ effect + rng.normal(size=observed.shape)
    cohort.expr_tpm = (np.exp2(np.maximum(expr_log2, 0)) - 1).astype(np.float32)
    cohort.write()
    predicted = np.zeros_like(observed)
    for fold in range(cohort.n_folds):
        for tissue in cohort.targets:
            train = np.concatenate(
                [fold_rows(cohort, tissue, f) for f in range(cohort.n_folds) if f != fold]
            )
            values = cohort.observed_z("log2_z")[train]
            coefficients = np.linalg.lstsq(of_sample[train], values, rcond=None)[0]
            rows = fold_rows(cohort, tissue, fold)
            predicted[rows] = of_sample[rows] @ coefficients
    held_out = traits.held_out(predicted)
    table = partial(traits, held_out)
    as_it_is = score_predictions(held_out, "m", SETTINGS, device="cpu").by_tissue
    as_it_is = as_it_is[(as_it_is["convention"] == "per_fold") & (as_it_is["scale"] == "log2_z")]
    for tissue in cohort.targets:
        assert as_it_is.set_index("tissue").loc[tissue, "mean_rho"] > 0.3
        assert abs(value(table, "covariates", tissue)["mean_rho"]) < 1e-3
    mean = value(table, "other_deaths", MEAN_OF_TISSUES)
    assert (mean["n_tissues"], mean["n_above_zero"]) == (3, 3)


def test_within_a_class_of_death_only_its_donors_count(traits, noisy, rho_of):
    predicted = noisy(traits.cohort)
    table = partial(traits, traits.held_out(predicted))
    donors = traits.donors.set_index("donor")["hardy"]
    for adjustment, members in (
        ("ventilator", donors.index[donors == 0]),
        ("other_deaths", donors.index[donors > 0]),
    ):
        rho, n = reference_rho(traits, predicted, "Liver", rho_of, False, members=set(members))
        found = value(table, adjustment, "Liver")
        assert found["mean_rho"] == pytest.approx(rho.mean(), abs=1e-6)
        assert found["n_samples"] == n


def test_too_few_donors_for_the_covariates_leave_the_tissue_empty(make_cohort, noisy):
    traits = Traits(make_cohort(n_donors=36, n_genes=4))
    table = partial(traits, traits.held_out(noisy(traits.cohort)))
    found = value(table, "covariates", "Liver")
    assert found["n_samples"] == 0
    assert np.isnan(found["mean_rho"])
    assert np.isfinite(value(table, "ventilator", "Liver")["mean_rho"])
    assert value(table, "covariates", MEAN_OF_TISSUES)["n_tissues"] == 0


@pytest.mark.slow
def test_results_do_not_depend_on_the_block_of_genes(traits, noisy):
    held_out = traits.held_out(noisy(traits.cohort))
    expected = partial(traits, held_out)
    pd.testing.assert_frame_equal(partial(traits, held_out, block_genes=3), expected)


def test_a_constant_prediction_has_no_partial_rho(traits):
    table = partial(traits, traits.held_out(np.ones_like(traits.cohort.expr_tpm)))
    rows = table[(table["scale"] == "log2_z") & (table["adjustment"] != "ventilator")]
    assert (rows["mean_rho"] == 0).all()
    assert (rows["p"] == 1).all()


def test_without_hardy_classes_there_are_no_rows_of_them(traits, noisy):
    held_out = traits.held_out(noisy(traits.cohort))
    cohort = traits.read()
    cohort = replace(cohort, donors=cohort.donors.drop(columns="hardy"))
    table = partial_accuracy(held_out, cohort, SOURCE, "m", SETTINGS, device="cpu")
    assert set(table["adjustment"]) == {"covariates"}


def test_no_covariate_is_a_reason_to_leave_out_and_no_source_sample_is_refused(traits, noisy):
    held_out = traits.held_out(noisy(traits.cohort))
    with pytest.raises(CannotDo, match="no covariate varies"):
        partial(traits, held_out, covariates=("batch",))
    with pytest.raises(InputError, match="no sample of Lung"):
        partial_accuracy(held_out, traits.read(), "Lung", "m", SETTINGS, device="cpu")


@pytest.mark.slow
def test_folds_that_learn_from_each_other_have_a_wider_null_and_interval(traits, noisy):
    held_out = traits.held_out(noisy(traits.cohort))
    frozen = partial(traits, held_out, learned=False)
    learned = partial(traits, held_out, learned=True)
    wide = ["se", "ci_low", "ci_high", "p", "null_low", "null_high"]
    pd.testing.assert_frame_equal(frozen.drop(columns=wide), learned.drop(columns=wide))
    rows = (frozen["adjustment"] == "ventilator") & frozen["se"].notna()
    assert rows.any()
    for name in ("null_high", "se"):
        ratio = (learned[name] / frozen[name])[rows]
        assert ratio.between(1.2, 2**0.5 + 1e-6).all()
    assert (learned["p"].dropna() >= frozen["p"].dropna()).all()
    half = frozen["mean_rho"] - frozen["ci_low"], learned["mean_rho"] - learned["ci_low"]
    np.testing.assert_allclose((half[1] / half[0])[rows], (learned["se"] / frozen["se"])[rows])


@pytest.mark.slow
def test_the_script_writes_the_table(traits, noisy, tmp_path):
    held_out = traits.held_out(noisy(traits.cohort))
    folder = traits.cohort.folder
    output = Named(partial=tmp_path / "out" / "m.tsv")
    run_script(
        "score_partial",
        tmp_path / "log.txt",
        input={
            "expression": folder / "expression.h5ad",
            "donors": folder / "donors.tsv",
            "folds": folder / "folds.tsv",
            "predictions": [str(path) for path in held_out.predictions],
        },
        params={
            "source": SOURCE,
            "accuracy": {"permutations": 4, "bootstraps": 30, "null_genes": 4},
            "learned": True,
            "covariates": list(COVARIATES),
            "scaling": {"sd_rule": "unit_below_one", "log2_clip": None},
        },
        wildcards={"model": "m"},
        output=output,
    )
    written = pd.read_csv(output.partial, sep="\t")
    expected = partial(traits, held_out)
    np.testing.assert_allclose(written["mean_rho"], expected["mean_rho"])
    assert list(written.columns) == list(expected.columns)


def test_tissues_above_zero_are_those_with_a_small_p(traits, noisy):
    table = partial(traits, traits.held_out(noisy(traits.cohort, noise=8.0)))
    counted = set()
    for _, rows in table.groupby(["scale", "adjustment"]):
        is_mean = rows["tissue"] == MEAN_OF_TISSUES
        above = (rows["mean_rho"] > 0) & (rows["p"] < 0.05) & ~is_mean
        assert rows.loc[is_mean, "n_above_zero"].item() == above.sum()
        counted.add(int(above.sum()))
    assert len(counted) > 1
