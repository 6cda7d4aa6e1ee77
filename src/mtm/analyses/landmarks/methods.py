"""From the landmarks of a sample to its other genes, all on z-scores within tissue (methods 6.22).

The tissue's mean is 0 there: a method that knows nothing but the tissue tells 0.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.cohort.folds import some_donors
from mtm.models.solvers.primal_ridge import primal_ridge
from mtm.settings.landmarks import Landmarks

# A tissue of fewer training samples is told by its mean.
MIN_SAMPLES = 5
# Of the training donors, what choices are made on: one in so many.
LEFT_OUT = 8


@dataclass(frozen=True)
class Samples:
    """Samples whose landmarks are measured; of training samples the other genes, too.

    Parameters
    ----------
    landmarks
        z-scores, shape ``(n_samples, n_landmarks)``.
    tissue, donor
        Of each sample, shape ``(n_samples,)``.
    genes
        z-scores of the other genes, shape ``(n_samples, n_genes)``.
    """

    landmarks: np.ndarray
    tissue: np.ndarray
    donor: np.ndarray
    genes: np.ndarray

    def of(self, rows: np.ndarray) -> "Samples":
        """Return some of the samples."""
        arrays = (self.landmarks, self.tissue, self.donor, self.genes)
        return Samples(*(array[rows] for array in arrays))

    def split(self, seed: int) -> tuple["Samples", "Samples"]:
        """Leave out an eighth of the donors, one at least: the rest, and theirs."""
        donors = pd.Index(np.unique(self.donor))
        left_out = np.isin(self.donor, some_donors(donors, max(len(donors) // LEFT_OUT, 1), seed))
        return self.of(~left_out), self.of(left_out)

    def by_tissue(self, asked: "Samples") -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Yield rows of these and of those `asked`, tissue by tissue that has enough of these."""
        for tissue in np.unique(self.tissue):
            rows = np.flatnonzero(self.tissue == tissue)
            if len(rows) >= MIN_SAMPLES:
                yield rows, np.flatnonzero(asked.tissue == tissue)


def _nothing(train: Samples, asked: Samples) -> np.ndarray:
    """Return the tissue's mean."""
    return np.zeros((len(asked.tissue), train.genes.shape[1]), np.float32)


