"""Is the dysregulation of a disease kept in predicted expression? (He et al. 2023, Fig 3a-b).

Wilcoxon's rank-sum test and log2 fold changes of mean TPM between cases and controls, over the
predictable genes of a tissue, in observed expression and in held-out predictions of the same
donors (methods 3, R18-R19). Two readings (methods 6.1, 6.6), one a definition of predictable:

- ``predictable``: predictions of different folds come from different models, so each gene's
  predicted log2(1+TPM) is moved within every fold of the tissue to one and the same mean (over all
  held-out donors of the fold, whatever their label) before it is tested.
- ``predictable_paper``: predictions of all folds together in TPM, as the paper.

And two selections of genes. ``all_folds``: genes that are predictable over the same donors who
are then tested, as the paper. ``nested``: donors of a fold are tested on a gene only where the
gene is predictable over the held-out donors of the other folds, so no donor is tested on a gene
it helped to choose. Genes that some folds choose alone are tested on the donors of those folds.

Genes move together, so overlaps and F1 are high by luck more often than a hypergeometric test
says. Two nulls permute the labels of donors within fold. ``*_null``: on the predicted side alone,
what predictions that know nothing of these donors give. ``rho_chance``: the same permuted labels
on both sides, what labels without meaning give; it lies above 0, because a gene that is predicted
follows its observation whatever the donors are sorted by.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mtm.analyses.contrasts import DiseaseSettings, too_few
from mtm.analyses.rank_sum import RankedGenes
from mtm.evaluation.accuracy import AccuracySettings, TissueSamples, line_up
from mtm.evaluation.comparison import t_interval
from mtm.evaluation.held_out import HeldOut
from mtm.evaluation.predictable_genes import PAPER_RHO, benjamini_hochberg
from mtm.evaluation.resampling import fisher_z, pearson
from mtm.vocabulary import DEFINITIONS, DIRECTIONS, RAN, SELECTIONS, SKIPPED

log = logging.getLogger(__name__)

# Donors of either status that the folds of a gene must have in the nested selection.
MIN_NESTED = 5
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


@dataclass(frozen=True)
class _Block:
    """Genes that are tested on the same samples: positions of genes and of samples."""

    genes: np.ndarray
    rows: np.ndarray


def differential_expression(
    held_out: HeldOut,
    model: str,
    labels: pd.DataFrame,
    gene_wise: pd.DataFrame,
    settings: DiseaseSettings,
    accuracy: AccuracySettings | None = None,
    block_genes: int = 2048,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare predicted and observed differential expression in every tissue and contrast.

    Parameters
    ----------
    held_out
        From `mtm.evaluation.held_out.read_held_out`.
    model
        Name written into the tables.
    labels
        Cases and controls, as from `mtm.analyses.contrasts.contrast_table`.
    gene_wise
        ``accuracy/gene_wise/{model}.parquet``.
    settings
        The disease section of the config.
    accuracy
        The accuracy section, which defines predictable genes of the nested selection.
    block_genes
        As in `mtm.evaluation.accuracy.score_predictions`, with the values of that call.

    Returns
    -------
    pd.DataFrame
        One row a gene, `KEY` and `GENES` (docs/contracts.md); log2 fold changes of cases over
        controls.
    pd.DataFrame
        One row a `KEY`: the agreement, or the reason why there is none.
    """
    accuracy = AccuracySettings() if accuracy is None else accuracy
    genes, rows = [], []
    by_tissue = dict(iter(labels.groupby("tissue", sort=False)))
    for name, samples, predicted, tissue_tpm in held_out.tissue_matrices():
        if name not in by_tissue:
            continue
        tissue = line_up(
            held_out, samples, predicted, tissue_tpm, torch.device("cpu"), block_genes
        )
        for definition, scale in DEFINITIONS.items():
            choices = _selected(tissue, gene_wise, name, held_out.gene_ids, definition, accuracy)
            union = np.flatnonzero(np.any([chosen.any(0) for chosen in choices.values()], 0))
            observed, values = expression_tpm(tissue, union, scale)
            for contrast, labelled in by_tissue[name].groupby("contrast", sort=False):
                status = labelled.set_index("sample_id")["case"].reindex(samples["sample_id"])
                for selection, chosen in choices.items():
                    key = (model, definition, selection, name, contrast)
                    part, row = _compare_labelled(
                        observed,
                        values,
                        status.to_numpy(float),
                        samples["fold"].to_numpy(),
                        dict(zip(tissue.folds, chosen[:, union], strict=True)),
                        settings,
                    )
                    key = dict(zip(KEY, key, strict=True))
                    rows.append(key | {"kind": labelled["kind"].iloc[0]} | row)
                    if len(part):
                        part["gene_id"] = held_out.gene_ids[union[part["gene_id"]]]
                        genes.append(part.assign(**key))
        log.info("%s: %d contrasts", name, by_tissue[name]["contrast"].nunique())
    table = pd.concat(genes, ignore_index=True) if genes else pd.DataFrame(columns=[*KEY, *GENES])
    agreement = pd.DataFrame(rows, columns=[*KEY, "kind", *AGREEMENT])
    return table[[*KEY, *GENES]], agreement


