"""A simulated multi-tissue cohort in GTEx's own file formats, with its truth kept beside it.

The files walk the same rules as the real ones. Every gene of a donor's tissue has, in log2 TPM,
a base level of that gene and tissue plus the effects of donor-wide factors, of the gene's own
donor effect (shared across tissues, as a cis variant would be), of a state of that tissue alone,
of covariates, of diseases and of two non-linear functions of factors that blood shows linearly,
plus noise. TPM columns are not renormalised to a sum of a million, so genes are coupled through
the planted structure alone and the truth is exact.

Everything follows from the seed: equal settings write equal bytes. Genes are made block by block,
so memory is bounded by `GENE_BLOCK` times the number of donor-tissues.
"""

import difflib
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TextIO

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy.stats import norm

from mtm.cohort import Cohort
from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.scaling import TissueScaler

GENE_BLOCK = 256
COVARIATES = ("age", "sex", "bmi", "ventilator", "ischemic", "rin", "center")
DISEASES = ("MHT2D", "MHHTN")
DISEASE_FACTORS = (3, 4)
PRODUCT_FACTORS = (0, 1)
THRESHOLD_FACTOR = 2
NONLINEAR = ("product", "threshold")
# One fragment or less: written as 0, as a quantifier would.
DETECTION_LIMIT_TPM = 0.01
CENTERS = ("B1", "C1", "D1")

