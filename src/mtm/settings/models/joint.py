"""Hyper-parameters of the joint model."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import Names, key
from mtm.settings.models.base import (
    FLOAT_BYTES,
    SCALE,
    CohortSize,
    ModelParameters,
    ModelSize,
    parameters,
)
from mtm.vocabulary import Scale


@parameters("joint")
class JointParameters(ModelParameters):
    """Donor factors and own effects of genes behind all tissues of a donor (methods 8)."""

    several_sources: ClassVar = True
    own_sd: ClassVar = True

    n_factors: int = key(20, "Factors of a donor.", ge=1, le=1000, unit="factors")
    noise_rank: int = key(16, "Factors of a sample's own, shared by its genes.", ge=1, le=1000, unit="factors")
    own_effects: bool = key(True, "Give every gene of a donor an effect of its own, shared by tissues.")
    fits: int = key(3, "Fits from different starts whose predictions are averaged.", ge=1, le=100, unit="fits")
    factor_penalty: float = key(0.4, "Pull of a tissue's loadings towards those of its organ, as a share of the samples of a tissue (median).", gt=0, le=1e6, unit="share")
    noise_penalty: float = key(50.0, "Pull of the loadings of noise factors towards 0.", gt=0, le=1e9, unit="samples")
    own_penalty: float = key(20.0, "Pull of a gene's own loadings towards their mean over tissues.", gt=0, le=1e9, unit="samples")
    variance_penalty: float = key(100.0, "Pull of what is left of variances towards their mean over tissues.", gt=0, le=1e9, unit="samples")
    iterations: int = key(60, "Iterations of a fit, at most.", ge=1, le=100_000, unit="iterations")
    tolerance: float = key(2e-5, "A fit ends when an iteration raises the bound by less, a sample and gene.", ge=0, le=1, unit="nats")
    covariates: Names = key(("sex", "age", "hardy"), "Columns of donors that factors explain beside expression, used as far as the cohort has them; a new person may lack them.")
    checkpoint_every: int = key(10, "Save the training state every so many iterations, so that a killed run goes on from there; 0 never.", ge=0, unit="iterations")
    scale: Scale = SCALE

    def size(self, cohort: CohortSize) -> ModelSize:
        """Return what the loadings of all fits take, and the samples with own effects."""
        width = self.n_factors + self.noise_rank + 2
        loadings = FLOAT_BYTES * cohort.n_tissues * cohort.n_genes * width / 1e6
        bundle = self.fits * 2 * loadings + cohort.scaler_mb
        own = 2 * cohort.matrix_mb
        checkpoint = bundle + cohort.matrix_mb if self.checkpoint_every else 0.0
        return ModelSize(bundle, checkpoint, 2 * bundle + own)
