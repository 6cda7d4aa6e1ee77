"""The people, samples and genes of a simulated cohort."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from mtm.errors import InputError
from mtm.settings.simulation import GTEX_V8_SAMPLES, SEX_OF_TISSUE, SimulationSettings

DISEASES = ("MHT2D", "MHHTN")
DISEASE_FACTORS = (3, 4)
PRODUCT_FACTORS = (0, 1)
THRESHOLD_FACTOR = 2
CENTERS = ("B1", "C1", "D1")
# Donors with the tissue among the 948 of GTEx v8.
GTEX_V8_DONORS = 948
# SMTS where it is not the part of SMTSD before " - ".
ORGANS = {
    "Adipose": "Adipose Tissue",
    "Artery": "Blood Vessel",
    "Cells - Cultured fibroblasts": "Skin",
    "Cells - EBV-transformed lymphocytes": "Blood",
    "Cervix": "Cervix Uteri",
    "Minor Salivary Gland": "Salivary Gland",
    "Whole Blood": "Blood",
}
# Shares of the open GTEx v8 donors.
MALE_SHARE = 0.67
AGE_BRACKETS = {20: 0.086, 30: 0.080, 40: 0.156, 50: 0.321, 60: 0.323, 70: 0.034}
HARDY = {0: 0.53, 1: 0.04, 2: 0.25, 3: 0.06, 4: 0.12}
UNKNOWN_HARDY_SHARE = 0.02
UNKNOWN_ISCHEMIC_SHARE = 0.01
# What a pathologist notes in a tissue, and the disease that makes it likelier.
PATHOLOGY_TERMS = {
    "Artery - Tibial": ("atherosclerosis", "MHHTN"),
    "Heart - Left Ventricle": ("fibrosis", "MHHTN"),
    "Muscle - Skeletal": ("atrophy", "MHT2D"),
    "Thyroid": ("goiter", "MHT2D"),
}
# Symbols of the first coding genes, which the sexes differ in: 1 for women, -1 for men.
SEX_MARKERS = {"XIST": 1.0, "RPS4Y1": -1.0}
_LETTERS = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


@dataclass(frozen=True)
class Population:
    """Donors, their tissues and the genes of a simulated cohort, before any expression.

    Parameters
    ----------
    settings
        What it was made from.
    donors
        One row a donor, indexed by SUBJID, sorted: ``sex`` (1 male, 2 female), ``age`` (years),
        ``bmi`` (kg/m2), ``hardy`` (0-4), ``center`` and a 0/1 column for each of `DISEASES`.
    factors
        Shape ``(n_donors, n_factors)``, standard normal.
    tissue_states
        Shape ``(n_donors, n_tissues)``, standard normal.
    samples
        One row a donor-tissue, sampled or not, donor by donor: ``donor``, ``tissue``, ``sampled``,
        ``sample_id`` (empty where not sampled), ``rin``, ``ischemic_minutes``, ``autolysis``
        (NaN in blood and brain), ``pathology_notes``.
    genes
        One row a gene, indexed by versioned id: ``symbol``, ``gene_type``, ``chromosome``,
        ``start``, ``end`` (1-based, inclusive), ``strand``, ``silent`` (PAR_Y copies).
    """

    settings: SimulationSettings
    donors: pd.DataFrame
    factors: np.ndarray
    tissue_states: np.ndarray
    samples: pd.DataFrame
    genes: pd.DataFrame

    @property
    def covariates(self) -> np.ndarray:
        """`COVARIATES` on a unit scale, shape ``(n_donors, n_tissues, n_covariates)``."""
        shape = self.tissue_states.shape
        samples, donors = self.samples, self.donors.loc[self.samples["donor"]]
        columns = [
            _standard_age(donors["age"]),
            np.where(donors["sex"] == 2, 1.0, -1.0),
            _standard_bmi(donors["bmi"]),
            np.where(donors["hardy"] == 0, 1.0, -1.0),
            _standard_ischemic(samples["ischemic_minutes"]),
            (samples["rin"] - 7.0) / 0.8,
            pd.Index(CENTERS).get_indexer(donors["center"]) - 1.0,
        ]
        return np.stack([np.asarray(column, float) for column in columns], 1).reshape(*shape, -1)

    @property
    def nonlinear(self) -> np.ndarray:
        """Non-linear functions uncorrelated with the factors, shape ``(n_donors, 2)``.

        Product of factors 0 and 1; -1 or 1 as factor 2 is inside or beyond its quartiles.
        """
        product = self.factors[:, PRODUCT_FACTORS[0]] * self.factors[:, PRODUCT_FACTORS[1]]
        beyond = np.abs(self.factors[:, THRESHOLD_FACTOR]) > norm.ppf(0.75)
        return np.stack([product, np.where(beyond, 1.0, -1.0)], 1)


def _standard_age(years: pd.Series) -> pd.Series:
    return (years - 54) / 12.5


def _standard_bmi(bmi: pd.Series) -> pd.Series:
    return (bmi - 27.3) / 4.0


def _standard_ischemic(minutes: pd.Series) -> pd.Series:
    return (np.log2(minutes) - 8.2) / 1.3


def _unique_codes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return `n` different codes of five letters and digits."""
    base = len(_LETTERS)
    numbers = rng.choice(base**5, size=n, replace=False)
    digits = numbers[:, None] // base ** np.arange(5) % base
    return np.array(["".join(row) for row in _LETTERS[digits]])


