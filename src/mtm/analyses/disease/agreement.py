"""How far predicted and observed dysregulation agree: over genes, and over all pairs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from mtm.settings.disease import DiseaseSettings
from mtm.statistics.correlation import row_correlation
from mtm.statistics.testing import benjamini_hochberg, permutation_p, t_interval
from mtm.vocabulary import DEFINITIONS, DIRECTIONS, RAN, SELECTIONS

KEY = ["model", "definition", "selection", "tissue", "contrast"]


GENES = ["gene_id", "n", "log2fc_observed", "log2fc_predicted", "p_observed", "q_observed",
         "p_predicted", "q_predicted"]  # fmt: skip


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


def _log2_ratio(
    expr_tpm: np.ndarray, cases: np.ndarray, controls: np.ndarray, pseudo_count: float
) -> np.ndarray:
    """Log2 of the ratio of two weighted means, weights of shape ``(n_labels, n_samples)``."""
    # Few labels are summed in float64; many, which only a null or an interval needs, in float32.
    dtype = np.float64 if len(cases) == 1 else np.float32
    values = expr_tpm.astype(dtype, copy=False)
    means = []
    for weights in (cases, controls):
        total = np.maximum(weights.sum(1, keepdims=True), 1).astype(dtype)
        means.append(weights.astype(dtype) @ values / total + dtype(pseudo_count))
    return np.log2(means[0]) - np.log2(means[1])


def below_rate(p: np.ndarray, q_below: float) -> np.ndarray:
    """Whether Benjamini and Hochberg's q of each row of ``(n_labels, n_genes)`` is low enough."""
    n_genes = p.shape[1]
    ordered = np.sort(p, axis=1)
    passes = ordered < q_below * np.arange(1, n_genes + 1) / n_genes
    last = n_genes - 1 - passes[:, ::-1].argmax(1)
    bound = np.where(passes.any(1), ordered[np.arange(len(p)), last], -1)
    return p <= bound[:, None]


def _agreement(
    joined: Mapping[str, np.ndarray], n_samples: int, settings: DiseaseSettings
) -> dict[str, float]:
    """Compare predicted with observed results, and with those of permuted labels."""
    observed, predicted = joined["log2fc_observed"], joined["log2fc_predicted"]
    de_observed = joined["q_observed"] < settings.q_below
    de_predicted = joined["q_predicted"] < settings.q_below
    de_null = below_rate(joined["p_null"], settings.q_below)
    same_sign = np.sign(observed) == np.sign(predicted)
    rho = float(row_correlation(observed, predicted)[0])
    drawn = row_correlation(joined["log2fc_observed_drawn"], joined["log2fc_predicted_drawn"])
    null = row_correlation(joined["log2fc_null"], observed)
    chance = row_correlation(joined["log2fc_null"], joined["log2fc_null_observed"])
    half = np.tanh([_z_limits(rho, drawn, n_samples)]).ravel()
    fields = {
        "n_de_observed": int(de_observed.sum()),
        "n_de_predicted": int(de_predicted.sum()),
        "sign_consistency": float(same_sign.mean()),
        "sign_consistency_de": float(same_sign[de_observed].mean())
        if de_observed.any()
        else np.nan,
        "rho_log2fc": rho,
        "rho_ci_low": half[0],
        "rho_ci_high": half[1],
        "rho_null_low": float(np.quantile(null, 0.025)),
        "rho_null_high": float(np.quantile(null, 0.975)),
        "rho_p": permutation_p(rho, null),
        "rho_chance_mean": float(chance.mean()),
        "rho_chance_high": float(np.quantile(chance, 0.95)),
        "rho_chance_p": permutation_p(rho, chance),
        "rho_log2fc_de": float(row_correlation(observed[de_observed], predicted[de_observed])[0])
        if de_observed.sum() > 2
        else np.nan,
    }
    for name, sign in DIRECTIONS.items():
        actual = de_observed & (np.sign(observed) == sign)
        found = de_predicted & (np.sign(predicted) == sign)
        found_null = de_null & (np.sign(joined["log2fc_null"]) == sign)
        scores = overlap_scores(actual, np.vstack([found, found_null]))
        f1_null = scores["f1"][1:]
        fields |= {
            f"n_{name}_observed": int(actual.sum()),
            f"n_{name}_predicted": int(found.sum()),
            f"n_{name}_both": int((actual & found).sum()),
            f"f1_{name}": scores["f1"][0],
            f"f1_{name}_null": float(f1_null.mean()),
            f"f1_{name}_null_high": float(np.quantile(f1_null, 0.95)),
            f"f1_{name}_p": permutation_p(scores["f1"][0], f1_null),
            f"mcc_{name}": scores["mcc"][0],
            f"mcc_{name}_null": float(scores["mcc"][1:].mean()),
            f"p_overlap_{name}": scores["p_overlap"][0],
        }
    return fields


