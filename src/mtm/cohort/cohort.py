"""A multi-tissue expression cohort: samples of donors in tissues, as TPM."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from scipy.sparse import issparse

from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.io import read_tsv
from mtm.settings.scaling import Scaling
from mtm.vocabulary import Measure, Scale


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
        return cls._within(expression, anndata.read_h5ad(expression), donors)

    @classmethod
    def read_samples(cls, expression: str | Path, donors: str | Path) -> "Cohort":
        """Read samples and donors as `read` does, without genes: expression stays in the file."""
        with h5py.File(expression) as file:
            obs, uns = read_elem(file["obs"]), read_elem(file["uns"])
        bare = anndata.AnnData(np.empty((len(obs), 0), np.float32), obs=obs, uns=uns)
        return cls._within(expression, bare, donors)

    @classmethod
    def _within(cls, path: str | Path, adata: anndata.AnnData, donors: str | Path) -> "Cohort":
        """Take a cohort out of what the file at `path` has."""
        table = read_tsv(donors, ["donor"], dtype={"donor": str}).set_index("donor").sort_index()
        try:
            return cls.from_anndata(adata, table)
        except InputError as error:
            raise error.within(path) from error

    @classmethod
    def from_anndata(cls, adata: anndata.AnnData, donors: pd.DataFrame | None = None) -> "Cohort":
        """Take a cohort out of AnnData, as `to_anndata` gives it or a stranger's.

        Parameters
        ----------
        adata
            Samples as observations with ``obs["donor"]`` and ``obs["tissue"]``, genes as
            variables, named by id; TPM in X, or what ``uns["scale"]`` says. Of h5ad or zarr alike.
        donors
            One row a donor, indexed by id. None takes the columns of obs that
            ``uns["donor_columns"]`` names.

        Raises
        ------
        InputError
            A column is missing, a donor has no row, or two values of what is the donor's.
        """
        for name in ("donor", "tissue"):
            if name not in adata.obs:
                raise InputError("obs", f"no column {name}", "columns donor and tissue")
        obs = adata.obs.drop(columns=["donor", "tissue"]).rename_axis("sample_id")
        names, tissue = adata.obs["donor"].astype(str), adata.obs["tissue"]
        if donors is None:
            theirs = [str(name) for name in adata.uns.get("donor_columns", ())]
            donors = _of_donors(obs[theirs], names)
            obs = obs.drop(columns=theirs)
        donor = donors.index.get_indexer(names)
        if (donor < 0).any():
            unknown = names[donor < 0].iloc[0]
            raise InputError("obs", f"donor {unknown}", "donors who have a row in their table")
        # Of categories those too that no sample is of.
        known = tissue.cat.categories if isinstance(tissue.dtype, pd.CategoricalDtype) else tissue
        tissues = tuple(sorted(set(map(str, known))))
        symbols = (
            adata.var[["symbol"]] if "symbol" in adata.var else adata.var[[]].assign(symbol="")
        )
        values = adata.X.toarray() if issparse(adata.X) else adata.X
        return cls(
            expr_tpm=np.asarray(values, dtype=np.float32),
            samples=obs,
            donor=donor.astype(np.int64),
            tissue=pd.Index(tissues).get_indexer(tissue.astype(str)).astype(np.int64),
            donors=donors,
            tissues=tissues,
            genes=symbols.rename_axis("gene_id"),
            measure=str(adata.uns.get("scale", "tpm")),
        )

    def to_anndata(self) -> anndata.AnnData:
        """Return the cohort as AnnData, which `from_anndata` takes back.

        Returns
        -------
        anndata.AnnData
            Samples as observations: ``obs`` has ``donor``, ``tissue``, what is known of the
            sample, then of its donor (``uns["donor_columns"]``). Genes as variables, named by id,
            with ``symbol``. X is TPM, or what ``uns["scale"]`` says.
        """
        tissue = pd.Categorical.from_codes(self.tissue, list(self.tissues))
        theirs = self.donors.iloc[self.donor].set_axis(self.samples.index)
        obs = pd.concat([self.samples, theirs], axis=1)
        obs.insert(0, "tissue", tissue)
        obs.insert(0, "donor", self.donors.index[self.donor].astype(str))
        uns = {"scale": self.measure, "donor_columns": list(self.donors.columns)}
        return anndata.AnnData(self.expr_tpm, obs=obs, var=self.genes[["symbol"]], uns=uns)

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

    def scaler(
        self, scale: Scale, scaling: Scaling, rows: np.ndarray | None = None
    ) -> TissueScaler:
        """Return z-scores by the statistics of samples, each tissue's own.

        Parameters
        ----------
        scale, scaling
            As `TissueScaler.fit` takes them.
        rows
            Which samples are training samples, bool, shape ``(n_samples,)``; None for all.
        """
        return TissueScaler.fit(
            self.expr_tpm, self.tissue, len(self.tissues), scale, scaling, self.measure, rows
        )

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


def _of_donors(table: pd.DataFrame, donor: pd.Series) -> pd.DataFrame:
    """Return a row a donor, in sorted order, from what each of their samples says of them."""
    rows = table.assign(donor=donor).drop_duplicates().set_index("donor").sort_index()
    if rows.index.has_duplicates:
        twice = rows.index[rows.index.duplicated()][0]
        raise InputError("obs", f"two values of what is donor {twice}'s", "one value a donor")
    return rows
