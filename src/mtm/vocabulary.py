"""Words that tables are written with: keys, and values that mean the same in several of them.

Nothing of the library is imported here: whoever reads a table needs nothing of what made it.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal, get_args

# Scales and units of expression.
Scale = Literal["tpm_z", "log2_z"]
SCALES: tuple[str, ...] = get_args(Scale)
Units = Literal["tpm", "counts", "rpkm", "log2", "zscores", "intensity"]
# What values are measured in: TPM (or what stands for them), or a scale of their own, on which
# they are compared as they are: logarithms of intensities or ratios, z-scores.
Measure = Literal["tpm", "own"]
OWN_UNITS = ("zscores", "intensity")
LOG2_WORDS, OWN_WORDS = "log2(1+TPM)", "values as given"


def in_units(text: str, units: str | None) -> str:
    """Return what pages and figures say of TPM as it is of expression in `units`."""
    return text.replace(LOG2_WORDS, OWN_WORDS) if units in OWN_UNITS else text


# Tissues of a donor that a model is given: that of the key `source`, or all but the target.
SourceChoice = Literal["source", "others"]
# What an error is about where people lack covariates that a model needs.
COVARIATES = "covariates of the input"
# Scales and files that `mtm predict` writes.
OutputScale = Literal["z", "log2", "tpm", "own"]
OUTPUT_SCALES: tuple[str, ...] = get_args(OutputScale)
# How `mtm predict` brings new samples to the training distribution.
NewAlignment = Literal["none", "shift", "quantile", "combat"]
NEW_ALIGNMENTS: tuple[str, ...] = get_args(NewAlignment)
# Least share of a model's genes that samples from elsewhere must have.
MIN_OVERLAP = 0.8
OUTPUT_SUFFIXES = (".tsv", ".tsv.gz", ".parquet", ".h5ad")


@dataclass(frozen=True)
class Reading:
    """One way to read a result: scale, pooling of folds and what makes a gene predictable.

    Parameters
    ----------
    scale
        Scale of predictions and observations.
    convention
        How gene-wise correlations of several folds become one; of `GENE_CONVENTIONS`.
    definition
        Column of the gene-wise table that says whether a gene is predictable.
    title
        In words, for figures.
    """

    scale: Scale
    convention: str
    definition: str
    title: str

    @property
    def by_fold(self) -> bool:
        """Whether folds, each predicted by a model of its own, are kept apart."""
        return self.convention == "per_fold"

    @property
    def rho(self) -> str:
        """Column of the gene-wise table with the genes' correlations."""
        return f"rho_{self.convention}"


HEADLINE = Reading("log2_z", "per_fold", "predictable", "log2(1+TPM), within folds")
PAPER = Reading("tpm_z", "pooled_raw", "predictable_paper", "TPM, folds pooled, as the paper")
READINGS = (HEADLINE, PAPER)
# What is on a scale of its own has z-scores of its values alone, under the headline's name.
SCALES_OF = {"tpm": SCALES, "own": (HEADLINE.scale,)}
# Each definition of a predictable gene is counted on the scale it belongs to.
DEFINITIONS = {reading.definition: reading.scale for reading in READINGS}
# Columns of a model's accuracy by gene that say which genes are predictable where.
PREDICTABLE = ("tissue", "gene_id", "scale", *DEFINITIONS)


def readings_of(scales: Container[str]) -> tuple[Reading, ...]:
    """Those of `READINGS` whose scale is there."""
    return tuple(reading for reading in READINGS if reading.scale in scales)


# Accuracy tables: what a row is about, and the measures that stand first.
ACCURACY_KEY = ["scale", "level", "convention"]
MEAN_OF_TISSUES = "(mean of tissues)"
GENE_CONVENTIONS = ("per_fold", "pooled_z", "pooled_raw")
SAMPLE_CONVENTION = "per_sample"
HEADLINE_MEASURES = (
    ("log2_z", "gene_wise", "per_fold"),
    ("log2_z", "sample_wise", SAMPLE_CONVENTION),
    ("tpm_z", "gene_wise", "pooled_raw"),
)

