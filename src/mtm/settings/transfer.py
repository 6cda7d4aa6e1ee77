"""How an external cohort is taken through the models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from mtm.errors import InputError
from mtm.vocabulary import Units

MIN_OVERLAP = 0.8


Alignment = Literal["none", "log2", "tpm"]


ALIGNMENTS: tuple[str, ...] = get_args(Alignment)


@dataclass(frozen=True)
class TransferSettings:
    """Keys of the transfer section of the config.

    Parameters
    ----------
    contrast
        Contrast of the reference cohort that the external groups stand for.
    alignments
        Of `ALIGNMENTS`, the headline first.
    units
        Units of the external expression; None takes TPM and refuses what does not look like it.
    min_gene_overlap
        Least share of the model's genes that the external expression must have.
    min_per_group
        Least number of external cases and of controls.
    min_de_genes
        A tissue is related where so many genes are up, or down, in the reference.
    q_below, pseudo_count
        As in `mtm.settings.disease.DiseaseSettings`.
    permutations, bootstraps, seed
        Permutations of the external groups, bootstrap samples of external donors, their seed.
    """

    contrast: str = "MHT2D"
    alignments: Sequence[str] = ("log2", "tpm", "none")
    units: Units | None = None
    min_gene_overlap: float = MIN_OVERLAP
    min_per_group: int = 5
    min_de_genes: int = 10
    q_below: float = 0.05
    pseudo_count: float = 1.0
    permutations: int = 200
    bootstraps: int = 200
    seed: int = 0

    def __post_init__(self):
        for name in self.alignments:
            if name not in ALIGNMENTS:
                raise InputError(
                    "transfer.alignments", repr(name), f"one of {', '.join(ALIGNMENTS)}"
                )

    @classmethod
    def of(cls, values: Mapping, disease: Mapping) -> "TransferSettings":
        """Build settings from the config's sections transfer and disease."""
        known = {item.name for item in fields(cls)}
        shared = {key: disease[key] for key in ("q_below", "pseudo_count") if key in disease}
        return cls(**shared | {key: value for key, value in values.items() if key in known})
