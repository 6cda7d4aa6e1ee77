"""Units of an expression file, told by its values."""

import re
from itertools import islice
from pathlib import Path

import numpy as np

from mtm.cohort.checks import WHOLE_BYTES
from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.cohort.units import (
    LARGEST_LOG2,
    LARGEST_TPM_SUM,
    MANY_GENES,
    SMALLEST_MAX_TPM,
    TPM_SUM,
)
from mtm.errors import InputError
from mtm.vocabulary import Units

# Samples normalised to one sum differ by rounding alone (sd over mean); to other bases by so many
# times as much, and more than by rounding. How many genes and samples tell that.
ONE_SUM, TOLD_APART, LEAST = 0.01, 10, 1e-3
FEWEST_GENES, FEWEST_SAMPLES = 100, 3
# Logarithms of 1+x to other bases than 2, and what makes such of base 2 of them.
BASES = {"ln": np.e, "lg": 10.0}
# What units are told by: samples, and blocks of genes where a file is too large to read whole.
SAMPLES_LOOKED_AT, LOOKED_AT = 200, 8
# A file of counts by its name, est_counts.tsv for instance; country.tsv is none.
COUNTS, NO_COUNTS = re.compile("(?<!dis)(?<!ac)counts?(?![a-z])"), ("tpm", "cpm")


def detect_units(expression: str | Path) -> tuple[Units | None, str]:
    """Tell the units of an expression file by its values.

    Returns
    -------
    units
        None where they may be TPM.
    why
        What tells so.

    Raises
    ------
    InputError
        There is no gene, or a value is none.
    """
    columns = range(min(SAMPLES_LOOKED_AT, len(read_expression_header(expression).sample_ids)))
    blocks = iter_expression_blocks(expression, np.array(columns), signed=True)
    whole = Path(expression).stat().st_size <= WHOLE_BYTES
    blocks = blocks if whole else islice(blocks, LOOKED_AT)
    parts = [block.expr_tpm for block in blocks]
    if not parts:
        raise InputError(expression, "no gene", "at least one row of values")
    values = np.vstack(parts).astype(np.float64)
    low, high, n = values.min(), values.max(), len(values)
    if low < 0:
        center, spread = np.median(np.abs(values.mean(1))), np.median(values.std(1))
        if center < 0.1 and 0.5 < spread < 1.5:
            return "zscores", "negative values, genes centred with an sd near 1"
        return "intensity", f"negative values, from {low:.3g} to {high:.3g}"
    if (values == np.floor(values)).all() and high > 1:
        return "counts", f"whole numbers up to {high:.3g}"
    name, total = Path(expression).name.lower(), np.median(values.sum(0))
    if high >= LARGEST_LOG2 and any(word in name for word in ("rpkm", "fpkm")):
        return "rpkm", "the name of the file"
    of_counts = COUNTS.search(name) and not any(word in name for word in NO_COUNTS)
    as_tpm = n >= MANY_GENES and TPM_SUM[0] < total < TPM_SUM[1]
    if high >= SMALLEST_MAX_TPM and of_counts and not as_tpm:
        # Estimates of counts, which have decimals.
        return "counts", f"the name of the file, and values up to {high:.3g}"
    if high < LARGEST_LOG2 and (why := _other_logarithms(values)):
        return "intensity", why
    if high < LARGEST_LOG2 and n >= MANY_GENES // 10:
        tpm = (np.exp2(values) - 1).sum(0)
        tpm = np.median(tpm) if whole and n >= MANY_GENES else np.nan
        if 0.2e6 < tpm < LARGEST_TPM_SUM or (np.isnan(tpm) and low == 0):
            return "log2", f"no value above {high:.3g}; intensity if no log2(1+TPM)"
        return "intensity", f"no value above {high:.3g}; log2 if log2(1+TPM)"
    if high < LARGEST_LOG2:
        return "log2", f"no value above {high:.3g}; tpm or intensity if no log2(1+TPM)"
    if high < SMALLEST_MAX_TPM:
        # Too large for log2(1+TPM), too small for TPM: logarithms of intensities or of counts.
        return "intensity", f"no value above {high:.3g}; tpm if TPM"
    if total > LARGEST_TPM_SUM:
        return "counts", f"sums of samples near {total:.2g}"
    return None, f"values up to {high:.3g}"


def _other_logarithms(values: np.ndarray) -> str:
    """Say that values are logarithms of 1+x to another base than 2; "" where nothing tells so.

    Samples are normalised to one sum, in TPM or counts in ten thousand, which the right base alone
    gives back.
    """
    if len(values) < FEWEST_GENES or values.shape[1] < FEWEST_SAMPLES:
        return ""
    sums = {name: (base**values - 1).sum(0) for name, base in {"log2": 2.0, **BASES}.items()}
    spread = {name: total.std() / max(total.mean(), 1e-9) for name, total in sums.items()}
    name, other = sorted(spread, key=spread.get)[:2]
    # Arrays made alike by their quantiles have one sum to every base.
    is_told = spread[name] < ONE_SUM and spread[other] > max(TOLD_APART * spread[name], LEAST)
    if name not in BASES or not is_told:
        return ""
    total = np.median(sums[name])
    why = f"{name}(1+x) of x that add up to {total:.3g} in every sample"
    if TPM_SUM[0] < total < TPM_SUM[1]:
        why += f"; divided by {1 / np.log2(BASES[name]):.4f} they are log2"
    return why
