"""Expression in the units of a file, checked sample by sample and brought to TPM."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from mtm.errors import InputError
from mtm.vocabulary import Units

# TPM of one sample add up to a million, so log2(1+TPM) stays below 20; no whole-transcriptome
# sample has its highest TPM below 30, and hardly a set of samples of a panel.
LARGEST_LOG2 = 20.0
SMALLEST_MAX_TPM = 30.0
LARGEST_TPM_SUM = 1.1e6
MIXED_RATIO = 10
# Fewer genes than these say nothing of one sample's maximum, or of its decimals.
FEW_GENES = 20
# What protein-coding genes alone add up to is several times the least sum.
WHOLE_GENES = 10_000
SMALLEST_WHOLE_SUM = 1e5


@dataclass
class SampleTotals:
    """What the values of each sample say of their units, added up over blocks of genes.

    Parameters
    ----------
    sample_ids
        One a sample.
    """

    sample_ids: Sequence[str]
    n_genes: int = field(default=0, init=False)
    total: np.ndarray = field(init=False)
    largest: np.ndarray = field(init=False)
    smallest: np.ndarray = field(init=False)
    n_filled: np.ndarray = field(init=False)
    all_whole: np.ndarray = field(init=False)

    def __post_init__(self):
        n = len(self.sample_ids)
        self.total, self.largest = np.zeros(n), np.zeros(n)
        self.smallest, self.n_filled = np.full(n, np.inf), np.zeros(n, np.int64)
        self.all_whole = np.ones(n, bool)

    def add(self, values: np.ndarray) -> None:
        """Add a block of genes, shape ``(n_genes, n_samples)``, finite and 0 or more."""
        if not values.size:
            return
        self.n_genes += len(values)
        self.total += values.sum(0, dtype=np.float64)
        self.largest = np.maximum(self.largest, values.max(0))
        self.smallest = np.minimum(self.smallest, values.min(0))
        self.n_filled += (values > 0).sum(0)
        self.all_whole &= (values == np.floor(values)).all(0)

    def problems(
        self, units: Units | None, where: object, said_by: str = "--units"
    ) -> Iterator[InputError]:
        """Yield why the samples cannot be of `units`, each kind once, its first sample named.

        Parameters
        ----------
        units
            As in `to_tpm`.
        where
            File named in errors.
        said_by
            What states the units, for the advice.
        """
        # One or two genes may have the same value.
        flat = (self.smallest == self.largest) & (self.n_genes > 2)
        yield from self._of(
            where,
            flat,
            lambda i: f"{self.largest[i]:.4g} for every gene",
            "the expression of each gene",
            "The sample was not measured; leave it out.",
        )
        if units == "log2":
            yield from self._of(
                where,
                self.largest > LARGEST_LOG2,
                lambda i: f"values up to {self.largest[i]:.4g}",
                f"log2(1+TPM), at most {LARGEST_LOG2:g}",
                f"If they are TPM, leave out {said_by} log2.",
            )
        if units is None:
            yield from self._looks(where, said_by, ~flat)

    def _looks(self, where: object, said_by: str, apart: np.ndarray) -> Iterator[InputError]:
        """Yield what looks log-scaled, scaled down or like counts, among samples not flat."""
        low = self.largest < SMALLEST_MAX_TPM
        if self.n_genes < WHOLE_GENES and not low.all():
            # Of a panel, a sample that is another kind of number than most of the others.
            low &= MIXED_RATIO * self.largest < np.quantile(self.largest, 0.9)
            low &= self.n_genes >= FEW_GENES
        yield from self._of(
            where,
            low & apart,
            lambda i: f"no value above {self.largest[i]:.4g}, which looks log-scaled",
            "TPM",
            f"Say {said_by} log2 if these are log2(1+TPM), {said_by} tpm if they are TPM after "
            "all.",
        )
        sums = self.total > LARGEST_TPM_SUM
        yield from self._of(
            where,
            sums,
            lambda i: f"values that add up to {self.total[i]:.4g}, which looks like counts",
            "TPM, which add up to at most one million a sample",
            f"Convert them to TPM, or say {said_by} tpm if you know better.",
        )
        counts = self.all_whole & (self.n_filled >= FEW_GENES) & ~sums & ~low & apart
        yield from self._of(
            where,
            counts,
            lambda i: f"{self.n_filled[i]} whole numbers and no other, which looks like counts",
            "TPM, which have decimals",
            f"Convert them to TPM, or say {said_by} tpm if they are rounded TPM.",
        )
        if self.n_genes >= WHOLE_GENES:
            yield from self._of(
                where,
                (self.total < SMALLEST_WHOLE_SUM) & ~low & apart,
                lambda i: f"{self.n_genes} genes that add up to {self.total[i]:.4g} only",
                "TPM, which add up to about one million over all genes",
                f"Undo what they were divided by, or say {said_by} tpm if you know better.",
            )

    def _of(
        self, where: object, bad: np.ndarray, found, expected: str, hint: str = ""
    ) -> Iterator[InputError]:
        """Yield one error for the samples that are `bad`, if there are any."""
        if bad.any():
            first = int(bad.argmax())
            more = f" (and {bad.sum() - 1} further samples)" if bad.sum() > 1 else ""
            place = f"{where}, sample {self.sample_ids[first]}"
            yield InputError(place, found(first) + more, expected, hint)

    def demand(self, units: Units | None, where: object, said_by: str = "--units") -> None:
        """Raise all of `problems` together, if there are any."""
        problems = list(self.problems(units, where, said_by))
        if problems:
            raise InputError.together(problems)


def to_tpm(
    values: np.ndarray,
    units: Units | None = None,
    where: object = "expression",
    sample_ids: Sequence[str] | None = None,
) -> np.ndarray:
    """Check expression values and return them as TPM.

    Parameters
    ----------
    values
        Shape ``(n_samples, n_genes)``: all genes of the data.
    units
        - ``None``: take them for TPM and refuse what cannot be TPM
        - ``"tpm"``: TPM, however they look
        - ``"log2"``: log2(1+TPM)
    where
        File named in errors.
    sample_ids
        Names of the samples, for errors; None takes their numbers.

    Returns
    -------
    np.ndarray
        TPM, same shape, float32.

    Raises
    ------
    InputError
        Values are missing, negative or infinite, or do not look like the units: in all samples or
        in some, of which the first is named.
    """
    values = np.asarray(values, dtype=np.float32)
    if units not in (None, *get_args(Units)):
        raise InputError("units", repr(units), f"one of {', '.join(get_args(Units))}")
    _check_values(values, where)
    totals = SampleTotals(sample_ids or [str(i + 1) for i in range(len(values))])
    totals.add(values.T)
    totals.demand(units, where)
    return np.exp2(values) - 1 if units == "log2" else values


def _check_values(values: np.ndarray, where: object) -> None:
    """Refuse what neither TPM nor its logarithm can be."""
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{where}, sample {row + 1}, gene {column + 1}",
            str(values[row, column]),
            "a finite number for every gene and sample",
        )
    if values.size == 0:
        raise InputError(where, f"a table of shape {values.shape}", "samples and genes")
    smallest = float(values.min())
    if smallest < 0:
        raise InputError(
            where,
            f"negative values (down to {smallest:.4g})",
            "TPM or log2(1+TPM)",
            "Give the values before any centring or scaling.",
        )
