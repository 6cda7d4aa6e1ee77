"""Rival S3: a network of its own for every target tissue (methods 2, He et al. 2023)."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from mtm.cohort import Cohort
from mtm.device import choose_device, choose_precision
from mtm.errors import InputError
from mtm.io import atomic_path
from mtm.linear.per_tissue import MIN_PAIRS, sample_rows
from mtm.models.base import Predictor, Requests, Training
from mtm.models.mtm_networks import LEAKY_SLOPE
from mtm.models.registry import register
from mtm.scaling import Scale

LOGGER = logging.getLogger(__name__)
CHECKPOINT_VERSION = 1
PRODUCT_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
}
# Each distance of the difference d = predicted - observed, and its derivative.
DISTANCES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "l1": (torch.abs, torch.sign),
    "smooth_l1": (
        lambda d: torch.where(d.abs() < 1, 0.5 * d * d, d.abs() - 0.5),
        lambda d: d.clamp(-1, 1),
    ),
    "l2": (torch.square, lambda d: 2 * d),
}
STACK_WEIGHTS = {"cpu": 2**25, "cuda": 2**30}
"""Weights of one stack: more make its steps no faster, and need more memory for gradients."""

Layers = list[tuple[Tensor, Tensor]]


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


@register("mlp")
class MLP(Predictor):
    """A multi-layer perceptron from source to target z-scores, one for every target tissue."""

    Parameters = MLPParameters

    def __init__(self, parameters=None):
        super().__init__(parameters)
        self.fits: dict[int, Layers] = {}

    def _fit(self, training: Training) -> pd.DataFrame:
        _check(self.parameters)
        pairs, too_few = training_pairs(training, self.parameters.min_pairs)
        names = self.tissues
        self.fits = {}
        run = _Run(self, training, pairs)
        self.provenance.notes.update(
            device=run.device,
            precision=run.precision,
            tissues_not_fitted="; ".join(f"{names[t]} ({n} pairs)" for t, n in too_few.items()),
        )
        table = run.train()
        return table.assign(n_tissues=len(pairs), n_tissues_not_fitted=len(too_few))

    @torch.inference_mode()
    def predict(self, inputs: Cohort, requests: Requests, batch: int = 1024) -> np.ndarray:
        """Predict from the one source sample of each request; see `Predictor.predict`.

        Raises
        ------
        InputError
            A request's source is not the tissue this model was fitted on.
        """
        rows = requests.single_source(self.name)
        expr_z = np.zeros((len(requests), len(self.genes)), np.float32)
        wrong = np.flatnonzero(inputs.tissue[rows] != self.tissues.index(self.provenance.source))
        if len(wrong):
            raise InputError(
                f"model {self.name}",
                f"a source sample of {self.tissues[inputs.tissue[rows[wrong[0]]]]}",
                f"{self.provenance.source}, the tissue it was fitted on",
            )
        for target in np.intersect1d(requests.target, list(self.fits)):
            layers = self.fits[target]
            wanted = np.flatnonzero(requests.target == target)
            for part in np.split(wanted, range(batch, len(wanted), batch)):
                x = self.scaler.transform(inputs.expr_tpm[rows[part]], inputs.tissue[rows[part]])
                y = forward(torch.from_numpy(x).to(layers[0][0]), layers, self.parameters)
                expr_z[part] = y.float().cpu().numpy()
        return expr_z

    def state(self) -> dict[str, np.ndarray]:
        """Weights and biases of every fitted tissue."""
        return {
            f"{target}/{place}/{name}": tensor.detach().cpu().numpy()
            for target, layers in self.fits.items()
            for place, layer in enumerate(layers)
            for name, tensor in zip(("weight", "bias"), layer, strict=True)
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned, on the CPU."""
        n_layers = len(self.parameters.rectified())
        self.fits = {
            int(target): [
                tuple(
                    torch.from_numpy(state[f"{target}/{place}/{name}"])
                    for name in ("weight", "bias")
                )
                for place in range(n_layers)
            ]
            for target in sorted({key.split("/", 1)[0] for key in state}, key=int)
        }


