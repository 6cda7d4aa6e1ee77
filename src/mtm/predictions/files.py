"""Files of predictions: those of held-out donors for the analyses."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from anndata.io import write_elem

from mtm.cohort.cohort import Cohort
from mtm.cohort.h5_files import new_h5_file
from mtm.cohort.scaling import OWN_UNITS_TEXT, UNITS
from mtm.io import atomic_path
from mtm.models.base import Requests
from mtm.settings.storage import NumberType


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
    own_sd: bool = False,
    kind: NumberType = "float32",
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
    model, scale, fold
        Name of the model, the scale of `expr_z`, the fold in which the donors were held out.
    own_sd
        Whether `expr_z` are pairs, as `predict_with_sd_in_blocks` yields them; the second are the
        layer ``sd``.
    kind
        Type of the numbers that are written.

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
    units = UNITS[scale] if cohort.measure == "tpm" else OWN_UNITS_TEXT
    uns = {"scale": scale, "units": units, "model": model}
    blocks = [expr_z] if isinstance(expr_z, np.ndarray) else expr_z
    layers = ("sd",) if own_sd else ()
    with atomic_path(path) as file:
        write_matrix(file, blocks, obs, cohort.genes[["symbol"]], uns, layers, kind=kind)


def write_matrix(
    path: str | Path,
    blocks: Iterable[np.ndarray] | Iterable[tuple[np.ndarray, ...]],
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: Mapping,
    layers: Sequence[str] = (),
    *,
    varm: Mapping[str, np.ndarray] | None = None,
    x_layer: str | None = None,
    kind: NumberType = "float32",
) -> None:
    """Write an AnnData file whose X arrives in blocks of rows; only one block is in memory.

    Parameters
    ----------
    path
        The file; not atomic, give it the path of `mtm.io.atomic_path`.
    blocks
        Arrays of shape ``(any, len(var))``, together ``len(obs)`` rows; with `layers`, tuples of
        as many, X first.
    obs, var
        Row and column tables.
    uns
        What describes the whole.
    layers
        Names of matrices beside X.
    varm
        Arrays of one row a column of X.
    x_layer
        Layer that X is under a second name; None for none.
    kind
        Type of the numbers that are written; what it has no room for becomes its largest.
    """
    with new_h5_file(path) as file:
        write_elem(file, "/", anndata.AnnData(obs=obs, var=var, uns=uns, varm=varm))
        if "X" in file:
            del file["X"]
        places = ["X", *(f"layers/{name}" for name in layers)]
        shape = len(obs), len(var)
        matrices = [file.create_dataset(name, shape=shape, dtype=kind) for name in places]
        for matrix in matrices:
            matrix.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        done, largest = 0, np.finfo(kind).max
        for block in blocks:
            parts = block if layers else (block,)
            stop = done + len(parts[0])
            if stop > len(obs):
                raise ValueError(f"more than the {len(obs)} announced rows")
            for matrix, rows in zip(matrices, parts, strict=True):
                matrix[done:stop] = rows if kind == "float32" else np.clip(rows, -largest, largest)
            done = stop
        if x_layer is not None:
            file[f"layers/{x_layer}"] = matrices[0]
    if done != len(obs):
        raise ValueError(f"{done} rows where {len(obs)} were announced")