# Donors with the tissue among the 948 of GTEx v8.
GTEX_V8_DONORS = 948
GTEX_V8_SAMPLES = {
    "Adipose - Subcutaneous": 663,
    "Adipose - Visceral (Omentum)": 541,
    "Adrenal Gland": 258,
    "Artery - Aorta": 432,
    "Artery - Coronary": 240,
    "Artery - Tibial": 663,
    "Bladder": 21,
    "Brain - Amygdala": 152,
    "Brain - Anterior cingulate cortex (BA24)": 176,
    "Brain - Caudate (basal ganglia)": 246,
    "Brain - Cerebellar Hemisphere": 215,
    "Brain - Cerebellum": 241,
    "Brain - Cortex": 255,
    "Brain - Frontal Cortex (BA9)": 209,
    "Brain - Hippocampus": 197,
    "Brain - Hypothalamus": 202,
    "Brain - Nucleus accumbens (basal ganglia)": 246,
    "Brain - Putamen (basal ganglia)": 205,
    "Brain - Spinal cord (cervical c-1)": 159,
    "Brain - Substantia nigra": 139,
    "Breast - Mammary Tissue": 459,
    "Cells - Cultured fibroblasts": 504,
    "Cells - EBV-transformed lymphocytes": 174,
    "Cervix - Ectocervix": 9,
    "Cervix - Endocervix": 10,
    "Colon - Sigmoid": 373,
    "Colon - Transverse": 406,
    "Esophagus - Gastroesophageal Junction": 375,
    "Esophagus - Mucosa": 555,
    "Esophagus - Muscularis": 515,
    "Fallopian Tube": 9,
    "Heart - Atrial Appendage": 429,
    "Heart - Left Ventricle": 432,
    "Kidney - Cortex": 85,
    "Kidney - Medulla": 4,
    "Liver": 226,
    "Lung": 578,
    "Minor Salivary Gland": 162,
    "Muscle - Skeletal": 803,
    "Nerve - Tibial": 619,
    "Ovary": 180,
    "Pancreas": 328,
    "Pituitary": 283,
    "Prostate": 245,
    "Skin - Not Sun Exposed (Suprapubic)": 604,
    "Skin - Sun Exposed (Lower leg)": 701,
    "Small Intestine - Terminal Ileum": 187,
    "Spleen": 241,
    "Stomach": 359,
    "Testis": 361,
    "Thyroid": 653,
    "Uterus": 142,
    "Vagina": 156,
    "Whole Blood": 755,
}
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
SEX_OF_TISSUE = {
    "Prostate": 1,
    "Testis": 1,
    "Cervix - Ectocervix": 2,
    "Cervix - Endocervix": 2,
    "Fallopian Tube": 2,
    "Ovary": 2,
    "Uterus": 2,
    "Vagina": 2,
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

_STREAMS = (
    "donors",
    "factors",
    "availability",
    "samples",
    "identifiers",
    "genes",
    "effects",
    "own",
    "noise",
    "tissues",
    "exons",
    "attributes",
    "conservation",
    "connectivity",
    "identifiers_of_genes",
    "external",
    "batch",
)
# Settings of the files that `mtm.simulate_annotation` and `mtm.simulate_external` write; the
# cohort's own files, the truth among them, do not depend on them.
_BESIDE_THE_COHORT = (
    "conservation_strength",
    "connectivity_strength",
    "n_external_donors",
    "external_shift",
)
_LETTERS = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


@dataclass(frozen=True)
class SimulationSettings:
    """Size and planted structure of a simulated cohort.

    Every ``*_strength`` is the typical size of an effect in units of the noise sd of the gene and
    tissue (0 plants nothing), but for the two rank correlations `conservation_strength` and
    `connectivity_strength`; every ``*_share`` is between 0 and 1.

    Parameters
    ----------
    n_donors
        Donors, 10 or more.
    n_genes
        Protein-coding genes, `n_par_y` among them; 1 to 60,000.
    n_noncoding
        Further genes that are not protein-coding, 0 or more.
    n_par_y
        Pseudo-autosomal copies on chrY, all zero, as in GTEx v8; at most one a pseudo-autosomal
        chrX gene (about ``n_genes / 23``).
    tissues
        Names as in GTEx's SMTSD, `source` among them.
    rare_tissues
        Tissues with just `n_rare_samples` samples, which a filter by sample count removes.
    n_rare_samples
        Samples of each rare tissue, 0 or more.
    source
        The tissue that shows the donor-wide factors but none of the non-linear responses.
    min_availability_share
        A tissue is sampled in its GTEx v8 share of donors, but in no smaller share than this.
    n_single_sample_donors
        Donors left with one sample, 0 to `n_donors`.
    n_factors
        Donor-wide latent factors, 5 or more.
    factor_strength, factor_sharing_share
        Effect of all factors together, and the share of the loadings' variance that is the same
        in every tissue; the rest is alike in similar tissues.
    own_strength
        The gene's own donor effect, shared across tissues.
    tissue_strength
        A donor's state of one tissue, which no other tissue shows.
    covariate_strength, covariate_gene_share
        Effect of one sd of each of `COVARIATES`, and the share of genes that each touches.
    disease_strength, disease_gene_share, disease_tissue_share, disease_prevalence
        Difference between cases and controls, the share of genes touched in an affected tissue,
        the share of non-source tissues affected (the source is, at half strength), and the
        expected share of cases of each of `DISEASES`.
    nonlinear_strength, nonlinear_gene_share, nonlinear_tissue_share
        Effect of the product of two factors and of a factor beyond a threshold on either side
        (unit variance each), the share of genes that each touches in a responding tissue, and
        the share of non-source tissues that respond.
    noise_sd_log2
        Median sd of the biological noise of a gene in one tissue, log2 TPM, above 0.
    noise_sharing_share
        Share of the noise variance common to the genes of a sample.
    fragments_per_tpm
        Fragments that one TPM stands for; counting noise is larger where there are few.
    conservation_strength, connectivity_strength
        Spearman correlation of a gene's true predictability with minus its conservation and with
        its expected number of protein interactions, 0 (no relation) to 1.
    n_external_donors
        Donors of the external cohort, 20 or more; 0 makes none.
    external_shift
        Sd over genes of the external cohort's batch shift, log2 TPM; its scale changes in
        proportion. 0 leaves no batch effect.
    seed
        Any integer from 0.
    """

    n_donors: int = 150
    n_genes: int = 600
    n_noncoding: int = 60
    n_par_y: int = 2
    tissues: tuple[str, ...] = (
        "Adipose - Subcutaneous",
        "Artery - Tibial",
        "Brain - Cortex",
        "Heart - Left Ventricle",
        "Lung",
        "Muscle - Skeletal",
        "Nerve - Tibial",
        "Skin - Sun Exposed (Lower leg)",
        "Thyroid",
        "Whole Blood",
    )
    rare_tissues: tuple[str, ...] = ("Bladder", "Kidney - Medulla")
    n_rare_samples: int = 6
    source: str = "Whole Blood"
    min_availability_share: float = 0.45
    n_single_sample_donors: int = 4
    n_factors: int = 6
    factor_strength: float = 0.8
    factor_sharing_share: float = 0.3
    own_strength: float = 0.4
    tissue_strength: float = 0.35
    covariate_strength: float = 0.4
    covariate_gene_share: float = 0.3
    disease_strength: float = 1.0
    disease_gene_share: float = 0.15
    disease_tissue_share: float = 0.5
    disease_prevalence: float = 0.38
    nonlinear_strength: float = 1.2
    nonlinear_gene_share: float = 0.3
    nonlinear_tissue_share: float = 0.6
    noise_sd_log2: float = 0.4
    noise_sharing_share: float = 0.2
    fragments_per_tpm: float = 30.0
    conservation_strength: float = 0.5
    connectivity_strength: float = 0.5
    n_external_donors: int = 60
    external_shift: float = 1.5
    seed: int = 1

    def __post_init__(self):
        unknown = [t for t in (*self.tissues, *self.rare_tissues) if t not in GTEX_V8_SAMPLES]
        if unknown:
            near = difflib.get_close_matches(unknown[0], GTEX_V8_SAMPLES, n=1)
            raise InputError(
                "simulation.tissues",
                repr(unknown[0]),
                "a GTEx v8 tissue name (SMTSD)",
                f"Did you mean {near[0]!r}?" if near else "",
            )
        twice = [t for t in self.all_tissues if (*self.tissues, *self.rare_tissues).count(t) > 1]
        if twice:
            raise InputError("simulation.tissues", f"{twice[0]!r} twice", "every tissue once")
        if self.source not in self.tissues:
            raise InputError("simulation.source", repr(self.source), "one of simulation.tissues")
        lowest = {"n_donors": 10, "n_genes": 1, "n_factors": 5, "fragments_per_tpm": 1e-3}
        highest = {
            "n_genes": 60_000,
            "n_noncoding": 20_000,
            "n_rare_samples": self.n_donors,
            "n_single_sample_donors": self.n_donors,
            "conservation_strength": 1.0,
            "connectivity_strength": 1.0,
        }
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, str | tuple):
                continue
            low = lowest.get(item.name, 0)
            high = 1.0 if item.name.endswith(("_share", "prevalence")) else np.inf
            high = highest.get(item.name, high)
            if not low <= value <= high:
                expected = f"{low} to {high}" if np.isfinite(high) else f"{low} or more"
                raise InputError(f"simulation.{item.name}", repr(value), expected)
        if not 0 < self.disease_prevalence < 1:
            raise InputError(
                "simulation.disease_prevalence",
                repr(self.disease_prevalence),
                "more than 0 and less than 1",
            )
        if self.noise_sd_log2 <= 0:
            raise InputError("simulation.noise_sd_log2", repr(self.noise_sd_log2), "more than 0")
        if 0 < self.n_external_donors < 20:
            raise InputError(
                "simulation.n_external_donors", repr(self.n_external_donors), "0, or 20 or more"
            )

    @classmethod
    def of(cls, values: Mapping) -> "SimulationSettings":
        """Build settings from a config mapping; lists become tuples.

        Raises
        ------
        InputError
            A key is unknown (the nearest known one is named) or a value is out of range.
        """
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                raise InputError(
                    "simulation",
                    f"key {key!r}",
                    f"one of {', '.join(known)}",
                    f"Did you mean {near[0]!r}?" if near else "",
                )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    @property
    def all_tissues(self) -> tuple[str, ...]:
        """Common and rare tissues, sorted."""
        return tuple(sorted({*self.tissues, *self.rare_tissues}))

    @property
    def n_all_genes(self) -> int:
        """Genes in the expression file."""
        return self.n_genes + self.n_noncoding

    def gene_blocks(self) -> list[slice]:
        """Blocks of genes that are made at once; the random streams follow them."""
        starts = range(0, self.n_all_genes, GENE_BLOCK)
        return [slice(start, min(start + GENE_BLOCK, self.n_all_genes)) for start in starts]

    def rng(self, stream: str, *key: int) -> np.random.Generator:
        """Return the generator of one of the independent random streams."""
        spawn_key = (_STREAMS.index(stream), *key)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=spawn_key))


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


