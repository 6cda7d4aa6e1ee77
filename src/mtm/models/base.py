"""The contract of every model: fitted once per fold, predicts any tissue from observed ones."""

import hashlib
import json
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mtm import __version__
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.settings.models.base import ModelParameters
from mtm.settings.scaling import Scaling
from mtm.vocabulary import Scale

BUNDLE_VERSION = 1


@dataclass(frozen=True)
class Requests:
    """What to predict: one row a prediction.

    Parameters
    ----------
    source_rows
        Rows of the input cohort that each prediction may see, shape
        ``(n_requests, max_sources)``, int64, padded with -1 at the end of a row.
    target
        Index of the tissue to predict, shape ``(n_requests,)``, int64.
    """

    source_rows: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.target)

    def single_source(self, model: str) -> np.ndarray:
        """Return the one source row of each request, shape ``(n_requests,)``.

        Raises
        ------
        InputError
            A request names several sources, or none.
        """
        counts = (self.source_rows >= 0).sum(1)
        if len(counts) and (counts != 1).any():
            raise InputError(
                f"model {model}", f"{counts.max()} source tissues for one donor", "exactly one"
            )
        return self.source_rows[:, 0]


@dataclass
class Training:
    """What a model may use while it is fitted.

    Parameters
    ----------
    cohort
        Samples of the training donors, and of no other donor.
    source
        Index of the tissue that single-source models predict from.
    seed
        Seed of everything random in the fit.
    scaling
        How z-scores are made.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"`` (a GPU where there is one).
    checkpoint
        Folder for training state of models that train for long; None keeps none.
    monitor
        Called by iterative models with the predictor every `monitor_every` steps; returns
        figures for the training table. It must not change what is learned.
    monitor_every
        In optimiser steps; 0 never calls `monitor`.
    """

    cohort: Cohort
    source: int
    seed: int = 0
    scaling: Scaling = Scaling()
    device: str = "auto"
    checkpoint: Path | None = None
    monitor: Callable[["Predictor"], dict[str, float]] | None = None
    monitor_every: int = 0


@dataclass
class Provenance:
    """Where a fitted model comes from; travels in its bundle."""

    cohort: str = ""
    fold: str = ""
    seed: int = 0
    source: str = ""
    training_donors: list[str] = field(default_factory=list)
    notes: dict = field(default_factory=dict)


