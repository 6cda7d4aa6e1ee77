import warnings

import numpy as np
import pandas as pd
import pytest

from mtm.errors import InputError
from mtm.figures.learning_curve import learning_curve_table, steps_to_final
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
    np.testing.assert_allclose(lines["MTM"].get_ydata(), np.array([1, 2, 3]) / 3 * 0.25)
    np.testing.assert_allclose(lines["S3 per-tissue network"].get_xdata(), [100, 250])


def test_a_collapsed_run_ends_in_a_cross():
    ends = training(0.0).assign(collapsed=[np.nan] * 3 + [1])
    fine = training(0.3).assign(collapsed=[np.nan] * 3 + [0])
    folder = "results/x/models/mtm"
    tables = {f"{folder}/fold0.training.tsv": ends, f"{folder}/fold1.training.tsv": fine}
    tables[f"{folder}_log2/fold0.training.tsv"] = training(0.3)
    figure, table = make_figure("learning_curve", {"table": tables})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    assert set(table.loc[table["collapsed"], "run"]) == {"fold0"}
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert figure.axes[0].get_position().width > 0.25
    assert [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in crosses] == [
        ([300.0], [0.0])
    ]
    texts = [text.get_text() for text in figure.legends[0].texts]
    assert "codes collapsed" in texts


@pytest.mark.parametrize(
    ("rho", "expected"),
    [
        ([0.1, 0.2, 0.297, 0.3], 30),
        ([0.1, 0.2, 0.296, 0.3], 40),
        # The last tenth of twenty is two: a chance low at the end does not end it early.
        ([0.1] * 10 + [0.25] * 5 + [0.3] * 4 + [0.29], 160),
        ([0.3, 0.2, 0.1], 10),
        ([0.1, 0.0, -0.1], np.nan),
        ([0.2], 10),
    ],
)
def test_steps_to_99_percent_of_the_final_value(rho, expected):
    steps = 10 * np.arange(1, len(rho) + 1)
    assert steps_to_final(steps, rho) == pytest.approx(expected, nan_ok=True)


def test_table_and_figure_show_the_step_of_each_run():
    figure, table = make_figure("learning_curve", {"table": PATHS})
    found = table.groupby(["model", "run", "level"])["steps_to_99"].unique()
    assert found["mtm", "fold0", "gene_wise"].tolist() == [300]
    assert found["mlp", "fold0", "sample_wise"].tolist() == [250]
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "^"]
    assert [line.get_xdata()[0] for line in marks] == [300, 250]


def test_one_table_alone_is_drawn():
    figure, table = make_figure("learning_curve", {"table": training(0.2)})
    assert len(table) == 6
    figure.canvas.draw()


def test_a_training_table_without_monitoring_is_refused():
    with pytest.raises(InputError, match="monitored"):
        learning_curve_table({"a/b/fold0.training.tsv": pd.DataFrame({"step": [1]})})
    empty = training(0.2).assign(held_out_gene_wise=np.nan, held_out_sample_wise=np.nan)
    assert make_figure("learning_curve", {"table": empty})[1].empty