@dataclass(frozen=True)
class Effects:
    """Planted effects on a block of genes, log2 TPM per unit, float64.

    Parameters
    ----------
    base, noise_sd, tissue, own
        Shape ``(n_tissues, n_genes)``: level, sd of the noise, effect of the tissue's own state
        and of the gene's own donor effect.
    factors, covariates, diseases, nonlinear
        Shape ``(n, n_tissues, n_genes)`` with n the factors, `COVARIATES`, `DISEASES`,
        `NONLINEAR`.
    """

    base: np.ndarray
    noise_sd: np.ndarray
    tissue: np.ndarray
    own: np.ndarray
    factors: np.ndarray
    covariates: np.ndarray
    diseases: np.ndarray
    nonlinear: np.ndarray


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


def _tissue_embedding(settings: SimulationSettings) -> np.ndarray:
    """Return unit vectors, shape ``(n_tissues, 3)``; tissues of one organ are close."""
    rng, tissues = settings.rng("tissues"), settings.all_tissues
    organs, code = np.unique([organ(tissue) for tissue in tissues], return_inverse=True)
    vectors = rng.standard_normal((len(organs), 3))[code]
    vectors = vectors + 0.5 * rng.standard_normal(vectors.shape)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def affected_tissues(settings: SimulationSettings) -> dict[str, tuple[str, ...]]:
    """Non-source tissues that carry each of `DISEASES` and of `NONLINEAR`, sorted.

    Every effect touches at least one tissue where there is one; a disease touches the tissues
    whose pathology notes name it first.
    """
    rng = settings.rng("tissues", 1)
    others = [tissue for tissue in settings.all_tissues if tissue != settings.source]
    common = [tissue for tissue in others if tissue in settings.tissues]
    affected = {}
    for disease in DISEASES:
        order = [common[index] for index in rng.permutation(len(common))]
        order.sort(key=lambda t: PATHOLOGY_TERMS.get(t, ("", ""))[1] != disease)
        n = max(1, round(settings.disease_tissue_share * len(common)))
        affected[disease] = tuple(sorted(order[:n]))
    order = [common[index] for index in rng.permutation(len(common))]
    n = max(1, round(settings.nonlinear_tissue_share * len(common)))
    return affected | {name: tuple(sorted(order[:n])) for name in NONLINEAR}


