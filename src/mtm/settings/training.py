"""Which models are fitted, and how."""
# fmt: off

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mtm.errors import InputError
from mtm.registered import other_half
from mtm.settings.base import LARGEST_SEED, Names, Once, Section, key, seed
from mtm.settings.models.average import AverageParameters
from mtm.settings.models.base import ModelParameters, declared, model_names
from mtm.settings.models.ensemble import EnsembleParameters

Seeds = Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], Once]


class TrainingSettings(Section):
    """How models are fitted, whatever their class."""

    section: ClassVar = "training"

    device: Literal["auto", "cpu", "cuda"] = key("auto", "Where to compute; `auto` takes a GPU where there is one. Changing it reruns nothing.")
    seed: int = seed("Seed of everything random in a fit; the fold's number is added to it.")
    monitor_every: int = key(0, "Score held-out donors every so many optimiser steps and write it to the training table; 0 never. It changes nothing that is learned.", ge=0, unit="optimiser steps")


class ModelSettings(Section):
    """One model."""

    section: ClassVar = "models.<name>"

    class_: Literal[tuple(model_names())] | None = key(..., "Kind of model; its parameters are listed under `parameters[class]`. A model with the key `of` has none.", alias="class")
    of_: str | None = key(None, "A model that stands before it, whose fits it shares - it predicts with them from other `sources` and has no other key. Nothing is trained for it.", alias="of")
    sources: Literal["source", "others"] | Annotated[Names, Field(min_length=1)] = key("source", "Tissues of a held-out donor that the model sees. `source` - the key `source` alone; `others` - all other tissues of the donor; or a list of tissues (SMTSD).")
    seeds: Seeds = key((), "Seeds in place of `training.seed`. Each beyond the first, say 7, adds a model `<name>_seed7`, equal but for it; `<name>_average` averages them all (methods 6.10). Several are for models that draw random numbers.")
    parameters: dict[str, Any] = key({}, "Hyper-parameters of the model class; what is left out takes the class's default.")

    @model_validator(mode="before")
    @classmethod
    def _of_no_class(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        name, known = values.get("class"), model_names()
        if isinstance(name, str) and name not in known and (hint := other_half("mtm.settings.models", name)):
            problem = InputError("class", repr(name), f"one of {', '.join(known)}", hint)
            raise PydanticCustomError("disagreement", "{problems}", {"problems": [problem]})
        return values if values.get("of") is None else {"class": None} | values

    def disagreements(self) -> Iterator[InputError]:
        """Demand a class of a model that has fits of its own."""
        if self.class_ is None and self.of_ is None:
            yield InputError("class", "nothing (null)", "a class, or a model whose fits it shares as `of`")

    @property
    def declared(self) -> type[ModelParameters]:
        """What its class declares."""
        return declared(self.class_)

    @property
    def members(self) -> tuple[str, ...]:
        """Models that it averages, as far as they are names."""
        named = self.parameters.get("models", ()) if issubclass(self.declared, AverageParameters) else ()
        return tuple(name for name in named if isinstance(name, str)) if isinstance(named, list | tuple) else ()


def seed_names(name: str, seeds: tuple[int, ...]) -> list[str]:
    """Names of the trainings of a model with several seeds, in the order of these."""
    return [name, *(f"{name}_seed{seed}" for seed in seeds[1:])]


def average_name(name: str) -> str:
    """Name of the average of a model's seeds."""
    return f"{name}_average"


def one_entry_a_training(models: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give every seed of a model an entry of its own, and their average one.

    Parameters
    ----------
    models
        The section `models`, its defaults filled in.

    Returns
    -------
    dict
        The same with one seed at most in every entry; a model with several is followed by its
        further trainings and their average. Those with one or none stay as they are. Who shares
        another's fits has its class and parameters.
    """
    entries = {}
    for name, model in models.items():
        if model["of"]:
            model = model | {key: entries[model["of"]][key] for key in ("class", "parameters")}
        entries[name] = model
        if len(model["seeds"]) < 2:
            continue
        members = seed_names(name, model["seeds"])
        for member, one in zip(members, model["seeds"], strict=True):
            entries[member] = model | {"seeds": [one]}
        scale = declared(model["class"]).of(model["parameters"]).scale
        entries[average_name(name)] = {
            "class": AverageParameters.name,
            "of": None,
            "sources": model["sources"],
            "seeds": [],
            "parameters": AverageParameters(models=members, scale=scale).model_dump(),
        }
    return entries


def with_fits(models: Mapping[str, ModelSettings]) -> dict[str, ModelSettings]:
    """Give who shares another's fits its class and parameters; who names no such model is left out."""
    known: dict[str, ModelSettings] = {}
    complete = {}
    for name, model in models.items():
        if model.of_ is not None:
            if model.of_ not in known or known[model.of_].of_ is not None:
                continue
            fitted = known[model.of_]
            inherited = {"class_": fitted.class_, "parameters": fitted.parameters}
            model = model.model_copy(update=inherited)
        complete[name] = model
        known |= _entries_of(name, model)
    return complete


def takes_several(model: ModelSettings, models: Mapping[str, ModelSettings]) -> bool:
    """Whether a model, and all that it averages, can take several samples of a donor."""
    members = (models[name] for name in model.members if name in models)
    return model.declared.several_sources and all(takes_several(m, models) for m in members)


def names_of(name: str, model: ModelSettings) -> list[str]:
    """Names that an entry of `models` takes: its own, those of further seeds, their average's."""
    several = len(model.seeds) > 1
    return [*seed_names(name, model.seeds), average_name(name)] if several else [name]


def _entries_of(name: str, model: ModelSettings) -> dict[str, ModelSettings]:
    """Give the names of `names_of` what each is: the average of seeds is made of others."""
    entries = dict.fromkeys(names_of(name, model), model)
    if len(entries) > 1:
        made_of = {"models": tuple(seed_names(name, model.seeds))}
        changes = {"class_": AverageParameters.name, "seeds": (), "parameters": made_of}
        entries[average_name(name)] = model.model_copy(update=changes)
    return entries


def sharing_problems(models: Mapping[str, ModelSettings]) -> Iterator[InputError]:
    """Yield what is wrong with models that share another's fits; `where` is the key."""
    earlier: dict[str, ModelSettings] = {}
    for name, model in models.items():
        if model.of_ is not None:
            fitted = {other: one for other, one in earlier.items() if one.of_ is None}
            if model.of_ in fitted:
                yield from _sharing_problems(name, model, fitted[model.of_])
            else:
                yield InputError(
                    f"models.{name}.of", repr(model.of_),
                    f"models with fits of their own that stand before it: {', '.join(fitted) or 'none'}",
                )  # fmt: skip
        earlier |= _entries_of(name, model)


def _sharing_problems(name: str, model: ModelSettings, fitted: ModelSettings) -> Iterator[InputError]:
    """Yield keys that come from the model whose fits are shared, and sources that are the same."""
    # A configuration that was filled in before has them, and the same.
    for given, theirs in {"class": fitted.class_, "parameters": fitted.parameters, "seeds": ()}.items():
        mine = getattr(model, "class_" if given == "class" else given)
        if mine and mine != theirs:
            yield InputError(f"models.{name}.{given}", repr(mine), f"nothing, as it is that of {model.of_}")
    if model.sources == fitted.sources:
        yield InputError(f"models.{name}.sources", repr(model.sources), f"others than {model.of_} predicts from")


def model_problems(models: Mapping[str, ModelSettings]) -> Iterator[InputError]:
    """Yield what models demand of each other and do not get; `where` is the key.

    `models` are those of `with_fits`.
    """
    taken = set(models)
    earlier: dict[str, ModelSettings] = {}
    for name, model in models.items():
        added = names_of(name, model)[1:]
        for clash in taken.intersection(added):
            yield InputError(
                f"models.{clash}", "a name that another model's seeds take", "another name",
                f"models.{name}.seeds adds {', '.join(added)}.",
            )  # fmt: skip
        combines = issubclass(model.declared, AverageParameters)
        if len(model.seeds) > 1 and not (model.declared.at_random or combines):
            yield InputError(
                f"models.{name}.seeds", f"{len(model.seeds)} seeds of a {model.class_}",
                "one at most", "Nothing in its fit is random: all would be the same model.",
            )  # fmt: skip
        if combines and model.of_ is None:
            yield from _average_problems(name, model, earlier)
        earlier |= _entries_of(name, model)


def _average_problems(name: str, model: ModelSettings, earlier: Mapping[str, ModelSettings]) -> Iterator[InputError]:
    """Yield what is wrong with an average of the models before it."""
    if model.seeds:
        yield InputError(f"models.{name}.seeds", "seeds of an average", "none, as it is not trained")
    if len(model.members) < 2:
        yield InputError(f"models.{name}.parameters.models", f"{len(model.members)} models", "two or more")
    for member in model.members:
        if member not in earlier:
            yield InputError(
                f"models.{name}.parameters.models", repr(member),
                f"models that stand before it: {', '.join(earlier) or 'none'}",
            )  # fmt: skip
        elif model.class_ == EnsembleParameters.name and earlier[member].members:
            yield InputError(
                f"models.{name}.parameters.models", f"{member}, which is made of others",
                "models with fits of their own", f"Name {', '.join(earlier[member].members)} instead.",
            )  # fmt: skip
        elif earlier[member].sources != model.sources:
            yield InputError(
                f"models.{name}.sources", repr(model.sources),
                f"{earlier[member].sources!r}, as {member}, which it averages",
            )  # fmt: skip
