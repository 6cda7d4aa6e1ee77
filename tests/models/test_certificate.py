from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from scripts import run_script

from mtm.errors import InputError
from mtm.models.base import Predictor, Training
from mtm.models.bundle import write_bundle
from mtm.models.certificate import Certificate
from mtm.models.registry import build, load, read
from mtm.settings.intervals import IntervalSettings
from mtm.vocabulary import RELIABILITY, TERTILES

LEVELS = (0.5, 0.9)


def tables(tissues, gene_ids, own_sd=0):
    """Return tables of genes and of quantiles, rows in another order than a bundle's."""
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([tissues, gene_ids], names=["tissue", "gene_id"])
    genes = index.to_frame(index=False)
    genes["n"] = genes["tissue"].map({name: 20 + i for i, name in enumerate(tissues)})
    genes["expression"] = rng.choice(TERTILES, len(genes))
    genes["reliability"] = rng.choice(RELIABILITY, len(genes))
    for name in ("sd", "rho", "ci_low", "ci_high", "q", "expected_rho"):
        genes[name] = rng.random(len(genes))
    levels = pd.MultiIndex.from_product(
        [tissues, TERTILES, LEVELS], names=["tissue", "expression", "level"]
    )
    quantiles = levels.to_frame(index=False).assign(own_sd=own_sd)
    quantiles["quantile"] = rng.uniform(1, 2, len(quantiles))
    return genes.sample(frac=1, random_state=1), quantiles.sample(frac=1, random_state=1)


@pytest.fixture
def fitted(cohort):
    model = build("same_gene")
    model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood"), device="cpu"))
    return model


@pytest.fixture
def certificate(fitted):
    predicted = [name for name in fitted.tissues if name != "Whole Blood"]
    given = tables(predicted, list(fitted.genes.index))
    thresholds = IntervalSettings().thresholds
    return Certificate.from_tables(
        *given, fitted.tissues, list(fitted.genes.index), ["Whole Blood"], thresholds
    )


def test_a_bundle_gives_its_certificate_back(fitted, certificate, tmp_path):
    fitted.save(tmp_path / "plain.safetensors")
    header, arrays = read(tmp_path / "plain.safetensors")
    path = tmp_path / "certified.safetensors"
    write_bundle(
        path, header | {"certificate": certificate.header()}, arrays | certificate.arrays()
    )
    assert load(tmp_path / "plain.safetensors").certificate is None
    loaded = load(path)
    for item in fields(Certificate):
        np.testing.assert_equal(
            getattr(loaded.certificate, item.name), getattr(certificate, item.name)
        )
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_values_stand_at_their_tissue_and_gene(fitted, certificate):
    genes, quantiles = tables(
        [name for name in fitted.tissues if name != "Whole Blood"], list(fitted.genes.index)
    )
    row = genes.iloc[5]
    tissue = fitted.tissues.index(row["tissue"])
    gene = fitted.genes.index.get_loc(row["gene_id"])
    assert certificate.sd[tissue, gene] == np.float32(row["sd"])
    assert RELIABILITY[certificate.reliability[tissue, gene]] == row["reliability"]
    mine = quantiles[(quantiles["tissue"] == row["tissue"]) & (quantiles["level"] == 0.9)]
    quantile = mine.set_index("expression").loc[row["expression"], "quantile"]
    assert certificate.half_width(tissue)[gene] == pytest.approx(quantile * row["sd"], rel=1e-6)
    blood = fitted.tissues.index("Whole Blood")
    assert np.isnan(certificate.half_width(blood)).all()
    assert certificate.n_donors[blood] == 0
    assert certificate.covers("Whole Blood")
    assert not replace(certificate, sources=("Lung", "Whole Blood")).covers("Whole Blood")


def test_words(certificate):
    words = certificate.in_words()
    assert words["intervals"].startswith("50%, 90% from 20 to 22 held-out donors a tissue")
    share = (certificate.reliability[certificate.n_donors > 0] == 3).mean()
    assert words["reliability"].startswith(f"high {share:.1%} (from 0.5), moderate ")


