"""Expression in the units of a file, checked sample by sample and brought to TPM."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from mtm.cohort.blocks import GeneBlock
from mtm.cohort.genes import GeneKey, gene_lengths
from mtm.cohort.lengths import lengths_of, warn_of_lengths
from mtm.cohort.matrices import iter_expression_blocks
from mtm.errors import InputError, numbered
from mtm.vocabulary import OWN_UNITS, Measure, Units

logger = logging.getLogger(__name__)

MEANING = {"zscores": "z-scores", "intensity": "logarithms of intensities or ratios"}

# TPM of one sample add up to a million, so log2(1+TPM) stays below 20; no whole-transcriptome
# sample has its highest TPM below 30, and hardly a set of samples of a panel.
LARGEST_LOG2 = 20.0
SMALLEST_MAX_TPM = 30.0
LARGEST_TPM_SUM = 1.1e6
MIXED_RATIO = 10
# Fewer genes than these say nothing of one sample's maximum, or of its decimals.
FEW_GENES = 20
# First genes of a file that tell copies of a sample beside its sum, each with a weight.
FINGERPRINTED = 128
# What protein-coding genes alone add up to is several times the least sum.
WHOLE_GENES = 10_000
SMALLEST_WHOLE_SUM = 1e5
# Of fewer genes, what they add up to says little of a sample's whole RNA.
MANY_GENES = 5_000
# TPM of all genes, and of those that a model of genes has, add up to a million or little less.
TPM_SUM = (9.9e5, 1.01e6)
# Of standard normal values none is as far from 0; of logarithms to base 2, ratios and intensities
# end below.
LARGEST_Z, LARGEST_OWN_LOG2 = 60.0, 40.0
# What states the units of new people's samples, whose counts have no lengths of genes beside them.
OF_NEW = "--units"
TO_TPM = (
    "Make counts TPM first (each by the length of its gene, which is not known here, then each "
    "sample to a million)"
)


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
    weighted: np.ndarray = field(init=False)

    def __post_init__(self):
        n = len(self.sample_ids)
        self.total, self.largest = np.zeros(n), np.full(n, -np.inf)
        self.smallest, self.n_filled = np.full(n, np.inf), np.zeros(n, np.int64)
        self.all_whole, self.weighted = np.ones(n, bool), np.zeros(n)

    def add(self, values: np.ndarray) -> None:
        """Add a block of genes, shape ``(n_genes, n_samples)``, finite."""
        if not values.size:
            return
        if self.n_genes < FINGERPRINTED:
            # The same order of sums in each sample, so that copies agree to the last bit.
            first = values[: FINGERPRINTED - self.n_genes]
            weights = np.sqrt(np.arange(1.0, len(first) + 1) + self.n_genes)
            self.weighted += (first * weights[:, None]).sum(0)
        self.n_genes += len(values)
        self.total += values.sum(0, dtype=np.float64)
        self.largest = np.maximum(self.largest, values.max(0))
        self.smallest = np.minimum(self.smallest, values.min(0))
        self.n_filled += (values > 0).sum(0)
        self.all_whole &= (values == np.floor(values)).all(0)

    def warn_of_copies(self, where: object) -> None:
        """Warn of samples that have the same value in every gene: one of them was not measured."""
        if self.n_genes < FEW_GENES:
            return
        of = np.stack([self.weighted, self.total, self.largest, self.smallest, self.n_filled])
        groups: dict[bytes, list[int]] = {}
        for i, numbers in enumerate(np.ascontiguousarray(of.T)):
            groups.setdefault(numbers.tobytes(), []).append(i)
        copies = [(same[0], i) for same in groups.values() for i in same[1:]]
        if copies:
            first, copy = (self.sample_ids[i] for i in copies[0])
            more = f" (and {numbered(len(copies) - 1, 'further copy', 'further copies')})"
            logger.warning(
                "%s: samples %s and %s have one value in every gene%s: leave copies out, or what "
                "is told from one is told of itself",
                where, first, copy, more * (len(copies) > 1),
            )  # fmt: skip

    def problems(
        self, units: Units | None, where: object, said_by: str = OF_NEW
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
        if not self.n_genes:
            return
        # One or two genes may have the same value.
        flat = (self.smallest == self.largest) & (self.n_genes > 2)
        yield from self._of(
            where,
            flat,
            lambda i: f"{self.largest[i]:.4g} for every gene",
            "the expression of each gene",
            "The sample was not measured; leave it out.",
        )
        if units is None:
            yield from self._looks(where, said_by, ~flat)
        else:
            yield from self._contradicting(units, where, said_by, ~flat)

    def _contradicting(
        self, units: Units, where: object, said_by: str, apart: np.ndarray
    ) -> Iterator[InputError]:
        """Yield what cannot be of the units that are stated, among samples not flat."""
        many = apart & (self.n_genes >= FEW_GENES)
        tpm = (self.total > TPM_SUM[0]) & (self.total < TPM_SUM[1]) & ~self.all_whole
        if units == "log2":
            yield from self._of(
                where,
                self.largest > LARGEST_LOG2,
                lambda i: f"values up to {self.largest[i]:.4g}",
                f"log2(1+TPM), at most {LARGEST_LOG2:g}",
                f"If they are TPM, leave out {said_by} log2.",
            )
        if units in ("counts", "rpkm"):
            yield from self._of(
                where,
                many & (self.largest < SMALLEST_MAX_TPM) & ~self.all_whole,
                lambda i: f"no value above {self.largest[i]:.4g}, which looks log-scaled",
                {"counts": "counts of reads", "rpkm": "RPKM or FPKM"}[units],
                f"Say {said_by} log2 if these are log2(1+TPM).",
            )
            yield from self._of(
                where,
                many & tpm & (self.n_genes >= MANY_GENES),
                lambda i: f"values that add up to {self.total[i]:.7g}, as TPM do",
                {"counts": "counts of reads", "rpkm": "RPKM or FPKM"}[units],
                f"Say {said_by} tpm if these are TPM.",
            )
        if units == "rpkm":
            yield from self._of(
                where,
                many & self.all_whole & (self.n_filled >= FEW_GENES),
                lambda i: (
                    f"{self.n_filled[i]} whole numbers and no other, which looks like counts"
                ),
                "RPKM or FPKM, which have decimals",
                f"Say {said_by} counts if these are counts of reads.",
            )
        if units == "zscores":
            yield from self._of(
                where,
                many & (self.smallest >= 0),
                lambda i: f"no value below {self.smallest[i]:.4g}",
                "z-scores, of which about half are negative",
                f"Say {said_by} intensity if these are logarithms, or tpm, counts, rpkm.",
            )
        if units in OWN_UNITS:
            limit = LARGEST_Z if units == "zscores" else LARGEST_OWN_LOG2
            yield from self._of(
                where,
                np.maximum(self.largest, -self.smallest) > limit,
                lambda i: f"values from {self.smallest[i]:.4g} to {self.largest[i]:.4g}",
                f"{MEANING[units]}, within {limit:g} of 0",
                "Take logarithms of intensities or ratios first.",
            )

    def _looks(self, where: object, said_by: str, apart: np.ndarray) -> Iterator[InputError]:
        """Yield what looks log-scaled, scaled down or like counts, among samples not flat."""
        low = self.largest < SMALLEST_MAX_TPM
        # New people's values must be what the model was trained on.
        of_cohort = said_by.startswith("inputs.")
        own = f", {said_by} intensity if they are logarithms of anything else." * of_cohort or "."
        if self.n_genes < WHOLE_GENES and not low.all():
            # Of a panel, a sample that is another kind of number than most of the others.
            low &= MIXED_RATIO * self.largest < np.quantile(self.largest, 0.9)
            low &= self.n_genes >= FEW_GENES
        yield from self._of(
            where,
            low & apart,
            lambda i: f"no value above {self.largest[i]:.4g}, which looks log-scaled",
            "TPM",
            f"Say {said_by} log2 if these are log2(1+TPM), {said_by} tpm if they are TPM after all"
            + own,
        )
        sums = self.total > LARGEST_TPM_SUM
        yield from self._of(
            where,
            sums,
            lambda i: f"values that add up to {self.total[i]:.4g}, which looks like counts",
            "TPM, which add up to at most one million a sample",
            _of_counts(said_by, "you know better"),
        )
        counts = self.all_whole & (self.n_filled >= FEW_GENES) & ~sums & ~low & apart
        yield from self._of(
            where,
            counts,
            lambda i: f"{self.n_filled[i]} whole numbers and no other, which looks like counts",
            "TPM, which have decimals",
            _of_counts(said_by, "they are rounded TPM"),
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
            more = f" (and {numbered(bad.sum() - 1, 'further sample')})" if bad.sum() > 1 else ""
            place = f"{where}, sample {self.sample_ids[first]}"
            yield InputError(place, found(first) + more, expected, hint)

    def demand(self, units: Units | None, where: object, said_by: str = OF_NEW) -> None:
        """Raise all of `problems` together, if there are any."""
        problems = list(self.problems(units, where, said_by))
        if problems:
            raise InputError.together(problems)


def to_tpm(
    values: np.ndarray,
    units: Units | None = None,
    where: object = "expression",
    sample_ids: Sequence[str] | None = None,
    measure: Measure = "tpm",
) -> np.ndarray:
    """Check expression values of new people and return them as a model takes them.

    Parameters
    ----------
    values
        Shape ``(n_samples, n_genes)``: all genes of the data.
    units
        - ``None``: take them for what the model was trained on, and refuse what cannot be TPM
        - ``"tpm"``: TPM, however they look
        - ``"log2"``: log2(1+TPM)
        - ``"rpkm"``: RPKM or FPKM, which are divided by their sum
        - ``"zscores"``, ``"intensity"``: of a model that was trained on such
    where
        File named in errors.
    sample_ids
        Names of the samples, for errors; None takes their numbers.
    measure
        What the model was trained on.

    Returns
    -------
    np.ndarray
        TPM, or values on the scale of their own, same shape, float32.

    Raises
    ------
    InputError
        Values are missing, negative or infinite, or do not look like the units: in all samples or
        in some, of which the first is named; or the model was trained on others.
    """
    values = np.asarray(values, dtype=np.float32)
    units = units_of_new(units, where, measure)
    check_values(values, where, signed=measure == "own")
    totals = SampleTotals(sample_ids or [str(i + 1) for i in range(len(values))])
    totals.add(values.T)
    totals.demand(units, where)
    if units in ("log2", "rpkm"):
        values = values.copy()
        store_new(values, units, totals)
    return values


def _of_counts(said_by: str, otherwise: str) -> str:
    """Advise who has counts, or TPM where `otherwise` holds; `units_of_new` takes no counts."""
    if not said_by.startswith("inputs."):
        return f"{TO_TPM}, or say {said_by} tpm if {otherwise}."
    return f"Say {said_by} counts if they are, {said_by} tpm if {otherwise}."


def units_of_new(units: Units | None, where: object, measure: Measure = "tpm") -> Units | None:
    """Return the units that values of new people are taken for.

    Parameters
    ----------
    units, where, measure
        As of `to_tpm`.

    Raises
    ------
    InputError
        They are unknown, or a model that was trained on `measure` cannot take them.
    """
    if units not in (None, *get_args(Units)):
        raise InputError("units", repr(units), f"one of {', '.join(get_args(Units))}")
    if units == "counts":
        raise InputError(where, "counts", "TPM", f"{TO_TPM}.")
    if units is not None and (units in OWN_UNITS) != (measure == "own"):
        trained = {"tpm": "TPM, as", "own": "values on the scale that"}[measure]
        raise InputError(f"units of {where}", repr(units), f"{trained} the model was trained on")
    return units or ("intensity" if measure == "own" else None)


def store_new(values: np.ndarray, units: Units | None, totals: SampleTotals) -> None:
    """Turn new people's values, samples as rows, into what a model takes, in place.

    Parameters
    ----------
    values
        Shape ``(n_samples, n_genes)``: all genes of the data, or some of them.
    units
        From `units_of_new`.
    totals
        Of all genes of the data.
    """
    if units == "rpkm" and totals.n_genes >= MANY_GENES:
        values *= (1e6 / totals.total[:, None]).astype(np.float32)
    if units == "log2":
        np.exp2(values, out=values)
        values -= 1


@dataclass(frozen=True)
class ToStored:
    """What turns blocks of an expression file into what a cohort keeps of them.

    Parameters
    ----------
    units
        Of the file; None is TPM.
    words
        What is kept, in words, for logs and provenance.
    stored
        The same in a word or two, for files.
    factor
        Of every sample, shape ``(n_samples,)``; None is 1.
    lengths
        Bases of each gene, which counts are divided by; None divides by none.
    n_without_length
        Genes of the file that have none there, of which nothing can be kept.
    """

    units: Units | None = None
    words: str = "TPM"
    stored: str = "TPM"
    factor: np.ndarray | None = None
    lengths: Mapping[GeneKey, int] | None = None
    n_without_length: int = 0

    @classmethod
    def of(
        cls,
        units: Units | None,
        expression: str | Path,
        columns: np.ndarray,
        gene_model: str | Path | None = None,
    ) -> "ToStored":
        """Read what is needed of the whole file: sums of samples over all of its genes.

        Parameters
        ----------
        columns
            Positions of the samples in the file.
        gene_model
            GTF with exons, for lengths of genes; without it counts become CPM.

        Raises
        ------
        InputError
            No gene of a file of counts is in the gene model, or a sample has no read.
        """
        if units in OWN_UNITS:
            return cls(units, f"values as they are, {MEANING[units]}", MEANING[units])
        if units == "log2":
            return cls(units, "TPM, from log2(1+TPM)")
        if units not in ("counts", "rpkm"):
            return cls(units)
        lengths = gene_lengths(gene_model) if units == "counts" and gene_model else None
        total, n_genes, n_unknown, lost = _sums(expression, columns, lengths)
        if lengths is not None:
            warn_of_lengths(gene_model, expression, n_unknown, n_genes, lost)
        if units == "rpkm" and n_genes < MANY_GENES:
            words = f"RPKM as they are: {n_genes} genes are too few to make TPM of"
            return cls(units, words, "RPKM")
        factor = np.divide(1e6, total, out=np.zeros_like(total), where=total > 0)
        if units == "rpkm":
            return cls(units, "TPM, from RPKM", "TPM", factor)
        words = "CPM, from counts: without inputs.gene_model lengths of genes are not known"
        if lengths is not None:
            words = f"TPM, from counts and lengths of genes in {gene_model}"
            words += f"; {numbered(n_unknown, 'gene')} without a length left out" * (n_unknown > 0)
        stored = "CPM" if lengths is None else "TPM"
        return cls(units, words, stored, factor, lengths, n_unknown)

    @property
    def measure(self) -> Measure:
        """What is kept."""
        return "own" if self.units in OWN_UNITS else "tpm"

    def __call__(self, block: GeneBlock) -> np.ndarray:
        """Return a block as it is kept, shape ``(n_genes, n_samples)``, float32."""
        if self.units == "log2":
            return np.exp2(block.expr_tpm) - 1
        if self.factor is None:
            return block.expr_tpm
        values = block.expr_tpm * self.factor
        if self.lengths is not None:
            values = np.nan_to_num(values / lengths_of(block.gene_ids, self.lengths)[:, None])
        return values.astype(np.float32)


def _sums(
    expression: str | Path, columns: np.ndarray, lengths: Mapping[GeneKey, int] | None
) -> tuple[np.ndarray, int, int, float]:
    """Add up a whole file.

    Returns
    -------
    np.ndarray
        Of each sample, values by the lengths of their genes, where lengths are given.
    int, int, float
        Genes; those without a length; the share of all counts that these have.
    """
    total, n_genes, n_unknown = np.zeros(len(columns)), 0, 0
    counts = lost = 0.0
    for block in iter_expression_blocks(expression, columns):
        values = block.expr_tpm.astype(np.float64)
        if lengths is not None:
            of_gene = lengths_of(block.gene_ids, lengths)
            unknown = np.isnan(of_gene)
            n_unknown += int(unknown.sum())
            counts, lost = counts + values.sum(), lost + values[unknown].sum()
            values = np.nan_to_num(values / of_gene[:, None])
        total += values.sum(0)
        n_genes += len(values)
    return total, n_genes, n_unknown, lost / counts if counts else 0.0


def check_values(values: np.ndarray, where: object, signed: bool, first: int = 0) -> None:
    """Refuse what TPM and logarithms cannot be; `signed` may be negative, `first` is row 0."""
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{where}, sample {first + row + 1}, gene {column + 1}",
            str(values[row, column]),
            "a finite number for every gene and sample",
        )
    if values.size == 0:
        raise InputError(where, f"a table of shape {values.shape}", "samples and genes")
    smallest = float(values.min())
    if smallest < 0 and not signed:
        raise InputError(
            where,
            f"negative values (down to {smallest:.4g})",
            "TPM or log2(1+TPM)",
            "Give the values before any centring or scaling.",
        )
