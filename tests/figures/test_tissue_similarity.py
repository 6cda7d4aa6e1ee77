import numpy as np
import pandas as pd
import pytest
from marks import slow

from mtm.analyses.representations.tissue_similarity import MEASURES, compare_subsets, relations
from mtm.figures import style
from mtm.figures.registry import make_figure
from mtm.figures.tissue_similarity import number


def tables(models, n_tissues, seed=0):
    """Pairs and summary as the analysis writes them, of random similarities."""
    rng = np.random.default_rng(seed)
    tissues = list(style.gtex_tissues().index[:n_tissues])
    row, column = np.triu_indices(n_tissues, 1)
    names = np.array(tissues, dtype=object)

    def similarity():
        values = np.corrcoef(rng.normal(size=(n_tissues, 8)))
        return pd.DataFrame(values, tissues, tissues)

    x, pairs, summary = similarity(), [], []
    for model in models:
        for measure, scale, of in MEASURES:
            y = similarity()
            key = {"model": model, "measure": measure, "scale": scale, "of": of}
            columns = {
                "tissue_a": names[row],
                "tissue_b": names[column],
                "relation": relations(tissues)[row, column],
                "expression_similarity": x.to_numpy()[row, column],
                "predictability_similarity": y.to_numpy()[row, column],
            }
            pairs.append(pd.DataFrame(key | columns))
            summary += [key | line for line in compare_subsets(x, y, 19, 0)]
    return {"pairs": pd.concat(pairs, ignore_index=True), "summary": pd.DataFrame(summary)}


def test_every_pair_is_a_dot_at_its_place_and_the_panel_states_its_numbers():
    given = tables(["m"], 12)
    figure, table = make_figure("fig_s9", given)
    rows = given["pairs"][given["pairs"]["of"] == "rho_per_fold"]
    dots = np.concatenate([np.asarray(c.get_offsets()) for c in figure.axes[0].collections])
    wanted = rows[["expression_similarity", "predictability_similarity"]].to_numpy()
    np.testing.assert_allclose(sorted(map(tuple, dots)), sorted(map(tuple, wanted)))
    line = given["summary"].iloc[0]
    stated = figure.axes[0].get_title(loc="left")
    assert f"ρ {number(line['spearman_rho'])} ({number(line['ci_low'])} to " in stated
    assert f"P {line['p']:.1g}" in stated
    assert "no brain" in stated
    assert len(table) == 3 * len(rows)
    assert table["p"].iloc[0] == line["p"]


@pytest.mark.parametrize(("n_models", "n_tissues"), [(1, 5), slow(6, 48)])
def test_it_fits_the_page(n_models, n_tissues):
    given = tables([f"model{i}" for i in range(n_models)], n_tissues)
    figure, table = make_figure("fig_s9", given)
    figure.draw_without_rendering()
    assert table["model"].nunique() == min(n_models, 4)
    assert figure.get_figwidth() * 25.4 <= 180.01
    assert figure.get_figheight() * 25.4 <= 240.01
    box = figure.get_tightbbox()
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01
    notes = [text.get_text() for text in figure.texts]
    assert any("4 of 6 models" in note for note in notes) == (n_models == 6)


def test_a_model_without_similarity_says_so():
    given = tables(["m"], 5)
    given["pairs"]["predictability_similarity"] = np.nan
    given["summary"][["spearman_rho", "ci_low", "ci_high", "p"]] = np.nan
    figure, _ = make_figure("fig_s9", given)
    assert "no similarity to compare" in figure.axes[0].get_title(loc="left")


def test_zero_has_no_sign():
    assert [number(value) for value in (-0.001, 0.004, -0.126)] == ["0.00", "0.00", "−0.13"]
