"""An encoder of genes in the order of their rank values, and what moves its code."""
# fmt: off

from collections.abc import Iterator
from typing import ClassVar

from mtm.errors import InputError
from mtm.settings.base import Names, Section, key, seed


class Perturbation(Section):
    """Genes taken out of held-out samples' sentences, or put first, and how the code moves (methods 6.25)."""

    section: ClassVar = "ranks"

    genes: Names = key(("XIST", "RPS4Y1"), "Genes to perturb, by id or symbol; those that the cohort lacks are left out. None leaves the part out.")
    tissues: Names = key((), "Tissues whose samples are perturbed; none means the source alone.")
    goal: str = key("sex", "Column of donors with two values: samples of each are moved towards the other.")
    samples: int = key(50, "Held-out samples of a tissue and value, at most, drawn at random.", ge=1, le=10_000, unit="samples")
    null_genes: int = key(200, "Genes of nearest mean rank in the same samples that the shift is held against: the least P value is one over this and one more.", ge=19, le=10_000, unit="genes")


class Ranks(Section):
    """A transformer encoder trained to name masked genes of samples' sentences: genes from the highest rank value on, after Geneformer (methods 6.25). Off where `epochs` is 0."""

    section: ClassVar = "ranks"

    epochs: int = key(0, "Passes over the training samples, a fold; 0 leaves the analysis out.", ge=0, le=100_000, unit="epochs")
    layers: int = key(6, "Layers of the encoder.", ge=1, le=100, unit="layers")
    width: int = key(256, "Size of its code.", ge=8, le=10_000, unit="features")
    heads: int = key(4, "Heads of attention, which `width` is a multiple of.", ge=1, le=1000, unit="heads")
    length: int = key(2048, "Genes of a sentence at most: those of highest rank value.", ge=10, le=100_000, unit="genes")
    masked: float = key(0.15, "Share of a sentence's genes that are masked.", gt=0, lt=1, unit="share")
    dropout: float = key(0.02, "Dropout while training.", ge=0, lt=1, unit="probability")
    learning_rate: float = key(1e-3, "Highest learning rate of AdamW; it rises and falls in one cycle.", gt=0)
    batch_size: int = key(32, "Samples in an optimiser step.", ge=1, unit="samples")
    components: int = key(64, "Principal components of rank values that stand beside the code.", ge=1, unit="components")
    probes: Names = key(("sex", "age", "hardy"), "Columns of donors that a linear probe reads from the code; those that the cohort lacks are left out.")
    perturbation: Perturbation = Perturbation()
    seed: int = seed("Seed of weights, masks and draws, plus the fold.")

    def disagreements(self) -> Iterator[InputError]:
        """Give every head the same share of the code."""
        if self.width % self.heads:
            yield InputError("width", f"{self.width}", f"a multiple of heads, {self.heads}")
