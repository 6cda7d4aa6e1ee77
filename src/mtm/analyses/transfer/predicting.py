"""External people's tissues, predicted as ``mtm predict`` does: genes, checks, alignment."""

import logging
from collections.abc import Callable, Collection, Iterator

import numpy as np
import pandas as pd

from mtm.analyses.transfer.external import ExternalCohort
from mtm.errors import InputError
from mtm.models.base import Predictor
from mtm.predictions.alignment import Moved, align_moments, align_to_training
from mtm.predictions.checks import WARNED, in_words
from mtm.predictions.gene_overlap import MISSING_GENES
from mtm.predictions.new_people import new_inputs, predict_new, targets_of
from mtm.predictions.samples import NewSamples, checks_of, fill_missing, samples_of_matrix
from mtm.settings.transfer import MOMENTS, TransferAlignment
from mtm.vocabulary import NewAlignment

log = logging.getLogger(__name__)
# Brings samples to the training's, in place.
Align = Callable[[Predictor, NewSamples], tuple[Moved, ...]]


def to_training(training_tpm: np.ndarray, alignment: TransferAlignment) -> Align:
    """Return the alignment to training samples at hand: by moments, or as `to_bundle`."""
    if alignment not in MOMENTS:
        return to_bundle(alignment)

    def align(model: Predictor, samples: NewSamples) -> tuple[Moved, ...]:
        aligned = align_moments(samples.expr_tpm, training_tpm, alignment, model.measure)
        samples.expr_tpm[:] = aligned
        return ()

    return align


def to_bundle(method: NewAlignment) -> Align:
    """Return the alignment to what a bundle knows of its training samples, as of `mtm predict`."""

    def align(model: Predictor, samples: NewSamples) -> tuple[Moved, ...]:
        moved = align_to_training(model, samples, method)
        for done in moved:
            log.info("%s", done)
        return moved

    return align


def of_model_genes(
    model: Predictor, external: ExternalCohort, source: str, min_overlap: float
) -> NewSamples:
    """Bring external samples, each of a person of its own, to the model's genes."""
    ids = external.samples.index
    # People who came twice are two samples.
    table = pd.DataFrame({"sample_id": ids, "donor": ids, "tissue": source})
    if "sex" in external.samples:
        table["sex"] = external.samples["sex"].to_numpy()
    units = "tpm" if model.measure == "tpm" else None
    try:
        samples = samples_of_matrix(
            model, external.expr_tpm, external.gene_ids, table, units, min_overlap,
            str(external.path),
        )  # fmt: skip
    except InputError as error:
        if "--min-overlap" not in str(error):
            raise
        hint = (
            f"{MISSING_GENES} Accept that with a smaller transfer.min_gene_overlap "
            f"(now {min_overlap:g})."
        )
        raise InputError(error.where, error.found, error.expected, hint) from None
    log.info("%s: %s", external.path, samples.sources[0].overlap)
    return samples


def checked(model: Predictor, samples: NewSamples) -> pd.DataFrame:
    """Hold samples against the training donors' and log it, warnings first."""
    checks = checks_of(model, samples)
    for line in in_words(checks):
        log.info("%s", line)
    warned = int((checks["status"] == WARNED).sum())
    if warned:
        log.warning("%d of %d samples are not like the training donors'", warned, len(checks))
    return checks


def predicted_tissues(
    model: Predictor,
    external: ExternalCohort,
    align: Align,
    source: str,
    min_overlap: float,
    tissues: Collection[str] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the source tissue as it is aligned, then every target, TPM of all people.

    Of the source, genes that the external cohort lacks are NaN.

    Parameters
    ----------
    align
        How `external`, as one set, is brought to the training samples.
    min_overlap
        Least share of the model's genes that it must have.
    tissues
        Those that are wanted; None for all.
    """
    samples = of_model_genes(model, external, source, min_overlap)
    align(model, samples)
    lacking = np.isnan(samples.expr_tpm)
    fill_missing(model, samples)
    inputs = new_inputs(
        model, samples.expr_tpm, external.samples.index, source, external.covariates
    )
    if tissues is None or source in tissues:
        yield source, np.where(lacking, np.float32(np.nan), inputs.expr_tpm)
    targets = [name for name in targets_of(model, source) if tissues is None or name in tissues]
    blocks: list[np.ndarray] = []
    for tissue, part, values in predict_new(model, inputs, targets, "tpm"):
        blocks.append(values)
        if part.stop == inputs.n_samples:
            yield tissue, np.concatenate(blocks)
            blocks = []
