"""Figures of rank values draw what there is, in one order."""

import pandas as pd

from mtm.figures.ranks import perturbation, perturbation_table, ranks, ranks_table

SUMMARY = pd.DataFrame(
    [
        ("probe", "principal components", "sex", 0.7, 0.5),
        ("perplexity", "the same by place", "masked gene", 8.0, None),
        ("probe", "encoder", "sex", 0.6, 0.5),
        ("perplexity", "encoder", "masked gene", 7.0, None),
    ],
    columns=["part", "input", "target", "score", "chance"],
).assign(ci_low=0.5, ci_high=9.0, null_low=float("nan"), null_high=float("nan"))


def test_the_encoder_comes_first_in_each_part():
    table = ranks_table(SUMMARY)
    assert table["score"].tolist() == [7.0, 8.0, 0.6, 0.7]
    axes = ranks(table).axes
    assert [len(ax.get_yticks()) for ax in axes] == [2, 2]


def test_perturbations_stand_by_their_p_value():
    row = {"symbol": "XIST", "tissue": "Lung", "from_state": "sex 1", "to_state": "sex 2",
           "null_median": 0.0, "null_q95": 0.1, "q": 0.01}  # fmt: skip
    table = pd.DataFrame(
        [
            row | {"perturbation": "delete", "p": 0.5, "shift_to_goal": 0.0},
            row | {"perturbation": "overexpress", "p": 0.01, "shift_to_goal": 0.4},
        ]
    )
    table = perturbation_table(table)
    (ax,) = perturbation(table).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "overexpress XIST, Lung: sex 1 → sex 2"
