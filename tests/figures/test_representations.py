import numpy as np
import pandas as pd
import pytest
from marks import slow

from mtm.analyses.representations.tissue_similarity import compare_subsets, relations
from mtm.figures import style
from mtm.figures.registry import make_figure
from mtm.vocabulary import NETWORKS


def tables(models, n_layers, n_tissues, n_donors=30, seed=0):
    """Tables as the analyses write them, of random numbers."""
    rng = np.random.default_rng(seed)
    donors, codes, pairs, decoding = [], [], [], []
    tissues = list(style.gtex_tissues().index[:n_tissues])
    names, (row, column) = np.array(tissues, dtype=object), np.triu_indices(n_tissues, 1)
    for model, layers in zip(models, n_layers, strict=True):
        for network in NETWORKS:
            key = {"model": model, "network": network}
            within, between = rng.uniform(0.3, 0.9, n_donors), rng.uniform(0, 0.4, n_donors)
            donors.append(pd.DataFrame(key | {"mean_within": within, "mean_between": between}))
            for comparison, auc in (("same tissues", rng.uniform(0.6, 0.9)), ("all pairs", 0.1)):
                statistics = {"auc": auc, "auc_low": auc - 0.02, "auc_high": auc + 0.02, "p": 0.01}
                codes.append(key | {"comparison": comparison, "n_donors": n_donors} | statistics)
        x, y = (np.corrcoef(rng.normal(size=(n_tissues, 9))) for _ in "xy")
        for layer in range(1, layers + 1):
            kind = "output" if layer == layers else "hidden"
            key = {"model": model, "layer": layer, "kind": kind, "width": 1024 * layer}
            columns = {
                "tissue_a": names[row],
                "tissue_b": names[column],
                "relation": relations(tissues)[row, column],
                "path_similarity": y[row, column] ** layer,
                "expression_similarity": x[row, column],
            }
            pairs.append(pd.DataFrame(key | columns))
            matrices = (pd.DataFrame(m, tissues, tissues) for m in (x, y**layer))
            decoding += [key | line for line in compare_subsets(*matrices, 19, 0)]
    return {
        "donors": pd.concat(donors, ignore_index=True),
        "codes": pd.DataFrame(codes),
        "pairs": pd.concat(pairs, ignore_index=True),
        "decoding": pd.DataFrame(decoding),
    }


def test_boxes_dots_and_statements_are_the_tables_numbers():
    given = tables(["m"], [3], 12)
    figure, table = make_figure("fig_s8", given)
    left, right, *layers = figure.axes
    trained = given["donors"][given["donors"]["network"] == "trained"]
    box = left.patches[0]
    low, high = trained["mean_within"].quantile([0.25, 0.75])
    np.testing.assert_allclose([box.get_x(), box.get_x() + box.get_width()], [low, high])
    matched = given["codes"][given["codes"]["comparison"] == "same tissues"]
    dots = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, matched["auc"])
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == [f"m, {network}" for network in NETWORKS]
    assert len(layers) == 3
    second = given["pairs"][given["pairs"]["layer"] == 2]
    found = np.concatenate([np.asarray(c.get_offsets()) for c in layers[1].collections])
    wanted = second[["expression_similarity", "path_similarity"]].to_numpy()
    np.testing.assert_allclose(sorted(map(tuple, found)), sorted(map(tuple, wanted)))
    assert [ax.texts[0].get_text() for ax in layers] == [
        "Layer 1, 1,024 units", "Layer 2, 2,048 units", "Output, 3,072 genes",
    ]  # fmt: skip
    assert set(table["panel"]) == {"codes", "decoding paths"}


@pytest.mark.slow
@pytest.mark.parametrize(("n_layers", "n_tissues"), [([3], 4), slow([4, 3, 3, 2], 48)])
def test_it_fits_the_page(n_layers, n_tissues):
    models = [f"mtm_log2_variant{i}" for i in range(len(n_layers))]
    figure, table = make_figure("fig_s8", tables(models, n_layers, n_tissues))
    figure.draw_without_rendering()
    assert table["model"].nunique() == min(len(models), 3)
    assert figure.get_figwidth() * 25.4 <= 180.01
    assert figure.get_figheight() * 25.4 <= 240.01
    box = figure.get_tightbbox()
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01
