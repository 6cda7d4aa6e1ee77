"""How predictions are scored."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from mtm.errors import InputError

MIN_DONORS = 5


@dataclass(frozen=True)
class AccuracySettings:
    """The accuracy section of the config.

    Parameters
    ----------
    predictable_rho
        A gene is predictable where per-fold rho exceeds this.
    predictable_q
        And its q-value is below this.
    permutations
        Permutations of donors for null intervals and p-values, 1 or more.
    bootstraps
        Bootstrap samples of donors for confidence intervals, 1 or more.
    min_donors_per_fold
        Held-out donors that a tissue must have in a fold for a correlation there, 4 or more.
    null_genes, bootstrap_genes
        Largest number of genes, drawn at random, that are permuted and resampled.
    seed
        Seed of the permutations, the bootstrap samples and the gene samples.
    """

    predictable_rho: float = 0.3
    predictable_q: float = 0.05
    permutations: int = 1000
    bootstraps: int = 1000
    min_donors_per_fold: int = MIN_DONORS
    null_genes: int = 2000
    bootstrap_genes: int = 2000
    seed: int = 0

    def __post_init__(self):
        for key in ("permutations", "bootstraps", "null_genes", "bootstrap_genes"):
            if getattr(self, key) < 1:
                raise InputError(f"accuracy.{key}", str(getattr(self, key)), "1 or more")
        if self.min_donors_per_fold < 4:
            raise InputError(
                "accuracy.min_donors_per_fold",
                str(self.min_donors_per_fold),
                "4 or more",
                "The weight of a fold is its number of donors less 3.",
            )

    @classmethod
    def of(cls, values: Mapping) -> "AccuracySettings":
        """Build settings from config values; an unknown key raises `InputError`."""
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                raise InputError("accuracy", repr(key), f"one of {', '.join(known)}")
        return cls(**values)