# How well a gene is told in a tissue, the worst class first.
RELIABILITY = ("none", "low", "moderate", "high")
# Genes of a tissue by their mean expression.
TERTILES = ("low", "middle", "high")

# How the cohort's own held-out donors are called where external people are scored beside them.
CROSS_VALIDATION = "cross-validation"
# What any model could reach: an estimate of it, and what it is at least.
CEILING, FLOOR = "ceiling", "floor"

# What of a donor a model is given: nothing but covariates, one tissue, one or some beside the
# source, some drawn at random, or all but the target.
NO_TISSUE, ONE_TISSUE, ONE_ADDED, SOME_ADDED, SOME_DRAWN, ALL_OTHERS = CHOICES = (
    "none", "single", "source and one", "source and accessible", "random", "all others",
)  # fmt: skip
CHOICE_KEY = ["model", "kind", "given", "level"]

# Accuracy by number of training donors: as measured, as a curve through what fewer donors give has
# it at all of them, and as the curve through all has it beyond.
MEASURED, FORETOLD, PROMISED = GROWTH = ("measured", "foretold", "promised")

# Panels of landmarks, and genes that they are scored on: all others, or those that no panel has.
LISTED, CHOSEN, RANDOM = PANELS = ("listed", "chosen", "random")
OTHERS, IN_NO_PANEL = ("all others", "in no panel")

# The encoder of rank values: what is scored, and what it is scored by.
PERPLEXITY, PROBE, BLOOD_TO_TISSUE = RANK_PARTS = ("perplexity", "probe", "source to tissue")
CODE, UNTRAINED_CODE, COMPONENTS = ("encoder", "untrained encoder", "principal components")
RANK_VALUES, Z_SCORES = ("rank values", "z-scores")
UNIGRAM, UNIGRAM_OF_PLACE = ("unigram over genes not shown", "the same by place")
RANK_INPUTS = (
    CODE, UNTRAINED_CODE, COMPONENTS, RANK_VALUES, Z_SCORES, UNIGRAM, UNIGRAM_OF_PLACE,
)  # fmt: skip
DELETED, FIRST = PERTURBATIONS = ("delete", "overexpress")

# Imputers that stand beside those of the config: what knows the tissue alone, and the average of
# the Gaussian conditional and the autoencoder.
TISSUE_MEAN, AVERAGE = ("tissue_mean", "average")
# Codes of samples, and how they are probed.
CODES = ("pca", "vae", "vae_penalty", "minus_means", "tissue_z", "joint")
LINEAR, NON_LINEAR, SIMILARITY = ("linear", "non-linear", "similarity")

# Comparisons of models.
PAIR = ["model_a", "model_b"]
TABLE_MEASURES = (*HEADLINE_MEASURES, ("tpm_z", "sample_wise", SAMPLE_CONVENTION))
VENN_SETS = (2, 3)
# How the models of a region stand in one field.
AND = ";"

# Genes of the top and bottom quarter. Groups of fewer genes have no interval: their bounds would
# be those of a few correlations.
PAPER_SCALE = "tpm_z"
MIN_GROUP = 10

# Similarity of tissues.
RELATIONS = ("within the brain", "within another organ", "between organs")
ALL_TISSUES, OUTSIDE_BRAIN = "all tissues", "outside the brain"

# Codes of a person.
TRAINED, UNTRAINED, ENCODER_INPUT = NETWORKS = ("trained", "untrained", "encoder input")
SAME_TISSUES, ALL_PAIRS = COMPARISONS = ("same tissues", "all pairs")

# Traits, diseases, external cohorts: what ran, and on which expression.
RAN, SKIPPED = "ran", "skipped"
MEDIAN_OF_TISSUES = "(median of tissues)"
SELECTIONS = ("all_folds", "nested")
DIRECTIONS = {"up": 1, "down": -1}
OBSERVED, PREDICTED, SOURCE, BASELINE = "observed", "predicted", "source", "covariates"
TARGET = "target"

# Profiles of genes over tissues: which genes they are scored on, and that nothing of them is seen.
ALL_GENES, NO_RELATIVES = ("all", "no relatives")
WHOLE_GENE = "all hidden"
