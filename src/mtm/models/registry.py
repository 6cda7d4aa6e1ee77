"""Models by name. A new model is one file in this package with one ``@register`` line."""

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from mtm.errors import InputError
from mtm.models.base import Predictor
from mtm.models.bundle import read_bundle
from mtm.registered import registered_modules

_CLASSES: dict[str, type[Predictor]] = {}


def register(name: str) -> Callable[[type[Predictor]], type[Predictor]]:
    """Class decorator: make a Predictor available under `name`."""

    def add(cls: type[Predictor]) -> type[Predictor]:
        cls.name = name
        _CLASSES[name] = cls
        return cls

    return add


def model_names() -> list[str]:
    """Names of all models, sorted."""
    return sorted(registered_modules("mtm.models", "register"))


def model_class(name: str) -> type[Predictor]:
    """Return the class registered under `name`; no other model is imported."""
    modules = registered_modules("mtm.models", "register")
    if name not in modules:
        raise InputError("model", repr(name), f"one of {', '.join(model_names())}")
    importlib.import_module(modules[name])
    return _CLASSES[name]


def parameters_of(name: str, values: Mapping):
    """Build the hyper-parameters of model `name` from `values`; lists become tuples.

    Raises
    ------
    InputError
        A key is unknown; the nearest known one is named.
    """
    cls = model_class(name).Parameters
    known = [item.name for item in fields(cls)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise InputError(
                f"parameters of model {name}",
                repr(key),
                f"one of {', '.join(known)}",
                f"Did you mean {near[0]!r}?" if near else "",
            )
    return cls(**{k: tuple(v) if isinstance(v, list | tuple) else v for k, v in values.items()})


def build(name: str, values: Mapping | None = None) -> Predictor:
    """Return an unfitted model."""
    return model_class(name)(parameters_of(name, values or {}))


def load(path: str | Path) -> Predictor:
    """Load a fitted model from its bundle; no code in the file is ever run.

    Raises
    ------
    InputError
        The file is no bundle, of another version, damaged, or of a model unknown here.
    """
    header, arrays = read_bundle(path)
    model = build(header["model"], header["parameters"])
    model.take_over(header, arrays)
    return model
