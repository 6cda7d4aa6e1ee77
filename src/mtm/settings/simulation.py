"""Settings of a simulated cohort."""
# fmt: off

import difflib
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from mtm.errors import InputError
from mtm.settings.base import LARGEST, Names, Section, Switch, key, seed

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


class SimulationSettings(Section):
    """Simulate the cohort's files in place of real ones; null simulates nothing. The files are written to `resources/simulated/`, and the simulation's own truth is scored as model "oracle"."""

    section: ClassVar = "simulation"

    n_donors: int = key(150, "Donors.", ge=10, le=20_000, unit="donors")
    n_genes: int = key(600, "Protein-coding genes, `n_par_y` among them.", ge=1, le=60000, unit="genes")
    n_noncoding: int = key(60, "Further genes that are not protein-coding.", ge=0, le=20000, unit="genes")
    n_par_y: int = key(2, "Pseudo-autosomal copies on chrY, all zero, as in GTEx v8.", ge=0, unit="genes")
    tissues: Names = key(("Adipose - Subcutaneous", "Artery - Tibial", "Brain - Cortex", "Heart - Left Ventricle", "Lung", "Muscle - Skeletal", "Nerve - Tibial", "Skin - Sun Exposed (Lower leg)", "Thyroid", "Whole Blood"), "Tissues (SMTSD of GTEx v8), the source among them.")
    rare_tissues: Names = key(("Bladder", "Kidney - Medulla"), "Tissues with just `n_rare_samples` samples, which the filter by sample count removes.")
    n_rare_samples: int = key(6, "Samples of each rare tissue, at most `n_donors`.", ge=0, unit="samples")
    source: str = key("Whole Blood", "The tissue that shows the donor-wide factors but none of the non-linear responses; the same as the key `source` of the run.")
    min_availability_share: float = key(0.45, "A tissue is sampled in its GTEx v8 share of donors, but in no smaller share than this.", ge=0, le=1, unit="share")
    n_single_sample_donors: int = key(4, "Donors left with one sample, at most `n_donors`.", ge=0, unit="donors")
    n_factors: int = key(6, "Donor-wide latent factors.", ge=5, unit="factors")
    factor_strength: float = key(0.8, "Effect of the donor-wide factors, all together. With every strength and the share of disease genes at 0, nothing can be predicted.", ge=0, unit="noise sd")
    tissue_strength: float = key(0.35, "Effect of the state of a donor's tissue, which tissues of the brain share most.", ge=0, unit="noise sd")
    own_strength: float = key(0.4, "The gene's own donor effect, shared across tissues.", ge=0, unit="noise sd")
    covariate_strength: float = key(0.4, "Effect of one standard deviation of each covariate.", ge=0, unit="noise sd")
    disease_gene_share: float = key(0.15, "Share of genes that a disease touches in an affected tissue.", ge=0, le=1, unit="share")
    disease_prevalence: float = key(0.38, "Expected share of cases of each disease.", gt=0, lt=1, unit="share")
    nonlinear_strength: float = key(1.2, "Effect of each of the two non-linear functions of factors.", ge=0, unit="noise sd")
    noise_sd_log2: float = key(0.4, "Median standard deviation of the biological noise of a gene in one tissue.", gt=0, unit="log2 TPM")
    conservation_strength: float = key(0.5, "Rank correlation of how predictable genes truly are with minus their conservation; 0 plants no relation.", ge=0, le=1, unit="Spearman correlation")
    connectivity_strength: float = key(0.5, "Rank correlation of how predictable genes truly are with their expected number of protein interactions; 0 plants no relation.", ge=0, le=1, unit="Spearman correlation")
    n_external_donors: Literal[0] | Annotated[int, Field(ge=20, le=LARGEST)] = Field(60, description="Donors of an external cohort of the source tissue, about half of them cases (MHT2D); 0 makes none.", json_schema_extra={"unit": "donors"})
    external_shift: float = key(1.5, "Standard deviation over genes of the external cohort's batch shift; its scale changes in proportion.", ge=0, unit="log2 TPM")
    sex_markers: Switch = key(False, "Call the first two coding genes XIST and RPS4Y1, and let them tell the sexes apart in every tissue.")
    seed: int = seed("Seed of the simulation.", 1)

    def disagreements(self) -> Iterator[InputError]:
        """Demand tissues of GTEx, each once, and no more samples than donors."""
        for name, times in Counter((*self.tissues, *self.rare_tissues)).items():
            if name not in GTEX_V8_SAMPLES:
                near = difflib.get_close_matches(name, GTEX_V8_SAMPLES, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else ""
                yield InputError("tissues", repr(name), "a GTEx v8 tissue name (SMTSD)", hint)
            elif times > 1:
                yield InputError("tissues", f"{name!r} twice", "every tissue once")
        if self.source not in self.tissues:
            yield InputError("source", repr(self.source), "one of simulation.tissues")
        for name in ("n_rare_samples", "n_single_sample_donors"):
            if getattr(self, name) > self.n_donors:
                found = str(getattr(self, name))
                yield InputError(name, found, f"no more than n_donors, {self.n_donors}")

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
