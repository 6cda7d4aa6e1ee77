"""Hyper-parameters of MTM."""
# fmt: off

from collections.abc import Iterator
from typing import ClassVar, Literal

from mtm.errors import InputError
from mtm.settings.base import Names, key
from mtm.settings.models.base import (
    CohortSize,
    Distance,
    ModelParameters,
    ModelSize,
    Precision,
    Widths,
    parameters,
    weights_mb,
)
from mtm.vocabulary import Scale

SpectralNorm = Literal["gamma", "weight", "off"]
# Codes whose sd between samples is below this share of their root mean square have collapsed. On the
# 59-gene panel a collapsed fold had 4e-6, the others some 0.7 (methods 1.7).
COLLAPSED = 0.01
# With the adversarial loss, a training of fewer optimiser steps ends before or soon after codes begin
# to tell donors apart (methods 1.7).
LEAST_STEPS = 4000
LOSS = "loss; 0 leaves it out and saves its work (methods 1.4, row 5)."


@parameters("mtm")
class MTMParameters(ModelParameters):
    """Multi-tissue transcriptome mapping; the defaults are the published code (methods 1.2-1.4)."""

    on_card: ClassVar = True
    in_epochs: ClassVar = True
    at_random: ClassVar = True
    several_sources: ClassVar = True

    target_scale: Scale = key("tpm_z", "Scale of targets, predictions and losses - z-scores of TPM as published, or of log2(1+TPM).")
    encoder_input: Literal["log2_tpm", "z", "ranks"] = key("log2_tpm", "What the encoder sees - log2(1+TPM) as the code, or z-scores as the paper's text (methods 1.4, row 2); `ranks` - z-scores, of the source ranks (methods 6.25).")
    encoder_widths: Widths = key((2048, 1024, 512), "Hidden layers of the encoder, from input to output.", unit="features")
    code_width: int = key(256, "Size of a sample's latent code.", ge=1, le=100_000, unit="features")
    generator_widths: Widths = key((1024, 1024, 2048), "Hidden layers of the generator, from input to output (methods 1.4, row 9).", unit="features")
    discriminator_widths: Widths = key((2048, 1024, 100), "Hidden layers of the discriminator, from input to output.", unit="features")
    mapping_widths: Widths = key((64, 128, 256), "Hidden layers of the network that maps noise to codes.", unit="features")
    noise_width: int = key(32, "Size of the Gaussian noise that the mapping network takes.", ge=1, le=100_000, unit="features")
    dropout: float = key(0.3, "Dropout in the encoder, the generator and the mapping network.", ge=0, lt=1, unit="probability")
    spectral_norm: SpectralNorm = key("gamma", "What the discriminator's spectral normalisation divides. `gamma` - the published code's bug B1; `weight` - what was meant; `off` (methods 1.4, row 8, and 1.5).")
    individual_loss: Distance = key("l1", "Distance of predicted and observed expression.")
    lambda_adversarial: float = key(1.0, f"Weight of the adversarial {LOSS}", ge=0)
    lambda_reconstruction: float = key(1.0, f"Weight of the code reconstruction {LOSS}", ge=0)
    lambda_individual: float = key(1.0, f"Weight of the individual (predicted against observed expression) {LOSS}", ge=0)
    lambda_cycle: float = key(1.0, f"Weight of the cycle (there and back) {LOSS}", ge=0)
    reconstruction_of: Literal["mapped", "encoded", "both"] = key("mapped", "Codes whose reconstruction is asked for - `mapped` noise as the code, `encoded` samples, or `both` as the paper's Eq. 1 (methods 1.4, row 4).")
    discriminator_real: Literal["source_and_target", "target"] = key("source_and_target", "Real samples shown to the discriminator - `source_and_target` as the code, `target` as the paper's Eq. 2 (methods 1.4, row 3).")
    pair_sampling: Literal["all", "donor_balanced"] = key("all", "`all` - every ordered pair of a donor's samples once an epoch, as the code; `donor_balanced` - as many draws, donors equally often (methods 6.9).")
    optimizer: Literal["adam", "adamw"] = key("adam", "Optimiser of all networks.")
    learning_rate: float = key(5e-4, "Learning rate; its peak where a schedule is used.", gt=0)
    beta1: float = key(0.5, "Decay of the optimiser's first moment.", ge=0, lt=1)
    beta2: float = key(0.9, "Decay of the optimiser's second moment.", ge=0, lt=1)
    weight_decay: float = key(0.0, "Weight decay of the optimiser.", ge=0)
    schedule: Literal["constant", "one_cycle"] = key("constant", "Course of the learning rate.")
    batch_size: int = key(256, "Pairs of samples in an optimiser step.", ge=1, unit="pairs")
    epochs: int = key(201, "Passes over all pairs; the published code runs 201 (methods 1.4, row 6).", ge=1, unit="epochs")
    steps: int = key(0, "Optimiser steps in place of `epochs`; 0 leaves `epochs` in charge.", ge=0, unit="optimiser steps")
    precision: Precision = key("auto", "Of matrix products; weights, statistics and losses stay float32. `auto` - bfloat16 where the device has units for it.")
    checkpoint_every: int = key(10, "Save the training state every so many epochs, so that a killed run goes on from there; 0 never.", ge=0, unit="epochs")
    stop_patience: int = key(0, "End early after this many checks without a better accuracy on donors taken out of the training donors (never held-out ones); 0 never. Needs the schedule `constant`; `epochs` or `steps` stays the limit.", ge=0, unit="checks")
    stop_every: int = key(500, "Optimiser steps between the checks of `stop_patience`.", ge=1, unit="optimiser steps")
    stop_donors: float = key(0.1, "Share of the training donors that `stop_patience` checks on; they are not learned from.", gt=0, lt=1, unit="share")
    restarts: int = key(0, f"Train again from another seed, up to so often, where codes have collapsed: their sd between samples of the source is below {COLLAPSED} of their root mean square (methods 1.7).", ge=0, le=1000, unit="restarts")
    restart_step: int = key(0, "Optimiser step at which `restarts` looks, beside the last; 0 - at the last alone. The published MTM tells donors apart after some 2,000 steps at the earliest: a step before that restarts for nothing.", ge=0, unit="optimiser steps")
    max_sources: int = key(1, "Up to this many samples of a donor are shown together, their codes averaged (methods 6.13); 1 as the paper.", ge=1, le=1000, unit="samples")
    covariates: Names = key((), "Columns of donors or samples added to the code through a linear map, used as far as the cohort has them; none as the paper.")

    def disagreements(self) -> Iterator[InputError]:
        """Let a schedule run to its end, and a step that looks for a restart find one to make."""
        if self.stop_patience and self.schedule != "constant":
            yield InputError(
                "stop_patience",
                f"{self.stop_patience} with the schedule {self.schedule}",
                "0, or the schedule constant",
                "A schedule that is cut off never reaches its low learning rates.",
            )
        recodes = [name for name in ("lambda_reconstruction", "lambda_cycle") if getattr(self, name)]
        if self.encoder_input == "ranks" and recodes:
            yield InputError("encoder_input", f"ranks with {' and '.join(recodes)} above 0", "both 0", "What is generated has no ranks that could be learned through.")
        if self.restart_step and not self.restarts:
            yield InputError("restart_step", f"{self.restart_step} without restarts", "0, or restarts of 1 or more")
        if self.steps and self.restart_step > self.steps:
            yield InputError("restart_step", f"{self.restart_step}", f"at most {self.steps}, the steps of the training")

    @property
    def scale(self) -> Scale:
        """Scale of predictions."""
        return self.target_scale

    @property
    def from_ranks(self) -> bool:
        """Whether the encoder sees samples of the source as ranks."""
        return self.encoder_input == "ranks"

    @property
    def from_expression_alone(self) -> bool:
        """Whether no covariates are added to the code."""
        return not self.covariates

    def size(self, cohort: CohortSize) -> ModelSize:
        """Return what the networks take, their state with two moments of every weight."""
        genes, code = cohort.n_genes, self.code_width
        kept = weights_mb((genes, *self.encoder_widths, code))
        kept += weights_mb((code, *self.generator_widths, genes))
        critic = weights_mb((genes, *self.discriminator_widths, cohort.n_tissues + 1))
        state = 3 * (kept + critic + weights_mb((self.noise_width, *self.mapping_widths, code)))
        checkpoint = state if self.checkpoint_every else 0.0
        # Gradients beside the state, and a batch's activations.
        return ModelSize(kept + cohort.scaler_mb, checkpoint, 2 * state)
