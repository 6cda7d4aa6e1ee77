"""Codes of samples with and without their tissue, by every fold's donors (methods 6.24)."""

import logging
from collections.abc import Mapping
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA

from mtm.analyses.imputation.autoencoder import codes
from mtm.analyses.imputation.impute import Fold
from mtm.analyses.representations.networks import fold_models, held_out_rows
from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.models.device import choose_device
from mtm.models.donors import DonorsKey
from mtm.models.joint.conditional import condition
from mtm.models.joint.model import Joint
from mtm.settings.imputation import Imputation
from mtm.settings.scaling import Scaling

log = logging.getLogger(__name__)


def make_codes(
    cohort: Cohort,
    folds: pd.Series,
    settings: Imputation,
    scaling: Scaling,
    device: str,
    joint: Mapping[int, str | Path] | None = None,
    key: DonorsKey | None = None,
) -> anndata.AnnData:
    """Give every sample a code of each kind by every fold's training donors.

    Parameters
    ----------
    cohort, folds
        The cohort, and `mtm.cohort.folds.read_folds`.
    settings, scaling
        Sections of the config.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    joint, key
        Bundles of the joint model by fold, where there are any; what tells their donors.

    Returns
    -------
    anndata.AnnData
        One row a fold and sample: ``obs`` ``sample_id``, ``donor``, ``tissue``, ``fold``,
        ``held_out``; ``obsm`` one kind each, `mtm.vocabulary.CODES`. No X.
    """
    device = choose_device(device)
    rows_of = held_out_rows(cohort, folds)
    models = dict(fold_models(cohort, rows_of, joint, key, Joint)) if joint else {}
    by_fold, about = [], []
    for number in rows_of:
        fold = Fold.of(cohort, folds, number, scaling, settings.seed)
        by_fold.append(_of_fold(fold, settings, device))
        if number in models:
            by_fold[-1]["joint"] = donor_factors(models[number], cohort)
        about.append(_about(fold))
        log.info("fold %d: codes of %s", number, ", ".join(by_fold[-1]))
    return anndata.AnnData(
        obs=pd.concat(about),
        obsm={name: np.concatenate([one[name] for one in by_fold]) for name in by_fold[0]},
    )


def _about(fold: Fold) -> pd.DataFrame:
    """Whose codes they are."""
    cohort, sample_id = fold.cohort, fold.cohort.samples.index.astype(str)
    return pd.DataFrame(
        {
            "sample_id": sample_id,
            "donor": cohort.donors.index[cohort.donor],
            "tissue": np.array(cohort.tissues)[cohort.tissue],
            "fold": fold.number,
            "held_out": fold.held_out,
        },
        index=pd.Index(sample_id + f"|fold{fold.number}", name="row"),
    )


def _of_fold(fold: Fold, settings: Imputation, device: str) -> dict[str, np.ndarray]:
    """Codes of all samples, ``(n_samples, width)`` each, by training donors of a fold."""
    cohort, train = fold.cohort, fold.train
    expr_log2 = log2_tpm(cohort.expr_tpm, cohort.measure)
    standard = _standardised(expr_log2, train)
    within = _standardised(expr_log2 - np.nan_to_num(fold.scaler.mean)[cohort.tissue], train)
    width = settings.autoencoder.code_width
    found = {
        name: _components(values, train, width, settings.seed)
        for name, values in (("pca", standard), ("minus_means", within), ("tissue_z", fold.expr_z))
    }
    for name, penalty in (("vae", 0.0), ("vae_penalty", settings.penalty)):
        net, inputs = fold.autoencoder(
            standard, "gaussian", settings, device, penalty, told_tissue=False
        )
        found[name] = codes(net, inputs)
    return found


def _standardised(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Take off the training mean and divide by the training sd, gene by gene."""
    sd = values[train].std(0)
    return ((values - values[train].mean(0)) / np.where(sd > 1e-6, sd, 1)).astype(np.float32)


def _components(values: np.ndarray, train: np.ndarray, width: int, seed: int) -> np.ndarray:
    """Scores on the training samples' first principal components."""
    width = min(width, values.shape[1], int(train.sum()) - 1)
    pca = PCA(width, svd_solver="randomized", random_state=seed).fit(np.nan_to_num(values[train]))
    return pca.transform(np.nan_to_num(values)).astype(np.float32)


def donor_factors(model: Joint, cohort: Cohort) -> np.ndarray:
    """Posterior mean of the donor's factors given one sample, all fits, ``(n_samples, width)``."""
    expr_z = torch.from_numpy(model.scaler.transform(cohort.expr_tpm, cohort.tissue))
    width = sum(loadings.factors.shape[2] for loadings in model.fits)
    factors = np.zeros((cohort.n_samples, width), np.float32)
    for tissue in np.unique(cohort.tissue):
        rows = np.flatnonzero(cohort.tissue == tissue)
        given = torch.nan_to_num(expr_z[rows])[:, None]
        posteriors = [condition(loadings, [int(tissue)]) for loadings in model.fits]
        factors[rows] = torch.cat([of.told(given).factors for of in posteriors], 1).numpy()
    return factors
