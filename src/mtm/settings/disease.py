"""Which cases and controls are compared, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from mtm.errors import InputError

KINDS = ("medical_history", "pathology", "hardy")


@dataclass(frozen=True)
class DiseaseSettings:
    """What counts as a contrast, and how it is tested; of the disease section of the config.

    Parameters
    ----------
    kinds
        Kinds of contrast in use (see `KINDS`); None takes ``medical_history`` where donors have
        such columns, else the other two.
    medical_history
        Columns of donors; None takes every column that starts with MH and is coded 0 and 1.
    pathology_terms
        Terms looked for in pathology notes, whole words from the start, in any case.
    hardy_cases
        Hardy classes that are cases (0 is death on a ventilator); the others are controls.
    min_cases, min_controls
        Least numbers of held-out donors of a tissue.
    min_genes
        Least number of predictable genes of a tissue.
    q_below
        A gene is differentially expressed below this false discovery rate.
    pseudo_count
        Added to mean TPM before log2 fold changes, TPM.
    min_de_genes
        Pairs with fewer observed differentially expressed genes are counted, not summarised.
    permutations, bootstraps, seed
        Permutations of labels within fold, bootstrap samples of donors, and their seed.
    """

    kinds: Sequence[str] | None = None
    medical_history: Sequence[str] | None = None
    pathology_terms: Sequence[str] = ()
    hardy_cases: Sequence[int] = (0,)
    min_cases: int = 50
    min_controls: int = 50
    min_genes: int = 10
    q_below: float = 0.05
    pseudo_count: float = 1.0
    min_de_genes: int = 10
    permutations: int = 200
    bootstraps: int = 200
    seed: int = 0

    def __post_init__(self):
        unknown = set(self.kinds or ()) - set(KINDS)
        if unknown:
            raise InputError("disease.kinds", repr(min(unknown)), f"of {', '.join(KINDS)}")
        for key in ("min_cases", "min_controls", "permutations", "bootstraps"):
            if getattr(self, key) < 1:
                raise InputError(f"disease.{key}", str(getattr(self, key)), "1 or more")
        if self.pseudo_count <= 0:
            raise InputError("disease.pseudo_count", str(self.pseudo_count), "more than 0 TPM")

    @classmethod
    def of(cls, values: Mapping) -> "DiseaseSettings":
        """Build settings from the config's section; its keys of other analyses are left alone."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})
