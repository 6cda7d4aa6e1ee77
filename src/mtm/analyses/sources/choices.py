"""Which tissues of a donor a model is given."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mtm.settings.any_sources import AnySources
from mtm.vocabulary import (
    ALL_OTHERS,
    AND,
    NO_TISSUE,
    ONE_ADDED,
    ONE_TISSUE,
    SOME_ADDED,
    SOME_DRAWN,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """Tissues given, and the samples of one target that can be predicted from them.

    Parameters
    ----------
    kind
        Of `mtm.vocabulary.CHOICES`.
    given
        The tissues by name, joined by `AND`; of those drawn how many, of `ALL_OTHERS` and
        `NO_TISSUE` nothing.
    kept
        Positions of the samples whose donors have all of them, shape ``(n_kept,)``, int64.
    source_rows
        Rows of the cohort that the model sees of each, -1 at the end of a row for none.
    """

    kind: str
    given: str
    kept: np.ndarray
    source_rows: np.ndarray

    @property
    def n_given(self) -> float:
        """Tissues given, mean over samples."""
        return float((self.source_rows >= 0).sum(1).mean()) if len(self.kept) else np.nan


@dataclass(frozen=True)
class Chooser:
    """All choices that are asked for.

    Parameters
    ----------
    tissues
        Of the cohort.
    source
        Position of the source among them.
    settings
        The section ``any_sources``.
    without_samples
        Whether the model predicts people without any sample.
    """

    tissues: tuple[str, ...]
    source: int
    settings: AnySources
    without_samples: bool

    def choices(self, own_rows: np.ndarray, target: int) -> Iterator[Choice]:
        """Yield every choice for the samples of a target.

        Parameters
        ----------
        own_rows
            Row of the cohort of each sample's donor in every tissue, -1 for none, shape
            ``(n_samples, n_tissues)``; all have the source.
        target
            Position of the target among the tissues; it is never given.
        """
        everyone = np.arange(len(own_rows))
        if self.without_samples:
            yield Choice(NO_TISSUE, "", everyone, np.full((len(own_rows), 1), -1))
        others = [tissue for tissue in range(len(self.tissues)) if tissue != target]
        for tissue in others:
            yield self._named(ONE_TISSUE, own_rows, [tissue])
        for tissue in others:
            if tissue != self.source:
                yield self._named(ONE_ADDED, own_rows, [self.source, tissue])
        added = [self.tissues.index(name) for name in self._accessible()]
        for n in range(1, len(added) + 1):
            if target not in added[:n]:
                yield self._named(SOME_ADDED, own_rows, [self.source, *added[:n]])
        shuffled = self._shuffled(own_rows, target)
        count = (shuffled >= 0).sum(1)
        for n in self.settings.random:
            kept = np.flatnonzero(count >= n)
            yield Choice(SOME_DRAWN, str(n), kept, shuffled[kept, :n])
        most = max(int(count.max(initial=0)), 1)
        yield Choice(ALL_OTHERS, "", everyone, shuffled[:, :most])

    def _accessible(self) -> list[str]:
        """Names of the section that the cohort has beside the source."""
        others = {*self.tissues} - {self.tissues[self.source]}
        return [name for name in self.settings.accessible if name in others]

    def tell_lacking(self) -> None:
        """Log the names of the section that the cohort has not."""
        lacking = sorted(set(self.settings.accessible) - set(self.tissues))
        if lacking:
            log.warning("any_sources.accessible: the cohort has no %s", ", ".join(lacking))

    def _named(self, kind: str, own_rows: np.ndarray, tissues: Sequence[int]) -> Choice:
        """Give certain tissues to those who have them all."""
        kept = np.flatnonzero((own_rows[:, tissues] >= 0).all(1))
        names = AND.join(self.tissues[tissue] for tissue in tissues)
        return Choice(kind, names, kept, own_rows[kept][:, tissues])

    def _shuffled(self, own_rows: np.ndarray, target: int) -> np.ndarray:
        """Rows of each donor's other tissues, shuffled: a larger draw holds every smaller one."""
        order = np.random.default_rng([self.settings.seed, target]).random(own_rows.shape)
        absent = own_rows < 0
        absent[:, target] = True
        rows = np.where(absent, -1, own_rows)
        return np.take_along_axis(rows, np.argsort(order + absent, axis=1, kind="stable"), axis=1)
