"""Whether tissues that the disease changes are predicted better than the others."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mtm.statistics.testing import ROUNDING, permutation_p, rank_sum_p
from mtm.vocabulary import TARGET

# He et al. 2023, section 3.5: tissues and median rho, P of the rank-sum test.
PAPER = {"n_related": 16, "median_related": 0.52, "n_other": 11, "median_other": 0.32,
         "rank_sum_p": 0.033}  # fmt: skip
# Of the external cohort; those of the reference differ between tissues.
PEOPLE = ["n_cases", "n_controls"]


def compare_groups(table: pd.DataFrame, null: Mapping[tuple, np.ndarray]) -> pd.DataFrame:
    """Compare tissues related to the disease with others.

    Parameters
    ----------
    table
        `AGREEMENT` rows of one model.
    null
        Correlations under permuted groups by alignment, set of genes and tissue.

    Returns
    -------
    pd.DataFrame
        ``model``, ``alignment``, ``genes``, ``n_cases``, ``n_controls`` (external), ``n_tissues``,
        ``median``, ``median_null_high`` (97.5% of permuted groups), ``median_p`` (one-sided,
        groups permuted), ``n_related``, ``median_related``, ``n_other``, ``median_other``,
        ``difference`` of the medians, ``p_as_paper`` (rank-sum test, two-sided, tissues as if
        independent), ``permuted_p`` (of the difference, one-sided, groups permuted),
        ``median_level_error_log2``, and the paper's numbers, ``paper_...``.
    """
    rows = []
    targets = table[(table["role"] == TARGET) & table["rho_log2fc"].notna()]
    for (alignment, gene_set), part in targets.groupby(["alignment", "genes"], sort=False):
        rho, related = part["rho_log2fc"].to_numpy(float), part["related"].to_numpy(bool)
        permuted = np.stack([null[(alignment, gene_set, tissue)] for tissue in part["tissue"]], 1)
        medians = np.median(permuted, axis=1)
        row = {"model": part["model"].iloc[0], "alignment": alignment, "genes": gene_set}
        row |= {name: part[name].iloc[0] for name in PEOPLE}
        row |= {
            "n_tissues": len(part),
            "median_level_error_log2": part["level_error_log2"].median(),
            "median": np.median(rho),
            "median_null_high": np.nanquantile(medians, 0.975),
            "median_p": permutation_p(float(np.median(rho)), medians, ROUNDING),
            "n_related": int(related.sum()),
            "n_other": int((~related).sum()),
        }
        if related.any():
            row["median_related"] = np.median(rho[related])
        if (~related).any():
            row["median_other"] = np.median(rho[~related])
        if related.any() and (~related).any():
            row["difference"] = row["median_related"] - row["median_other"]
            gaps = np.median(permuted[:, related], 1) - np.median(permuted[:, ~related], 1)
            row["p_as_paper"] = rank_sum_p(rho[related], rho[~related])
            row["permuted_p"] = permutation_p(row["difference"], gaps, 2 * ROUNDING)
        rows.append(row | {f"paper_{key}": value for key, value in PAPER.items()})
    columns = ["model", "alignment", "genes", *PEOPLE, "n_tissues", "median", "median_null_high",
               "median_p", "n_related", "median_related", "n_other", "median_other",
               "difference", "p_as_paper", "permuted_p", "median_level_error_log2",
               *(f"paper_{key}" for key in PAPER)]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
