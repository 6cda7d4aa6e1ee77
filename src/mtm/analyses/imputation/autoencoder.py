"""A variational autoencoder of samples, given their tissue: three likelihoods, one penalty.

Kingma and Welling 2014; counts as Lopez et al. 2018 (scVI); the penalty on what a code tells of
the tissue as Cao et al. 2021 (SAILER) (methods 6.24).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from mtm.analyses.imputation.likelihoods import nb_log_likelihood, zinb_log_likelihood
from mtm.analyses.one_cycle import stepper, train_to_best
from mtm.settings.imputation import AutoencoderSettings

LN2 = float(np.log(2))
ROWS_AT_A_TIME = 4096
# TPM that a count's mean is at least made of.
LEAST_TPM = 1e-2
# Between counts spread without end and Poisson's.
LOG_SIZES = (-4.0, 12.0)
# Norm of a step's gradient.
MOST_GRADIENT = 1000.0


@dataclass(frozen=True)
class Inputs:
    """Samples as an autoencoder takes them, tensors on one device.

    Parameters
    ----------
    values
        Standardised expression, shape ``(n_samples, n_genes)``, float32.
    tissue
        Shape ``(n_samples,)``, int64.
    counts, exposure
        Read counts and what a TPM is in counts, shape ``(n_samples, n_genes)``, float32; None
        where the likelihood is Gaussian.
    """

    values: torch.Tensor
    tissue: torch.Tensor
    counts: torch.Tensor | None = None
    exposure: torch.Tensor | None = None

    def of(self, rows: torch.Tensor) -> "Inputs":
        """Return some of the samples."""
        kept = {name: value[rows] for name, value in vars(self).items() if value is not None}
        return replace(self, **kept)


class Perceptron(nn.Module):
    """Hidden layers, the first scaled by the tissue, and a linear map beside them.

    Parameters
    ----------
    n_inputs, n_tissues, n_outputs
        Features, tissues that it is told (0 for none), and what it makes of them.
    widths
        Of the hidden layers.
    """

    def __init__(self, n_inputs: int, n_tissues: int, widths: Sequence[int], n_outputs: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.GELU()]
        self.first = nn.Linear(n_inputs + n_tissues, widths[0])
        self.scale = nn.Parameter(torch.zeros(n_tissues, widths[0]))
        self.rest = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))
        self.straight = nn.Linear(n_inputs + n_tissues, n_outputs)

    def forward(self, x: torch.Tensor, tissue: torch.Tensor) -> torch.Tensor:
        """Map features, given columns of 1 and 0 that say which tissue it is."""
        both = torch.cat([x, tissue], 1)
        hidden = nn.functional.gelu(self.first(both)) * (1 + tissue @ self.scale)
        return self.rest(hidden) + self.straight(both)


class Autoencoder(nn.Module):
    """Encoder of values and of which are known, decoder of a code and the tissue.

    Parameters
    ----------
    n_genes, n_tissues
        Of the samples.
    likelihood
        ``"gaussian"``, ``"nb"`` or ``"zinb"``.
    settings
        Layers and training.
    tissue_mean, tissue_sd
        Of log2(1+TPM), shape ``(n_tissues, n_genes)``: what makes means of counts of standardised
        values. None where the likelihood is Gaussian.
    told_tissue
        Whether the encoder is told the tissue, too.
    """

    def __init__(
        self,
        n_genes: int,
        n_tissues: int,
        likelihood: str,
        settings: AutoencoderSettings,
        tissue_mean: torch.Tensor | None = None,
        tissue_sd: torch.Tensor | None = None,
        told_tissue: bool = True,
    ):
        super().__init__()
        self.n_tissues, self.likelihood, self.told_tissue = n_tissues, likelihood, told_tissue
        self.tissue_mean, self.tissue_sd = tissue_mean, tissue_sd
        widths, width = settings.widths, settings.code_width
        self.encoder = Perceptron(2 * n_genes, n_tissues * told_tissue, widths, 2 * width)
        self.decoder = Perceptron(width, n_tissues, widths[::-1], n_genes)
        self.spread = nn.Parameter(torch.zeros(n_genes))
        if tissue_mean is not None:
            self.log_size = log_sizes(tissue_mean, tissue_sd)
        if likelihood == "zinb":
            self.dropped = nn.Linear(width, n_genes)
            nn.init.constant_(self.dropped.bias, -5)

    def encode(self, inputs: Inputs, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of codes, ``(n_samples, width)``; `known` is 1 or 0 a value."""
        tissue = self._which(inputs)[:, : self.n_tissues * self.told_tissue]
        both = self.encoder(torch.cat([inputs.values * known, known], 1), tissue)
        mean, log_variance = both.chunk(2, 1)
        return mean, log_variance.clamp(-10, 10)

    def decode(self, code: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """Standardised values that codes stand for."""
        return self.decoder(code, self._which(inputs))

    def log_likelihood(self, code: torch.Tensor, inputs: Inputs) -> torch.Tensor:
        """Of each value, or each count, given a code; ``(n_samples, n_genes)``."""
        told = self.decode(code, inputs)
        if self.likelihood == "gaussian":
            return -0.5 * ((inputs.values - told).square() * (-self.spread).exp() + self.spread)
        log2_tpm = self.tissue_mean[inputs.tissue] + self.tissue_sd[inputs.tissue] * told
        tpm = torch.expm1(LN2 * log2_tpm.clamp(max=24)).clamp(min=LEAST_TPM)
        mean, log_size = inputs.exposure * tpm, self.log_size[inputs.tissue] - self.spread
        if self.likelihood == "nb":
            return nb_log_likelihood(inputs.counts, mean, log_size)
        return zinb_log_likelihood(inputs.counts, mean, log_size, self.dropped(code))

    def _which(self, inputs: Inputs) -> torch.Tensor:
        """Which tissue it is, one column each."""
        return nn.functional.one_hot(inputs.tissue, self.n_tissues).to(inputs.values.dtype)


def log_sizes(tissue_mean: torch.Tensor, tissue_sd: torch.Tensor) -> torch.Tensor:
    """Log sizes of negative binomials as spread as genes are in tissues, ``(n_tissues, n_genes)``.

    Of counts in the hundreds the variance of logarithms is 1 / size. With sizes of genes alone,
    tissues in which a gene varies little tell a training next to nothing.

    Parameters
    ----------
    tissue_mean, tissue_sd
        Of log2(1+TPM), shape ``(n_tissues, n_genes)``.
    """
    least = tissue_mean.clamp(min=math.log2(1 + LEAST_TPM))
    # The sd of ln(TPM): the derivative of it by log2(1+TPM) is ln 2 (1+TPM) / TPM.
    sd = LN2 * tissue_sd / (1 - (-least).exp2())
    return (-2 * sd.clamp(min=1e-3).log()).clamp(*LOG_SIZES)


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(q || N(0, I)) of each code, ``(n_samples,)``."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


def mean_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Mean of KL(q_i || q_j) over all pairs of samples: the most that codes tell of them."""
    variance, precision = log_variance.exp(), (-log_variance).exp()
    square = (variance + mean.square()).mean(0) * precision.mean(0)
    square = square - 2 * mean.mean(0) * (mean * precision).mean(0)
    square = square + (mean.square() * precision).mean(0)
    return 0.5 * (square - 1).sum()


def train(
    net: Autoencoder,
    kept: Inputs,
    left_out: Inputs,
    settings: AutoencoderSettings,
    masked: float,
    penalty: float,
    seed: int,
) -> Autoencoder:
    """Train, and keep the weights that tell best what fails in samples left out.

    In every step a sample's genes fail with a probability between 0 and twice `masked`, its own.

    Parameters
    ----------
    net
        Untrained.
    kept, left_out
        Samples to train on, and those of other donors that say when to stop.
    settings
        Of the training.
    masked
        Mean share of genes that fail.
    penalty
        Weight of `mean_divergence`, as a multiple of ``settings.kl_weight``.
    seed
        Of masks, codes and the order of samples.
    """
    random = torch.Generator().manual_seed(seed)
    hidden = (torch.rand(left_out.values.shape, generator=random) < masked).to(left_out.values)
    passes = _passes(net, kept, settings, masked, penalty, random)
    train_to_best(net, passes, lambda: _error(net, left_out, hidden), settings)
    return net


def _passes(
    net: Autoencoder,
    kept: Inputs,
    settings: AutoencoderSettings,
    masked: float,
    penalty: float,
    random: torch.Generator,
) -> Iterator[None]:
    """Train pass by pass, and yield after each."""
    steps = settings.epochs * -(-len(kept.values) // settings.batch_size)
    step = stepper(net, settings.learning_rate, steps, MOST_GRADIENT)
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(kept.values), generator=random).split(settings.batch_size):
            batch = kept.of(rows.to(kept.values.device))
            share = 2 * masked * torch.rand(len(rows), 1, generator=random)
            known = torch.rand(batch.values.shape, generator=random) >= share
            mean, log_variance = net.encode(batch, known.to(batch.values))
            noise = torch.randn(mean.shape, generator=random).to(mean)
            code = mean + noise * (log_variance / 2).exp()
            told = net.log_likelihood(code, batch).sum(1).mean()
            cost = divergence(mean, log_variance).mean()
            if penalty:
                cost = cost + penalty * mean_divergence(mean, log_variance)
            step(settings.kl_weight * cost - (1 + penalty) * told)
        yield


@torch.no_grad()
def _error(net: Autoencoder, inputs: Inputs, hidden: torch.Tensor) -> float:
    """Squared error of hidden values by the mean code of the others; mean of values.

    Not their likelihood: spreads are of all genes, most of which the encoder was shown, so what is
    hidden grows unlikely long before it is told worse.
    """
    squares = 0.0
    for rows in _parts(inputs):
        part = inputs.of(rows)
        told = net.decode(net.encode(part, 1 - hidden[rows])[0], part)
        squares += float(((part.values - told).square() * hidden[rows]).sum())
    return squares / max(float(hidden.sum()), 1)


def _parts(inputs: Inputs) -> Iterator[torch.Tensor]:
    """Rows of some samples at a time."""
    rows = torch.arange(len(inputs.values), device=inputs.values.device)
    yield from rows.split(ROWS_AT_A_TIME)


@torch.no_grad()
def reconstruct(net: Autoencoder, inputs: Inputs, known: torch.Tensor) -> torch.Tensor:
    """Decode the mean code of what is known, ``(n_samples, n_genes)``."""
    told = []
    for rows in _parts(inputs):
        part = inputs.of(rows)
        told.append(net.decode(net.encode(part, known[rows])[0], part))
    return torch.cat(told)


@torch.no_grad()
def codes(net: Autoencoder, inputs: Inputs) -> np.ndarray:
    """Mean codes of whole samples, ``(n_samples, width)``, float32."""
    means = []
    for rows in _parts(inputs):
        part = inputs.of(rows)
        means.append(net.encode(part, torch.ones_like(part.values))[0])
    return torch.cat(means).cpu().numpy()
