"""Answers about new people as files: a long table, genes as rows, or AnnData."""

import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mtm import __version__
from mtm.cohort.scaling import OWN_VALUES_TEXT
from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.models.base import Predictor
from mtm.predictions.alignment import Moved
from mtm.predictions.answers import PERSON, Answers, Block, of_class
from mtm.predictions.files import write_matrix
from mtm.vocabulary import OUTPUT_SUFFIXES, RELIABILITY, OutputScale

# Of a long table, after `PERSON` and the gene: value and ends of its interval on both scales.
VALUES = {"tpm": "tpm", "tpm_low": "low_tpm", "tpm_high": "high_tpm",
          "z": "z", "z_low": "low_z", "z_high": "high_z"}  # fmt: skip
LONG = (*PERSON, "gene_id", "symbol", *VALUES, "reliability", "reliability_class")
# The same of a model trained on values on a scale of their own.
OWN_VALUES = {name.replace("tpm", "value"): kind for name, kind in VALUES.items()}
# Layers of an AnnData file beside X, which is TPM, as is `tpm`; the last two where certified.
LAYERS = {"z": "z", "log2": "log2", "low": "low_tpm", "high": "high_tpm"}
DIGITS = 6
# Values of a wide table that are turned at a time, and rows of a long one.
TURNED, TOLD = 1 << 22, 1 << 19
Progress = Callable[[int], None]


def output_suffix(path: Path) -> str:
    """Return the one of `OUTPUT_SUFFIXES` that `path` ends with."""
    for suffix in OUTPUT_SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise InputError(path, f"the ending {path.suffix!r}", f"one of {', '.join(OUTPUT_SUFFIXES)}")


def provenance(
    model: Predictor, bundle: Path | None, moved: tuple[Moved, ...], **more: object
) -> dict:
    """Say where answers come from, in plain values.

    Parameters
    ----------
    bundle
        Its file, whose SHA-256 is named; None where there is none.
    moved
        What aligning did.
    more
        Further entries.
    """
    digest = "" if bundle is None else _digest(bundle)
    more = {"cut": model.cut} | more if model.cut else more
    names = ("numpy", "anndata")
    return {
        "bundle": "" if bundle is None else bundle.name,
        "bundle_sha256": digest,
        "model": model.provenance.name or model.name,
        "class": model.name,
        "training_cohort": model.provenance.cohort,
        "training_donors": len(model.provenance.training_donors),
        "training_fold": model.provenance.fold,
        "versions": {"mtm": __version__, "python": platform.python_version()}
        | {name: version(name) for name in names},
        "units": _units(model),
        "alignment": {
            "where": [Path(m.where).name for m in moved],
            "tissue": [m.tissue for m in moved],
            "n_samples": [m.n_samples for m in moved],
            "method": [m.method for m in moved],
            "weight": [m.weight for m in moved],
            "sd_before": [m.distance[0] for m in moved],
            "sd_after": [m.distance[1] for m in moved],
            "reason": [m.reason for m in moved],
        },
    } | more  # fmt: skip


def _units(model: Predictor) -> dict[str, str]:
    """Units of each matrix."""
    if model.measure == "own":
        return {**dict.fromkeys(("X", "low", "high"), OWN_VALUES_TEXT), "z": model.scaler.units}
    tpm = dict.fromkeys(("tpm", "low", "high"), "TPM")
    return tpm | {"log2": "log2(1+TPM)", "z": model.scaler.units}


def _digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_answers(
    path: Path,
    answers: Answers,
    said: Mapping,
    *,
    wide: OutputScale | None = None,
    progress: Progress = lambda done: None,
) -> None:
    """Compute and write answers, one block in memory at a time.

    Parameters
    ----------
    path
        The file; its name ends in one of `OUTPUT_SUFFIXES`.
    answers
        What is asked.
    said
        From `provenance`; a parquet file has it in its schema, a text file nowhere.
    wide
        Write genes as rows and a column a person and tissue, on this scale; None for a long
        table, `LONG`.
    progress
        Told how many rows of `Answers.rows` are done.
    """
    suffix = output_suffix(path)
    if suffix == ".h5ad" and wide is not None:
        raise InputError("--wide", f"{path}, AnnData", "a table, .tsv or .parquet")
    with atomic_path(path) as temporary:
        if suffix == ".h5ad":
            _write_anndata(temporary, answers, said, progress)
        else:
            tables = (
                _turned(answers, wide, path.parent, progress) if wide else _told(answers, progress)
            )
            with _writer(temporary, said, _needs_quotes(answers)) as write:
                for table in tables:
                    write(table)


def row_names(answers: Answers) -> pd.Index:
    """Name of each person and tissue."""
    return pd.Index(answers.rows["donor"] + "|" + answers.rows["target"], name="row")


