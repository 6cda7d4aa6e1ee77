"""Hyper-parameters of the per-tissue network."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import key
from mtm.settings.models.base import (
    INPUTS,
    MIN_PAIRS,
    SCALE_MEANING,
    CohortSize,
    Distance,
    Inputs,
    ModelParameters,
    ModelSize,
    Precision,
    Widths,
    parameters,
    weights_mb,
)
from mtm.vocabulary import Scale


@parameters("mlp")
class MLPParameters(ModelParameters):
    """A multi-layer perceptron for every target tissue; the defaults are the published code (methods 2, S3)."""

    on_card: ClassVar = True
    in_epochs: ClassVar = True
    at_random: ClassVar = True

    inputs: Inputs = INPUTS
    scale: Scale = key("tpm_z", SCALE_MEANING)
    encoder_widths: Widths = key((2048, 1024, 512), "Hidden layers before the code, from input to output.", unit="features")
    code_width: int = key(256, "Features between encoder and decoder.", ge=1, le=100_000, unit="features")
    decoder_widths: Widths = key((1024, 1024, 2048), "Hidden layers after the code, from input to output.", unit="features")
    loss: Distance = key("l1", "Distance of predicted and observed expression.")
    # Twice the weight is half of Adam's epsilon (1e-8), and nothing else. With many genes that is felt at
    # first: at 19,291 more than half of the gradients of the last three layers start below epsilon, at 59 none.
    lambda_individual: float = key(2.0, "Weight of the loss, which Adam divides out but for its epsilon (methods 1.4, row 5).", gt=0)
    # The code has one Adam for the encoder and one for the decoder, which step every weight as one does.
    learning_rate: float = key(5e-4, "Learning rate of Adam.", gt=0)
    beta1: float = key(0.5, "Decay of Adam's first moment.", ge=0, lt=1)
    beta2: float = key(0.9, "Decay of Adam's second moment.", ge=0, lt=1)
    batch_size: int = key(256, "Donors in an optimiser step.", ge=1, unit="donors")
    epochs: int = key(1001, "Passes over a tissue's donors; the published code runs 1001 (methods 1.4, row 6).", ge=1, unit="epochs")
    min_pairs: int = MIN_PAIRS
    precision: Precision = key("auto", "Of matrix products; weights and losses stay float32. `auto` - bfloat16 where the device has units for it.")
    memory_mb: float = key(8192, "Memory that training may take on the CPU; tissues that do not fit at once are trained after the others.", gt=0, unit="MiB")
    checkpoint_every: int = key(100, "Save the training state every so many epochs, so that a killed run goes on from there; 0 never.", ge=0, unit="epochs")

    def size(self, cohort: CohortSize) -> ModelSize:
        """Return what a network for every tissue takes."""
        kept = (cohort.n_tissues - 1) * weights_mb(self.widths(cohort.n_genes))
        # Finished tissues' weights beside the state of those in training.
        state, working = min(self.memory_mb, 3 * kept), min(self.memory_mb, 8 * kept)
        checkpoint = kept + state if self.checkpoint_every else 0.0
        return ModelSize(kept + cohort.scaler_mb, checkpoint, kept + working)

    def widths(self, n_genes: int) -> tuple[int, ...]:
        """Return the features before, between and after the linear layers."""
        return (n_genes, *self.encoder_widths, self.code_width, *self.decoder_widths, n_genes)

    def rectified(self) -> tuple[bool, ...]:
        """Return for every linear layer whether a leaky ReLU follows it."""
        encoder, decoder = (True,) * len(self.encoder_widths), (True,) * len(self.decoder_widths)
        return (*encoder, False, *decoder, False)
