"""How often one model is better than another, counted over tissues."""

import pandas as pd

from mtm.vocabulary import ACCURACY_KEY, MEAN_OF_TISSUES, PAIR

SIGNIFICANT = 0.05


def pair_counts(pairs: pd.DataFrame) -> pd.DataFrame:
    """Count the tissues in which model A is better, by the paper's test and by the paired one.

    Parameters
    ----------
    pairs
        From `compare_accuracy`.

    Returns
    -------
    pd.DataFrame
        One row a pair, scale, level and convention: ``n_tissues`` (compared), ``n_better``,
        ``n_better_rank_sum`` (and P < 0.05), ``n_better_paired`` (and q < 0.05), and
        ``n_worse``, ``n_worse_rank_sum``, ``n_worse_paired``.
    """
    rows = pairs[(pairs["tissue"] != MEAN_OF_TISSUES) & pairs["difference"].notna()]
    counted = rows[[*PAIR, *ACCURACY_KEY]].assign(n_tissues=1)
    for word, holds in (("better", rows["difference"] > 0), ("worse", rows["difference"] < 0)):
        counted[f"n_{word}"] = holds
        counted[f"n_{word}_rank_sum"] = holds & (rows["p_rank_sum"] < SIGNIFICANT)
        counted[f"n_{word}_paired"] = holds & (rows["q"] < SIGNIFICANT)
    return counted.groupby([*PAIR, *ACCURACY_KEY], sort=False).sum().astype(int).reset_index()
