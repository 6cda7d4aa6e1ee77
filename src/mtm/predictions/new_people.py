"""New people's samples, brought to a fitted model and predicted."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.scaling import log2_tpm
from mtm.cohort.tissue_names import named_tissue
from mtm.errors import InputError, shown
from mtm.io import read_apart
from mtm.models.base import Predictor, Requests
from mtm.models.requests import BLOCK, predict_in_blocks
from mtm.predictions.gene_overlap import GeneOverlap, match_genes
from mtm.vocabulary import MIN_OVERLAP, OUTPUT_SCALES, OutputScale


def align_expression(
    model: Predictor,
    expr_tpm: np.ndarray,
    gene_ids: Sequence[str],
    source: str,
    min_overlap: float = MIN_OVERLAP,
    where: object = "expression",
) -> tuple[np.ndarray, GeneOverlap]:
    """Bring new samples of one tissue to a model's genes.

    Parameters
    ----------
    model
        A fitted model.
    expr_tpm
        Shape ``(n_samples, n_data_genes)``, TPM.
    gene_ids
        Ensembl ids of the columns, versioned or not.
    source
        Tissue of the samples; genes that the data lack get its training mean, z = 0.
    min_overlap, where
        See `match_genes`.

    Returns
    -------
    np.ndarray
        Shape ``(n_samples, n_model_genes)``, TPM, float32.
    GeneOverlap
        The counts.

    Raises
    ------
    InputError
        Genes do not match, or `source` is unknown to the model.
    """
    index = tissue_of(model, source)
    columns, overlap = match_genes(model.genes, gene_ids, min_overlap, where)
    mean_tpm = model.scaler.inverse(np.zeros((1, len(columns)), np.float32), np.array([index]))
    aligned = np.repeat(mean_tpm, len(expr_tpm), axis=0)
    found = columns >= 0
    aligned[:, found] = np.asarray(expr_tpm)[:, columns[found]]
    return aligned, overlap


def tissue_of(model: Predictor, name: str) -> int:
    """Index of tissue `name` in the model.

    Raises
    ------
    InputError
        The model does not know it, or had no training sample of it.
    """
    known = ", ".join(model.known_tissues)
    if name not in model.tissues:
        raise InputError(f"tissues of model {model.name}", repr(name), f"one of {known}")
    index = model.tissues.index(name)
    if not model.known[index]:
        why = "of which the training had no sample, or too few for this form of the model"
        raise InputError(
            f"tissues of model {model.name}", f"{name!r}, {why}", f"a tissue it knows: {known}"
        )
    return index


def tissue_called(model: Predictor, name: str) -> str:
    """Return the model's name of a tissue that may be called by another.

    Raises
    ------
    InputError
        As `tissue_of`.
    """
    known = named_tissue(str(name), model.tissues)
    return model.tissues[tissue_of(model, known)]


def check_source(model: Predictor, name: str) -> int:
    """Index of tissue `name` in the model.

    Raises
    ------
    InputError
        The model cannot predict from it.
    """
    if not model.several_sources and name != model.provenance.source:
        raise InputError(
            f"source of model {model.name}",
            repr(name),
            f"{model.provenance.source!r}, the tissue it was trained to predict from",
        )
    return tissue_of(model, name)


def targets_of(model: Predictor, source: str) -> list[str]:
    """Names of the tissues that the model can predict from `source`: all trained ones but it."""
    return [name for name in model.known_tissues if name != source]


def read_new_expression(
    path: str | Path, signed: bool = False
) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Read an expression file of new people.

    Formats, and what `signed` is, are those of `mtm.cohort.matrices.iter_expression_blocks`.

    Returns
    -------
    tuple of str, list of str, np.ndarray
        Sample ids, gene ids, and values of shape ``(n_samples, n_genes)``, float32, in the units
        of the file.
    """
    if Path(path).suffix.lower() == ".h5ad":
        return read_apart(partial(_read, signed=signed), path, "an AnnData h5ad file")
    return _read(path, signed)


