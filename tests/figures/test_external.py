import numpy as np
import pandas as pd
import pytest

from mtm.figures import external, names, style
from mtm.figures.registry import make_figure
from mtm.vocabulary import MEAN_OF_TISSUES


def summary(cohorts, models, alignments=("none", "log2", "cross-validation"), n_tissues=3):
    """Draw a table as external/summary.tsv."""
    rng = np.random.default_rng(0)
    tissues = [*style.gtex_tissues().index[:n_tissues], MEAN_OF_TISSUES]
    return pd.DataFrame(
        [
            {"cohort": cohort, "alignment": alignment, "model": model, "scale": scale,
             "level": "gene_wise", "convention": convention, "tissue": tissue, "n_samples": 20,
             "n_genes": 100, "mean_rho": rho, "ci_low": rho - 0.05, "ci_high": rho + 0.05,
             "null_low": -0.04, "null_high": 0.04}
            for cohort in cohorts
            for alignment in alignments
            for model in models
            for scale, convention in (("log2_z", "per_fold"), ("tpm_z", "pooled_raw"))
            for tissue in tissues
            for rho in [rng.uniform(0, 0.4)]
        ]
    )  # fmt: skip


def test_table_is_the_headline_mean_of_every_cohort_model_and_alignment():
    table = summary(["site", "lab"], ["ridge", "mtm"])
    empty = (table["tissue"] != MEAN_OF_TISSUES) & (table["cohort"] == "lab")
    table.loc[empty.idxmax(), "mean_rho"] = np.nan
    reduced = external.external_table(table.sample(frac=1, random_state=1).sort_values("cohort"))
    assert list(reduced.columns) == external.DRAWN
    assert len(reduced) == 2 * 2 * 3
    assert list(reduced["alignment"][:3]) == ["cross-validation", "none", "log2"]
    assert list(dict.fromkeys(reduced["model"])) == ["mtm", "ridge"]
    assert sorted(reduced["n_tissues"])[:2] == [2, 3]
    merged = reduced.merge(
        table[(table["tissue"] == MEAN_OF_TISSUES) & (table["scale"] == "log2_z")],
        on=["cohort", "alignment", "model"],
    )
    assert (merged["mean_rho_x"] == merged["mean_rho_y"]).all()


@pytest.mark.parametrize("n_cohorts", [1, 3, 8])
@pytest.mark.slow
def test_figure_has_a_panel_a_cohort_inside_the_page(n_cohorts):
    cohorts = [f"cohort {place}" for place in range(n_cohorts)]
    models = list(names.MODELS)[: 3 * n_cohorts]
    table = summary(cohorts, models, (*external.LOOKS,))
    figure, reduced = make_figure("external", {"table": table})
    shown = min(n_cohorts, external.MOST_COHORTS)
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.axison] == [
        f"{name} (3 tissues)" for name in cohorts[:shown]
    ]
    assert figure.get_figheight() <= style.PAGE_HEIGHT_MM / style.MM_PER_INCH
    figure.canvas.draw()
    drawn = {round(x, 6) for ax in figure.axes for line in ax.lines for x in line.get_xdata()}
    assert drawn.issuperset(reduced["mean_rho"].round(6))


def test_every_mark_stands_in_its_own_null():
    table = summary(["site"], ["ridge", "mtm"])
    wide = (table["alignment"] == "none") & (table["model"] == "ridge")
    table.loc[wide, ["null_low", "null_high"]] = -0.2, 0.3
    figure, reduced = make_figure("external", {"table": table})
    ax = figure.axes[0]
    boxes = [box.get_paths()[0].get_extents() for box in ax.collections]
    marks = {round(line.get_xdata()[0], 6): line.get_ydata()[0] for line in ax.lines}
    assert len(boxes) == len(reduced)
    for row in reduced.itertuples():
        y = marks[round(row.mean_rho, 6)]
        (mine,) = (box for box in boxes if box.y0 < y < box.y1)
        assert (mine.y0 + mine.y1) / 2 == pytest.approx(y)
        assert (mine.x0, mine.x1) == pytest.approx((row.null_low, row.null_high))


def test_title_counts_no_tissue_where_none_has_a_correlation():
    table = summary(["lab", "site"], ["ridge"])
    table.loc[table["cohort"] == "site", ["mean_rho", "ci_low", "ci_high"]] = np.nan
    figure, _ = make_figure("external", {"table": table})
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "lab (3 tissues)", "site (0 tissues)",
    ]  # fmt: skip
