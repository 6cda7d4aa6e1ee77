"""Hyper-parameters of B-GEx."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import key
from mtm.settings.models.base import (
    INPUTS,
    MEMORY_MB,
    MIN_PAIRS,
    SCALE,
    Inputs,
    ModelParameters,
    parameters,
)
from mtm.vocabulary import Scale


@parameters("bgex")
class BGExParameters(ModelParameters):
    """B-GEx - Bayesian ridge on the most correlated source genes (methods 2, S1)."""

    on_card: ClassVar = True

    inputs: Inputs = INPUTS
    n_features: int = key(10, "Source genes for each target gene.", ge=1, unit="genes")
    top_fraction: float = key(0.1, "Share of the expressed source genes, by coefficient of variation, that are candidates.", gt=0, le=1, unit="share")
    min_expressed_fraction: float = key(1.0, "A source gene is expressed when this share of paired donors has TPM above 0.", ge=0, le=1, unit="share")
    max_iter: int = key(300, "Largest number of iterations of the evidence maximisation.", ge=1, unit="iterations")
    tol: float = key(1e-3, "Change of the coefficients at which the iterations stop.", gt=0)
    min_pairs: int = MIN_PAIRS
    scale: Scale = SCALE
    memory_mb: float = MEMORY_MB

    @property
    def numbers_a_gene(self) -> int:
        """Source genes, their coefficients and an intercept."""
        return 2 * self.n_features + 1