def _sparse(
    rng: np.random.Generator,
    in_tissue: np.ndarray,
    n_genes: int,
    gene_share: float,
    strength: float,
) -> np.ndarray:
    """Draw effects that touch a share of the genes, the same ones in nearly all tissues.

    Parameters
    ----------
    in_tissue
        Whether an effect reaches a tissue, bool of shape ``(n_effects, n_tissues, 1)``.

    Returns
    -------
    np.ndarray
        Shape ``(n_effects, n_tissues, n_genes)``. A gene has one sign for an effect; sizes are
        between half and three halves of `strength`, and 0 in one of ten tissues.
    """
    per_gene = (len(in_tissue), 1, n_genes)
    shape = (*in_tissue.shape[:2], n_genes)
    touched = in_tissue & (rng.random(per_gene) < gene_share) & (rng.random(shape) < 0.9)
    sign = rng.choice([-1.0, 1.0], size=per_gene)
    return np.where(touched, strength * sign * (0.5 + rng.random(shape)), 0.0)


def draw_effects(population: Population, block: int) -> Effects:
    """Draw the planted effects on gene block number `block`."""
    settings = population.settings
    rng = settings.rng("effects", block)
    genes = population.genes.iloc[settings.gene_blocks()[block]]
    tissues, n_genes = settings.all_tissues, len(genes)
    shape = (len(tissues), n_genes)
    embedding = _tissue_embedding(settings)

    base = (
        rng.normal(2.6, 2.4, n_genes)
        + embedding @ rng.normal(0, 1.0, (3, n_genes))
        + rng.normal(0, 0.6, shape)
    )
    restricted = rng.random(n_genes) < 0.1
    base = np.where(restricted & (rng.random(shape) < 0.7), base - 9, base)
    noncoding = (genes["gene_type"] != "protein_coding").to_numpy()
    base = np.clip(base - 2.0 * noncoding, -12, 12.5)

    spread = settings.noise_sd_log2 * np.exp(
        0.35 * rng.standard_normal(n_genes) + 0.15 * rng.standard_normal(shape)
    )
    # Delta method for the log2 of a Poisson count, bounded where the count is near 0.
    counting = np.minimum(1 / (np.log(2) ** 2 * settings.fragments_per_tpm * np.exp2(base)), 1.5)
    quality = np.exp(0.35 * rng.standard_normal(n_genes))
    unit = spread * quality

    n_factors = settings.n_factors
    shared = rng.standard_normal((n_factors, 1, n_genes))
    alike = np.einsum("tj,jkg->ktg", embedding, rng.standard_normal((3, n_factors, n_genes)))
    loadings = (
        np.sqrt(settings.factor_sharing_share) * shared
        + np.sqrt(1 - settings.factor_sharing_share) * alike
    ) / np.sqrt(n_factors)

    affected = affected_tissues(settings)
    in_tissue = {name: np.isin(tissues, names)[:, None] for name, names in affected.items()}
    source = np.array(tissues)[:, None] == settings.source
    covariates = _sparse(
        rng,
        np.ones((len(COVARIATES), len(tissues), 1), bool),
        n_genes,
        settings.covariate_gene_share,
        settings.covariate_strength,
    )
    nonlinear = _sparse(
        rng,
        np.stack([in_tissue[name] for name in NONLINEAR]),
        n_genes,
        settings.nonlinear_gene_share,
        settings.nonlinear_strength,
    )
    # A disease touches other genes in every tissue: each tissue is drawn as an effect of its own.
    diseases = np.stack(
        [
            _sparse(
                rng,
                (in_tissue[name] | source)[:, None],
                n_genes,
                settings.disease_gene_share,
                settings.disease_strength,
            )[:, 0]
            * np.where(source, 0.5, 1.0)
            for name in DISEASES
        ]
    )
    audible = ~genes["silent"].to_numpy()
    # A disease's effect is a fold change: it does not depend on the gene's quality.
    return Effects(
        base=np.where(audible, base, -60.0),
        noise_sd=np.sqrt(spread**2 + counting) * audible,
        tissue=settings.tissue_strength * rng.standard_normal(shape) * unit * audible,
        own=settings.own_strength * (0.5 + rng.random(shape)) * unit * audible,
        factors=settings.factor_strength * loadings * unit * audible,
        covariates=covariates * unit * audible,
        diseases=diseases * spread * audible,
        nonlinear=nonlinear * unit * audible,
    )


