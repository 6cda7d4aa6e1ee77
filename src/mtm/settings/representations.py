"""What models have learned."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import Names, Section, key, seed


class Representations(Section):
    """What MTM has learned - codes of donors, decoding paths, similarity of tissues (methods 3, R10-R12)."""

    section: ClassVar = "representations"

    models: Names | None = key(None, "Models whose predictability of genes is set against the similarity of tissues; null takes those in the parts of MTM and S2, `baseline`, and further models of class `mtm`, as far as the run has them.")
    baseline: str = key("ridge_covariates", "A baseline to set beside them.")
    permutations: int = key(1000, "Permutations of tissues (Mantel's test), and of donors within tissues (codes).", ge=19, unit="permutations")
    bootstraps: int = key(1000, "Bootstrap samples of donors for the intervals of the codes.", ge=20, unit="bootstrap samples")
    seed: int = seed("Seed of permutations and bootstraps; the untrained reference of a fold has this seed plus the fold.")
