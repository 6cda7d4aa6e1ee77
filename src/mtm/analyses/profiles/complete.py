"""A table of genes by tissues completed, and how well that is done (methods 6.23)."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.analyses.profiles.features import REACH, Surroundings, conservation_features, neighbour
from mtm.analyses.profiles.held_out import measure_accuracy
from mtm.analyses.profiles.holes import kind_of
from mtm.analyses.profiles.promoters import promoter_features, promoters_of
from mtm.analyses.profiles.stack import asked, fit_stack, tell
from mtm.analyses.profiles.table import Table, medians, place, read_profiles
from mtm.cohort.cohort import Cohort
from mtm.cohort.genes import gene_key
from mtm.io import read_tsv
from mtm.models.device import choose_device
from mtm.settings.profiles import ProfileSettings
from mtm.vocabulary import AND

log = logging.getLogger(__name__)

# Parts of the linear fit, in the order in which accuracy.tsv adds them.
LINEAR = ("neighbours", "promoter", "conservation", "family")
COLUMNS = [
    "gene_id", "tissue", "value", "low", "high", "observed", "parts", "shares_promoter",
    "n_relatives",
]  # fmt: skip


def surroundings_of(
    table: Table,
    settings: ProfileSettings,
    promoters: str | Path | None = None,
    conservation: str | Path | None = None,
) -> Surroundings:
    """Read what is known of genes beside expression; parts without a file are left out.

    Parameters
    ----------
    table
        The genes.
    settings
        Section of the config.
    promoters
        See `mtm.analyses.profiles.promoters.read_promoters`; None for none.
    conservation
        Table of ``gene_id`` and ``value``, as ``gene_characteristics/genes/conservation.tsv``;
        None for none.
    """
    sequences, fixed = [""] * table.n_genes, {}
    if promoters is not None and {"promoter", "hybrid"} & set(settings.parts):
        sequences = promoters_of(promoters, table.genes)
        fixed["promoter"] = promoter_features(sequences)
    if conservation is not None:
        scores = read_tsv(conservation, ["gene_id", "value"], dtype={"gene_id": str})
        # Second copies of a gene (PAR_Y) stand there too, without a value.
        scores = scores[["gene_id", "value"]].dropna()
        by_gene = {gene_key(name).stable_id: v for name, v in scores.values}
        value = [by_gene.get(gene_key(name).stable_id, np.nan) for name in table.genes.index]
        if np.isfinite(value := np.array(value, float)).any():
            fixed["conservation"] = conservation_features(value)
    without = {"promoter", "conservation"} - set(fixed)
    if (table.family() < 0).all():
        without.add("family")
    parts = tuple(part for part in LINEAR if part in settings.parts and part not in without)
    return Surroundings(table, parts, fixed, sequences)


def profile_tables(
    cohort: Cohort | None,
    settings: ProfileSettings,
    gene_model: str | Path,
    files: dict[str, str],
    device: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Complete a table of genes by tissues, and measure how well.

    Parameters
    ----------
    cohort
        Whose medians are taken where there is no table.
    settings
        Section of the config.
    gene_model
        GTF.
    files
        Of ``table``, ``promoters`` and ``conservation`` those that there are.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.

    Returns
    -------
    pd.DataFrame, pd.DataFrame
        ``completed.parquet`` and ``accuracy.tsv``; columns as in docs/contracts.md.

    Raises
    ------
    InputError
        A file cannot be used.
    CannotDo
        There are too few genes, chromosomes or tissues.
    """
    own = files.get("table")
    values = read_profiles(own) if own else medians(cohort)
    table = place(values, gene_model, own)
    around = surroundings_of(table, settings, files.get("promoters"), files.get("conservation"))
    log.info(
        "%d genes, %d tissues; %s", table.n_genes, len(table.tissues), ", ".join(around.parts)
    )
    # The network alone computes there; without it the rule asks for no card, and sees none.
    device = choose_device(device) if "hybrid" in settings.parts else "cpu"
    accuracy = measure_accuracy(around, settings, device)
    return complete(around, settings, device), accuracy


def complete(around: Surroundings, settings: ProfileSettings, device: str) -> pd.DataFrame:
    """Fit to all that is measured, and tell every hole.

    Returns
    -------
    pd.DataFrame
        One row a gene and tissue; columns as in docs/contracts.md.
    """
    table = around.table
    stack = fit_stack(around, table.expr_log2, settings, settings.seed, device)
    mean = stack.linear.tissue_mean
    genes = asked(around, table.expr_log2, mean, settings)
    observed = np.isfinite(table.expr_log2)
    wanted = np.flatnonzero(~observed.all(1))
    value, half = table.expr_log2.copy(), np.full(observed.shape, np.nan)
    told = tell(stack, genes.of(wanted))
    hole = ~observed[wanted]
    value[wanted] = np.where(hole, told.stack + mean, value[wanted])
    half[wanted] = np.where(hole, told.half, np.nan)
    if unsure := int(np.isnan(told.half[hole]).sum()):
        log.warning("%d of %d holes without an interval: too few genes", unsure, hole.sum())
    low, high = np.maximum(value - half, np.minimum(stack.lowest, value)), value + half
    parts = _parts(around, [stack.used(kind) for kind in kind_of(observed)], observed)
    n_tissues = len(table.tissues)
    about = {
        "gene_id": np.repeat(table.genes.index.to_numpy(), n_tissues),
        "tissue": np.tile(table.tissues, table.n_genes),
        "value": value.ravel(),
        "low": low.ravel(),
        "high": high.ravel(),
        "observed": observed.ravel(),
        "parts": np.where(observed, "", parts[:, None]).ravel(),
        "shares_promoter": np.repeat(table.shares_promoter(), n_tissues),
        "n_relatives": np.repeat(_relatives(table), n_tissues),
    }
    return pd.DataFrame(about)[COLUMNS]


def _relatives(table: Table) -> np.ndarray:
    """Return how many other genes are of each gene's family, shape ``(n_genes,)``."""
    family = table.family()
    counts = np.bincount(family[family >= 0], minlength=1)
    return np.where(family >= 0, counts[family] - 1, 0)


def _parts(around: Surroundings, added: list[tuple[str, ...]], observed: np.ndarray) -> np.ndarray:
    """Name what each gene's holes are told from, shape ``(n_genes,)``."""
    table, measured = around.table, observed.any(1)
    near = np.zeros(table.n_genes, bool)
    for step in [*range(-REACH, 0), *range(1, REACH + 1)]:
        one = neighbour(table, step)
        near |= one.there & measured[one.row]
    has = {
        "neighbours": near,
        "promoter": np.array([len(one) > 0 for one in around.promoters]),
        "conservation": around.fixed.get("conservation", np.zeros((table.n_genes, 1))).any(1),
        "family": _relatives(table) > 0,
    }
    named = [("tissues", measured), *((part, has[part]) for part in around.parts)]
    rows = zip(*(there for _, there in named), added, strict=True)
    return np.array(
        [
            AND.join(
                [name for (name, _), yes in zip(named, row, strict=False) if yes] + [*row[-1]]
            )
            for row in rows
        ],
        object,
    )
