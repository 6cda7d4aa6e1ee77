import numpy as np
import pandas as pd

from mtm.analyses.trainings import training_summary


def test_one_row_a_training_with_what_it_ended_in():
    mtm = pd.DataFrame(
        {
            "epoch": [1.0, 2.0],
            "step": [50, 100],
            "seconds": [4.0, 9.0],
            "individual": [0.9, 0.7],
            "code_spread": [0.001, 4e-6],
            "restarts": [1, 1],
            "held_out_gene_wise": [0.1, 0.2],
            "collapsed": [np.nan, 1.0],
        }
    )
    mlp = pd.DataFrame({"epoch": [5], "step": [25], "seconds": [3.0], "loss": [1.5]})
    table = training_summary(
        {
            "results/x/models/mtm/fold2.training.tsv": mtm,
            "results/x/models/mtm/all.training.tsv": mtm.iloc[:1],
            "results/x/models/mlp/fold0.training.tsv": mlp,
            "results/x/external/site/models/mlp/fold0.training.tsv": mlp,
        },
        {"mtm": 40, "mlp": 0},
    )
    assert list(table) == [
        "model", "evaluation", "run", "seed", "restarts", "step", "epoch", "seconds", "loss",
        "individual", "code_spread", "collapsed",
    ]  # fmt: skip
    assert table["evaluation"].tolist() == ["", "", "", "site"]
    assert table["run"].tolist() == ["fold2", "all", "fold0", "fold0"]
    assert table["seed"].tolist() == [42, 40, 0, 0]
    assert table["step"].tolist() == [100, 50, 25, 25]
    assert table["collapsed"].tolist() == [1, pd.NA, pd.NA, pd.NA]
    assert table["code_spread"].tolist()[:2] == [4e-6, 0.001]
    assert table.loc[2, "loss"] == 1.5


def test_only_networks_of_another_kind_have_no_column_of_codes():
    mlp = pd.DataFrame({"epoch": [5], "step": [25], "seconds": [3.0], "loss": [1.5]})
    table = training_summary({"models/mlp/fold0.training.tsv": mlp}, {"mlp": 0})
    assert list(table) == [
        "model",
        "evaluation",
        "run",
        "seed",
        "step",
        "epoch",
        "seconds",
        "loss",
    ]