@contextmanager
def _writer(path: Path, said: Mapping, quotes: bool) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what writes one table after another, as parquet or tab-separated text."""
    if path.name.endswith(".parquet"):
        with _Parquet(path, {"mtm": json.dumps(said)}) as writer:
            yield writer.write
        return
    compression = "gzip" if path.name.endswith(".gz") else None
    style = "needed" if quotes else "none"
    options = pa.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style=style)
    with pa.output_stream(str(path), compression=compression) as file:
        begun = False

        def write(table: pa.Table) -> None:
            nonlocal begun
            if not begun:
                file.write(("\t".join(table.column_names) + "\n").encode())
                begun = True
            columns = [_rounded(c) if pa.types.is_floating(c.type) else c for c in table.columns]
            pa.csv.write_csv(pa.table(columns, table.column_names), file, options)

        yield write


def _needs_quotes(answers: Answers) -> bool:
    """Whether a name holds what would end a field."""
    texts = (answers.rows[name].unique() for name in PERSON)
    names = (*texts, answers.genes.index, answers.genes["symbol"])
    return any(set(str(name)) & set('\t\r\n"') for part in names for name in part)


class _Parquet:
    """A parquet file whose schema is that of the first table."""

    def __init__(self, path: Path, metadata: dict[str, str]):
        self.path, self.metadata, self.file = path, metadata, None

    def __enter__(self) -> "_Parquet":
        return self

    def write(self, table: pa.Table) -> None:
        table = table.replace_schema_metadata(self.metadata)
        if self.file is None:
            # Numbers hardly repeat.
            texts = [field.name for field in table.schema if field.type == pa.string()]
            self.file = pa.parquet.ParquetWriter(self.path, table.schema, use_dictionary=texts)
        self.file.write_table(table)

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()


def rounded(values: np.ndarray) -> np.ndarray:
    """Round to `DIGITS` significant digits, so that the shortest text of a value has no more."""
    values = np.asarray(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = DIGITS - 1 - np.floor(np.log10(np.abs(values)))
    places = np.clip(np.nan_to_num(places, nan=0.0, posinf=0.0), -22, 22)
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    return np.round(values * up / down) / up * down


def _rounded(column: pa.ChunkedArray) -> pa.Array:
    """Round floats for text; NaN becomes an empty field."""
    return pa.array(rounded(column.to_numpy()), from_pandas=True)


def _texts(values: np.ndarray, index: np.ndarray) -> pa.Array:
    """Return texts repeated as `index` says."""
    index = pa.array(index.astype(np.int32))
    return pa.DictionaryArray.from_arrays(index, pa.array(values, pa.string())).cast(pa.string())


def _told(answers: Answers, progress: Progress) -> Iterator[pa.Table]:
    """Yield the long table, some rows at a time."""
    genes = {"gene_id": answers.genes.index.to_numpy().astype(str),
             "symbol": answers.genes["symbol"].to_numpy().astype(str)}  # fmt: skip
    reliability = answers.reliability(answers.targets)
    of_target = pd.Index(answers.targets).get_indexer(answers.rows["target"])
    step = max(1, TOLD // max(len(answers.genes), 1))
    for block in answers.blocks():
        for start in range(0, len(block.z), step):
            part = slice(start, min(start + step, len(block.z)))
            rows = np.arange(block.part.start + part.start, block.part.start + part.stop)
            known = [values[of_target[rows]] for values in reliability]
            yield _long(answers, block, part, rows, genes, known)
        progress(block.part.stop)


def _long(
    answers: Answers,
    block: Block,
    part: slice,
    rows: np.ndarray,
    genes: Mapping[str, np.ndarray],
    known: list[np.ndarray],
) -> pa.Table:
    """Make the long table of some rows of a block.

    Parameters
    ----------
    part, rows
        Of the block, and the same among all.
    genes
        Ids and symbols.
    known
        Correlation to expect, and class, each ``(n_rows, n_genes)``.
    """
    n_genes = len(answers.genes)
    row, gene = np.repeat(np.arange(len(rows)), n_genes), np.tile(np.arange(n_genes), len(rows))
    columns = {name: _texts(answers.rows[name].to_numpy()[rows], row) for name in PERSON}
    columns |= {name: _texts(texts, gene) for name, texts in genes.items()}
    for name, kind in (VALUES if answers.in_tpm else OWN_VALUES).items():
        columns[name] = pa.array(getattr(block, kind)[part].ravel(), pa.float32())
    certified = answers.certified[rows][:, None]
    rho, classes = (np.where(certified, k, e) for k, e in zip(known, (np.nan, -1), strict=True))
    columns["reliability"] = pa.array(rho.ravel().astype(np.float32))
    columns["reliability_class"] = _texts(
        of_class(np.arange(-1, len(RELIABILITY))), classes.ravel() + 1
    )
    told = pa.table(columns)
    if answers.choice.shown is not None:
        told = told.filter(pa.array(~np.isnan(block.z[part].ravel())))
    return told


def _turned(
    answers: Answers, scale: OutputScale, folder: Path, progress: Progress
) -> Iterator[pa.Table]:
    """Yield genes as rows, some at a time; what is predicted waits in a file without a name."""
    genes, names = answers.genes, row_names(answers)
    with tempfile.TemporaryFile(dir=folder) as file:
        shape = len(names), len(genes)
        waiting = np.memmap(file, np.float32, "w+", shape=shape)
        for block in answers.blocks():
            waiting[block.part] = getattr(block, "tpm" if scale == "own" else scale)
            progress(block.part.stop)
        step = max(1, TURNED // len(names))
        for start in range(0, len(genes), step):
            part = slice(start, start + step)
            columns = {"gene_id": genes.index[part].to_numpy().astype(str),
                       "symbol": genes["symbol"].iloc[part].to_numpy().astype(str)}  # fmt: skip
            values = np.ascontiguousarray(waiting[:, part].T)
            columns |= {name: values[:, place] for place, name in enumerate(names)}
            yield pa.table(columns)


def _tables(answers: Answers, said: Mapping) -> dict:
    """Return everything of an AnnData object but its matrices."""
    rho, classes = answers.reliability(answers.targets)
    said = dict(said) | {"targets": answers.targets}
    varm = {}
    if answers.certified.any():
        varm = {"reliability": rho.T.copy(), "reliability_class": classes.T.copy()}
        said |= {"reliability_classes": list(RELIABILITY)}
    return {
        "obs": answers.rows.set_index(row_names(answers)).assign(certified=answers.certified),
        "var": answers.genes[["symbol"]].rename_axis("gene_id"),
        "uns": (
            {"scale": "tpm", "units": "TPM"}
            if answers.in_tpm
            else {"scale": "own", "units": OWN_VALUES_TEXT}
        )
        | {"mtm": said},
        "varm": varm,
    }


def _layers(answers: Answers) -> dict[str, str]:
    """Return the layers that there are, and what of a block is in them."""
    names = ["z", *["log2"] * answers.in_tpm, *["low", "high"] * bool(answers.certified.any())]
    return {name: LAYERS[name] for name in names}


def _write_anndata(path: Path, answers: Answers, said: Mapping, progress: Progress) -> None:
    """Write AnnData: X in TPM, so that it can be read as expression, and the layers."""
    layers = _layers(answers)

    def matrices() -> Iterator[tuple[np.ndarray, ...]]:
        for block in answers.blocks():
            yield block.tpm, *(getattr(block, kind) for kind in layers.values())
            progress(block.part.stop)

    tables = _tables(answers, said)
    write_matrix(
        path,
        matrices(),
        tables["obs"],
        tables["var"],
        tables["uns"],
        list(layers),
        varm=tables["varm"],
        x_layer="tpm" if answers.in_tpm else None,
    )


def to_anndata(answers: Answers, said: Mapping) -> anndata.AnnData:
    """Compute answers as an AnnData object with what `write_answers` writes."""
    layers = {name: [] for name in _layers(answers)}
    tpm = []
    for block in answers.blocks():
        tpm.append(block.tpm)
        for name, parts in layers.items():
            parts.append(getattr(block, LAYERS[name]))
    expr_tpm = np.concatenate(tpm)
    whole = {name: np.concatenate(parts) for name, parts in layers.items()}
    if answers.in_tpm:
        whole |= {"tpm": expr_tpm}
    return anndata.AnnData(expr_tpm, layers=whole, **_tables(answers, said))


def from_anndata(told: anndata.AnnData) -> pd.DataFrame:
    """Return what `to_anndata` or a file of ``mtm predict`` holds as a long table.

    Parameters
    ----------
    told
        One observation a person and target, from h5ad or zarr alike.

    Returns
    -------
    pd.DataFrame
        One row a person, target and gene that was told: as the long table of ``mtm predict``,
        without the ends of intervals as z.
    """
    n_genes = told.n_vars
    row, gene = np.repeat(np.arange(told.n_obs), n_genes), np.tile(np.arange(n_genes), told.n_obs)
    table = {name: told.obs[name].astype(str).to_numpy()[row] for name in PERSON}
    table |= {"gene_id": told.var_names.to_numpy()[gene],
              "symbol": told.var["symbol"].astype(str).to_numpy()[gene]}  # fmt: skip
    value = "tpm" if "tpm" in told.layers else "value"
    table[value] = np.asarray(told.X).ravel()
    known = {"low": f"{value}_low", "high": f"{value}_high", "z": "z"}
    table |= {name: np.asarray(told.layers[layer]).ravel()
              for layer, name in known.items() if layer in told.layers}  # fmt: skip
    if "reliability" in told.varm:
        place = pd.Index(told.uns["mtm"]["targets"]).get_indexer(told.obs["target"])
        certified = told.obs["certified"].to_numpy(bool)[:, None]
        rho = np.where(certified, np.asarray(told.varm["reliability"]).T[place], np.nan)
        classes = np.where(certified, np.asarray(told.varm["reliability_class"]).T[place], -1)
        table["reliability"] = rho.ravel()
        table["reliability_class"] = of_class(np.arange(-1, len(RELIABILITY)))[classes.ravel() + 1]
    return pd.DataFrame(table)[~np.isnan(table["z"])].reset_index(drop=True)