def tissue_ridge(
    train: Samples, asked: Samples, leave_one_out: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Predict with one ridge regression a tissue.

    Returns
    -------
    np.ndarray, np.ndarray
        Of the samples asked and, where they are wanted, of the training samples, each by a fit
        without it; each ``(n_samples, n_genes)``.
    """
    told, own = _nothing(train, asked), _nothing(train, train if leave_one_out else asked)
    for rows, wanted in train.by_tissue(asked):
        fit = primal_ridge(train.landmarks[rows], train.genes[rows], leave_one_out=leave_one_out)
        told[wanted] = fit.predict(asked.landmarks[wanted])
        if leave_one_out:
            own[rows] = fit.left_out
    return told, own


def ridge(train: Samples, asked: Samples, how: Landmarks, seed: int, device: str) -> np.ndarray:
    """Predict with one ridge regression a tissue."""
    return tissue_ridge(train, asked)[0]


def one_ridge(
    train: Samples, asked: Samples, how: Landmarks, seed: int, device: str
) -> np.ndarray:
    """Predict with one ridge regression of all tissues together."""
    fit = primal_ridge(train.landmarks, train.genes)
    return fit.predict(asked.landmarks).astype(np.float32)


def pcr(train: Samples, asked: Samples, how: Landmarks, seed: int, device: str) -> np.ndarray:
    """Predict from the first principal components of the landmarks, tissue by tissue."""
    most = train.landmarks.shape[1]
    candidates = sorted({min(k, most) for k in how.components})
    return _chosen(train, asked, candidates, _of_components, seed)


def nearest(train: Samples, asked: Samples, how: Landmarks, seed: int, device: str) -> np.ndarray:
    """Predict the mean of the training samples of the tissue whose landmarks are most alike."""
    return _chosen(train, asked, sorted(how.neighbours), _of_neighbours, seed)


def _chosen(
    train: Samples,
    asked: Samples,
    candidates: list[int],
    tell: Callable[[Samples, Samples, int], np.ndarray],
    seed: int,
) -> np.ndarray:
    """Predict with the candidate of least squared error in training donors left out."""
    if len(candidates) > 1:
        kept, left_out = train.split(seed)
        error = [((tell(kept, left_out, k) - left_out.genes) ** 2).mean() for k in candidates]
        candidates = [candidates[int(np.argmin(error))]]
    return tell(train, asked, candidates[0])


def _of_components(train: Samples, asked: Samples, n_components: int) -> np.ndarray:
    told = _nothing(train, asked)
    for rows, wanted in train.by_tissue(asked):
        x, y = train.landmarks[rows].astype(np.float64), train.genes[rows].astype(np.float64)
        left, sizes, axes = np.linalg.svd(x - x.mean(0), full_matrices=False)
        k = min(n_components, int((sizes > 1e-6 * sizes[0]).sum()), len(rows) - 2)
        coef = axes[:k].T @ ((left[:, :k].T @ (y - y.mean(0))) / sizes[:k, None])
        told[wanted] = (asked.landmarks[wanted] - x.mean(0)) @ coef + y.mean(0)
    return told


def _of_neighbours(train: Samples, asked: Samples, n_neighbours: int) -> np.ndarray:
    told = _nothing(train, asked)
    for rows, wanted in train.by_tissue(asked):
        theirs, mine = train.landmarks[rows], asked.landmarks[wanted]
        distance = (theirs**2).sum(1) - 2 * mine @ theirs.T
        alike = np.argsort(distance, axis=1, kind="stable")[:, :n_neighbours]
        share = np.zeros((len(wanted), len(rows)), np.float32)
        np.put_along_axis(share, alike, 1 / alike.shape[1], axis=1)
        told[wanted] = share @ train.genes[rows]
    return told


def dgex(train: Samples, asked: Samples, how: Landmarks, seed: int, device: str) -> np.ndarray:
    """Predict with D-GEX's network, which is given the landmarks alone."""
    from mtm.analyses.landmarks.network import tell

    kept, left_out = train.split(seed)
    inputs = [samples.landmarks for samples in (kept, left_out, asked)]
    return tell(*inputs, kept.genes, left_out.genes, how.dgex, seed, device)


def mlp_on_ridge(
    train: Samples, asked: Samples, how: Landmarks, seed: int, device: str
) -> np.ndarray:
    """Predict with the tissue's ridge, and with a network what it leaves of samples left out."""
    from mtm.analyses.landmarks.network import tell

    base, own = tissue_ridge(train, asked, leave_one_out=True)
    n_tissues = int(max(train.tissue.max(), asked.tissue.max())) + 1
    left = Samples(_beside(train, own, n_tissues), train.tissue, train.donor, train.genes - own)
    kept, left_out = left.split(seed)
    inputs = kept.landmarks, left_out.landmarks, _beside(asked, base, n_tissues)
    return base + tell(*inputs, kept.genes, left_out.genes, how.mlp_on_ridge, seed, device)


def _beside(samples: Samples, ridge_z: np.ndarray, n_tissues: int) -> np.ndarray:
    """Landmarks, what the ridge says, and which tissue it is."""
    which = np.eye(n_tissues, dtype=np.float32)[samples.tissue]
    return np.hstack([samples.landmarks, ridge_z, which])


METHODS: dict[str, Callable[[Samples, Samples, Landmarks, int, str], np.ndarray]] = {
    "pcr": pcr,
    "nearest": nearest,
    "one_ridge": one_ridge,
    "ridge": ridge,
    "dgex": dgex,
    "mlp_on_ridge": mlp_on_ridge,
}