def expected_log2_tpm(population: Population, effects: Effects, block: int) -> np.ndarray:
    """Noise-free log2 TPM (not log2(1+TPM)), shape ``(n_donors, n_tissues, n_genes)``."""
    n_genes = effects.base.shape[1]
    own = population.settings.rng("own", block).standard_normal((len(population.donors), n_genes))
    log2 = effects.base + own[:, None] * effects.own
    log2 += population.tissue_states[:, :, None] * effects.tissue
    log2 += np.tensordot(population.factors, effects.factors, 1)
    log2 += np.tensordot(population.donors[list(DISEASES)].to_numpy(float), effects.diseases, 1)
    log2 += np.tensordot(population.nonlinear, effects.nonlinear, 1)
    covariates = population.covariates
    for index in range(len(COVARIATES)):
        log2 += covariates[:, :, index, None] * effects.covariates[index]
    return log2


def expected_log2_one_plus_tpm(mean_log2: np.ndarray, sd_log2: np.ndarray) -> np.ndarray:
    """Return the expectation of log2(1+TPM) for log-normal TPM, by Gauss-Hermite quadrature.

    Parameters
    ----------
    mean_log2, sd_log2
        Mean and sd of log2 TPM; shapes that broadcast.

    Returns
    -------
    np.ndarray
        log2(1+TPM), shape of `mean_log2`; exact to about 1e-4 for sd up to 1.5.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    total = np.zeros_like(mean_log2)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total += weight * np.log1p(np.exp2(mean_log2 + node * sd_log2))
    return total / np.log(2)


def draw_expression(population: Population, block: int) -> np.ndarray:
    """Draw the TPM of gene block number `block` in the sampled donor-tissues.

    Returns
    -------
    np.ndarray
        TPM, shape ``(n_samples, n_genes)``, in the order of ``population.samples``; 0 below
        `DETECTION_LIMIT_TPM`.
    """
    settings = population.settings
    effects = draw_effects(population, block)
    n_genes = effects.base.shape[1]
    sampled = population.samples["sampled"].to_numpy()
    mean = expected_log2_tpm(population, effects, block).reshape(-1, n_genes)[sampled]
    tissue = np.flatnonzero(sampled) % len(settings.all_tissues)
    artefacts = settings.rng("noise").standard_normal((sampled.sum(), 3))
    rng = settings.rng("noise", block)
    directions = rng.standard_normal((3, n_genes))
    directions /= np.linalg.norm(directions, axis=0)
    noise = np.sqrt(settings.noise_sharing_share) * artefacts @ directions + np.sqrt(
        1 - settings.noise_sharing_share
    ) * rng.standard_normal(mean.shape)
    expr_tpm = np.exp2(mean + noise * effects.noise_sd[tissue])
    return np.where(expr_tpm < DETECTION_LIMIT_TPM, 0.0, expr_tpm)


@contextmanager
def _text(path: str | Path) -> Iterator[TextIO]:
    """Open `path` for text, written whole or not at all; gzip without a timestamp for ``.gz``."""
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        if Path(path).suffix != ".gz":
            with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as handle:
                yield handle
            return
        with (
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as handle,
        ):
            yield handle


def _write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write tab-separated text; unlike `mtm.io.write_tsv`, packed text has no timestamp."""
    with _text(path) as handle:
        table.to_csv(handle, sep="\t", index=False, lineterminator="\n")


