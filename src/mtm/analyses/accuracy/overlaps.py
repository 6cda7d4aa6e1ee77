"""Predictable genes that models share, and how many more one has, against sample size."""

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from mtm.errors import InputError
from mtm.vocabulary import AND, PAIR, VENN_SETS, Reading, readings_of

log = logging.getLogger(__name__)

VENN_ROLES = ("S2", "S3", "MTM")
# Tissues whose 5,040 orders are all looked at.
MOST_IN_ALL_ORDERS = 7


def _readings(gene_wise: Mapping[str, pd.DataFrame]) -> tuple[Reading, ...]:
    """Return the readings of the scales that all tables have."""
    return readings_of(set.intersection(*(set(table["scale"]) for table in gene_wise.values())))


def _predictable(gene_wise: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Whether each gene is predictable: index (tissue, gene_id), columns ``yes`` and ``n``."""
    rows = gene_wise[gene_wise["scale"] == reading.scale]
    table = rows[["tissue", "gene_id", "n", reading.definition]]
    return table.rename(columns={reading.definition: "yes"}).set_index(["tissue", "gene_id"])


def predictable_overlaps(
    gene_wise: Mapping[str, pd.DataFrame], pairs: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Count the predictable genes of two models and of both, in every tissue (methods 3, R6-R7).

    Parameters
    ----------
    gene_wise
        Gene-wise tables by model; genes and tissues that both models have are compared.
    pairs
        Names of model A and model B.

    Returns
    -------
    pd.DataFrame
        One row a pair, ``definition`` (with its ``scale``) and tissue: ``n_samples`` (the larger
        of the models'), ``n_genes``, ``n_a``, ``n_b``, ``n_both``, ``share_of_a_in_b`` =
        n_both / n_a (empty without genes of A) and ``share_of_b_in_a``.
    """
    parts = []
    for reading in _readings(gene_wise):
        tables = {
            name: _predictable(gene_wise[name], reading)
            for name in dict.fromkeys(name for pair in pairs for name in pair)
        }
        for a, b in pairs:
            both = tables[a].join(tables[b], how="inner", lsuffix="_a", rsuffix="_b")
            both["n_samples"] = both[["n_a", "n_b"]].max(axis=1)
            both["yes"] = both["yes_a"] & both["yes_b"]
            part = both.groupby(level="tissue").agg(
                n_samples=("n_samples", "max"),
                n_genes=("yes", "size"),
                n_a=("yes_a", "sum"),
                n_b=("yes_b", "sum"),
                n_both=("yes", "sum"),
            )
            part["share_of_a_in_b"] = part["n_both"] / part["n_a"].where(part["n_a"] > 0)
            part["share_of_b_in_a"] = part["n_both"] / part["n_b"].where(part["n_b"] > 0)
            columns = [*PAIR, "definition", "scale"]
            key = pd.DataFrame([[a, b, reading.definition, reading.scale]], columns=columns)
            parts.append(key.merge(part.reset_index(), how="cross"))
    return pd.concat(parts, ignore_index=True)


def fold_changes(overlaps: pd.DataFrame, samples_of: Mapping[str, int]) -> pd.DataFrame:
    """Relate the fold change of predictable genes, A over B, to sample size (methods 3, R8-R9).

    Parameters
    ----------
    overlaps
        From `predictable_overlaps`.
    samples_of
        Samples of each tissue in the cohort, the paper's sample size: donors without the source
        count too.

    Returns
    -------
    pd.DataFrame
        Columns of the pair, ``definition``, ``scale``, ``tissue``, ``n_samples`` of the tissue,
        ``n_predicted`` of these, ``n_a``, ``n_b``; ``fold_change`` = n_a / n_b, empty where B has
        no gene (``excluded`` is true); and for the whole pair and definition ``n_tissues`` with a
        fold change, ``n_excluded``, ``spearman_rho`` of fold change and ``n_samples`` over the
        former, and ``p_as_paper``, which takes tissues as independent.
    """
    table = overlaps.rename(columns={"n_samples": "n_predicted"})
    table["n_samples"] = table["tissue"].map(samples_of)
    columns = [*PAIR, "definition", "scale", "tissue", "n_samples", "n_predicted", "n_a", "n_b"]
    table = table[columns].copy()
    table["fold_change"] = table["n_a"] / table["n_b"].where(table["n_b"] > 0)
    table["excluded"] = table["fold_change"].isna()
    parts = []
    for _, part in table.groupby([*PAIR, "definition"], sort=False):
        kept = part[~part["excluded"]]
        rho, p = np.nan, np.nan
        if min(kept["fold_change"].nunique(), kept["n_samples"].nunique()) > 1 and len(kept) > 2:
            rho, p = _spearman(kept["n_samples"], kept["fold_change"])
        parts.append(
            part.assign(
                n_tissues=len(kept),
                n_excluded=len(part) - len(kept),
                spearman_rho=rho,
                p_as_paper=p,
            )
        )
    return pd.concat(parts, ignore_index=True)


def _spearman(a: pd.Series, b: pd.Series) -> tuple[float, float]:
    """Spearman's rho and its P; of few values over all their orders, as Student's t is 0 at 1."""
    rho, p = stats.spearmanr(a, b)
    if len(a) <= MOST_IN_ALL_ORDERS:
        ranks = stats.rankdata(b)

        def of_orders(x: np.ndarray, axis: int = -1) -> np.ndarray:
            return (x * ranks).sum(axis)

        p = stats.permutation_test(
            (stats.rankdata(a),), of_orders, permutation_type="pairings", vectorized=True,
            n_resamples=np.inf,
        ).pvalue  # fmt: skip
    return float(rho), float(p)


def venn_models(models: Sequence[str], roles: Mapping[str, str]) -> list[str]:
    """Choose the models of the Venn diagram: those of Fig 2c, then others of the run, three.

    Raises
    ------
    InputError
        There are fewer than two models.
    """
    played = [roles[role] for role in VENN_ROLES if roles.get(role) in models]
    chosen = list(dict.fromkeys([*played, *models]))[: max(VENN_SETS)]
    if len(chosen) < min(VENN_SETS):
        raise InputError("models", ", ".join(models), "two or more models to compare")
    return chosen


def venn_regions(
    gene_wise: Mapping[str, pd.DataFrame], models: Sequence[str], tissue: str
) -> pd.DataFrame:
    """Count the predictable genes that each subset of models shares (Fig 2c).

    Parameters
    ----------
    gene_wise
        Gene-wise tables by model; genes that all `models` have are counted.
    models
        Two or three of them.
    tissue
        The tissue of Fig 2c; where a model does not have it, the target tissue with the most
        samples, and the log says so.

    Returns
    -------
    pd.DataFrame
        ``definition``, ``scale``, ``tissue``, ``n_samples``, ``region`` (models joined by ";":
        genes predictable by these and by none of the others), ``n_genes``. Regions of single
        models come first, in the order of `models`; every region has a row.

    Raises
    ------
    InputError
        There are not two or three models, or they have no tissue in common.
    """
    if len(models) not in VENN_SETS:
        raise InputError("models of the Venn diagram", f"{len(models)}", "two or three")
    chosen = _venn_tissue([gene_wise[name] for name in models], tissue)
    rows = []
    for reading in _readings(gene_wise):
        tables = [_predictable(gene_wise[name], reading).loc[chosen] for name in models]
        member = pd.concat([table["yes"] for table in tables], axis=1, join="inner", keys=models)
        n_samples = max(int(table["n"].max()) for table in tables)
        for size in range(1, len(models) + 1):
            for inside in combinations(models, size):
                pattern = [name in inside for name in models]
                rows.append(
                    {
                        "definition": reading.definition,
                        "scale": reading.scale,
                        "tissue": chosen,
                        "n_samples": n_samples,
                        "region": AND.join(inside),
                        "n_genes": int((member == pattern).all(axis=1).sum()),
                    }
                )
    return pd.DataFrame(rows)


def _venn_tissue(tables: Sequence[pd.DataFrame], wanted: str) -> str:
    """Return `wanted`, or the common tissue with the most samples."""
    sizes = pd.concat([table.groupby("tissue")["n"].max() for table in tables], axis=1).dropna()
    if sizes.empty:
        raise InputError("gene-wise accuracy", "no tissue that all models have", "at least one")
    if wanted in sizes.index:
        return wanted
    chosen = str(sizes.min(axis=1).sort_index().idxmax())
    log.info("no %s: the Venn diagram shows the largest target tissue, %s", wanted, chosen)
    return chosen