def _check(parameters: MLPParameters) -> None:
    """Refuse parameters that name nothing known."""
    p = parameters
    for name, value, known in (
        ("loss", p.loss, DISTANCES),
        ("precision", p.precision, ("auto", *PRODUCT_DTYPES)),
    ):
        if value not in known:
            raise InputError(f"{name} of model mlp", repr(value), f"one of {', '.join(known)}")
    for name in ("batch_size", "epochs", "min_pairs"):
        if getattr(p, name) < 1:
            raise InputError(f"{name} of model mlp", str(getattr(p, name)), "1 or more")


def forward(x: Tensor, layers: Layers, parameters: MLPParameters) -> Tensor:
    """Map source to target z-scores of one tissue, both of shape ``(n_rows, n_genes)``."""
    for (weight, bias), rectified in zip(layers, parameters.rectified(), strict=True):
        x = functional.linear(x, weight, bias)
        if rectified:
            x = functional.leaky_relu_(x, LEAKY_SLOPE)
    return x


def training_pairs(
    training: Training, min_pairs: int
) -> tuple[dict[int, np.ndarray], dict[int, int]]:
    """Return the training donors' samples of the source and of each target tissue.

    Returns
    -------
    dict[int, np.ndarray]
        By target tissue, rows of the training cohort of shape ``(n_pairs, 2)``: source, target.
    dict[int, int]
        Number of pairs of the tissues that have fewer than `min_pairs`.

    Raises
    ------
    InputError
        No tissue has `min_pairs` pairs.
    """
    rows = sample_rows(training.cohort)
    found = {}
    for target in range(rows.shape[1]):
        if target != training.source:
            both = rows[:, [training.source, target]]
            found[target] = both[(both >= 0).all(1)]
    pairs = {target: both for target, both in found.items() if len(both) >= min_pairs}
    if not pairs:
        source = training.cohort.tissues[training.source]
        raise InputError(
            "training donors",
            f"at most {max(map(len, found.values()), default=0)} with {source} and one other "
            "tissue",
            f"{min_pairs} or more (min_pairs of model mlp) for one tissue at least",
        )
    return pairs, {target: len(both) for target, both in found.items() if target not in pairs}


def initial_layers(
    widths: Sequence[int], tissues: Sequence[int], seed: int, dtype: torch.dtype
) -> Layers:
    """Draw the initial weights of a stack as PyTorch's linear layer does.

    A tissue's weights depend on `seed` and the tissue, not on the others in the stack.

    Returns
    -------
    list[tuple[Tensor, Tensor]]
        For every layer the weight, shape ``(n_tissues, n_out, n_in)``, and the bias, shape
        ``(n_tissues, 1, n_out)``, uniform within 1 / sqrt(n_in).
    """
    generators = [
        torch.Generator().manual_seed(int(np.random.SeedSequence((seed, t)).generate_state(1)[0]))
        for t in tissues
    ]
    layers = []
    for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
        weight = torch.empty(len(tissues), n_out, n_in, dtype=dtype)
        bias = torch.empty(len(tissues), 1, n_out, dtype=dtype)
        for place, generator in enumerate(generators):
            for tensor in (weight[place], bias[place]):
                tensor.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
        layers.append((weight, bias))
    return layers


