"""MTM's training pairs, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtm.errors import InputError
from mtm.settings.models.mtm import MTMParameters


def ordered_pairs(donor: np.ndarray) -> np.ndarray:
    """Return all ordered pairs of different samples of one donor, shape ``(n_pairs, 2)``, int64.

    Parameters
    ----------
    donor
        Donor code of every sample, shape ``(n_samples,)``.
    """
    order = np.argsort(donor, kind="stable")
    counts = np.bincount(donor)
    counts = counts[counts > 0]
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    sizes = np.repeat(counts, counts)
    first = np.repeat(np.arange(len(order)), sizes)
    offset = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    second = np.repeat(starts, sizes) + offset
    keep = first != second
    return np.stack([order[first[keep]], order[second[keep]]], 1)


class Batch(NamedTuple):
    """Pairs of one step, as rows of the training cohort.

    Parameters
    ----------
    source, target
        Shape ``(n,)``, int64.
    extra, pair
        Further source samples and the position of the pair that each belongs to, shape
        ``(n_extra,)``, int64; empty unless ``max_sources`` is above 1.
    """

    source: Tensor
    target: Tensor
    extra: Tensor
    pair: Tensor


class PairSampler:
    """Training pairs in their order, the same for the same seed and epoch (methods 1.1, 6.9).

    Parameters
    ----------
    donor
        Donor code of every training sample.
    parameters
        ``pair_sampling``, ``max_sources`` and ``batch_size`` are used.
    seed
        Of the order.
    device
        Where the batches are wanted.
    """

    def __init__(self, donor: np.ndarray, parameters: MTMParameters, seed: int, device: str):
        pairs = ordered_pairs(donor)
        if not len(pairs):
            raise InputError(
                "training donors", "no donor with two samples", "pairs of tissues to learn from"
            )
        self.pairs = torch.from_numpy(pairs)
        self.seed, self.device = seed, device
        self.batch_size, self.max_sources = parameters.batch_size, parameters.max_sources
        self.weights = None
        if parameters.pair_sampling == "donor_balanced":
            owner = donor[pairs[:, 0]]
            self.weights = torch.from_numpy(1 / np.bincount(owner)[owner])
        if self.max_sources > 1:
            counts = np.bincount(donor)
            self.rows = torch.from_numpy(np.argsort(donor, kind="stable"))
            self.first = torch.from_numpy((np.cumsum(counts) - counts)[donor])
            self.count = torch.from_numpy(counts[donor])

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one pass over all pairs, the last one perhaps smaller."""
        return -(-len(self) // self.batch_size)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of `epoch`."""
        generator = torch.Generator().manual_seed((self.seed << 20) + epoch)
        if self.weights is None:
            order = torch.randperm(len(self), generator=generator)
        else:
            order = torch.multinomial(
                self.weights, len(self), replacement=True, generator=generator
            )
        pairs = self.pairs[order]
        resident = pairs.to(self.device)
        for start in range(0, len(pairs), self.batch_size):
            stop = start + self.batch_size
            source, target = resident[start:stop].T
            extra = self._extra(pairs[start:stop], generator)
            yield Batch(source, target, *(part.to(self.device) for part in extra))

    def _extra(self, pairs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw further samples of each pair's donor, none of them its source or target.

        Each pair gets 0 to ``max_sources - 1`` of them, evenly, less those drawn in vain.
        """
        if self.max_sources == 1:
            return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
        n, room = len(pairs), self.max_sources - 1
        wanted = torch.randint(self.max_sources, (n, 1), generator=generator)
        offset = torch.rand(n, room, generator=generator) * self.count[pairs[:, :1]]
        rows = self.rows[self.first[pairs[:, :1]] + offset.long()]
        use = (torch.arange(room) < wanted) & (rows != pairs[:, :1]) & (rows != pairs[:, 1:])
        return rows[use], use.nonzero()[:, 0]