def expression_tpm(
    tissue: TissueSamples, genes: np.ndarray, scale: str
) -> tuple[np.ndarray, np.ndarray]:
    """Observed and predicted TPM of some genes, ``(n_samples, n_genes)``, float32.

    On ``"log2_z"`` the mean predicted log2(1+TPM) of every fold is moved to that of all folds.
    """
    predicted = tissue.values(scale, genes).predicted_raw.cpu().numpy()
    if scale == "log2_z":
        predicted = np.exp2(centre(predicted, tissue.parts) + predicted.mean(0)) - 1
    return tissue.observed_tpm[:, genes], np.maximum(predicted, 0).astype(np.float32)


def centre(values: np.ndarray, parts: Sequence[slice]) -> np.ndarray:
    """Take each part's own mean out of ``(n_samples, n_genes)``."""
    return np.concatenate([values[part] - values[part].mean(0) for part in parts])


def _selected(
    tissue: TissueSamples,
    gene_wise: pd.DataFrame,
    name: str,
    gene_ids: pd.Index,
    definition: str,
    accuracy: AccuracySettings,
) -> dict[str, np.ndarray]:
    """Which genes each fold's donors are tested on, ``(n_folds, n_genes)``, by selection."""
    rows = (gene_wise["tissue"] == name) & (gene_wise["scale"] == DEFINITIONS[definition])
    yes = gene_wise[rows].set_index("gene_id")[definition].reindex(gene_ids, fill_value=False)
    chosen = (
        np.tile(yes.to_numpy(bool), (len(tissue.folds), 1)),
        predictable_elsewhere(tissue, definition, accuracy),
    )
    return dict(zip(SELECTIONS, chosen, strict=True))


def predictable_elsewhere(
    tissue: TissueSamples, definition: str, accuracy: AccuracySettings, block_genes: int = 2048
) -> np.ndarray:
    """Which genes are predictable over the held-out donors of all folds but one.

    ``predictable``: Fisher-z averaged rho of the other folds above the config's bound, with q
    below its bound; P from the normal distribution of Fisher's z, one-sided.
    ``predictable_paper``: rho of the other folds' values in TPM, put together, above 0.3.

    Returns
    -------
    np.ndarray
        Shape ``(n_folds, n_genes)``, bool; all False where a tissue has one fold.
    """
    n_folds, n_genes = len(tissue.folds), tissue.n_genes
    chosen = np.zeros((n_folds, n_genes), bool)
    if n_folds < 2:
        return chosen
    scale = DEFINITIONS[definition]
    sizes = np.array([part.stop - part.start for part in tissue.parts])
    fold_z = np.full((n_folds, n_genes), np.nan)
    for start in range(0, n_genes, block_genes):
        genes = slice(start, min(start + block_genes, n_genes))
        values = tissue.values(scale, genes)
        for index, part in enumerate(tissue.parts):
            if definition == "predictable_paper":
                others = np.setdiff1d(
                    np.arange(tissue.n_samples), np.arange(tissue.n_samples)[part]
                )
                rho = pearson(values.predicted_raw[others], values.observed_raw[others], 0)
                chosen[index, genes] = (rho > PAPER_RHO).numpy()
            elif sizes[index] >= accuracy.min_donors_per_fold:
                rho = pearson(values.predicted_z[part], values.observed_z[part], 0)
                fold_z[index, genes] = fisher_z(rho).numpy()
    if definition == "predictable_paper":
        return chosen
    weights = np.where(np.isfinite(fold_z), sizes[:, None] - 3, 0)
    weighted = weights * np.nan_to_num(fold_z)
    for index in range(n_folds):
        total = weights.sum(0) - weights[index]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_z = (weighted.sum(0) - weighted[index]) / total
        p = np.where(total > 0, stats.norm.sf(mean_z * np.sqrt(total)), np.nan)
        q = benjamini_hochberg(p)
        high = np.tanh(mean_z) > accuracy.predictable_rho
        chosen[index] = high & (q < accuracy.predictable_q)
    return chosen


