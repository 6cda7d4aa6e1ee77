import pandas as pd
import pytest
from scripts import load_script

from mtm.errors import InputError

COLUMNS = [
    "model", "scale", "level", "mean_rho", "ci_low", "ci_high", "n_genes", "n_predictable",
]  # fmt: skip
ROWS = [
    ("net", "log2_z", "gene_wise", 0.21, 0.2, 0.22, 595, 120.4),
    ("net", "log2_z", "sample_wise", 0.31, 0.3, 0.32, 600, None),
    ("net", "tpm_z", "gene_wise", 0.91, 0.9, 0.92, 595, 500),
    ("mean", "log2_z", "gene_wise", 0.0, 0.0, 0.0, 595, 0),
    ("mean", "log2_z", "sample_wise", 0.0, 0.0, 0.0, 600, None),
    ("oracle", "log2_z", "gene_wise", 0.6, 0.5, 0.7, 595, 540),
    ("oracle", "log2_z", "sample_wise", 0.6, 0.5, 0.7, 600, None),
]


def lines_of(model):
    return load_script("print_headline").headline_lines(pd.DataFrame(ROWS, columns=COLUMNS), model)


def test_three_numbers_of_one_model():
    lines = lines_of("net")
    assert len(lines) == 3
    assert all(line.startswith("net: ") for line in lines)
    assert lines[0].endswith("0.210 (95% 0.200 to 0.220)")
    assert lines[1].endswith("0.310 (95% 0.300 to 0.320)")
    assert lines[2].endswith("120 of 595")


def test_unknown_model_is_named():
    with pytest.raises(InputError, match="'nets'.*net, mean, oracle"):
        lines_of("nets")
