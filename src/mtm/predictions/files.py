"""The prediction file."""

from collections.abc import Iterable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import UNITS
from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.models.base import Requests


def write_predictions(
    path: str | Path,
    expr_z: np.ndarray | Iterable[np.ndarray],
    cohort: Cohort,
    requests: Requests,
    target_rows: np.ndarray,
    *,
    model: str,
    scale: str,
    fold: int | str,
) -> None:
    """Write ``predictions/{model}/fold{fold}.h5ad`` (docs/contracts.md), block by block.

    Parameters
    ----------
    path
        The file.
    expr_z
        Predictions, shape ``(n_requests, n_genes)``, or their blocks of rows in order, as
        `predict_in_blocks` yields them.
    cohort, requests, target_rows
        What was asked, as `held_out_requests` returns it.
    model
        Name of the model.
    scale
        ``"tpm_z"`` or ``"log2_z"``, the scale of `expr_z`.
    fold
        The fold in which the donors were held out.

    Raises
    ------
    ValueError
        There are more or fewer predictions than requests.
    """
    names = np.array(cohort.tissues, dtype=object)
    obs = pd.DataFrame(
        {
            "donor": cohort.donors.index[cohort.donor[target_rows]].astype(str),
            "sources": [
                ";".join(names[cohort.tissue[rows[rows >= 0]]]) for rows in requests.source_rows
            ],
            "target": names[requests.target],
            "fold": fold,
        },
        index=pd.Index(cohort.samples.index[target_rows].astype(str), name="sample_id"),
    )
    uns = {"scale": scale, "units": UNITS[scale], "model": model}
    blocks = [expr_z] if isinstance(expr_z, np.ndarray) else expr_z
    with atomic_path(path) as temporary:
        write_matrix(temporary, blocks, obs, cohort.genes[["symbol"]], uns)


def write_matrix(
    path: str | Path,
    blocks: Iterable[np.ndarray],
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: dict[str, str],
) -> None:
    """Write an AnnData file whose X arrives in blocks of rows; only one block is in memory.

    Parameters
    ----------
    path
        The file; not atomic, give it the path of `mtm.io.atomic_path`.
    blocks
        Arrays of shape ``(any, len(var))``, together ``len(obs)`` rows.
    obs, var
        Row and column tables.
    uns
        Texts that describe the whole.
    """
    anndata.AnnData(obs=obs, var=var, uns=uns).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        if "X" in file:
            del file["X"]
        data = file.create_dataset("X", shape=(len(obs), len(var)), dtype=np.float32)
        data.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        done = 0
        for rows in blocks:
            if done + len(rows) > len(obs):
                raise ValueError(f"more than the {len(obs)} announced rows")
            data[done : done + len(rows)] = rows
            done += len(rows)
    if done != len(obs):
        raise ValueError(f"{done} rows where {len(obs)} were announced")


def read_predictions(path: str | Path) -> anndata.AnnData:
    """Read what `write_predictions` wrote.

    Raises
    ------
    InputError
        The file is missing or no prediction file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file", "a prediction file (.h5ad)")
    try:
        data = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(path, f"an unreadable file ({error})", "an AnnData .h5ad") from error
    missing = {"donor", "sources", "target", "fold"} - set(data.obs)
    if missing or data.uns.get("scale") not in UNITS:
        raise InputError(
            path,
            f"obs {sorted(data.obs)} and scale {data.uns.get('scale')!r}",
            f"obs columns donor, sources, target, fold and a scale of {', '.join(UNITS)}",
        )
    return data