def organ(tissue: str) -> str:
    """SMTS of a tissue named as in SMTSD."""
    part = tissue.split(" - ")[0]
    return ORGANS.get(tissue, ORGANS.get(part, part))


def simulate_donors(settings: SimulationSettings, factors: np.ndarray) -> pd.DataFrame:
    """Draw the donors' traits; diseases depend on a factor each and modestly on BMI and age."""
    rng, n = settings.rng("donors"), settings.n_donors
    decade = rng.choice(list(AGE_BRACKETS), size=n, p=list(AGE_BRACKETS.values()))
    age = decade + rng.integers(0, 10, n)
    donors = pd.DataFrame(
        {
            "sex": np.where(rng.random(n) < MALE_SHARE, 1, 2),
            "age": age,
            "bmi": np.clip(27.3 + 4.2 * rng.standard_normal(n), 18, 35).round(2),
            "hardy": rng.choice(list(HARDY), size=n, p=list(HARDY.values())),
            "center": rng.choice(CENTERS, size=n, p=[0.5, 0.4, 0.1]),
        },
        index=pd.Index(sorted(f"GTEX-{code}" for code in _unique_codes(rng, n)), name="SUBJID"),
    )
    for disease, factor in zip(DISEASES, DISEASE_FACTORS, strict=True):
        liability = (
            0.5 * factors[:, factor]
            + 0.35 * _standard_bmi(donors["bmi"])
            + 0.25 * _standard_age(donors["age"])
            + np.sqrt(1 - 0.5**2 - 0.35**2 - 0.25**2) * rng.standard_normal(n)
        )
        donors[disease] = (liability > norm.isf(settings.disease_prevalence)).astype(int)
    return donors


def simulate_availability(settings: SimulationSettings, donors: pd.DataFrame) -> np.ndarray:
    """Draw which donor has which tissue, bool of shape ``(n_donors, n_tissues)``.

    A tissue's share of donors is that of GTEx v8; a donor's tissues go together a little, and the
    brain regions of a donor nearly always.
    """
    rng, n = settings.rng("availability"), settings.n_donors
    tissues = settings.all_tissues
    brain = np.array([tissue.startswith("Brain - ") for tissue in tissues])
    sex = np.array([SEX_OF_TISSUE.get(tissue, 0) for tissue in tissues])
    sex_share = np.select([sex == 1, sex == 2], [MALE_SHARE, 1 - MALE_SHARE], 1.0)
    share = np.array([GTEX_V8_SAMPLES[t] for t in tissues]) / (GTEX_V8_DONORS * sex_share)
    share = np.clip(share, settings.min_availability_share, 0.99)
    latent = (
        np.sqrt(0.15) * rng.standard_normal((n, 1))
        + np.sqrt(0.65) * brain * rng.standard_normal((n, 1))
        + np.sqrt(0.85 - 0.65 * brain) * rng.standard_normal((n, len(tissues)))
    )
    possible = (sex == 0) | (sex == donors["sex"].to_numpy()[:, None])
    available = (latent < norm.ppf(share)) & possible
    for tissue in settings.rare_tissues:
        index = tissues.index(tissue)
        candidates = np.flatnonzero(possible[:, index])
        available[:, index] = False
        available[rng.permutation(candidates)[: settings.n_rare_samples], index] = True
    for donor in rng.choice(n, settings.n_single_sample_donors, replace=False):
        kept = rng.permutation(np.flatnonzero(available[donor]))[:1]
        available[donor] = False
        available[donor, kept] = True
    return available


def _sample_ids(settings: SimulationSettings, samples: pd.DataFrame) -> np.ndarray:
    """Sample ids in GTEx's two shapes: brain regions carry a further field."""
    tissue = pd.Index(settings.all_tissues).get_indexer(samples["tissue"])
    site = np.where(
        samples["tissue"].str.startswith("Brain - "),
        [f"0011-R{index + 1}b" for index in tissue],
        [f"{100 * (index + 1) + 26:04d}" for index in tissue],
    )
    site = np.where(samples["tissue"] == "Whole Blood", "0005", site)
    codes = _unique_codes(settings.rng("identifiers"), len(samples))
    parts = zip(samples["donor"], site, codes, strict=True)
    return np.array([f"{donor}-{place}-SM-{code}" for donor, place, code in parts], dtype=object)


