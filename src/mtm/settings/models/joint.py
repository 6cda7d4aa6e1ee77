"""Hyper-parameters of the joint model."""
# fmt: off

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from mtm.settings.base import Names, key
from mtm.settings.models.base import (
    FLOAT_BYTES,
    INPUTS,
    SCALE,
    CohortSize,
    Inputs,
    ModelParameters,
    ModelSize,
    parameters,
)
from mtm.vocabulary import Scale

Choices = BeforeValidator(lambda value: (value,) if isinstance(value, int | float) else value)
FactorChoices = Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Field(min_length=1, max_length=100), Choices]
FreedomChoices = Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], Field(min_length=1, max_length=100), Choices]


@parameters("joint")
class JointParameters(ModelParameters):
    """Donor factors and own effects of genes behind all tissues of a donor (methods 8)."""

    on_card: ClassVar = True
    several_sources: ClassVar = True
    at_random: ClassVar = True
    own_sd: ClassVar = True

    inputs: Inputs = INPUTS
    n_factors: FactorChoices = key((6, 14, 30), "Factors of a donor; of several numbers each is fitted, and all are averaged.")
    noise_rank: int = key(16, "Factors of a sample's own, shared by its genes.", ge=1, le=1000, unit="factors")
    noise_freedom: FreedomChoices = key((0.0, 30.0), "Degrees of freedom of a sample's noise (Student's t): fewer let odd samples weigh less; 0 for Gaussian noise. Of several the one that tells donors left out best.")
    inner_folds: int = key(5, "Parts that training donors are split into to choose; one is left out.", ge=2, le=100, unit="folds")
    min_samples: int = key(10, "A tissue with fewer training samples tells nothing of others, and gets its training mean.", ge=2, unit="samples")
    own_effects: bool = key(True, "Give every gene of a donor an effect of its own, shared by tissues.")
    fits: int = key(2, "Fits of each number of factors, from different starts.", ge=1, le=100, unit="fits")
    factor_penalty: float = key(0.4, "Pull of a tissue's loadings towards those of its organ, as a share of the samples of a tissue (median).", gt=0, le=1e6, unit="share")
    noise_penalty: float = key(50.0, "Pull of the loadings of noise factors towards 0.", gt=0, le=1e9, unit="samples")
    own_penalty: float = key(20.0, "Pull of a gene's own loadings towards their mean over tissues.", gt=0, le=1e9, unit="samples")
    variance_penalty: float = key(100.0, "Pull of what is left of variances towards their mean over tissues.", gt=0, le=1e9, unit="samples")
    iterations: int = key(60, "Iterations of a fit, at most.", ge=1, le=100_000, unit="iterations")
    tolerance: float = key(2e-5, "A fit ends when an iteration raises the bound by less, a sample and gene.", ge=0, le=1, unit="nats")
    covariates: Names = key(("sex", "age", "hardy"), "Columns of donors that factors explain beside expression, used as far as the cohort has them; a new person may lack them.")
    checkpoint_every: int = key(10, "Save the training state every so many iterations, so that a killed run goes on from there; 0 never.", ge=0, unit="iterations")
    scale: Scale = SCALE

    @property
    def without_samples(self) -> bool:
        """Covariates tell of the factors."""
        return bool(self.covariates)

    def size(self, cohort: CohortSize) -> ModelSize:
        """Return what the loadings of all fits take, and the samples with own effects."""
        width = sum(self.n_factors) + len(self.n_factors) * (self.noise_rank + 2)
        loadings = FLOAT_BYTES * cohort.n_tissues * cohort.n_genes * width / 1e6
        bundle = self.fits * 2 * loadings + cohort.scaler_mb
        own = 2 * cohort.matrix_mb
        checkpoint = bundle + cohort.matrix_mb if self.checkpoint_every else 0.0
        return ModelSize(bundle, checkpoint, 2 * bundle + own)
