"""Expectation and maximisation for the joint model (methods 8).

The posterior is taken as (factors and noise factors) times (own effects): the first given the
means of the second is an exact Gaussian whose matrices are no larger than the number of factors,
the second given the first stands gene by gene. Every step raises the bound that `Expected.bound`
and `log_prior` add up to. What the second half of an iteration needs of the samples are sums over
them (`Sums`), so that samples may come in shards. Noise is Student's t: a sample that the model
tells badly weighs less (`weigh`).
"""

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from mtm.models.joint.loadings import Loadings, Samples

COVARIATE_PENALTY = 5.0


@dataclass(frozen=True)
class Priors:
    """How strongly loadings are drawn together.

    Parameters
    ----------
    factors
        Of a tissue's loadings towards those of its organ, and of an organ's towards the common
        ones, in samples.
    noise
        Of the noise factors' loadings towards 0, in samples.
    own
        Of a gene's own loadings towards their mean over tissues, in samples.
    variance
        Of what is left of variances towards their mean over tissues, in samples.
    """

    factors: float
    noise: float
    own: float
    variance: float


@dataclass(frozen=True)
class Sums:
    """What one tissue's samples add up to, for q = K + r factors."""

    n: int
    outer: Tensor  # (q, q)
    expr_factors: Tensor  # (G, q)
    own_factors: Tensor  # (G, q)
    expr_own: Tensor  # (G,)
    own_square: Tensor  # (G,)
    expr_square: Tensor  # (G,)

    def __add__(self, other: "Sums") -> "Sums":
        """Return the sums of both sets of samples."""
        names = [item.name for item in fields(self)]
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in names})


class _Products:
    """Products of a tissue's loadings over genes."""

    def __init__(self, loadings: Loadings, tissue: int):
        precision = 1 / loadings.variance[tissue][:, None]
        self.factors = loadings.factors[tissue] * precision
        self.noise = loadings.noise[tissue] * precision
        noise, factors = loadings.noise[tissue], loadings.factors[tissue]
        inner = (noise.T @ self.noise).double()
        self.cross = (noise.T @ self.factors).double()
        self.noise_precision = (
            torch.eye(len(inner), dtype=inner.dtype, device=inner.device) + inner
        )
        self.noise_covariance = torch.linalg.inv(self.noise_precision)
        # Noise factors given the donor's are (projection - carried @ factors).
        self.carried = self.noise_covariance @ self.cross
        self.precision = (factors.T @ self.factors).double() - self.cross.T @ self.carried

    def gene_precision(self, loadings: Loadings, tissue: int) -> Tensor:
        """Return the diagonal of the inverse of the noise's covariance, ``(G,)``."""
        carried = self.noise @ self.noise_covariance.to(self.noise)
        return 1 / loadings.variance[tissue] - (carried * self.noise).sum(1)


@dataclass
class Expected:
    """The posterior of every donor and sample.

    Parameters
    ----------
    factors
        Of donors, ``(n_donors, K)``, float64.
    covariance
        Of their factors, added over donors, ``(K, K)``.
    noise
        Of each tissue's samples, ``(n, r)``, float64.
    own
        Of donors and genes, ``(n_donors, G)``.
    own_square
        Expected squares of the donors of each tissue's samples, added by weight, ``(T, G)``.
    distance
        Expected square of each sample's distance from what is expected of it, in its noise,
        ``(n_samples,)``; about the number of genes.
    noise_given
        Of each tissue, what takes a donor's factors from a sample's noise factors, ``(r, K)``,
        and the covariance of those that is left, ``(r, r)``.
    spread
        Covariances of the donors of each tissue's samples, added by weight, ``(T, K, K)``.
    bound
        Lower bound of the log likelihood.
    """

    factors: Tensor
    covariance: Tensor
    noise: list[Tensor]
    own: Tensor
    own_square: Tensor
    distance: Tensor
    noise_given: list[tuple[Tensor, Tensor]]
    spread: Tensor
    bound: float


