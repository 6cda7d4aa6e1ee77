"""MTM: one encoder and one generator for every pair of tissues (He et al. 2023, methods 1)."""

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests, Training
from mtm.models.covariate_design import DESIGN, CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.models.layout import Layout, check_size, summary
from mtm.models.mtm.collapse import restart_seed
from mtm.models.mtm.engine import Engine, predicting_networks, predicting_widths
from mtm.models.mtm.networks import stack_shapes
from mtm.models.mtm.stopping import stopping_score, stopping_split
from mtm.models.mtm.training import Run
from mtm.models.networks import kept_type
from mtm.models.registry import register
from mtm.settings.models.mtm import MTMParameters


@register("mtm")
class MTM(Predictor):
    """Multi-tissue transcriptome mapping.

    Several source tissues of a donor are used by averaging their codes (methods 6.13); the paper
    uses one.
    """

    Parameters = MTMParameters
    networks: nn.ModuleDict
    design: CovariateDesign
    _device = "cpu"

    def _fit(self, training: Training) -> pd.DataFrame:
        p, stop_score, started = self.parameters, None, time.monotonic()
        self._device = choose_device(training.device)
        if p.stop_patience:
            learned_from, stop_by = stopping_split(
                training.cohort, training.source, p.stop_donors, training.seed
            )
            training = replace(training, cohort=learned_from)
            score = stopping_score(stop_by, training.source)
            stop_score = lambda: score(self)  # noqa: E731
        for restarts in range(p.restarts + 1):
            table = self._attempt(training, stop_score, restarts, started)
            if table is not None:
                return table
        raise AssertionError("the last attempt is never given up")

    def _attempt(
        self,
        training: Training,
        stop_score: Callable[[], float] | None,
        restarts: int,
        started: float,
    ) -> pd.DataFrame | None:
        """Train once; return the training table, or None where it is to be started again."""
        seed = restart_seed(training.seed, restarts)
        engine = Engine(
            self.parameters, training.cohort, self.scaler, self._device, seed, ranks=self.ranks
        )
        self.networks, self.design = engine.networks, engine.design
        monitor = lambda: training.monitor(self)  # noqa: E731
        table = Run(engine, training, monitor, stop_score, restarts, started).train()
        self.provenance.notes.update(engine.notes() | ({"restarts": restarts} if restarts else {}))
        return table

    @torch.inference_mode()
    def codes(self, inputs: Cohort, rows: np.ndarray) -> Tensor:
        """Return latent codes of the samples `rows`, shape ``(n_rows, code_width)``, float32."""
        x = self._tensor(self.encoder_input(inputs, rows))
        return self.networks["encoder"](x, self._tensor(inputs.tissue[rows]))

    def encoder_input(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return what the encoder is shown of the samples `rows`, ``(n_rows, n_genes)``."""
        if self.parameters.encoder_input == "log2_tpm":
            return log2_tpm(inputs.expr_tpm[rows], self.measure)
        return self.seen(inputs, rows)

    @torch.inference_mode()
    def predict(self, inputs: Cohort, requests: Requests, batch: int = 1024) -> np.ndarray:
        """Predict from the mean code of each request's sources; see `Predictor.predict`.

        Covariates are those of the donor and of the first source sample.
        """
        seen = requests.source_rows >= 0
        if not seen.any(1).all():
            raise InputError("model mtm", "a request without a source", "at least one source")
        rows, place = np.unique(requests.source_rows[seen], return_inverse=True)
        codes = torch.cat(
            [self.codes(inputs, rows[i : i + batch]) for i in range(0, len(rows), batch)]
        )
        request_of = self._tensor(np.nonzero(seen)[0])
        code = codes.new_zeros(len(requests), codes.shape[1])
        code.index_add_(0, request_of, codes[self._tensor(place)])
        code /= self._tensor(seen.sum(1, keepdims=True)).to(code.dtype)
        if len(self.design):
            names = self.design.covariates
            table = covariate_table(inputs, requests.source_rows[:, 0], names)
            code += self.networks["covariates"](self._tensor(self.design.transform(table)))
        target = self._tensor(requests.target)
        expr_z = np.empty((len(requests), len(self.genes)), np.float32)
        for i in range(0, len(requests), batch):
            part = self.networks["generator"](code[i : i + batch], target[i : i + batch])
            expr_z[i : i + batch] = part.float().cpu().numpy()
        return expr_z

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
        if not tensor.is_floating_point():
            return tensor
        return tensor.to(self.networks["encoder"].last.weight.dtype)

    @property
    def used_covariates(self) -> tuple[str, ...]:
        """Those of the design."""
        return tuple(self.design.covariates)

    def forget(self, tissues: np.ndarray) -> None:
        """Put the maps of some tissues where training starts from."""
        self.networks = deepcopy(self.networks)
        with torch.no_grad():
            for name in ("encoder", "generator"):
                for layer in self.networks[name].layers:
                    layer.gamma[tissues], layer.beta[tissues] = 1.0, 0.0

    def state(self) -> dict[str, np.ndarray]:
        """Weights of the encoder, the generator and the covariates' map; others are not needed."""
        arrays = {
            f"{name}/{key}": value.detach().cpu().numpy()
            for name in ("encoder", "generator", "covariates")
            if name in self.networks
            for key, value in self.networks[name].state_dict().items()
        }
        return arrays | {"design": self.design.to_array()}

    def layout(self) -> Layout:
        """Weights of the encoder, the generator and the covariates' map."""
        p, n_genes, n_tissues = self.parameters, len(self.genes), len(self.tissues)
        kind = kept_type(p.precision)
        shapes = {
            f"{name}/{key}": shape
            for name, widths in predicting_widths(p, n_genes).items()
            for key, shape in stack_shapes(widths, n_tissues).items()
        }
        covariates = summary((p.code_width, "covariates"), kind, optional=True)
        return {
            **{key: summary(shape, kind) for key, shape in shapes.items()},
            "covariates/weight": covariates,
            "design": DESIGN,
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Rebuild the networks that predict, on the CPU."""
        p, n_genes, n_tissues = self.parameters, len(self.genes), len(self.tissues)
        self.design = CovariateDesign.from_array(state["design"])
        self.networks = nn.ModuleDict(predicting_networks(p, n_genes, n_tissues))
        n_columns = state["covariates/weight"].shape[1] if "covariates/weight" in state else 0
        check_size("covariates/weight", n_columns, len(self.design), "columns of the design")
        if len(self.design):
            self.networks["covariates"] = nn.Linear(len(self.design), p.code_width, bias=False)
        self.networks.to(torch.from_numpy(state["encoder/last.weight"]).dtype)
        for name, network in self.networks.items():
            prefix = f"{name}/"
            network.load_state_dict(
                {
                    key.removeprefix(prefix): torch.from_numpy(value)
                    for key, value in state.items()
                    if key.startswith(prefix)
                }
            )
        self._device = "cpu"
