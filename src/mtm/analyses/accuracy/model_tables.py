"""The paper's Tables S1 and S2: a column a model."""

import pandas as pd

from mtm.vocabulary import ACCURACY_KEY, TABLE_MEASURES, readings_of


def accuracy_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Make the paper's Table S1 from ``accuracy/summary.tsv``: mean rho by tissue and model.

    Returns
    -------
    pd.DataFrame
        ``scale``, ``level``, ``convention`` (those of `TABLE_MEASURES`), ``tissue``,
        ``n_samples`` (the most of any model), then one column a model; the mean over tissues
        comes first.
    """
    measures = pd.MultiIndex.from_tuples(TABLE_MEASURES)
    rank = measures.get_indexer(pd.MultiIndex.from_frame(summary[ACCURACY_KEY]))
    return _by_model(summary[rank >= 0].assign(_order=rank[rank >= 0]), ACCURACY_KEY, "mean_rho")


def predictable_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Make the paper's Table S2 from ``accuracy/summary.tsv``: predictable genes.

    Returns
    -------
    pd.DataFrame
        ``definition``, ``scale``, ``tissue``, ``n_samples`` (the most of any model), then one
        column a model; the mean over tissues comes first.
    """
    parts = []
    for order, reading in enumerate(readings_of(set(summary["scale"]))):
        measure = (reading.scale, "gene_wise", reading.convention)
        rows = summary[(summary[ACCURACY_KEY] == measure).all(axis=1)]
        counts = rows[f"n_{reading.definition}"]
        parts.append(
            rows.assign(definition=reading.definition, _order=order, n_genes_predictable=counts)
        )
    table = pd.concat(parts, ignore_index=True)
    return _by_model(table, ["definition", "scale"], "n_genes_predictable")


def _by_model(table: pd.DataFrame, key: list[str], value: str) -> pd.DataFrame:
    """Spread `value` into one column a model, in the order of the models in `table`."""
    index = ["_order", *key, "tissue"]
    wide = table.pivot(index=index, columns="model", values=value)[list(table["model"].unique())]
    wide.insert(0, "n_samples", table.groupby(index)["n_samples"].max())
    return wide.sort_index().reset_index().drop(columns="_order").rename_axis(columns=None)
