"""The joint model as a predictor: several fits, averaged."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests, Training
from mtm.models.checkpoint import Checkpoint, run_key
from mtm.models.covariate_design import DESIGN, CovariateDesign, covariate_table
from mtm.models.device import choose_device
from mtm.models.inner_folds import inner_folds, told
from mtm.models.joint.conditional import condition
from mtm.models.joint.em import Priors, State, iterate
from mtm.models.joint.loadings import Loadings, Samples, loadings_layout
from mtm.models.joint.silence import silent_tissues, told_alone
from mtm.models.layout import Layout, below, check_size, summary
from mtm.models.registry import register
from mtm.progress import Bar
from mtm.settings.models.joint import JointParameters
from mtm.vocabulary import SourceChoice

LOGGER = logging.getLogger(__name__)

STATE = "joint.pt"
# What is chosen shall tell from the source and from all other tissues alike.
READINGS: tuple[SourceChoice, ...] = ("source", "others")
# Samples that a trial is judged by, at most, from each, and genes that it is made with.
MOST = 1000
MOST_GENES = 2500


def organs(tissues: tuple[str, ...]) -> np.ndarray:
    """Organ of each tissue, int64: what stands before " - " in GTEx's names."""
    names = [name.split(" - ")[0] for name in tissues]
    return np.unique(names, return_inverse=True)[1]


def _patterns_of_missing(inputs: Cohort, rows: np.ndarray) -> np.ndarray:
    """Give a number to the genes that each sample lacks, ``(n_samples,)``; 0 where it has all."""
    patterns = np.zeros(inputs.n_samples + 1, np.int64)
    used = np.unique(rows[rows >= 0])
    missing = np.isnan(inputs.expr_tpm[used])
    some = missing.any(1)
    if some.any():
        packed = np.packbits(missing[some], axis=1)
        patterns[used[some]] = 1 + np.unique(packed, axis=0, return_inverse=True)[1]
    return patterns


def _some_genes(training: Training) -> Training:
    """Leave `MOST_GENES` genes, drawn at random, in file order."""
    cohort = training.cohort
    genes = np.random.default_rng(training.seed).permutation(cohort.n_genes)[:MOST_GENES]
    genes.sort()
    few = replace(cohort, expr_tpm=cohort.expr_tpm[:, genes], genes=cohort.genes.iloc[genes])
    return replace(training, cohort=few)


