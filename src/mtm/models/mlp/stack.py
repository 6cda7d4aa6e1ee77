"""Networks of several tissues trained together as batched matrix products."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtm.errors import InputError
from mtm.models.networks import LEAKY_SLOPE
from mtm.settings.models.mlp import MLPParameters

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


def forward(x: Tensor, layers: Layers, parameters: MLPParameters) -> Tensor:
    """Map source to target z-scores of one tissue, both of shape ``(n_rows, n_genes)``."""
    for (weight, bias), rectified in zip(layers, parameters.rectified(), strict=True):
        x = functional.linear(x, weight, bias)
        if rectified:
            x = functional.leaky_relu_(x, LEAKY_SLOPE)
    return x


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
            # Deviation: one over both halves, which steps every weight as the code's two.
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
