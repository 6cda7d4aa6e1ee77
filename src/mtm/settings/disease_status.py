"""How disease status is told from expression."""
# fmt: off

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mtm.settings.base import Names, Once, Section, key, seed


class ClassifierSettings(Section):
    """How status is predicted from one input."""

    section: ClassVar = "disease_status"

    n_folds: int = key(5, "Folds of the cross-validation, stratified by status.", ge=2, unit="folds")
    repeats: int = key(50, "Repeats of the cross-validation with other folds.", ge=1, unit="repeats")
    inner_folds: int = key(4, "Folds within the training donors that choose the penalty of the LASSO.", ge=2, unit="folds")
    n_penalties: int = key(50, "Length of the path of penalties.", ge=2, unit="penalties")
    smallest_penalty: float = key(0.01, "Last penalty of the path as a share of the first.", gt=0, lt=1, unit="share")
    patience: int = key(10, "The path is left when the inner error has had no new minimum for so many penalties.", ge=1, unit="penalties")
    permutations: int = key(10, "Permutations of the labels of every pair, two cross-validations each, for the null.", ge=2, unit="permutations")
    halvings: int = key(15, "Random halvings of the donors, both halves cross-validated once, for the intervals.", ge=4, unit="halvings")
    seed: int = seed("Seed of folds, permutations and halvings.")


class StatusSettings(ClassifierSettings):
    """Whether disease status can be told from predicted expression (methods 3, R20, and 6.6)."""

    models: Names | None = key(None, "Models to test; null takes the one in the part of MTM, or the run's first model.")
    parts: int = key(10, "Jobs of one model that tissues are divided among. A broken run loses the part it was in. Results do not depend on it.", ge=1, le=1000, unit="jobs")
    definition: Literal["predictable", "predictable_paper"] = key("predictable", "Which genes are predictable, and with it the scale of the inputs - `predictable` on log2(1+TPM), `predictable_paper` on TPM.")
    selections: Annotated[tuple[Literal["all_folds", "nested"], ...], Field(min_length=1), Once] = key(("all_folds", "nested"), "Where genes are chosen - `all_folds`, over all donors as the paper; `nested`, among the training donors of every fold. Each costs as much again.")
    min_genes: int = key(10, "Least number of predictable genes of a tissue.", ge=1, unit="genes")
    tissue: str = key("Lung", "Tissue of the ROC curves; where this pair did not run, the pair where observed expression tells most beyond covariates.")
    contrast: str = key("MHCOPD", "Disease of the ROC curves.")
