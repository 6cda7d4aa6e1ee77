"""MTM's four networks and their tissue conditioning (methods 1.2, bug B1 of 1.5)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtm.models.networks import LEAKY_SLOPE
from mtm.settings.models.mtm import SpectralNorm

NORM_EPS = 2e-5


class _TissueNorm(torch.autograd.Function):
    """Normalise each row, apply its tissue's affine map, leaky ReLU and dropout: one pass each.

    Written by hand because the unbiased standard deviation and the epsilon outside the root keep
    the library's layer norm from doing it, and because autograd's own chain of small operations
    costs more than the matrix products around it.
    """

    @staticmethod
    def forward(ctx, h, gamma, beta, tissue, inverse_sigma, keep, out_dtype):
        width = h.shape[1]
        # The tiny epsilon makes a constant row 0 instead of NaN and is otherwise below rounding.
        normal, _, rstd = torch.native_layer_norm(h.to(gamma.dtype), (width,), None, None, 1e-30)
        sd = math.sqrt(width / max(width - 1, 1)) / rstd
        shrunk = 1 / (sd + NORM_EPS)
        normal.mul_(shrunk / rstd)
        slope = gamma.index_select(0, tissue)
        if inverse_sigma is not None:
            slope.mul_(inverse_sigma)
        out = functional.leaky_relu_(
            beta.index_select(0, tissue).addcmul_(slope, normal), LEAKY_SLOPE
        )
        if keep is not None:
            out.mul_(keep)
        ctx.save_for_backward(normal, slope, out, sd, shrunk, tissue, inverse_sigma, keep)
        ctx.n_tissues = gamma.shape[0]
        ctx.h_dtype = h.dtype
        return out.to(out_dtype) if out_dtype != out.dtype else out

    @staticmethod
    def backward(ctx, grad):
        normal, slope, out, sd, shrunk, tissue, inverse_sigma, keep = ctx.saved_tensors
        width = normal.shape[1]
        # `out` has the sign of what went into the leaky ReLU, or is 0 where `keep` is.
        grad = torch.ops.aten.leaky_relu_backward(grad.to(out.dtype), out, LEAKY_SLOPE, True)
        if keep is not None:
            grad.mul_(keep)
        weighted = grad * normal
        inner = torch.linalg.vecdot(weighted, slope).unsqueeze(1)
        dgamma = dbeta = dsigma = dh = None
        if ctx.needs_input_grad[4]:
            dsigma = inner / inverse_sigma
        if ctx.needs_input_grad[2]:
            dbeta = grad.new_zeros(ctx.n_tissues, width).index_add_(0, tissue, grad)
        if ctx.needs_input_grad[0]:
            dnormal = grad.mul_(slope)
            pull = inner / (sd * shrunk).clamp_min(1e-30) / max(width - 1, 1)
            dh = dnormal.sub_(dnormal.mean(1, keepdim=True)).addcmul_(normal, -pull)
            dh = dh.mul_(shrunk).to(ctx.h_dtype)
        if ctx.needs_input_grad[1]:
            if inverse_sigma is not None:
                weighted.mul_(inverse_sigma)
            dgamma = weighted.new_zeros(ctx.n_tissues, width).index_add_(0, tissue, weighted)
        return dh, dgamma, dbeta, None, dsigma, None, None


class Dropout:
    """Dropout masks from a generator of their own, so that a run can be resumed exactly.

    Parameters
    ----------
    probability
        Share of activations set to 0; the others are scaled by 1 / (1 - probability).
    generator
        On the device of the activations.
    """

    def __init__(self, probability: float, generator: torch.Generator):
        self.probability, self.generator = probability, generator

    def mask(self, rows: int, width: int, like: Tensor) -> Tensor | None:
        """Return 0 or 1 / (1 - probability), shape ``(rows, width)``, dtype of `like`."""
        if self.probability == 0:
            return None
        if like.device.type == "cpu":
            # Four 16-bit draws from one 64-bit one: the generator is what dropout costs on a CPU.
            words = torch.empty(-(-rows * width // 4), dtype=torch.int64)
            words.random_(-(2**63), None, generator=self.generator)
            bits = words.view(torch.int16)[: rows * width].view(rows, width)
            cut = round(self.probability * 2**16)
            keep = (bits >= cut - 2**15).to(like.dtype)
            return keep.mul_(2**16 / (2**16 - cut))
        keep = torch.empty(rows, width, dtype=like.dtype, device=like.device)
        keep.bernoulli_(1 - self.probability, generator=self.generator)
        return keep.div_(1 - self.probability)


class _Spectral(nn.Module):
    """Power iteration for the largest singular value of one matrix, as torch's spectral norm."""

    def __init__(self, shape: tuple[int, int]):
        super().__init__()
        rows, columns = shape
        self.register_buffer("u", functional.normalize(torch.randn(rows), dim=0, eps=1e-12))
        self.register_buffer("v", functional.normalize(torch.randn(columns), dim=0, eps=1e-12))

    def inverse_sigmas(self, matrix: Tensor, segments: Sequence[int]) -> Tensor:
        """Return 1 / sigma for every row of a batch, shape ``(sum(segments), 1)``.

        The published code calls the discriminator once a segment and iterates once a call; one
        fused call iterates as often and gives every segment the sigma it would have had.
        """
        parts = []
        still = matrix.detach()
        with torch.autocast(matrix.device.type, enabled=False):
            for length in segments:
                if self.training:
                    self.v.copy_(functional.normalize(still.t() @ self.u, dim=0, eps=1e-12))
                    self.u.copy_(functional.normalize(still @ self.v, dim=0, eps=1e-12))
                sigma = torch.dot(self.u.clone(), torch.mv(matrix, self.v.clone()))
                parts.append((1 / sigma).expand(length, 1))
        return torch.cat(parts)


