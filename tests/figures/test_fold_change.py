import numpy as np
import pandas as pd
import pytest
from marks import slow
from scipy.stats import spearmanr

from mtm.analyses.accuracy.overlaps import fold_changes
from mtm.figures import style
from mtm.figures.registry import make_figure


def overlaps(counts_a, counts_b, n_samples, pairs=(("mtm", "teebot"),)):
    tissues = list(style.gtex_tissues().index[: len(n_samples)])
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "model_a": a, "model_b": b, "definition": definition, "scale": scale,
                    "tissue": tissues, "n_samples": n_samples, "n_a": counts_a, "n_b": counts_b,
                }
            )
            for a, b in pairs
            for definition, scale in (("predictable", "log2_z"), ("predictable_paper", "tpm_z"))
        ]
    )  # fmt: skip


def changes_of(table):
    """Fold changes where a tissue has as many samples as were predicted."""
    return fold_changes(table, dict(zip(table["tissue"], table["n_samples"], strict=True)))


def test_every_fold_change_is_drawn_at_its_place_and_zeros_are_told_apart():
    counts_a, counts_b = [40, 0, 30, 12, 9, 0], [10, 5, 0, 12, 3, 0]
    n_samples = [100, 200, 300, 400, 500, 600]
    table = changes_of(overlaps(counts_a, counts_b, n_samples))
    figure, _ = make_figure("fig2de", {"table": table})
    ax = figure.axes[0]
    dots, triangles = (np.asarray(item.get_offsets()) for item in ax.collections[:2])
    np.testing.assert_allclose(dots, [(100, 4.0), (400, 1.0), (500, 3.0)])
    np.testing.assert_allclose(triangles, [(200, ax.get_ylim()[0])])
    rho = spearmanr([100, 200, 400, 500], [4.0, 0, 1.0, 3.0]).statistic
    [p] = table["p_as_paper"].unique()
    assert ax.texts[-1].get_text().split("\n") == [
        f"Spearman {rho:.2f}".replace("-", "\N{MINUS SIGN}") + f", P {p:.2g}",
        "4 tissues",
        "2 without fold change",
    ]
    handles = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert any("fold change 0" in text for text in handles)


@pytest.mark.slow
@pytest.mark.parametrize(("n_pairs", "n_tissues"), [(1, 4), slow(6, 48)])
def test_it_fits_the_page(tmp_path, n_pairs, n_tissues):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9000, (2, n_tissues))
    pairs = [(f"model{i}", "teebot") for i in range(n_pairs)]
    n_samples = rng.integers(70, 650, n_tissues)
    table = changes_of(overlaps(*counts, n_samples, pairs))
    figure, drawn = make_figure("fig2de", {"table": table})
    style.save_figure(figure, drawn, tmp_path / "f.pdf", tmp_path / "f.png", tmp_path / "f.tsv")
    assert len(drawn) == min(n_pairs, 4) * 2 * n_tissues
    assert figure.get_figwidth() * 25.4 <= 180.01
    box = figure.get_tightbbox()
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01


def test_a_pair_without_any_fold_change_is_drawn_empty():
    table = changes_of(overlaps([5, 6, 7], [0, 0, 0], [100, 200, 300]))
    figure, _ = make_figure("fig2de", {"table": table})
    assert figure.axes[0].texts[0].get_text() == "0 tissues\n3 without fold change"
