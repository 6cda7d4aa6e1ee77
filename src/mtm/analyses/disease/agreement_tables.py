"""Dysregulation over all tissues and contrasts: q-values, Table S3, summary, pair of Fig 3a."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mtm.analyses.disease.agreement import KEY
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import DIRECTIONS, HEADLINE, RAN, SELECTIONS

# What the paper calls kept (methods 3, R18-R19).
CONCORDANT_SIGN, CONCORDANT_RHO, HIGH_F1, OVERLAP_P = 0.7, 0.3, 0.7, 0.05
PAPER = {
    "pairs with enough observed genes": 117,
    "of these, sign consistency > 0.7 and rho > 0.3": 112,
    "pairs with enough genes up": 109,
    "of these, overlap P < 0.05, up": 93,
    "median F1, up": 0.65,
    "pairs with F1 > 0.7, up": 44,
    "pairs with enough genes down": 112,
    "of these, overlap P < 0.05, down": 94,
    "median F1, down": 0.60,
    "pairs with F1 > 0.7, down": 41,
}


def with_q_values(agreement: pd.DataFrame) -> pd.DataFrame:
    """Add Benjamini and Hochberg's q over the pairs of a model: of rho (twice) and of both F1."""
    table = agreement.copy()
    group = [table[column] for column in ("model", "definition", "selection")]
    for name in ("rho", "rho_chance", "f1_up", "f1_down"):
        table[f"{name}_q"] = (
            table.groupby(group)[f"{name}_p"].transform(
                lambda p: benjamini_hochberg(p.to_numpy(float))
            )
            if len(table)
            else table[f"{name}_p"]
        )
    return table


def enough_de_genes(agreement: pd.DataFrame, min_de_genes: int) -> pd.Series:
    """Which pairs have enough observed differentially expressed genes, as the paper demands."""
    return agreement["n_de_observed"] >= min_de_genes


def kept_pairs(agreement: pd.DataFrame, min_de_genes: int) -> pd.DataFrame:
    """Make the paper's Table S3: the pairs with enough observed differentially expressed genes."""
    rows = agreement[enough_de_genes(agreement, min_de_genes)]
    order = ["model", "definition", "selection", "contrast", "tissue"]
    columns = [*order, *(c for c in rows if c not in (*order, "status", "reason"))]
    return rows.sort_values(order, kind="stable", ignore_index=True)[columns]


def summarise_agreement(agreement: pd.DataFrame, min_de_genes: int) -> pd.DataFrame:
    """Summarise each model, definition and selection, with the paper's numbers beside it.

    Returns
    -------
    pd.DataFrame
        ``model``, ``definition``, ``selection``, ``quantity``, ``value``, ``paper`` (He et al.
        2023, section 3.4; empty where it has no such number).
    """
    rows = []
    for key, part in agreement.groupby(KEY[:3], sort=False):
        for quantity, value in _quantities(part, min_de_genes).items():
            rows.append([*key, quantity, value, PAPER.get(quantity, np.nan)])
    return pd.DataFrame(rows, columns=[*KEY[:3], "quantity", "value", "paper"])


def _quantities(part: pd.DataFrame, min_de_genes: int) -> dict[str, float]:
    """Quantities of one model under one definition and selection."""
    ran = part[part["status"] == RAN]
    kept = ran[enough_de_genes(ran, min_de_genes)]
    concordant = (kept["sign_consistency"] > CONCORDANT_SIGN) & (
        kept["rho_log2fc"] > CONCORDANT_RHO
    )
    result = {
        "pairs skipped": len(part) - len(ran),
        "pairs tested": len(ran),
        "pairs with too few observed genes": len(ran) - len(kept),
        "pairs with enough observed genes": len(kept),
        "tissues of these": kept["tissue"].nunique(),
        "contrasts of these": kept["contrast"].nunique(),
        "of these, sign consistency > 0.7 and rho > 0.3": int(concordant.sum()),
        "of these, rho above permuted predicted labels (q < 0.05)": int(
            (kept["rho_q"] < 0.05).sum()
        ),
        "of these, rho above labels without meaning (q < 0.05)": int(
            (kept["rho_chance_q"] < 0.05).sum()
        ),
        "median sign consistency": kept["sign_consistency"].median(),
        "median rho": kept["rho_log2fc"].median(),
        "median rho of labels without meaning": kept["rho_chance_mean"].median(),
    }
    for name in DIRECTIONS:
        enough = kept[kept[f"n_{name}_observed"] >= min_de_genes]
        overlap = enough[f"p_as_paper_{name}"] < OVERLAP_P
        result |= {
            f"pairs with enough genes {name}": len(enough),
            f"of these, overlap P < 0.05, {name}": int(overlap.sum()),
            f"of these, F1 above permuted labels (q < 0.05), {name}": int(
                (enough[f"f1_{name}_q"] < 0.05).sum()
            ),
            f"median F1, {name}": enough[f"f1_{name}"].median(),
            f"median F1 of permuted labels, {name}": enough[f"f1_{name}_null"].median(),
            f"median MCC, {name}": enough[f"mcc_{name}"].median(),
            f"pairs with F1 > 0.7, {name}": int((enough[f"f1_{name}"] > HIGH_F1).sum()),
        }
    return result


def volcano_pair(
    agreement: pd.DataFrame, tissue: str | None = None, contrast: str | None = None
) -> dict[str, str] | None:
    """Choose the pair of Fig 3a, under the headline definition and selection.

    Parameters
    ----------
    agreement
        Of all models.
    tissue, contrast
        The pair; where they are None or no such pair ran, the pair of the first model with the
        most observed differentially expressed genes.

    Returns
    -------
    dict
        ``definition``, ``selection``, ``tissue``, ``contrast``; None where no pair ran.
    """
    headline = {"definition": HEADLINE.definition, "selection": SELECTIONS[0]}
    rows = agreement[agreement["status"] == RAN]
    for column, value in headline.items():
        rows = rows[rows[column] == value]
    pair = rows[(rows["tissue"] == tissue) & (rows["contrast"] == contrast)]
    if pair.empty and len(rows):
        first = rows[rows["model"] == rows["model"].iloc[0]]
        pair = first.loc[[first["n_de_observed"].astype(int).idxmax()]]
    if pair.empty:
        return None
    return headline | pair.iloc[0][["tissue", "contrast"]].to_dict()


def pair_genes(genes: pd.DataFrame, pair: Mapping[str, str] | None) -> pd.DataFrame:
    """Take the genes of one pair from a table of `differential_expression`; none without one."""
    if pair is None:
        return genes.iloc[:0]
    chosen = np.ones(len(genes), bool)
    for column, value in pair.items():
        chosen &= (genes[column] == value).to_numpy()
    return genes[chosen]
