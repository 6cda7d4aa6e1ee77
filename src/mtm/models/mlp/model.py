"""Rival S3: a network of its own for every target tissue (methods 2, He et al. 2023)."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests, Training
from mtm.models.layout import TISSUE, Layout, summary
from mtm.models.mlp.stack import Layers, forward
from mtm.models.mlp.training import Run, training_pairs
from mtm.models.networks import kept_type
from mtm.models.registry import register
from mtm.settings.models.mlp import MLPParameters


@register("mlp")
class MLP(Predictor):
    """A multi-layer perceptron from source to target z-scores, one for every target tissue.

    Tissues with fewer than ``parameters.min_pairs`` training pairs stay at the training mean.
    """

    Parameters = MLPParameters

    def __init__(self, parameters=None):
        super().__init__(parameters)
        self.fits: dict[int, Layers] = {}

    def _fit(self, training: Training) -> pd.DataFrame:
        pairs, too_few = training_pairs(training, self.parameters.min_pairs)
        names, self.fits = self.tissues, {}
        self.provenance.notes["tissues_not_fitted"] = "; ".join(
            f"{names[t]} ({n} pairs)" for t, n in too_few.items()
        )
        table = self._train(training, pairs) if pairs else self._without_training(training)
        return table.assign(n_tissues=len(pairs), n_tissues_not_fitted=len(too_few))

    def _train(self, training: Training, pairs: dict[int, np.ndarray]) -> pd.DataFrame:
        """Train the networks of the tissues in `pairs`."""
        cohort = training.cohort
        run = Run(
            self.parameters,
            training,
            self.seen(cohort, np.arange(cohort.n_samples)),
            pairs,
            lambda: training.monitor(self),
        )
        self.fits = run.fits
        self.provenance.notes.update(device=run.device, precision=run.precision)
        return run.train()

    def _without_training(self, training: Training) -> pd.DataFrame:
        """Return the training table where no tissue has pairs enough: all stay at z = 0."""
        held_out = training.monitor(self) if training.monitor_every else {}
        return pd.DataFrame([{"epoch": 0, "step": 0, "seconds": 0.0, "loss": np.nan} | held_out])

    @torch.inference_mode()
    def predict(self, inputs: Cohort, requests: Requests, batch: int = 1024) -> np.ndarray:
        """Predict from the one source sample of each request; see `Predictor.predict`.

        Raises
        ------
        InputError
            A request's source is not the tissue this model was fitted on.
        """
        rows = requests.single_source(self.name)
        expr_z = np.zeros((len(requests), len(self.genes)), np.float32)
        wrong = np.flatnonzero(inputs.tissue[rows] != self.tissues.index(self.provenance.source))
        if len(wrong):
            raise InputError(
                f"model {self.name}",
                f"a source sample of {self.tissues[inputs.tissue[rows[wrong[0]]]]}",
                f"{self.provenance.source}, the tissue it was fitted on",
            )
        for target in np.intersect1d(requests.target, list(self.fits)):
            layers = self.fits[target]
            wanted = np.flatnonzero(requests.target == target)
            for part in np.split(wanted, range(batch, len(wanted), batch)):
                x = self.seen(inputs, rows[part])
                y = forward(torch.from_numpy(x).to(layers[0][0]), layers, self.parameters)
                expr_z[part] = y.float().cpu().numpy()
        return expr_z

    def state(self) -> dict[str, np.ndarray]:
        """Weights and biases of every fitted tissue."""
        return {
            f"{target}/{place}/{name}": tensor.detach().cpu().numpy()
            for target, layers in self.fits.items()
            for place, layer in enumerate(layers)
            for name, tensor in zip(("weight", "bias"), layer, strict=True)
        }

    def forget(self, tissues: np.ndarray) -> None:
        """Drop the fits of some tissues, and what notes say of them."""
        self.fits = {target: fit for target, fit in self.fits.items() if target not in tissues}
        of_them = tuple(f"{self.tissues[place]} (" for place in tissues)
        said = str(self.provenance.notes.get("tissues_not_fitted", "")).split("; ")
        kept = "; ".join(text for text in said if not text.startswith(of_them))
        notes = self.provenance.notes | {"tissues_not_fitted": kept}
        self.provenance = replace(self.provenance, notes=notes)

    def layout(self) -> Layout:
        """Weights and biases of every fitted tissue."""
        kind = kept_type(self.parameters.precision)
        layers = enumerate(pairwise(self.parameters.widths(len(self.genes))))
        return {
            f"{TISSUE}/{place}/{name}": summary(shape, kind)
            for place, (n_in, n_out) in layers
            for name, shape in {"weight": (n_out, n_in), "bias": (n_out,)}.items()
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned, on the CPU."""
        n_layers = len(self.parameters.rectified())
        self.fits = {
            int(target): [
                tuple(
                    torch.from_numpy(state[f"{target}/{place}/{name}"])
                    for name in ("weight", "bias")
                )
                for place in range(n_layers)
            ]
            for target in sorted({key.split("/", 1)[0] for key in state}, key=int)
        }
