import anndata
import numpy as np
import pandas as pd
import pytest

from mtm.analyses.genes.expression_level import mean_expression
from mtm.errors import InputError

GENES = ["ENSG00000000001.2", "ENSG00000000002.1", "ENSG00000000001.2_PAR_Y"]


def write(folder, obs_columns=("donor", "tissue")):
    rng = np.random.default_rng(0)
    expr_tpm = rng.gamma(1, 20, (23, 3)).astype(np.float32)
    tissue = rng.choice(["Liver", "Lung", "Whole Blood"], 23)
    obs = pd.DataFrame({"donor": "D", "tissue": tissue}, index=[f"s{i}" for i in range(23)])
    data = anndata.AnnData(expr_tpm, obs=obs[list(obs_columns)], var=pd.DataFrame(index=GENES))
    data.write_h5ad(folder / "expression.h5ad")
    return folder / "expression.h5ad", expr_tpm, tissue


@pytest.mark.parametrize("block", [1, 7, 512])
def test_means_over_the_samples_of_each_tissue(tmp_path, block):
    path, expr_tpm, tissue = write(tmp_path)
    table, genes = mean_expression(path, block_samples=block)
    expected = pd.DataFrame(expr_tpm.astype(float), columns=GENES).groupby(tissue).mean()
    found = table.pivot(index="tissue", columns="gene_id", values="value")
    np.testing.assert_allclose(found[GENES[:2]], expected[GENES[:2]], rtol=1e-6)
    assert found[GENES[2]].isna().all()
    n_samples = table.groupby("tissue")["n_samples"].first()
    assert n_samples.to_dict() == pd.Series(tissue).value_counts().to_dict()
    assert genes["status"].tolist() == ["matched", "matched", "duplicated"]
    assert genes["value"][0] == pytest.approx(expected[GENES[0]].mean())


def test_unusable_input(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        mean_expression(tmp_path / "expression.h5ad")
    path, *_ = write(tmp_path, obs_columns=("donor",))
    with pytest.raises(InputError, match="a column tissue"):
        mean_expression(path)