def write_expression(population: Population, path: str | Path) -> None:
    """Write the TPM as GCT 1.2, four significant digits, samples in the order of their ids."""
    samples, genes = population.samples, population.genes
    sample_ids = samples.loc[samples["sampled"], "sample_id"].to_numpy()
    order = np.argsort(sample_ids)
    row_format = "\t".join(["%.4g"] * len(order))
    with _text(path) as handle:
        handle.write(f"#1.2\n{len(genes)}\t{len(order)}\n")
        handle.write("\t".join(["Name", "Description", *sample_ids[order]]) + "\n")
        for block, span in enumerate(population.settings.gene_blocks()):
            names = genes.iloc[span]
            values = draw_expression(population, block)[order].T.tolist()
            for gene, symbol, row in zip(names.index, names["symbol"], values, strict=True):
                handle.write(f"{gene}\t{symbol}\t{row_format % tuple(row)}\n")


def write_sample_attributes(population: Population, path: str | Path) -> None:
    """Write a table like SampleAttributesDS.

    As there, it also lists samples that are not in the expression file: those left out of the
    analysis freeze (SMAFRZE "EXCLUDE") and DNA (SMAFRZE "WGS").
    """
    samples = population.samples[population.samples["sampled"]]
    rng = population.settings.rng("attributes")
    table = pd.DataFrame(
        {
            "SAMPID": samples["sample_id"],
            "SMATSSCR": samples["autolysis"].astype("Int64"),
            "SMCENTER": population.donors.loc[samples["donor"], "center"].to_numpy(),
            "SMPTHNTS": samples["pathology_notes"],
            "SMRIN": samples["rin"],
            "SMTS": samples["tissue"].map(organ),
            "SMTSD": samples["tissue"],
            "SMTSISCH": samples["ischemic_minutes"].astype("Int64"),
            "SMAFRZE": "RNASEQ",
        }
    )
    table.loc[rng.random(len(table)) < UNKNOWN_ISCHEMIC_SHARE, "SMTSISCH"] = pd.NA
    excluded = table[rng.random(len(table)) < 0.03].assign(SMAFRZE="EXCLUDE")
    excluded["SAMPID"] = excluded["SAMPID"].str.replace(r"-SM-.*", "-SM-EXCL", regex=True)
    donors = population.donors[rng.random(len(population.donors)) < 0.9]
    dna = pd.DataFrame(
        {
            "SAMPID": donors.index + "-0003-SM-DNA00",
            "SMCENTER": donors["center"],
            "SMTS": "Blood",
            "SMTSD": "Whole Blood",
            "SMAFRZE": "WGS",
        }
    )
    rows = pd.concat([table, excluded, dna]).sort_values("SAMPID")
    _write_table(rows[table.columns], path)


def write_subject_phenotypes(population: Population, path: str | Path) -> None:
    """Write a table like the open SubjectPhenotypesDS: sex, ten-year age bracket, Hardy class."""
    donors = population.donors
    rng = population.settings.rng("attributes", 1)
    hardy = donors["hardy"].astype("Int64")
    hardy[rng.random(len(donors)) < UNKNOWN_HARDY_SHARE] = pd.NA
    decade = donors["age"] // 10 * 10
    bracket = decade.astype(str) + "-" + (decade + 9).astype(str)
    table = pd.DataFrame({"SEX": donors["sex"], "AGE": bracket, "DTHHRDY": hardy})
    _write_table(table.reset_index(), path)


def write_controlled_phenotypes(population: Population, path: str | Path) -> None:
    """Write what GTEx keeps under controlled access: age in years, BMI, diseases (0 or 1)."""
    columns = {"age": "AGE", "bmi": "BMI"}
    table = population.donors[[*columns, *DISEASES]].rename(columns=columns)
    _write_table(table.reset_index(), path)


def gene_exons(population: Population) -> list[np.ndarray]:
    """Draw the two to six exons of every gene; no two of a gene overlap.

    Returns
    -------
    list of np.ndarray
        One array a gene, in the order of ``population.genes``: shape ``(n_exons, 2)``, first and
        last base (1-based, inclusive), ascending.
    """
    genes = population.genes
    rng = population.settings.rng("exons")
    n_exons = rng.integers(2, 7, len(genes))
    # Exons and introns alternate between sorted cut points; the ends of the gene are exonic.
    fractions = np.sort(rng.random((len(genes), 10)), axis=1)
    places = zip(genes["start"], genes["end"], n_exons, fractions, strict=True)
    exons = []
    for start, end, count, cuts in places:
        # A cut is the last base of an exon or the first of the next: cuts must differ.
        inner = start + (cuts * (end - start - len(cuts))).astype(int)[: 2 * (count - 1)]
        inner = inner + np.arange(len(inner))
        exons.append(np.array([start, *inner, end]).reshape(-1, 2))
    return exons