@register("joint")
class Joint(Predictor):
    """Predict from any set of a donor's samples by the Gaussian conditional (methods 8).

    Fitted on every sample of every training donor. Genes a sample lacks (NaN) are left out of the
    conditional; so are covariates that the input has not. A tissue that told hardly anything of
    training donors left out of a trial is asked only where no other is given: what it seems to
    tell would be the noise it was fitted to.
    """

    Parameters = JointParameters
    takes_missing = True

    def __init__(self, parameters=None):
        super().__init__(parameters)
        self.fits: list[Loadings] = []
        self.design = CovariateDesign(())
        self.silent = np.zeros(0, bool)

    @property
    def used_alone(self) -> tuple[str, ...]:
        """Tissues that told hardly anything of training donors left out."""
        return tuple(np.array(self.tissues)[self.silent].tolist())

    @property
    def used_covariates(self) -> tuple[str, ...]:
        """Those of the design."""
        return tuple(self.design.covariates)

    @property
    def _widths(self) -> tuple[int, ...]:
        """Number of factors of every fit."""
        return self.parameters.n_factors * self.parameters.fits

    def _fit(self, training: Training) -> pd.DataFrame:
        samples = self._samples(training)
        organ_of = torch.from_numpy(organs(self.tissues)).to(samples.donor.device)
        data = samples.expr_z, samples.covariates
        key = run_key(training, self.parameters, str(samples.expr_z.dtype), data)
        checkpoint = Checkpoint(training.checkpoint, key)
        saved = checkpoint.read(STATE) or {"done": [], "state": None} | self._choose(training)
        self.noise_freedom = saved["noise_freedom"]
        self.silent = np.isin(self.tissues, saved["silent"])
        if self.used_alone:
            names = "; ".join(self.used_alone)
            LOGGER.warning("tell hardly anything, used only where no other is given: %s", names)
        self.provenance.notes["noise_freedom"] = self.noise_freedom
        device = samples.expr_z.device
        fits = [Loadings(**kept).to(device) for kept in saved["done"]]
        table = saved["table"]
        state = None if saved["state"] is None else State.from_dict(saved["state"], device)
        widths = self.parameters.n_factors * self.parameters.fits
        for number in range(len(fits), len(widths)):
            first = state or self._start(samples, organ_of, widths[number], training.seed + number)
            name = f"joint {number + 1}/{len(widths)}"
            for state, row in self._iterations(first, samples, organ_of, name):
                table.append({"fit": number, "n_factors": widths[number]} | row)
                every = self.parameters.checkpoint_every
                if every and state.iteration % every == 0:
                    done = [loadings.values() for loadings in fits]
                    checkpoint.write(
                        STATE, done=done, table=table, state=state.to_dict(),
                        noise_freedom=self.noise_freedom, silent=saved["silent"],
                    )  # fmt: skip
            LOGGER.info("%s: %d factors, %d iterations", name, widths[number], state.iteration)
            fits.append(state.loadings.without(self._too_few(training.cohort)))
            state = None
        self.fits = [loadings.to("cpu") for loadings in fits]
        return pd.DataFrame(table)

    def _choose(self, training: Training) -> dict:
        """Choose the noise's freedom by donors left out of a fit; see which tissues tell nothing.

        Returns
        -------
        dict
            ``noise_freedom``; ``silent``, names of tissues; and ``table``, a row a trial and a row
            a tissue.
        """
        p = self.parameters
        table, told_by, trials = [], {}, {}
        if len(p.noise_freedom) == 1:
            return {"noise_freedom": p.noise_freedom[0], "silent": [], "table": table}
        training = _some_genes(training)
        inner, left_out = next(inner_folds(training, p.inner_folds))
        n_factors = sorted(p.n_factors)[len(p.n_factors) // 2]
        for freedom in p.noise_freedom:
            one = {"n_factors": (n_factors,), "noise_freedom": (freedom,), "fits": 1}
            model = Joint(p.model_copy(update=one))
            start = time.perf_counter()
            model.fit(inner)
            source, cohort = model.tissues[training.source], training.cohort
            rho = [told(model, cohort, left_out, source, by, MOST) for by in READINGS]
            # A plain number: what a training state holds is loaded without unpickling.
            rho = float(np.mean(rho))
            told_by[freedom] = -1.0 if np.isnan(rho) else rho
            trials[freedom] = model
            row = {"fit": "trial", "n_factors": n_factors, "noise_freedom": freedom}
            table.append(row | {"seconds": time.perf_counter() - start, "rho": rho})
        chosen = max(p.noise_freedom, key=told_by.get)
        alone = told_alone(trials[chosen], training.cohort, left_out)
        table += [
            {"fit": "from one tissue", "tissue": name, "rho": rho} for name, rho in alone.items()
        ]
        return {"noise_freedom": chosen, "silent": silent_tissues(alone), "table": table}

    def _samples(self, training: Training) -> Samples:
        """Scale the training samples and their donors' covariates."""
        cohort = training.cohort
        of_samples = [name for name in self.parameters.covariates
                      if name in cohort.samples and name not in cohort.donors]  # fmt: skip
        if of_samples:
            raise InputError(
                "covariates of a joint model",
                f"{', '.join(of_samples)}, which samples have",
                "columns of donors: factors are a person's, whichever samples there are",
            )
        first = np.full(len(cohort.donors), -1)
        first[cohort.donor[::-1]] = np.arange(cohort.n_samples)[::-1]
        sampled = np.flatnonzero(first >= 0)
        covariates = covariate_table(cohort, first[sampled], self.parameters.covariates)
        self.design = CovariateDesign.fit(covariates)
        self.provenance.notes["covariates"] = self.design.covariates
        kept = ~np.isin(cohort.tissue, self._too_few(cohort))
        return Samples.of(
            self.seen(cohort, np.flatnonzero(kept)),
            np.searchsorted(sampled, cohort.donor[kept]),
            cohort.tissue[kept],
            self.design.transform(covariates),
            len(self.tissues),
            choose_device(training.device),
        )

    def _too_few(self, cohort: Cohort) -> np.ndarray:
        """Tissues whose training samples are too few for z-scores of others to mean anything."""
        counts = np.bincount(cohort.tissue, minlength=len(self.tissues))
        return np.flatnonzero((counts > 0) & (counts < self.parameters.min_samples))

    def _start(self, samples: Samples, organ_of: torch.Tensor, n_factors: int, seed: int) -> State:
        p = self.parameters
        generator = torch.Generator().manual_seed(seed)
        own = 0.4 if p.own_effects else 0.0
        return State.start(
            Loadings.start(samples, organ_of, n_factors, p.noise_rank, own, generator),
            samples,
        )

    def _iterations(
        self, state: State, samples: Samples, organ_of: torch.Tensor, name: str
    ) -> Iterator[tuple[State, dict]]:
        """Iterate a fit to its end; yield its state and a row of the training table."""
        p = self.parameters
        sizes = [part.stop - part.start for part in samples.parts if part.stop > part.start]
        priors = Priors(
            p.factor_penalty * float(np.median(sizes or [1])),
            p.noise_penalty,
            p.own_penalty,
            p.variance_penalty,
        )
        start = time.perf_counter()
        # Most fits end before their last iteration.
        with Bar(p.iterations, "iteration", name, state.iteration) as bar:
            while state.iteration < p.iterations and not state.ended(p.tolerance, samples):
                state = iterate(
                    state, samples, organ_of, priors, p.own_effects, self.noise_freedom
                )
                bar.update()
                seconds = time.perf_counter() - start
                row = {"iteration": state.iteration, "bound": state.bound, "seconds": seconds}
                yield state, row

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Predict from the samples of each request, averaged over fits."""
        expr_z = np.zeros((len(requests), len(self.genes)), np.float32)
        self._add_up(inputs, requests, expr_z)
        return self._from_ranks(expr_z, requests)

    def predict_with_sd(self, inputs: Cohort, requests: Requests) -> tuple[np.ndarray, np.ndarray]:
        """As every model's: sds by which samples and covariates are given, not what they hold."""
        expr_z, variance = np.zeros((2, len(requests), len(self.genes)), np.float32)
        self._add_up(inputs, requests, expr_z, variance)
        # A slope may have either sign, or be 0.
        sd = np.abs(self._from_ranks(np.sqrt(variance), requests))
        return self._from_ranks(expr_z, requests), sd.clip(np.finfo(np.float32).tiny)

    def _add_up(
        self,
        inputs: Cohort,
        requests: Requests,
        expr_z: np.ndarray,
        variance: np.ndarray | None = None,
    ) -> None:
        """Add the means of all fits to `expr_z`, and their variances to `variance`."""
        covariates = self._covariates_of(inputs, requests)
        for tissues, members, rows, observed in self._same_given(inputs, requests, covariates):
            seen = self.seen(inputs, rows.ravel()).reshape(*rows.shape, len(self.genes))
            given = torch.from_numpy(seen), torch.from_numpy(covariates[members])
            known = ~np.isnan(covariates[members[0]])
            of_target = [
                (int(target), np.flatnonzero(requests.target[members] == target))
                for target in np.unique(requests.target[members])
            ]
            for loadings in self.fits:
                posterior = condition(loadings, tissues, observed, known)
                told_of = posterior.told(*given)
                for target, those in of_target:
                    mean = posterior.mean(target, told_of.of_donors(those))
                    expr_z[members[those]] += mean.numpy() / len(self.fits)
                    if variance is not None:
                        of_fit = posterior.variance(target).numpy()
                        variance[members[those]] += of_fit / len(self.fits)

    def _from_ranks(self, values: np.ndarray, requests: Requests) -> np.ndarray:
        """Bring what is of ranks, which the source was fitted on where they are asked, to z."""
        if self.ranks is not None:
            values[requests.target == self.ranks.tissue] *= self.ranks.slope
        return values

    def expected_variance(self, sources: Sequence[int], targets: Sequence[int]) -> np.ndarray:
        """As every model's; a tissue that training never saw tells nothing.

        All covariates are known, and every sample has all genes.
        """
        given = self._asked(np.array([sources], np.int64).reshape(1, -1))[0]
        tissues, total = given[given < len(self.tissues)].tolist(), 0.0
        for loadings in self.fits:
            posterior = condition(loadings, tissues, known=np.ones(len(self.design), bool))
            total += torch.stack([posterior.variance(target) for target in targets])
        return (total / len(self.fits)).numpy()

    def _asked(self, tissue: np.ndarray) -> np.ndarray:
        """Put ``len(tissues)`` for tissues that are not asked, ``(n_requests, n_sources)``.

        They are those that training never saw, and beside others those that tell nothing.
        """
        none = len(self.tissues)
        seen = np.append(np.isfinite(self.scaler.mean).all(1), False)
        tissue = np.where(seen[tissue], tissue, none)
        silent = np.append(self.silent, True)[tissue]
        return np.where(silent & ~silent.all(1, keepdims=True), none, tissue)

    def _covariates_of(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Standardised covariates of each request's donor, NaN where they are not known.

        Shape ``(n_requests, n_columns)``, float32.
        """
        names = self.design.covariates
        if not names or not len(requests):
            return np.zeros((len(requests), len(self.design)), np.float32)
        table = covariate_table(inputs, requests.source_rows[:, 0], names, requests.donor)
        return self.design.known(table).astype(np.float32)

    def _same_given(
        self, inputs: Cohort, requests: Requests, covariates: np.ndarray
    ) -> Iterator[tuple[list[int], np.ndarray, np.ndarray, torch.Tensor | None]]:
        """Yield source tissues, requests that have exactly these, samples' rows, observed genes.

        Of such requests the same columns of covariates are known. A sample of a tissue that is not
        asked is left out. Genes are ``(n_samples, n_genes)``, the same in all requests; None where
        none is missing.
        """
        none = len(self.tissues)
        rows = requests.source_rows
        tissue = self._asked(np.where(rows >= 0, inputs.tissue[rows], none))
        order = np.argsort(tissue, axis=1, kind="stable")
        tissue, rows = np.take_along_axis(tissue, order, 1), np.take_along_axis(rows, order, 1)
        lacks = _patterns_of_missing(inputs, rows)[rows]
        lacks = np.where(tissue < none, lacks, 0)
        parts = [tissue, lacks, np.isnan(covariates)]
        sets, member_of = np.unique(np.hstack(parts), axis=0, return_inverse=True)
        for index, described in enumerate(sets):
            tissues = described[: tissue.shape[1]]
            given, members = tissues[tissues < none], np.flatnonzero(member_of == index)
            used = rows[members, : len(given)]
            observed = None
            if described[tissue.shape[1] : 2 * tissue.shape[1]].any():
                observed = torch.from_numpy(~np.isnan(inputs.expr_tpm[used[0]]))
            yield given.tolist(), members, used, observed

    def state(self) -> dict[str, np.ndarray]:
        """Return the loadings of every fit, and how covariates are standardised."""
        arrays = {"design": self.design.to_array(), "silent": self.silent.astype(np.uint8)}
        for number, loadings in enumerate(self.fits):
            arrays |= loadings.arrays(f"fit/{number}/")
        return arrays

    def forget(self, tissues: np.ndarray) -> None:
        """Let some tissues tell nothing, and nothing be told of them."""
        self.fits = [loadings.without(tissues) for loadings in self.fits]

    def layout(self) -> Layout:
        """Return the loadings of every fit, and how covariates are standardised."""
        shape = len(self.tissues), len(self.genes)
        n_organs, rank = int(organs(self.tissues).max()) + 1, self.parameters.noise_rank
        silent = summary((len(self.tissues),), "uint8", 0, 1, optional=True)
        layout = {"design": DESIGN, "silent": silent}
        for number, n_factors in enumerate(self._widths):
            fit = loadings_layout(shape, n_organs, n_factors, rank)
            layout |= below(f"fit/{number}/", fit)
        return layout

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        self.design = CovariateDesign.from_array(state["design"])
        self.silent = np.asarray(state.get("silent", np.zeros(len(self.tissues)))).astype(bool)
        fits = range(len(self._widths))
        self.fits = [Loadings.from_arrays(state, f"fit/{number}/") for number in fits]
        for number, loadings in enumerate(self.fits):
            n_columns = len(loadings.covariates)
            name = f"fit/{number}/covariates"
            check_size(name, n_columns, len(self.design), "columns of the design")
