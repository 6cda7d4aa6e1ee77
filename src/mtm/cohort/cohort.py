"""A multi-tissue expression cohort: samples of donors in tissues, as TPM."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from mtm.errors import InputError
from mtm.io import read_tsv
from mtm.vocabulary import Measure


@dataclass(frozen=True)
class Cohort:
    """Samples of donors in tissues.

    Parameters
    ----------
    expr_tpm
        Expression of shape ``(n_samples, n_genes)``, float32, TPM; where `measure` is ``"own"``,
        values on a scale of their own.
    samples
        One row a sample, indexed by sample id; columns are the sample's own covariates (``rin``,
        ``ischemic_minutes``, ...), as far as the files have them.
    donor
        Row of `donors` that each sample comes from, shape ``(n_samples,)``, int64.
    tissue
        Index into `tissues` of each sample, shape ``(n_samples,)``, int64.
    donors
        One row a donor, indexed by donor id, in sorted order; columns are traits and covariates.
    tissues
        Tissue names (GTEx's SMTSD), sorted.
    genes
        One row a gene, indexed by versioned gene id; column ``symbol``.
    measure
        What expression is measured in.
    """

    expr_tpm: np.ndarray
    samples: pd.DataFrame
    donor: np.ndarray
    tissue: np.ndarray
    donors: pd.DataFrame
    tissues: tuple[str, ...]
    genes: pd.DataFrame
    measure: Measure = "tpm"

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.samples)

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return len(self.genes)

    @classmethod
    def read(cls, expression: str | Path, donors: str | Path) -> "Cohort":
        """Read ``cohort/expression.h5ad`` and ``cohort/donors.tsv`` (docs/contracts.md)."""
        data = anndata.read_h5ad(expression)
        table = read_tsv(donors, ["donor"], dtype={"donor": str}).set_index("donor").sort_index()
        tissues = tuple(sorted(data.obs["tissue"].astype(str).unique()))
        donor = table.index.get_indexer(data.obs["donor"].astype(str))
        if (donor < 0).any():
            unknown = data.obs["donor"].astype(str)[donor < 0].iloc[0]
            raise InputError(donors, f"no row for donor {unknown}", f"every donor of {expression}")
        return cls(
            expr_tpm=np.asarray(data.X, dtype=np.float32),
            samples=data.obs.drop(columns=["donor", "tissue"]).rename_axis("sample_id"),
            donor=donor.astype(np.int64),
            tissue=pd.Index(tissues).get_indexer(data.obs["tissue"].astype(str)).astype(np.int64),
            donors=table,
            tissues=tissues,
            genes=data.var[["symbol"]].rename_axis("gene_id"),
            measure=str(data.uns.get("scale", "tpm")),
        )

    def tissue_index(self, name: str) -> int:
        """Index of the tissue called `name`."""
        if name not in self.tissues:
            raise InputError("tissue", repr(name), f"one of {', '.join(self.tissues)}")
        return self.tissues.index(name)

    def row_of(self) -> np.ndarray:
        """Return the row of each donor's sample in each tissue.

        Returns
        -------
        np.ndarray
            Shape ``(n_donors, n_tissues)``, int64, -1 where there is no sample.

        Raises
        ------
        InputError
            A donor has two samples of one tissue.
        """
        rows = np.full((len(self.donors), len(self.tissues)), -1, np.int64)
        rows[self.donor, self.tissue] = np.arange(self.n_samples)
        hidden = rows[self.donor, self.tissue] != np.arange(self.n_samples)
        if hidden.any():
            first = hidden.argmax()
            raise InputError(
                f"sample {self.samples.index[first]}",
                f"a second sample of donor {self.donors.index[self.donor[first]]} in "
                f"{self.tissues[self.tissue[first]]}",
                "one sample for a donor and tissue",
            )
        return rows

    def of_donors(self, donor_ids: Collection[str]) -> "Cohort":
        """Return the samples of `donor_ids` alone; the tissues and genes stay the same."""
        kept = self.donors.index.isin(list(donor_ids))
        rows = kept[self.donor]
        new_code = np.cumsum(kept) - 1
        return replace(
            self,
            expr_tpm=self.expr_tpm[rows],
            samples=self.samples[rows],
            donor=new_code[self.donor[rows]],
            tissue=self.tissue[rows],
            donors=self.donors[kept],
        )
