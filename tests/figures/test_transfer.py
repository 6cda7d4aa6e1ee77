import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from marks import slow

from mtm.figures import style
from mtm.figures.registry import make_figure
from mtm.figures.transfer import hexagons

ALIGNMENTS = ("log2", "tpm", "none")


def tables(n_tissues, models=("mtm",), n_genes=200):
    """Draw tables as `mtm.analyses.transfer.agreement.transfer_agreement` returns them."""
    rng = np.random.default_rng(0)
    tissues = [name for name in style.gtex_tissues().index if name != "Whole Blood"][:n_tissues]
    agreement, groups, genes = {}, {}, []
    for model in models:
        rows = [
            {"model": model, "alignment": alignment, "genes": "all", "contrast": "MHT2D",
             "tissue": tissue, "role": "source" if tissue == "Whole Blood" else "target",
             "status": "ran", "related": place % 3 > 0, "n_genes": n_genes, "rho_log2fc": rho,
             "ci_low": rho - 0.1, "ci_high": rho + 0.1, "null_low": -0.3, "null_high": 0.3,
             "q": 0.01, "n_reference_cases": 40 + place, "n_reference_controls": 70,
             "n_cases": 22, "n_controls": 38}
            for alignment in ALIGNMENTS
            for place, tissue in enumerate([*tissues, "Whole Blood"])
            for rho in [rng.uniform(-0.5, 0.8)]
        ]  # fmt: skip
        skipped = dict.fromkeys(rows[0]) | {"model": model, "tissue": "Testis"}
        rows.append(skipped | {"status": "skipped", "role": "target"})
        agreement[f"agreement/{model}.tsv"] = pd.DataFrame(rows)
        groups[f"groups/{model}.tsv"] = pd.DataFrame(
            [{"model": model, "alignment": name, "genes": "all", "median": 0.4, "median_p": 0.01,
              "n_related": 3, "median_related": 0.52, "n_other": 2, "median_other": 0.32,
              "p_as_paper": 0.033, "permuted_p": 0.12} for name in ALIGNMENTS]
        )  # fmt: skip
    for tissue in tissues:
        x, y = rng.standard_normal((2, n_genes)) * [[0.2], [0.05]]
        genes.append(
            pd.DataFrame({"model": models[0], "alignment": "log2", "tissue": tissue,
                          "log2fc_reference": x, "log2fc_predicted": y})
        )  # fmt: skip
    return {"agreement": agreement, "groups": groups, "genes": pd.concat(genes)}


def fig4_input(made):
    return {"genes": made["genes"], "agreement": next(iter(made["agreement"].values()))}


def strip_input(made):
    return {"agreement": made["agreement"], "groups": made["groups"]}


def test_hexagons_hold_every_point_in_the_nearest_cell():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, 300))
    centres, counts = hexagons(x, y, 0.2)
    assert counts.sum() == 300
    assert len(np.unique(centres, axis=0)) == len(centres)
    centres = centres * 0.2
    distance = np.hypot(x[:, None] - centres[:, 0], y[:, None] - centres[:, 1])
    nearest = np.bincount(distance.argmin(1), minlength=len(centres))
    # The nearest centre may be an empty cell's, so none gets more than the nearest points allow.
    assert distance.min(1).max() <= 0.2 / np.sqrt(3) + 1e-6
    np.testing.assert_array_equal(counts, nearest)


def test_panels_go_from_related_to_other_by_falling_rho_and_count_all_genes():
    made = tables(7)
    figure, table = make_figure("fig4", fig4_input(made))
    order = table.drop_duplicates("tissue")
    assert order["related"].is_monotonic_decreasing
    for _, part in order.groupby("related"):
        assert part["rho_log2fc"].is_monotonic_decreasing
    assert "Whole Blood" not in set(table["tissue"])
    assert (table.groupby("tissue")["n_genes_in_cell"].sum() == 200).all()
    first = figure.axes[0].texts[0].get_text()
    assert f"{order['rho_log2fc'].iloc[0]:.2f}" in first
    assert "\N{BLACK STAR}" in first
    ax = figure.axes[0]
    assert ax.get_xlim() == ax.get_ylim()
    (identity,) = (line for line in ax.lines if line.get_linestyle() == "--")
    assert tuple(identity.get_xdata()) == tuple(identity.get_ydata()) == ax.get_xlim()
    assert "n = 22 / 38" in figure.get_supylabel()