class TissueConditioned(nn.Module):
    """Linear layer, row-wise normalisation, per-tissue affine map, leaky ReLU (TCM, methods 1.2).

    Parameters
    ----------
    n_in, n_out
        Features in and out.
    n_tissues
        Rows of `gamma` and `beta`.
    spectral
        What spectral normalisation divides: ``"gamma"`` as the published code does by mistake
        (bug B1), ``"weight"`` (the linear map), or ``"off"``.
    """

    def __init__(self, n_in: int, n_out: int, n_tissues: int, spectral: SpectralNorm = "off"):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.gamma = nn.Parameter(torch.ones(n_tissues, n_out))
        self.beta = nn.Parameter(torch.zeros(n_tissues, n_out))
        self.spectral = spectral
        if spectral == "gamma":
            self.power = _Spectral((n_tissues, n_out))
        elif spectral == "weight":
            self.power = _Spectral((n_out, n_in))

    def forward(
        self,
        x: Tensor,
        tissue: Tensor,
        dropout: Dropout | None = None,
        segments: Sequence[int] = (),
        frozen: bool = False,
    ) -> Tensor:
        """Map ``(n, n_in)`` to ``(n, n_out)``; `tissue` int64 of shape ``(n,)``.

        `segments` are the lengths of the parts of the batch that count as calls of their own for
        the power iteration; `frozen` passes gradients through but gives the layer none.
        """
        weight, bias, gamma, beta = self.linear.weight, self.linear.bias, self.gamma, self.beta
        if frozen:
            weight, bias, gamma, beta = (p.detach() for p in (weight, bias, gamma, beta))
        inverse_sigma = None
        if self.spectral == "weight":
            scale = self.power.inverse_sigmas(weight, segments or (len(x),))
            h = functional.linear(x, weight).to(bias.dtype) * scale + bias
        else:
            h = functional.linear(x, weight, bias)
            if self.spectral == "gamma":
                inverse_sigma = self.power.inverse_sigmas(gamma, segments or (len(x),))
        keep = dropout.mask(len(x), h.shape[1], gamma) if dropout else None
        return _TissueNorm.apply(h, gamma, beta, tissue, inverse_sigma, keep, h.dtype)


