"""How disease status is told from expression."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from mtm.errors import InputError
from mtm.vocabulary import (
    DEFINITIONS,
    SELECTIONS,
)


@dataclass(frozen=True)
class ClassifierSettings:
    """How status is predicted; keys of the disease_status section of the config.

    Parameters
    ----------
    n_folds, repeats
        Folds of the cross-validation and how often it is repeated with other folds.
    inner_folds
        Folds within the training donors that choose the penalty.
    n_penalties, smallest_penalty
        Length of the path of penalties, and its last as a share of its first.
    patience
        The path is left when the inner error has had no new minimum for so many penalties.
    permutations
        Permutations of the labels, one cross-validation each.
    seed
        Of folds and permutations.
    """

    n_folds: int = 5
    repeats: int = 50
    inner_folds: int = 4
    n_penalties: int = 50
    smallest_penalty: float = 0.01
    patience: int = 10
    permutations: int = 20
    seed: int = 0

    @classmethod
    def of(cls, values: Mapping) -> "ClassifierSettings":
        """Build settings from the config's section; its other keys are left alone."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})


@dataclass(frozen=True)
class StatusSettings:
    """How inputs are compared; keys of the disease_status section of the config.

    Parameters
    ----------
    definition
        Definition of a predictable gene, which also gives the scale: ``"predictable"``
        (log2(1+TPM)) or ``"predictable_paper"`` (TPM).
    selections
        Of `mtm.analyses.disease.dysregulation.SELECTIONS`.
    min_genes
        Least number of predictable genes of a tissue.
    informative_auroc
        A pair is informative when observed expression reaches this, and more than the source.
    bootstraps
        Bootstrap samples of donors.
    tissue, contrast
        Pair whose ROC curves are shown; where it did not run, the one where observed expression
        tells most beyond covariates: a status that these are made of says nothing of expression.
    classifier
        How status is predicted.
    """

    definition: str = "predictable"
    selections: Sequence[str] = SELECTIONS
    min_genes: int = 10
    informative_auroc: float = 0.6
    bootstraps: int = 200
    tissue: str | None = "Lung"
    contrast: str | None = "MHCOPD"
    classifier: ClassifierSettings = ClassifierSettings()

    def __post_init__(self):
        for key, value, allowed in (
            ("definition", self.definition, tuple(DEFINITIONS)),
            *(("selections", name, SELECTIONS) for name in self.selections),
        ):
            if value not in allowed:
                raise InputError(
                    f"disease_status.{key}", repr(value), f"one of {', '.join(allowed)}"
                )

    @classmethod
    def of(cls, values: Mapping) -> "StatusSettings":
        """Build settings from the config's section; keys of the workflow are left alone."""
        known = {item.name for item in fields(cls)}
        own = {key: value for key, value in values.items() if key in known}
        return cls(**own, classifier=ClassifierSettings.of(values))
