"""What is predicted of held-out donors, and how a model is asked: block by block."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests
from mtm.vocabulary import SourceChoice

log = logging.getLogger(__name__)

BLOCK = 256


def held_out_requests(
    cohort: Cohort,
    donors: Collection[str],
    source: str,
    sources: SourceChoice | Sequence[str] = "source",
) -> tuple[Requests, np.ndarray]:
    """Request every observed target tissue of held-out donors (methods 1.3).

    The predictions are the same samples whatever `sources` is, so that models are compared on
    equal terms: every tissue other than `source` of every donor in `donors` who has `source`.

    Parameters
    ----------
    cohort
        The whole cohort; requests point into its rows.
    donors
        Ids of the held-out donors.
    source
        Name of the tissue that single-source models predict from.
    sources
        - ``"source"``: `source` alone
        - ``"others"``: every tissue the donor has, except the target
        - tissue names: those of them the donor has, except the target; a sample for which none
          is left is dropped, and the log says how many were

    Returns
    -------
    Requests
        One request a prediction, in the order of the cohort's rows.
    np.ndarray
        Row of `cohort` that each request predicts, shape ``(n_requests,)``, int64.

    Raises
    ------
    InputError
        A tissue or donor is unknown, or a donor has two samples of one tissue.
    """
    source_index = cohort.tissue_index(source)
    unknown = sorted(set(donors) - set(cohort.donors.index))
    if unknown:
        raise InputError("held-out donors", unknown[0], "donors of the cohort")
    row_of = cohort.row_of()
    held_out = cohort.donors.index.isin(list(donors)) & (row_of[:, source_index] >= 0)
    target_rows = np.flatnonzero(held_out[cohort.donor] & (cohort.tissue != source_index))
    target = cohort.tissue[target_rows]
    allowed = _allowed_tissues(cohort, source_index, sources)
    rows = row_of[cohort.donor[target_rows]][:, allowed]
    rows[np.asarray(allowed) == target[:, None]] = -1
    rows = np.take_along_axis(rows, np.argsort(rows < 0, axis=1, kind="stable"), axis=1)
    counts = (rows >= 0).sum(1)
    if (counts == 0).any():
        log.warning(
            "%d of %d samples have no other sample of their donor in %s and are not predicted",
            (counts == 0).sum(),
            len(counts),
            ", ".join(cohort.tissues[index] for index in allowed),
        )
    kept = counts > 0
    width = max(int(counts.max(initial=0)), 1)
    return Requests(rows[kept, :width], target[kept]), target_rows[kept]


def _allowed_tissues(
    cohort: Cohort, source_index: int, sources: SourceChoice | Sequence[str]
) -> list[int]:
    """Return the tissues to predict from, in the order of preference."""
    if sources == "source":
        return [source_index]
    if sources == "others":
        return list(range(len(cohort.tissues)))
    if isinstance(sources, str):
        raise InputError("sources", repr(sources), "'source', 'others' or a list of tissue names")
    return [cohort.tissue_index(name) for name in dict.fromkeys(sources)]


def refuse_seen(model: Predictor, held_out: Collection[str], bundle: str | Path) -> None:
    """Raise if a held-out donor is among those whom a model was fitted on, or none can tell."""
    held_out = list(held_out)
    try:
        trained = model.provenance.training_donors.among(held_out)
    except InputError as error:
        raise error.within(bundle) from error
    if trained.any():
        seen = sorted(np.array(held_out, object)[trained])
        raise InputError(
            bundle,
            f"{len(seen)} held-out donors among its training donors, first {seen[0]}",
            "a model fitted without the donors of its fold",
        )


def predict_in_blocks(
    model: Predictor, inputs: Cohort, requests: Requests, block: int = BLOCK
) -> Iterator[np.ndarray]:
    """Predict `block` requests at a time.

    Yields
    ------
    np.ndarray
        Shape ``(at most block, n_genes)``, float32, z in `model.scale`.

    Raises
    ------
    InputError
        `inputs` has other genes or tissues than the model, or a prediction is not finite.
    """
    for part in _blocks(model, inputs, requests, block):
        yield _finite(model, model.predict(inputs, part), part)


def predict_with_sd_in_blocks(
    model: Predictor, inputs: Cohort, requests: Requests, block: int = BLOCK
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs: what `predict_in_blocks` yields, and the sds that the model itself gives it."""
    for part in _blocks(model, inputs, requests, block):
        expr_z, sd = model.predict_with_sd(inputs, part)
        yield _finite(model, expr_z, part), sd


def _blocks(
    model: Predictor, inputs: Cohort, requests: Requests, block: int
) -> Iterator[Requests]:
    """Yield `block` requests at a time of a model whose genes and tissues `inputs` has."""
    if not inputs.genes.index.equals(model.genes.index) or inputs.tissues != model.tissues:
        raise InputError(
            f"input of model {model.name}",
            f"{inputs.n_genes} genes and {len(inputs.tissues)} tissues",
            f"the model's own {len(model.genes)} genes and {len(model.tissues)} tissues, in order",
            "Use the cohort that the model was fitted on, or align new data to its genes first.",
        )
    for start in range(0, len(requests), block):
        yield requests.of(slice(start, start + block))


def _finite(model: Predictor, expr_z: np.ndarray, requests: Requests) -> np.ndarray:
    """Return predictions; refuse them if one is not finite."""
    if not np.isfinite(expr_z).all():
        row = int(np.argmin(np.isfinite(expr_z).all(1)))
        raise InputError(
            f"model {model.name}",
            f"a prediction that is not finite, for {model.tissues[requests.target[row]]}",
            "finite values",
            "The model has diverged, or its training had no sample of that tissue.",
        )
    return expr_z


def without_missing(
    model: Predictor, inputs: Cohort, requests: Requests
) -> tuple[Cohort, Requests]:
    """Set genes that samples lack (NaN) to the training mean of their tissue.

    Returns
    -------
    Cohort, Requests
        As they came where no sample that is asked from lacks a gene; else these samples alone.
    """
    used, place = np.unique(requests.source_rows, return_inverse=True)
    padded = int(used[0] < 0) if len(used) else 0
    used, place = used[padded:], place.reshape(requests.source_rows.shape) - padded
    expr_tpm = inputs.expr_tpm[used]
    missing = np.isnan(expr_tpm)
    if not missing.any():
        return inputs, requests
    tissue = inputs.tissue[used]
    for index in np.unique(tissue):
        lacking = missing & (tissue == index)[:, None]
        expr_tpm[lacking] = np.broadcast_to(model.scaler.mean_tpm(index), lacking.shape)[lacking]
    some = replace(
        inputs,
        expr_tpm=expr_tpm,
        samples=inputs.samples.iloc[used],
        donor=inputs.donor[used],
        tissue=tissue,
    )
    return some, replace(requests, source_rows=place)
