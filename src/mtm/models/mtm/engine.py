"""MTM's training engine: networks, optimisers and data, and one fused step (methods 1.3, 1.6)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtm.cohort.cohort import Cohort
from mtm.cohort.ranks import RankScaler
from mtm.cohort.scaling import TissueScaler
from mtm.models.covariate_design import CovariateDesign, covariate_table
from mtm.models.mtm.device import (
    DevicePlan,
    keep_freed_memory,
    plan_device,
    settle_vector_math,
)
from mtm.models.mtm.networks import ConditionedStack, Discriminator, Dropout, Mapping
from mtm.models.mtm.pairs import Batch
from mtm.models.mtm.wide import inverse_z, l1_loss
from mtm.models.networks import choose_precision, set_precision
from mtm.settings.models.mtm import MTMParameters

LOSSES = ("discriminator", "adversarial", "individual", "reconstruction", "cycle")
DISTANCES = {
    "l1": l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "l2": functional.mse_loss,
}


def predicting_widths(p: MTMParameters, n_genes: int) -> dict[str, tuple[int, ...]]:
    """Return the features before, between and after the layers of what a prediction needs."""
    return {
        "encoder": (n_genes, *p.encoder_widths, p.code_width),
        "generator": (p.code_width, *p.generator_widths, n_genes),
    }


def predicting_networks(p: MTMParameters, n_genes: int, n_tissues: int) -> dict[str, nn.Module]:
    """Return the networks that a prediction needs, with random weights; covariates come on top."""
    return {
        name: ConditionedStack(widths, n_tissues)
        for name, widths in predicting_widths(p, n_genes).items()
    }


class Engine:
    """The four networks, their optimisers and the data, resident on one device.

    Calls with equal weights are fused: the generator sees codes of samples and of noise at once,
    the encoder both kinds of generated samples, the discriminator real and generated ones. The
    fused step equals methods 1.3 but for the order of random draws.

    Parameters
    ----------
    parameters
        Hyper-parameters.
    cohort
        Training donors' samples.
    scaler
        Fitted on them, in the target scale.
    device
        ``"cpu"`` or ``"cuda"``.
    seed
        Of the initial weights and of everything drawn.
    plan
        What to keep on the device; chosen by its free memory where None.
    ranks
        Fitted on the training donors, where the encoder sees ranks.
    """

    tissue: Tensor
    expr_z: Tensor
    encoder_expr: Tensor
    covariates: Tensor

    def __init__(
        self,
        parameters: MTMParameters,
        cohort: Cohort,
        scaler: TissueScaler,
        device: str,
        seed: int,
        plan: DevicePlan | None = None,
        ranks: RankScaler | None = None,
    ):
        p = self.parameters = parameters
        self.device, self.seed = device, seed
        self.precision = choose_precision(p.precision, device)
        self.dtype = set_precision(self.precision, device)
        if device == "cpu":
            keep_freed_memory()
            settle_vector_math()
        self.design = CovariateDesign.fit(
            covariate_table(cohort, np.arange(cohort.n_samples), p.covariates)
        )
        n_genes, self.n_tissues = cohort.n_genes, len(cohort.tissues)
        self.networks = self._initial_networks(n_genes)
        n_weights = sum(weight.numel() for weight in self.networks.parameters())
        self.plan = plan or plan_device(
            device, torch.cuda.mem_get_info()[0] if device == "cuda" else 0,
            cohort.n_samples, n_genes, n_weights, p.batch_size, p.max_sources,
            self.dtype.itemsize,
        )  # fmt: skip
        self.networks.to(device, self.dtype)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.dropout = Dropout(p.dropout, self.generator)
        # One optimiser over three networks steps each weight just as three optimisers would.
        names = ("encoder", "mapping", "generator", "covariates")
        parts = [self.networks[name] for name in names if name in self.networks]
        self.optimizer = self._optimizer([w for part in parts for w in part.parameters()])
        self.critic = self._optimizer(list(self.networks["discriminator"].parameters()))
        self.distance = DISTANCES[p.individual_loss]

        def resident(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device, self.dtype)

        # A tissue without training samples has NaN statistics and is never drawn as a pair; the
        # random tissue of the adversarial branch may be it, and then it stands unscaled.
        self.measure = scaler.measure
        self.mean = resident(np.nan_to_num(scaler.mean))
        self.sd = resident(np.nan_to_num(scaler.sd, nan=1.0))
        self._place_samples(cohort, scaler, ranks)
        self.totals = torch.zeros(len(LOSSES), device=device, dtype=self.dtype)

    def _initial_networks(self, n_genes: int) -> nn.ModuleDict:
        """Draw the weights of all networks, in an order of their own."""
        p, n_tissues = self.parameters, self.n_tissues
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            networks = predicting_networks(p, n_genes, n_tissues)
            networks["discriminator"] = Discriminator(
                (n_genes, *p.discriminator_widths), n_tissues, p.spectral_norm
            )
            networks["mapping"] = Mapping((p.noise_width, *p.mapping_widths, p.code_width))
            if len(self.design):
                networks["covariates"] = nn.Linear(len(self.design), p.code_width, bias=False)
        return nn.ModuleDict(networks)

    def _place_samples(
        self, cohort: Cohort, scaler: TissueScaler, ranks: RankScaler | None
    ) -> None:
        """Put what a step reads of each sample on the device, or room for a part of it."""
        chunk_rows = self.plan.chunk_rows
        home = "cpu" if chunk_rows else self.device

        def placed(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(home, self.dtype)

        expr_z = scaler.transform(cohort.expr_tpm, cohort.tissue)
        samples = {
            "tissue": torch.from_numpy(cohort.tissue).to(home),
            "expr_z": placed(expr_z if ranks is None else expr_z.copy()),
        }
        if self.parameters.encoder_input == "z":
            samples["encoder_expr"] = samples["expr_z"]
        elif ranks is not None:
            seen = ranks.put_into(expr_z, cohort.expr_tpm, cohort.tissue)
            samples["encoder_expr"] = placed(seen)
        else:
            expr = placed(cohort.expr_tpm)
            samples["encoder_expr"] = expr if self.measure == "own" else torch.log2(1 + expr)
        if len(self.design):
            names = self.design.covariates
            table = covariate_table(cohort, np.arange(cohort.n_samples), names)
            samples["covariates"] = placed(self.design.transform(table))
        self.samples = samples
        for name, values in samples.items():
            if chunk_rows:
                shape = (chunk_rows, *values.shape[1:])
                values = torch.empty(shape, dtype=values.dtype, device=self.device)
            setattr(self, name, values)

    def feed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches as `step` takes them, their samples on the device.

        Where the samples do not fit there, those of the next few batches are copied at once and
        the batches point into the copy: other rows, the same numbers.
        """
        if not self.plan.chunk_rows:
            yield from batches
            return
        p = self.parameters
        n_batches = max(1, self.plan.chunk_rows // (p.batch_size * (p.max_sources + 1)))
        while chunk := list(islice(batches, n_batches)):
            parts = [part for batch in chunk for part in batch[:3]]
            rows, place = torch.unique(torch.cat(parts), return_inverse=True)
            for name, values in self.samples.items():
                getattr(self, name)[: len(rows)].copy_(values[rows])
            local = iter(place.to(self.device).split([len(part) for part in parts]))
            for batch in chunk:
                yield Batch(next(local), next(local), next(local), batch.pair.to(self.device))

    def _optimizer(self, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
        p = self.parameters
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[p.optimizer]
        on_gpu = self.device == "cuda"
        return kind(
            weights,
            # A graph would freeze a number; a schedule changes the tensor in place.
            lr=torch.tensor(p.learning_rate, device="cuda") if on_gpu else p.learning_rate,
            capturable=on_gpu,
            betas=(p.beta1, p.beta2),
            eps=1e-8,
            weight_decay=p.weight_decay,
            fused=True,
        )

    def _matmul(self):
        """Context in which matrix products run at the chosen precision."""
        if self.precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self.device, torch.bfloat16)

    def _encoder_input(self, expr_z: Tensor, tissue: Tensor) -> Tensor:
        """Turn generated z-scores into what the encoder takes."""
        if self.parameters.encoder_input == "z":
            return expr_z
        if self.measure == "own":
            return expr_z * self.sd[tissue] + self.mean[tissue]
        log = self.parameters.target_scale == "tpm_z"
        return inverse_z(expr_z, self.mean, self.sd, tissue, log)

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw noise ``(n, noise_width)`` and random tissues ``(n,)`` for one step."""
        noise = torch.empty(n, self.parameters.noise_width, device=self.device, dtype=self.dtype)
        noise.normal_(generator=self.generator)
        tissue = torch.randint(self.n_tissues, (n,), generator=self.generator, device=self.device)
        return noise, tissue

    def _source_code(self, batch: Batch) -> Tensor:
        """Return the code of every pair's sources, shape ``(n, code_width)``.

        Codes of several sources are averaged (methods 6.13); covariates are added to the mean.
        """
        encoder = self.networks["encoder"]
        rows = batch.source
        code = encoder(self.encoder_expr[rows], self.tissue[rows], self.dropout)
        if len(batch.extra):
            extra = encoder(self.encoder_expr[batch.extra], self.tissue[batch.extra], self.dropout)
            count = torch.bincount(batch.pair, minlength=len(rows)).unsqueeze(1) + 1
            code = code.index_add(0, batch.pair, extra) / count.to(code.dtype)
        if len(self.design):
            code = code + self.networks["covariates"](self.covariates[rows])
        return code

    def step(self, batch: Batch, noise: Tensor, random_tissue: Tensor) -> None:
        """Take one optimiser step of all networks (methods 1.3) and add the losses to `totals`.

        Parameters
        ----------
        batch
            Pairs, as from `PairSampler.batches`.
        noise, random_tissue
            As from `draw`.
        """
        p = self.parameters
        encoder, generator = self.networks["encoder"], self.networks["generator"]
        s, t, r = self.tissue[batch.source], self.tissue[batch.target], random_tissue
        n = len(s)
        seen, x_s, x_t = self._real(batch)
        rebuild_mapped = p.lambda_reconstruction > 0 and p.reconstruction_of != "encoded"
        rebuild_encoded = p.lambda_reconstruction > 0 and p.reconstruction_of != "mapped"
        mapped = p.lambda_adversarial > 0 or rebuild_mapped
        back = p.lambda_cycle > 0 or rebuild_encoded

        with self._matmul():
            code = self._source_code(batch)
            codes, tissues = [code], [t]
            if mapped:
                mapped_code = self.networks["mapping"](noise, self.dropout)
                codes.append(mapped_code)
                tissues.append(r)
            made = generator(torch.cat(codes), torch.cat(tissues), self.dropout).to(self.dtype)
            made_t, made_r = made.split(n) if mapped else (made, None)
            if back or rebuild_mapped:
                tissues = torch.cat([t] * back + [r] * rebuild_mapped)
                again = made if back and rebuild_mapped else made_t if back else made_r
                recoded = encoder(self._encoder_input(again, tissues), tissues, self.dropout)
            if p.lambda_cycle > 0:
                cycled = generator(recoded[:n], s, self.dropout).to(self.dtype)

        values = dict.fromkeys(LOSSES, self.totals.new_zeros(()))
        if p.lambda_adversarial > 0:
            seen[-n:] = made_r.detach()
            tissues = torch.cat([t, s, r] if len(seen) == 3 * n else [t, r])
            values["discriminator"] = self._discriminator_step(seen, tissues, n)
            with self._matmul():
                score = self.networks["discriminator"](made_r, r, frozen=True)
            values["adversarial"] = -score.mean()
        values["individual"] = self.distance(made_t, x_t)
        if p.lambda_cycle > 0:
            values["cycle"] = self.distance(cycled, x_s)
        if p.lambda_reconstruction > 0:
            pairs = [(code, recoded[:n])] * rebuild_encoded
            if rebuild_mapped:
                pairs.append((mapped_code, recoded[n if back else 0 :]))
            wanted, rebuilt = (torch.cat(side).to(self.dtype) for side in zip(*pairs, strict=True))
            values["reconstruction"] = functional.l1_loss(rebuilt, wanted)
        self._update(values)

    def _real(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the discriminator sees, its last part still empty; and sources and targets.

        It sees one array: real targets, perhaps sources, then as many generated ones.
        """
        n, n_genes = len(batch.source), self.expr_z.shape[1]
        with_source = self.parameters.discriminator_real == "source_and_target"
        seen = self.expr_z.new_empty((3 if with_source else 2) * n, n_genes)
        x_t = torch.index_select(self.expr_z, 0, batch.target, out=seen[:n])
        x_s = seen[n : 2 * n] if with_source else torch.empty_like(x_t)
        torch.index_select(self.expr_z, 0, batch.source, out=x_s)
        return seen, x_s, x_t

    def _update(self, values: dict[str, Tensor]) -> None:
        """Step all networks but the discriminator down the weighted sum of their losses."""
        p = self.parameters
        loss = (
            p.lambda_adversarial * values["adversarial"]
            + p.lambda_individual * values["individual"]
            + p.lambda_reconstruction * values["reconstruction"]
            + p.lambda_cycle * values["cycle"]
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.totals += torch.stack([values[name].detach() for name in LOSSES])

    def _discriminator_step(self, expr_z: Tensor, tissue: Tensor, n: int) -> Tensor:
        """Take the hinge-loss step of the discriminator; return its loss.

        The last `n` rows are generated, those before them real, in parts of `n`.
        """
        with self._matmul():
            score = self.networks["discriminator"](
                expr_z, tissue, segments=[n] * (len(expr_z) // n)
            )
        loss = functional.relu(1 + score[-n:]).mean()
        for real in score[:-n].split(n):
            loss = loss + functional.relu(1 - real).mean()
        self.critic.zero_grad(set_to_none=True)
        loss.backward()
        self.critic.step()
        return loss.detach()

    def notes(self) -> dict:
        """Return what was chosen at run time, for the bundle."""
        chosen = {"device": self.device, "precision": self.precision}
        if self.device == "cuda":
            chosen["plan"] = str(self.plan)
        return chosen | ({"covariates": self.design.covariates} if len(self.design) else {})

    def state(self) -> dict:
        """Everything that the next step depends on."""
        return {
            "networks": self.networks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "critic": self.critic.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, state: dict) -> None:
        """Take over what `state` of an equal engine returned."""
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.critic.load_state_dict(state["critic"])
        self.generator.set_state(state["generator"].cpu())

    def set_generator(self, state: Tensor) -> None:
        """Draw from a new generator, in the state of another."""
        self.generator = torch.Generator(self.device)
        self.generator.set_state(state)
        self.dropout.generator = self.generator
