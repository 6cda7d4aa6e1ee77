from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mtm.analyses.paper.results import Ours, Value
from mtm.analyses.paper.verdict import INPUTS, papers_data, verdict
from mtm.pipeline.datasets import read_manifest

ROOT = Path(__file__).parents[3]
FULL = {"filtering": pd.DataFrame({"n_tissues": [54, 49], "n_genes": [56200, 19291]})}


def word(printed, ours, statistic="mean", same_data=True, **fields):
    value = Value("R2", "", "gene_wise", "MTM", "", "", statistic, printed, "", "")
    found = None if ours is None else Ours(ours, 48, "tissues", **fields)
    return verdict(value, found, same_data)


@pytest.mark.parametrize(
    ("printed", "ours", "expected"),
    [
        ("0.23", 0.25, "reproduced"), ("0.23", 0.26, "higher"), ("0.23", 0.20, "lower"),
        # A tenth of nothing is nothing: the last digit printed decides.
        ("0.00", 0.009, "reproduced"), ("0.00", 0.02, "higher"), ("0.00", -0.02, "lower"),
        ("48", 44, "reproduced"), ("48", 43, "lower"), ("1", 2, "reproduced"), ("1", 3, "higher"),
        ("6597", 7200, "reproduced"), ("-0.48", -0.45, "reproduced"), ("-0.48", 0.48, "higher"),
    ],
)  # fmt: skip
def test_a_number_near_the_papers_is_reproduced(printed, ours, expected):
    assert word(printed, ours) == expected


def test_an_interval_that_holds_the_papers_number_reproduces_it():
    assert word("0.23", 0.30, ci_low=0.22, ci_high=0.38) == "reproduced"
    assert word("0.23", 0.30, ci_low=0.24, ci_high=0.36) == "higher"


def test_a_p_value_is_reproduced_on_its_side_of_5_percent_and_the_same_way():
    assert word("5.26e-4", 0.04, "p") == "reproduced"
    assert word("5.26e-4", 0.06, "p") == "other"
    assert word("5.26e-4", 0.04, "p", same_way=False) == "other"


def test_no_verdict_without_the_papers_data_or_number():
    assert word("0.23", 0.23, same_data=False) == "-"
    assert word("", 0.23) == "-"
    assert word("0.23", None) == word("0.23", np.nan) == "missing"


def test_the_default_configuration_has_the_papers_open_data():
    inputs = yaml.safe_load((ROOT / "config/config.yaml").read_text())["inputs"]
    assert papers_data(inputs, FULL) == {"cohort", "conservation"}
    assert set(INPUTS.values()) <= set(read_manifest(ROOT / "config/datasets.tsv"))


def test_other_files_or_a_part_of_them_are_not_the_papers_data():
    inputs = dict(INPUTS)
    assert papers_data(inputs, FULL) == {"cohort", *INPUTS} - {*list(INPUTS)[:3]}
    assert papers_data({**inputs, "expression": "mine.gct"}, FULL) == set()
    panel = {"filtering": FULL["filtering"].assign(n_genes=59)}
    assert papers_data(inputs, panel) == set()


def test_external_people_are_known_by_their_numbers():
    people = pd.DataFrame({"n_cases": [25, np.nan], "n_controls": [33, np.nan]})
    assert "external" in papers_data(INPUTS, {**FULL, "transfer": people})
    assert "external" not in papers_data(INPUTS, {**FULL, "transfer": people.replace(33, 30)})
    assert "external" not in papers_data(INPUTS, {**FULL, "transfer": people.iloc[:0]})
