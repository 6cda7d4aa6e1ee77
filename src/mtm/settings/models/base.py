"""What a class of model declares: its hyper-parameters, what it needs and what it takes.

The workflow reads this before it plans a run, so no model is imported here.
"""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from mtm.registered import registered_module, registered_modules
from mtm.settings.base import Section, key

FLOAT_BYTES = 4
_DECLARED: dict[str, type["ModelParameters"]] = {}


@dataclass(frozen=True)
class CohortSize:
    """Upper bounds of a cohort, known before it is built.

    Parameters
    ----------
    n_samples
        Samples of all tissues.
    n_genes
        Genes after the filter by biotype.
    n_tissues
        Tissues, the source among them.
    """

    n_samples: int
    n_genes: int
    n_tissues: int

    @property
    def matrix_mb(self) -> float:
        """Size of all samples by all genes as float32, MB."""
        return FLOAT_BYTES * self.n_samples * self.n_genes / 1e6

    @property
    def scaler_mb(self) -> float:
        """Size of the means and sds of both scales, MB."""
        return 4 * FLOAT_BYTES * self.n_tissues * self.n_genes / 1e6


@dataclass(frozen=True)
class ModelSize:
    """What a fitted model and its training take, MB: the bundle, training state, working set."""

    bundle_mb: float
    checkpoint_mb: float = 0.0
    working_mb: float = 0.0


def weights_mb(widths: Iterable[int]) -> float:
    """Return the size of the weights and biases of linear layers between these widths, MB."""
    return FLOAT_BYTES / 1e6 * sum(wide * (narrow + 1) for narrow, wide in pairwise(widths))


class ModelParameters(Section):
    """Hyper-parameters of a class of model; a subclass is decorated with ``@parameters(name)``.

    Attributes
    ----------
    name
        The registered name.
    in_epochs
        Whether its training takes epochs, and so has a learning curve.
    at_random
        Whether another seed gives another fit.
    several_sources
        Whether it can take several samples of a donor.
    learns
        Whether its predictions follow from the training donors' samples of the target, beside
        what its members learn.
    own_sd
        Whether it gives each prediction a standard deviation of its own.
    on_card
        Whether its training computes on a graphics card where it has one.
    of_covariates_alone
        Whether it looks at no expression, so that it has nothing to say without any covariate.
    """

    name: ClassVar[str] = ""
    in_epochs: ClassVar[bool] = False
    at_random: ClassVar[bool] = False
    several_sources: ClassVar[bool] = False
    learns: ClassVar[bool] = True
    own_sd: ClassVar[bool] = False
    on_card: ClassVar[bool] = False
    of_covariates_alone: ClassVar[bool] = False

    @property
    def members(self) -> tuple[str, ...]:
        """Models of the run whose fits it is made of."""
        return ()

    @property
    def from_ranks(self) -> bool:
        """Whether it sees samples of the source as ranks (methods 6.25)."""
        return getattr(self, "inputs", "z") == "ranks"

    @property
    def without_samples(self) -> bool:
        """Whether it predicts people without any sample, from their covariates."""
        return False

    @property
    def from_expression_alone(self) -> bool:
        """Whether predictions of new people follow from their expression, without covariates."""
        return True

    @property
    def numbers_a_gene(self) -> int | None:
        """Most numbers it keeps of a gene in a tissue; None for those of all training samples."""
        return None

    def size(self, cohort: CohortSize) -> ModelSize:
        """Return what a model takes that keeps no more than the training samples."""
        kept, working = cohort.matrix_mb, float(getattr(self, "memory_mb", 0.0))
        if self.numbers_a_gene is not None:
            kept = FLOAT_BYTES * self.numbers_a_gene * cohort.n_tissues * cohort.n_genes / 1e6
        return ModelSize(kept + cohort.scaler_mb, 0.0, working)


def parameters(name: str) -> Callable[[type[ModelParameters]], type[ModelParameters]]:
    """Class decorator: declare the hyper-parameters of the model `name`."""

    def add(cls: type[ModelParameters]) -> type[ModelParameters]:
        cls.name, cls.section = name, f"parameters[{name}]"
        _DECLARED[name] = cls
        return cls

    return add


def model_names() -> list[str]:
    """Names of all declared models, sorted."""
    return sorted(registered_modules("mtm.settings.models", "parameters"))


def declared(name: str) -> type[ModelParameters]:
    """Return the hyper-parameters of the model `name`; those of no other model are imported.

    Raises
    ------
    InputError
        No model has that name.
    """
    module = registered_module("mtm.settings.models", "parameters", name, "model")
    importlib.import_module(module)
    return _DECLARED[name]


# Columns that covariates of donors and samples have at most: a level of a centre is one.
MOST_COVARIATES = 40
# Keys of several classes.
# fmt: off
Inputs = Literal["z", "ranks"]
PenaltyChoice = Literal["per_gene", "shared"]
Distance = Literal["l1", "smooth_l1", "l2"]
Precision = Literal["auto", "float64", "float32", "tf32", "bfloat16"]
Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(min_length=1, max_length=100)]
Penalties = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
# Columns of the cohort that move expression in every tissue (methods 6.3).
COVARIATES = ("sex", "age", "hardy", "ischemic_minutes", "rin", "center")
PENALTIES = tuple(float(value) for value in np.logspace(-3, 3, 25))

SCALE_MEANING = "Scale of source and target - z-scores of log2(1+TPM) or of TPM."
SCALE = key("log2_z", SCALE_MEANING)
INPUTS = key("z", "How samples of the source are seen - `z`, z-scores; `ranks`, where each gene stands among those of the sample, its tissue's median taken off (methods 6.25): what adds the same to all logarithms of a sample leaves it, so a factor of TPM does as far as genes are well above 1 TPM.")
MIN_PAIRS = key(10, "Tissues with fewer training donors who also have the source are not fitted; they get the training mean.", ge=2, unit="donors")
MEMORY_MB = key(1024, "Working set of the solver.", gt=0, unit="MiB")
COVARIATE_COLUMNS = key(COVARIATES, "Covariates of donors and samples, used as far as the cohort has them.")
PENALTY_GRID = key(PENALTIES, "Candidate penalties, as multiples of the mean eigenvalue of the centred kernel.")
PENALTY_CHOICE = key("per_gene", "Each gene its own penalty, or one for all genes of a tissue; by generalised cross-validation.")