def _compare_labelled(
    observed_tpm: np.ndarray,
    predicted_tpm: np.ndarray,
    status: np.ndarray,
    fold: np.ndarray,
    chosen: Mapping[int, np.ndarray],
    settings: DiseaseSettings,
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Compare one contrast of one tissue: `status` is NaN where unknown, `chosen` by fold."""
    known = np.isin(status, (0, 1))
    case, fold = status[known] == 1, fold[known]
    counts = {"n_cases": int(case.sum()), "n_controls": int((~case).sum())}
    reason = too_few(*counts.values(), settings)
    blocks = [] if reason else list(_blocks(chosen, case, fold))
    n_genes = sum(len(block.genes) for block in blocks)
    counts["n_genes"] = n_genes
    if not reason and n_genes < settings.min_genes:
        reason = f"{n_genes} predictable genes, fewer than {settings.min_genes}"
    if reason:
        return pd.DataFrame(), counts | {"status": SKIPPED, "reason": reason}
    genes, agreement = compare_expression(
        observed_tpm[known], predicted_tpm[known], case, fold, settings, blocks
    )
    return genes, counts | {"status": RAN, "reason": ""} | agreement


def _blocks(
    chosen: Mapping[int, np.ndarray], case: np.ndarray, fold: np.ndarray
) -> Iterator[_Block]:
    """Group genes by the folds whose donors they are tested on."""
    folds, stacked = np.array(list(chosen)), np.stack(list(chosen.values()))
    if not stacked.any():
        return
    patterns, of_gene = np.unique(stacked.T, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        rows = np.flatnonzero(np.isin(fold, folds[pattern]))
        if min(case[rows].sum(), (~case[rows]).sum()) >= MIN_NESTED:
            yield _Block(np.flatnonzero(of_gene.ravel() == index), rows)


def compare_expression(
    observed_tpm: np.ndarray,
    predicted_tpm: np.ndarray,
    case: np.ndarray,
    fold: np.ndarray,
    settings: DiseaseSettings,
    blocks: Sequence[_Block] | None = None,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Test cases against controls in observed and predicted expression, and compare the results.

    Parameters
    ----------
    observed_tpm, predicted_tpm
        Shape ``(n_samples, n_genes)``, TPM, predictions not below 0.
    case
        Shape ``(n_samples,)``, bool.
    fold
        Fold of each sample; labels are permuted within folds.
    blocks
        Genes by the samples they are tested on; None tests all on all.

    Returns
    -------
    pd.DataFrame
        `GENES`, with the position of the gene as ``gene_id``.
    dict
        The fields `MEASURES`.
    """
    if blocks is None:
        blocks = [_Block(np.arange(observed_tpm.shape[1]), np.arange(len(case)))]
    rng = np.random.default_rng([settings.seed, len(case)])
    permuted = permuted_labels(case, fold, settings.permutations, rng)
    drawn = _bootstrap_weights(case, settings.bootstraps, rng)
    sides: dict[str, list[np.ndarray]] = {}

    def add(**arrays: np.ndarray) -> None:
        for name, array in arrays.items():
            sides.setdefault(name, []).append(array)

    for block in blocks:
        rows, mine = block.rows, case[block.rows]
        observed = observed_tpm[np.ix_(rows, block.genes)]
        predicted = predicted_tpm[np.ix_(rows, block.genes)]
        ranked = RankedGenes.of(predicted)
        pseudo = settings.pseudo_count
        add(
            gene_id=block.genes,
            n=np.full(len(block.genes), len(rows)),
            p_observed=RankedGenes.of(observed).test(mine),
            p_predicted=ranked.test(mine),
            p_null=ranked.test(permuted[:, rows]),
            log2fc_observed=log2_fold_change(observed, mine, pseudo),
            log2fc_predicted=log2_fold_change(predicted, mine, pseudo),
            log2fc_null=log2_fold_change(predicted, permuted[:, rows], pseudo),
            log2fc_null_observed=log2_fold_change(observed, permuted[:, rows], pseudo),
            log2fc_observed_drawn=_drawn_fold_change(observed, mine, drawn[:, rows], pseudo),
            log2fc_predicted_drawn=_drawn_fold_change(predicted, mine, drawn[:, rows], pseudo),
        )
    joined = {name: np.concatenate(arrays, axis=-1) for name, arrays in sides.items()}
    joined["q_observed"] = benjamini_hochberg(joined["p_observed"])
    joined["q_predicted"] = benjamini_hochberg(joined["p_predicted"])
    genes = pd.DataFrame({name: joined[name] for name in GENES})
    return genes, _agreement(joined, len(case), settings)


def permuted_labels(
    case: np.ndarray, fold: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Permute labels within folds, shape ``(n_permutations, n_samples)``, bool."""
    labels = np.tile(case, (n_permutations, 1))
    for index in np.unique(fold):
        rows = np.flatnonzero(fold == index)
        labels[:, rows] = rng.permuted(labels[:, rows], axis=1)
    return labels


def _bootstrap_weights(
    case: np.ndarray, n_bootstraps: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw cases and controls with replacement, each among themselves: how often each."""
    weights = np.zeros((n_bootstraps, len(case)), np.float32)
    for rows in (np.flatnonzero(case), np.flatnonzero(~case)):
        weights[:, rows] = rng.multinomial(
            len(rows), np.full(len(rows), 1 / len(rows)), n_bootstraps
        )
    return weights


def log2_fold_change(expr_tpm: np.ndarray, case: np.ndarray, pseudo_count: float) -> np.ndarray:
    """Return log2 of mean TPM of cases over that of controls, each plus the pseudo-count.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``.
    case
        Shape ``(n_samples,)`` or ``(n_labels, n_samples)``, bool.
    """
    labels = np.atleast_2d(case)
    result = _log2_ratio(expr_tpm, labels, ~labels, pseudo_count)
    return result if case.ndim == 2 else result[0]


def _drawn_fold_change(
    expr_tpm: np.ndarray, case: np.ndarray, weights: np.ndarray, pseudo_count: float
) -> np.ndarray:
    """Log2 fold changes of bootstrap samples, ``(n_bootstraps, n_genes)``."""
    return _log2_ratio(expr_tpm, weights * case, weights * ~case, pseudo_count)


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


def row_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's rho of each row of ``(n_rows, n_genes)``; one row serves all of the other side."""
    a, b = (np.atleast_2d(side).astype(float) for side in (a, b))
    a, b = (side - side.mean(1, keepdims=True) for side in (a, b))
    norm = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 0, (a * b).sum(1) / norm, np.nan)


def permutation_p(value: float, null: np.ndarray) -> float:
    """One-sided P: (1 + null values at or above) / (1 + null values); NaN for no value."""
    known = null[np.isfinite(null)]
    return float((1 + (known >= value).sum()) / (1 + len(known))) if np.isfinite(value) else np.nan


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
