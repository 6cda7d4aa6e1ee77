"""How far predicted and observed dysregulation agree in one tissue and contrast."""

from collections.abc import Mapping

import numpy as np
from scipy import stats
from scipy.special import ndtri

from mtm.settings.disease import DiseaseSettings
from mtm.statistics.correlation import row_correlation
from mtm.statistics.jackknife import JackknifeError, fisher_interval
from mtm.statistics.testing import ROUNDING, permutation_p
from mtm.vocabulary import DIRECTIONS

KEY = ["model", "definition", "selection", "tissue", "contrast"]
COUNTS = ["n_cases", "n_controls"]
GENES = ["gene_id", "n", "log2fc_observed", "log2fc_predicted", "p_observed", "q_observed",
         "p_predicted", "q_predicted"]  # fmt: skip
_SIDE = ("n_{0}_observed", "n_{0}_predicted", "n_{0}_both", "f1_{0}", "f1_{0}_null",
         "f1_{0}_null_high", "f1_{0}_p", "mcc_{0}", "mcc_{0}_null", "p_as_paper_{0}")  # fmt: skip
MEASURES = ["n_de_observed", "n_de_predicted", "sign_consistency", "sign_consistency_de",
            "rho_log2fc", "rho_ci_low", "rho_ci_high", "rho_null_low", "rho_null_high", "rho_p",
            "rho_chance_mean", "rho_chance_high", "rho_chance_p", "rho_log2fc_de",
            *(field.format(name) for name in DIRECTIONS for field in _SIDE)]  # fmt: skip
AGREEMENT = [*COUNTS, "n_genes", "status", "reason", *MEASURES]


def below_rate(deviates: np.ndarray, q_below: float) -> np.ndarray:
    """Whether Benjamini and Hochberg's q of each row of ``(n_labels, n_genes)`` is low enough.

    P, twice the upper tail of the normal deviates, need not be computed: their order is known.
    """
    n_genes = deviates.shape[1]
    least = -ndtri(q_below / 2 * np.arange(1, n_genes + 1) / n_genes)
    ordered = np.sort(deviates, axis=1)
    passes = ordered > least[::-1].astype(deviates.dtype)
    bound = np.take_along_axis(ordered, passes.argmax(1)[:, None], 1)
    return (deviates >= bound) & passes.any(1, keepdims=True)


def agreement_of(
    joined: Mapping[str, np.ndarray], error: JackknifeError, settings: DiseaseSettings
) -> dict[str, float]:
    """Compare predicted with observed results, and with those of permuted labels.

    Parameters
    ----------
    joined
        Results of all genes, on both sides and with labels permuted.
    error
        Standard error of Fisher's z of the correlation of fold changes.
    """
    observed, predicted = joined["log2fc_observed"], joined["log2fc_predicted"]
    de_observed = joined["q_observed"] < settings.q_below
    de_predicted = joined["q_predicted"] < settings.q_below
    de_null = below_rate(joined["deviates_null"], settings.q_below)
    same_sign = np.sign(observed) == np.sign(predicted)
    rho = float(row_correlation(observed, predicted)[0])
    null = row_correlation(joined["log2fc_null"], observed)
    chance = row_correlation(joined["log2fc_null"], joined["log2fc_null_observed"])
    ci_low, ci_high = fisher_interval(rho, error)
    fields = {
        "n_de_observed": int(de_observed.sum()),
        "n_de_predicted": int(de_predicted.sum()),
        "sign_consistency": float(same_sign.mean()),
        "sign_consistency_de": float(same_sign[de_observed].mean())
        if de_observed.any()
        else np.nan,
        "rho_log2fc": rho,
        "rho_ci_low": ci_low,
        "rho_ci_high": ci_high,
        "rho_null_low": float(np.quantile(null, 0.025)),
        "rho_null_high": float(np.quantile(null, 0.975)),
        "rho_p": permutation_p(rho, null, ROUNDING),
        "rho_chance_mean": float(chance.mean()),
        "rho_chance_high": float(np.quantile(chance, 0.95)),
        "rho_chance_p": permutation_p(rho, chance, ROUNDING),
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
            f"p_as_paper_{name}": scores["p_as_paper"][0],
        }
    return fields


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
        whole, as scikit-learn), ``p_as_paper`` = P(X >= overlap), drawn from all genes; each of
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
        "p_as_paper": stats.hypergeom.sf(both - 1, n_genes, n_actual, n_found),
    }
