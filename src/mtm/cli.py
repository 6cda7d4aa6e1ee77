"""Command line: ``mtm predict`` for new people's samples, ``mtm info`` about a bundle."""

import argparse
import gzip
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mtm import __version__
from mtm.cohort.scaling import UNITS
from mtm.cohort.units import to_tpm
from mtm.errors import InputError
from mtm.io import atomic_path, read_tsv
from mtm.models.base import Predictor
from mtm.models.bundle import read_header
from mtm.models.registry import load
from mtm.predictions.files import write_matrix
from mtm.predictions.new_people import (
    OUTPUT_SCALES,
    align_expression,
    check_source,
    new_inputs,
    new_rows,
    predict_new,
    read_new_expression,
    targets_of,
    tissue_of,
)
from mtm.settings.transfer import MIN_OVERLAP
from mtm.vocabulary import Units

OUTPUT_SUFFIXES = (".tsv", ".tsv.gz", ".parquet", ".h5ad")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the ``mtm`` command."""
    top = argparse.ArgumentParser(
        prog="mtm",
        description="Predict a person's gene expression in a tissue from another tissue.",
    )
    top.add_argument("--version", action="version", version=f"mtm {__version__}")
    commands = top.add_subparsers(dest="command", required=True)

    predict_ = commands.add_parser(
        "predict",
        help="predict tissues of new people",
        description="Predict tissues from one sample a person of the source tissue.",
    )
    predict_.add_argument("--bundle", required=True, type=Path, help="model (.safetensors)")
    predict_.add_argument(
        "--expression",
        required=True,
        type=Path,
        help="TPM of all genes: .tsv, .gct (genes as rows, samples as columns; .gz too) or .h5ad "
        "(samples as rows); Ensembl gene ids, versions may differ",
    )
    predict_.add_argument(
        "--source", required=True, metavar="TISSUE", help='tissue of the samples, "Whole Blood"'
    )
    predict_.add_argument(
        "--target",
        action="append",
        metavar="TISSUE",
        help="tissue to predict; repeat for several (default: all others of the model)",
    )
    predict_.add_argument(
        "--out",
        required=True,
        type=Path,
        help=f"file to write, by its name {', '.join(OUTPUT_SUFFIXES)}: a row a sample and target",
    )
    predict_.add_argument(
        "--scale",
        choices=OUTPUT_SCALES,
        default="z",
        help="z-scores within the target tissue on the model's own scale, log2(1+TPM) or TPM "
        "(default: %(default)s)",
    )
    predict_.add_argument(
        "--units",
        choices=get_args(Units),
        help="units of the expression: TPM or log2(1+TPM) (default: TPM, refused where the "
        "values cannot be TPM)",
    )
    predict_.add_argument(
        "--min-overlap",
        type=_fraction,
        default=MIN_OVERLAP,
        metavar="FRACTION",
        help="smallest share of the model's genes that the expression must have "
        "(default: %(default)s)",
    )
    predict_.add_argument(
        "--traits",
        type=Path,
        help="covariates for models that use them: .tsv with columns sample_id, sex, age, ...",
    )
    predict_.set_defaults(run=predict)

    info_ = commands.add_parser("info", help="say what a bundle holds and check it")
    info_.add_argument("bundle", type=Path, help="model (.safetensors)")
    info_.set_defaults(run=info)
    return top


def _fraction(text: str) -> float:
    """Argument in [0, 1]."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ``mtm`` command; return its exit code, 1 after one line on stderr if it failed."""
    options = parser().parse_args(arguments)
    logging.basicConfig(format="mtm: %(message)s", level=logging.WARNING)
    try:
        options.run(options)
    except (InputError, OSError) as error:
        _say(f"error: {' '.join(str(error).split())}")
        return 1
    return 0


def _say(text: str) -> None:
    """Write one line to stderr."""
    print(f"mtm: {text}", file=sys.stderr)


