"""Simulated annotation: planted conservation and degrees, read back by brute force."""

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from scipy import stats

from mtm.settings.simulation import SimulationSettings
from mtm.simulation.annotation import (
    _draw_edges,
    _expected_degree,
    plant_annotation,
    true_predictability,
    write_annotation,
)
from mtm.simulation.effects import draw_effects, expected_log2_tpm
from mtm.simulation.files import write_gene_model
from mtm.simulation.population import simulate_population

TISSUES = ("Brain - Cortex", "Lung", "Thyroid", "Whole Blood")
# Two gene blocks, so that what joins blocks is tested too.
SMALL = SimulationSettings(
    n_donors=30, n_genes=260, n_noncoding=30, n_rare_samples=3, tissues=TISSUES
)
NAMES = {
    "conservation": "conservation.bw",
    "interactions": "interactions.tsv",
    "gene_identifiers": "gene_identifiers.tsv",
    "gene_truth": "gene_truth.tsv",
}


def write(settings, folder):
    paths = {key: folder / name for key, name in NAMES.items()}
    write_annotation(simulate_population(settings), **paths)
    return SimpleNamespace(**paths)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotation")
    write_gene_model(simulate_population(SMALL), folder / "genes.gtf")
    found = write(SMALL, folder)
    return SimpleNamespace(gene_model=folder / "genes.gtf", **vars(found))


@pytest.fixture(scope="module")
def gene_truth(files):
    return pd.read_csv(files.gene_truth, sep="\t", index_col="gene_id")


@pytest.fixture(scope="module")
def interactions(files):
    names = ["entry_a", "entrez_a", "entry_b", "entrez_b", "score", "comments"]
    return pd.read_csv(files.interactions, sep="\t", header=None, names=names)


def test_equal_settings_write_equal_bytes(files, tmp_path):
    again, other = write(SMALL, tmp_path / "again"), write(SMALL.with_(seed=2), tmp_path)
    for name in NAMES:
        digests = [
            hashlib.sha256(getattr(each, name).read_bytes()).hexdigest()
            for each in (files, again, other)
        ]
        assert digests[0] == digests[1] != digests[2], name


def _exons_and_bases(files):
    """Exons of every gene from the GTF, and a function that reads single bases, 1-based."""
    columns = ["chrom", "source", "feature", "start", "end", ".", "strand", "..", "attributes"]
    gtf = pd.read_csv(files.gene_model, sep="\t", comment="#", names=columns)
    gtf["gene_id"] = gtf["attributes"].str.extract(r'gene_id "([^"]+)"')
    handle = pyBigWig.open(str(files.conservation))
    exons = gtf[gtf["feature"] == "exon"]

    def bases(chrom, start, end):
        return np.array(handle.values(chrom, int(start) - 1, int(end)))

    return exons, bases


@pytest.mark.slow
def test_mean_over_merged_exons_is_what_was_planted(files, gene_truth):
    exons, bases = _exons_and_bases(files)
    assert set(exons["gene_id"]) == set(gene_truth.index)
    mistaken = {"gene body": [], "one base left": [], "no value is 0": []}
    for gene, rows in exons.groupby("gene_id"):
        chrom, planted = rows["chrom"].iloc[0], gene_truth.at[gene, "conservation"]
        places = zip(rows["start"], rows["end"], strict=True)
        values = np.concatenate([bases(chrom, *place) for place in places])
        assert np.nanmin(values) >= 0
        assert np.nanmax(values) <= 1
        assert np.nanmean(values) == pytest.approx(planted, abs=1e-6), gene
        places = zip(rows["start"] - 1, rows["end"] - 1, strict=True)
        shifted = np.concatenate([bases(chrom, *place) for place in places])
        body = bases(chrom, rows["start"].min(), rows["end"].max())
        mistaken["gene body"].append(np.nanmean(body) - planted)
        mistaken["one base left"].append(np.nanmean(shifted) - planted)
        mistaken["no value is 0"].append(np.nan_to_num(values).mean() - planted)
    for mistake, error in mistaken.items():
        assert np.median(np.abs(error)) > 5e-5, mistake
    assert files.conservation.stat().st_size < 1_000_000


