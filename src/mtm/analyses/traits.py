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

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mtm.errors import InputError
from mtm.evaluation.accuracy import AccuracySettings, TissueSamples, line_up
from mtm.evaluation.comparison import fold_weights, t_interval
from mtm.evaluation.held_out import HeldOut
from mtm.evaluation.predictable_genes import benjamini_hochberg
from mtm.evaluation.resampling import CONSTANT_TOLERANCE
from mtm.vocabulary import DEFINITIONS, MEDIAN_OF_TISSUES, RAN, SKIPPED

log = logging.getLogger(__name__)

KEY = ["model", "definition", "trait", "tissue"]
GENES = ["gene_id", "r_observed", "r_predicted", "r_covariates"]
MEASURES = ["rho", "ci_low", "ci_high", "null_mean", "null_low", "null_high", "p", "rho_split",
            "rho_covariates", "rho_beyond", "beyond_ci_low", "beyond_ci_high", "beyond_split",
            "mean_abs_r_observed", "mean_abs_r_predicted"]  # fmt: skip
COUNTS = ["n_donors", "n_low", "n_high", "n_genes", "status", "reason"]
# Donors of a tissue with a known trait, of which fewer give no correlation worth the name.
MIN_DONORS = 10
KEPT_RHO = 0.3
BOUND = 1 - 1e-7
# He et al. 2023, section 3.4: median rho, tissues kept, tissues.
PAPER = {"age": (0.81, 46, 48), "sex": (0.76, 43, 43), "BMI": (0.56, 39, 48)}


