"""A gene's expression over tissues: holes filled, and genes that nobody measured."""
# fmt: off

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mtm.settings.base import Once, Section, Switch, key, seed

Part = Literal["neighbours", "promoter", "conservation", "family", "trees", "hybrid"]
Counts = Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(max_length=20), Once]


class TreeSettings(Section):
    """Gradient-boosted trees, sets by tissue and by how much of a gene is seen, for what the linear parts leave."""

    section: ClassVar = "profiles.trees"

    iterations: int = key(100, "Trees of a tissue and kind of gene.", ge=1, unit="iterations")
    learning_rate: float = key(0.1, "Share of each tree that is added.", gt=0, le=1)
    leaves: int = key(15, "Leaves of a tree at most.", ge=2, le=10_000)
    min_genes: int = key(40, "Genes in a leaf at least.", ge=1, unit="genes")
    draws: int = key(1, "Patterns of holes drawn for each training gene, tissue and kind of gene.", ge=1, le=100)


class HybridSettings(Section):
    """The network of Brown, Dong and Truong (2026): a promoter read by convolutions and neighbouring genes, as tokens of a transformer."""

    section: ClassVar = "profiles.hybrid"

    width: int = key(64, "Width of a token.", ge=4, le=4096, multiple_of=4, unit="features")
    layers: int = key(2, "Layers of the transformer.", ge=1, le=24)
    neighbours: int = key(5, "Genes on either side that are tokens.", ge=1, le=100, unit="genes")
    dropout: float = key(0.1, "Share of features left out while training.", ge=0, lt=1)
    learning_rate: float = key(1e-3, "Highest learning rate of AdamW; it rises and falls in one cycle.", gt=0)
    batch_size: int = key(256, "Genes in an optimiser step.", ge=1, unit="genes")
    epochs: int = key(60, "Passes over the training genes at most.", ge=1, unit="epochs")
    patience: int = key(10, "Training ends after so many passes without a smaller error on training chromosomes left out for it, counted once the learning rate falls; the weights that told each kind of gene best are kept.", ge=1, unit="epochs")


class ProfileSettings(Section):
    """A gene's expression over tissues: holes of a table of genes by tissues filled, and profiles of genes that nobody measured (methods 6.23)."""

    section: ClassVar = "profiles"

    run: Switch = key(False, "Whether it is done; needs `inputs.gene_model` for the places of genes, and takes `inputs.conservation` where it is set.")
    table: str | None = key(None, "Table of log2(1+TPM), a row a gene (`gene_id`) and a column a tissue; an empty field is a hole, a row of holes a gene that nobody measured. null takes the medians of the cohort's tissues.")
    promoters: str | None = key(None, "Promoters on the transcribed strand, FASTA or a table (`gene_id`, `sequence` and, to be checked against the gene model, `chromosome` and `tss`).")
    parts: Annotated[tuple[Part, ...], Once] = key(("neighbours", "promoter", "conservation", "family", "trees", "hybrid"), "What is used beside the gene's own tissues - `neighbours` on the chromosome; `promoter`, how often it has each word of 3 to 5 bases and which bases where; `conservation`; `family`, genes whose symbols have the same root; `trees`, gradient-boosted, for what these leave; `hybrid`, the published network, the most costly part.")
    hidden: Counts = key((1, 10), "Numbers of a gene's tissues to hide when accuracy is measured.", unit="tissues")
    seen: Counts = key((3,), "The same by numbers of tissues left; all hidden is always measured.", unit="tissues")
    n_folds: int = key(5, "Groups of whole chromosomes, each held out once.", ge=2, unit="folds")
    trees: TreeSettings = TreeSettings()
    hybrid: HybridSettings = HybridSettings()
    seed: int = seed("Seed of what is hidden, of chromosomes left out, and of networks.")
