import re

import pandas as pd
import pytest
from scripts import load_script

from mtm.errors import InputError

COLUMNS = [
    "model", "scale", "level", "mean_rho", "ci_low", "ci_high", "null_low", "null_high",
    "n_tissues",
]  # fmt: skip
ROWS = [
    ("mean", "log2_z", "gene_wise", 0.0, 0.0, 0.0, None, None, 9),
    ("mean", "log2_z", "sample_wise", 0.0, 0.0, 0.0, 0.0, 0.0, 9),
    ("covariates", "log2_z", "gene_wise", 0.12, 0.1, 0.15, -0.02, 0.02, 9),
    ("covariates", "log2_z", "sample_wise", 0.13, 0.11, 0.16, -0.01, 0.01, 9),
    ("mtm_log2_covariates", "log2_z", "gene_wise", 0.21, 0.2, 0.22, -0.024, 0.023, 9),
    ("mtm_log2_covariates", "log2_z", "sample_wise", 0.31, 0.3, 0.32, -0.03, 0.0312, 9),
    ("mtm_log2_covariates", "tpm_z", "gene_wise", 0.91, 0.9, 0.92, 0.8, 0.81, 9),
    ("worse", "log2_z", "gene_wise", -0.123, -0.133, -0.113, -0.02, 0.02, 9),
    ("worse", "log2_z", "sample_wise", -0.123, -0.133, -0.113, -0.02, -0.01, 9),
]


def lines_of(covariates="covariates"):
    table = pd.DataFrame(ROWS, columns=COLUMNS)
    return load_script("print_headline").headline_lines(table, covariates)


def test_every_model_stands_with_interval_and_null_best_first():
    lines = lines_of()
    rows = [line.split() for line in lines[3:-1]]
    assert [row[0] for row in rows] == ["mtm_log2_covariates", "covariates", "mean", "worse"]
    best = "0.210 0.200..0.220 -0.024..0.023 0.310 0.300..0.320 -0.030..0.031"
    assert rows[0][1:] == best.split()
    assert rows[2][3] == "-..-"
    assert "0.910" not in " ".join(lines)
    assert "9 tissues" in lines[0]


def test_the_covariates_row_alone_is_marked():
    lines = lines_of()
    assert [line.split()[0] for line in lines[:-1] if "*" in line] == ["covariates"]
    assert lines[-1].startswith("* ")


def test_columns_are_aligned_and_fit_a_screen():
    lines = lines_of()
    assert max(map(len, lines)) <= 100
    ends = [[match.end() for match in re.finditer(r"\S+", line)] for line in lines[3:-1]]
    assert len({tuple(row[-6:]) for row in ends}) == 1
    assert [match.end() for match in re.finditer("mean|interval|null", lines[2])] == ends[0][-6:]


def test_unknown_model_is_named():
    with pytest.raises(InputError, match="'covariate'.*mean, covariates"):
        lines_of("covariate")
