"""How predictions are scored."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import Section, key, seed

MIN_DONORS = 5


class AccuracySettings(Section):
    """How predictions are scored (methods 3 and 6.1-6.2)."""

    section: ClassVar = "accuracy"

    predictable_rho: float = key(0.3, "A gene is called predictable in a tissue above this Pearson correlation.", ge=-1, lt=1, unit="Pearson correlation")
    predictable_q: float = key(0.05, "A gene is called predictable in a tissue below this false discovery rate.", gt=0, le=1, unit="Benjamini-Hochberg q-value")
    permutations: int = key(1000, "Permutations of donors within folds for null intervals and p-values.", ge=1, unit="permutations")
    bootstraps: int = key(1000, "Bootstrap samples of donors for 95% confidence intervals.", ge=1, unit="bootstrap samples")
    # The weight of a fold is its number of donors less 3.
    min_donors_per_fold: int = key(MIN_DONORS, "A fold with fewer held-out donors in a tissue does not enter that tissue's correlation.", ge=4, unit="donors")
    null_genes: int = key(2000, "Genes drawn at random for the permutation null; all where a cohort has fewer.", ge=1, unit="genes")
    bootstrap_genes: int = key(2000, "Genes drawn at random for the bootstrap; all where a cohort has fewer.", ge=1, unit="genes")
    seed: int = seed("Seed of permutations, bootstraps and the draws of genes.")
