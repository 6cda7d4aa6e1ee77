import numpy as np
import pandas as pd

from mtm.figures.differential_expression import MAX_CONTRASTS
from mtm.figures.registry import make_figure

CONTRASTS = pd.DataFrame(
    {"contrast": ["MHX", "MHY"], "kind": "medical_history", "tissue": "Lung",
     "n_cases": [49, 12], "n_controls": 70, "status": "skipped",
     "reason": ["49 cases, fewer than 50", "12 cases, fewer than 50"]}
)  # fmt: skip


def genes(models=("mtm", "ridge", "mlp", "covariates"), n=30):
    rng = np.random.default_rng(0)
    change = rng.normal(size=n)
    parts = [
        pd.DataFrame({"model": model, "definition": "predictable", "selection": "all_folds",
                      "tissue": "Lung", "contrast": "MHX", "gene_id": [f"g{i}" for i in range(n)],
                      "n": 100, "log2fc_observed": change, "log2fc_predicted": change / 2,
                      "p_observed": 10.0 ** -np.abs(5 * change),
                      "q_observed": 10.0 ** -np.abs(3 * change), "q_below": 0.05,
                      "p_predicted": 0.1, "q_predicted": 0.2, "n_cases": 39,
                      "n_controls": 45})
        for model in models
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def agreement(contrasts=("MHX", "MHY"), models=("mtm", "ridge", "covariates")):
    rows = [
        {"model": model, "definition": definition, "selection": selection, "tissue": tissue,
         "contrast": contrast, "n_cases": 60, "n_controls": 60, "n_genes": 100, "status": "ran",
         "n_de_observed": 40, "n_up_observed": 30, "n_down_observed": 9, "f1_up": 0.75,
         "f1_down": 0.5, "f1_up_q": 0.01, "f1_down_q": 0.3, "mcc_up": 0.7, "mcc_down": 0.4,
         "p_as_paper_up": 1e-20, "p_as_paper_down": 1e-9, "min_de_genes": 10}
        for model in models
        for definition in ("predictable", "predictable_paper")
        for selection in ("all_folds", "nested")
        for tissue in ("Lung", "Liver")
        for contrast in contrasts
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_fig_3a_draws_a_point_a_gene_and_keeps_the_covariates_model():
    drawing, table = make_figure("fig3a", {"genes": genes(), "contrasts": CONTRASTS})
    assert list(table["model"].unique()) == ["mtm", "ridge", "covariates"]
    offsets = drawing.axes[0].collections[0].get_offsets()
    assert len(offsets) == 30
    np.testing.assert_allclose(
        np.sort(offsets[:, 1]), np.sort(-np.log10(table["p_observed"][:30])), rtol=1e-6
    )
    assert drawing.get_suptitle() == "Lung, MHX (n = 39 / 45)"
    assert "sign kept in 100%" in drawing.axes[0].get_title(loc="left")


def test_fig_3a_survives_p_values_of_zero():
    table = genes(models=("mtm",))
    table.loc[0, "p_observed"] = 0.0
    drawing, _ = make_figure("fig3a", {"genes": table, "contrasts": CONTRASTS})
    assert np.isfinite(drawing.axes[0].collections[0].get_offsets()).all()


def test_fig_3b_has_a_value_a_pair_and_greys_those_with_few_genes():
    drawing, table = make_figure("fig3b", {"agreement": agreement(), "contrasts": CONTRASTS})
    assert list(table["model"].unique()) == ["mtm", "covariates"]
    up, down = drawing.axes[:2]
    assert [text.get_text() for text in up.texts] == ["0.75*"] * 4
    assert not down.texts
    few, shown = (np.ma.filled(image.get_array().astype(float), np.nan) for image in down.images)
    assert (few == 1).all()
    assert np.isnan(shown).all()


def test_fig_3b_asks_for_as_many_genes_as_its_table_says():
    table = agreement().assign(min_de_genes=9)
    drawing, _ = make_figure("fig3b", {"agreement": table, "contrasts": CONTRASTS})
    assert [text.get_text() for text in drawing.axes[1].texts] == ["0.50"] * 4
    legend = [text.get_text() for text in drawing.legends[0].get_texts()]
    assert "fewer than 9 observed genes" in legend


def test_fig_3b_names_how_many_contrasts_it_leaves_out():
    names = [f"MH{i:02d}" for i in range(MAX_CONTRASTS + 3)]
    table = {"agreement": agreement(contrasts=names), "contrasts": CONTRASTS}
    drawing, table = make_figure("fig3b", table)
    assert table["contrast"].nunique() == MAX_CONTRASTS
    assert f"{MAX_CONTRASTS} of {MAX_CONTRASTS + 3} contrasts" in drawing.get_suptitle()


def test_without_any_contrast_the_figures_say_why():
    empty = {"fig3a": {"genes": genes().iloc[:0]}, "fig3b": {"agreement": agreement().iloc[:0]}}
    for name, tables in empty.items():
        drawing, table = make_figure(name, tables | {"contrasts": CONTRASTS})
        assert len(table) == 2
        assert "49 cases, fewer than 50" in drawing.axes[0].texts[0].get_text()
