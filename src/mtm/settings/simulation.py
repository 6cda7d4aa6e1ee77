"""Settings of a simulated cohort."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from mtm.errors import InputError

GENE_BLOCK = 256


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


STREAMS = (
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


# Settings of the files that `mtm.simulation.annotation` and `mtm.simulation.external` write; the
# cohort's own files, the truth among them, do not depend on them.
BESIDE_THE_COHORT = (
    "conservation_strength",
    "connectivity_strength",
    "n_external_donors",
    "external_shift",
)


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
        spawn_key = (STREAMS.index(stream), *key)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=spawn_key))
