"""Every gene of held-out samples imputed from the others, fold by fold (methods 6.24)."""

import logging
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mtm.analyses.imputation.autoencoder import Autoencoder, Inputs, reconstruct, train
from mtm.analyses.imputation.counts import exposures
from mtm.analyses.imputation.gaussian import impute_gaussian
from mtm.analyses.representations.networks import held_out_rows
from mtm.cohort.cohort import Cohort
from mtm.cohort.folds import some_donors
from mtm.cohort.scaling import TissueScaler
from mtm.models.device import choose_device
from mtm.settings.imputation import COUNTED, Imputation
from mtm.settings.scaling import Scaling
from mtm.vocabulary import AVERAGE, HEADLINE, TISSUE_MEAN

log = logging.getLogger(__name__)

# Of the training donors, those that say when a training stops: one in so many.
LEFT_OUT = 8


@dataclass(frozen=True)
class Fold:
    """A cohort as a fold sees it.

    Parameters
    ----------
    cohort
        All samples.
    number
        Of the fold.
    held_out, left_out
        Which samples are held-out donors', and which are those of training donors that say when a
        training stops; shape ``(n_samples,)``.
    scaler, expr_z
        Statistics of training donors, and z-scores of all samples by them.
    counts
        Read counts of all samples; None where there are none.
    """

    cohort: Cohort
    number: int
    held_out: np.ndarray
    left_out: np.ndarray
    scaler: TissueScaler
    expr_z: np.ndarray
    counts: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        cohort: Cohort,
        folds: pd.Series,
        number: int,
        scaling: Scaling,
        seed: int,
        counts: np.ndarray | None = None,
    ) -> "Fold":
        """Scale by training donors."""
        fold_of = folds.reindex(cohort.donors.index)
        held_out = fold_of.to_numpy()[cohort.donor] == number
        training = cohort.donors.index[(fold_of != number).to_numpy()]
        few = some_donors(training, max(len(training) // LEFT_OUT, 1), seed + number)
        scaler = cohort.scaler(HEADLINE.scale, scaling, ~held_out)
        return cls(
            cohort,
            number,
            held_out,
            cohort.donors.index.isin(few)[cohort.donor],
            scaler,
            scaler.transform(cohort.expr_tpm, cohort.tissue),
            counts,
        )

    @property
    def train(self) -> np.ndarray:
        """Which samples are training donors'."""
        return ~self.held_out

    def autoencoder(
        self,
        values: np.ndarray,
        likelihood: str,
        settings: Imputation,
        device: str,
        penalty: float = 0.0,
        told_tissue: bool = True,
    ) -> tuple[Autoencoder, Inputs]:
        """Train an autoencoder of `values`, ``(n_samples, n_genes)``, on training donors.

        Returns
        -------
        Autoencoder, Inputs
            It, and all samples as it takes them.
        """
        inputs, statistics = self._inputs(values, likelihood, device)
        seed = settings.seed + self.number
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            net = Autoencoder(
                values.shape[1],
                len(self.cohort.tissues),
                likelihood,
                settings.autoencoder,
                *statistics,
                told_tissue=told_tissue,
            ).to(device)
        kept, left_out = (
            inputs.of(torch.from_numpy(np.flatnonzero(rows)).to(device))
            for rows in (self.train & ~self.left_out, self.left_out)
        )
        chosen = settings.autoencoder, settings.masked, penalty, seed
        return train(net, kept, left_out, *chosen), inputs

    def _inputs(
        self, values: np.ndarray, likelihood: str, device: str
    ) -> tuple[Inputs, list[torch.Tensor]]:
        """All samples, and the statistics that make means of counts."""
        arrays = [values.astype(np.float32), self.cohort.tissue]
        statistics = []
        if likelihood in COUNTED:
            of_sample, of_gene = exposures(self.counts, self.cohort.expr_tpm, self.train)
            arrays += [self.counts, of_sample[:, None] * of_gene]
            statistics = [self.scaler.mean, self.scaler.sd]
        inputs, statistics = (
            [torch.from_numpy(np.nan_to_num(array)).to(device) for array in part]
            for part in (arrays, statistics)
        )
        return Inputs(*inputs), statistics

    def imputed(
        self, method: str, blocks: list[np.ndarray], settings: Imputation, device: str
    ) -> np.ndarray:
        """Impute held-out samples, each gene once: z-scores, ``(n_held_out, n_genes)``."""
        z = self.expr_z
        if method == TISSUE_MEAN:
            return np.zeros_like(z[self.held_out])
        if method == "gaussian":
            return self._gaussian(blocks, settings, device)
        likelihood = "gaussian" if method == "vae" else method
        net, inputs = self.autoencoder(z, likelihood, settings, device)
        asked = inputs.of(torch.from_numpy(np.flatnonzero(self.held_out)).to(device))
        imputed = np.empty_like(z[self.held_out])
        for failed in blocks:
            known = torch.ones_like(asked.values)
            known[:, torch.from_numpy(failed).to(device)] = 0
            imputed[:, failed] = reconstruct(net, asked, known)[:, failed].cpu().numpy()
        return imputed

    def _gaussian(self, blocks: list[np.ndarray], settings: Imputation, device: str) -> np.ndarray:
        """Impute held-out samples by the shrinkage that tells training donors left out best."""

        def tell(known: np.ndarray, asked: np.ndarray, shrinkage: float) -> np.ndarray:
            parts = [part[rows] for rows in (known, asked) for part in (z, self.cohort.tissue)]
            return impute_gaussian(*parts, blocks, shrinkage, settings.pooled_samples, device)

        z, candidates = self.expr_z, settings.shrinkage
        if len(candidates) > 1:
            kept, observed = self.train & ~self.left_out, z[self.left_out]
            error = [((tell(kept, self.left_out, c) - observed) ** 2).mean() for c in candidates]
            candidates = [candidates[int(np.argmin(error))]]
            log.info("fold %d: shrinkage %g", self.number, candidates[0])
        return tell(self.train, self.held_out, candidates[0])


def blocks_of(n_genes: int, masked: float, seed: int) -> list[np.ndarray]:
    """Part genes at random into blocks of a share of them, which fail together."""
    order = np.random.default_rng(seed).permutation(n_genes)
    n_blocks = min(n_genes, max(round(1 / masked), 2))
    return [np.sort(part) for part in np.array_split(order, n_blocks)]


@dataclass(frozen=True)
class Imputed:
    """What methods say of held-out samples' genes, each as if it had failed.

    Parameters
    ----------
    by_method
        z-scores by training statistics, shape ``(n_samples, n_genes)``; NaN for donors who are
        never held out.
    observed_z
        The same of what was observed.
    seconds
        Of training and imputing, by method.
    """

    by_method: dict[str, np.ndarray]
    observed_z: np.ndarray
    seconds: dict[str, float]


def impute(
    cohort: Cohort,
    folds: pd.Series,
    settings: Imputation,
    scaling: Scaling,
    device: str,
    counts: np.ndarray | None = None,
) -> Imputed:
    """Impute held-out samples fold by fold.

    Parameters
    ----------
    cohort, folds
        The cohort, and `mtm.cohort.folds.read_folds`.
    settings, scaling
        Sections of the config.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"``.
    counts
        From `mtm.analyses.imputation.counts.read_counts`, where a method wants them.

    Raises
    ------
    InputError
        A donor of the cohort is in no row of `folds`.
    """
    device, shape = choose_device(device), cohort.expr_tpm.shape
    methods = [TISSUE_MEAN, *settings.methods]
    by_method = {method: np.full(shape, np.nan, np.float32) for method in methods}
    observed_z = np.full(shape, np.nan, np.float32)
    seconds = dict.fromkeys(methods, 0.0)
    for number in held_out_rows(cohort, folds):
        fold = Fold.of(cohort, folds, number, scaling, settings.seed, counts)
        observed_z[fold.held_out] = fold.expr_z[fold.held_out]
        blocks = blocks_of(cohort.n_genes, settings.masked, settings.seed + number)
        for method in methods:
            start = time.perf_counter()
            by_method[method][fold.held_out] = fold.imputed(method, blocks, settings, device)
            seconds[method] += time.perf_counter() - start
            log.info("fold %d: imputed by %s", number, method)
    if {"gaussian", "vae"} <= set(methods):
        by_method[AVERAGE] = (by_method["gaussian"] + by_method["vae"]) / 2
        seconds[AVERAGE] = seconds["gaussian"] + seconds["vae"]
    return Imputed(by_method, observed_z, seconds)