@dataclass(frozen=True)
class TraitSettings:
    """How trait associations are compared; of the traits section of the config.

    Parameters
    ----------
    columns
        Columns of donors, each numeric or of two levels.
    min_per_level
        Least number of held-out donors of each level of a two-level trait in a tissue; what makes
        a tissue sex-neutral.
    min_genes
        Least number of predictable genes of a tissue.
    permutations, bootstraps, splits
        Permutations of the trait, bootstrap samples and random halves of donors.
    sampled_genes
        Genes, drawn at random where there are more, that are permuted, resampled and halved.
    seed
        Seed of all of these.
    """

    columns: Sequence[str] = ("age", "sex")
    min_per_level: int = 10
    min_genes: int = 10
    permutations: int = 1000
    bootstraps: int = 1000
    splits: int = 20
    sampled_genes: int = 2000
    seed: int = 0

    def __post_init__(self):
        for key in ("min_per_level", "permutations", "bootstraps", "splits"):
            if getattr(self, key) < 1:
                raise InputError(f"traits.{key}", str(getattr(self, key)), "1 or more")
        for key in ("min_genes", "sampled_genes"):
            if getattr(self, key) < 3:
                raise InputError(f"traits.{key}", str(getattr(self, key)), "3 or more")

    @classmethod
    def of(cls, values: Mapping) -> "TraitSettings":
        """Build settings from the config's section; its other keys are left alone."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})


@dataclass(frozen=True)
class Trait:
    """One trait of all donors.

    Parameters
    ----------
    name
        Its column.
    values
        Numbers by donor id, NaN where unknown; 0 and 1 for the two levels of a text column.
    levels
        The two values of a two-level trait, in order; empty for others.
    problem
        Why it cannot be used; empty where it can.
    """

    name: str
    values: pd.Series
    levels: tuple[float, ...]
    problem: str = ""


def read_trait(donors: pd.DataFrame, column: str) -> Trait:
    """Take one trait from ``cohort/donors.tsv`` (indexed by donor).

    Raises
    ------
    InputError
        There is no such column; the nearest is named.
    """
    if column not in donors:
        near = difflib.get_close_matches(column, donors.columns, n=1, cutoff=0.5)
        raise InputError(
            "config key traits.columns",
            repr(column),
            f"a column of cohort/donors.tsv ({', '.join(donors.columns)})",
            f"Did you mean {near[0]!r}?" if near else "",
        )
    known = donors[column].dropna()
    values = pd.to_numeric(donors[column], errors="coerce")
    if values[known.index].isna().any():
        names = sorted(known.astype(str).unique())
        values = known.astype(str).map({name: float(k) for k, name in enumerate(names)})
        values = values.reindex(donors.index)
        if len(names) > 2:
            return Trait(column, values, (), f"text of {len(names)} levels, not numbers or two")
    levels = tuple(sorted(values.dropna().unique()))
    if len(levels) < 2:
        shown = f"the one level {known.iloc[0]}" if len(known) else "no known value"
        return Trait(column, values, levels, f"the trait has {shown}")
    return Trait(column, values, levels if len(levels) == 2 else ())


def trait_associations(
    held_out: HeldOut,
    model: str,
    donors: pd.DataFrame,
    gene_wise: pd.DataFrame,
    settings: TraitSettings,
    reference: HeldOut | None = None,
    block_genes: int = 2048,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare trait associations of predicted and observed expression in every tissue.

    Parameters
    ----------
    held_out
        From `mtm.evaluation.held_out.read_held_out`.
    model
        Name written into the tables.
    donors
        One row a donor, indexed by donor id.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    settings
        The traits section of the config.
    reference
        Held-out predictions of the covariates-only model; None where the run has none.
    block_genes
        As in `mtm.evaluation.accuracy.score_predictions`, with the values of that call.

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
    draws = _Draws.of(held_out, traits, settings)
    others = reference.tissue_matrices() if reference is not None else None
    genes, rows, resampled = [], [], {}
    for name, samples, predicted, tissue_tpm in held_out.tissue_matrices():
        mine = (gene_wise["tissue"] == name) & (gene_wise["scale"].isin(DEFINITIONS.values()))
        chosen = _predictable(gene_wise[mine], held_out.gene_ids)
        union = np.flatnonzero(np.any(list(chosen.values()), 0))
        compared = _covariates_of(others, name, samples, union)
        sides = [predicted[:, union], compared]
        tissues = [
            line_up(
                held_out if index == 0 else reference,
                samples,
                side,
                tissue_tpm[:, union],
                torch.device("cpu"),
                block_genes,
            )
            for index, side in enumerate(sides)
            if side is not None and len(union)
        ]
        for definition, scale in DEFINITIONS.items():
            at = np.flatnonzero(chosen[definition][union])
            for trait in traits:
                key = dict(zip(KEY, (model, definition, trait.name, name), strict=True))
                values = trait.values.reindex(samples["donor"]).to_numpy(float)
                counts = _counts(trait, values, len(at), settings)
                rows.append(key | counts)
                if counts["status"] == SKIPPED:
                    continue
                known = np.flatnonzero(np.isfinite(values))
                view = _View.of(tissues, at, scale, samples, known, values, settings)
                part, measures, drawn = view.compare(draws, trait.name, settings)
                rows[-1] |= measures
                part["gene_id"] = held_out.gene_ids[union[at[part["gene_id"]]]]
                genes.append(part.assign(**key))
                resampled.setdefault((model, definition, trait.name), []).append(drawn)
        log.info("%s: %d genes", name, len(union))
    table = pd.concat(genes, ignore_index=True) if genes else pd.DataFrame(columns=[*KEY, *GENES])
    agreement = pd.DataFrame(rows, columns=[*KEY, *COUNTS, *MEASURES])
    return table[[*KEY, *GENES]], _with_medians(agreement, resampled, draws)


def _predictable(rows: pd.DataFrame, gene_ids: pd.Index) -> dict[str, np.ndarray]:
    """Whether each gene is predictable, by definition."""
    chosen = {}
    for definition, scale in DEFINITIONS.items():
        yes = rows[rows["scale"] == scale].set_index("gene_id")[definition]
        chosen[definition] = yes.reindex(gene_ids, fill_value=False).to_numpy(bool)
    return chosen


def _covariates_of(
    others: Iterator | None, name: str, samples: pd.DataFrame, genes: np.ndarray
) -> np.ndarray | None:
    """Predictions of the reference for `samples`, in their order; None without a reference."""
    if others is None:
        return None
    for tissue, rows, predicted, _ in others:
        if tissue < name:
            continue
        at = pd.Index(rows["sample_id"]).get_indexer(samples["sample_id"])
        if tissue != name or (at < 0).any():
            break
        return predicted[np.ix_(at, genes)]
    raise InputError(
        f"predictions of the covariates-only model, {name}",
        "other samples",
        "the samples that the model predicts",
        "Predict with both models from the same source tissue.",
    )


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
class _Draws:
    """Draws of donors, the same for all tissues.

    `weights` and `halves` have a column a donor: how often drawn, and 1 in the first half;
    `permuted` maps a trait to its permuted values, of donors that have it.
    """

    weights: pd.DataFrame
    halves: pd.DataFrame
    permuted: dict[str, pd.DataFrame]
    n_folds: int

    @classmethod
    def of(cls, held_out: HeldOut, traits: Sequence[Trait], settings: TraitSettings) -> "_Draws":
        """Draw bootstrap samples, random halves and permutations, each within folds."""
        resampling = AccuracySettings(bootstraps=settings.bootstraps, seed=settings.seed)
        weights = pd.concat(fold_weights([held_out], resampling).values(), axis=1)
        by_fold = held_out.rows.groupby("fold")["donor"].unique()
        halves, permuted = [], {trait.name: [] for trait in traits}
        for fold, donors in by_fold.items():
            donors = sorted(donors)
            rng = np.random.default_rng([settings.seed, int(fold), 1])
            balanced = np.tile(np.arange(len(donors)) % 2, (settings.splits, 1))
            halves.append(pd.DataFrame(rng.permuted(balanced, axis=1), columns=donors))
            for trait in traits:
                known = trait.values.reindex(donors).dropna()
                tiled = np.tile(known.to_numpy(float), (settings.permutations, 1))
                drawn = rng.permuted(tiled, axis=1)
                permuted[trait.name].append(pd.DataFrame(drawn, columns=known.index))
        joined = {name: pd.concat(parts, axis=1) for name, parts in permuted.items()}
        return cls(weights, pd.concat(halves, axis=1), joined, len(by_fold))


@dataclass(frozen=True)
class _View:
    """One trait in one tissue under one definition.

    `observed`, `predicted` and `covariates` (or None) have shape ``(n_donors, n_genes)``, scaled
    to mean 0 and variance 1; `parts` are the samples that are centred together; `sample` are the
    genes that are resampled.
    """

    observed: np.ndarray
    predicted: np.ndarray
    covariates: np.ndarray | None
    trait: np.ndarray
    donors: pd.Index
    parts: list[np.ndarray]
    sample: np.ndarray

    @classmethod
    def of(
        cls,
        tissues: Sequence[TissueSamples],
        genes: np.ndarray,
        scale: str,
        samples: pd.DataFrame,
        known: np.ndarray,
        values: np.ndarray,
        settings: TraitSettings,
    ) -> "_View":
        """Bring expression to the definition's scale: log2(1+TPM) by fold, or TPM as it is."""
        fold = samples["fold"].to_numpy()[known]
        whole = np.zeros(len(known), int)
        groups = fold if scale == "log2_z" else whole
        parts = [np.flatnonzero(groups == index) for index in np.unique(groups)]
        loaded = [tissue.values(scale, genes) for tissue in tissues]
        sides = [loaded[0].observed_raw, *(item.predicted_raw for item in loaded)]
        scaled = [_scaled(side.cpu().numpy()[known], parts) for side in sides]
        rng = np.random.default_rng([settings.seed, 2])
        drawn = rng.permutation(len(genes))[: settings.sampled_genes]
        return cls(
            observed=scaled[0],
            predicted=scaled[1],
            covariates=scaled[2] if len(scaled) > 2 else None,
            trait=_scaled(values[known][:, None], parts)[:, 0],
            donors=pd.Index(samples["donor"].to_numpy()[known]),
            parts=parts,
            sample=np.sort(drawn),
        )

    def compare(
        self, draws: _Draws, trait: str, settings: TraitSettings
    ) -> tuple[pd.DataFrame, dict[str, float], dict[str, np.ndarray]]:
        """Return associations of genes, measures of the tissue, and resampled measures."""
        once = np.ones((1, len(self.donors)))
        known_sides = {
            "observed": self.observed,
            "predicted": self.predicted,
            "covariates": self.covariates,
        }
        sides = {name: side for name, side in known_sides.items() if side is not None}
        r = {name: self._associate(side, once)[0] for name, side in sides.items()}
        genes = pd.DataFrame({"gene_id": np.arange(len(r["observed"]))})
        for name in known_sides:
            genes[f"r_{name}"] = r.get(name, np.nan)
        few = {name: side[:, self.sample].astype(np.float32) for name, side in sides.items()}

        weights = draws.weights[self.donors].to_numpy(np.float32)
        drawn = {name: self._associate(side, weights) for name, side in few.items()}
        permuted = draws.permuted[trait][self.donors].to_numpy(np.float32)
        null = {name: self._associate_permuted(few[name], permuted) for name in
                ("observed", "predicted")}  # fmt: skip
        rho = float(correlate(r["predicted"], r["observed"])[0])
        rho_drawn = correlate(drawn["predicted"], drawn["observed"])
        rho_null = correlate(null["predicted"], null["observed"])
        n_fitted = 1 + len(self.parts)
        interval = _interval(rho, rho_drawn, len(self.donors), n_fitted)
        beyond, beyond_drawn = np.nan, np.full(len(weights), np.nan)
        if self.covariates is not None:
            beyond = float(_partial(r["predicted"], r["observed"], r["covariates"])[0])
            beyond_drawn = _partial(drawn["predicted"], drawn["observed"], drawn["covariates"])
        beyond_interval = _interval(beyond, beyond_drawn, len(self.donors), n_fitted)
        known_null = rho_null[np.isfinite(rho_null)]
        measures = {
            "rho": rho,
            "ci_low": interval[0],
            "ci_high": interval[1],
            "null_mean": known_null.mean() if len(known_null) else np.nan,
            "null_low": np.quantile(known_null, 0.025) if len(known_null) else np.nan,
            "null_high": np.quantile(known_null, 0.975) if len(known_null) else np.nan,
            "p": (1 + (known_null >= rho).sum()) / (1 + len(known_null)),
            **self._split(few, draws.halves[self.donors].to_numpy(np.float32)),
            "rho_covariates": float(correlate(r["covariates"], r["observed"])[0])
            if self.covariates is not None
            else np.nan,
            "rho_beyond": beyond,
            "beyond_ci_low": beyond_interval[0],
            "beyond_ci_high": beyond_interval[1],
            "mean_abs_r_observed": np.abs(r["observed"]).mean(),
            "mean_abs_r_predicted": np.abs(r["predicted"]).mean(),
        }
        resampled = {"drawn": rho_drawn, "null": rho_null, "beyond": beyond_drawn}
        return genes, measures, resampled

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
            rho.append(correlate(predicted, observed))
            if self.covariates is not None:
                covariates = self._associate(few["covariates"], first)
                beyond.append(_partial(predicted, observed, covariates))
        return {"rho_split": _mean_rho(rho), "beyond_split": _mean_rho(beyond)}


