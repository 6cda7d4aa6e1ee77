"""Means of what is known, NaN aside."""

from collections.abc import Sequence

import numpy as np
import torch


def known_mean(values: np.ndarray) -> float | np.ndarray:
    """Mean along the first axis without NaN; NaN where nothing else stands."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)[()]


class RunningMean:
    """Mean along a dimension, NaN aside, of tensors that arrive one block after the other.

    Parameters
    ----------
    shape
        Of the mean.
    device
        Of the tensors.
    """

    def __init__(self, shape: Sequence[int], device: torch.device):
        self._sum = torch.zeros(shape, dtype=torch.float64, device=device)
        self._count = torch.zeros_like(self._sum)

    def add(self, values: torch.Tensor, dim: int) -> None:
        """Add a block, of the shape of the mean and `dim` besides."""
        self._sum += values.nansum(dim)
        self._count += (~values.isnan()).sum(dim)

    @property
    def count(self) -> np.ndarray:
        """How many known values each mean is of, float64."""
        return self._count.cpu().numpy()

    def mean(self) -> np.ndarray:
        """Mean of all blocks; NaN where nothing was known."""
        return torch.where(self._count > 0, self._sum / self._count, torch.nan).cpu().numpy()
