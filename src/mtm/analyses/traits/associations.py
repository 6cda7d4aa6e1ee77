"""Do predictions keep how genes go with age, sex and other traits? (He et al. 2023, Figs S12-S14).

Pearson of each predictable gene with a trait, in held-out predictions and in observed expression
of the same donors, then Pearson of the two over genes (methods 3, R16-R17). Two readings, one a
definition of predictable:

- ``predictable``: log2(1+TPM); expression and trait are centred within every held-out fold, whose
  predictions come from one model each.
- ``predictable_paper``: TPM, all folds together, as the paper.

That agreement is high for reasons that have little to do with the person (methods 6.5), so more
numbers stand beside it. ``rho_covariates``: what the covariates-only model reaches on the same
genes and donors. ``rho_beyond``: the partial correlation over genes given the association in the
covariates-only model's predictions. ``null_*``: the trait permuted over donors within fold; it
lies above 0, because a gene that is predicted goes with any number as its observation does.
``rho_split`` and ``beyond_split``: the same with predictions of one half of the donors against
observations of the other half, so that no chance of the donors drawn is on both sides; their null
is centred at 0. A trait that the covariates-only model is given (age, sex) leaves little beyond.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from mtm.analyses.traits.draws import TraitDraws
from mtm.analyses.traits.summary import (
    COUNTS,
    GENES,
    KEY,
    MEASURES,
    Resampled,
    with_medians,
)
from mtm.analyses.traits.trait import Trait, read_trait
from mtm.predictions.held_out import HeldOut
from mtm.predictions.tissues import Tissue, by_tissue, tissues
from mtm.settings.traits import TraitSettings
from mtm.statistics.correlation import CONSTANT_TOLERANCE, fisher_z, row_correlation
from mtm.statistics.jackknife import LeftOut, fisher_interval
from mtm.statistics.over_tissues import known_mean
from mtm.statistics.testing import ROUNDING, permutation_p, quantile_interval
from mtm.vocabulary import RAN, SKIPPED, Reading

log = logging.getLogger(__name__)

# Donors of a tissue with a known trait, of which fewer give no correlation worth the name.
MIN_DONORS = 10


def trait_associations(
    held_out: HeldOut,
    model: str,
    donors: pd.DataFrame,
    gene_wise: pd.DataFrame,
    settings: TraitSettings,
    reference: HeldOut | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare trait associations of predicted and observed expression in every tissue.

    Parameters
    ----------
    held_out
        From `mtm.predictions.held_out.read_held_out`.
    model
        Its name.
    donors
        One row a donor, indexed by donor id.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    settings
        The traits section of the config.
    reference
        Held-out predictions of the covariates-only model; None where the run has none.

    Returns
    -------
    pd.DataFrame
        One row a gene: `KEY` and `GENES`, Pearson's r with the trait (``r_covariates`` in
        predictions of the reference, empty without one).
    pd.DataFrame
        One row a `KEY`: `COUNTS`, and `MEASURES` where the status is "ran". Tissue
        "(median of tissues)" holds medians over tissues, with the interval and the null of the
        median; ``q`` is Benjamini and Hochberg's over tissues.

    Raises
    ------
    InputError
        The settings name a column that donors do not have.
    """
    traits = [read_trait(donors, column) for column in settings.columns]
    draws = TraitDraws.of(held_out.rows.groupby("fold")["donor"].unique(), traits, settings)
    genes, rows, resampled, scored = [], [], {}, by_tissue(gene_wise)
    for tissue in tissues(held_out, beside=reference):
        mine = scored[tissue.name]
        chosen = [tissue.predictable(mine, reading) for reading in held_out.readings]
        union = np.flatnonzero(np.any(chosen, 0))
        tissue = tissue.of_genes(union)
        for (reading, own), trait in product(zip(held_out.readings, chosen, strict=True), traits):
            names = (model, reading.definition, trait.name, tissue.name)
            key, of = dict(zip(KEY, names, strict=True)), np.flatnonzero(own[union])
            row, part, drawn = _compare(tissue, of, reading, trait, draws, settings)
            rows.append(key | row)
            if row["status"] == RAN:
                genes.append(part.assign(**key))
                resampled.setdefault(names[:3], []).append(drawn)
        log.info("%s: %d genes", tissue.name, len(union))
    table = pd.concat(genes, ignore_index=True) if genes else pd.DataFrame(columns=[*KEY, *GENES])
    agreement = pd.DataFrame(rows, columns=[*KEY, *COUNTS, *MEASURES])
    return table[[*KEY, *GENES]], with_medians(agreement, resampled, draws)


