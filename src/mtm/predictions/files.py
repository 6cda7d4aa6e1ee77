"""Files of predictions: those of held-out donors for the analyses, and those of new people."""

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from anndata.io import write_elem

from mtm.cohort.cohort import Cohort
from mtm.cohort.h5_files import new_h5_file
from mtm.cohort.scaling import OWN_UNITS_TEXT, UNITS
from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.models.base import Requests
from mtm.vocabulary import OUTPUT_SUFFIXES

# Columns of a table of new people before those of the genes.
NEW_ROW = ("sample_id", "source", "target", "scale", "quantity")


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
    own_sd: Iterable[np.ndarray] | None = None,
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
    own_sd
        Standard deviations that the model gives its predictions, in blocks as they are; the
        layer ``sd``. None where it gives none.

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
    layers = () if own_sd is None else ("sd",)
    if own_sd is not None:
        blocks = zip(blocks, own_sd, strict=True)
    with atomic_path(path) as temporary:
        write_matrix(temporary, blocks, obs, cohort.genes[["symbol"]], uns, layers)


def write_matrix(
    path: str | Path,
    blocks: Iterable[np.ndarray] | Iterable[tuple[np.ndarray, ...]],
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: dict[str, str],
    layers: Sequence[str] = (),
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
        Texts that describe the whole.
    layers
        Names of matrices beside X.
    """
    with new_h5_file(path) as file:
        write_elem(file, "/", anndata.AnnData(obs=obs, var=var, uns=uns))
        if "X" in file:
            del file["X"]
        places = ["X", *(f"layers/{name}" for name in layers)]
        shape = len(obs), len(var)
        matrices = [file.create_dataset(name, shape=shape, dtype=np.float32) for name in places]
        for matrix in matrices:
            matrix.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        done = 0
        for block in blocks:
            parts = block if layers else (block,)
            stop = done + len(parts[0])
            if stop > len(obs):
                raise ValueError(f"more than the {len(obs)} announced rows")
            for matrix, rows in zip(matrices, parts, strict=True):
                matrix[done:stop] = rows
            done = stop
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
    blocks: Iterable[Mapping[str, np.ndarray]],
    rows: pd.DataFrame,
    genes: pd.DataFrame,
    uns: dict[str, str],
    quantities: Sequence[str],
) -> None:
    """Write predictions of new people block by block, in the format that `path` asks for.

    Parameters
    ----------
    path
        The file; its name ends in one of `OUTPUT_SUFFIXES`.
    blocks
        What is said of some rows: every one of `quantities`, arrays of shape
        ``(any, n_genes)``, together ``len(rows)`` rows.
    rows
        From `mtm.predictions.new_people.new_rows`.
    genes
        `Predictor.genes`.
    uns
        Texts that describe the whole.
    quantities
        The prediction first. In a table each has a row of its own, named in the column
        ``quantity``; in an AnnData file all but the first are layers.

    Raises
    ------
    InputError
        No format has that name.
    """
    suffix, gene_ids = output_suffix(path), list(genes.index)
    with atomic_path(path) as temporary:
        if suffix == ".h5ad":
            named = rows.set_index(rows["sample_id"] + "|" + rows["target"]).rename_axis("row")
            layers = quantities[1:]
            parts = (tuple(block[name] for name in quantities) for block in blocks)
            matrices = parts if layers else (x for (x,) in parts)
            write_matrix(temporary, matrices, named, genes[["symbol"]], uns, layers)
        elif suffix == ".parquet":
            _write_parquet(temporary, _named(blocks, rows, quantities), gene_ids, uns)
        else:
            _write_tsv(temporary, _named(blocks, rows, quantities), gene_ids)


def _named(
    blocks: Iterable[Mapping[str, np.ndarray]], rows: pd.DataFrame, quantities: Sequence[str]
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Yield rows, each block's once a quantity, with their values."""
    done = 0
    for block in blocks:
        size = len(block[quantities[0]])
        part = rows.iloc[done : done + size].reset_index(drop=True)
        for name in quantities:
            yield part.assign(quantity=name), block[name]
        done += size


def _write_tsv(
    path: Path, named: Iterable[tuple[pd.DataFrame, np.ndarray]], genes: list[str]
) -> None:
    """Write rows and one column a gene as text, gzipped where the name of `path` says so."""
    header = True
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as text:
        for part, values in named:
            pd.concat([part, pd.DataFrame(values, columns=genes)], axis=1).to_csv(
                text, sep="\t", index=False, header=header, float_format="%.6g"
            )
            header = False


def _write_parquet(
    path: Path,
    named: Iterable[tuple[pd.DataFrame, np.ndarray]],
    genes: list[str],
    metadata: dict[str, str],
) -> None:
    """Write rows and one float32 column a gene; `metadata` goes into the schema."""
    fields = [(name, pa.string()) for name in NEW_ROW]
    fields += [(gene, pa.float32()) for gene in genes]
    schema = pa.schema(fields, metadata=metadata)
    with pq.ParquetWriter(path, schema) as writer:
        for part, values in named:
            columns = [pa.array(part[name], pa.string()) for name in NEW_ROW]
            columns += [pa.array(column) for column in np.ascontiguousarray(values.T, np.float32)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
