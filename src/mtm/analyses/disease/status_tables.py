"""Disease status over all pairs: parts joined, inputs compared."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from mtm.analyses.disease.agreement import COUNTS, KEY
from mtm.analyses.disease.status_classifier import HALF, PERMUTED, REPEAT
from mtm.settings.disease_status import StatusSettings
from mtm.statistics.half_samples import (
    at_least,
    auroc_se,
    between,
    half_sample_interval,
    null_band,
)
from mtm.statistics.over_tissues import known_mean
from mtm.vocabulary import (
    BASELINE,
    OBSERVED,
    PREDICTED,
    RAN,
    SOURCE,
)

log = logging.getLogger(__name__)

STATUS = [*KEY, "kind", "input", *COUNTS, "n_genes", "n_de_observed", "status",
          "reason", "auroc", "repeats_sd", "ci_low", "ci_high", "p", "null_mean", "null_low",
          "null_high", "informative"]  # fmt: skip
CURVE = [*KEY, *COUNTS, "input", "false_positive_rate", "true_positive_rate", "low", "high",
         "shown"]  # fmt: skip
# Of a part: nothing that takes all pairs to tell.
PART_STATUS, PART_CURVE = STATUS[:-1], CURVE[:-1]
REPLICATE = [*KEY, *COUNTS, "input", "kind", "number", "part", "auroc"]
COMPARISONS = ((OBSERVED, PREDICTED), (PREDICTED, SOURCE), (PREDICTED, BASELINE),
               (OBSERVED, SOURCE))  # fmt: skip
SETS = ("informative", "all")
# A pair is informative where observed expression reaches this, and more than the source tissue.
INFORMATIVE_AUROC = 0.6
# He et al. 2023, section 3.4, of their 53 informative pairs: mean auROC, and Wilcoxon's P.
PAPER_MEAN = {OBSERVED: 0.66, PREDICTED: 0.62, SOURCE: 0.59}
PAPER_P = {(OBSERVED, PREDICTED): 1.82e-5, (PREDICTED, SOURCE): 4.03e-4}
RATES = np.linspace(0, 1, 51)


def joined(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Concatenate tables, of which some or all may be empty."""
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]


def summarised(replicates: pd.DataFrame, n_cases: int, n_controls: int) -> dict[str, float]:
    """Mean auROC over repeats, its interval, test against chance, and null; of one pair and input.

    Parameters
    ----------
    replicates
        ``kind``, ``number``, ``part``, ``auroc``.
    n_cases, n_controls
        Of the pair.
    """
    kinds = dict(iter(replicates.groupby("kind", sort=False)))
    repeats = kinds[REPEAT]["auroc"].to_numpy()
    auroc, gaps = float(repeats.mean()), np.empty(0)
    if HALF in kinds:
        sides = kinds[HALF].pivot(index="number", columns="part", values="auroc")
        gaps = at_least((sides[0] - sides[1]).to_numpy(), auroc_se(auroc, n_cases, n_controls))
    interval = half_sample_interval(auroc, gaps, expected=0.5)
    permuted = kinds[PERMUTED].pivot(index="number", columns="part", values="auroc").to_numpy()
    return {
        "auroc": auroc,
        "repeats_sd": float(repeats.std(ddof=1)) if len(repeats) > 1 else np.nan,
        "ci_low": max(interval["ci_low"], 0.0),
        "ci_high": min(interval["ci_high"], 1.0),
        "p": interval["p"],
        **_within_bounds(null_band(permuted, len(repeats), auroc_se(0.5, n_cases, n_controls))),
    }


def _within_bounds(band: dict[str, float]) -> dict[str, float]:
    """Keep the ends of a band where an auROC can be."""
    return {name: min(max(value, 0.0), 1.0) for name, value in band.items()}


