"""One page about a GEO series: what differs in predicted tissues."""

from datetime import date
from pathlib import Path

import pandas as pd

from mtm.cohort.geo.series import read_series_matrix
from mtm.figures.registry import make_figure
from mtm.figures.style import save_figure
from mtm.io import atomic_path, write_parquet, write_tsv
from mtm.page.parts import rendered
from mtm.page.pictures import data_image
from mtm.page.words import between, count, number, p_value
from mtm.settings.external import External, in_words
from mtm.vocabulary import RAN, SOURCE

COMPARISONS = {
    "kept": "Cases against controls",
    "follow-up": "Cases against controls, later samples",
    "change": "Change within people, cases against controls",
}
FIGURE = "fig4_predicted"
PREDICTED = "None of this was measured in the tissues: a model foretold them from one sample."


def write_geo_page(
    out: Path,
    settings: External,
    matrix: Path,
    report: pd.DataFrame,
    tissues: pd.DataFrame,
    genes: pd.DataFrame,
) -> None:
    """Write the tables, the figure and the page of a series.

    Parameters
    ----------
    out
        Folder.
    settings, matrix
        What the series was read by, and its matrix.
    report
        From `mtm.analyses.transfer.reading`.
    tissues, genes
        From `mtm.analyses.transfer.predicted`.
    """
    write_tsv(tissues, out / "predicted.tsv")
    write_parquet(genes, out / "predicted_genes.parquet")
    drawing, table = make_figure(FIGURE, {"differences": tissues})
    places = [out / f"{FIGURE}.{suffix}" for suffix in ("pdf", "png", "tsv")]
    save_figure(drawing, table, *places)
    image, width, height = data_image(places[1])
    text = rendered(
        "geo.html.jinja",
        sections={"differences": "Differences", "read": "What was read"},
        first_line=PREDICTED,
        warning=True,
        series=read_series_matrix(matrix),
        today=date.today().isoformat(),
        settings=settings,
        cases=in_words(settings.group.case),
        controls=in_words(settings.group.control),
        report=report.to_dict("records"),
        comparisons=list(_comparisons(tissues)),
        image=image,
        width=width,
        height=height,
    )
    with atomic_path(out / "index.html") as temporary:
        temporary.write_text(text, encoding="utf-8")


def _comparisons(tissues: pd.DataFrame):
    """Yield what the page says of each comparison: title, people, why not, rows."""
    for name, title in COMPARISONS.items():
        part = tissues[tissues["comparison"] == name]
        if part.empty:
            continue
        first = part.iloc[0]
        people = f"{count(first['n_cases'])} cases, {count(first['n_controls'])} controls"
        ran = part[part["status"] == RAN].assign(last=lambda rows: rows["role"] == SOURCE)
        yield {
            "title": title,
            "people": people,
            "beside": first["covariates"] if isinstance(first["covariates"], str) else "",
            "reason": first["reason"] if first["status"] != RAN else "",
            "rows": [_row(row) for _, row in ran.sort_values(["last", "rank"]).iterrows()],
        }


def _row(row: pd.Series) -> list[str]:
    """Cells of a tissue."""
    itself = row["role"] == SOURCE
    return [
        f"{row['tissue']}, itself" if itself else row["tissue"],
        f"{number(row['change'])} ({between(row['ci_low'], row['ci_high'])})",
        p_value(row["p"]),
        "" if itself else p_value(row["q"]),
        f"{count(row['n_up'])} / {count(row['n_down'])}",
        "" if itself else count(row["n_beyond_source"]),
    ]
