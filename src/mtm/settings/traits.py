"""How trait associations are compared."""
# fmt: off

from typing import Annotated, ClassVar

from pydantic import Field

from mtm.settings.base import Names, Section, key, seed
from mtm.settings.comparison import BASELINE, COMPARED


class TraitSettings(Section):
    """Whether predictions keep how genes go with traits of donors (methods 3, R16-R17, and 6.5)."""

    section: ClassVar = "traits"

    columns: Annotated[Names, Field(min_length=1)] = key(("age", "sex", "BMI"), "Columns of `cohort/donors.tsv`, each numeric or of two levels. Those that only the controlled-access file has are skipped, and listed, where there is none.")
    models: Names | None = COMPARED
    baseline: str = BASELINE
    min_per_level: int = key(10, "Least number of held-out donors of each level of a two-level trait; a tissue with fewer of one sex is not sex-neutral.", ge=2, unit="donors")
    min_genes: int = key(10, "Least number of predictable genes of a tissue.", ge=3, unit="genes")
    permutations: int = key(1000, "Permutations of a trait over donors within folds, for the null.", ge=1, unit="permutations")
    splits: int = key(20, "Random halves of donors, for predictions and observations of disjoint donors.", ge=1, unit="splits")
    sampled_genes: int = key(2000, "Genes of a tissue that are permuted and resampled; drawn at random where there are more.", ge=3, unit="genes")
    seed: int = seed("Seed of all of these draws.")
