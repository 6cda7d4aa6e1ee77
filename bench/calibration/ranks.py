"""Ranks: intervals of a mean over donors' samples, and P values of perturbed genes.

`donor_mean` is of losses that donors share a part of: its estimand is the mean of the population,
donors weighing by their samples; the same of balanced accuracies, their classes weighing alike.
`shifts_of` is asked of a gene drawn at random, by an encoder that learned nothing: the gene is
exchangeable with those that it is held against, so its P value must be uniform.
"""

from collections.abc import Iterator

import numpy as np
import torch
from bench.calibration.trial import Interval, Test

from mtm.analyses.ranks.encoder import Encoder, codes
from mtm.analyses.ranks.perturb import Way, shifts_of
from mtm.settings.ranks import Ranks
from mtm.statistics.donor_mean import donor_mean

SETTINGS = Ranks(epochs=1, layers=1, width=8, heads=2)
# With 99 genes of a null P values are hundredths: below 0.05 are four of them.
N_GENES, N_NULL, N_SAMPLES = 110, 99, 6


def _chances(rng: np.random.Generator, n: int) -> np.ndarray:
    """How likely a donor's samples are told."""
    return np.clip(0.7 + 0.2 * rng.standard_normal(n), 0.4, 1.0)


SHARE_OF_HITS = float(_chances(np.random.default_rng(1), 1_000_000).mean())


def simulate(rng: np.random.Generator, n_donors: int) -> Iterator[Interval | Test]:
    """Draw losses, hits and sentences of so many donors."""
    donor = np.repeat(np.arange(n_donors), rng.integers(1, 12, n_donors))
    own = rng.gamma(2, 0.5, n_donors)[donor]
    losses = own + rng.exponential(1, len(donor))
    found = donor_mean(losses, donor)
    yield Interval("mean loss", found["ci_low"], found["ci_high"], 2.0)
    # Two classes of donors, one of them rare, told as often as each other by and large.
    labels = (rng.random(n_donors) < 0.3)[donor].astype(int)
    hit = rng.random(len(donor)) < _chances(rng, n_donors)[donor]
    if 0 < labels.mean() < 1:
        weights = 1 / np.bincount(labels)[labels]
        found = donor_mean(hit.astype(float), donor, weights)
        yield Interval("balanced accuracy", found["ci_low"], found["ci_high"], SHARE_OF_HITS)
    yield from _perturbed(rng, N_SAMPLES)


def _perturbed(rng: np.random.Generator, n_samples: int) -> Iterator[Test]:
    """Perturb a gene that is one of all."""
    torch.manual_seed(int(rng.integers(2**31)))
    encoder = Encoder(N_GENES, N_GENES, SETTINGS).eval()
    noise = rng.normal(0, 8, (n_samples, N_GENES))
    sentences = np.argsort(np.arange(N_GENES) + noise, axis=1).astype(np.int32)
    way = Way(sentences, codes(encoder, sentences), rng.standard_normal(SETTINGS.width))
    table = shifts_of([(encoder, way)], rng.integers(0, N_GENES, 1), N_GENES, N_NULL)
    for name, p in zip(table["perturbation"], table["p"], strict=True):
        yield Test(name, p)
