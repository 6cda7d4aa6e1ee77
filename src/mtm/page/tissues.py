"""Models and tissues of a run, and the accuracy of every model in every tissue."""

import pandas as pd

from mtm.figures import names
from mtm.figures.style import abbreviation
from mtm.page.results import Results
from mtm.vocabulary import CEILING, FLOOR, HEADLINE, MEAN_OF_TISSUES, SAMPLE_CONVENTION

NUMBERS = ["mean_rho", "ci_low", "ci_high", "null_low", "null_high"]
LEVELS = {"gene_wise": HEADLINE.convention, "sample_wise": SAMPLE_CONVENTION}
DIGITS = 3


def target_tissues(results: Results) -> list[str]:
    """Tissues that are told, sorted."""
    return sorted(set(results.summary["tissue"]) - {MEAN_OF_TISSUES})


def models_and_tissues(results: Results, gene_models: list[str]) -> dict[str, object]:
    """Return what the page's tables and plots of tissues show.

    Parameters
    ----------
    results
        Of the run.
    gene_models
        Models whose genes the page holds.

    Returns
    -------
    dict
        Ready for JSON: ``models``, ``tissues`` and ``accuracy``, by level and model rows of
        tissues: rho, interval, null, and predictable genes and genes.
    """
    tissues = target_tissues(results)
    rows = [*tissues, MEAN_OF_TISSUES]
    table = results.summary[results.summary["scale"] == HEADLINE.scale]
    accuracy = {
        level: {
            model: _rows(part.set_index("tissue").reindex(rows))
            for model, part in table[
                (table["level"] == level) & (table["convention"] == convention)
            ].groupby("model")
        }
        for level, convention in LEVELS.items()
    }
    sizes = table.groupby("tissue")["n_samples"].max()
    return {
        "cohort": results.config["cohort"],
        "source": results.config["source"],
        "reference": results.reference,
        "models": [_looks(results, model, gene_models) for model in results.models],
        "first": _first_shown(results),
        "tissues": [
            {"name": name, "short": abbreviation(name), "n": int(sizes[name])} for name in tissues
        ],
        "accuracy": accuracy,
        "limits": _limits(results, rows),
        "thresholds": {
            name: results.config["accuracy"][name] for name in ("predictable_rho", "predictable_q")
        },
    }


def _looks(results: Results, model: str, gene_models: list[str]) -> dict[str, object]:
    """Title, colour and marker of a model, what it sees, and where its genes are."""
    return {
        "name": model,
        "title": names.title(model),
        "sees": results.sources(model),
        "genes": gene_models.index(model) if model in gene_models else None,
        **names.style(model),
    }


def _first_shown(results: Results) -> list[str]:
    """Models that are shown until others are chosen."""
    wanted = [
        results.best(one_source=True),
        results.config["comparison"]["roles"]["MTM"],
        results.reference,
    ]
    return [name for name in dict.fromkeys(wanted) if name in results.models]


def _rows(table: pd.DataFrame) -> list[list[float | None]]:
    """Numbers of every tissue, None where there is none."""
    numbers = table[[*NUMBERS, "n_predictable", "n_genes"]].round(DIGITS)
    return [[None if pd.isna(x) else x for x in row] for row in numbers.to_numpy(float).tolist()]


def _limits(results: Results, rows: list[str]) -> dict[str, list[float | None]]:
    """Ceiling and floor of what any model could reach, by tissue."""
    table = results.table("accuracy/ceiling.tsv")
    limits = {}
    for kind in (CEILING, FLOOR):
        if table is not None and (table["kind"] == kind).any():
            rho = table[table["kind"] == kind].set_index("tissue")["rho"].reindex(rows)
            limits[kind] = [None if pd.isna(x) else round(x, DIGITS) for x in rho]
    return limits
