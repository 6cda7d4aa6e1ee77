"""Permutation p-values of genes against permutations of many genes."""

from collections.abc import Sequence

import numpy as np
import torch


class PooledNull:
    """Permutation p-values of a tissue's genes against permutations of many of its genes.

    Under the null the genes of a tissue with the same number of donors in the same folds, and
    with nulls of like skewness (one stratum), share one distribution, so their permuted values
    are pooled. A gene that carries information in some folds alone (elsewhere its prediction is
    fixed, or its observation) is compared with those folds of the pooled genes. Null values are
    counted as they come and are not kept.

    Parameters
    ----------
    statistic
        Fisher z of every gene added up over its informative folds with the weights of the
        folds, shape ``(n_genes,)``.
    informative
        Whether gene and fold have a correlation that is not fixed at 0 or NaN, shape
        ``(n_genes, n_folds)``.
    weights
        Weight of each fold in a null value, shape ``(n_folds,)``: those of the statistic, times
        what widens the null.
    stratum
        From `mtm.analyses.accuracy.points.null_strata`, shape ``(n_genes,)``, int64.
    """

    def __init__(
        self,
        statistic: torch.Tensor,
        informative: torch.Tensor,
        weights: torch.Tensor,
        stratum: torch.Tensor,
    ):
        self._weights, self._informative, self._stratum = weights, informative, stratum
        self._pattern = torch.zeros_like(stratum)
        # Column by column: rows as a whole take ten times as long.
        for column in (*informative.T.long(), stratum):
            kinds = self._pattern * (1 + int(column.max())) + column
            self._pattern = torch.unique(kinds, return_inverse=True)[1]
        gene_of = self._pattern.new_zeros(int(self._pattern.max()) + 1)
        gene_of.scatter_(0, self._pattern, torch.arange(len(stratum)).to(stratum))
        self.patterns, self._strata = informative[gene_of], stratum[gene_of]
        self._genes = [
            torch.nonzero(self._pattern == index).flatten() for index in range(len(self.patterns))
        ]
        self._ranked = [statistic[genes].float().sort() for genes in self._genes]
        self._at_or_above = [torch.zeros_like(genes) for genes in self._genes]
        self._n_null = [0] * len(self.patterns)

    def covers(self, informative: torch.Tensor, stratum: torch.Tensor) -> torch.Tensor:
        """Whether genes can serve as null of each pattern: same stratum, informative in its folds.

        Parameters
        ----------
        informative, stratum
            Of the candidates, shapes ``(n_candidates, n_folds)`` and ``(n_candidates,)``.

        Returns
        -------
        torch.Tensor
            Shape ``(n_patterns, n_candidates)``.
        """
        informed = (informative[None] | ~self.patterns[:, None]).all(2)
        return informed & (stratum[None] == self._strata[:, None])

    def top_up(self, chosen: torch.Tensor, least: int) -> torch.Tensor:
        """Choose further genes, so that no pattern is compared with fewer than `least` genes.

        Parameters
        ----------
        chosen
            Genes that are in the null already.
        least
            Smallest number of genes wanted for each pattern, as far as there are so many.

        Returns
        -------
        torch.Tensor
            The further genes, int64.
        """
        taken = torch.zeros_like(self._stratum, dtype=torch.bool)
        taken[chosen] = True
        candidates = self.covers(self._informative, self._stratum)
        for covering in candidates[self.patterns.any(1)]:
            wanted = least - int((covering & taken).sum())
            if wanted > 0:
                taken[torch.nonzero(covering & ~taken).flatten()[:wanted]] = True
        taken[chosen] = False
        return torch.nonzero(taken).flatten()

    def add(
        self, permuted_z: Sequence[torch.Tensor], informative: torch.Tensor, stratum: torch.Tensor
    ) -> None:
        """Count null values.

        Parameters
        ----------
        permuted_z
            Fisher z of some genes under every permutation, of each fold, shape
            ``(n_null_genes, n_permutations)``.
        informative, stratum
            Of these genes, shapes ``(n_null_genes, n_folds)`` and ``(n_null_genes,)``.
        """
        coverage = self.covers(informative, stratum)
        for index, folds in enumerate(self.patterns):
            genes = coverage[index].nonzero().flatten()
            if not folds.any() or not len(genes):
                continue
            null = torch.zeros(1)
            for fold in folds.nonzero().flatten().tolist():
                of_fold = permuted_z[fold]
                covering = of_fold if len(genes) == len(of_fold) else of_fold[genes]
                null = torch.add(null.to(covering), covering, alpha=float(self._weights[fold]))
            null = null.flatten()
            self._at_or_above[index] += len(null) - _number_below(null, self._ranked[index].values)
            self._n_null[index] += len(null)

    def p_values(self) -> torch.Tensor:
        """One-sided p-values: (1 + null values at or above) / (1 + null values).

        Returns
        -------
        torch.Tensor
            Shape ``(n_genes,)``, float64; 1 for a gene without informative fold.
        """
        p = torch.ones(len(self._pattern), dtype=torch.float64, device=self._pattern.device)
        for index, genes in enumerate(self._genes):
            if not self._n_null[index]:
                continue
            order, reached = self._ranked[index].indices, self._at_or_above[index].double()
            p[genes[order]] = (1 + reached) / (1 + self._n_null[index])
        return p


def _number_below(null: torch.Tensor, ranked: torch.Tensor) -> torch.Tensor:
    """Count the null values below each of the ranked values, both 1-D; int64."""
    if null.device.type == "cpu":
        # NumPy's vectorised sort takes a twentieth of the time of torch's.
        below = np.searchsorted(np.sort(null.numpy()), ranked.numpy())
        return torch.from_numpy(below)
    return torch.searchsorted(null.sort().values, ranked)
