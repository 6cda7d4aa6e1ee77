"""Training state on disk: taken up by an equal run alone, and never half a file."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtm.io import atomic_path
from mtm.models.base import Training

LOGGER = logging.getLogger(__name__)
BLOCK_BYTES = 2**20


def run_key(training: Training, parameters, precision: str, arrays: Iterable[Tensor]) -> str:
    """Return the digest of what two runs must share for one to go on from the other's state.

    Parameters
    ----------
    parameters
        Hyper-parameters, of plain values.
    precision
        Of matrix products, not ``"auto"``.
    arrays
        Data the model learns from.
    """
    cohort = training.cohort
    settings = vars(parameters) | {
        "code": training.code,
        "seed": training.seed,
        "source": training.source,
        "precision": precision,
        "donors": list(cohort.donors.index),
        "tissues": cohort.tissues,
        "genes": list(cohort.genes.index),
        "torch": torch.__version__,
        "monitor_every": training.monitor_every,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    # Whose samples they are: expression may stay where it stands when names are put right.
    for codes in (cohort.donor, cohort.tissue):
        digest.update(np.ascontiguousarray(codes))
    for array in arrays:
        # A view of nothing has no bytes to cast.
        if array.numel():
            digest.update(memoryview(array.cpu().numpy()).cast("B"))
    return digest.hexdigest()


class Checkpoint:
    """The states of one run, one file each: what `torch.save` writes, and its SHA-256 at the end.

    Parameters
    ----------
    folder
        Where they are; None keeps none.
    key
        From `run_key`.
    """

    def __init__(self, folder: str | Path | None, key: str):
        self.folder = None if folder is None else Path(folder)
        self.key = key

    def write(self, name: str, **state) -> None:
        """Write a state durably, in place of the one before it."""
        if self.folder is None:
            return
        try:
            self._write(self.folder / name, state)
        except FileNotFoundError:
            # A run of before, which had lost its Snakemake, ended and removed the folder.
            self._write(self.folder / name, state)

    def _write(self, path: Path, state: dict) -> None:
        # By a handle: given a path, torch writes its name, which is another each time, inside.
        with atomic_path(path) as temporary, open(temporary, "w+b") as handle:
            torch.save(state | {"key": self.key}, handle)
            handle.seek(0)
            handle.write(hashlib.file_digest(handle, "sha256").digest())

    def read(self, name: str, device: str = "cpu") -> dict | None:
        """Return a state, its tensors on `device`; None where there is none or of another run.

        A damaged file is set aside under a name ending in ``.damaged``.
        """
        if self.folder is None or not os.path.lexists(path := self.folder / name):
            return None
        try:
            saved = _state(path, device)
        except FileNotFoundError:
            saved = None
        if saved is None and not os.path.lexists(path):
            return None
        if saved is None:
            aside = path.rename(path.with_name(f"{name}.damaged"))
            LOGGER.warning("%s is damaged, is now %s and is not used", path, aside.name)
            return None
        if saved["key"] != self.key:
            LOGGER.warning("%s is of other settings, data or code and is not used", path)
            return None
        return saved


def _state(path: Path, device: str) -> dict | None:
    """Return what `Checkpoint.write` wrote; None for anything else that may stand there."""
    if not path.is_file() or not _is_whole(path):
        return None
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
    except Exception:  # A pickle of something else, with a digest at its end.
        return None
    return saved if isinstance(saved, dict) and "key" in saved else None


def _is_whole(path: Path) -> bool:
    """Whether a file ends in the digest of all before it."""
    digest = hashlib.sha256()
    n_bytes = path.stat().st_size - digest.digest_size
    with open(path, "rb") as handle:
        for start in range(0, n_bytes, BLOCK_BYTES):
            digest.update(handle.read(min(BLOCK_BYTES, n_bytes - start)))
        return handle.read() == digest.digest()
