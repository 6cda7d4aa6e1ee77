"""A simulated cohort: formats, determinism, and a truth that says what was planted."""

import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scripts import load_script
from sklearn.linear_model import RidgeCV

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.settings.simulation import GTEX_V8_SAMPLES, SimulationSettings
from mtm.simulation.effects import COVARIATES, affected_tissues, expected_log2_one_plus_tpm
from mtm.simulation.files import simulate_cohort, write_truth
from mtm.simulation.oracle import oracle_predictions
from mtm.simulation.population import DISEASES, GTEX_V8_DONORS, organ, simulate_population

TISSUES = ("Brain - Cerebellum", "Brain - Cortex", "Lung", "Thyroid", "Whole Blood")
# Two gene blocks, so that what joins blocks is tested too.
SMALL = SimulationSettings(
    n_donors=140, n_genes=260, n_noncoding=20, tissues=TISSUES, rare_tissues=("Bladder",)
)
NAMES = {
    "expression": "expression.gct.gz",
    "sample_attributes": "sample_attributes.txt",
    "subject_phenotypes": "subject_phenotypes.txt",
    "controlled_phenotypes": "controlled.txt.gz",
    "gene_model": "genes.gtf",
    "truth": "truth.h5ad",
}


def write(settings, folder):
    paths = {key: folder / name for key, name in NAMES.items()}
    simulate_cohort(settings, **paths)
    return SimpleNamespace(**paths)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(SMALL, tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def gct(files):
    return pd.read_csv(files.expression, sep="\t", skiprows=2, index_col=0)


@pytest.fixture(scope="module")
def attributes(files):
    return pd.read_csv(files.sample_attributes, sep="\t", dtype={"SMPTHNTS": str})


@pytest.fixture(scope="module")
def truth(files):
    return anndata.read_h5ad(files.truth)


@pytest.fixture(scope="module")
def observed(gct, truth):
    """log2(1+TPM) of coding genes, samples in the order of the sampled rows of the truth."""
    sampled = truth[truth.obs["sampled"].to_numpy()]
    coding = sampled.var["gene_type"] == "protein_coding"
    coding &= ~sampled.var_names.str.endswith("_PAR_Y")
    sampled = sampled[:, coding.to_numpy()].copy()
    expr_tpm = gct.loc[sampled.var_names, sampled.obs["sample_id"]].to_numpy().T
    return np.log2(1 + expr_tpm), sampled


def test_equal_settings_write_equal_bytes(files, tmp_path):
    again = write(SMALL.with_(), tmp_path / "again")
    other = write(SMALL.with_(seed=2), tmp_path / "other")

    def digest(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    for name in NAMES:
        assert digest(getattr(files, name)) == digest(getattr(again, name)), name
        assert digest(getattr(files, name)) != digest(getattr(other, name)), name
    for path in (files.expression, files.controlled_phenotypes):
        assert path.read_bytes()[4:8] == bytes(4), f"{path} carries a timestamp"


# Of the texts that the settings SMALL wrote before the annotation and the external cohort came.
EARLIER_DIGESTS = {
    "expression": "22ac510e7deb2952c51c2f32836b40226c8118235346736354dd9faa05b000db",
    "sample_attributes": "668efbe01061fe0a12940680b10b68d79c2ef30919dd3424fedf58121f5a6f18",
    "subject_phenotypes": "567df1c4439c99e409f407c10ac6e08a6a44ef0750e7f20fb96e4f0a4f2b8fc1",
    "controlled_phenotypes": "736460c5bdedd18a2450788bcff8b2072ca284dbca7b6db7f0ce0ca73cb059e7",
    "gene_model": "e2e71b84df47d531c6d84205f526c85eaeeee705e443fe73a1f173ba4ba65a4a",
}


def test_later_additions_change_no_earlier_file(files, tmp_path):
    for name, expected in EARLIER_DIGESTS.items():
        path = getattr(files, name)
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as handle:
            assert hashlib.sha256(handle.read()).hexdigest() == expected, name
    others = {
        "conservation_strength": 0.1,
        "connectivity_strength": 0.9,
        "n_external_donors": 0,
        "external_shift": 0.3,
    }
    varied = write(SMALL.with_(**others), tmp_path)
    for name in NAMES:
        assert getattr(varied, name).read_bytes() == getattr(files, name).read_bytes(), name
    assert not set(others) & set(json.loads(anndata.read_h5ad(files.truth).uns["settings"]))


def test_gct_announces_what_it_holds(files, gct):
    with gzip.open(files.expression, "rt") as handle:
        assert handle.readline() == "#1.2\n"
        assert handle.readline() == f"{len(gct)}\t{gct.shape[1] - 1}\n"
        assert handle.readline().startswith("Name\tDescription\tGTEX-")
        fields = handle.read().replace("\n", "\t").split("\t")
    numbers = [f for f in fields if f and not f.startswith(("ENSG", "SIM"))]
    digits = pd.Series(numbers).str.replace(r"e[+-]\d+$", "", regex=True).str.replace(".", "")
    assert digits.str.lstrip("0").str.len().max() == 4
    assert len(gct) == SMALL.n_all_genes
    assert gct.index.is_unique
    assert gct.index.str.fullmatch(r"ENSG00000\d{6}\.\d+(_PAR_Y)?").all()
    expr_tpm = gct.drop(columns="Description").to_numpy()
    assert np.isfinite(expr_tpm).all()
    assert expr_tpm.min() == 0
    assert not expr_tpm[gct.index.str.endswith("_PAR_Y")].any()
    assert 0.03 < (expr_tpm.mean(1) < 1).mean() < 0.4


def test_sample_table_covers_the_expression_and_more(gct, attributes):
    samples = gct.columns[1:]
    assert samples.is_unique
    assert samples.str.fullmatch(r"GTEX-\w{5}-\d{4}(-R\d+b)?-SM-\w{5}").all()
    assert attributes["SAMPID"].is_unique
    assert set(samples) == set(attributes.loc[attributes["SMAFRZE"] == "RNASEQ", "SAMPID"])
    assert {"WGS", "EXCLUDE"} <= set(attributes["SMAFRZE"])
    rna = attributes[attributes["SMAFRZE"] == "RNASEQ"]
    assert rna["SMRIN"].between(4, 10).all()
    assert 0 < rna["SMTSISCH"].isna().mean() < 0.05
    assert rna["SMCENTER"].isin(["B1", "C1", "D1"]).all()
    donor = rna["SAMPID"].str.split("-").str[:2].str.join("-")
    assert not pd.DataFrame({"donor": donor, "tissue": rna["SMTSD"]}).duplicated().any()
    assert organ("Artery - Tibial") == "Blood Vessel"
    assert organ("Brain - Cortex") == "Brain"
    assert dict(zip(rna["SMTSD"], rna["SMTS"], strict=True))["Whole Blood"] == "Blood"


def test_phenotypes_agree_and_diseases_follow_bmi(files, gct):
    public = pd.read_csv(files.subject_phenotypes, sep="\t").set_index("SUBJID")
    controlled = pd.read_csv(files.controlled_phenotypes, sep="\t").set_index("SUBJID")
    assert set(gct.columns[1:].str.split("-").str[:2].str.join("-")) <= set(public.index)
    assert list(public.index) == list(controlled.index)
    assert public["SEX"].isin([1, 2]).all()
    low = public["AGE"].str.extract(r"^(\d0)-(\d9)$").astype(int)
    assert controlled["AGE"].between(low[0], low[1]).all()
    assert controlled["BMI"].between(18, 35).all()
    assert public["DTHHRDY"].dropna().isin(range(5)).all()

    many = simulate_population(SMALL.with_(n_donors=3000)).donors
    for disease in DISEASES:
        assert set(controlled[disease]) == {0, 1}
        assert many[disease].mean() == pytest.approx(SMALL.disease_prevalence, abs=0.04)
        assert stats.pearsonr(many[disease], many["bmi"]).statistic > 0.15
        assert stats.pearsonr(many[disease], many["age"]).statistic > 0.1


def test_gene_model_exons_tile_their_genes(files, gct):
    columns = ["chrom", "source", "feature", "start", "end", ".", "strand", "..", "attributes"]
    gtf = pd.read_csv(files.gene_model, sep="\t", comment="#", names=columns)
    for key in ("gene_id", "gene_type", "gene_name"):
        gtf[key] = gtf["attributes"].str.extract(rf'{key} "([^"]+)"')
    genes = gtf[gtf["feature"] == "gene"].set_index("gene_id")
    assert list(genes.index) == list(gct.index)
    assert list(genes["gene_name"]) == list(gct["Description"])
    assert (genes["gene_type"] == "protein_coding").sum() == SMALL.n_genes
    assert (gtf["start"] <= gtf["end"]).all()
    exons = gtf[gtf["feature"] == "exon"].sort_values(["gene_id", "start"])
    span = exons.groupby("gene_id").agg(start=("start", "min"), end=("end", "max"))
    pd.testing.assert_frame_equal(span, genes.loc[span.index, ["start", "end"]], check_names=False)
    same = exons["gene_id"].eq(exons["gene_id"].shift())
    assert (exons["start"] > exons["end"].shift())[same].all()
    assert exons.groupby("gene_id").size().between(2, 6).all()
    copies = genes[genes.index.str.endswith("_PAR_Y")]
    originals = genes.loc[copies.index.str.removesuffix("_PAR_Y")]
    assert list(copies["start"]) == list(originals["start"])
    assert set(copies["chrom"]) == {"chrY"}
    assert set(originals["chrom"]) == {"chrX"}
    assert (originals["end"] < 2_781_479).all()


def test_missing_tissues_are_plausible():
    tissues = ("Brain - Cortex", "Brain - Hippocampus", "Lung", "Testis", "Uterus", "Whole Blood")
    settings = SimulationSettings(
        n_donors=3000, tissues=tissues, min_availability_share=0.0, n_single_sample_donors=7
    )
    population = simulate_population(settings)
    table = population.samples.pivot(index="donor", columns="tissue", values="sampled")
    for tissue in tissues:
        expected = GTEX_V8_SAMPLES[tissue] / GTEX_V8_DONORS
        assert table[tissue].mean() == pytest.approx(expected, abs=0.04), tissue
    assert table[["Bladder", "Kidney - Medulla"]].sum().between(4, 6).all()
    both = table[["Brain - Cortex", "Brain - Hippocampus", "Lung", "Whole Blood"]].corr()
    assert both.loc["Brain - Cortex", "Brain - Hippocampus"] > 0.4
    assert 0.02 < both.loc["Lung", "Whole Blood"] < 0.2
    sex = population.donors.loc[table.index, "sex"]
    assert not table.loc[sex == 2, "Testis"].any()
    assert not table.loc[sex == 1, "Uterus"].any()


def test_filters_have_work_to_do(attributes):
    rna = attributes[attributes["SMAFRZE"] == "RNASEQ"]
    per_tissue = rna["SMTSD"].value_counts()
    assert per_tissue["Bladder"] <= SMALL.n_rare_samples
    assert per_tissue[list(TISSUES)].min() >= 50
    per_donor = rna["SAMPID"].str.split("-").str[1].value_counts()
    assert (per_donor == 1).sum() >= 3


def test_quadrature_matches_numerical_integration():
    for mean, sd in ((-6.0, 1.5), (0.0, 0.4), (2.0, 1.5), (9.0, 0.3), (-60.0, 0.0)):

        def integrand(z, mean=mean, sd=sd):
            return np.log2(1 + 2 ** (mean + sd * z)) * stats.norm.pdf(z)

        expected = integrate.quad(integrand, -9, 9)[0]
        found = expected_log2_one_plus_tpm(np.array([mean]), np.array([sd]))[0]
        assert found == pytest.approx(expected, abs=2e-4)


def test_truth_is_the_expectation_of_the_data(observed):
    expr_log2, sampled = observed
    standard_error = expr_log2.std(0) / np.sqrt(len(expr_log2))
    deviation = (expr_log2 - sampled.X).mean(0) / standard_error
    # Artefacts common to a sample's genes leave the mean over genes free, its size not.
    assert np.abs(deviation).max() < 5
    assert np.mean(np.abs(deviation) < 2) > 0.9
    noise = (expr_log2 - sampled.X).std(0) / expr_log2.std(0)
    assert 0.1 < np.median(noise) < 0.95


def _coefficients(truth, tissue, genes):
    """Least squares of the truth on everything linear a donor has; (n_terms, n_genes)."""
    rows = truth[(truth.obs["tissue"] == tissue).to_numpy(), genes]
    terms = np.column_stack(
        [
            np.ones(rows.n_obs),
            rows.obsm["covariates"],
            rows.obs[list(DISEASES)].to_numpy(float),
            rows.obsm["factors"],
            rows.obsm["nonlinear"],
        ]
    )
    return np.linalg.lstsq(terms, rows.X, rcond=None)[0][1:]


def test_planted_effects_show_in_the_truth(tmp_path):
    settings = SMALL.with_(n_donors=500, n_genes=120, n_noncoding=0)
    write_truth(simulate_population(settings), tmp_path / "truth.h5ad")
    truth = anndata.read_h5ad(tmp_path / "truth.h5ad")
    tissues = list(truth.uns["tissues"])
    names = [*COVARIATES, *DISEASES]
    names += [f"factor_{k}" for k in range(settings.n_factors)] + ["product", "threshold"]
    for tissue in ("Brain - Cortex", "Lung", "Thyroid", "Whole Blood"):
        column = tissues.index(tissue)
        # log2(1+TPM) is log2 TPM where TPM is far above 1.
        genes = truth.varm["base"][:, column] > 5
        found = _coefficients(truth, tissue, genes)
        for name, coefficients in zip(names, found, strict=True):
            planted = truth.varm[name][genes, column]
            if not planted.any():
                assert name in (*DISEASES, "product", "threshold")
                assert np.abs(coefficients).max() < 0.25, (tissue, name)
                continue
            assert stats.pearsonr(coefficients, planted).statistic > 0.8, (tissue, name)
            assert stats.linregress(planted, coefficients).slope == pytest.approx(1, abs=0.2)
    affected = affected_tissues(settings)
    for name in (*DISEASES, "product", "threshold"):
        touched = {
            t for t, any_ in zip(tissues, (truth.varm[name] != 0).any(0), strict=True) if any_
        }
        source = {"Whole Blood"} if name in DISEASES else set()
        assert touched == {*affected[name], *source}
        assert (truth.var[f"has_{name}"] == (truth.varm[name] != 0).any(1)).all()


def test_strength_zero_plants_nothing(tmp_path):
    settings = SMALL.with_(n_genes=60, covariate_strength=0.0, nonlinear_strength=0.0)
    write_truth(simulate_population(settings), tmp_path / "truth.h5ad")
    truth = anndata.read_h5ad(tmp_path / "truth.h5ad")
    for name in (*COVARIATES, "product", "threshold"):
        assert not truth.varm[name].any()
    assert truth.varm["MHT2D"].any()


def _explained(truth, tissue, terms):
    """Share of variance of the truth that least squares on `terms` explains, per gene."""
    rows = (truth.obs["tissue"] == tissue).to_numpy()
    design = np.column_stack([np.ones(rows.sum()), terms[rows]])
    expr_log2 = truth.X[rows]
    residual = expr_log2 - design @ np.linalg.lstsq(design, expr_log2, rcond=None)[0]
    return 1 - residual.var(0) / np.maximum(expr_log2.var(0), 1e-12)


def test_some_tissues_respond_to_blood_visible_factors_nonlinearly(truth):
    factors, nonlinear = truth.obsm["factors"], truth.obsm["nonlinear"]
    tissues = list(truth.uns["tissues"])
    expressed = truth.varm["base"].min(1) > 3
    product = affected_tissues(SMALL)["product"]
    assert set(product) < set(TISSUES) - {"Whole Blood"}
    for tissue in TISSUES:
        gain = _explained(truth, tissue, np.hstack([factors, nonlinear]))
        gain -= _explained(truth, tissue, factors)
        touched = truth.varm["product"][:, tissues.index(tissue)] != 0
        assert touched.any() == (tissue in product)
        if tissue in product:
            assert np.median(gain[touched & expressed]) > 0.25
        else:
            assert np.median(gain[expressed]) < 0.05
    # Blood shows the factors themselves to a linear model.
    sampled = (truth.obs["tissue"] == "Whole Blood").to_numpy()
    blood, wanted = truth.X[sampled], factors[sampled]
    fitted = RidgeCV(np.logspace(-1, 4, 6)).fit(blood[::2], wanted[::2]).predict(blood[1::2])
    for index in range(3):
        assert stats.pearsonr(fitted[:, index], wanted[1::2, index]).statistic > 0.8


def _held_out_accuracy(expr_log2, sampled, predict):
    """Mean gene-wise correlation over tissues and five folds, by the definition, gene by gene."""
    donor, tissue = sampled.obs["donor"].astype(str), sampled.obs["tissue"].astype(str)
    rows = pd.DataFrame({"donor": donor, "tissue": tissue, "row": np.arange(len(donor))})
    blood = rows[rows["tissue"] == "Whole Blood"].set_index("donor")["row"]
    names = sorted(set(donor))
    fold = pd.Series(np.arange(len(names)) % 5, index=names)
    rhos = []
    for name in ("Lung", "Thyroid"):
        here = rows[(rows["tissue"] == name) & rows["donor"].isin(blood.index)]
        held_out = fold[here["donor"]].to_numpy()
        for k in range(5):
            train, test = here[held_out != k], here[held_out == k]
            found = predict(train, test, blood)
            actual = expr_log2[test["row"]]
            kept = (actual.std(0) > 0) & (found.std(0) > 0)
            rhos.append(
                np.mean(
                    [
                        stats.pearsonr(*p).statistic
                        for p in zip(found.T[kept], actual.T[kept], strict=True)
                    ]
                )
            )
    return np.mean(rhos)


@pytest.mark.slow
def test_oracle_beats_blood_beats_covariates_beats_nothing(observed):
    expr_log2, sampled = observed
    covariates = sampled.obsm["covariates"]

    def ridge(features, train, test, train_rows, test_rows):
        scale = features[train_rows].std(0) + 1e-6
        model = RidgeCV(np.logspace(0, 5, 11), alpha_per_target=True)
        model.fit(features[train_rows] / scale, expr_log2[train["row"]])
        return model.predict(features[test_rows] / scale)

    def from_blood(train, test, blood):
        return ridge(expr_log2, train, test, blood[train["donor"]], blood[test["donor"]])

    def from_covariates(train, test, blood):
        return ridge(covariates, train, test, train["row"], test["row"])

    def from_truth(train, test, blood):
        return sampled.X[test["row"]]

    oracle = _held_out_accuracy(expr_log2, sampled, from_truth)
    linear = _held_out_accuracy(expr_log2, sampled, from_blood)
    confounders = _held_out_accuracy(expr_log2, sampled, from_covariates)
    assert 0.55 < oracle < 0.8
    assert linear < oracle - 0.2
    assert confounders + 0.05 < linear
    assert confounders > 0.05


@pytest.fixture(scope="module")
def cohort(observed):
    expr_log2, sampled = observed
    order = np.argsort(sampled.obs["donor"].astype(str) + sampled.obs["tissue"].astype(str))
    sampled, expr_log2 = sampled[order], expr_log2[order]
    donors = pd.Index(sorted(set(sampled.obs["donor"])), name="donor")
    tissues = tuple(sorted(set(sampled.obs["tissue"])))
    return Cohort(
        expr_tpm=(np.exp2(expr_log2) - 1).astype(np.float32),
        samples=pd.DataFrame(index=pd.Index(sampled.obs["sample_id"], name="sample_id")),
        donor=donors.get_indexer(sampled.obs["donor"]),
        tissue=pd.Index(tissues).get_indexer(sampled.obs["tissue"]),
        donors=pd.DataFrame({"sex": 1}, index=donors),
        tissues=tissues,
        genes=pd.DataFrame({"symbol": sampled.var["symbol"]}),
    )


def test_oracle_is_the_truth_on_the_training_scale(files, truth, cohort):
    scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, len(cohort.tissues), "log2_z")
    rows = np.array([7, 3, 7, 100])
    found = oracle_predictions(files.truth, cohort, rows, scaler)
    for row, values in zip(rows, found, strict=True):
        donor, tissue = cohort.donors.index[cohort.donor[row]], cohort.tissues[cohort.tissue[row]]
        expected = truth[f"{donor}|{tissue}", cohort.genes.index].X[0]
        same = np.log2(1 + cohort.expr_tpm[cohort.tissue == cohort.tissue[row]].astype(float))
        sd = np.where(same.std(0) > 1e-6, same.std(0), 1)
        expected = np.clip((expected - same.mean(0)) / sd, -5, 5)
        np.testing.assert_allclose(values, expected, atol=2e-3)
    assert found.dtype == np.float32


def test_oracle_refuses_another_cohort(files, cohort):
    scaler = TissueScaler.fit(cohort.expr_tpm, cohort.tissue, len(cohort.tissues), "log2_z")
    stranger = replace(cohort, donors=cohort.donors.rename(lambda donor: donor + "X"))
    with pytest.raises(InputError, match="same simulation"):
        oracle_predictions(files.truth, stranger, np.array([0]), scaler)
    renamed = replace(cohort, genes=cohort.genes.rename(lambda gene: gene + "9"))
    with pytest.raises(InputError, match="same simulation"):
        oracle_predictions(files.truth, renamed, np.array([0]), scaler)


@pytest.mark.slow
def test_scripts_simulate_and_predict(files, cohort, tmp_path):
    settings = {"n_donors": 140, "n_genes": 260, "n_noncoding": 20, "tissues": list(TISSUES)}
    settings |= {"rare_tissues": ["Bladder"], "n_external_donors": 20}
    output = {key: str(tmp_path / name) for key, name in NAMES.items()}
    annotation = {
        key: str(tmp_path / key)
        for key in ("conservation", "interactions", "gene_identifiers", "gene_truth")
    }
    external = {
        key: str(tmp_path / key)
        for key in ("external_expression", "external_samples", "external_truth")
    }
    script = load_script("simulate_cohort").main
    params = SimpleNamespace(settings=settings)
    script(
        SimpleNamespace(params=params, output=SimpleNamespace(**output, **annotation, **external))
    )
    for key, path in output.items():
        assert Path(path).read_bytes() == getattr(files, key).read_bytes()
    written = [*annotation.values(), *external.values()]
    assert all(Path(path).stat().st_size > 0 for path in written)
    # Without external donors the script has no such outputs.
    params = SimpleNamespace(settings=settings | {"n_external_donors": 0})
    script(SimpleNamespace(params=params, output=SimpleNamespace(**output, **annotation)))

    obs = pd.DataFrame(
        {
            "donor": cohort.donors.index[cohort.donor],
            "tissue": np.array(cohort.tissues)[cohort.tissue],
        },
        index=cohort.samples.index.astype(str),
    )
    var = cohort.genes.astype(str)
    anndata.AnnData(cohort.expr_tpm, obs, var).write_h5ad(tmp_path / "expression.h5ad")
    cohort.donors.reset_index().to_csv(tmp_path / "donors.tsv", sep="\t", index=False)
    fold = np.arange(len(cohort.donors)) % 3
    folds = pd.DataFrame({"donor": cohort.donors.index, "fold": fold})
    folds.to_csv(tmp_path / "folds.tsv", sep="\t", index=False)
    load_script("predict_oracle").main(
        SimpleNamespace(
            input=SimpleNamespace(
                expression=str(tmp_path / "expression.h5ad"),
                donors=str(tmp_path / "donors.tsv"),
                folds=str(tmp_path / "folds.tsv"),
                truth=output["truth"],
            ),
            params=SimpleNamespace(
                source="Whole Blood", scaling={"sd_rule": "plain", "log2_clip": 5.0}
            ),
            wildcards=SimpleNamespace(fold="1"),
            output=SimpleNamespace(predictions=str(tmp_path / "fold1.h5ad")),
        )
    )
    found = anndata.read_h5ad(tmp_path / "fold1.h5ad")
    held_out = set(folds.loc[folds["fold"] == 1, "donor"])
    with_blood = set(obs.loc[obs["tissue"] == "Whole Blood", "donor"])
    wanted = obs[obs["donor"].isin(held_out & with_blood) & (obs["tissue"] != "Whole Blood")]
    assert set(found.obs_names) == set(wanted.index)
    assert found.uns["scale"] == "log2_z"
    assert found.uns["model"] == "oracle"
    assert set(found.obs["sources"]) == {"Whole Blood"}
    actual = np.log2(1 + cohort.expr_tpm[cohort.samples.index.get_indexer(found.obs_names)])
    lung = (found.obs["target"] == "Lung").to_numpy()
    rho = [
        stats.pearsonr(a, b).statistic
        for a, b in zip(found.X[lung].T, actual[lung].T, strict=True)
        if a.std() > 0 and b.std() > 0
    ]
    assert np.mean(rho) > 0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_donor": 20}, "'simulation.n_donors'"),
        ({"tissues": ["Whole Blod"]}, "'Whole Blood'"),
        ({"tissues": ["Lung"]}, "simulation.source"),
        ({"tissues": ["Lung", "Lung", "Whole Blood"]}, "twice"),
        ({"n_donors": 2}, "at least 10"),
        ({"n_factors": 4}, "at least 5"),
        ({"disease_gene_share": 1.2}, "at least 0, at most 1"),
        ({"disease_prevalence": 0}, "above 0"),
        ({"noise_sd_log2": 0}, "above 0"),
        ({"own_strength": float("nan")}, "at least 0"),
        ({"conservation_strength": 1.5}, "at least 0, at most 1"),
        ({"connectivity_strength": -0.5}, "at least 0, at most 1"),
        ({"n_external_donors": 19}, "0 or integer, at least 20"),
        ({"n_external_donors": -20}, "0 or integer, at least 20"),
        ({"external_shift": -1}, "at least 0"),
    ],
)
def test_unusable_settings_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        SimulationSettings.of(values)


def test_more_pseudoautosomal_copies_than_genes_are_refused():
    with pytest.raises(InputError, match="n_par_y"):
        simulate_population(SimulationSettings(n_genes=60, n_par_y=30, n_noncoding=0))
