"""Cases against controls: labels, permuted and left out, and the fold changes they give."""

from dataclasses import dataclass

import numpy as np

from mtm.settings.disease import DiseaseSettings
from mtm.settings.transfer import TransferSettings
from mtm.statistics.jackknife import LeftOut


@dataclass(frozen=True)
class Labels:
    """Who is a case, under the true labels, permuted ones and with samples left out.

    Parameters
    ----------
    case
        Shape ``(n_samples,)``, bool.
    permuted
        Shape ``(n_permutations, n_samples)``, bool.
    left_out
        Samples that are left out for the intervals.
    """

    case: np.ndarray
    permuted: np.ndarray
    left_out: LeftOut

    @classmethod
    def of(
        cls, case: np.ndarray, fold: np.ndarray, settings: DiseaseSettings | TransferSettings
    ) -> "Labels":
        """Permute labels within folds; leave out cases and controls alike."""
        rng = np.random.default_rng([settings.seed, len(case)])
        permuted = permuted_labels(case, fold, settings.permutations, rng)
        return cls(case, permuted, LeftOut.of(len(case), [settings.seed, len(case), 1]))

    @property
    def counts(self) -> dict[str, int]:
        """Number of cases and of controls."""
        return {"n_cases": int(self.case.sum()), "n_controls": int((~self.case).sum())}


def permuted_labels(
    case: np.ndarray, fold: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute labels within folds, shape ``(n_permutations, n_samples)``, bool."""
    labels = np.tile(case, (n_permutations, 1))
    for index in np.unique(fold):
        rows = np.flatnonzero(fold == index)
        labels[:, rows] = rng.permuted(labels[:, rows], axis=1)
    return labels


def fold_changes(expr_tpm: np.ndarray, case: np.ndarray, pseudo_count: float) -> np.ndarray:
    """Log2 of mean TPM of cases over that of controls, each plus the pseudo-count.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``.
    case
        Bool, shape ``(n_samples,)``, or ``(n_labels, n_samples)`` for many labels.

    Returns
    -------
    np.ndarray
        Shape ``(n_genes,)`` for one set of labels, else a row a label.
    """
    labels = np.atleast_2d(case)
    # One set of labels is summed in float64; many, which only a null needs, in float32.
    dtype = np.float64 if len(labels) == 1 else np.float32
    values = expr_tpm.astype(dtype, copy=False)
    cases, controls = (
        side.astype(dtype) @ values / np.maximum(side.sum(1, keepdims=True), 1).astype(dtype)
        + dtype(pseudo_count)
        for side in (labels, ~labels)
    )
    result = np.log2(cases) - np.log2(controls)
    return result[0] if case.ndim == 1 else result


def fold_changes_without(
    expr_tpm: np.ndarray,
    case: np.ndarray,
    pseudo_count: float,
    gone: np.ndarray,
    counted: np.ndarray | None = None,
) -> np.ndarray:
    """Repeat `fold_changes` with samples left out, by taking them off the sums.

    Parameters
    ----------
    expr_tpm, case, pseudo_count
        As there; one set of labels.
    gone
        From `mtm.statistics.jackknife.LeftOut.gone`, shape ``(n_draws, 2)``.
    counted
        Samples that count at all, bool, shape ``(n_samples,)``; None counts all.

    Returns
    -------
    np.ndarray
        Shape ``(n_draws, n_genes)``, of the type of `expr_tpm`; NaN where a draw leaves no case,
        or no control.
    """
    counted = np.ones(len(case), bool) if counted is None else counted
    position = np.minimum(gone, len(case) - 1)
    sides = []
    for member in (case & counted, ~case & counted):
        own = member[position] & (gone < len(case))
        total = member.astype(expr_tpm.dtype) @ expr_tpm
        number = expr_tpm.dtype.type
        side = np.log2(total / number(max(member.sum(), 1)) + number(pseudo_count))
        side = np.tile(side, (len(gone), 1))
        # Most draws take nobody from one of the two sides.
        changed = np.flatnonzero(own.any(1))
        (first, second), of_first, of_second = position[changed].T, *own[changed].T[..., None]
        left = total - expr_tpm[first] * of_first - expr_tpm[second] * of_second
        n_left = (member.sum() - own[changed].sum(1, keepdims=True)).astype(expr_tpm.dtype)
        left = np.maximum(left, 0) / np.where(n_left > 0, n_left, number(np.nan))
        side[changed] = np.log2(left + number(pseudo_count))
        sides.append(side)
    return sides[0] - sides[1]
