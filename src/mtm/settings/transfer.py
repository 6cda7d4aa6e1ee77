"""How an external cohort is taken through the models."""
# fmt: off

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field

from mtm.settings.base import Label, Names, Once, Section, key, seed
from mtm.settings.disease import PSEUDO_COUNT, Q_BELOW
from mtm.vocabulary import MIN_OVERLAP

# By mean and sd of every gene in training samples at hand.
Alignment = Literal["log2", "tpm", "none"]
MOMENTS: tuple[str, ...] = get_args(Alignment)
# Or as new people's samples are, by what a bundle knows.
TransferAlignment = Literal["log2", "tpm", "none", "shift", "combat"]


class TransferSection(Section):
    """Whether a disease's dysregulation is found in the predicted tissues of external cohorts, those of `external` (methods 3, R21)."""

    section: ClassVar = "transfer"

    models: Names | None = key(None, "Models to transfer, fitted on all donors; null takes those that need no covariates of the new donors among the one in the part of MTM, `ridge` and `same_gene`.")
    contrast: Label = key("MHT2D", "Contrast of the cohort that the external groups stand for, a medical history, pathology term or Hardy class of `disease`; an external cohort may have its own.")
    reference: str | None = key(None, "Table of fold changes in place of that contrast, for instance published ones - `tissue`, `gene` (Ensembl id or symbol), `log2fc`, `q`.")
    alignments: Annotated[tuple[TransferAlignment, ...], Field(min_length=1), Once] = key(MOMENTS, "How the mean and sd of every gene are brought to those of the training samples - of log2(1+TPM), of TPM, not at all, or as `mtm predict --align` does, `shift` or `combat`; the first is the headline.")
    min_gene_overlap: float = key(MIN_OVERLAP, "Least share of the models' genes that the external expression must have; genes it lacks stand at their training mean.", gt=0, le=1, unit="share of genes")
    min_per_group: int = key(5, "Least number of external cases, and of controls; of the change within people, of those who were there twice.", ge=2, unit="donors")
    min_de_genes: int = key(10, "A tissue is related to the disease where so many genes are up, or down, in the cohort itself.", ge=1, unit="genes")
    permutations: int = key(1000, "Permutations of the external groups, for the null.", ge=1, unit="permutations")
    seed: int = seed("Seed of these draws.")


class TransferSettings(TransferSection):
    """The section transfer, with what it shares with the section disease."""

    q_below: float = Q_BELOW
    pseudo_count: float = PSEUDO_COUNT

    @classmethod
    def of(cls, values: Mapping[str, Any], disease: Mapping[str, Any]) -> Self:
        """Build from the sections transfer and disease of a configuration."""
        shared = {name: disease[name] for name in ("q_below", "pseudo_count") if name in disease}
        return cls(**shared | values)
