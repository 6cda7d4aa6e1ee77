"""Files of predictions: those of held-out donors for the analyses, and those of new people."""

import gzip
from collections.abc import Iterable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import UNITS
from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.models.base import Requests
from mtm.vocabulary import OUTPUT_SUFFIXES


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


def output_suffix(path: Path) -> str:
    """Return the one of `OUTPUT_SUFFIXES` that `path` ends with."""
    for suffix in OUTPUT_SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise InputError(path, f"the ending {path.suffix!r}", f"one of {', '.join(OUTPUT_SUFFIXES)}")


def write_new_predictions(
    path: Path,
    blocks: Iterable[np.ndarray],
    rows: pd.DataFrame,
    genes: pd.DataFrame,
    uns: dict[str, str],
) -> None:
    """Write predictions of new people block by block, in the format that `path` asks for.

    Parameters
    ----------
    path
        The file; its name ends in one of `OUTPUT_SUFFIXES`.
    blocks
        Arrays of shape ``(any, n_genes)``, together ``len(rows)`` rows.
    rows
        From `mtm.predictions.new_people.new_rows`.
    genes
        `Predictor.genes`.
    uns
        Texts that describe the whole.

    Raises
    ------
    InputError
        No format has that name.
    """
    suffix, gene_ids = output_suffix(path), list(genes.index)
    with atomic_path(path) as temporary:
        if suffix == ".h5ad":
            named = rows.set_index(rows["sample_id"] + "|" + rows["target"]).rename_axis("row")
            write_matrix(temporary, blocks, named, genes[["symbol"]], uns)
        elif suffix == ".parquet":
            _write_parquet(temporary, blocks, rows, gene_ids, uns)
        else:
            _write_tsv(temporary, blocks, rows, gene_ids)


def _write_tsv(
    path: Path, blocks: Iterable[np.ndarray], rows: pd.DataFrame, genes: list[str]
) -> None:
    """Write `rows` and one column a gene as text, gzipped where the name of `path` says so."""
    done = 0
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as text:
        for values in blocks:
            part = rows.iloc[done : done + len(values)].reset_index(drop=True)
            pd.concat([part, pd.DataFrame(values, columns=genes)], axis=1).to_csv(
                text, sep="\t", index=False, header=done == 0, float_format="%.6g"
            )
            done += len(values)


def _write_parquet(
    path: Path,
    blocks: Iterable[np.ndarray],
    rows: pd.DataFrame,
    genes: list[str],
    metadata: dict[str, str],
) -> None:
    """Write `rows` and one float32 column a gene; `metadata` goes into the schema."""
    done = 0
    fields = [(name, pa.string()) for name in rows] + [(gene, pa.float32()) for gene in genes]
    schema = pa.schema(fields, metadata=metadata)
    with pq.ParquetWriter(path, schema) as writer:
        for values in blocks:
            part = rows.iloc[done : done + len(values)]
            columns = [pa.array(part[name], pa.string()) for name in rows]
            columns += [pa.array(column) for column in np.ascontiguousarray(values.T)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            done += len(values)
