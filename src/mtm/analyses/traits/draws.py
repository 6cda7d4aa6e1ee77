"""Draws of donors for trait associations, the same for all tissues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.traits.trait import Trait
from mtm.settings.traits import TraitSettings


@dataclass(frozen=True)
class TraitDraws:
    """Draws of donors, the same for all tissues.

    `halves` has a column a donor, 1 in the first half; `permuted` maps a trait to its permuted
    values, of donors that have it; `seed` is of the donors left out.
    """

    halves: pd.DataFrame
    permuted: dict[str, pd.DataFrame]
    seed: int

    @classmethod
    def of(
        cls, by_fold: Mapping[int, Sequence[str]], traits: Sequence[Trait], settings: TraitSettings
    ) -> "TraitDraws":
        """Draw random halves and permutations of the donors, each within folds."""
        halves, permuted = [], {trait.name: [] for trait in traits}
        for fold, donors in by_fold.items():
            donors = sorted(donors)
            rng = np.random.default_rng([settings.seed, int(fold), 1])
            balanced = np.tile(np.arange(len(donors)) % 2, (settings.splits, 1))
            halves.append(pd.DataFrame(rng.permuted(balanced, axis=1), columns=donors))
            for trait in traits:
                known = trait.values.reindex(donors).dropna()
                tiled = np.tile(known.to_numpy(float), (settings.permutations, 1))
                drawn = rng.permuted(tiled, axis=1)
                permuted[trait.name].append(pd.DataFrame(drawn, columns=known.index))
        joined = {name: pd.concat(parts, axis=1) for name, parts in permuted.items()}
        return cls(pd.concat(halves, axis=1), joined, settings.seed)
