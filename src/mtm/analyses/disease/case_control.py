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
    # Controls as the rest of a total would not hold beside one huge value in float32.
    cases, controls = (
        side.astype(dtype) @ values / np.maximum(side.sum(1, keepdims=True), 1).astype(dtype)
        + dtype(pseudo_count)
        for side in (labels, ~labels)
    )
    result = np.log2(cases) - np.log2(controls)
    return result[0] if case.ndim == 1 else result


class ChangesWithout:
    """Repeats `fold_changes` with samples left out, by taking them off the sums.

    Parameters
    ----------
    expr_tpm, case, pseudo_count
        As there; one set of labels.
    counted
        Samples that count at all, bool, shape ``(n_samples,)``; None counts all.
    """

    def __init__(
        self,
        expr_tpm: np.ndarray,
        case: np.ndarray,
        pseudo_count: float,
        counted: np.ndarray | None = None,
    ):
        counted = np.ones(len(case), bool) if counted is None else counted
        self._expr_tpm, self._pseudo_count = expr_tpm, expr_tpm.dtype.type(pseudo_count)
        self._members = case & counted, ~case & counted
        self._totals = [member.astype(expr_tpm.dtype) @ expr_tpm for member in self._members]

    def of(self, gone: np.ndarray) -> np.ndarray:
        """Return the fold changes of some draws.

        Parameters
        ----------
        gone
            From `mtm.statistics.jackknife.LeftOut.gone`, shape ``(n_draws, 2)``.

        Returns
        -------
        np.ndarray
            Shape ``(n_draws, n_genes)``, of the type of `expr_tpm`; NaN where a draw leaves no
            case, or no control.
        """
        n_samples, n_genes = self._expr_tpm.shape
        position = np.minimum(gone, n_samples - 1)
        own = [member[position] & (gone < n_samples) for member in self._members]
        numbers = np.stack([of_side.sum(1) for of_side in own], 1)
        result = np.empty((len(gone), n_genes), self._expr_tpm.dtype)
        # Most draws take one from one of the two sides, and nobody from the other.
        for kind in set(map(tuple, numbers.tolist())):
            draws = np.flatnonzero((numbers == kind).all(1))
            cases, controls = (
                self._log2_mean(side, position[draws][own[side][draws]], kind[side])
                for side in (0, 1)
            )
            result[draws] = cases - controls
        return result

    def _log2_mean(self, side: int, gone: np.ndarray, n_gone: int) -> np.ndarray:
        """Log2 of one side's mean without `n_gone` samples, which `gone` has draw after draw."""
        mean, n_left = self._totals[side][None], int(self._members[side].sum()) - n_gone
        for rows in gone.reshape(-1, n_gone).T if n_gone else ():
            mean = np.subtract(mean, self._expr_tpm.take(rows, axis=0))
        number = self._expr_tpm.dtype.type
        mean = np.maximum(mean, 0) * number(1 / n_left if n_left > 0 else np.nan)
        mean += self._pseudo_count
        return np.log2(mean, out=mean)