class ConditionedStack(nn.Module):
    """Tissue-conditioned layers and a linear end: MTM's encoder and generator (methods 1.2).

    Parameters
    ----------
    widths
        Features before, between and after the layers, ``(n_in, hidden ..., n_out)``.
    n_tissues
        Number of tissues.
    """

    def __init__(self, widths: Sequence[int], n_tissues: int):
        super().__init__()
        self.layers = nn.ModuleList(
            TissueConditioned(a, b, n_tissues)
            for a, b in zip(widths[:-2], widths[1:-1], strict=True)
        )
        self.last = nn.Linear(widths[-2], widths[-1])

    def forward(self, x: Tensor, tissue: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Map ``(n, n_in)`` to ``(n, n_out)``; without `dropout` this is the evaluation mode."""
        for layer in self.layers:
            x = layer(x, tissue, dropout)
        return self.last(x)

    def activations(self, x: Tensor, tissue: Tensor) -> list[Tensor]:
        """Return the output of every layer, the linear end included (methods 3, decoding path)."""
        outputs = []
        for layer in self.layers:
            x = layer(x, tissue)
            outputs.append(x)
        return [*outputs, self.last(x)]


def stack_shapes(widths: Sequence[int], n_tissues: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the state of a `ConditionedStack`, without making one."""
    shapes: dict[str, tuple[int, ...]] = {}
    for place, (n_in, n_out) in enumerate(pairwise(widths[:-1])):
        layer = f"layers.{place}."
        shapes |= {f"{layer}gamma": (n_tissues, n_out), f"{layer}beta": (n_tissues, n_out)}
        shapes |= {f"{layer}linear.weight": (n_out, n_in), f"{layer}linear.bias": (n_out,)}
    return shapes | {"last.weight": (widths[-1], widths[-2]), "last.bias": (widths[-1],)}


class Discriminator(nn.Module):
    """Tissue-conditioned critic with one scalar head (methods 1.2).

    Parameters
    ----------
    widths
        ``(n_genes, hidden ...)``; the head follows.
    spectral
        See `TissueConditioned`; the head's weight is normalised unless ``"off"``.
    """

    def __init__(self, widths: Sequence[int], n_tissues: int, spectral: SpectralNorm):
        super().__init__()
        self.layers = nn.ModuleList(
            TissueConditioned(a, b, n_tissues, spectral)
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.last = nn.Linear(widths[-1], 1)
        self.power = None if spectral == "off" else _Spectral((1, widths[-1]))

    def forward(
        self, x: Tensor, tissue: Tensor, segments: Sequence[int] = (), frozen: bool = False
    ) -> Tensor:
        """Score expression of shape ``(n, n_genes)``; returns ``(n, 1)``."""
        for layer in self.layers:
            x = layer(x, tissue, segments=segments, frozen=frozen)
        weight, bias = self.last.weight, self.last.bias
        if frozen:
            weight, bias = weight.detach(), bias.detach()
        score = functional.linear(x, weight).to(bias.dtype)
        if self.power is not None:
            score = score * self.power.inverse_sigmas(weight, segments or (len(x),))
        return score + bias


class Mapping(nn.Module):
    """Gaussian noise to codes, not conditioned on tissue (methods 1.2).

    Parameters
    ----------
    widths
        ``(noise, hidden ..., code)``.
    """

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(self, noise: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Map ``(n, noise)`` to ``(n, code)``."""
        x = noise
        for layer in self.layers[:-1]:
            x = functional.leaky_relu(layer(x), LEAKY_SLOPE)
            keep = dropout.mask(*x.shape, x) if dropout else None
            x = x if keep is None else x * keep
        return self.layers[-1](x)