def _z_limits(rho: float, drawn: np.ndarray, n_samples: int) -> tuple[float, float]:
    """95% limits of Fisher's z of `rho` by its bootstrap standard error."""
    bound = 1 - 1e-7
    drawn_z = np.arctanh(np.clip(drawn, -bound, bound))
    interval = t_interval(float(np.arctanh(np.clip(rho, -bound, bound))), drawn_z, n_samples, 2)
    return interval["ci_low"], interval["ci_high"]


def overlap_scores(actual: np.ndarray, found: np.ndarray) -> dict[str, np.ndarray]:
    """F1, Matthews' correlation and hypergeometric P of sets of genes found.

    Parameters
    ----------
    actual
        The true set, shape ``(n_genes,)``, bool.
    found
        Sets to score, shape ``(n_sets, n_genes)``, bool.

    Returns
    -------
    dict
        ``f1`` (NaN where neither set has a gene), ``mcc`` (0 where one of them is empty or
        whole, as scikit-learn), ``p_overlap`` = P(X >= overlap), drawn from all genes; each of
        shape ``(n_sets,)``.
    """
    n_genes, n_actual = len(actual), actual.sum()
    both = (found & actual).sum(1).astype(float)
    n_found = found.sum(1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * both / (n_found + n_actual)
        margins = n_found * (n_genes - n_found) * n_actual * (n_genes - n_actual)
        mcc = (both * n_genes - n_found * n_actual) / np.sqrt(margins)
    return {
        "f1": f1,
        "mcc": np.where(margins > 0, mcc, 0.0),
        "p_overlap": stats.hypergeom.sf(both - 1, n_genes, n_actual, n_found),
    }


_SIDE = ("n_{0}_observed", "n_{0}_predicted", "n_{0}_both", "f1_{0}", "f1_{0}_null",
         "f1_{0}_null_high", "f1_{0}_p", "mcc_{0}", "mcc_{0}_null", "p_overlap_{0}")  # fmt: skip


MEASURES = ["n_de_observed", "n_de_predicted", "sign_consistency", "sign_consistency_de",
            "rho_log2fc", "rho_ci_low", "rho_ci_high", "rho_null_low", "rho_null_high", "rho_p",
            "rho_chance_mean", "rho_chance_high", "rho_chance_p", "rho_log2fc_de",
            *(field.format(name) for name in DIRECTIONS for field in _SIDE)]  # fmt: skip


AGREEMENT = ["n_cases", "n_controls", "n_genes", "status", "reason", *MEASURES]


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


def kept_pairs(agreement: pd.DataFrame, min_de_genes: int) -> pd.DataFrame:
    """Make the paper's Table S3: the pairs with enough observed differentially expressed genes."""
    rows = agreement[(agreement["n_de_observed"] >= min_de_genes)]
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
    kept = ran[ran["n_de_observed"] >= min_de_genes]
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
        overlap = enough[f"p_overlap_{name}"] < OVERLAP_P
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
    headline = {"definition": next(iter(DEFINITIONS)), "selection": SELECTIONS[0]}
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
