"""Agreement of trait associations over tissues."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mtm.analyses.traits.draws import TraitDraws
from mtm.statistics.correlation import FISHER_LIMIT, fisher_z
from mtm.statistics.jackknife import JackknifeError, error_of_median, fisher_interval
from mtm.statistics.over_tissues import known_mean, over_tissues
from mtm.statistics.testing import ROUNDING, permutation_p, quantile_interval
from mtm.vocabulary import MEDIAN_OF_TISSUES, RAN

KEY = ["model", "definition", "trait", "tissue"]
GENES = ["gene_id", "r_observed", "r_predicted", "r_covariates"]
COUNTS = ["n_donors", "n_low", "n_high", "n_genes", "status", "reason"]
MEASURES = ["rho", "ci_low", "ci_high", "null_mean", "null_low", "null_high", "p", "rho_split",
            "rho_covariates", "rho_beyond", "beyond_ci_low", "beyond_ci_high", "beyond_split",
            "mean_abs_r_observed", "mean_abs_r_predicted"]  # fmt: skip
KEPT_RHO = 0.3


# He et al. 2023, section 3.4: median rho, tissues kept, tissues.
PAPER = {"age": (0.81, 46, 48), "sex": (0.76, 43, 43), "BMI": (0.56, 39, 48)}


@dataclass(frozen=True)
class Resampled:
    """One trait in one tissue with its donors permuted and left out.

    Parameters
    ----------
    donors
        Donors of the tissue with the trait.
    rho
        Agreement over the genes that are resampled.
    null
        The same with the trait permuted, shape ``(n_permutations,)``.
    error, beyond_error
        Standard errors of Fisher's z of ``rho`` and of ``rho_beyond``.
    """

    donors: pd.Index
    rho: float
    null: np.ndarray
    error: JackknifeError
    beyond_error: JackknifeError


def with_medians(
    agreement: pd.DataFrame, resampled: Mapping[tuple, Sequence[Resampled]], draws: TraitDraws
) -> pd.DataFrame:
    """Add q-values over tissues, and medians over tissues with their interval and null."""
    everyone = draws.halves.columns

    def median_of_tissues(key: tuple, part: pd.DataFrame) -> dict[str, object] | None:
        ran = part[part["status"] == RAN]
        if ran.empty:
            return None
        tissues = resampled[key]
        donors = [everyone.get_indexer(tissue.donors) for tissue in tissues]
        median = ran[[*MEASURES, "n_donors", "n_genes"]].astype(float).median().to_dict()
        for rho, limits, errors in (
            ("rho", "ci", [tissue.error for tissue in tissues]),
            ("rho_beyond", "beyond_ci", [tissue.beyond_error for tissue in tissues]),
        ):
            z = fisher_z(ran[rho].to_numpy(float))
            error = error_of_median(z, errors, donors, len(everyone), [draws.seed, 4])
            ends = fisher_interval(median[rho], error)
            median[f"{limits}_low"], median[f"{limits}_high"] = ends
        null = _median(np.stack([tissue.null for tissue in tissues]))
        median["null_low"], median["null_high"] = quantile_interval(null)
        sampled = _median(np.array([tissue.rho for tissue in tissues]))
        median["null_mean"] = known_mean(null)
        median["p"] = permutation_p(float(sampled), null, ROUNDING)
        median |= {name: round(median[name]) for name in ("n_donors", "n_genes")}
        return median | {"status": RAN, "reason": ""}

    tested = {"q": "p"}
    joined = over_tissues(agreement, KEY[:3], MEDIAN_OF_TISSUES, median_of_tissues, tested)
    return joined.astype(dict.fromkeys(("n_donors", "n_low", "n_high", "n_genes"), "Int64"))


def _median(values: np.ndarray) -> np.ndarray:
    """Median along the first axis without NaN; NaN where nothing else stands."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmedian(values, axis=0)


def summarise_traits(agreement: pd.DataFrame) -> pd.DataFrame:
    """Summarise each model, definition and trait, with the paper's numbers beside it.

    Returns
    -------
    pd.DataFrame
        ``model``, ``definition``, ``trait``, ``quantity``, ``value``, ``paper`` (He et al. 2023,
        section 3.4; empty where it has no such number).
    """
    rows = []
    for key, part in agreement.groupby(KEY[:3], sort=False):
        median, kept, n_tissues = PAPER.get(key[2], (np.nan,) * 3)
        tissues = part[part["tissue"] != MEDIAN_OF_TISSUES]
        ran = tissues[tissues["status"] == RAN]
        whole = part[part["tissue"] == MEDIAN_OF_TISSUES]
        # As the paper: rho > 0.3 and P < 0.05 of Pearson's test over genes.
        degrees = ran["n_genes"].astype(float) - 2
        t = ran["rho"] * np.sqrt(degrees / (1 - ran["rho"].clip(-FISHER_LIMIT, FISHER_LIMIT) ** 2))
        significant = (ran["rho"] > KEPT_RHO) & (2 * stats.t.sf(t.abs(), degrees) < 0.05)
        quantities = {
            "tissues skipped": (len(tissues) - len(ran), np.nan),
            "tissues compared": (len(ran), n_tissues),
            "rho > 0.3 and P < 0.05 over genes": (int(significant.sum()), kept),
            "rho above the permuted trait (q < 0.05)": (int((ran["q"] < 0.05).sum()), np.nan),
            "rho beyond covariates above 0 (interval)": (
                int((ran["beyond_ci_low"] > 0).sum()),
                np.nan,
            ),
        }
        for name, label in {
            "rho": "median rho",
            "ci_low": "median rho, low",
            "ci_high": "median rho, high",
            "null_mean": "median rho of the permuted trait, mean",
            "null_low": "median rho of the permuted trait, low",
            "null_high": "median rho of the permuted trait, high",
            "rho_split": "median rho of disjoint halves of donors",
            "rho_covariates": "median rho of the covariates-only model on the same genes",
            "rho_beyond": "median rho beyond the covariates-only model",
            "beyond_split": "median rho beyond the covariates-only model, disjoint halves",
        }.items():
            value = whole[name].iloc[0] if len(whole) else np.nan
            quantities[label] = (value, median if name == "rho" else np.nan)
        rows += [[*key, name, *values] for name, values in quantities.items()]
    return pd.DataFrame(rows, columns=[*KEY[:3], "quantity", "value", "paper"])