def expect(
    loadings: Loadings, samples: Samples, own: Tensor, weight: Tensor, with_own: bool
) -> Expected:
    """Posterior of factors given the own effects `own`, then own effects given the factors.

    The bound is that of the factors and the own effects that came in with their best variance.
    The noise of a sample has the variance of its tissue over its `weight`.
    """
    products = [_Products(loadings, tissue) for tissue in range(len(samples.parts))]
    # Over tissues rather than samples: a product in place of a matrix a sample.
    precisions = torch.stack([of.precision for of in products])
    of_donor = _by_donor(weight, samples)
    before, linear, square = _from_covariates(loadings, samples.covariates.double())
    precision = torch.tensordot(of_donor, precisions, 1) + before
    own_precision = 1 + of_donor.to(own) @ (loadings.own.square() / loadings.variance)
    on_noise, on_factors, distance = [], [], own.new_zeros(len(weight), dtype=torch.float64)
    for tissue, part in enumerate(samples.parts):
        donor, of = samples.donor[part], products[tissue]
        rest = samples.expr_z[part]
        if with_own:
            rest = rest - loadings.own[tissue] * own[donor]
        on_noise.append((rest @ of.noise).double())
        on_factors.append((rest @ of.factors).double() - on_noise[tissue] @ of.carried)
        linear.index_add_(0, donor, weight[part, None] * on_factors[tissue])
        distance[part] = (rest.square() @ (1 / loadings.variance[tissue])).double()
        distance[part] -= ((on_noise[tissue] @ of.noise_covariance) * on_noise[tissue]).sum(1)
        square += weight[part] @ distance[part] - rest.shape[1] * weight[part].log().sum()
        square += len(donor) * loadings.variance[tissue].log().sum(dtype=torch.float64)
        square += len(donor) * torch.logdet(of.noise_precision)
    covariance = torch.linalg.inv(precision)
    own_variance = 1 / own_precision
    told = [of.gene_precision(loadings, tissue) for tissue, of in enumerate(products)]
    told = torch.stack(told) * loadings.own.square()
    apart = torch.tensordot(covariance, precisions, ([1, 2], [1, 2])) + own_variance @ told.T
    factors = (covariance @ linear[:, :, None])[:, :, 0]
    bound = -0.5 * square + 0.5 * (factors * linear).sum() - 0.5 * torch.logdet(precision).sum()
    noise, numerator = [], torch.zeros_like(own)
    for tissue, part in enumerate(samples.parts):
        donor, of = samples.donor[part], products[tissue]
        mean = factors[donor]
        noise.append(on_noise[tissue] @ of.noise_covariance - mean @ of.carried.T)
        distance[part] += ((mean @ of.precision - 2 * on_factors[tissue]) * mean).sum(1)
        distance[part] += apart[donor, tissue]
        if with_own:
            fitted = mean.to(own) @ loadings.factors[tissue].T
            fitted += noise[tissue].to(own) @ loadings.noise[tissue].T
            told = loadings.own[tissue] / loadings.variance[tissue]
            rest = (samples.expr_z[part] - fitted).mul_(weight[part, None].to(own) * told)
            numerator.index_add_(0, donor, rest)
    if with_own:
        bound = bound - 0.5 * (own.square() + own_precision.log()).sum(dtype=torch.float64)
    updated = numerator * own_variance if with_own else own
    noise_given = [(of.carried, of.noise_covariance) for of in products]
    spread = torch.tensordot(of_donor, covariance, ([0], [0]))
    own_square = of_donor.T.to(own) @ (updated.square() + own_variance)
    return Expected(
        factors, covariance.sum(0), noise, updated, own_square, distance, noise_given, spread,
        float(bound),
    )  # fmt: skip