def _suffix(path: Path) -> str:
    """Return the one of `OUTPUT_SUFFIXES` that `path` ends with."""
    for suffix in OUTPUT_SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise InputError(path, f"the ending {path.suffix!r}", f"one of {', '.join(OUTPUT_SUFFIXES)}")


def predict(options: argparse.Namespace) -> None:
    """Run ``mtm predict``."""
    _suffix(options.out)
    model = load(options.bundle)
    check_source(model, options.source)
    targets = list(dict.fromkeys(options.target or targets_of(model, options.source)))
    for name in targets:
        tissue_of(model, name)
    traits = None
    if options.traits is not None:
        traits = read_tsv(options.traits, ["sample_id"], dtype={"sample_id": str})
        traits = traits.set_index("sample_id")

    sample_ids, gene_ids, values = read_new_expression(options.expression)
    expr_tpm = to_tpm(values, options.units, options.expression)
    _say(
        f"{options.expression}: {len(sample_ids)} samples of {options.source}, read as "
        f"{'log2(1+TPM)' if options.units == 'log2' else 'TPM'}"
    )
    aligned, overlap = align_expression(
        model, expr_tpm, gene_ids, options.source, options.min_overlap, options.expression
    )
    _say(str(overlap))
    if overlap.n_found < overlap.n_model:
        _say(
            f"{overlap.n_model - overlap.n_found} genes that the data lack are set to the "
            f"training mean of {options.source}"
        )
    inputs = new_inputs(model, aligned, sample_ids, options.source, traits)
    scale, units = {
        "z": (model.scale, UNITS[model.scale]),
        "log2": ("log2", "log2(1+TPM)"),
        "tpm": ("tpm", "TPM"),
    }[options.scale]
    _write(
        options.out,
        (values for _, _, values in predict_new(model, inputs, targets, options.scale)),
        new_rows(sample_ids, options.source, targets, scale),
        model,
        {"scale": scale, "units": units, "model": model.name},
    )
    _say(f"{options.out}: {len(sample_ids)} samples x {len(targets)} tissues, {units}")


def _write(
    path: Path,
    blocks: Iterable[np.ndarray],
    rows: pd.DataFrame,
    model: Predictor,
    uns: dict[str, str],
) -> None:
    """Write predictions block by block, in the format that the name of `path` asks for."""
    suffix, genes = _suffix(path), list(model.genes.index)
    with atomic_path(path) as temporary:
        if suffix == ".h5ad":
            named = rows.set_index(rows["sample_id"] + "|" + rows["target"]).rename_axis("row")
            write_matrix(temporary, blocks, named, model.genes[["symbol"]], uns)
        elif suffix == ".parquet":
            _write_parquet(temporary, blocks, rows, genes, uns)
        else:
            _write_tsv(temporary, blocks, rows, genes)


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


def info(options: argparse.Namespace) -> None:
    """Run ``mtm info``."""
    header = read_header(options.bundle)
    load(options.bundle)
    provenance = header["provenance"]
    lines = {
        "bundle": f"version {header['bundle_version']}, checksum ok",
        "model": header["model"],
        "scale": header["scale"],
        "genes": f"{len(header['gene_ids'])} ({', '.join(header['gene_ids'][:3])}, ...)",
        "tissues": f"{len(header['tissues'])}: {'; '.join(header['tissues'])}",
        "cohort": provenance["cohort"] or "not recorded",
        "source": provenance["source"],
        "training donors": len(provenance["training_donors"]),
        "fold": provenance["fold"] or "not recorded",
        "seed": provenance["seed"],
        "versions": ", ".join(f"{name} {text}" for name, text in header["versions"].items()),
        "parameters": json.dumps(header["parameters"], sort_keys=True),
        "notes": json.dumps(provenance["notes"], sort_keys=True),
    }
    width = max(map(len, lines)) + 2
    for name, text in lines.items():
        print(f"{name + ':':<{width}}{text}")


if __name__ == "__main__":
    sys.exit(main())
