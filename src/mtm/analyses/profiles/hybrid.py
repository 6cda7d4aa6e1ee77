"""The network of Brown, Dong and Truong (2026): a promoter, neighbouring genes, a transformer.

Convolutions read the promoter into a token; each neighbouring gene is a token of its profile,
distance and direction; a transformer encoder mixes them. Of a gene with holes a further token has
the tissues seen; of one that nobody measured it is empty, which is the published task.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mtm.analyses.one_cycle import best_weights, stepper
from mtm.analyses.profiles.features import Neighbour, Shapes, neighbour
from mtm.analyses.profiles.holes import KINDS, draw_hidden, kind_of
from mtm.analyses.profiles.promoters import one_hot
from mtm.analyses.profiles.table import Table
from mtm.settings.profiles import HybridSettings

ROWS_AT_A_TIME = 1024
HEADS = 4
# Shorter promoters end in zeros: what three convolutions and two poolings need.
SHORTEST = 32


@dataclass(frozen=True)
class Tokens:
    """What the network reads of genes, but for their own expression.

    Parameters
    ----------
    promoter
        Letters, ``(n_genes, 4, n_bases)``, int8.
    neighbours
        Shape ``(n_genes, n_neighbours, n_tissues + 4)``.
    there
        Whether there is such a neighbour, ``(n_genes, n_neighbours)``.
    """

    promoter: torch.Tensor
    neighbours: torch.Tensor
    there: torch.Tensor

    def of(self, rows: np.ndarray) -> "Tokens":
        """Return some genes."""
        return Tokens(self.promoter[rows], self.neighbours[rows], self.there[rows])


def tokens(table: Table, known: Shapes, promoters: list[str], settings: HybridSettings) -> Tokens:
    """Return the tokens of every gene of the table, of what `known` shows of the others."""
    values = np.hstack([known.shape, known.level[:, None]])
    steps = [*range(-settings.neighbours, 0), *range(1, settings.neighbours + 1)]
    near = [neighbour(table, step) for step in steps]
    beside = np.stack(
        [_token(one, values, step) for step, one in zip(steps, near, strict=True)], 1
    )
    length = max(SHORTEST, *map(len, promoters))
    return Tokens(
        torch.from_numpy(one_hot(promoters, length).astype(np.int8)),
        torch.from_numpy(beside.astype(np.float32)),
        torch.from_numpy(np.stack([one.there for one in near], 1)),
    )


def _token(one: Neighbour, values: np.ndarray, step: int) -> np.ndarray:
    """Profile, level, log distance, direction, side; 0 where there is no such gene."""
    bases = np.log1p(one.bases) / 10
    about = np.stack([bases, one.same_strand, np.full(len(bases), np.sign(step))], 1)
    return np.where(one.there[:, None], np.hstack([values[one.row], about]), 0)


class Hybrid(nn.Module):
    """From promoter, neighbours and the tissues seen to all tissues.

    Parameters
    ----------
    n_tissues
        Of the table.
    settings
        Its shape.
    """

    def __init__(self, n_tissues: int, settings: HybridSettings):
        super().__init__()
        width = settings.width
        self.read = nn.Sequential(
            nn.Conv1d(4, width // 2, 7, padding=3), nn.GELU(), nn.MaxPool1d(2),
            nn.Conv1d(width // 2, width, 5, padding=2), nn.GELU(), nn.MaxPool1d(2),
            nn.Conv1d(width, width, 3, padding=1), nn.GELU(), nn.AdaptiveMaxPool1d(1),
            nn.Flatten(),
        )  # fmt: skip
        self.beside = nn.Linear(n_tissues + 4, width)
        self.own = nn.Linear(2 * n_tissues, width)
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 2 * width, settings.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.mix = nn.TransformerEncoder(layer, settings.layers, enable_nested_tensor=False)
        self.tell = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, n_tissues))
        nn.init.zeros_(self.tell[1].weight)
        nn.init.zeros_(self.tell[1].bias)

    def forward(self, genes: Tokens, seen: torch.Tensor) -> torch.Tensor:
        """Tell profiles about the tissue means.

        Parameters
        ----------
        genes
            Tokens of a batch.
        seen
            The tissues seen about their means, shape ``(n_genes, n_tissues)``; NaN is a hole.

        Returns
        -------
        torch.Tensor
            Shape ``(n_genes, n_tissues)``.
        """
        is_seen = seen.isfinite()
        own = torch.cat([torch.where(is_seen, seen, 0), is_seen.float()], 1)
        first = torch.stack([self.own(own), self.read(genes.promoter.float())], 1)
        mixed = torch.cat([first, self.beside(genes.neighbours)], 1)
        absent = torch.cat([torch.zeros_like(is_seen[:, :2]), ~genes.there], 1)
        mixed = self.mix(mixed, src_key_padding_mask=absent)
        return self.tell(mixed[:, :2].flatten(1))

    @torch.no_grad()
    def predict(self, genes: Tokens, seen: np.ndarray, device: str) -> np.ndarray:
        """Tell profiles of many genes, as `forward` does, on ``"cpu"`` or ``"cuda"``."""
        self.eval().to(device)
        out = [np.empty((0, seen.shape[1]))]
        for start in range(0, len(seen), ROWS_AT_A_TIME):
            rows = np.arange(start, min(start + ROWS_AT_A_TIME, len(seen)))
            part = torch.from_numpy(seen[rows].astype(np.float32)).to(device)
            out.append(self(_on(genes.of(rows), device), part).cpu().numpy().astype(float))
        return np.concatenate(out)


def fit_hybrid(
    genes: Tokens,
    centred: np.ndarray,
    left_out: np.ndarray,
    settings: HybridSettings,
    seed: int,
    device: str,
) -> tuple[Hybrid, ...]:
    """Train by squared error of what is hidden, and keep the weights of each kind's best pass.

    Genes of which nothing is seen are told worse long before the others are told best.

    Parameters
    ----------
    genes
        Tokens of the training genes.
    centred
        Their profiles about the tissue means; NaN is a hole.
    left_out
        Genes that say when to stop, shape ``(n_genes,)``, bool.
    settings, seed
        Of training; `seed` of weights, order and what is hidden.
    device
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    tuple of Hybrid
        One a kind of gene, `mtm.analyses.profiles.holes.KINDS`.
    """
    rng = np.random.default_rng([seed, 1])
    kept, out = np.flatnonzero(~left_out), np.flatnonzero(left_out)
    hidden = draw_hidden(rng, centred[out])
    seen, true, of_out = np.where(hidden, np.nan, centred[out]), centred[out], genes.of(out)
    kind = kind_of(np.isfinite(seen))

    # A kind that none of these genes is of has the weights that tell all of them best.
    of_kinds = [hidden & (kind == one)[:, None] for one in KINDS]
    of_kinds = [of_kind if of_kind.any() else hidden for of_kind in of_kinds]

    def errors(told: np.ndarray | float) -> np.ndarray:
        return np.array([((told - true)[of_kind] ** 2).mean() for of_kind in of_kinds])

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        net = Hybrid(centred.shape[1], settings).to(device)
        passes = _passes(net, genes, centred, kept, settings, rng, device)
        weights = best_weights(
            net, passes, lambda: errors(net.predict(of_out, seen, device)), settings, errors(0.0)
        )
    nets = tuple(copy.deepcopy(net).eval() for _ in KINDS)
    for one, of_kind in zip(nets, weights, strict=True):
        one.load_state_dict(of_kind)
    return nets


def _passes(
    net: Hybrid,
    genes: Tokens,
    centred: np.ndarray,
    kept: np.ndarray,
    settings: HybridSettings,
    rng: np.random.Generator,
    device: str,
) -> Iterator[None]:
    """Train pass by pass, holes drawn anew in each, and yield after each."""
    batches = -(-len(kept) // settings.batch_size)
    step = stepper(net, settings.learning_rate, settings.epochs * batches)
    for _ in range(settings.epochs):
        net.train()
        hidden = draw_hidden(rng, centred[kept])
        seen = torch.from_numpy(np.where(hidden, np.nan, centred[kept]).astype(np.float32))
        true = torch.from_numpy(np.where(hidden, centred[kept], np.nan).astype(np.float32))
        for batch in np.array_split(rng.permutation(len(kept)), batches):
            told = net(_on(genes.of(kept[batch]), device), seen[batch].to(device))
            wanted = true[batch].to(device)
            where = wanted.isfinite()
            step((told[where] - wanted[where]).square().mean())
        yield


def _on(genes: Tokens, device: str) -> Tokens:
    return Tokens(*(part.to(device) for part in (genes.promoter, genes.neighbours, genes.there)))