def test_fold_changes_of_a_table_are_of_no_contrast_of_the_cohort():
    made = tables(2)
    for table in made["agreement"].values():
        table[["n_reference_cases", "n_reference_controls"]] = np.nan
    label = make_figure("fig4", fig4_input(made))[0].get_supxlabel()
    assert "in the reference\n(as given in a table)" in label
    assert "diabetes" not in label
    assert (
        "Type 2 diabetes, observed"
        in make_figure("fig4", fig4_input(tables(2)))[0].get_supxlabel()
    )


def test_strip_has_a_mark_for_every_tissue_and_alignment():
    made = tables(5, ("mtm", "ridge"))
    figure, table = make_figure("transfer", strip_input(made))
    for ax, model in zip(figure.axes, ("mtm", "ridge"), strict=False):
        marks = [line for line in ax.lines if line.get_linewidth() == 0]
        assert sum(len(line.get_xdata()) for line in marks) == 3 * 6
        rows = table[(table["panel"] == "tissues") & (table["model"] == model)]
        drawn = np.concatenate([line.get_xdata() for line in marks])
        np.testing.assert_allclose(np.sort(drawn), np.sort(rows["rho_log2fc"].astype(float)))
        assert "rank-sum P 0.033" in ax.get_xlabel()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[-1] == "Whole Blood, itself"
    assert sum(label.startswith("\N{BLACK STAR}") for label in labels) == 3


def test_a_tissue_that_the_first_model_has_no_correlation_in_is_a_row():
    made = tables(4, ("mtm", "ridge"))
    first = made["agreement"]["agreement/mtm.tsv"]
    # It tells everybody alike there.
    first.loc[first["tissue"] == first["tissue"].iloc[1], "rho_log2fc"] = np.nan
    figure, table = make_figure("transfer", strip_input(made))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 5
    assert labels[-1] == "Whole Blood, itself"
    related = [label.startswith("\N{BLACK STAR}") for label in labels[:-1]]
    assert related == sorted(related, reverse=True)
    for ax, n in zip(figure.axes, (4, 5), strict=False):
        marks = [line for line in ax.lines if line.get_linewidth() == 0]
        assert sum(len(line.get_xdata()) for line in marks) == 3 * n


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_tissues", "models"),
    [(1, ("mtm",)), (3, ("mtm",)), (9, ("mtm", "ridge")), slow(48, tuple("abcd"))],
)
@pytest.mark.parametrize(("name", "given"), [("fig4", fig4_input), ("transfer", strip_input)])
def test_it_fits_the_page(name, given, n_tissues, models):
    figure, table = make_figure(name, given(tables(n_tissues, models)))
    with mpl.rc_context(style.RC):
        figure.draw_without_rendering()
    assert figure.get_figwidth() * 25.4 <= 180.01
    assert figure.get_figheight() * 25.4 <= 240.01
    box = figure.get_tightbbox()
    assert box.x0 >= -0.02
    assert box.x1 <= figure.get_figwidth() + 0.02
    assert box.y1 <= figure.get_figheight() + 0.02
    texts = [text for ax in figure.axes for text in ax.texts]
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 + 1 for text in texts)
    if name == "transfer":
        assert table["model"].nunique() == min(len(models), 3)


def test_nothing_ran():
    made = tables(2)
    skipped = {path: table[table["status"] == "skipped"] for path, table in
               made["agreement"].items()}  # fmt: skip
    figure, table = make_figure("fig4", fig4_input(made | {"agreement": skipped}))
    assert table.empty
    assert "Nothing to draw" in figure.texts[0].get_text()
