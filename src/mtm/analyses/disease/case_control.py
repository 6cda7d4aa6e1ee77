"""Cases against controls: labels, permuted and drawn anew, and the fold changes they give."""

from dataclasses import dataclass

import numpy as np

from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings


@dataclass(frozen=True)
class Labels:
    """Who is a case, under the true labels, permuted ones and in bootstrap samples.

    Parameters
    ----------
    case
        Shape ``(n_samples,)``, bool.
    permuted
        Shape ``(n_permutations, n_samples)``, bool.
    weights
        How often each sample is drawn, shape ``(n_bootstraps, n_samples)``, float32.
    """

    case: np.ndarray
    permuted: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(
        cls, case: np.ndarray, fold: np.ndarray, settings: DiseaseSettings | TransferSettings
    ) -> "Labels":
        """Permute labels within folds; draw cases and controls, each among themselves."""
        rng = np.random.default_rng([settings.seed, len(case)])
        permuted = permuted_labels(case, fold, settings.permutations, rng)
        weights = np.zeros((settings.bootstraps, len(case)), np.float32)
        for rows in (np.flatnonzero(case), np.flatnonzero(~case)):
            share = np.full(len(rows), 1 / len(rows))
            weights[:, rows] = rng.multinomial(len(rows), share, settings.bootstraps)
        return cls(case, permuted, weights)

    @property
    def counts(self) -> dict[str, int]:
        """Number of cases and of controls."""
        return {"n_cases": int(self.case.sum()), "n_controls": int((~self.case).sum())}

    def of_rows(self, rows: np.ndarray) -> "Labels":
        """Labels of some samples."""
        return Labels(self.case[rows], self.permuted[:, rows], self.weights[:, rows])


def permuted_labels(
    case: np.ndarray, fold: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute labels within folds, shape ``(n_permutations, n_samples)``, bool."""
    labels = np.tile(case, (n_permutations, 1))
    for index in np.unique(fold):
        rows = np.flatnonzero(fold == index)
        labels[:, rows] = rng.permuted(labels[:, rows], axis=1)
    return labels


def fold_changes(
    expr_tpm: np.ndarray,
    case: np.ndarray,
    pseudo_count: float,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Log2 of mean TPM of cases over that of controls, each plus the pseudo-count.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``.
    case
        Bool, shape ``(n_samples,)``, or ``(n_labels, n_samples)`` for many labels.
    weights
        How often each sample counts, shape ``(n_draws, n_samples)``; None counts each once.

    Returns
    -------
    np.ndarray
        Shape ``(n_genes,)`` for one set of labels, else a row a label or draw.
    """
    labels = np.atleast_2d(case)
    sides = (labels, ~labels) if weights is None else (weights * labels, weights * ~labels)
    # Few labels are summed in float64; many, which only a null or an interval needs, in float32.
    dtype = np.float64 if len(sides[0]) == 1 else np.float32
    values = expr_tpm.astype(dtype, copy=False)
    cases, controls = (
        side.astype(dtype) @ values / np.maximum(side.sum(1, keepdims=True), 1).astype(dtype)
        + dtype(pseudo_count)
        for side in sides
    )
    result = np.log2(cases) - np.log2(controls)
    return result[0] if weights is None and case.ndim == 1 else result
