"""A table of genes by tissues in which the gene beside tells the shape."""

import numpy as np
import pandas as pd

from mtm.analyses.profiles.table import Table

TISSUES = ("Liver", "Lung", "Skin", "Spleen", "Testis", "Thyroid")


def table(n_genes=240, n_chromosomes=6, seed=0, alike=0.8):
    """Genes in pairs, tissues in threes; `alike` of the variance of a shape is the pair's."""
    rng = np.random.default_rng(seed)
    pair = np.repeat(rng.standard_normal((n_genes // 2, 2)), 2, 0)
    own = alike**0.5 * pair + (1 - alike) ** 0.5 * rng.standard_normal((n_genes, 2))
    values = np.repeat(own, 3, 1) + 0.2 * rng.standard_normal((n_genes, 6))
    values += 6 + rng.standard_normal((n_genes, 1))
    genes = pd.DataFrame(
        {
            "symbol": [f"Q{i}X" for i in range(n_genes)],
            "chrom": [f"chr{i * n_chromosomes // n_genes}" for i in range(n_genes)],
            "tss": 100_000 * np.arange(n_genes) // 2 * 2 + 2000 * (np.arange(n_genes) % 2),
            "strand": np.where(np.arange(n_genes) % 2, 1, -1),
        },
        index=pd.Index([f"G{i}" for i in range(n_genes)], name="gene_id"),
    )
    return Table(values, TISSUES, genes)
