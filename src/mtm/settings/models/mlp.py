"""Hyper-parameters of the per-tissue network."""

from dataclasses import dataclass
from typing import Literal

from mtm.models.per_tissue import MIN_PAIRS
from mtm.vocabulary import Scale


@dataclass(frozen=True)
class MLPParameters:
    """Hyper-parameters of the per-tissue network; the defaults are the published code's.

    Parameters
    ----------
    scale
        Scale of source, target, predictions and loss: ``"tpm_z"`` or ``"log2_z"``.
    encoder_widths, decoder_widths
        Hidden features, from input to output.
    code_width
        Features between encoder and decoder, where no leaky ReLU stands.
    loss
        Distance of predicted and observed expression: ``"l1"``, ``"smooth_l1"`` or ``"l2"``.
    lambda_individual
        Weight of the loss. Adam divides it out but for its epsilon (1e-8): twice the weight is
        half the epsilon, and nothing else (methods 1.4, row 5). With many genes that is felt at
        first, as the mean over genes makes gradients small: at 19,291 genes more than half of
        those of the last three layers start below epsilon, at 59 genes none after 200 steps.
    learning_rate, beta1, beta2
        Of Adam. The code has one Adam for the encoder and one for the decoder, which step every
        weight as one over both does.
    batch_size
        Donors a step; the last batch of an epoch holds the rest.
    epochs
        Passes over a tissue's donors; the code runs 1001, the paper's text says 1000 (methods
        1.4, row 6).
    min_pairs
        Tissues with fewer training donors are not fitted; their prediction is z = 0.
    precision
        Of matrix products: ``"float64"``, ``"float32"``, ``"tf32"``, ``"bfloat16"`` (float32
        weights and losses), or ``"auto"``: bfloat16 where the device has units for it.
    memory_mb
        Memory that training may take on the CPU, MiB; on a GPU it is what is free. Tissues that
        do not fit at once are trained after the others, and the weights of those that are done
        come on top.
    checkpoint_every
        Epochs between saved training states; 0 saves none.
    """

    scale: Scale = "tpm_z"
    encoder_widths: tuple[int, ...] = (2048, 1024, 512)
    code_width: int = 256
    decoder_widths: tuple[int, ...] = (1024, 1024, 2048)
    loss: Literal["l1", "smooth_l1", "l2"] = "l1"
    lambda_individual: float = 2.0
    learning_rate: float = 5e-4
    beta1: float = 0.5
    beta2: float = 0.9
    batch_size: int = 256
    epochs: int = 1001
    min_pairs: int = MIN_PAIRS
    precision: Literal["auto", "float64", "float32", "tf32", "bfloat16"] = "auto"
    memory_mb: float = 8192
    checkpoint_every: int = 100

    def widths(self, n_genes: int) -> tuple[int, ...]:
        """Return the features before, between and after the linear layers."""
        return (n_genes, *self.encoder_widths, self.code_width, *self.decoder_widths, n_genes)

    def rectified(self) -> tuple[bool, ...]:
        """Return for every linear layer whether a leaky ReLU follows it."""
        encoder, decoder = (True,) * len(self.encoder_widths), (True,) * len(self.decoder_widths)
        return (*encoder, False, *decoder, False)
