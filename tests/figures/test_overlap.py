from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from marks import slow

from mtm.errors import InputError
from mtm.figures import names, style
from mtm.figures.registry import make_figure


def venn(models, seed=0):
    rng = np.random.default_rng(seed)
    regions = [
        ";".join(inside)
        for size in range(1, len(models) + 1)
        for inside in combinations(models, size)
    ]
    return pd.DataFrame(
        [
            {
                "definition": definition, "scale": scale, "tissue": "Liver", "n_samples": 180,
                "region": region, "n_genes": int(rng.integers(0, 9000)),
            }
            for definition, scale in (("predictable", "log2_z"), ("predictable_paper", "tpm_z"))
            for region in regions
        ]
    )  # fmt: skip


@pytest.mark.parametrize("models", [("a", "b"), ("teebot", "mlp", "mtm")])
def test_every_number_stands_in_its_own_region(models):
    table = venn(models)
    figure, _ = make_figure("fig2c", {"table": table})
    for ax, definition in zip(figure.axes, ("predictable", "predictable_paper"), strict=True):
        rows = table[table["definition"] == definition].set_index("region")["n_genes"]
        filled = [patch for patch in ax.patches if patch.get_alpha() is not None]
        circles = {
            model: (np.array(patch.center), patch.radius)
            for model, patch in zip(models, filled, strict=True)
        }
        numbers, named = {}, {}
        for text in ax.texts:
            inside = [
                model
                for model, (centre, radius) in circles.items()
                if np.hypot(*(np.array(text.get_position()) - centre)) < radius
            ]
            if inside:
                numbers[";".join(inside)] = int(text.get_text().replace(",", ""))
            else:
                model, total = text.get_text().split("\n")
                named[model] = int(total.replace(",", ""))
        assert numbers == rows.to_dict()
        for model in models:
            assert named[names.title(model)] == sum(
                count for region, count in rows.items() if model in region.split(";")
            )


def test_an_incomplete_venn_table_is_refused():
    table = venn(("a", "b", "c"))
    with pytest.raises(InputError, match="6 regions of 3 models"):
        make_figure("fig2c", {"table": table[table["region"] != "a;c"]})


def overlaps(pairs, n_tissues, seed=0):
    rng = np.random.default_rng(seed)
    tissues = list(style.gtex_tissues().index[:n_tissues])
    parts = []
    for a, b in pairs:
        for definition, scale in (("predictable", "log2_z"), ("predictable_paper", "tpm_z")):
            n_a, n_b = rng.integers(0, 4, (2, n_tissues))
            both = np.minimum(n_a, n_b)
            parts.append(
                pd.DataFrame(
                    {
                        "model_a": a, "model_b": b, "definition": definition, "scale": scale,
                        "tissue": tissues, "n_samples": 100, "n_genes": 50, "n_a": n_a,
                        "n_b": n_b, "n_both": both,
                        "share_of_a_in_b": both / np.where(n_a > 0, n_a, np.nan),
                        "share_of_b_in_a": both / np.where(n_b > 0, n_b, np.nan),
                    }
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.mark.slow
@pytest.mark.parametrize(("n_pairs", "n_tissues"), [(1, 6), slow(10, 48)])
def test_shares_are_drawn_both_ways_with_their_median(tmp_path, n_pairs, n_tissues):
    table = overlaps([(f"a{i}", f"b{i}") for i in range(n_pairs)], n_tissues)
    figure, drawn = make_figure("fig_s7", {"table": table})
    style.save_figure(figure, drawn, tmp_path / "f.pdf", tmp_path / "f.png", tmp_path / "f.tsv")
    assert len(drawn) == 2 * len(table)
    ax = figure.axes[0]
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[:2] == ["of b0, found by a0", "of a0, found by b0"]
    rows = table[(table["model_a"] == "a0") & (table["definition"] == "predictable")]
    for place, share in enumerate(("share_of_b_in_a", "share_of_a_in_b")):
        known = rows[share].dropna()
        assert ax.patches[place].get_width() == pytest.approx(100 * known.median())
        dots = np.asarray(ax.collections[place].get_offsets())
        np.testing.assert_allclose(dots[:, 0], 100 * known)
        counts = [text.get_text() for text in ax.texts if text.get_text().isdigit()]
        assert counts[place] == str(len(known))
    assert figure.get_figheight() * 25.4 <= 240
    box = figure.get_tightbbox()
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y0 >= -0.01
