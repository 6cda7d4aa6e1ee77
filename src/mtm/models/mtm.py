"""MTM: one encoder and one generator for every pair of tissues (He et al. 2023, methods 1)."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mtm.cohort import Cohort
from mtm.device import choose_device
from mtm.errors import InputError
from mtm.linear.design import CovariateDesign, covariate_table
from mtm.models.base import Predictor, Requests, Training
from mtm.models.mtm_networks import ConditionedStack, SpectralNorm
from mtm.models.mtm_stopping import stopping_score, stopping_split
from mtm.models.mtm_training import Engine, train
from mtm.models.registry import register
from mtm.scaling import Scale, log2_tpm


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


@register("mtm")
class MTM(Predictor):
    """Multi-tissue transcriptome mapping.

    Several source tissues of a donor are used by averaging their codes (methods 6.13); the paper
    uses one.
    """

    Parameters = MTMParameters
    several_sources = True
    networks: nn.ModuleDict
    design: CovariateDesign
    _device = "cpu"

    @property
    def scale(self) -> Scale:
        """Scale of what `predict` returns."""
        return self.parameters.target_scale

    def _fit(self, training: Training) -> pd.DataFrame:
        p, stop_score = self.parameters, None
        self._device = choose_device(training.device)
        if p.stop_patience:
            if p.schedule != "constant":
                raise InputError(
                    "model parameter stop_patience",
                    f"{p.stop_patience} with the schedule {p.schedule}",
                    "0, or the schedule constant",
                    "A schedule that is cut off never reaches its low learning rates.",
                )
            learned_from, stop_by = stopping_split(
                training.cohort, training.source, p.stop_donors, training.seed
            )
            training = replace(training, cohort=learned_from)
            score = stopping_score(stop_by, training.source)
            stop_score = lambda: score(self)  # noqa: E731
        engine = Engine(self.parameters, training.cohort, self.scaler, self._device, training.seed)
        self.networks, self.design = engine.networks, engine.design
        table = train(engine, training, lambda: training.monitor(self), stop_score)
        self.provenance.notes.update(engine.notes())
        return table

    @torch.inference_mode()
    def codes(self, inputs: Cohort, rows: np.ndarray) -> Tensor:
        """Return latent codes of the samples `rows`, shape ``(n_rows, code_width)``, float32."""
        expr_tpm, tissue = inputs.expr_tpm[rows], inputs.tissue[rows]
        if self.parameters.encoder_input == "z":
            expr = self.scaler.transform(expr_tpm, tissue)
        else:
            expr = log2_tpm(expr_tpm)
        x, t = self._tensor(expr), self._tensor(tissue)
        return self.networks["encoder"](x, t)

    @torch.inference_mode()
    def predict(self, inputs: Cohort, requests: Requests, batch: int = 1024) -> np.ndarray:
        """Predict from the mean code of each request's sources; see `Predictor.predict`.

        Covariates are those of the donor and of the first source sample.
        """
        seen = requests.source_rows >= 0
        if not seen.any(1).all():
            raise InputError("model mtm", "a request without a source", "at least one source")
        rows, place = np.unique(requests.source_rows[seen], return_inverse=True)
        codes = torch.cat(
            [self.codes(inputs, rows[i : i + batch]) for i in range(0, len(rows), batch)]
        )
        request_of = self._tensor(np.nonzero(seen)[0])
        code = codes.new_zeros(len(requests), codes.shape[1])
        code.index_add_(0, request_of, codes[self._tensor(place)])
        code /= self._tensor(seen.sum(1, keepdims=True)).to(code.dtype)
        if len(self.design):
            names = self.design.covariates
            table = covariate_table(inputs, requests.source_rows[:, 0], names)
            code += self.networks["covariates"](self._tensor(self.design.transform(table)))
        target = self._tensor(requests.target)
        expr_z = np.empty((len(requests), len(self.genes)), np.float32)
        for i in range(0, len(requests), batch):
            part = self.networks["generator"](code[i : i + batch], target[i : i + batch])
            expr_z[i : i + batch] = part.float().cpu().numpy()
        return expr_z

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
        if not tensor.is_floating_point():
            return tensor
        return tensor.to(self.networks["encoder"].last.weight.dtype)

    def state(self) -> dict[str, np.ndarray]:
        """Weights of the encoder, the generator and the covariates' map; others are not needed."""
        arrays = {
            f"{name}/{key}": value.detach().cpu().numpy()
            for name in ("encoder", "generator", "covariates")
            if name in self.networks
            for key, value in self.networks[name].state_dict().items()
        }
        return arrays | {"design": self.design.to_array()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Rebuild the networks that predict, on the CPU."""
        p, n_genes, n_tissues = self.parameters, len(self.genes), len(self.tissues)
        self.design = CovariateDesign.from_array(state["design"])
        self.networks = nn.ModuleDict(
            {
                "encoder": ConditionedStack((n_genes, *p.encoder_widths, p.code_width), n_tissues),
                "generator": ConditionedStack(
                    (p.code_width, *p.generator_widths, n_genes), n_tissues
                ),
            }
        )
        if len(self.design):
            self.networks["covariates"] = nn.Linear(len(self.design), p.code_width, bias=False)
        self.networks.to(torch.from_numpy(state["encoder/last.weight"]).dtype)
        for name, network in self.networks.items():
            prefix = f"{name}/"
            network.load_state_dict(
                {
                    key.removeprefix(prefix): torch.from_numpy(value)
                    for key, value in state.items()
                    if key.startswith(prefix)
                }
            )
        self._device = "cpu"
