"""What the joint model learns of tissues and genes, and the samples it learns it from."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtm.models.layout import Layout, summary


@dataclass(frozen=True)
class Samples:
    """Samples of donors, tissue after tissue.

    Parameters
    ----------
    expr_z
        Shape ``(n_samples, n_genes)``, sorted by tissue.
    donor
        Donor of each sample, shape ``(n_samples,)``, int64.
    parts
        The samples of each tissue.
    covariates
        Standardised covariates of each donor, shape ``(n_donors, n_covariates)``.
    """

    expr_z: Tensor
    donor: Tensor
    parts: tuple[slice, ...]
    covariates: Tensor

    @classmethod
    def of(
        cls,
        expr_z: np.ndarray,
        donor: np.ndarray,
        tissue: np.ndarray,
        covariates: np.ndarray,
        n_tissues: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> "Samples":
        """Sort samples by tissue and put them on `device`."""
        order = np.argsort(tissue, kind="stable")
        ends = np.cumsum(np.bincount(tissue, minlength=n_tissues))
        starts = np.concatenate([[0], ends[:-1]])
        return cls(
            torch.from_numpy(expr_z[order]).to(device, dtype),
            torch.from_numpy(donor[order]).to(device),
            tuple(slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True)),
            torch.from_numpy(covariates).to(device, dtype),
        )

    @property
    def n_donors(self) -> int:
        """Number of donors."""
        return len(self.covariates)


def loadings_layout(
    shape: tuple[int, int], n_organs: int, n_factors: int, noise_rank: int
) -> Layout:
    """Return the arrays of `Loadings` of so many tissues and genes."""
    n_genes = shape[1]
    return {
        "factors": summary((*shape, n_factors)),
        "noise": summary((*shape, noise_rank)),
        "own": summary(shape, low=0.0),
        "variance": summary(shape, above=0.0),
        "organ": summary((n_organs, n_genes, n_factors)),
        "common": summary((n_genes, n_factors)),
        "own_mean": summary((n_genes,), low=0.0),
        "variance_mean": summary((n_genes,), above=0.0),
        "covariates": summary(("covariates", n_factors)),
        "covariate_variance": summary(("covariates",), above=0.0),
    }


# Means over tissues of what each has of its own.
MEANS = ("organ", "common", "own_mean")


@dataclass(frozen=True)
class Loadings:
    """Everything that is learned; T tissues, G genes, K factors, r noise factors, p covariates.

    Parameters
    ----------
    factors
        How a donor's factors move genes in a tissue, shape ``(T, G, K)``.
    noise
        How a sample's own noise factors move its genes, shape ``(T, G, r)``.
    own
        How a gene's own donor effect moves it in a tissue, shape ``(T, G)``, none negative.
    variance
        What is left of a gene's variance in a tissue, shape ``(T, G)``.
    organ, common
        Means of `factors` over the tissues of an organ, ``(n_organs, G, K)``, and of organs,
        ``(G, K)``.
    own_mean, variance_mean
        What `own` and `variance` are drawn to, shape ``(G,)``.
    covariates, covariate_variance
        How factors move covariates, ``(p, K)``, and what is left of them, ``(p,)``.
    """

    factors: Tensor
    noise: Tensor
    own: Tensor
    variance: Tensor
    organ: Tensor
    common: Tensor
    own_mean: Tensor
    variance_mean: Tensor
    covariates: Tensor
    covariate_variance: Tensor

    @classmethod
    def start(
        cls,
        samples: Samples,
        organ_of: Tensor,
        n_factors: int,
        noise_rank: int,
        own: float,
        generator: torch.Generator,
    ) -> "Loadings":
        """Small loadings, the same in all tissues: large ones stick where they start."""
        n_tissues, n_genes = len(samples.parts), samples.expr_z.shape[1]
        like = samples.expr_z

        def normal(scale: float, *shape: int) -> Tensor:
            drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return (scale * drawn).to(like)

        common = normal(0.03, n_genes, n_factors)
        n_covariates = samples.covariates.shape[1]
        return cls(
            factors=common.repeat(n_tissues, 1, 1),
            noise=normal(0.1, n_tissues, n_genes, noise_rank),
            own=like.new_full((n_tissues, n_genes), own),
            variance=like.new_full((n_tissues, n_genes), 0.7),
            organ=common.repeat(int(organ_of.max()) + 1, 1, 1),
            common=common,
            own_mean=like.new_full((n_genes,), own),
            variance_mean=like.new_full((n_genes,), 0.7),
            covariates=like.new_zeros((n_covariates, n_factors)),
            covariate_variance=like.new_ones(n_covariates),
        )

    def of_tissues(self, tissues: list[int] | slice) -> "Loadings":
        """Keep some tissues alone."""
        names = ("factors", "noise", "own", "variance")
        return replace(self, **{name: getattr(self, name)[tissues] for name in names})

    def without(self, tissues: np.ndarray) -> "Loadings":
        """Let samples of some tissues tell nothing, and nothing be told of them.

        What loadings are drawn to goes, too: fits alone use it, and a tissue's own loadings are
        what its means hold beside those of all others.
        """
        if not len(tissues):
            return self
        given = torch.from_numpy(tissues).to(self.factors.device)
        moved = ("factors", "noise", "own")
        kept = {name: getattr(self, name).index_fill(0, given, 0.0) for name in moved}
        kept |= {name: torch.zeros_like(getattr(self, name)) for name in MEANS}
        return replace(
            self,
            **kept,
            variance=self.variance.index_fill(0, given, 1.0),
            variance_mean=torch.ones_like(self.variance_mean),
        )

    def values(self) -> dict[str, Tensor]:
        """Return everything by its name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def information(self) -> tuple[Tensor, Tensor]:
        """What a sample of each tissue says of a donor's K factors and G own effects, float64.

        With L = [factors, diag(own)] and the noise's covariance R, ``R^-1 L``, ``(T, G, K + G)``,
        and ``L' R^-1 L``, ``(T, K + G, K + G)``: for few genes alone.
        """
        noise = self.noise.double()
        covariance = noise @ noise.mT + torch.diag_embed(self.variance.double())
        latent = torch.cat([self.factors, torch.diag_embed(self.own)], 2).double()
        scaled = torch.linalg.solve(covariance, latent)
        return scaled, latent.mT @ scaled

    def to(self, device: torch.device | str) -> "Loadings":
        """Put everything on `device`."""
        return Loadings(**{name: values.to(device) for name, values in self.values().items()})

    def arrays(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return everything as named arrays."""
        return {prefix + name: values.numpy() for name, values in self.values().items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], prefix: str = "") -> "Loadings":
        """Take over what `arrays` returned."""
        names = [item.name for item in fields(cls)]
        return cls(**{name: torch.from_numpy(arrays[prefix + name]) for name in names})