def _mean_rho(rho: Sequence[np.ndarray]) -> float:
    """Mean of correlations as Fisher's z, NaN aside."""
    known = np.concatenate([*rho, np.empty(0)])
    known = known[np.isfinite(known)]
    return (
        float(np.tanh(np.arctanh(np.clip(known, -BOUND, BOUND)).mean())) if len(known) else np.nan
    )


def _scaled(values: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Centre ``(n_donors, n_genes)`` by part and divide by the sd; 0 where nothing varies."""
    centred = np.empty(values.shape)
    for part in parts:
        centred[part] = values[part] - values[part].mean(0)
    spread = np.sqrt((centred**2).mean(0))
    constant = spread <= CONSTANT_TOLERANCE * np.abs(values).max(0)
    return np.where(constant, 0, centred / np.where(constant, 1, spread))


def correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson of rows of ``(n_draws, n_genes)``; NaN where a row does not vary."""
    a, b = (np.atleast_2d(side).astype(float) for side in (a, b))
    a, b = (side - side.mean(1, keepdims=True) for side in (a, b))
    norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    varying = norm > 0
    return np.where(varying, (a * b).sum(1) / np.where(varying, norm, 1), np.nan)


def _partial(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Partial correlation of rows of `a` and `b` given `c`; NaN where `c` is all of either."""
    ab, ac, bc = correlate(a, b), correlate(a, c), correlate(b, c)
    # Without an association in c there is nothing to take out.
    ac, bc = np.nan_to_num(ac), np.nan_to_num(bc)
    left = (1 - ac**2) * (1 - bc**2)
    varying = left > 1e-9
    return np.where(varying, (ab - ac * bc) / np.sqrt(np.where(varying, left, 1)), np.nan)


def _interval(rho: float, drawn: np.ndarray, n_donors: int, n_fitted: int) -> tuple[float, float]:
    """95% limits of a correlation by the bootstrap standard error of its Fisher z."""
    z = float(np.arctanh(np.clip(rho, -BOUND, BOUND)))
    interval = t_interval(z, np.arctanh(np.clip(drawn, -BOUND, BOUND)), n_donors, n_fitted)
    return float(np.tanh(interval["ci_low"])), float(np.tanh(interval["ci_high"]))


def _with_medians(
    agreement: pd.DataFrame,
    resampled: Mapping[tuple, list[dict[str, np.ndarray]]],
    draws: _Draws,
) -> pd.DataFrame:
    """Add q-values over tissues, and medians over tissues with their interval and null."""
    parts = []
    n_donors = draws.weights.shape[1]
    for key, part in agreement.groupby(KEY[:3], sort=False):
        ran = part[part["status"] == RAN]
        parts.append(part.assign(q=benjamini_hochberg(part["p"].to_numpy(float))))
        if ran.empty:
            continue
        stacked = {
            name: np.stack([tissue[name] for tissue in resampled[key]])
            for name in ("drawn", "null", "beyond")
        }
        with np.errstate(invalid="ignore"):
            drawn, null, beyond = (
                np.nanmedian(np.where(np.isfinite(values).any(0), values, 0), axis=0)
                for values in stacked.values()
            )
        median = dict(zip(KEY, (*key, MEDIAN_OF_TISSUES), strict=True))
        median |= ran[[*MEASURES, "n_donors", "n_genes"]].astype(float).median().to_dict()
        low, high = _interval(median["rho"], drawn, n_donors, draws.n_folds)
        median |= {"ci_low": low, "ci_high": high, "status": RAN, "reason": ""}
        low, high = _interval(median["rho_beyond"], beyond, n_donors, draws.n_folds)
        median |= {"beyond_ci_low": low, "beyond_ci_high": high}
        median |= {
            "null_mean": null.mean(),
            "null_low": np.quantile(null, 0.025),
            "null_high": np.quantile(null, 0.975),
            "p": (1 + (null >= median["rho"]).sum()) / (1 + len(null)),
        }
        median |= {name: round(median[name]) for name in ("n_donors", "n_genes")}
        parts.append(pd.DataFrame([median]))
    joined = pd.concat(parts, ignore_index=True) if parts else agreement.assign(q=np.nan)
    return joined.astype(dict.fromkeys(("n_donors", "n_low", "n_high", "n_genes"), "Int64"))


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
        t = ran["rho"] * np.sqrt(degrees / (1 - ran["rho"].clip(-BOUND, BOUND) ** 2))
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
