import numpy as np
import pandas as pd
import pytest

from mtm.analyses.genes.contrast import GENE_SETS, MIN_GROUP
from mtm.errors import InputError
from mtm.figures import gene_characteristics, names, style
from mtm.figures.registry import make_figure
from mtm.vocabulary import MEAN_OF_TISSUES


def contrasts(models, n_tissues, seed=0, n_group=400):
    """A random but plausible gene_characteristics/{characteristic}.tsv."""
    rng = np.random.default_rng(seed)
    tissues = sorted(rng.permutation(style.gtex_tissues().index)[:n_tissues])
    rows = []
    for model in models:
        for scale in ("log2_z", "tpm_z"):
            for reading in GENE_SETS:
                for tissue in [*tissues, MEAN_OF_TISSUES]:
                    delta, half = rng.normal(0.2, 0.2), rng.uniform(0.02, 0.2)
                    row = {"model": model, "scale": scale, "reading": reading, "tissue": tissue}
                    row |= dict.fromkeys(("n_top", "n_bottom"), n_group) | {"n_samples": 80}
                    row |= dict.fromkeys(gene_characteristics.COLUMNS[7:9], 1.0)
                    row |= {"cliffs_delta": np.clip(delta, -1, 1), "p_as_paper": rng.random()}
                    row |= {"q_as_paper": rng.random() / 5}
                    tested = scale == "log2_z"
                    row |= {"ci_low": delta - half if tested else np.nan}
                    row |= {"ci_high": delta + half if tested else np.nan}
                    row |= {"p": rng.random() / 5 if tested else np.nan}
                    row["q"] = row["p"] if tissue != MEAN_OF_TISSUES else np.nan
                    rows.append(row)
    return pd.DataFrame(rows)


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_models", "n_tissues"),
    [("fig_s10", 3, 48), ("fig_s11", 6, 3), ("fig_s8_connectivity", 1, 2)],
)
def test_it_draws_every_tissue_inside_the_page(name, n_models, n_tissues):
    models = [f"model_{i}" for i in range(n_models)]
    figure, drawn = make_figure(name, {"table": contrasts(models, n_tissues)})
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01
    sizes = [
        item.get_fontsize()
        for item in figure.findobj(lambda item: hasattr(item, "get_fontsize"))
        if item.get_text()
    ]
    assert min(sizes) >= 6
    shown = min(n_models, gene_characteristics.MAX_MODELS)
    assert len(drawn) == shown * 3 * (n_tissues + 1)
    assert any(f"of {n_models} models" in text for text in texts(figure)) == (n_models > shown)
    for tissue in set(drawn["tissue"]) - {MEAN_OF_TISSUES}:
        assert f"{tissue}  80" in texts(figure)


def filled(figure, marker):
    """Positions of the filled marks of each panel."""
    panels = []
    for ax in figure.axes:
        marks = [line for line in ax.lines if line.get_marker() == marker]
        panels.append(
            np.concatenate(
                [line.get_xdata() for line in marks if line.get_markerfacecolor() != "white"]
            )
        )
    return panels


def test_marks_are_filled_by_the_test_of_their_panel():
    table = contrasts(["m"], 10)
    figure, drawn = make_figure("fig_s10", {"table": table})
    for ax_marks, (scale, reading), column in zip(
        filled(figure, names.style("m")["marker"]),
        gene_characteristics.PANELS,
        ["q", "q", "q_as_paper"],
        strict=True,
    ):
        rows = drawn[(drawn["scale"] == scale) & (drawn["reading"] == reading)]
        single = rows["tissue"] != MEAN_OF_TISSUES
        significant = np.where(single, rows[column], rows["p"]) < 0.05
        np.testing.assert_allclose(np.sort(ax_marks), np.sort(rows["cliffs_delta"][significant]))


def test_small_groups_are_not_drawn():
    table = pd.concat(
        [contrasts(["m"], 4), contrasts(["n"], 4, n_group=MIN_GROUP - 1)], ignore_index=True
    )
    _, drawn = make_figure("fig_s11", {"table": table})
    assert set(drawn["model"]) == {"m"}
    figure, drawn = make_figure("fig_s11", {"table": table[table["model"] == "n"]})
    assert drawn.empty
    assert "Nothing to draw" in figure.texts[0].get_text()


def test_unusable_input():
    with pytest.raises(InputError, match="a column named ci_low"):
        make_figure("fig_s10", {"table": contrasts(["m"], 2).drop(columns="ci_low")})


def test_nothing_to_draw_is_said(caplog):
    table = contrasts(["m"], 2).assign(cliffs_delta=np.nan)
    figure, drawn = make_figure("fig_s10", {"table": table})
    assert drawn.empty
    assert "Nothing to draw" in figure.texts[0].get_text()
    assert "fig_s10: its tables hold no row" in caplog.text
