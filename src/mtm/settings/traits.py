"""How trait associations are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from mtm.errors import InputError


@dataclass(frozen=True)
class TraitSettings:
    """How trait associations are compared; of the traits section of the config.

    Parameters
    ----------
    columns
        Columns of donors, each numeric or of two levels.
    min_per_level
        Least number of held-out donors of each level of a two-level trait in a tissue; what makes
        a tissue sex-neutral.
    min_genes
        Least number of predictable genes of a tissue.
    permutations, bootstraps, splits
        Permutations of the trait, bootstrap samples and random halves of donors.
    sampled_genes
        Genes, drawn at random where there are more, that are permuted, resampled and halved.
    seed
        Seed of all of these.
    """

    columns: Sequence[str] = ("age", "sex")
    min_per_level: int = 10
    min_genes: int = 10
    permutations: int = 1000
    bootstraps: int = 1000
    splits: int = 20
    sampled_genes: int = 2000
    seed: int = 0

    def __post_init__(self):
        for key in ("min_per_level", "permutations", "bootstraps", "splits"):
            if getattr(self, key) < 1:
                raise InputError(f"traits.{key}", str(getattr(self, key)), "1 or more")
        for key in ("min_genes", "sampled_genes"):
            if getattr(self, key) < 3:
                raise InputError(f"traits.{key}", str(getattr(self, key)), "3 or more")

    @classmethod
    def of(cls, values: Mapping) -> "TraitSettings":
        """Build settings from the config's section; its other keys are left alone."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})