def test_conservation_looks_like_phastcons(gene_truth):
    coding = gene_truth[gene_truth["gene_type"] == "protein_coding"]["conservation"]
    assert coding.mean() == pytest.approx(0.68, abs=0.05)
    assert coding.std() == pytest.approx(0.25, abs=0.04)
    others = gene_truth[gene_truth["gene_type"] != "protein_coding"]["conservation"]
    assert others.mean() < 0.5


def test_copies_have_what_their_originals_have(gene_truth):
    copies = gene_truth[gene_truth.index.str.endswith("_PAR_Y")]
    originals = gene_truth.loc[copies.index.str.removesuffix("_PAR_Y")]
    assert len(copies) == SMALL.n_par_y
    assert (copies["true_predictability"] == 0).all()
    assert (originals["true_predictability"] > 0).all()
    for column in ("conservation", "expected_degree"):
        assert list(copies[column]) == list(originals[column])


def test_degrees_follow_their_expectation(interactions, gene_truth):
    kept = interactions[
        (interactions["score"] >= 0.5) & (interactions["entry_a"] != interactions["entry_b"])
    ]
    partners: dict[str, set[str]] = {}
    for a, b in zip(kept["entry_a"], kept["entry_b"], strict=True):
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    genes = gene_truth[~gene_truth.index.str.endswith("_PAR_Y")].dropna()
    assert (genes["gene_type"] == "protein_coding").all()
    assert len(genes) == SMALL.n_genes - SMALL.n_par_y
    degree = np.array([len(partners.get(f"{s}_HUMAN", ())) for s in genes["symbol"]])
    expected = genes["expected_degree"]
    # Sums of independent edges vary at most as a Poisson number does.
    assert 0.7 < ((degree - expected) ** 2 / expected).mean() < 1.2
    # The sum has a standard error of 2%; that it is right on average has a test of its own.
    assert degree.sum() == pytest.approx(expected.sum(), rel=0.1)
    assert expected.max() > 5 * expected.median()
    rho = stats.spearmanr(degree, genes["true_predictability"]).statistic
    assert rho == pytest.approx(0.5, abs=0.15)


def test_expected_degree_is_the_mean_over_draws():
    weights = 8 * np.exp(1.2 * np.random.default_rng(0).standard_normal(60))
    draws = [_draw_edges(np.random.default_rng([1, k]), weights) for k in range(2000)]
    found = np.bincount(np.concatenate(draws).ravel(), minlength=60) / len(draws)
    expected = _expected_degree(weights)
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(expected.max() / len(draws)))
    assert found.sum() == pytest.approx(expected.sum(), rel=0.005)


def test_interactions_hold_what_a_reader_must_handle(interactions, gene_truth):
    a, b = interactions["entry_a"], interactions["entry_b"]
    own = set(gene_truth.loc[gene_truth["gene_type"] == "protein_coding", "symbol"] + "_HUMAN")
    named = pd.concat([a, b])
    assert set(named[named.str.startswith("SIM")]) <= own
    assert 0.01 < (~named.isin(own)).mean() < 0.15
    assert (a == b).sum() >= 3
    directed = set(zip(a, b, strict=True))
    reversed_too = sum((y, x) in directed for x, y in directed if x != y)
    assert 0.02 < reversed_too / len(interactions) < 0.1
    assert interactions["score"].between(0, 1).all()
    assert 0.02 < (interactions["score"] < 0.3).mean() < 0.08
    assert interactions["comments"].str.len().min() > 0
    ends = [interactions[[f"entry_{end}", f"entrez_{end}"]] for end in "ab"]
    ids = pd.concat([end.set_axis(["entry", "entrez"], axis=1) for end in ends])
    assert (ids.groupby("entry")["entrez"].nunique() == 1).all()