class TissueStack:
    """Networks of several tissues, trained together as batched matrix products.

    Each tissue is trained exactly as it would be alone: all tissues of a stack have equally many
    batches an epoch, so that every step is a step of each, and rows that only fill up a batch
    weigh nothing. Forward and backward pass are written out: a layer's gradient lives only until
    the layer's Adam step, in a buffer that all layers share.

    Parameters
    ----------
    parameters
        Hyper-parameters.
    pairs
        By tissue, source and target rows of every donor, shape ``(n_pairs, 2)``.
    expr_z
        Samples that the rows point into, shape ``(n_samples, n_genes)``, on the device.
    precision
        Of matrix products, not ``"auto"``.
    seed
        Of initial weights and batches.
    """

    def __init__(
        self,
        parameters: MLPParameters,
        pairs: Mapping[int, np.ndarray],
        expr_z: Tensor,
        precision: str,
        seed: int,
    ):
        p = self.parameters = parameters
        self.tissues, self.pairs, self.expr_z, self.seed = list(pairs), pairs, expr_z, seed
        self.sizes = np.array([len(rows) for rows in pairs.values()])
        n_batches = -(-self.sizes // p.batch_size)
        if (n_batches != n_batches[0]).any():
            raise ValueError(f"tissues of {sorted(set(n_batches))} batches an epoch in one stack")
        self.dtype = PRODUCT_DTYPES[precision]
        widths = p.widths(expr_z.shape[1])
        layers = initial_layers(widths, self.tissues, seed, expr_z.dtype)
        self.layers = [tuple(nn.Parameter(w.to(expr_z.device)) for w in pair) for pair in layers]
        # Weights as the products take them; where that is their own type, the weights themselves.
        self.factors = [weight.detach().to(self.dtype) for weight, _ in self.layers]
        self.optimizers = [
            torch.optim.Adam(pair, lr=p.learning_rate, betas=(p.beta1, p.beta2), fused=True)
            for pair in self.layers
        ]
        largest = max(weight.numel() for weight, _ in self.layers)
        self.gradient = torch.empty(largest, dtype=expr_z.dtype, device=expr_z.device)
        self.product = self.gradient
        if self.dtype != expr_z.dtype:
            self.product = torch.empty(largest, dtype=self.dtype, device=expr_z.device)

    def fits(self) -> dict[int, Layers]:
        """Return each tissue's layers; they share memory with the stack."""
        return {
            tissue: [(w.detach()[place], b.detach()[place, 0]) for w, b in self.layers]
            for place, tissue in enumerate(self.tissues)
        }

    def order(self, epoch: int) -> np.ndarray:
        """Return the rows of `epoch`, shape ``(n_tissues, largest n_pairs, 2)``, padded with -1.

        A tissue's order depends on the seed, the tissue and the epoch alone.
        """
        order = np.full((len(self.tissues), self.sizes.max(), 2), -1)
        for place, (tissue, rows) in enumerate(self.pairs.items()):
            rng = np.random.default_rng((self.seed, tissue, epoch))
            order[place, : len(rows)] = rng.permutation(rows)
        return order

    def epoch(self, epoch: int) -> Tensor:
        """Take one step for every batch; return each tissue's mean loss, `lambda` left out."""
        order = torch.from_numpy(self.order(epoch)).to(self.expr_z.device)
        total = self.expr_z.new_zeros(len(self.tissues))
        for batch in order.split(self.parameters.batch_size, dim=1):
            real = batch[:, :, :1] >= 0
            rows = batch.clamp_min(0)
            total += self.step(self.expr_z[rows[:, :, 0]], self.expr_z[rows[:, :, 1]], real)
        return total / torch.from_numpy(self.sizes).to(total.device)

    @torch.no_grad()
    def step(self, x: Tensor, y: Tensor, real: Tensor) -> Tensor:
        """Take one Adam step of all tissues.

        Parameters
        ----------
        x, y
            Source and target z-scores, shape ``(n_tissues, n_rows, n_genes)``.
        real
            Rows that count, shape ``(n_tissues, n_rows, 1)``, bool.

        Returns
        -------
        Tensor
            Sum over rows of the mean distance over genes, shape ``(n_tissues,)``.
        """
        p = self.parameters
        rectified = p.rectified()
        h, taken = x.to(self.dtype), []
        for (_, bias), factor, bend in zip(self.layers, self.factors, rectified, strict=True):
            taken.append(h)
            h = torch.baddbmm(bias.to(self.dtype), h, factor.transpose(1, 2))
            if bend:
                functional.leaky_relu_(h, LEAKY_SLOPE)
        distance, derivative = DISTANCES[p.loss]
        difference = h.to(y.dtype).sub_(y)
        loss = distance(difference).mean(2, keepdim=True).mul_(real).sum((1, 2))
        row_weight = real * (p.lambda_individual / y.shape[2]) / real.sum(1, keepdim=True)
        slope = derivative(difference).mul_(row_weight).to(self.dtype)
        for place in reversed(range(len(self.layers))):
            weight, bias = self.layers[place]
            product = self.product[: weight.numel()].view_as(weight)
            torch.bmm(slope.transpose(1, 2), taken[place], out=product)
            weight.grad = self.gradient[: weight.numel()].view_as(weight)
            if product.dtype != weight.dtype:
                weight.grad.copy_(product)
            bias.grad = slope.sum(1, keepdim=True, dtype=bias.dtype)
            if place:
                slope = torch.bmm(slope, self.factors[place])
                if rectified[place - 1]:
                    slope = torch.ops.aten.leaky_relu_backward(
                        slope, taken[place], LEAKY_SLOPE, True
                    )
            self.optimizers[place].step()
            self._refresh(place)
            weight.grad = bias.grad = None
        return loss

    def _refresh(self, place: int) -> None:
        """Bring the factor of one layer up to its weight."""
        if self.dtype != self.expr_z.dtype:
            self.factors[place].copy_(self.layers[place][0].detach())

    def state(self) -> dict:
        """Everything that the next step depends on."""
        return {
            "tissues": self.tissues,
            "layers": [[w.detach() for w in pair] for pair in self.layers],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    @torch.no_grad()
    def restore(self, state: dict) -> None:
        """Take over what `state` of an equal stack returned."""
        for place, pair in enumerate(state["layers"]):
            for ours, theirs in zip(self.layers[place], pair, strict=True):
                ours.copy_(theirs)
            self.optimizers[place].load_state_dict(state["optimizers"][place])
            self._refresh(place)


def plan_waves(
    sizes: Mapping[int, int],
    widths: Sequence[int],
    batch_size: int,
    precision: str,
    device: str,
    budget: float,
) -> list[list[list[int]]]:
    """Decide which tissues are trained together.

    A wave holds stacks that fit into memory side by side; a stack holds tissues with equally many
    batches an epoch, of like size, so that little is padded.

    Parameters
    ----------
    sizes
        Number of pairs of every tissue.
    widths
        Of the layers, as `MLPParameters.widths` returns them.
    budget
        Bytes.

    Returns
    -------
    list[list[list[int]]]
        Waves of stacks of tissues.

    Raises
    ------
    InputError
        Not even one tissue fits.
    """
    layers = [(a + 1) * b for a, b in zip(widths[:-1], widths[1:], strict=True)]
    wide = 8 if precision == "float64" else 4
    narrow = 2 if precision == "bfloat16" else 0
    resident = sum(layers) * (3 * wide + narrow)
    rows = batch_size * (sum(widths) + 5 * widths[0])
    passing = max(layers) * (wide + narrow) + rows * wide
    if resident + passing > budget:
        raise InputError(
            "memory_mb of model mlp" if device == "cpu" else "memory of the GPU",
            f"{budget / 2**20:.0f} MiB",
            f"{(resident + passing) / 2**20:.0f} MiB or more, which one tissue needs",
            "Raise memory_mb, or choose smaller widths." if device == "cpu" else "",
        )
    most = max(1, STACK_WEIGHTS[device] // sum(layers))
    most = min(most, int(budget // (resident + passing)))
    ranked = sorted(sizes, key=lambda tissue: (sizes[tissue], tissue))
    stacks = []
    for n_batches in sorted({-(-n // batch_size) for n in sizes.values()}):
        equal = [tissue for tissue in ranked if -(-sizes[tissue] // batch_size) == n_batches]
        stacks += [part.tolist() for part in np.array_split(equal, -(-len(equal) // most))]
    waves, held, largest = [], np.inf, 0
    for stack in stacks:
        held, largest = held + len(stack) * resident, max(largest, len(stack))
        if held + largest * passing > budget:
            waves.append([])
            held, largest = len(stack) * resident, len(stack)
        waves[-1].append(stack)
    return waves


class _Run:
    """One training run: waves of stacks, progress, checkpoints, the training table."""

    def __init__(self, model: MLP, training: Training, pairs: dict[int, np.ndarray]):
        p = self.parameters = model.parameters
        self.model, self.training, self.pairs = model, training, pairs
        self.device = choose_device(training.device)
        self.precision = choose_precision(p.precision, self.device)
        if self.device == "cuda":
            tf32 = "tf32" if self.precision == "tf32" else "ieee"
            torch.backends.cuda.matmul.fp32_precision = tf32
        cohort = training.cohort
        expr_z = torch.from_numpy(model.scaler.transform(cohort.expr_tpm, cohort.tissue))
        self.expr_z = expr_z.to(
            self.device, torch.float64 if self.precision == "float64" else torch.float32
        )
        self.per_epoch = max(-(-len(rows) // p.batch_size) for rows in pairs.values())
        self.loss, self.seconds = np.zeros(p.epochs), np.zeros(p.epochs)
        self.held_out: dict[int, dict[str, float]] = {}
        self.folder = None if training.checkpoint is None else Path(training.checkpoint)
        self.key = self._key()

    def train(self) -> pd.DataFrame:
        """Train every tissue to the end.

        Returns
        -------
        pd.DataFrame
            One row an epoch: ``epoch`` (passes done), ``step`` (optimiser steps of the tissue
            with most pairs), ``seconds`` of training, all tissues together, ``loss`` (mean over
            tissues) and what the monitor returned.
        """
        left, n_done = dict(self.pairs), 0
        while (saved := self._read(f"wave{n_done}.pt")) is not None:
            for target, layers in saved["fits"].items():
                self.model.fits[target] = [tuple(pair) for pair in layers]
                del left[target]
            self.loss += saved["loss"].numpy()
            self.seconds += saved["seconds"].numpy()
            n_done += 1
        saved = self._read("state.pt")
        waves = []
        if saved is not None and saved["wave"] == n_done:
            waves = [[stack["tissues"] for stack in saved["stacks"]]]
        else:
            saved = None
        planned = {t for wave in waves for stack in wave for t in stack}
        waves += self._plan({t: len(rows) for t, rows in left.items() if t not in planned})
        n_waves = n_done + len(waves)
        if self.training.monitor_every and n_waves > 1:
            LOGGER.warning("not all tissues fit into memory: held-out accuracy at the end alone")
        LOGGER.info(
            "training on %s in %s: %d tissues, %d pairs, %d stacks in %d waves, %d epochs",
            self.device, self.precision, len(left), sum(map(len, left.values())),
            sum(map(len, waves)), n_waves, self.parameters.epochs,
        )  # fmt: skip
        for wave, tissues in enumerate(waves, n_done):
            self._train_wave(wave, n_waves, tissues, saved)
            saved = None
        steps = np.arange(1, self.parameters.epochs + 1)
        table = pd.DataFrame(
            {
                "epoch": steps,
                "step": steps * self.per_epoch,
                "seconds": self.seconds,
                "loss": self.loss / len(self.pairs),
            }
        )
        return table.join(pd.DataFrame.from_dict(self.held_out, orient="index"), on="epoch")

    def _plan(self, sizes: dict[int, int]) -> list[list[list[int]]]:
        if not sizes:
            return []
        p = self.parameters
        budget = p.memory_mb * 2**20
        if self.device == "cuda":
            # A tenth is left to the allocator's fragments and the libraries' workspaces.
            budget = 0.9 * torch.cuda.mem_get_info()[0]
        widths = p.widths(self.expr_z.shape[1])
        return plan_waves(sizes, widths, p.batch_size, self.precision, self.device, budget)

    def _train_wave(
        self, wave: int, n_waves: int, tissues: list[list[int]], saved: dict | None
    ) -> None:
        """Train the stacks of one wave from their first epoch, or from `saved`, to their last."""
        p = self.parameters
        stacks = [
            TissueStack(
                p, {t: self.pairs[t] for t in stack}, self.expr_z, self.precision,
                self.training.seed,
            )
            for stack in tissues
        ]  # fmt: skip
        for stack in stacks:
            self.model.fits |= stack.fits()
        loss, seconds, done = np.zeros(p.epochs), np.zeros(p.epochs), 0
        if saved is not None:
            for stack, state in zip(stacks, saved["stacks"], strict=True):
                stack.restore(state)
            loss, seconds = saved["loss"].numpy(), saved["seconds"].numpy()
            self.held_out, done = saved["held_out"], saved["epoch"]
            LOGGER.info("resumed at epoch %d of %d from %s", done, p.epochs, self.folder)
        started = time.monotonic() - (seconds[done - 1] if done else 0.0)
        name = "mlp" if n_waves == 1 else f"mlp {wave + 1}/{n_waves}"
        with tqdm(
            total=p.epochs, initial=done, unit="epoch", desc=name, disable=None, mininterval=1
        ) as bar:
            for epoch in range(done, p.epochs):
                each = torch.cat([stack.epoch(epoch) for stack in stacks]).cpu().numpy()
                if not np.isfinite(each).all():
                    target = [t for stack in tissues for t in stack][np.isfinite(each).argmin()]
                    raise FloatingPointError(
                        f"loss of {self.model.tissues[target]} is not finite in epoch {epoch + 1}"
                    )
                loss[epoch] = each.sum()
                bar.set_postfix(loss=f"{each.mean():.3f}", refresh=False)
                bar.update()
                if self._watched(epoch + 1, n_waves, wave):
                    self.held_out[epoch + 1] = self.training.monitor(self.model)
                seconds[epoch] = time.monotonic() - started
                due = p.checkpoint_every and (epoch + 1) % p.checkpoint_every == 0
                if due and epoch + 1 < p.epochs:
                    self._write(
                        "state.pt",
                        wave=wave,
                        epoch=epoch + 1,
                        stacks=[stack.state() for stack in stacks],
                        loss=torch.from_numpy(loss),
                        seconds=torch.from_numpy(seconds),
                        held_out=self.held_out,
                    )
        self.loss += loss
        self.seconds += seconds
        if wave + 1 < n_waves:
            fits = {
                tissue: [tuple(w.cpu() for w in pair) for pair in layers]
                for stack in stacks
                for tissue, layers in stack.fits().items()
            }
            self.model.fits |= fits
            if p.checkpoint_every:
                self._write(
                    f"wave{wave}.pt",
                    fits=fits,
                    loss=torch.from_numpy(loss),
                    seconds=torch.from_numpy(seconds),
                )

    def _watched(self, epoch: int, n_waves: int, wave: int) -> bool:
        """Whether the monitor is called after `epoch`: where all tissues have come that far."""
        every = self.training.monitor_every
        if not every:
            return False
        if epoch == self.parameters.epochs:
            return wave + 1 == n_waves
        passed = epoch * self.per_epoch // every > (epoch - 1) * self.per_epoch // every
        return passed and n_waves == 1

    def _key(self) -> str:
        """Digest of what a checkpoint must share with the run that takes it up."""
        cohort, training = self.training.cohort, self.training
        settings = asdict(self.parameters) | {
            "version": CHECKPOINT_VERSION,
            "seed": training.seed,
            "source": training.source,
            "precision": self.precision,
            "donors": list(cohort.donors.index),
            "tissues": cohort.tissues,
            "genes": list(cohort.genes.index),
            "torch": torch.__version__,
            "monitor_every": training.monitor_every,
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        digest.update(self.expr_z.cpu().numpy().data)
        for rows in self.pairs.values():
            digest.update(np.ascontiguousarray(rows).data)
        return digest.hexdigest()

    def _write(self, name: str, **state) -> None:
        if self.folder is None:
            return
        with atomic_path(self.folder / name) as temporary:
            torch.save(state | {"key": self.key}, temporary)
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())

    def _read(self, name: str) -> dict | None:
        """Return a saved state, or None where there is none or it belongs to another run."""
        if self.folder is None or not (self.folder / name).exists():
            return None
        saved = torch.load(self.folder / name, map_location="cpu", weights_only=True)
        if saved["key"] != self.key:
            LOGGER.warning("%s is of other settings or data and is not used", self.folder / name)
            return None
        return saved
