import warnings

import numpy as np
import pandas as pd
import pytest
from marks import slow

from mtm.errors import InputError
from mtm.figures import accuracy, names, style
from mtm.figures.registry import make_figure
from mtm.vocabulary import MEAN_OF_TISSUES

CONVENTIONS = [
    ("gene_wise", "per_fold"),
    ("gene_wise", "pooled_z"),
    ("gene_wise", "pooled_raw"),
    ("sample_wise", "per_sample"),
]


def summary(models, n_tissues, seed=0):
    """A random but plausible accuracy/summary.tsv."""
    rng = np.random.default_rng(seed)
    tissues = list(rng.permutation(style.gtex_tissues().index)[:n_tissues])
    rows = [
        {
            "model": model, "scale": scale, "level": level, "convention": convention,
            "tissue": tissue, "n_samples": 100, "n_genes": 1000, "mean_rho": rho,
            "ci_low": rho - 0.03, "ci_high": rho + 0.03, "null_low": -0.02, "null_high": 0.02,
            "n_predictable": rng.integers(0, 900) if level == "gene_wise" else np.nan,
            "n_predictable_paper": rng.integers(0, 900) if level == "gene_wise" else np.nan,
        }
        for rank, model in enumerate(models)
        for scale in ("log2_z", "tpm_z")
        for level, convention in CONVENTIONS
        for tissue in [*tissues, MEAN_OF_TISSUES]
        for rho in [0.05 + 0.02 * rank + rng.normal(0, 0.005)]
    ]  # fmt: skip
    return pd.DataFrame(rows)


def ceilings(table):
    """A plausible accuracy/ceiling.tsv: every tissue has a floor, every second a ceiling."""
    rows = []
    for place, tissue in enumerate(table["tissue"].unique()):
        if place % 2 == 0 or tissue == MEAN_OF_TISSUES:
            rows.append({"tissue": tissue, "kind": "ceiling", "rho": 0.5 + place / 1000})
        rows.append({"tissue": tissue, "kind": "floor", "rho": 0.25})
    return pd.DataFrame(rows).assign(ci_low=lambda x: x["rho"] - 0.02, ci_high=0.6)


def given(name, table):
    """Tables that a figure takes."""
    return {"table": table} | ({} if name == "fig2b" else {"ceiling": ceilings(table)})


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text"))]


def test_fig2a_table_is_the_four_panels_models_by_name():
    table = summary(["zeta", "ridge", "mtm"], 5)
    reduced = accuracy.fig2a_table(table.sample(frac=1, random_state=1), ceilings(table))
    assert len(reduced) == 4 * 3 * 6
    assert list(dict.fromkeys(reduced["model"])) == ["mtm", "ridge", "zeta"]
    panels = list(dict.fromkeys(reduced[accuracy.ACCURACY_KEY].itertuples(index=False, name=None)))
    assert panels == [
        ("log2_z", "gene_wise", "per_fold"),
        ("log2_z", "sample_wise", "per_sample"),
        ("tpm_z", "gene_wise", "pooled_raw"),
        ("tpm_z", "sample_wise", "per_sample"),
    ]
    merged = reduced.merge(table, on=[*accuracy.ACCURACY_KEY, "model", "tissue"])
    assert (merged["mean_rho_x"] == merged["mean_rho_y"]).all()


def test_what_any_model_could_reach_stands_beside_the_headline_alone():
    table = summary(["mtm", "ridge"], 4)
    reduced = accuracy.fig2a_table(table, ceilings(table))
    headline = (reduced[accuracy.ACCURACY_KEY] == accuracy.PANELS[0]).all(axis=1)
    assert reduced.loc[~headline, ["ceiling", "floor"]].isna().all(axis=None)
    expected = ceilings(table).pivot(index="tissue", columns="kind", values="rho")
    for name in ("ceiling", "floor"):
        mine = reduced[headline].set_index("tissue")[name]
        np.testing.assert_array_equal(mine, expected.loc[mine.index, name])
    figure, _ = make_figure("fig2a", given("fig2a", table))
    drawn = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_ls() == ":"]
    assert drawn == [expected.loc[MEAN_OF_TISSUES, name] for name in ("ceiling", "floor")]


