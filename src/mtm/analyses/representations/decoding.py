"""Decoding paths: how alike the way to two tissues is, layer by layer."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mtm.analyses.representations.networks import _codes, fold_models, held_out_rows
from mtm.analyses.representations.tissue_similarity import (
    MIN_TISSUES,
    compare_subsets,
    mean_log2_expression,
    pearson_similarity,
    relations,
)
from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.covariate_design import covariate_table
from mtm.models.mtm.model import MTM
from mtm.models.mtm.networks import ConditionedStack
from mtm.vocabulary import ALL_TISSUES

log = logging.getLogger(__name__)


# Activations of the widest layer held at a time, 64 MiB of float32.
DECODING_VALUES = 2**24


@torch.inference_mode()
def path_similarity(
    generator: ConditionedStack,
    codes: torch.Tensor,
    targets: torch.Tensor,
    max_values: int = DECODING_VALUES,
) -> np.ndarray:
    """Mean over donors of the similarity of decoding paths to every two tissues.

    Parameters
    ----------
    generator
        Layers whose activations are compared.
    codes
        One code a donor, shape ``(n_donors, code_width)``.
    targets
        Tissues decoded to, int64, shape ``(n_targets,)``.
    max_values
        Bound on the activations of the widest layer that are held at a time; one donor's is the
        least.

    Returns
    -------
    np.ndarray
        Pearson's rho over the features of a layer, shape ``(n_layers, n_targets, n_targets)``,
        float64; the linear end is the last layer. Constant activations have rho 0.
    """
    widths = [layer.linear.out_features for layer in generator.layers]
    n_targets = len(targets)
    block = max(1, max_values // (n_targets * max(*widths, generator.last.out_features)))
    total = np.zeros((len(widths) + 1, n_targets, n_targets))
    for part in codes.split(block):
        x = part.repeat_interleave(n_targets, 0)
        for layer, values in enumerate(generator.activations(x, targets.repeat(len(part)))):
            paths = values.float().unflatten(0, (len(part), n_targets))
            size = paths.abs().amax(2, keepdim=True) * paths.shape[2] ** 0.5
            paths = paths - paths.mean(2, keepdim=True)
            norm = torch.linalg.vector_norm(paths, dim=2, keepdim=True)
            paths = paths / norm.masked_fill(norm <= 1e-6 * size, torch.inf)
            total[layer] += torch.bmm(paths, paths.mT).double().sum(0).numpy()
    return total / len(codes)


def decoding_codes(model: MTM, cohort: Cohort, rows: np.ndarray) -> torch.Tensor:
    """Codes that `model` decodes of the samples `rows`, covariates added where it has any."""
    codes = torch.from_numpy(_codes(model, cohort, rows))
    if len(model.design):
        table = covariate_table(cohort, rows, model.design.covariates)
        traits = torch.from_numpy(np.ascontiguousarray(model.design.transform(table)))
        with torch.inference_mode():
            codes = codes + model.networks["covariates"](traits.to(codes.dtype))
    return codes


def decoding_similarity(
    cohort: Cohort,
    source: str,
    folds: pd.Series,
    bundles: Mapping[str, Mapping[int, str | Path]],
    n_permutations: int,
    seed: int,
    max_values: int = DECODING_VALUES,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set the similarity of decoding paths against that of tissues in expression, layer by layer.

    The code of every held-out donor's source sample is decoded to all other tissues by its fold's
    model. An untrained generator has equal maps for all tissues, so that all of its paths are one;
    whatever differs between paths was learned.

    Parameters
    ----------
    cohort
        Every sample; similarity in expression as in
        `mtm.analyses.representations.tissue_similarity`.
    source
        Tissue that codes come from.
    folds
        Fold by donor id, from `mtm.cohort.folds.read_folds`.
    bundles
        Path of the bundle by model and fold; models of class "mtm".
    n_permutations, seed
        Of Mantel's test.
    max_values
        See `path_similarity`.

    Returns
    -------
    pd.DataFrame
        One row a model, ``layer`` (from 1; ``kind`` "hidden" or "output", ``width`` features) and
        pair of tissues: ``tissue_a``, ``tissue_b``, ``relation``, ``n_donors``,
        ``path_similarity`` (mean over donors), ``expression_similarity``.
    pd.DataFrame
        One row a model, layer and ``subset`` of tissues: ``n_donors``, ``mean_similarity`` of
        paths, what `compare_subsets` returns, and ``fold_low`` and ``fold_high``, the lowest and
        the highest ``spearman_rho`` of a single fold (all tissues).

    Raises
    ------
    InputError
        See `fold_models`; there are fewer than three target tissues, or a fold has no held-out
        donor with the source.
    """
    source_index = cohort.tissue_index(source)
    targets = np.delete(np.arange(len(cohort.tissues)), source_index)
    if len(targets) < MIN_TISSUES:
        raise InputError(
            "cohort", f"{len(targets)} tissues beside {source}", f"{MIN_TISSUES} or more"
        )
    names = np.array(cohort.tissues, dtype=object)[targets]
    expression = pearson_similarity(mean_log2_expression(cohort)).loc[names, names]
    rows_of = {}
    for fold, rows in held_out_rows(cohort, folds).items():
        rows_of[fold] = rows[cohort.tissue[rows] == source_index]
        if not len(rows_of[fold]):
            raise InputError(
                f"fold {fold}",
                f"no held-out donor with {source}",
                "one or more in every fold",
                "Draw folds with the scheme balanced, or fewer folds.",
            )
    pairs, summary = [], []
    row, column = np.triu_indices(len(targets), 1)
    for name, paths in bundles.items():
        by_fold, n_donors = [], []
        for fold, model in fold_models(cohort, rows_of, paths):
            generator = model.networks["generator"]
            codes = decoding_codes(model, cohort, rows_of[fold])
            by_fold.append(
                path_similarity(generator, codes, torch.from_numpy(targets), max_values)
            )
            if not np.isfinite(by_fold[-1]).all():
                raise InputError(
                    paths[fold], "activations that are not finite", "finite ones",
                    "The model has diverged, or its training had no sample of a tissue.",
                )  # fmt: skip
            n_donors.append(len(codes))
            log.info("%s, fold %d: decoding paths of %d donors", name, fold, len(codes))
        widths = [layer.linear.out_features for layer in generator.layers]
        widths.append(generator.last.out_features)
        mean = np.average(by_fold, axis=0, weights=n_donors)
        for layer, width in enumerate(widths):
            key = {
                "model": name,
                "layer": layer + 1,
                "kind": "output" if layer + 1 == len(widths) else "hidden",
                "width": width,
            }
            pairs.append(
                pd.DataFrame(
                    key
                    | {
                        "tissue_a": names[row],
                        "tissue_b": names[column],
                        "relation": relations(names)[row, column],
                        "n_donors": sum(n_donors),
                        "path_similarity": mean[layer][row, column],
                        "expression_similarity": expression.to_numpy()[row, column],
                    }
                )
            )
            known = expression.to_numpy()[row, column]
            rho = [stats.spearmanr(part[layer][row, column], known)[0] for part in by_fold]
            similarity = pd.DataFrame(mean[layer], index=names, columns=names)
            for line in compare_subsets(expression, similarity, n_permutations, seed):
                spread = {"fold_low": min(rho), "fold_high": max(rho)}
                if line["subset"] != ALL_TISSUES:
                    spread = dict.fromkeys(spread, np.nan)
                about = {
                    "n_donors": sum(n_donors),
                    "mean_similarity": float(mean[layer][row, column].mean()),
                }
                summary.append(key | about | line | spread)
    return pd.concat(pairs, ignore_index=True), pd.DataFrame(summary)