def _read(path: str | Path, signed: bool) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Read an expression file in this process."""
    sample_ids = read_expression_header(path).sample_ids
    blocks = list(iter_expression_blocks(path, signed=signed))
    gene_ids = [gene_id for block in blocks for gene_id in block.gene_ids]
    if not gene_ids:
        raise InputError(path, "no gene", "one row a gene")
    return sample_ids, gene_ids, np.concatenate([block.expr_tpm for block in blocks]).T


def new_inputs(
    model: Predictor,
    aligned_tpm: np.ndarray,
    sample_ids: Sequence[str],
    source: str,
    traits: pd.DataFrame | None = None,
    where: object = "expression",
    where_traits: object = "traits",
) -> Cohort:
    """Wrap new people's samples of one tissue as input of a model, one donor a sample.

    Parameters
    ----------
    model
        A fitted model.
    aligned_tpm
        Shape ``(n_samples, n_model_genes)``, TPM, from `align_expression`.
    sample_ids
        Unique names of the samples; each is its own donor.
    source
        Tissue of the samples.
    traits
        Covariates of each sample and its donor, indexed by sample id; models that use none do
        not need it.
    where, where_traits
        Files named in errors.

    Raises
    ------
    InputError
        A sample stands twice or has no row in `traits`, or the model predicts from another
        tissue alone.
    """
    index_of_source = check_source(model, source)
    index = pd.Index(sample_ids, name="sample_id").astype(str)
    if index.has_duplicates:
        raise InputError(
            where, f"sample {index[index.duplicated()][0]} twice", "every sample once"
        )
    for sample in sample_ids:
        if not str(sample).strip() or not str(sample).isprintable():
            raise InputError(where, f"a sample named {shown(sample)}", "names that can be printed")
    traits = pd.DataFrame(index=index) if traits is None else traits
    for sample in index[~index.isin(traits.index)][:1]:
        raise InputError(where_traits, f"no row for sample {sample}", "a row for every sample")
    for sample in traits.index[traits.index.duplicated()][:1]:
        raise InputError(where_traits, f"several rows for sample {sample}", "one row a sample")
    donors = traits.loc[index.sort_values()].rename_axis("donor")
    return Cohort(
        expr_tpm=aligned_tpm,
        samples=traits.loc[index].rename_axis("sample_id"),
        donor=donors.index.get_indexer(index).astype(np.int64),
        tissue=np.full(len(index), index_of_source, np.int64),
        donors=donors,
        tissues=model.tissues,
        genes=model.genes,
        measure=model.measure,
    )


def check_scale(model: Predictor, scale: str) -> None:
    """Raise unless a model can give its predictions on a scale."""
    scales = [
        name
        for name in OUTPUT_SCALES
        if name == "z" or (name == "own") == (model.measure == "own")
    ]
    if scale not in scales:
        raise InputError("scale", repr(scale), f"one of {', '.join(scales)}")


def predict_new(
    model: Predictor,
    inputs: Cohort,
    targets: Sequence[str],
    scale: OutputScale = "z",
    block: int = BLOCK,
) -> Iterator[tuple[str, slice, np.ndarray]]:
    """Predict target tissues of new people from one sample each.

    Parameters
    ----------
    model
        A fitted model.
    inputs
        One sample a person, from `new_inputs`.
    targets
        Names of the tissues to predict.
    scale
        - ``"z"``: z-score in the target tissue, on the model's own scale
        - ``"log2"``: log2(1+TPM)
        - ``"tpm"``: TPM
        - ``"own"``: values as those that the model was trained on, where these were no TPM
    block
        People predicted at a time.

    Yields
    ------
    tuple of str, slice, np.ndarray
        Target tissue, rows of `inputs`, and their predictions of shape
        ``(at most block, n_genes)``, float32.

    Raises
    ------
    InputError
        A target or the scale is unknown, or a target is the source.
    """
    check_scale(model, scale)
    indices = [tissue_of(model, name) for name in targets]
    for name, index in zip(targets, indices, strict=True):
        if (inputs.tissue == index).any():
            raise InputError("target", repr(name), "a tissue other than the source")
    for name, index in zip(targets, indices, strict=True):
        requests = Requests(
            np.arange(inputs.n_samples)[:, None], np.full(inputs.n_samples, index, np.int64)
        )
        start = 0
        for values in predict_in_blocks(model, inputs, requests, block):
            part = slice(start, start + len(values))
            if not np.isfinite(values).all():
                raise InputError(
                    f"predictions of {name} by model {model.name}",
                    "values that are not finite",
                    "numbers",
                    "The samples, or the model, are beyond what can be computed with.",
                )
            yield name, part, _to_scale(model, values, index, scale)
            start = part.stop


def _to_scale(model: Predictor, expr_z: np.ndarray, target: int, scale: OutputScale) -> np.ndarray:
    """Bring z-scores of a tissue to an output scale; larger stays larger."""
    if scale == "z":
        return expr_z
    if scale == "own":
        return model.scaler.inverse(expr_z, np.array([target]))
    expr_tpm = model.scaler.inverse(expr_z, np.array([target]))
    return log2_tpm(expr_tpm) if scale == "log2" else expr_tpm
