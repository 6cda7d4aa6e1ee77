import numpy as np
import pandas as pd
import pytest

from mtm.errors import InputError
from mtm.figures.registry import make_figure
from mtm.vocabulary import MEAN_OF_TISSUES

LEVELS = (0.5, 0.8, 0.9)


def coverage(models=("ridge", "mtm", "train_mean")):
    rng = np.random.default_rng(0)
    rows = []
    for model in models:
        for level in LEVELS:
            for tissue in ("Liver", "Lung", MEAN_OF_TISSUES):
                held = level + rng.normal(0, 0.01)
                rows.append(
                    {"model": model, "level": level, "tissue": tissue, "by": "all", "group": "all",
                     "n_samples": 90, "n_genes": 40, "coverage": held, "ci_low": held - 0.02,
                     "ci_high": held + 0.02, "width": 2.5, "reference_width": 3,
                     "width_ratio": rng.uniform(0.7, 1.1), "n_tissues": 2, "n_within": 2}
                )  # fmt: skip
        rows.append(rows[-1] | {"by": "expression", "group": "low", "coverage": 0.1})
    return pd.DataFrame(rows)


def test_means_stand_where_the_table_says():
    table = coverage()
    figure, drawn = make_figure("intervals", {"table": table})
    assert len(drawn) == 27
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "MTM", "Ridge", "Training mean",
    ]  # fmt: skip
    diamonds = [line for line in left.lines if line.get_marker() == "D"]
    means = drawn[drawn["tissue"] == MEAN_OF_TISSUES].set_index(["level", "model"])
    for line, (level, model) in zip(
        diamonds,
        [(level, model) for level in LEVELS for model in ("mtm", "ridge", "train_mean")],
        strict=True,
    ):
        expected = 100 * (means.loc[(level, model), "coverage"] - level)
        assert line.get_xdata()[0] == pytest.approx(expected)
    ratios = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(ratios, means.loc[0.9, "width_ratio"])
    assert left.get_xlim()[0] == -left.get_xlim()[1]


def test_a_table_without_widths_is_refused():
    with pytest.raises(InputError, match="width_ratio"):
        make_figure("intervals", {"table": coverage().drop(columns="width_ratio")})
