"""Which models are fitted, and how."""
# fmt: off

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mtm.settings.base import Names, Section, key, seed
from mtm.settings.models.base import ModelParameters, declared, model_names


class TrainingSettings(Section):
    """How models are fitted, whatever their class."""

    section: ClassVar = "training"

    device: Literal["auto", "cpu", "cuda"] = key("auto", "Where to compute; `auto` takes a GPU where there is one. Changing it reruns nothing.")
    seed: int = seed("Seed of everything random in a fit; the fold's number is added to it.")
    monitor_every: int = key(0, "Score held-out donors every so many optimiser steps and write it to the training table; 0 never. It changes nothing that is learned.", ge=0, unit="optimiser steps")


class ModelSettings(Section):
    """One model."""

    section: ClassVar = "models.<name>"

    class_: Literal[tuple(model_names())] = key(..., "Kind of model; its parameters are listed under `parameters[class]`.", alias="class")
    sources: Literal["source", "others"] | Annotated[Names, Field(min_length=1)] = key("source", "Tissues of a held-out donor that the model sees. `source` - the key `source` alone; `others` - all other tissues of the donor; or a list of tissues (SMTSD).")
    parameters: dict[str, Any] = key({}, "Hyper-parameters of the model class; what is left out takes the class's default.")

    @property
    def declared(self) -> type[ModelParameters]:
        """What its class declares."""
        return declared(self.class_)