def _compare(
    tissue: Tissue,
    predictable: np.ndarray,
    reading: Reading,
    trait: Trait,
    draws: TraitDraws,
    settings: TraitSettings,
) -> tuple[dict[str, object], pd.DataFrame, Resampled | None]:
    """Compare one trait in one tissue: counts and measures, associations, resampled measures."""
    values = trait.values.reindex(tissue.rows["donor"]).to_numpy(float)
    row = _counts(trait, values, len(predictable), settings)
    if row["status"] == SKIPPED:
        return row, pd.DataFrame(), None
    view = View.of(tissue, predictable, reading, values, settings)
    genes, measures, drawn = view.compare(draws, trait.name)
    genes["gene_id"] = tissue.gene_ids[predictable[genes["gene_id"]]]
    return row | measures, genes, drawn


def _counts(
    trait: Trait, values: np.ndarray, n_genes: int, settings: TraitSettings
) -> dict[str, object]:
    """Count donors and genes of a tissue, and say whether and why not it can be compared."""
    known = values[np.isfinite(values)]
    counts = {"n_donors": len(known), "n_low": pd.NA, "n_high": pd.NA, "n_genes": n_genes}
    reason = trait.problem
    if trait.levels and not reason:
        counts |= {f"n_{k}": int((known == v).sum()) for k, v in zip(
            ("low", "high"), trait.levels, strict=True)}  # fmt: skip
        fewest = min(counts["n_low"], counts["n_high"])
        if fewest < settings.min_per_level:
            reason = f"{fewest} donors of one level, fewer than {settings.min_per_level}"
    elif not reason and len(known) < MIN_DONORS:
        reason = f"{len(known)} donors with the trait, fewer than {MIN_DONORS}"
    elif not reason and len(np.unique(known)) < 2:
        reason = "the trait has one level in this tissue"
    if not reason and n_genes < settings.min_genes:
        reason = f"{n_genes} predictable genes, fewer than {settings.min_genes}"
    return counts | {"status": SKIPPED if reason else RAN, "reason": reason}