def test_identifiers_tie_genes_to_proteins(files, interactions, gene_truth):
    table = pd.read_csv(files.gene_identifiers, sep="\t")
    assert list(table) == ["hgnc_id", "symbol", "entrez_id", "ensembl_gene_id", "uniprot_ids"]
    genes = gene_truth[~gene_truth.index.str.endswith("_PAR_Y")]
    unversioned = pd.Series(genes["symbol"].to_numpy(), index=genes.index.str.split(".").str[0])
    assert 0 < len(genes) - len(table) < 0.05 * len(genes)
    assert list(unversioned[table["ensembl_gene_id"]]) == list(table["symbol"])
    coding = set(genes.loc[genes["gene_type"] == "protein_coding", "symbol"])
    assert (table["uniprot_ids"].notna() == table["symbol"].isin(coding)).all()
    accession = table["uniprot_ids"].dropna().str.split("|").explode()
    pattern = r"[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9]([A-Z][A-Z0-9]{2}[0-9]){1,2}"
    assert accession.str.fullmatch(pattern).all()
    assert accession.is_unique
    assert table["uniprot_ids"].str.contains("|", regex=False).any()
    entrez = dict(zip(interactions["entry_a"], interactions["entrez_a"], strict=True))
    both = table[(table["symbol"] + "_HUMAN").isin(entrez)]
    assert list(both["entrez_id"]) == [entrez[f"{symbol}_HUMAN"] for symbol in both["symbol"]]


def test_true_predictability_is_the_correlation_of_two_looks_at_a_donor():
    """Same donors, other tissue states, sample covariates and noise, gene by gene."""
    settings = SMALL.with_(n_donors=4000, n_genes=40, n_noncoding=0, n_par_y=1)
    population = simulate_population(settings)
    shape = (settings.n_donors, len(settings.all_tissues))
    rng = np.random.default_rng(0)
    # A donor's covariates in the next tissue share the donor's own part alone.
    moved = population.samples.copy()
    for name in ("rin", "ischemic_minutes"):
        values = np.roll(moved[name].to_numpy().reshape(shape), 1, axis=1)
        moved[name] = values.ravel()
    again = replace(population, samples=moved, tissue_states=rng.standard_normal(shape))
    effects = draw_effects(population, 0)
    looks = [
        expected_log2_tpm(each, effects, 0) + rng.standard_normal((*shape, 40)) * effects.noise_sd
        for each in (population, again)
    ]
    found = true_predictability(population)
    targets = [settings.all_tissues.index(t) for t in TISSUES if t != "Whole Blood"]
    for gene in range(39):
        expected = np.mean(
            [np.corrcoef(looks[0][:, t, gene], looks[1][:, t, gene])[0, 1] for t in targets]
        )
        assert found[gene] == pytest.approx(expected, abs=0.04)
    assert found[39] == 0


def _relation(settings, column):
    planted = plant_annotation(simulate_population(settings))
    coding = planted[planted["true_predictability"] > 0].dropna()
    return stats.spearmanr(coding["true_predictability"], coding[column])


FAST = SMALL.with_(n_donors=12, n_genes=200, n_noncoding=10)


@pytest.mark.parametrize(
    ("setting", "column", "sign"),
    [
        ("conservation_strength", "conservation", -1),
        ("connectivity_strength", "expected_degree", 1),
    ],
)
def test_relation_is_as_strong_as_planted(setting, column, sign):
    rhos = [
        _relation(FAST.with_(seed=seed, **{setting: 0.5}), column).statistic for seed in range(12)
    ]
    # One correlation of 198 genes has a standard error of about 0.055.
    assert np.mean(rhos) == pytest.approx(0.5 * sign, abs=0.05)
    assert _relation(FAST.with_(**{setting: 1.0}), column).statistic == pytest.approx(sign)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "column"),
    [("conservation_strength", "conservation"), ("connectivity_strength", "expected_degree")],
)
def test_strength_zero_plants_no_relation(setting, column):
    p = [_relation(FAST.with_(seed=seed, **{setting: 0.0}), column).pvalue for seed in range(20)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_two_genes_and_a_source_alone_are_enough(tmp_path):
    settings = SimulationSettings(
        n_donors=10,
        n_genes=2,
        n_noncoding=0,
        n_par_y=0,
        n_rare_samples=1,
        tissues=("Whole Blood",),
    )
    found = write(settings, tmp_path)
    table = pd.read_csv(found.gene_truth, sep="\t")
    assert (table["true_predictability"] == 0).all()
    assert table["conservation"].between(0, 1).all()
    single = settings.with_(n_genes=1)
    assert pd.read_csv(write(single, tmp_path).gene_truth, sep="\t")["expected_degree"][0] == 0