def test_without_sister_tissues_no_ceiling_is_drawn_or_explained():
    table = summary(["mtm"], 4)
    floors = ceilings(table).query("kind == 'floor'")
    for name in ("fig2a", "accuracy_by_tissue"):
        figure, _ = make_figure(name, {"table": table, "ceiling": floors})
        assert not any("noise ceiling" in text for text in texts(figure))
        assert any("floor" in text for text in texts(figure))


def test_a_cohort_without_either_has_empty_columns():
    table = summary(["mtm"], 4)
    figure, drawn = make_figure("fig2a", {"table": table, "ceiling": ceilings(table).iloc[:0]})
    assert drawn[["ceiling", "floor"]].isna().all(axis=None)
    assert not any("floor" in text for text in texts(figure))
    figure.canvas.draw()


def test_fig2b_table_takes_each_definition_from_its_own_scale():
    table = summary(["a", "b"], 4)
    reduced = accuracy.fig2b_table(table)
    assert list(reduced["definition"].value_counts()) == [10, 10]
    for definition, scale, convention in (
        ("n_predictable", "log2_z", "per_fold"),
        ("n_predictable_paper", "tpm_z", "pooled_raw"),
    ):
        expected = table[(table["scale"] == scale) & (table["convention"] == convention)]
        got = reduced[reduced["definition"] == definition].merge(expected, on=["model", "tissue"])
        assert len(got) == 10
        assert (got["n_predictable_genes"] == got[definition]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fig2a", slow("fig2b"), slow("accuracy_by_tissue")])
@pytest.mark.parametrize(
    ("models", "n_tissues"), [(["covariates"], 10), slow([*names.MODELS, "other"], 48)]
)
def test_figures_draw_every_model_inside_the_page(tmp_path, name, models, n_tissues):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, table = make_figure(name, given(name, summary(models, n_tissues)))
        style.save_figure(
            figure, table, tmp_path / "f.pdf", tmp_path / "f.png", tmp_path / "f.tsv"
        )
    width, height = figure.get_size_inches() * 25.4
    assert width == pytest.approx(180)
    assert height <= 245
    drawn = texts(figure)
    shown = models if name != "accuracy_by_tissue" else accuracy._told_apart(models, 4.4)
    assert "covariates" in shown
    for model in shown:
        assert names.title(model) in drawn
    said = any(f"first {len(shown)} of {len(models)} models" in text for text in drawn)
    assert said == (len(shown) < len(models))
    assert len(pd.read_csv(tmp_path / "f.tsv", sep="\t")) == len(table)
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01
    smallest = min(
        item.get_fontsize()
        for item in figure.findobj(lambda item: hasattr(item, "get_fontsize"))
        if item.get_text()
    )
    assert smallest >= 6


def test_fig2a_draws_the_values_of_its_table():
    figure, table = make_figure("fig2a", given("fig2a", summary(["low", "high"], 10)))
    panel = table[(table[accuracy.ACCURACY_KEY] == accuracy.PANELS[2]).all(axis=1)]
    ax = figure.axes[2]
    for model, dots in zip(["high", "low"], ax.collections[::2], strict=False):
        rows = panel[(panel["model"] == model) & (panel["tissue"] != MEAN_OF_TISSUES)]
        np.testing.assert_allclose(dots.get_offsets()[:, 0], rows["mean_rho"])
    mean = panel[(panel["model"] == "high") & (panel["tissue"] == MEAN_OF_TISSUES)].iloc[0]
    assert f"{mean['mean_rho']:.2f}" in texts(figure)


def test_a_summary_of_one_scale_without_null_intervals_is_drawn():
    table = summary(["a", "b"], 6)
    table = table[table["scale"] == "log2_z"].assign(null_low=np.nan, null_high=np.nan)
    figure, _ = make_figure("fig2a", given("fig2a", table))
    assert len(figure.axes) == 2
    figure.canvas.draw()
    figure, _ = make_figure("fig2b", {"table": table})
    assert len(figure.axes) == 1


def test_unusable_tables_are_refused():
    table = summary(["a"], 3)
    with pytest.raises(InputError, match="null_low"):
        accuracy.fig2a_table(table.drop(columns="null_low"), ceilings(table))
    with pytest.raises(InputError, match="mean of tissues"):
        accuracy.fig2a_table(table[table["tissue"] != MEAN_OF_TISSUES], ceilings(table))
    with pytest.raises(InputError, match="'fig99'; expected one of accuracy_by_tissue, .*fig2a"):
        make_figure("fig99", {"table": table})