def _pathology_notes(
    rng: np.random.Generator, samples: pd.DataFrame, donors: pd.DataFrame
) -> np.ndarray:
    """Free text of the pathologist; a term of `PATHOLOGY_TERMS` follows its disease loosely."""
    notes = np.full(len(samples), "2 pieces, no abnormalities", dtype=object)
    uniform = rng.random(len(samples))
    for tissue, (term, disease) in PATHOLOGY_TERMS.items():
        here = samples["tissue"].to_numpy() == tissue
        case = donors.loc[samples["donor"], disease].to_numpy() == 1
        notes[here & (uniform < np.where(case, 0.75, 0.15))] = f"2 pieces, mild {term}"
    without = samples["tissue"].str.startswith("Brain - ") | (samples["tissue"] == "Whole Blood")
    notes[without.to_numpy()] = ""
    return notes


def simulate_samples(settings: SimulationSettings, donors: pd.DataFrame) -> pd.DataFrame:
    """Draw every donor-tissue's covariates, sampled or not (`Population.samples`)."""
    rng, tissues = settings.rng("samples"), settings.all_tissues
    shape = (len(donors), len(tissues))
    death = np.where(donors["hardy"] == 0, 7.2, 9.3) + 0.5 * rng.standard_normal(len(donors))
    log2_minutes = (
        death[:, None] + 0.3 * rng.standard_normal(shape[1]) + 0.3 * rng.standard_normal(shape)
    )
    minutes = np.round(np.exp2(log2_minutes))
    delay = _standard_ischemic(minutes)
    samples = pd.DataFrame(
        {
            "donor": np.repeat(donors.index, shape[1]),
            "tissue": np.tile(tissues, shape[0]),
            "sampled": simulate_availability(settings, donors).ravel(),
            "rin": np.clip(7 - 0.4 * delay + 0.6 * rng.standard_normal(shape), 4, 9.9)
            .round(1)
            .ravel(),
            "ischemic_minutes": minutes.ravel(),
            "autolysis": np.clip(np.round(0.8 + 0.6 * delay), 0, 3).ravel(),
        }
    )
    without = samples["tissue"].str.startswith("Brain - ") | (samples["tissue"] == "Whole Blood")
    samples.loc[without, "autolysis"] = np.nan
    samples["pathology_notes"] = _pathology_notes(rng, samples, donors)
    samples["sample_id"] = np.where(samples["sampled"], _sample_ids(settings, samples), "")
    return samples


def simulate_genes(settings: SimulationSettings) -> pd.DataFrame:
    """Draw the gene table (`Population.genes`).

    Ids start at ENSG00000900000, beyond every real gene. Genes of a chromosome stand 30 kb apart
    from 300 kb on, so that the first ones of chrX are in its pseudo-autosomal region.
    """
    rng, n = settings.rng("genes"), settings.n_all_genes
    n_own = n - settings.n_par_y
    chromosomes = np.array([f"chr{name}" for name in (*range(1, 23), "X")])
    index = np.arange(n_own)
    start = 300_000 + 30_000 * (index // len(chromosomes))
    coding = np.ones(n_own, bool)
    coding[rng.choice(n_own, settings.n_noncoding, replace=False)] = False
    other = rng.choice(["lincRNA", "processed_pseudogene", "antisense"], size=n_own)
    versions = rng.integers(1, 20, n_own)
    genes = pd.DataFrame(
        {
            "symbol": [f"SIM{number:05d}" for number in index],
            "gene_type": np.where(coding, "protein_coding", other),
            "chromosome": chromosomes[index % len(chromosomes)],
            "start": start,
            "end": start + rng.integers(2_000, 20_000, n_own),
            "strand": rng.choice(["+", "-"], size=n_own),
            "silent": False,
        },
        index=pd.Index(
            [f"ENSG{900_000 + i:011d}.{v}" for i, v in zip(index, versions, strict=True)],
            name="gene_id",
        ),
    )
    if settings.sex_markers:
        markers = genes.index[coding][: len(SEX_MARKERS)]
        genes.loc[markers, "symbol"] = list(SEX_MARKERS)[: len(markers)]
    pseudo = genes[(genes["chromosome"] == "chrX") & coding & (genes["end"] < 2_781_479)]
    if len(pseudo) < settings.n_par_y:
        raise InputError(
            "simulation.n_par_y",
            str(settings.n_par_y),
            f"at most {len(pseudo)} (pseudo-autosomal chrX genes)",
            "Simulate more genes or fewer copies.",
        )
    copies = pseudo.head(settings.n_par_y).assign(chromosome="chrY", silent=True)
    return pd.concat([genes, copies.rename(index=lambda gene: f"{gene}_PAR_Y")])


def simulate_population(settings: SimulationSettings) -> Population:
    """Draw everything but expression."""
    rng = settings.rng("factors")
    factors = rng.standard_normal((settings.n_donors, settings.n_factors))
    donors = simulate_donors(settings, factors)
    return Population(
        settings=settings,
        donors=donors,
        factors=factors,
        tissue_states=rng.standard_normal((settings.n_donors, len(settings.all_tissues))),
        samples=simulate_samples(settings, donors),
        genes=simulate_genes(settings),
    )