class Predictor(ABC):
    """A model of expression in one tissue given others.

    A subclass is one file in ``mtm.models``, decorated with ``@register("name")``. Its
    hyper-parameters, `scale` among them, and what else the workflow must know of it are declared
    in ``mtm.settings.models`` under the same name and named here as `Parameters`. It fills the
    four methods below (`Untrained` needs `predict` alone). After `fit` or `load`, `tissues`,
    `genes`, `scaler` and `provenance` are set and `predict` needs nothing but the input.

    Parameters
    ----------
    parameters
        An instance of `Parameters`.
    """

    Parameters: ClassVar[type[ModelParameters]]
    name: ClassVar[str]

    def __init__(self, parameters=None):
        self.parameters = self.Parameters() if parameters is None else parameters
        self.tissues: tuple[str, ...] = ()
        self.genes: pd.DataFrame = pd.DataFrame()
        self.scaler: TissueScaler | None = None
        self.provenance = Provenance()

    @property
    def scale(self) -> Scale:
        """Scale of what `predict` returns."""
        return self.parameters.scale

    @property
    def several_sources(self) -> bool:
        """Whether `predict` takes several samples of a donor."""
        return self.parameters.several_sources

    def fit(self, training: Training) -> pd.DataFrame:
        """Fit on training donors; return the training table (one row an epoch or evaluation)."""
        cohort = training.cohort
        self.tissues, self.genes = cohort.tissues, cohort.genes
        self.provenance = replace(
            self.provenance,
            seed=training.seed,
            source=cohort.tissues[training.source],
            training_donors=list(cohort.donors.index),
        )
        self.scaler = TissueScaler.fit(
            cohort.expr_tpm,
            cohort.tissue,
            len(cohort.tissues),
            self.scale,
            training.scaling,
        )
        return self._fit(training)

    @abstractmethod
    def _fit(self, training: Training) -> pd.DataFrame:
        """Fit; `tissues`, `genes`, `scaler` and `provenance` are set already."""

    @abstractmethod
    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Predict expression.

        Parameters
        ----------
        inputs
            Samples the requests point into, with this model's genes and tissues in its order.
        requests
            Sources and target of every prediction.

        Returns
        -------
        np.ndarray
            Shape ``(n_requests, n_genes)``, float32, in `scale` of the target tissue.
        """

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything learned, as named arrays; the scaler is kept by the base class."""

    @abstractmethod
    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` of an equal model returned."""

    def save(self, path: str | Path) -> None:
        """Write the bundle: safetensors with JSON metadata; prediction needs nothing else."""
        arrays = self.state() | {"scaler/mean": self.scaler.mean, "scaler/sd": self.scaler.sd}
        tensors = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
        header = {
            "bundle_version": BUNDLE_VERSION,
            "model": self.name,
            "scale": self.scale,
            "clip": self.scaler.clip,
            "parameters": self.parameters.model_dump(),
            "tissues": list(self.tissues),
            "gene_ids": list(self.genes.index),
            "symbols": [str(symbol) for symbol in self.genes["symbol"]],
            "provenance": asdict(self.provenance),
            "versions": {
                "mtm": __version__,
                "python": platform.python_version(),
                "torch": version("torch"),
                "numpy": np.__version__,
            },
        }
        # One metadata entry alone: safetensors writes several in an order that changes.
        envelope = {"header": header, "sha256": _digest(header, tensors)}
        metadata = {"mtm": json.dumps(envelope, sort_keys=True)}
        with atomic_path(path) as temporary:
            save_file(tensors, str(temporary), metadata=metadata)


class Untrained(Predictor):
    """A model that learns nothing beside the scaler."""

    def _fit(self, training: Training) -> pd.DataFrame:
        return pd.DataFrame({"epoch": [0]})

    def state(self) -> dict[str, np.ndarray]:
        """No learned arrays."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing to take over."""


def _digest(header: dict, tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 over the header and every array's name, type, shape and bytes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for key in sorted(tensors):
        array = tensors[key]
        digest.update(f"{key}|{array.dtype}|{array.shape}|".encode())
        digest.update(memoryview(array).cast("B") if array.size else b"")
    return digest.hexdigest()


def read_header(path: str | Path) -> dict:
    """Return a bundle's JSON metadata without reading its arrays.

    Raises
    ------
    InputError
        The file is no bundle, or one of another version.
    """
    return _open(path)["header"]


def _open(path: str | Path) -> dict:
    """Return a bundle's header and checksum, the header's version checked."""
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file", "a model bundle (.safetensors)")
    try:
        with safe_open(str(path), framework="numpy") as handle:
            metadata = handle.metadata() or {}
        envelope = json.loads(metadata["mtm"])
        found = envelope["header"]["bundle_version"]
        written_by = envelope["header"].get("versions", {}).get("mtm", "unknown")
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            path,
            f"a file that is no bundle ({type(error).__name__}: {error})",
            "a model bundle (.safetensors) written by this software",
            "Files are never unpickled.",
        ) from error
    if found != BUNDLE_VERSION:
        raise InputError(
            path,
            f"bundle version {found}",
            f"version {BUNDLE_VERSION}",
            f"Train it again, or use the release of mtm that wrote it ({written_by}).",
        )
    return envelope


def load(path: str | Path) -> Predictor:
    """Load a fitted model from its bundle; no code in the file is ever run.

    Raises
    ------
    InputError
        The file is no bundle, of another version, damaged, or of a model unknown here.
    """
    from mtm.models.registry import model_class, parameters_of

    envelope = _open(path)
    try:
        with safe_open(str(path), framework="numpy") as handle:
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}
    except (SafetensorError, OSError) as error:
        raise InputError(path, f"damaged arrays ({error})", "a whole bundle") from error
    header = envelope["header"]
    if envelope.get("sha256") != _digest(header, tensors):
        raise InputError(
            path,
            "contents that do not match their checksum",
            "an undamaged bundle",
            "Copy or download it again.",
        )
    model = model_class(header["model"])(parameters_of(header["model"], header["parameters"]))
    model.tissues = tuple(header["tissues"])
    model.genes = pd.DataFrame(
        {"symbol": header["symbols"]}, index=pd.Index(header["gene_ids"], name="gene_id")
    )
    known = {item.name for item in fields(Provenance)}
    model.provenance = Provenance(
        **{key: value for key, value in header["provenance"].items() if key in known}
    )
    model.scaler = TissueScaler(
        header["scale"], tensors.pop("scaler/mean"), tensors.pop("scaler/sd"), header["clip"]
    )
    model.restore(tensors)
    return model