def write_gene_model(population: Population, path: str | Path) -> None:
    """Write a GTF like GENCODE's: a gene, one transcript and its exons (`gene_exons`)."""
    genes = population.genes
    with _text(path) as handle:
        handle.write("##description: simulated gene model, no real genes\n##format: gtf\n")
        for (gene_id, row), exons in zip(genes.iterrows(), gene_exons(population), strict=True):
            handle.writelines(_gene_lines(gene_id, row, exons))


def _gene_lines(gene_id: str, row: pd.Series, exons: np.ndarray) -> list[str]:
    """GTF lines of one gene; exons are numbered in the direction of transcription."""
    transcript_id = gene_id.replace("ENSG", "ENST")
    gene = f'gene_id "{gene_id}"; '
    kind = f'gene_type "{row["gene_type"]}"; gene_name "{row["symbol"]}"; '
    transcript = f'transcript_id "{transcript_id}"; {kind}'
    transcript += f'transcript_type "{row["gene_type"]}"; transcript_name "{row["symbol"]}-201"; '

    def line(feature: str, start: int, end: int, attributes: str) -> str:
        place = f"{row['chromosome']}\tHAVANA\t{feature}\t{start}\t{end}\t.\t{row['strand']}\t."
        return f"{place}\t{attributes}level 2;\n"

    bounds = exons[::-1] if row["strand"] == "-" else exons
    lines = [
        line("gene", row["start"], row["end"], gene + kind),
        line("transcript", row["start"], row["end"], gene + transcript),
    ]
    for number, (start, end) in enumerate(bounds, 1):
        exon_id = gene_id.replace("ENSG", "ENSE")
        exon = f'exon_number {number}; exon_id "{exon_id}.{number}"; '
        lines.append(line("exon", start, end, gene + transcript + exon))
    return lines


def _planted(population: Population) -> dict[str, np.ndarray]:
    """Planted effects of all genes, by name, each of shape ``(n_genes, n_tissues)``, float32."""
    parts: dict[str, list[np.ndarray]] = {}
    for block in range(len(population.settings.gene_blocks())):
        effects = draw_effects(population, block)
        named = {
            "base": effects.base,
            "noise_sd": effects.noise_sd,
            "tissue": effects.tissue,
            "own": effects.own,
        }
        named |= {f"factor_{k}": effects.factors[k] for k in range(len(effects.factors))}
        named |= dict(zip(COVARIATES, effects.covariates, strict=True))
        named |= dict(zip(DISEASES, effects.diseases, strict=True))
        named |= dict(zip(NONLINEAR, effects.nonlinear, strict=True))
        for name, values in named.items():
            parts.setdefault(name, []).append(values.T.astype(np.float32))
    return {name: np.concatenate(blocks) for name, blocks in parts.items()}


