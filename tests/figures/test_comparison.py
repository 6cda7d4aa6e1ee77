import numpy as np
import pandas as pd
import pytest
from marks import slow

from mtm.analyses.accuracy.pair_counts import pair_counts
from mtm.figures import comparison, style
from mtm.figures.registry import make_figure
from mtm.vocabulary import ACCURACY_KEY, MEAN_OF_TISSUES, PAIR, TABLE_MEASURES


def pairs_table(pairs, n_tissues, seed=0):
    """A random but plausible comparison/pairs.tsv."""
    rng = np.random.default_rng(seed)
    tissues = sorted(rng.permutation(style.gtex_tissues().index)[:n_tissues])
    measures = [*TABLE_MEASURES, ("log2_z", "gene_wise", "pooled_z")]
    rows = []
    for pair in pairs:
        for measure in measures:
            for tissue in [*tissues, MEAN_OF_TISSUES]:
                a, b = rng.normal(0.2, 0.08), rng.normal(0.15, 0.08)
                rows.append(
                    dict(zip(PAIR + ACCURACY_KEY, (*pair, *measure), strict=True))
                    | {"tissue": tissue, "n_samples": 100, "mean_a": a, "mean_b": b}
                    | {"difference": a - b, "p_rank_sum": rng.random(), "q": rng.random() / 5}
                )
    return pd.DataFrame(rows)


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda item: hasattr(item, "get_text"))]


def assert_inside_the_page(figure):
    width, height = figure.get_size_inches() * 25.4
    assert width <= 180.01
    assert height <= 245
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01
    sizes = [
        item.get_fontsize()
        for item in figure.findobj(lambda item: hasattr(item, "get_fontsize"))
        if item.get_text()
    ]
    assert min(sizes) >= 6


@pytest.mark.slow
@pytest.mark.parametrize(("n_pairs", "n_tissues"), [(1, 5), slow(3, 48), slow(6, 20)])
def test_it_draws_the_pairs_inside_the_page(tmp_path, n_pairs, n_tissues):
    table = pairs_table([(f"a{i}", f"b{i}") for i in range(n_pairs)], n_tissues)
    figure, drawn = make_figure("fig_s6", {"table": table, "counts": pair_counts(table)})
    style.save_figure(figure, drawn, tmp_path / "f.pdf", tmp_path / "f.png", tmp_path / "f.tsv")
    assert_inside_the_page(figure)
    shown = min(n_pairs, comparison.MAX_PAIRS)
    assert len(drawn) == shown * 4 * n_tissues
    for index in range(shown):
        assert f"ρ of b{index}" in texts(figure)
    said = any("of 6 pairs" in text for text in texts(figure))
    assert said == (n_pairs == 6)


def test_dots_are_the_means_and_the_text_counts_them():
    table = pairs_table([("a", "b")], 30)
    figure, _ = make_figure("fig_s6", {"table": table, "counts": pair_counts(table)})
    rows = table[(table[ACCURACY_KEY] == TABLE_MEASURES[0]).all(axis=1)]
    rows = rows[rows["tissue"] != MEAN_OF_TISSUES]
    ax = figure.axes[0]
    dots = np.concatenate([np.asarray(item.get_offsets()) for item in ax.collections])
    expected = rows[["mean_b", "mean_a"]].to_numpy()
    np.testing.assert_allclose(dots[np.argsort(dots[:, 0])], expected[np.argsort(expected[:, 0])])
    better = rows["mean_a"] > rows["mean_b"]
    significant = rows["q"] < 0.05
    said = ax.texts[-1].get_text()
    assert said.split("\n") == [
        f"better {better.sum()} of 30",
        f"significantly {(better & significant).sum()}",
        f"sign. worse {(~better & significant).sum()}",
    ]
