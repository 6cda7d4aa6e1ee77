"""Which models are set against each other."""
# fmt: off

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from mtm.errors import InputError
from mtm.settings.base import Label, Once, Section, key

# Keys of several analyses.
COMPARED = key(None, "Models to compare; null takes the one in the part of MTM, `baseline` and the covariates-only model, as far as the run has them.")
BASELINE = key("ridge", "A baseline to set beside them.")


class Roles(Section):
    """Which model plays which part of He et al. 2023. A part whose model is not in the run is reported as not run."""

    section: ClassVar = "comparison.roles"

    MTM: str = key("mtm", "Name of the model in the part of MTM.")
    S1: str = key("bgex", "Name of the model in the part of S1, B-GEx.")
    S2: str = key("teebot", "Name of the model in the part of S2, TEEBoT.")
    S3: str = key("mlp", "Name of the model in the part of S3, the per-tissue network.")


class Comparison(Section):
    """How models are set against each other (methods 3, R1-R9). Needs two models or more."""

    section: ClassVar = "comparison"

    roles: Roles = Roles()
    pairs: tuple[tuple[str, str], ...] = key((), "Further pairs of models to compare, beside those of the paper.")
    venn_tissue: Label = key("Esophagus - Muscularis", "Tissue of the Venn diagram; where the cohort lacks it, its largest target tissue.")
    venn_models: Annotated[tuple[str, ...], Field(min_length=2, max_length=3), Once] | None = key(None, "Two or three models of the Venn diagram; null takes those in the parts of S2, S3 and MTM.")

    def disagreements(self) -> Iterator[InputError]:
        """Refuse pairs of a model with itself."""
        for place, (first, second) in enumerate(self.pairs):
            if first == second:
                yield InputError(f"pairs.{place}", f"{first!r} twice", "two different models")
