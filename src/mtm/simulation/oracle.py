"""A simulated cohort's own truth as predictions: no predictor can be better."""

from pathlib import Path

import anndata
import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError


def oracle_predictions(
    truth: str | Path, cohort: Cohort, rows: np.ndarray, scaler: TissueScaler
) -> np.ndarray:
    """Predict samples from the donor's true state: the bound that no predictor can pass.

    Parameters
    ----------
    truth
        File written by `write_truth`.
    cohort
        Cohort made from the files of the same simulation.
    rows
        Samples of `cohort` to predict, shape ``(n_predictions,)``.
    scaler
        Fitted on training donors, over the tissues of `cohort`.

    Returns
    -------
    np.ndarray
        Shape ``(n_predictions, n_genes)``, float32, in the scale of `scaler`.

    Raises
    ------
    InputError
        The truth lacks a donor-tissue or a gene of the cohort.
    """
    data = anndata.read_h5ad(truth, backed="r")
    tissue = cohort.tissue[rows]
    wanted = cohort.donors.index[cohort.donor[rows]] + "|" + np.array(cohort.tissues)[tissue]
    place, gene = (
        data.obs_names.get_indexer(wanted),
        data.var_names.get_indexer(cohort.genes.index),
    )
    for found, names in ((place, wanted), (gene, cohort.genes.index)):
        if (found < 0).any():
            raise InputError(
                truth,
                f"no {names[found < 0][0]}",
                "every donor-tissue and gene of the cohort",
                "The cohort must come from the files of the same simulation.",
            )
    used, back = np.unique(place, return_inverse=True)
    expr_log2 = np.asarray(data.X[used])[back][:, gene]
    data.file.close()
    return scaler.transform(np.exp2(expr_log2) - 1, tissue)