@dataclass(frozen=True)
class View:
    """One trait in one tissue under one reading.

    `observed`, `predicted` and `covariates` (or None) have shape ``(n_donors, n_genes)``, scaled
    to mean 0 and variance 1; `parts` are the samples that are centred together; `sample` are the
    genes that are resampled.
    """

    observed: np.ndarray
    predicted: np.ndarray
    covariates: np.ndarray | None
    trait: np.ndarray
    donors: pd.Index
    parts: Sequence[np.ndarray | slice]
    sample: np.ndarray

    @classmethod
    def of(
        cls,
        tissue: Tissue,
        genes: np.ndarray,
        reading: Reading,
        values: np.ndarray,
        settings: TraitSettings,
    ) -> "View":
        """Take the donors whose trait is known, expression on the reading's scale."""
        known = np.flatnonzero(np.isfinite(values))
        fold = tissue.rows["fold"].to_numpy()[known]
        groups = fold if reading.by_fold else np.zeros(len(known), int)
        views = [tissue, *([tissue.beside] if tissue.beside is not None else [])]
        loaded = [view.values(reading.scale, genes) for view in views]
        sides = [loaded[0].observed_raw, *(item.predicted_raw for item in loaded)]
        observed, predicted, *beside = (side.double().cpu().numpy()[known] for side in sides)
        return cls.of_values(
            observed,
            predicted,
            beside[0] if beside else None,
            values[known],
            pd.Index(tissue.rows["donor"].to_numpy()[known]),
            [np.flatnonzero(groups == index) for index in np.unique(groups)],
            settings,
        )

    @classmethod
    def of_values(
        cls,
        observed: np.ndarray,
        predicted: np.ndarray,
        covariates: np.ndarray | None,
        trait: np.ndarray,
        donors: pd.Index,
        parts: Sequence[np.ndarray | slice],
        settings: TraitSettings,
    ) -> "View":
        """Scale expression and trait, and draw the genes that are resampled."""
        rng = np.random.default_rng([settings.seed, 2])
        drawn = rng.permutation(observed.shape[1])[: settings.sampled_genes]
        return cls(
            observed=_scaled(observed, parts),
            predicted=_scaled(predicted, parts),
            covariates=None if covariates is None else _scaled(covariates, parts),
            trait=_scaled(trait[:, None], parts)[:, 0],
            donors=donors,
            parts=parts,
            sample=np.sort(drawn),
        )

    def compare(
        self, draws: TraitDraws, trait: str
    ) -> tuple[pd.DataFrame, dict[str, float], Resampled]:
        """Return associations of genes, measures of the tissue, and resampled measures."""
        sides = {"observed": self.observed, "predicted": self.predicted}
        if self.covariates is not None:
            sides["covariates"] = self.covariates
        once = np.ones((1, len(self.donors)))
        r = {name: self._associate(side, once) for name, side in sides.items()}
        genes = pd.DataFrame({"gene_id": np.arange(len(r["observed"][0]))})
        for name in ("observed", "predicted", "covariates"):
            genes[f"r_{name}"] = r[name][0] if name in r else np.nan
        rho, beyond = (float(measured[0]) for measured in _agreement(r))

        few = {name: side[:, self.sample].astype(np.float32) for name, side in sides.items()}
        left_out = LeftOut.of(len(self.donors), [draws.seed, 3])
        without = _agreement(
            {name: self._associate(side, left_out.weights) for name, side in few.items()}
        )
        errors = [left_out.error(fisher_z(measured)) for measured in without]
        interval, beyond_interval = map(fisher_interval, (rho, beyond), errors)
        permuted = draws.permuted[trait][self.donors].to_numpy(np.float32)
        null = row_correlation(
            *(self._associate_permuted(few[name], permuted) for name in ("predicted", "observed"))
        )
        null_low, null_high = quantile_interval(null)
        measures = {
            "rho": rho,
            "ci_low": interval[0],
            "ci_high": interval[1],
            "null_mean": float(known_mean(null)),
            "null_low": null_low,
            "null_high": null_high,
            # The null is of the sampled genes, and so is what is compared with it.
            "p": permutation_p(without[0][0], null, ROUNDING),
            **self._split(few, draws.halves[self.donors].to_numpy(np.float32)),
            "rho_covariates": float(row_correlation(r["covariates"], r["observed"])[0])
            if "covariates" in r
            else np.nan,
            "rho_beyond": beyond,
            "beyond_ci_low": beyond_interval[0],
            "beyond_ci_high": beyond_interval[1],
            "mean_abs_r_observed": np.abs(r["observed"]).mean(),
            "mean_abs_r_predicted": np.abs(r["predicted"]).mean(),
        }
        return genes, measures, Resampled(self.donors, without[0][0], null, *errors)

    def _associate(self, side: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Pearson with the trait under weights ``(n_draws, n_donors)``, centred by part.

        Returns
        -------
        np.ndarray
            Shape ``(n_draws, n_genes)``; 0 where the drawn values do not vary.
        """
        trait = self.trait.astype(side.dtype)
        product = square = square_trait = total_square = 0
        for part in self.parts:
            w, x, t = weights[:, part], side[part], trait[part, None]
            n = np.maximum(w.sum(1, keepdims=True), 1e-9).astype(side.dtype)
            sum_x, sum_t = w @ x, w @ t
            sum_xx = w @ x**2
            product = product + w @ (x * t) - sum_x * sum_t / n
            square = square + sum_xx - sum_x**2 / n
            total_square = total_square + sum_xx
            square_trait = square_trait + w @ t**2 - sum_t**2 / n
        tolerance = 1e-6 if side.dtype == np.float32 else 1e-12
        norm = np.sqrt(np.maximum(square, 0) * np.maximum(square_trait, 0))
        constant = (square <= tolerance * total_square) | (norm == 0)
        return np.where(constant, 0, product / np.where(constant, 1, norm))

    def _associate_permuted(self, side: np.ndarray, permuted: np.ndarray) -> np.ndarray:
        """Pearson with permuted traits ``(n_permutations, n_donors)``, centred by part."""
        product, square = 0, 0
        for part in self.parts:
            t = permuted[:, part] - permuted[:, part].mean(1, keepdims=True)
            product = product + t @ side[part]
            square = square + (t**2).sum(1, keepdims=True)
        norm = np.sqrt(square) * np.linalg.norm(side, axis=0)
        return np.where(norm > 0, product / np.where(norm > 0, norm, 1), 0)

    def _split(self, few: Mapping[str, np.ndarray], halves: np.ndarray) -> dict[str, float]:
        """Agreement of predictions and observations of disjoint halves, averaged as Fisher's z."""
        rho, beyond = [], []
        for first, second in ((halves, 1 - halves), (1 - halves, halves)):
            predicted = self._associate(few["predicted"], first)
            observed = self._associate(few["observed"], second)
            rho.append(row_correlation(predicted, observed))
            if self.covariates is not None:
                covariates = self._associate(few["covariates"], first)
                beyond.append(_partial(predicted, observed, covariates))
        return {"rho_split": _mean_rho(rho), "beyond_split": _mean_rho(beyond)}


def _agreement(r: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Correlate rows of associations, and again given those of the covariates-only model."""
    rho = row_correlation(r["predicted"], r["observed"])
    if "covariates" not in r:
        return rho, np.full(len(rho), np.nan)
    return rho, _partial(r["predicted"], r["observed"], r["covariates"])


def _mean_rho(rho: Sequence[np.ndarray]) -> float:
    """Mean of correlations as Fisher's z, NaN aside."""
    known = np.concatenate([*rho, np.empty(0)])
    known = known[np.isfinite(known)]
    return float(np.tanh(fisher_z(known).mean())) if len(known) else np.nan


def _scaled(values: np.ndarray, parts: Sequence[np.ndarray | slice]) -> np.ndarray:
    """Centre ``(n_donors, n_genes)`` by part and divide by the sd; 0 where nothing varies."""
    centred = np.empty(values.shape)
    for part in parts:
        centred[part] = values[part] - values[part].mean(0)
    spread = np.sqrt((centred**2).mean(0))
    constant = spread <= CONSTANT_TOLERANCE * np.abs(values).max(0)
    return np.where(constant, 0, centred / np.where(constant, 1, spread))


def _partial(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Partial correlation of rows of `a` and `b` given `c`; NaN where `c` is all of either."""
    ab, ac, bc = row_correlation(a, b), row_correlation(a, c), row_correlation(b, c)
    # Without an association in c there is nothing to take out.
    ac, bc = np.nan_to_num(ac), np.nan_to_num(bc)
    left = (1 - ac**2) * (1 - bc**2)
    varying = left > 1e-9
    return np.where(varying, (ab - ac * bc) / np.sqrt(np.where(varying, left, 1)), np.nan)