def write_truth(population: Population, path: str | Path) -> None:
    """Write the noise-free expression of every donor-tissue, sampled or not, and what was planted.

    The file is an AnnData. X: expected log2(1+TPM), float32, one row a donor-tissue. obs:
    ``donor``, ``tissue``, ``sampled``, ``sample_id`` and the diseases. obsm: ``factors``,
    ``covariates`` (`COVARIATES` on a unit scale), ``nonlinear``. var: ``symbol``, ``gene_type``
    and for every covariate, disease and non-linear effect a column (``has_age``, ...) that says
    whether it touches the gene in any tissue. varm: every effect by name, genes by tissues (in
    the order of ``uns["tissues"]``), log2 TPM per unit. uns: ``scale``, ``units``, ``tissues``,
    ``covariates``, ``nonlinear``, ``affected_tissues`` and ``settings`` (both JSON; settings of
    files beside the cohort are left out).
    """
    settings, samples = population.settings, population.samples
    of_cohort = {k: v for k, v in asdict(settings).items() if k not in _BESIDE_THE_COHORT}
    n_tissues = len(settings.all_tissues)
    donors = population.donors.loc[samples["donor"]]
    planted = _planted(population)
    var = population.genes[["symbol", "gene_type"]].copy()
    for name in (*COVARIATES, *DISEASES, *NONLINEAR):
        var[f"has_{name}"] = (planted[name] != 0).any(1)
    obs = samples[["donor", "tissue", "sampled", "sample_id"]].set_index(
        pd.Index(samples["donor"] + "|" + samples["tissue"], name="donor_tissue")
    )
    obs[list(DISEASES)] = donors[list(DISEASES)].to_numpy()
    covariates = population.covariates.reshape(len(obs), -1)
    truth = anndata.AnnData(
        obs=obs,
        var=var,
        obsm={
            "factors": np.repeat(population.factors, n_tissues, 0).astype(np.float32),
            "covariates": covariates.astype(np.float32),
            "nonlinear": np.repeat(population.nonlinear, n_tissues, 0).astype(np.float32),
        },
        varm=planted,
        uns={
            "scale": "log2_tpm",
            "units": "expected log2(1+TPM)",
            "tissues": list(settings.all_tissues),
            "covariates": list(COVARIATES),
            "nonlinear": list(NONLINEAR),
            "affected_tissues": json.dumps(affected_tissues(settings)),
            "settings": json.dumps(of_cohort),
        },
    )
    with atomic_path(path) as temporary:
        truth.write_h5ad(temporary)
        with h5py.File(temporary, "r+") as handle:
            # AnnData cannot append columns: X is laid out as its format says and filled by block.
            handle.pop("X", None)
            matrix = handle.create_dataset(
                "X",
                shape=(len(obs), len(var)),
                dtype=np.float32,
                chunks=(min(n_tissues * 16, len(obs)), min(GENE_BLOCK, len(var))),
            )
            matrix.attrs["encoding-type"], matrix.attrs["encoding-version"] = "array", "0.2.0"
            for block, span in enumerate(settings.gene_blocks()):
                effects = draw_effects(population, block)
                mean = expected_log2_tpm(population, effects, block)
                expected = expected_log2_one_plus_tpm(mean, effects.noise_sd)
                matrix[:, span] = expected.reshape(len(obs), -1)


def simulate_cohort(
    settings: SimulationSettings,
    *,
    expression: str | Path,
    sample_attributes: str | Path,
    subject_phenotypes: str | Path,
    controlled_phenotypes: str | Path,
    gene_model: str | Path,
    truth: str | Path,
) -> None:
    """Simulate a cohort and write its files; text files whose name ends in ``.gz`` are packed.

    Parameters
    ----------
    settings
        Size and planted structure.
    expression
        TPM, GCT 1.2.
    sample_attributes, subject_phenotypes, controlled_phenotypes
        Tab-separated, GTEx's column names.
    gene_model
        GTF.
    truth
        AnnData, see `write_truth`.
    """
    population = simulate_population(settings)
    write_expression(population, expression)
    write_sample_attributes(population, sample_attributes)
    write_subject_phenotypes(population, subject_phenotypes)
    write_controlled_phenotypes(population, controlled_phenotypes)
    write_gene_model(population, gene_model)
    write_truth(population, truth)


def oracle_predictions(
    truth: str | Path, cohort: Cohort, rows: np.ndarray, scaler: TissueScaler
) -> np.ndarray:
    """Predict samples from the donor's true state: the bound that no predictor can pass.

    Parameters
    ----------
    truth
        File written by `write_truth`.
    cohort
        Cohort made from the files of the same simulation.
    rows
        Samples of `cohort` to predict, shape ``(n_predictions,)``.
    scaler
        Fitted on training donors, over the tissues of `cohort`.

    Returns
    -------
    np.ndarray
        Shape ``(n_predictions, n_genes)``, float32, in the scale of `scaler`.

    Raises
    ------
    InputError
        The truth lacks a donor-tissue or a gene of the cohort.
    """
    data = anndata.read_h5ad(truth, backed="r")
    tissue = cohort.tissue[rows]
    wanted = cohort.donors.index[cohort.donor[rows]] + "|" + np.array(cohort.tissues)[tissue]
    place, gene = (
        data.obs_names.get_indexer(wanted),
        data.var_names.get_indexer(cohort.genes.index),
    )
    for found, names in ((place, wanted), (gene, cohort.genes.index)):
        if (found < 0).any():
            raise InputError(
                truth,
                f"no {names[found < 0][0]}",
                "every donor-tissue and gene of the cohort",
                "The cohort must come from the files of the same simulation.",
            )
    used, back = np.unique(place, return_inverse=True)
    expr_log2 = np.asarray(data.X[used])[back][:, gene]
    data.file.close()
    return scaler.transform(np.exp2(expr_log2) - 1, tissue)