def combine_status(
    tables: Sequence[pd.DataFrame],
    curves: Sequence[pd.DataFrame],
    replicates: Sequence[pd.DataFrame],
    settings: StatusSettings,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Join the parts of one model and compare inputs over all pairs.

    Parameters
    ----------
    tables, curves, replicates
        What `disease_status` returned, of every part.
    settings
        The disease_status section of the config.

    Returns
    -------
    pd.DataFrame
        `STATUS`, by selection, tissue and contrast.
    pd.DataFrame
        `CURVE`; ``shown`` marks the pair of Fig 3c.
    pd.DataFrame
        From `compare_inputs`.
    """
    order = ["tissue", "selection", "contrast"]
    table = joined(tables, PART_STATUS).sort_values(order, kind="stable", ignore_index=True)
    table = _marked(table.reindex(columns=STATUS))
    curve = joined(curves, PART_CURVE).sort_values(order, kind="stable", ignore_index=True)
    curve["shown"] = _shown(curve, table, settings)
    return table, curve[CURVE], compare_inputs(table, joined(replicates, REPLICATE))


def _informative(wide: pd.DataFrame) -> pd.Series:
    """Which pairs (rows, one column an input) are informative in observed expression."""
    return (wide[OBSERVED] >= INFORMATIVE_AUROC) & (wide[OBSERVED] > wide[SOURCE])


def _marked(table: pd.DataFrame) -> pd.DataFrame:
    """Fill column ``informative``; empty where a pair did not run."""
    ran = table["status"] == RAN
    if not ran.any():
        return table
    wide = table[ran].pivot(index=KEY, columns="input", values="auroc")
    pairs = pd.MultiIndex.from_frame(table.loc[ran, KEY])
    marks = pd.Series(pd.NA, table.index, "boolean")
    marks[ran] = _informative(wide).reindex(pairs).to_numpy()
    return table.assign(informative=marks)


def _shown(curve: pd.DataFrame, table: pd.DataFrame, settings: StatusSettings) -> np.ndarray:
    """Mark the pair whose curves are drawn."""
    ran = table[table["status"] == RAN]
    pair = (settings.tissue, settings.contrast)
    if len(ran) and not ((ran["tissue"] == pair[0]) & (ran["contrast"] == pair[1])).any():
        wide = ran.pivot_table(index=["tissue", "contrast"], columns="input", values="auroc")
        best = (wide[OBSERVED] - wide.get(BASELINE, 0.5)).idxmax()
        log.info("no pair %s, %s: the ROC curves shown are of %s, %s", *pair, *best)
        pair = best
    return ((curve["tissue"] == pair[0]) & (curve["contrast"] == pair[1])).to_numpy()


def compare_inputs(
    table: pd.DataFrame,
    replicates: pd.DataFrame,
) -> pd.DataFrame:
    """Compare inputs over the pairs of tissue and contrast.

    Parameters
    ----------
    table
        `STATUS` rows.
    replicates
        `REPLICATE` rows; halves of the donors are the same in all pairs.

    Returns
    -------
    pd.DataFrame
        ``model``, ``definition``, ``selection``, ``pairs`` (of `SETS`), ``input_a``, ``input_b``,
        ``n_pairs``, ``n_pairs_all``, ``n_pairs_halved``, ``mean_a``, ``mean_b``,
        ``difference``, ``ci_low``, ``ci_high``, ``p`` (donors halved, as far as pairs have
        enough of them: ``n_pairs_halved`` of ``n_pairs``), ``wilcoxon_p`` (paired, over pairs,
        two-sided, as the paper), ``paper_mean_a``, ``paper_mean_b``, ``paper_p``.
    """
    columns = [*KEY[:3], "pairs", "input_a", "input_b", "n_pairs", "n_pairs_all",
               "n_pairs_halved", "mean_a", "mean_b", "difference", "ci_low", "ci_high", "p",
               "wilcoxon_p", "paper_mean_a", "paper_mean_b", "paper_p"]  # fmt: skip
    rows, ran = [], table[table["status"] == RAN]
    for group, part in ran.groupby(KEY[:3], sort=False):
        wide = part.pivot(index=KEY[3:], columns="input", values="auroc")
        mine = replicates[(replicates[KEY[:3]] == group).all(axis=1)]
        gaps, least = _gaps(mine[mine["kind"] == HALF], part)
        informative = _informative(wide)
        for pairs in SETS:
            kept = wide[informative] if pairs == "informative" else wide
            for a, b in COMPARISONS:
                if b not in wide:
                    continue
                row = dict(zip(KEY[:3], group, strict=True)) | {"pairs": pairs}
                row |= {"input_a": a, "input_b": b, "n_pairs": len(kept), "n_pairs_all": len(wide)}
                row |= _compared(kept, gaps, least, (a, b))
                if pairs == "informative":
                    row["paper_mean_a"], row["paper_mean_b"] = map(PAPER_MEAN.get, (a, b))
                    row["paper_p"] = PAPER_P.get((a, b))
                rows.append(row)
    return pd.DataFrame(rows, columns=columns)


def _gaps(halves: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """First half less second, one row a pair and input, one column a halving; least errors."""
    counts = (rows[name].to_numpy(float) for name in ("auroc", *COUNTS))
    sides = halves.pivot(index=[*KEY[3:], "input"], columns=["part", "number"], values="auroc")
    sides = sides.reindex(pd.MultiIndex.from_frame(rows[[*KEY[3:], "input"]]))
    least = pd.Series(auroc_se(*counts), sides.index)
    if sides.empty or sides.columns.empty:
        return pd.DataFrame(index=sides.index), least
    return sides[0] - sides[1], least


def _compared(
    kept: pd.DataFrame, gaps: pd.DataFrame, least: pd.Series, inputs: tuple[str, str]
) -> dict[str, float]:
    """Compare two inputs over some pairs, given what halves of the donors make of every auROC."""
    if kept.empty:
        return {"n_pairs_halved": 0}
    a, b = inputs
    difference = kept[a] - kept[b]
    of_input = [
        of.xs(name, level="input").reindex(kept.index).to_numpy()
        for of in (gaps, least) for name in inputs
    ]  # fmt: skip
    of_pairs = between(*of_input)
    of_halves = known_mean(of_pairs)
    interval = half_sample_interval(float(difference.mean()), np.atleast_1d(of_halves))
    return {
        "n_pairs_halved": int(np.isfinite(of_pairs).any(axis=-1).sum()),
        "mean_a": kept[a].mean(),
        "mean_b": kept[b].mean(),
        "difference": difference.mean(),
        "ci_low": interval["ci_low"],
        "ci_high": interval["ci_high"],
        "p": interval["p"],
        "wilcoxon_p": float(stats.wilcoxon(difference).pvalue) if difference.any() else np.nan,
    }
