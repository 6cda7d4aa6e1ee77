"""Failed genes of a sample imputed, and codes of samples."""
# fmt: off

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mtm.settings.base import Once, Section, Switch, key, seed
from mtm.settings.models.base import Widths

Imputer = Literal["gaussian", "vae", "nb", "zinb"]
COUNTED = ("nb", "zinb")


class AutoencoderSettings(Section):
    """The variational autoencoder of a sample, which is told its tissue."""

    section: ClassVar = "imputation.autoencoder"

    widths: Widths = key((512, 512), "Hidden layers of the encoder; the decoder has them in turn. Beside either stands a linear map.", unit="features")
    code_width: int = key(48, "Width of the code.", ge=1, le=10_000, unit="features")
    kl_weight: float = key(0.1, "Weight of the code's divergence from N(0, I), beside the log-likelihood.", ge=0)
    learning_rate: float = key(3e-3, "Highest learning rate of AdamW; it rises and falls in one cycle.", gt=0)
    batch_size: int = key(512, "Samples in an optimiser step.", ge=2, unit="samples")
    epochs: int = key(60, "Passes over the training samples at most.", ge=1, unit="epochs")
    patience: int = key(10, "Training ends after so many passes in which failed genes of training donors left out for it are told no better, counted once the learning rate falls; the weights that told them best are kept.", ge=1, unit="epochs")


class Imputation(Section):
    """Genes of a sample imputed from its others, values that stand out, and codes of samples free of their tissue (methods 6.24). Off where `methods` is empty."""

    section: ClassVar = "imputation"

    methods: Annotated[tuple[Imputer, ...], Once] = key((), "What imputes - `gaussian`, the conditional of the genes' Gaussian within the tissue; `vae`, an autoencoder given the tissue, with Gaussian likelihood; `nb` and `zinb`, the same with negative binomial likelihood of read counts (`inputs.counts`), zero-inflated or not. The tissue's mean stands beside, and the average of the first two.")
    masked: float = key(0.2, "Share of a sample's genes that fail at a time; each fails once.", gt=0, le=0.5)
    shrinkage: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=100), Once] = key((0.01, 0.03, 0.1, 0.3), "Candidate weights of the identity in the correlations of `gaussian`; chosen on training donors left out.")
    pooled_samples: float = key(50, "Correlations of a tissue are drawn to those within all tissues with the weight of so many samples.", ge=0, unit="samples")
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    outlier: float = key(5.0, "A value is an outlier so many robust sds from what the other genes say.", gt=0, unit="sds")
    most_outliers: int = key(10_000, "Of these as many are written, the farthest first.", ge=1, unit="values")
    probes: Switch = key(True, "Whether codes are made and probed for tissue, donor and expression.")
    penalty: float = key(1.0, "Weight of the penalty on what a code tells of the tissue (SAILER's), as a multiple of `autoencoder.kl_weight`.", ge=0)
    random_features: int = key(500, "Random Fourier features that non-linear probes see beside the code.", ge=1, le=10_000, unit="features")
    probe_genes: int = key(2500, "Genes that codes of the source are to tell in other tissues, drawn at random.", ge=2, unit="genes")
    seed: int = seed("Seed of masks, features and genes, and, plus the fold, of networks.")
