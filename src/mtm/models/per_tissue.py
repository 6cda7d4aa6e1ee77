"""The frame of models that fit every target tissue by itself, from one source tissue."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests, Training
from mtm.models.covariate_design import CovariateDesign
from mtm.models.layout import TISSUE, Layout, check_size


@dataclass(frozen=True)
class TissuePairs:
    """Training donors of one source and one target tissue.

    Parameters
    ----------
    source_position
        Which of the training source samples each pair uses, shape ``(n_pairs,)``.
    source_rows, target_rows
        Rows of the training cohort, shape ``(n_pairs,)``.
    """

    source_position: np.ndarray
    source_rows: np.ndarray
    target_rows: np.ndarray


class PerTissuePredictor(Predictor):
    """A model that is fitted once for every target tissue on donors with source and target.

    A subclass gives features of source samples (`_features`), fits one tissue (`_fit_tissue`) and
    predicts one (`_predict_tissue`). It imports solvers, and with them PyTorch, where it fits:
    predictions need none. Tissues with fewer than ``parameters.min_pairs`` training pairs are not
    fitted: their prediction is the training mean, z = 0, and the training table says so.
    """

    def __init__(self, parameters=None):
        super().__init__(parameters)
        self.shared: dict[str, np.ndarray] = {}
        self.fits: dict[int, dict[str, np.ndarray]] = {}

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        """Learn what all tissues share; `source_rows` are all training source samples."""

    @abstractmethod
    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return features of source samples, shape ``(n_rows, n_features)``."""

    @abstractmethod
    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        """Fit one tissue.

        Parameters
        ----------
        features
            Of the paired donors' source samples, shape ``(n_pairs, n_features)``.
        target_z
            Shape ``(n_pairs, n_genes)``, in `scale`.

        Returns
        -------
        tuple[dict[str, np.ndarray], dict]
            Arrays that `_predict_tissue` needs, and further fields of the training table.
            Without arrays the tissue counts as not fitted; give the field ``reason`` then.
        """

    @abstractmethod
    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        """Predict one tissue, shape ``(n_rows, n_genes)``, in `scale`."""

    def _fit(self, training: Training) -> pd.DataFrame:
        cohort, source = training.cohort, training.source
        rows = cohort.row_of()
        donors = np.flatnonzero(rows[:, source] >= 0)
        if not len(donors):
            raise InputError(
                f"model {self.name}",
                f"no training donor with {cohort.tissues[source]}",
                "training donors with the source tissue",
            )
        source_rows = rows[donors, source]
        self.shared, self.fits = {}, {}
        self._prepare(training, source_rows)
        features = self._features(cohort, source_rows)
        table = []
        for target, name in enumerate(cohort.tissues):
            if target == source:
                continue
            target_rows = rows[donors, target]
            paired = np.flatnonzero(target_rows >= 0)
            row = {"tissue": name, "n_pairs": len(paired), "n_genes_fitted": 0, "reason": ""}
            if len(paired) < self.parameters.min_pairs:
                row["reason"] = f"fewer than {self.parameters.min_pairs} training pairs"
            else:
                pairs = TissuePairs(paired, source_rows[paired], target_rows[paired])
                target_z = self.scaler.transform(
                    cohort.expr_tpm[pairs.target_rows], cohort.tissue[pairs.target_rows]
                )
                fit, fields = self._fit_tissue(features[paired], target_z, pairs, training)
                if fit:
                    self.fits[target] = fit
                    row["n_genes_fitted"] = int((np.ptp(target_z, axis=0) > 0).sum())
                row |= fields
            table.append(row)
        return pd.DataFrame(table)

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Predict from the one source sample of each request.

        Raises
        ------
        InputError
            A request's source is not the tissue this model was fitted on.
        """
        rows = requests.single_source(self.name)
        result = np.zeros((len(requests), len(self.genes)), np.float32)
        if not len(requests):
            return result
        used, position = np.unique(rows, return_inverse=True)
        source = self.tissues.index(self.provenance.source)
        if (inputs.tissue[used] != source).any():
            wrong = inputs.tissue[used][inputs.tissue[used] != source][0]
            raise InputError(
                f"model {self.name}",
                f"a source sample of {self.tissues[wrong]}",
                f"{self.provenance.source}, the tissue it was fitted on",
            )
        features = self._features(inputs, used)
        for target in np.unique(requests.target):
            if target in self.fits:
                wanted = np.flatnonzero(requests.target == target)
                result[wanted] = self._predict_tissue(
                    self.fits[target], features[position[wanted]]
                )
        return result

    @property
    def used_covariates(self) -> tuple[str, ...]:
        """Those of the design, where the model has one."""
        if "design" not in self.shared:
            return ()
        return tuple(CovariateDesign.from_array(self.shared["design"]).covariates)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays shared by all tissues, and those of each fitted tissue."""
        arrays = {f"shared/{key}": value for key, value in self.shared.items()}
        for target, fit in self.fits.items():
            arrays |= {f"tissue/{target}/{key}": value for key, value in fit.items()}
        return arrays

    def forget(self, tissues: np.ndarray) -> None:
        """Drop the fits of some tissues."""
        self.fits = {target: fit for target, fit in self.fits.items() if target not in tissues}

    def layout(self) -> Layout:
        """Arrays shared by all tissues, and those of each fitted tissue."""
        shared = {f"shared/{key}": array for key, array in self._shared_layout().items()}
        of_tissue = self._tissue_layout()
        return shared | {f"tissue/{TISSUE}/{key}": array for key, array in of_tissue.items()}

    def _shared_layout(self) -> Layout:
        """Arrays that `_prepare` may leave in `shared`."""
        return {}

    @abstractmethod
    def _tissue_layout(self) -> Layout:
        """Arrays that `_fit_tissue` may return."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        self.shared, self.fits = {}, {}
        for key, value in state.items():
            place, rest = key.split("/", 1)
            if place == "shared":
                self.shared[rest] = value
            else:
                target, name = rest.split("/", 1)
                self.fits.setdefault(int(target), {})[name] = value
        for target, fit in self.fits.items():
            self._check_fit(f"tissue/{target}/", fit)

    def _check_fit(self, place: str, fit: dict[str, np.ndarray]) -> None:
        """Refuse arrays of a tissue, named from `place` on, that those of `shared` do not go with.

        Here positions of training samples; a subclass that has more to hold together adds it.
        """
        if "source_position" in fit:
            n_samples = len(self.shared.get("source", ()))
            beyond = int((fit["source_position"] >= n_samples).sum())
            check_size(
                f"{place}source_position", beyond, 0, f"positions beyond {n_samples} samples"
            )