def _from_covariates(loadings: Loadings, covariates: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Precision and linear term of donors' factors given covariates alone; their squares."""
    slope, left = loadings.covariates.double(), loadings.covariate_variance.double()
    eye = torch.eye(slope.shape[1], dtype=torch.float64, device=slope.device)
    square = (covariates.square() / left).sum() + len(covariates) * left.log().sum()
    return eye + (slope.T / left) @ slope, (covariates / left) @ slope, square


def _by_donor(weight: Tensor, samples: Samples) -> Tensor:
    """Weight of each donor's samples of each tissue, ``(n_donors, T)``."""
    n_tissues = len(samples.parts)
    result = weight.new_zeros(samples.n_donors * n_tissues)
    for tissue, part in enumerate(samples.parts):
        result.index_add_(0, samples.donor[part] * n_tissues + tissue, weight[part])
    return result.view(-1, n_tissues)


def weigh(distance: Tensor, n_genes: int, freedom: float) -> Tensor:
    """Weights of samples under Student's t of `freedom` degrees; 0: all weigh 1.

    They maximise the bound, to which each adds ``freedom / 2 * (log(weight) - weight)``.
    """
    if not freedom:
        return torch.ones_like(distance)
    return (freedom + n_genes) / (freedom + distance)


def add_up(samples: Samples, expected: Expected, weight: Tensor, tissue: int) -> Sums:
    """Add up one tissue's samples by their weight."""
    part = samples.parts[tissue]
    donor, expr_z = samples.donor[part], samples.expr_z[part]
    weight = weight[part, None]
    carried, noise_covariance = expected.noise_given[tissue]
    n_factors = expected.factors.shape[1]
    x = torch.cat([expected.factors[donor], expected.noise[tissue]], 1)
    outer = (weight * x).T @ x
    spread = expected.spread[tissue]
    cross = carried @ spread
    outer[:n_factors, :n_factors] += spread
    outer[n_factors:, :n_factors] -= cross
    outer[:n_factors, n_factors:] -= cross.T
    outer[n_factors:, n_factors:] += len(donor) * noise_covariance + cross @ carried.T
    own, x, weight = expected.own[donor], (weight * x).to(expr_z), weight[:, 0].to(expr_z)
    return Sums(
        n=len(donor),
        outer=outer,
        expr_factors=(expr_z.T @ x).double(),
        own_factors=(own.T @ x).double(),
        expr_own=(weight @ (expr_z * own)).double(),
        own_square=expected.own_square[tissue].double(),
        expr_square=(weight @ expr_z.square()).double(),
    )


def maximise(
    loadings: Loadings, sums: list[Sums], organ_of: Tensor, priors: Priors, with_own: bool
) -> Loadings:
    """Raise the bound by the loadings of genes, given what each tissue's samples add up to."""
    n_factors, rank = loadings.factors.shape[2], loadings.noise.shape[2]
    device = loadings.factors.device
    pull = torch.tensor(
        [priors.factors] * n_factors + [priors.noise] * rank, dtype=torch.float64, device=device
    )
    factors, noise, own, variance = [], [], [], []
    for tissue, of in enumerate(sums):
        mean = torch.zeros_like(of.expr_factors)
        mean[:, :n_factors] = loadings.organ[organ_of[tissue]].double()
        a = loadings.own[tissue].double()
        right = of.expr_factors - a[:, None] * of.own_factors + pull * mean
        w = torch.linalg.solve(of.outer + torch.diag(pull), right.T).T
        own_mean = loadings.own_mean.double()
        if with_own:
            towards = of.expr_own - (w * of.own_factors).sum(1) + priors.own * own_mean
            a = (towards / (of.own_square + priors.own)).clamp(min=0)
        square = of.expr_square - 2 * (w * of.expr_factors).sum(1) - 2 * a * of.expr_own
        square += 2 * a * (w * of.own_factors).sum(1) + ((w @ of.outer) * w).sum(1)
        square += a.square() * of.own_square + (pull * (w - mean).square()).sum(1)
        square += priors.own * (a - own_mean).square() * with_own
        square += priors.variance * loadings.variance_mean.double()
        freedom = of.n + n_factors + rank + with_own + priors.variance
        factors.append(w[:, :n_factors])
        noise.append(w[:, n_factors:])
        own.append(a)
        variance.append((square / freedom).clamp(min=1e-6))
    learned = {"factors": factors, "noise": noise, "own": own, "variance": variance}
    return _pool(_with(loadings, **{k: torch.stack(v) for k, v in learned.items()}), organ_of)


def _pool(loadings: Loadings, organ_of: Tensor) -> Loadings:
    """Means that tissues are drawn to, given the tissues."""
    precision = 1 / loadings.variance
    weighted = torch.zeros_like(loadings.organ)
    weighted.index_add_(0, organ_of, loadings.factors * precision[:, :, None])
    total = torch.zeros_like(loadings.organ[:, :, 0]).index_add_(0, organ_of, precision)
    organ = (weighted + loadings.common) / (total + 1)[:, :, None]
    return _with(
        loadings,
        organ=organ,
        common=organ.mean(0),
        own_mean=(loadings.own * precision).sum(0) / precision.sum(0),
        variance_mean=1 / precision.mean(0),
    )


def _with(loadings: Loadings, **values: Tensor) -> Loadings:
    """Put new values in place of old ones, in the precision of the old."""
    of_type = {name: value.to(loadings.factors) for name, value in values.items()}
    return replace(loadings, **of_type)


def maximise_covariates(loadings: Loadings, samples: Samples, expected: Expected) -> Loadings:
    """Raise the bound by the loadings of covariates."""
    n_factors = expected.factors.shape[1]
    covariates = samples.covariates.double()
    outer = expected.factors.T @ expected.factors + expected.covariance
    cross = covariates.T @ expected.factors
    eye = torch.eye(n_factors, dtype=outer.dtype, device=outer.device)
    w = torch.linalg.solve(outer + COVARIATE_PENALTY * eye, cross.T).T
    square = covariates.square().sum(0) - 2 * (w * cross).sum(1) + ((w @ outer) * w).sum(1)
    square += COVARIATE_PENALTY * (1 + w.square().sum(1))
    left = square / (len(covariates) + n_factors + COVARIATE_PENALTY)
    return _with(loadings, covariates=w, covariate_variance=left)


def log_prior(loadings: Loadings, organ_of: Tensor, priors: Priors, with_own: bool) -> float:
    """Log density of the loadings, up to a constant."""
    factors, organ = loadings.factors.double(), loadings.organ.double()
    variance, pooled = loadings.variance.double(), loadings.variance_mean.double()
    square = priors.factors * (factors - organ[organ_of]).square().sum(2)
    square += priors.noise * loadings.noise.double().square().sum(2)
    square += priors.own * (loadings.own.double() - loadings.own_mean).square() * with_own
    free = factors.shape[2] + loadings.noise.shape[2] + with_own
    of_genes = (square + priors.variance * pooled) / variance
    of_genes += (free + priors.variance) * variance.log() - priors.variance * pooled.log()
    of_organs = priors.factors * (organ - loadings.common.double()).square().sum()
    left, slope = loadings.covariate_variance.double(), loadings.covariates.double()
    of_covariates = COVARIATE_PENALTY * (1 + slope.square().sum(1)) / left
    of_covariates += (slope.shape[1] + COVARIATE_PENALTY) * left.log()
    return float(-0.5 * (of_genes.sum() + of_organs + of_covariates.sum()))


@dataclass(frozen=True)
class State:
    """Where a fit stands.

    Parameters
    ----------
    loadings
        After the last iteration.
    own
        Own effects of donors' genes, ``(n_donors, G)``.
    weight
        Of samples, ``(n_samples,)``, float64.
    iteration
        Iterations done.
    bound, rise
        The bound before the last iteration, and by how much the one before it had raised it.
    """

    loadings: Loadings
    own: Tensor
    weight: Tensor
    iteration: int = 0
    bound: float = -math.inf
    rise: float = math.inf

    @classmethod
    def start(cls, loadings: Loadings, samples: Samples) -> "State":
        """Start a fit; the first own effects follow from the first loadings."""
        n_samples, n_genes = samples.expr_z.shape
        own = samples.expr_z.new_zeros((samples.n_donors, n_genes))
        return cls(loadings, own, own.new_ones(n_samples, dtype=torch.float64))

    def ended(self, tolerance: float, samples: Samples) -> bool:
        """Whether an iteration raises the bound by less than `tolerance`, a sample and gene."""
        return self.rise < tolerance * samples.expr_z.numel()

    def to_dict(self) -> dict:
        """Return plain values and tensors alone."""
        return vars(self) | {"loadings": self.loadings.values()}

    @classmethod
    def from_dict(cls, values: dict, device: torch.device) -> "State":
        """Take over what `to_dict` returned."""
        own, weight = values["own"].to(device), values["weight"].to(device)
        loadings = Loadings(**values["loadings"]).to(device)
        return cls(**values | {"own": own, "weight": weight, "loadings": loadings})


def iterate(
    state: State,
    samples: Samples,
    organ_of: Tensor,
    priors: Priors,
    with_own: bool,
    freedom: float = 0.0,
) -> State:
    """Expect once, maximise once; noise is Gaussian where `freedom` is 0."""
    expected = expect(state.loadings, samples, state.own, state.weight, with_own)
    bound = expected.bound + log_prior(state.loadings, organ_of, priors, with_own)
    bound += 0.5 * freedom * float((state.weight.log() - state.weight).sum())
    sums = [
        add_up(samples, expected, state.weight, tissue) for tissue in range(len(samples.parts))
    ]
    loadings = maximise(state.loadings, sums, organ_of, priors, with_own)
    loadings = maximise_covariates(loadings, samples, expected)
    weight = weigh(expected.distance, samples.expr_z.shape[1], freedom)
    return State(loadings, expected.own, weight, state.iteration + 1, bound, bound - state.bound)
