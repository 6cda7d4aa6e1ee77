"""Zeros of read counts beside those that negative binomials expect (methods 6.24)."""

import numpy as np
import pandas as pd
import torch

from mtm.analyses.imputation.counts import exposures
from mtm.analyses.imputation.likelihoods import nb_log_likelihood
from mtm.cohort.cohort import Cohort
from mtm.vocabulary import ALL_TISSUES

# Counts of a gene and tissue with a lower mean are 0 for want of reads.
EXPRESSED = 1.0
# Zeros beyond those expected are inflation from this share of all counts on.
LEAST_INFLATED = 0.001
# Candidate logarithms of sizes: from far more spread than any gene has to Poisson's.
LOG_SIZES = torch.linspace(-4, 12, 33, dtype=torch.float64)
GENES_AT_A_TIME = 2048
COLUMNS = ["tissue", "n_values", "n_genes", "zeros", "expected", "expected_sd"]


def count_zeros(counts: np.ndarray, cohort: Cohort) -> pd.DataFrame:
    """Compare zeros with those of negative binomials fitted gene by gene and tissue by tissue.

    Means are the tissue's mean TPM times each sample's exposure; sizes are the likeliest. (By
    moments a few large counts make sizes so small that inflation is expected, not found.)
    Genes whose mean count in the tissue is below `EXPRESSED` are left out.

    Returns
    -------
    pd.DataFrame
        One row a ``tissue`` and one of all: ``n_values``, ``n_genes``, ``zeros`` (observed),
        ``expected`` and ``expected_sd`` (by the negative binomials).
    """
    depth, length = exposures(counts, cohort.expr_tpm, np.ones(len(counts), bool))
    rows = []
    for index, tissue in enumerate(cohort.tissues):
        members = np.flatnonzero(cohort.tissue == index)
        used = np.flatnonzero(counts[members].mean(0) >= EXPRESSED)
        if not len(used):
            continue
        blocks = np.split(used, range(GENES_AT_A_TIME, len(used), GENES_AT_A_TIME))
        parts = [
            _zeros(counts[np.ix_(members, genes)], np.outer(depth[members], length[genes]))
            for genes in blocks
        ]
        zeros, expected, variance = np.sum(parts, 0)
        rows.append(
            {
                "tissue": tissue,
                "n_values": len(members) * len(used),
                "n_genes": len(used),
                "zeros": zeros,
                "expected": expected,
                "expected_sd": variance**0.5,
            }
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    of_all = table[["n_values", "zeros", "expected"]].sum().to_dict()
    of_all |= {"tissue": ALL_TISSUES, "n_genes": table["n_genes"].max() if len(table) else 0}
    of_all["expected_sd"] = (table["expected_sd"] ** 2).sum() ** 0.5
    table.loc[len(table)] = of_all
    return table.astype({"n_values": int, "n_genes": int, "zeros": int})


def _zeros(counts: np.ndarray, exposure: np.ndarray) -> tuple[float, float, float]:
    """Zeros of a tissue's genes, those expected, and their variance.

    Parameters
    ----------
    counts, exposure
        Shape ``(n_samples, n_genes)``.
    """
    found, exposure = torch.from_numpy(counts).double(), torch.from_numpy(exposure).double()
    mean = exposure * (found.sum(0) / exposure.sum(0))
    likely = torch.stack([nb_log_likelihood(found, mean, size).sum(0) for size in LOG_SIZES])
    log_size = LOG_SIZES[likely.argmax(0)]
    chance = nb_log_likelihood(torch.zeros(()), mean, log_size).exp()
    return (
        float((found == 0).sum()),
        float(chance.sum()),
        float((chance * (1 - chance)).sum()),
    )


def say_zeros(zeros: pd.DataFrame) -> str:
    """Say whether counts have more zeros than `count_zeros` expects."""
    row = zeros[zeros["tissue"] == ALL_TISSUES].iloc[0]
    more = row["zeros"] - row["expected"]
    inflated = more > 3 * row["expected_sd"] and more > LEAST_INFLATED * row["n_values"]
    verdict = "zero inflation" if inflated else "no zero inflation"
    return (
        f"{verdict}: {row['zeros']} of {row['n_values']} counts are 0, "
        f"{row['expected']:.0f} by negative binomials"
    )
