"""Hyper-parameters of MTM."""

from dataclasses import dataclass
from typing import Literal

from mtm.models.mtm.networks import SpectralNorm
from mtm.vocabulary import Scale


@dataclass(frozen=True)
class MTMParameters:
    """Hyper-parameters of MTM; the defaults are the published code (methods 1.2-1.4).

    Parameters
    ----------
    target_scale
        Scale of targets, predictions and losses: ``"tpm_z"`` or ``"log2_z"``.
    encoder_input
        - ``"log2_tpm"``: log2(1+TPM), as the code
        - ``"z"``: z-scores in `target_scale`, as the paper's text (methods 1.4, row 2)
    encoder_widths, generator_widths, discriminator_widths, mapping_widths
        Hidden features, from input to output (methods 1.4, row 9: the generator mirrors the
        encoder "almost"; ``(512, 1024, 2048)`` would mirror it).
    code_width, noise_width
        Features of a code; of the Gaussian noise that the mapping network takes.
    dropout
        Probability, in [0, 1), in the encoder, the generator and the mapping network.
    spectral_norm
        What the discriminator's spectral normalisation divides: ``"gamma"`` (the published code's
        bug B1), ``"weight"`` (what was meant) or ``"off"`` (methods 1.4, row 8).
    individual_loss
        Distance of predicted and observed expression: ``"l1"``, ``"smooth_l1"`` or ``"l2"``.
    lambda_adversarial, lambda_reconstruction, lambda_individual, lambda_cycle
        Weights of the four losses (methods 1.4, row 5); a loss of weight 0 is not computed.
    reconstruction_of
        Codes whose reconstruction is asked for (methods 1.4, row 4): ``"mapped"`` noise as the
        code, ``"encoded"`` samples, or ``"both"`` as the paper's Eq. 1.
    discriminator_real
        Real samples shown to the discriminator (methods 1.4, row 3): ``"source_and_target"`` as
        the code, ``"target"`` as the paper's Eq. 2.
    pair_sampling
        - ``"all"``: every ordered within-donor pair once an epoch, as the code
        - ``"donor_balanced"``: as many draws an epoch, donors equally often (methods 6.9)
    max_sources
        Up to this many samples of a donor are shown together, their codes averaged
        (methods 6.13); 1 as the paper.
    covariates
        Columns of donors or samples, used as far as the cohort has them, added to the code
        through a linear map (methods 7); none as the paper.
    optimizer
        ``"adam"`` or ``"adamw"``.
    learning_rate, beta1, beta2, weight_decay
        Of the optimiser; the rate is the peak where a schedule is used.
    schedule
        ``"constant"`` or ``"one_cycle"``.
    batch_size
        Pairs a step.
    epochs
        Passes over all pairs; the code runs 201, the paper's text says 200 (methods 1.4, row 6).
    steps
        Optimiser steps instead of epochs; 0 leaves `epochs` in charge.
    precision
        Of matrix products: ``"float64"``, ``"float32"``, ``"tf32"``, ``"bfloat16"`` (float32
        weights, statistics and losses), or ``"auto"``: bfloat16 where the device has units for it.
    checkpoint_every
        Epochs between saved training states; 0 saves none.
    stop_patience
        End early after this many checks without a better accuracy on donors taken out of the
        training donors; 0 never does. Needs a constant learning rate.
    stop_every
        Optimiser steps between the checks.
    stop_donors
        Share of the training donors to check on, in (0, 1); they are not learned from.
    """

    target_scale: Scale = "tpm_z"
    encoder_input: Literal["log2_tpm", "z"] = "log2_tpm"
    encoder_widths: tuple[int, ...] = (2048, 1024, 512)
    code_width: int = 256
    generator_widths: tuple[int, ...] = (1024, 1024, 2048)
    discriminator_widths: tuple[int, ...] = (2048, 1024, 100)
    mapping_widths: tuple[int, ...] = (64, 128, 256)
    noise_width: int = 32
    dropout: float = 0.3
    spectral_norm: SpectralNorm = "gamma"
    individual_loss: Literal["l1", "smooth_l1", "l2"] = "l1"
    lambda_adversarial: float = 1.0
    lambda_reconstruction: float = 1.0
    lambda_individual: float = 1.0
    lambda_cycle: float = 1.0
    reconstruction_of: Literal["mapped", "encoded", "both"] = "mapped"
    discriminator_real: Literal["source_and_target", "target"] = "source_and_target"
    pair_sampling: Literal["all", "donor_balanced"] = "all"
    max_sources: int = 1
    covariates: tuple[str, ...] = ()
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 5e-4
    beta1: float = 0.5
    beta2: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "one_cycle"] = "constant"
    batch_size: int = 256
    epochs: int = 201
    steps: int = 0
    precision: Literal["auto", "float64", "float32", "tf32", "bfloat16"] = "auto"
    checkpoint_every: int = 10
    stop_patience: int = 0
    stop_every: int = 500
    stop_donors: float = 0.1
