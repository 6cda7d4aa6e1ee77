import anndata
import numpy as np
import pandas as pd
import pytest

from mtm.analyses.genes.matching import cohort_genes, gene_values, is_second_copy, matching_table
from mtm.errors import InputError


def test_second_copies_count_once():
    ids = ["ENSG00000000001.3_PAR_Y", "ENSG00000000001.3", "ENSG00000000002.1", "other"]
    assert is_second_copy(ids).tolist() == [True, False, False, False]
    assert is_second_copy(ids[:1]).tolist() == [False]
    genes = gene_values(ids, {"ENSG00000000001": 5.0, "other": np.nan})
    assert genes["status"].tolist() == ["duplicated", "matched", "unmatched", "unmatched"]
    assert genes["value"].tolist()[1] == 5
    assert genes["value"].isna().tolist() == [True, False, True, True]
    counts = matching_table("x", genes, [("read", 7, "")]).set_index("step")["n"]
    assert counts.to_dict() == {
        "read": 7, "genes of the cohort": 4, "matched": 1, "duplicated": 1, "unmatched": 2,
    }  # fmt: skip


def test_reasons_are_counted(caplog):
    genes = gene_values(["a", "b", "c"], {"a": 1.0})
    genes.loc[2, "reason"] = "elsewhere"
    with caplog.at_level("INFO", logger="mtm"):
        table = matching_table("x", genes)
    assert table.set_index("step").loc["unmatched", "detail"] == "1 not in the file; 1 elsewhere"
    assert "x: unmatched 2 (1 not in the file; 1 elsewhere)" in caplog.text


def test_genes_of_the_cohort(tmp_path):
    var = pd.DataFrame({"symbol": ["A", "NA"]}, index=["ENSG1.1", "ENSG2.1"])
    obs = pd.DataFrame(index=["s"])
    path = tmp_path / "expression.h5ad"
    anndata.AnnData(np.ones((1, 2), np.float32), obs=obs, var=var).write_h5ad(path)
    assert cohort_genes(path)["symbol"].to_dict() == {"ENSG1.1": "A", "ENSG2.1": "NA"}
    with pytest.raises(InputError, match="nowhere.h5ad: found no such file"):
        cohort_genes("nowhere.h5ad")
