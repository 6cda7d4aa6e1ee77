"""What sets well-predicted genes apart."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import Names, Section, key


class GeneCharacteristics(Section):
    """What sets the genes apart that a model predicts best (methods 3, R13-R15)."""

    section: ClassVar = "gene_characteristics"

    models: Names | None = key(None, "Models whose genes are contrasted; null takes those in the parts of MTM and S2, and `baseline`, as far as the run has them.")
    baseline: str = key("ridge_covariates", "A baseline to set beside them, so that a reader sees what is MTM's own.")
    quantile: float = key(0.25, "Share of genes in the top and in the bottom group.", gt=0, le=0.5, unit="share of genes")
    bootstraps: int = key(200, "Bootstrap samples of donors for the intervals of the contrasts.", ge=20, unit="bootstrap samples")
    conservation_column: str | None = key(None, "Column of the values where `inputs.conservation` is a table; null takes its one numeric column.")
    interaction_score: float = key(0, "Interactions below this confidence score are left out.", ge=0, le=1, unit="HIPPIE's confidence score")
