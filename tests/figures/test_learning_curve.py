import numpy as np
import pandas as pd
import pytest

from mtm.errors import InputError
from mtm.figures.learning_curve import learning_curve_table
from mtm.figures.registry import make_figure


def training(top, steps=(100, 200, 300)):
    steps = np.asarray(steps, dtype=float)
    table = pd.DataFrame(
        {
            "epoch": steps / 100,
            "step": steps,
            "held_out_gene_wise": top * steps / steps.max(),
            "held_out_sample_wise": 2 * top * steps / steps.max(),
        }
    )
    unwatched = pd.DataFrame({"epoch": [0.5], "step": [50.0]})
    return pd.concat([unwatched, table], ignore_index=True)


PATHS = {
    "results/x/models/mtm/fold0.training.tsv": training(0.2),
    "results/x/models/mtm/fold1.training.tsv": training(0.3),
    "results/x/models/mlp/fold0.training.tsv": training(0.1, (100, 250)),
}


def test_table_names_models_and_runs_and_leaves_out_unwatched_steps():
    table = learning_curve_table(PATHS)
    assert len(table) == 2 * (3 + 3 + 2)
    row = table[
        (table["model"] == "mtm")
        & (table["run"] == "fold1")
        & (table["step"] == 300)
        & (table["level"] == "sample_wise")
    ]
    assert row["rho"].item() == pytest.approx(0.6)


def test_the_thick_line_is_the_mean_over_runs():
    figure, _ = make_figure("learning_curve", {"table": PATHS})
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["mtm"].get_ydata(), np.array([1, 2, 3]) / 3 * 0.25)
    np.testing.assert_allclose(lines["mlp"].get_xdata(), [100, 250])


def test_one_table_alone_is_drawn():
    figure, table = make_figure("learning_curve", {"table": training(0.2)})
    assert len(table) == 6
    figure.canvas.draw()


def test_a_training_table_without_monitoring_is_refused():
    with pytest.raises(InputError, match="monitored"):
        learning_curve_table({"a/b/fold0.training.tsv": pd.DataFrame({"step": [1]})})
    empty = training(0.2).assign(held_out_gene_wise=np.nan, held_out_sample_wise=np.nan)
    with pytest.raises(InputError, match="no row to draw"):
        make_figure("learning_curve", {"table": empty})
