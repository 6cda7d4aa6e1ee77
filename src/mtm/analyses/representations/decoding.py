"""What MTM's decoding paths hold of tissues (He et al. 2023, Fig S8; methods 3, R11).

Do tissues with similar expression pass the generator along similar paths, layer by layer? Pairs of
tissues are not independent; see `mtm.analyses.representations.tissue_similarity`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from mtm.analyses.representations.networks import codes_of, fold_models, held_out_rows
from mtm.analyses.representations.tissue_similarity import (
    MIN_TISSUES,
    compare_subsets,
    mean_log2_expression,
    pair_table,
    pearson_similarity,
)
from mtm.cohort.cohort import Cohort
from mtm.errors import CannotDo, InputError
from mtm.models.covariate_design import covariate_table
from mtm.models.donors import DonorsKey
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
    codes = torch.from_numpy(codes_of(model, cohort, rows))
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
    key: DonorsKey | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set the similarity of decoding paths against that of tissues in expression, layer by layer.

    The code of every held-out donor's source sample is decoded to all other tissues by its fold's
    model. An untrained generator has equal maps for all tissues: differences were learned.

    Parameters
    ----------
    cohort
        Every sample; similarity in expression as `tissue_similarity` has it.
    source
        Tissue that codes come from.
    folds
        Fold by donor id, from `mtm.cohort.folds.read_folds`.
    bundles, key
        Path of the bundle by model and fold, models of class "mtm"; what tells their donors.
    n_permutations, seed
        Of Mantel's test.

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
        See `fold_models`.
    CannotDo
        There are fewer than three target tissues, or a fold has no held-out donor with the source.
    """
    targets = np.delete(np.arange(len(cohort.tissues)), cohort.tissue_index(source))
    expression = _similarity_of_targets(cohort, source)
    rows_of = _source_rows(cohort, folds, source)
    pairs, summary = [], []
    for name, bundle_of in bundles.items():
        paths = DecodingPaths.of(name, bundle_of, cohort, rows_of, targets, key)
        for layer in range(len(paths.widths)):
            of_layer = {"model": name} | paths.about(layer)
            table, lines = _compare_layer(of_layer, paths, layer, expression, n_permutations, seed)
            pairs.append(table)
            summary += lines
    return pd.concat(pairs, ignore_index=True), pd.DataFrame(summary)


def _similarity_of_targets(cohort: Cohort, source: str) -> pd.DataFrame:
    """Similarity in expression of all tissues but the source."""
    names = [name for name in cohort.tissues if name != source]
    if len(names) < MIN_TISSUES:
        raise CannotDo(
            "decoding paths",
            f"{len(names)} target tissues, fewer than {MIN_TISSUES}",
            "give the cohort more tissues",
        )
    return pearson_similarity(mean_log2_expression(cohort)).loc[names, names]


def _source_rows(cohort: Cohort, folds: pd.DataFrame, source: str) -> dict[int, np.ndarray]:
    """Rows of the source samples of every fold's held-out donors."""
    rows_of = {}
    for fold, rows in held_out_rows(cohort, folds).items():
        rows_of[fold] = rows[cohort.tissue[rows] == cohort.tissue_index(source)]
        if not len(rows_of[fold]):
            raise CannotDo(
                "decoding paths",
                f"no held-out donor of fold {fold} with {source}",
                "draw folds with the scheme balanced, or fewer folds",
            )
    return rows_of


@dataclass(frozen=True)
class DecodingPaths:
    """Similarity of the decoding paths of one model, layer by layer.

    Parameters
    ----------
    widths
        Features of every layer; the last is the output.
    by_fold
        From `path_similarity`, one a fold.
    n_donors
        Donors of every fold.
    """

    widths: list[int]
    by_fold: list[np.ndarray]
    n_donors: list[int]

    @classmethod
    def of(
        cls,
        name: str,
        bundles: Mapping[int, str | Path],
        cohort: Cohort,
        rows_of: Mapping[int, np.ndarray],
        targets: np.ndarray,
        key: DonorsKey | None,
    ) -> "DecodingPaths":
        """Decode the samples of every fold with the fold's model."""
        by_fold, n_donors = [], []
        for fold, model in fold_models(cohort, rows_of, bundles, key):
            generator = model.networks["generator"]
            codes = decoding_codes(model, cohort, rows_of[fold])
            by_fold.append(path_similarity(generator, codes, torch.from_numpy(targets)))
            if not np.isfinite(by_fold[-1]).all():
                raise InputError(
                    bundles[fold], "activations that are not finite", "finite ones",
                    "The model has diverged, or its training had no sample of a tissue.",
                )  # fmt: skip
            n_donors.append(len(codes))
            log.info("%s, fold %d: decoding paths of %d donors", name, fold, len(codes))
        widths = [layer.linear.out_features for layer in generator.layers]
        return cls([*widths, generator.last.out_features], by_fold, n_donors)

    def about(self, layer: int) -> dict[str, object]:
        """Return number from 1, kind and width of a layer."""
        kind = "output" if layer + 1 == len(self.widths) else "hidden"
        return {"layer": layer + 1, "kind": kind, "width": self.widths[layer]}

    def mean(self, layer: int) -> np.ndarray:
        """Similarity over the donors of all folds, shape ``(n_targets, n_targets)``."""
        return np.average([part[layer] for part in self.by_fold], axis=0, weights=self.n_donors)


def _compare_layer(
    key: Mapping[str, object],
    paths: DecodingPaths,
    layer: int,
    expression: pd.DataFrame,
    n_permutations: int,
    seed: int,
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Set one layer against expression: pairs of tissues, and a line a subset of tissues."""
    names, n_donors = expression.index, sum(paths.n_donors)
    mean = pd.DataFrame(paths.mean(layer), index=names, columns=names)
    of_pairs = {"path_similarity": mean, "expression_similarity": expression}
    table = pair_table(names, key, of_pairs)
    table.insert(table.columns.get_loc("path_similarity"), "n_donors", n_donors)
    row, column = np.triu_indices(len(names), 1)
    known = table["expression_similarity"].to_numpy()
    # A fold whose paths are all alike has none.
    of_folds = [part[layer][row, column] for part in paths.by_fold]
    rho = [stats.spearmanr(one, known)[0] for one in of_folds if np.ptp(one) > 0] or [np.nan]
    about = key | {
        "n_donors": n_donors,
        "mean_similarity": float(table["path_similarity"].to_numpy().mean()),
    }
    lines = []
    for line in compare_subsets(expression, mean, n_permutations, seed):
        spread = {"fold_low": min(rho), "fold_high": max(rho)}
        if line["subset"] != ALL_TISSUES:
            spread = dict.fromkeys(spread, np.nan)
        lines.append(about | line | spread)
    return table, lines