def test_tables_of_other_genes_and_damaged_arrays_are_refused(fitted, certificate, tmp_path):
    genes, quantiles = tables(["Liver"], ["ENSG1", "ENSG2"])
    with pytest.raises(InputError, match="other genes or tissues"):
        Certificate.from_tables(genes, quantiles, fitted.tissues, ["ENSG1"], [], {})
    header = fitted.header() | {"certificate": certificate.header()}
    arrays = fitted.arrays() | certificate.arrays()
    for damaged in (
        {key: value for key, value in arrays.items() if key != "certificate/sd"},
        arrays | {"certificate/sd": arrays["certificate/sd"][:, 1:]},
    ):
        write_bundle(tmp_path / "damaged.safetensors", header, damaged)
        with pytest.raises(InputError, match=r"damaged.safetensors, array certificate/sd"):
            load(tmp_path / "damaged.safetensors")


@pytest.mark.parametrize(("grown", "told"), [(1.0, True), (1.25, True), (1.25, False)])
def test_intervals_of_the_last_fit_are_as_wide_as_those_of_the_judged_fits(
    cohort, tmp_path, monkeypatch, grown, told
):
    """The model's own sd has grown since, by the donors who were held out then.

    A class that gives an sd need not tell what it will be of samples to come.
    """
    blood = cohort.tissue_index("Whole Blood")
    model = build("joint", {"n_factors": 2, "noise_rank": 2, "fits": 1, "iterations": 5})
    model.fit(Training(cohort, source=blood, device="cpu"))
    model.save(tmp_path / "all.safetensors")
    targets = [place for place in range(len(model.tissues)) if place != blood]
    mean_sd = np.sqrt(model.expected_variance([blood], targets)).mean(1)
    names = [model.tissues[place] for place in targets]
    genes, quantiles = tables(names, list(model.genes.index), own_sd=1)
    judged = pd.Series(mean_sd / grown, names)
    quantiles["mean_own_sd"] = quantiles["tissue"].map(judged)
    accuracy = pd.DataFrame({"tissue": names, **dict.fromkeys(
        ("mean_rho", "ci_low", "ci_high", "null_low", "null_high"), 0.2
    )}).assign(scale="log2_z", level="gene_wise", convention="per_fold", n_donors=20, n_samples=20,
               n_genes=len(genes) // len(names))  # fmt: skip
    coverage = pd.DataFrame({"tissue": names, "level": 0.9, "by": "all", "coverage": 0.9})
    given = {"quantiles": quantiles, "by_tissue": accuracy, "coverage": coverage}
    for name, table in given.items():
        table.to_csv(tmp_path / f"{name}.tsv", sep="\t", index=False)
    genes.to_parquet(tmp_path / "genes.parquet")
    if not told:
        monkeypatch.setattr(type(model), "expected_variance", Predictor.expected_variance)
    run_script(
        "certify_bundle",
        tmp_path / "log",
        input={name: tmp_path / f"{name}.tsv" for name in given}
        | {
            "bundle": tmp_path / "all.safetensors",
            "genes": tmp_path / "genes.parquet",
            "covariates": [],
        },
        output={"bundle": tmp_path / "certified.safetensors"},
        params={"source": "Whole Blood", "sources": "source", "intervals": {}, "card": {}},
    )
    certified = load(tmp_path / "certified.safetensors").certificate
    plain = Certificate.from_tables(
        genes, quantiles, model.tissues, list(model.genes.index), ["Whole Blood"],
        IntervalSettings().thresholds,
    )  # fmt: skip
    assert certified.own_sd
    np.testing.assert_allclose(certified.sd, plain.sd / (grown if told else 1), rtol=1e-5)
    np.testing.assert_equal(certified.quantiles, plain.quantiles)
