"""Models by name.

A new model is one file in this package with one ``@register`` line, and one in
``mtm.settings.models`` with one ``@parameters`` line.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mtm.errors import InputError, not_installed
from mtm.models.base import Predictor
from mtm.models.bundle import read_bundle
from mtm.models.donors import DonorsKey
from mtm.registered import registered_module, registered_modules
from mtm.settings.models.base import ModelParameters, declared

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
    """Return the class registered under `name`; no other model is imported.

    Raises
    ------
    InputError
        There is no such model, or what it computes with is not installed.
    """
    module = registered_module("mtm.models", "register", name, "model")
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise not_installed(error, f"model {name}") from error
    return _CLASSES[name]


def parameters_of(name: str, values: Mapping) -> ModelParameters:
    """Build the hyper-parameters of model `name` from `values`; lists become tuples.

    Raises
    ------
    InputError
        A key is unknown or a value is not allowed.
    """
    return declared(name).of(values)


def build(name: str, values: Mapping | None = None) -> Predictor:
    """Return an unfitted model."""
    return model_class(name)(parameters_of(name, values or {}))


def read(path: str | Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the header and the arrays of a bundle; no code in the file is ever run.

    Raises
    ------
    InputError
        The file is no bundle, of another version, damaged, of a model unknown here, or not what
        such a model could be.
    """
    return read_bundle(path, lambda header: described(header).whole_layout())


def load(path: str | Path, key: DonorsKey | None = None) -> Predictor:
    """Load a fitted model from its bundle; raises as `read` does.

    Parameters
    ----------
    path
        The bundle.
    key
        What its digests of training donors were made with; without it none can be recognised.
    """
    header, arrays = read(path)
    try:
        return revive(header, arrays, key)
    except InputError as error:
        raise error.within(path) from error


def described(header: dict, key: DonorsKey | None = None) -> Predictor:
    """Return a model of which all but the arrays is known."""
    model = build(header["model"], header["parameters"])
    model.describe(header, key)
    return model


def revive(header: dict, arrays: dict[str, np.ndarray], key: DonorsKey | None = None) -> Predictor:
    """Return the fitted model that gave `header` and `arrays`, both checked."""
    model = described(header, key)
    model.take_over(header, arrays)
    return model
