"""A panel of measured genes made whole, and choosing it."""
# fmt: off

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mtm.settings.base import Once, Section, key, seed
from mtm.settings.models.base import Widths

Method = Literal["pcr", "nearest", "one_ridge", "ridge", "dgex", "mlp_on_ridge"]
Candidates = Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1, max_length=100), Once]


class DGEXSettings(Section):
    """The network of D-GEX (Chen et al. 2016): all other genes of a sample from its landmarks, whatever the tissue."""

    section: ClassVar = "landmarks"

    widths: Widths = key((3000, 3000, 3000), "Hidden layers.", unit="features")
    activation: Literal["tanh", "gelu"] = key("tanh", "What follows each.")
    dropout: float = key(0.1, "Share of features left out after each while training.", ge=0, lt=1)
    learning_rate: float = key(1e-3, "Highest learning rate of AdamW; it rises and falls in one cycle.", gt=0)
    batch_size: int = key(256, "Samples in an optimiser step.", ge=1, unit="samples")
    epochs: int = key(60, "Passes over the training samples at most.", ge=1, unit="epochs")
    patience: int = key(8, "Training ends after so many passes without a smaller error on training donors left out for it, counted once the learning rate falls; the weights of the smallest are kept.", ge=1, unit="epochs")


class MLPOnRidgeSettings(DGEXSettings):
    """A network that is given landmarks and tissue, for what the ridge of the tissue leaves."""

    widths: Widths = key((512, 512), "Hidden layers.", unit="features")
    activation: Literal["tanh", "gelu"] = key("gelu", "What follows each.")
    dropout: float = key(0.3, "Share of features left out after each while training.", ge=0, lt=1)
    epochs: int = key(20, "Passes over the training samples at most.", ge=1, unit="epochs")


class Landmarks(Section):
    """A panel of measured genes (landmarks) made whole: the other genes of the same sample are told, within its tissue (methods 6.22). Off where `n` is 0 and `inputs.landmarks` is null."""

    section: ClassVar = "landmarks"

    n: int = key(0, "Landmarks to choose on training donors; as many drawn at random stand beside. 0 chooses none.", ge=0, unit="genes")
    methods: Annotated[tuple[Method, ...], Field(min_length=1), Once] = key(("pcr", "nearest", "one_ridge", "ridge", "dgex", "mlp_on_ridge"), "What tells the other genes - `pcr`, principal components of the landmarks, tissue by tissue; `nearest`, mean of the most alike training samples of the tissue; `one_ridge`, a ridge regression of all tissues together; `ridge`, one a tissue; `dgex`, D-GEX's network; `mlp_on_ridge`, a network given the tissue for what `ridge` leaves.")
    components: Candidates = key((5, 10, 20, 50, 100, 200), "Candidate numbers of components of `pcr`; chosen on training donors left out, as far as there are landmarks.", unit="components")
    neighbours: Candidates = key((5, 10, 20, 40, 80), "Candidate numbers of samples of `nearest`; chosen on training donors left out.", unit="samples")
    dgex: DGEXSettings = DGEXSettings()
    mlp_on_ridge: MLPOnRidgeSettings = MLPOnRidgeSettings()
    seed: int = seed("Seed of the random panel, of the donors left out, and, plus the fold, of networks.")
