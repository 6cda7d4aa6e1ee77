"""External people's tissues, predicted from their aligned source samples."""

import logging
from collections.abc import Callable, Collection, Iterator

import numpy as np

from mtm.analyses.transfer.external import ExternalCohort
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.errors import InputError
from mtm.models.base import Predictor
from mtm.predictions.alignment import align_moments
from mtm.predictions.new_people import (
    align_expression,
    new_inputs,
    predict_new,
    targets_of,
)
from mtm.settings.transfer import Alignment, TransferSettings

log = logging.getLogger(__name__)
# Brings TPM of the model's genes, shape (n_samples, n_genes), to the training samples'.
Align = Callable[[np.ndarray], np.ndarray]


def to_training(training_tpm: np.ndarray, alignment: Alignment) -> Align:
    """Return the alignment to training samples at hand, see `align_moments`."""
    return lambda expr_tpm: align_moments(expr_tpm, training_tpm, alignment)


def to_bundle(model: Predictor, source: str) -> Align:
    """Return the alignment to the mean and sd that a bundle has of its training samples.

    They are those of the model's scale. A gene whose sd there is not its own (set to 1, as it does
    not vary or, on the scale ``tpm_z``, is hardly expressed) keeps its spread.
    """
    place = model.tissues.index(source)
    mean, sd = (np.asarray(x[place], np.float64) for x in (model.scaler.mean, model.scaler.sd))

    def align(expr_tpm: np.ndarray) -> np.ndarray:
        values = expr_tpm.astype(np.float64)
        values = log2_tpm(values) if model.scaler.scale == "log2_z" else values
        centred, spread = values - values.mean(0), values.std(0)
        stretch = np.divide(sd, spread, out=np.zeros_like(sd), where=spread > 1e-6)
        expr_z = centred * np.where(sd == 1, 1, stretch) / sd
        return model.scaler.inverse(expr_z, np.full(len(expr_z), place))

    return align


def of_model_genes(
    model: Predictor, external: ExternalCohort, source: str, settings: TransferSettings
) -> np.ndarray:
    """External expression of the model's genes, TPM, shape ``(n_samples, n_genes)``."""
    least = settings.min_gene_overlap
    try:
        expr_tpm, overlap = align_expression(
            model, external.expr_tpm, external.gene_ids, source, least, external.path
        )
    except InputError as error:
        if "--min-overlap" not in str(error):
            raise
        hint = (
            "Missing genes would be filled with the source tissue's training mean. Accept that "
            f"with a smaller transfer.min_gene_overlap (now {least:g})."
        )
        raise InputError(error.where, error.found, error.expected, hint) from None
    log.info("%s: %s", external.path, overlap)
    return expr_tpm


def predicted_tissues(
    model: Predictor,
    external: ExternalCohort,
    aligned_tpm: np.ndarray,
    source: str,
    tissues: Collection[str] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the source tissue as it is, then every target, TPM of all people.

    Parameters
    ----------
    aligned_tpm
        Of the samples of `external`, from `of_model_genes`, aligned.
    tissues
        Those that are wanted; None for all.
    """
    inputs: Cohort = new_inputs(
        model, aligned_tpm, external.samples.index, source, external.covariates
    )
    if tissues is None or source in tissues:
        yield source, inputs.expr_tpm
    targets = [name for name in targets_of(model, source) if tissues is None or name in tissues]
    blocks: list[np.ndarray] = []
    for tissue, part, values in predict_new(model, inputs, targets, "tpm"):
        blocks.append(values)
        if part.stop == inputs.n_samples:
            yield tissue, np.concatenate(blocks)
            blocks = []
