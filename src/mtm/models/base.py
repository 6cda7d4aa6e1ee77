"""The contract of every model: fitted once per fold, predicts any tissue from observed ones."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.ranks import RankScaler
from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError, shown
from mtm.models.bundle import write_bundle
from mtm.models.certificate import PREFIX, Certificate
from mtm.models.cut import what_is_cut
from mtm.models.donors import DonorsKey, TrainingDonors
from mtm.models.header import CardHeader
from mtm.models.layout import Layout, check_scaler, check_shapes, individual_arrays, summary
from mtm.models.provenance import Provenance
from mtm.models.reference import PREFIX as REFERENCE
from mtm.models.reference import Reference
from mtm.settings.models.base import ModelParameters
from mtm.settings.scaling import Scaling
from mtm.vocabulary import Measure, Scale, SourceChoice

RANKS, RANK_ARRAYS = "ranks/", ("medians", "mean", "sd", "slope")
# Means and sds of values on a scale of their own: logarithms and z-scores are far below.
LARGEST_OWN = 1e6


@dataclass(frozen=True)
class Requests:
    """What to predict: one row a prediction.

    Parameters
    ----------
    source_rows
        Rows of the input cohort that each prediction may see, shape
        ``(n_requests, max_sources)``, int64, padded with -1 at the end of a row.
    target
        Index of the tissue to predict, shape ``(n_requests,)``, int64.
    donor
        Row of the input cohort's `donors` that each prediction is of, shape ``(n_requests,)``,
        int64; None where every one has a sample that says so.
    """

    source_rows: np.ndarray
    target: np.ndarray
    donor: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.target)

    def of(self, part: slice) -> "Requests":
        """Return some of the requests."""
        donor = None if self.donor is None else self.donor[part]
        return Requests(self.source_rows[part], self.target[part], donor)

    def single_source(self, model: str) -> np.ndarray:
        """Return the one source row of each request, shape ``(n_requests,)``.

        Raises
        ------
        InputError
            A request names several sources, or none.
        """
        counts = (self.source_rows >= 0).sum(1)
        if len(counts) and (counts != 1).any():
            raise InputError(
                f"model {model}", f"{counts.max()} source tissues for one donor", "exactly one"
            )
        return self.source_rows[:, 0]


@dataclass
class Training:
    """What a model may use while it is fitted.

    Parameters
    ----------
    cohort
        Samples of the training donors, and of no other donor.
    source
        Index of the tissue that single-source models predict from.
    seed
        Seed of everything random in the fit.
    scaling
        How z-scores are made.
    sources
        What the model will be given of new donors, as `mtm.models.requests` has it.
    device
        ``"cpu"``, ``"cuda"`` or ``"auto"`` (a GPU where there is one).
    checkpoint
        Folder for training state of models that train for long; None keeps none.
    code
        Digest of the code that trains: a checkpoint is taken up by the same code alone.
    members
        Bundles of the models that one made of others takes, by their names in the run.
    donors_key
        What the members' bundles tell their training donors by.
    monitor
        Called by iterative models with the predictor every `monitor_every` steps; returns
        figures for the training table. It must not change what is learned.
    monitor_every
        In optimiser steps; 0 never calls `monitor`.
    for_others
        Whether new people will be predicted, so that `Reference` is wanted.
    """

    cohort: Cohort
    source: int
    seed: int = 0
    scaling: Scaling = Scaling()
    sources: SourceChoice | Sequence[str] = "source"
    device: str = "auto"
    checkpoint: Path | None = None
    code: str = ""
    members: Mapping[str, Path] = field(default_factory=dict)
    donors_key: DonorsKey | None = None
    monitor: Callable[["Predictor"], dict[str, float]] | None = None
    monitor_every: int = 0
    for_others: bool = True


class Predictor(ABC):
    """A model of expression in one tissue given others.

    A subclass is one file in ``mtm.models``, decorated with ``@register("name")``. Its
    hyper-parameters, `scale` among them, and what else the workflow must know of it are declared
    in ``mtm.settings.models`` under the same name and named here as `Parameters`. It fills the
    four methods below (`Untrained` needs `predict` alone). After `fit` or `load`, `tissues`,
    `genes`, `scaler` and `provenance` are set and `predict` needs nothing but the input.
    `certificate`, `reference` and `card` are set in bundles that have them.

    Parameters
    ----------
    parameters
        An instance of `Parameters`.
    """

    Parameters: ClassVar[type[ModelParameters]]
    name: ClassVar[str]
    # Whether `predict` takes inputs that have genes as NaN.
    takes_missing: bool = False
    # Members that are given the training mean for these; all else leaves them out.
    completed: tuple[str, ...] = ()
    # Tissues whose samples are used only where a person gave no other.
    used_alone: tuple[str, ...] = ()

    def __init__(self, parameters=None):
        self.parameters = self.Parameters() if parameters is None else parameters
        self.tissues: tuple[str, ...] = ()
        self.genes: pd.DataFrame = pd.DataFrame()
        self.scaler: TissueScaler | None = None
        # Of models that see ranks.
        self.ranks: RankScaler | None = None
        self.provenance = Provenance()
        self.certificate: Certificate | None = None
        self.reference: Reference | None = None
        self.card: CardHeader | None = None
        # What a bundle's header says of a certificate whose arrays are still to be read, and
        # whether it has a reference.
        self.certified: dict | None = None
        # What expression is measured in.
        self.measure: Measure = "tpm"
        self.referred = False

    @property
    def scale(self) -> Scale:
        """Scale of what `predict` returns."""
        return self.parameters.scale

    @property
    def given_missing(self) -> bool:
        """Whether genes that inputs lack stay NaN for it; others are given the training mean."""
        return self.takes_missing or self.ranks is not None

    @property
    def several_sources(self) -> bool:
        """Whether `predict` takes several samples of a donor."""
        return self.parameters.several_sources

    @property
    def own_sd(self) -> bool:
        """Whether `predict_with_sd` gives sds."""
        return self.parameters.own_sd

    @property
    def used_covariates(self) -> tuple[str, ...]:
        """Covariates of donors and samples that predictions are made of."""
        return ()

    @property
    def known(self) -> np.ndarray:
        """Tissues that it was trained on and still knows, ``(n_tissues,)``, bool."""
        return ~np.isnan(self.scaler.mean).all(1)

    @property
    def known_tissues(self) -> tuple[str, ...]:
        """Names of the tissues that are `known`."""
        return tuple(self.tissues[place] for place in np.flatnonzero(self.known))

    @property
    def cut(self) -> str:
        """What this form for others lacks of the model it was made from; empty where nothing."""
        return what_is_cut(self.provenance.notes)

    def fit(self, training: Training) -> pd.DataFrame:
        """Fit on training donors; return the training table (one row an epoch or evaluation)."""
        cohort = training.cohort
        self.tissues, self.genes, self.measure = cohort.tissues, cohort.genes, cohort.measure
        self.provenance = replace(
            self.provenance,
            seed=training.seed,
            source=cohort.tissues[training.source],
            training_donors=TrainingDonors.of(cohort.donors.index),
        )
        self.scaler = cohort.scaler(self.scale, training.scaling)
        if self.parameters.from_ranks:
            self.ranks = self._fit_ranks(training)
        if training.for_others:
            self.reference = Reference.fit(cohort, self.scale, training.scaling)
        return self._fit(training)

    def _fit_ranks(self, training: Training) -> RankScaler:
        cohort, source = training.cohort, training.source
        rows = np.flatnonzero(cohort.tissue == source)
        if not len(rows):
            raise InputError(
                f"model {self.name}", f"no training sample of {cohort.tissues[source]}",
                "some, as their ranks are what it sees",
            )  # fmt: skip
        expr_tpm = cohort.expr_tpm[rows]
        expr_z = self.scaler.transform(expr_tpm, cohort.tissue[rows])
        return RankScaler.fit(expr_tpm, expr_z, source, cohort.measure)

    def seen(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return samples as the model sees them, ``(n_rows, n_genes)``, float32.

        z-scores; of the source's samples ranks, where the parameters say so (methods 6.25). Of
        such a model genes that a sample lacks are at the training mean, unless `takes_missing`.
        """
        expr_tpm, tissue = inputs.expr_tpm[rows], inputs.tissue[rows]
        expr_z = self.scaler.transform(expr_tpm, tissue)
        if self.ranks is None:
            return expr_z
        expr_z = self.ranks.put_into(expr_z, expr_tpm, tissue)
        return expr_z if self.takes_missing else np.nan_to_num(expr_z, copy=False)

    @abstractmethod
    def _fit(self, training: Training) -> pd.DataFrame:
        """Fit; `tissues`, `genes`, `scaler` and `provenance` are set already."""

    @abstractmethod
    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Predict expression.

        Parameters
        ----------
        inputs
            Samples the requests point into, with this model's genes and tissues in its order.
        requests
            Sources and target of every prediction.

        Returns
        -------
        np.ndarray
            Shape ``(n_requests, n_genes)``, float32, in `scale` of the target tissue.
        """

    def expected_variance(
        self, sources: Sequence[int], targets: Sequence[int]
    ) -> np.ndarray | None:
        """Variance of new samples of `targets` of a person who gave samples of `sources`.

        Returns
        -------
        np.ndarray or None
            Shape ``(n_targets, n_genes)``, z-scores of each target squared; None where the model
            has no such thing.
        """
        return None

    def predict_with_sd(
        self, inputs: Cohort, requests: Requests
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict, and say what sd the model itself gives each prediction.

        Models that do so declare ``own_sd``. It may depend on what is known of a person; its
        scale need not be right, as intervals are calibrated (methods 6.11).

        Parameters
        ----------
        inputs, requests
            As of `predict`.

        Returns
        -------
        np.ndarray
            As `predict` returns it.
        np.ndarray or None
            Sds, as the predictions, above 0; None where the model has no such thing.
        """
        return self.predict(inputs, requests), None

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything learned, as named arrays; the scaler is kept by the base class."""

    @abstractmethod
    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` of an equal model returned."""

    def header(self, key: DonorsKey | None = None) -> dict:
        """Everything that a bundle holds beside arrays, of plain values; ids told by `key`."""
        parts = {"certificate": self.certificate, "reference": self.reference}
        known = {name: part.header() for name, part in parts.items() if part is not None}
        if self.card is not None:
            known["card"] = self.card.model_dump()
        return known | {
            "model": self.name,
            "scale": self.scale,
            "clip": self.scaler.clip,
            "measure": self.scaler.measure,
            "parameters": self.parameters.model_dump(),
            "tissues": list(self.tissues),
            "gene_ids": list(self.genes.index),
            "symbols": [str(symbol) for symbol in self.genes["symbol"]],
            "provenance": self.provenance.header(key),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of a bundle: what was learned, the scaler, certificate and reference."""
        arrays = self.state() | {"scaler/mean": self.scaler.mean, "scaler/sd": self.scaler.sd}
        if self.ranks is not None:
            arrays |= {f"{RANKS}{name}": getattr(self.ranks, name) for name in RANK_ARRAYS}
        for part in (self.certificate, self.reference):
            arrays |= {} if part is None else part.arrays()
        return arrays

    def save(self, path: str | Path, key: DonorsKey | None = None) -> None:
        """Write the bundle; prediction needs nothing else.

        Parameters
        ----------
        path
            The file.
        key
            What digests of the training donors' ids are made with; without it the bundle tells
            their number alone, and not whom it may be tested on.

        Raises
        ------
        InputError
            An array is not what the model's layout says, and so could not be read again.
        """
        arrays = self.arrays()
        shapes = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
        check_shapes(self.whole_layout(), shapes, len(self.tissues))
        write_bundle(path, self.header(key), arrays)

    def individual_arrays(self) -> list[str]:
        """Return the names of the arrays that hold single people."""
        return individual_arrays(self.whole_layout(), self.arrays(), len(self.tissues))

    def few_samples(self, fewest: int) -> np.ndarray:
        """Return which tissues that the model knows have fewer training samples than `fewest`.

        Their mean and sd are of so few people that they tell of each: of 1 or 2 all.

        Raises
        ------
        InputError
            The bundle does not know how many samples its tissues have.
        """
        if self.reference is None:
            raise InputError(
                f"model {self.name}", "no numbers of training samples", "a bundle with them"
            )
        counts = self.reference.n_samples
        return self.known & (counts > 0) & (counts < fewest)

    def forget(self, tissues: np.ndarray) -> None:  # noqa: B027 (most classes need none)
        """Drop what was learned of some tissues, by number, alone; other parts stay as they are.

        Models in which it stands apart have this.
        """

    def shareable(self, rank: int, fewest: int) -> Self:
        """Return a model that predicts alike and holds summary statistics alone (methods 6.7).

        Parameters
        ----------
        rank
            Directions of the source's expression to keep, where that is the choice.
        fewest
            Training samples that a tissue needs for anything to be told of it; the model does not
            know the others any more, but for their names (`known`).

        Raises
        ------
        InputError
            The model predicts from single people.
        """
        if held := self.individual_arrays():
            raise InputError(
                f"model {self.name}",
                f"arrays of single people ({shown(held)})",
                "summary statistics",
                "It predicts from the training donors' own values: no form of it lacks them.",
            )
        model, few = copy(self), self.few_samples(fewest)
        source = self.tissues.index(self.provenance.source)
        if few[source]:
            n = f"{self.reference.n_samples[source]} training samples of {self.provenance.source}"
            raise InputError(f"model {self.name}", n, f"{fewest} or more")
        mean, sd = self.scaler.mean.copy(), self.scaler.sd.copy()
        mean[few] = sd[few] = np.nan
        model.scaler = replace(self.scaler, mean=mean, sd=sd)
        if self.certificate is not None:
            model.certificate = self.certificate.without(few)
        model.reference = self.reference.without(few)
        if self.card is not None:
            model.card = self.card.without(np.array(self.tissues)[few])
        model.forget(np.flatnonzero(few))
        return model

    def layout(self) -> Layout:
        """Arrays that `state` returns; parameters, tissues and genes are known, nothing else.

        A bundle with other arrays is refused before one of them is read.
        """
        return {}

    def whole_layout(self) -> Layout:
        """All arrays of a bundle, as `arrays` returns them."""
        shape = len(self.tissues), len(self.genes)
        # 2^32 TPM are a thousand times what all genes of a sample have together.
        least, most = 0.0, 32.0 if self.scale == "log2_z" else 2.0**32
        if self.measure == "own":
            most, least = LARGEST_OWN, -LARGEST_OWN
        scaler = {
            "scaler/mean": summary(shape, low=least, high=most, missing=True),
            "scaler/sd": summary(shape, above=0.0, high=most, missing=True),
        }
        if self.parameters.from_ranks:
            size = shape[1:]
            ranks = (
                summary(size, low=least, high=most), summary(size, low=-10.0, high=10.0),
                summary(size, above=0.0, high=10.0), summary(size, low=-100.0, high=100.0),
            )  # fmt: skip
            scaler |= {f"{RANKS}{n}": array for n, array in zip(RANK_ARRAYS, ranks, strict=True)}
        header = self.certified if self.certificate is None else self.certificate.header()
        certified = {} if header is None else Certificate.layout(shape, header)
        referred = Reference.layout(shape) if self.referred or self.reference else {}
        return dict(self.layout()) | scaler | certified | referred

    def describe(self, header: dict, key: DonorsKey | None = None) -> None:
        """Take over what a header says; `key` tells who the training donors were."""
        self.tissues = tuple(header["tissues"])
        self.genes = pd.DataFrame(
            {"symbol": header["symbols"]}, index=pd.Index(header["gene_ids"], name="gene_id")
        )
        self.provenance = Provenance.of(header["provenance"], key)
        self.certified = header.get("certificate")
        self.measure = header.get("measure", "tpm")
        self.referred = header.get("reference") is not None
        self.card = None if (card := header.get("card")) is None else CardHeader.of(card)

    def take_over(self, header: dict, arrays: dict[str, np.ndarray]) -> None:
        """Become the model that gave `header` and `arrays`; it is described already."""
        mean, sd = arrays["scaler/mean"], arrays["scaler/sd"]
        check_scaler(mean, sd)
        self.scaler = TissueScaler(header["scale"], mean, sd, header["clip"], self.measure)
        if self.parameters.from_ranks:
            source = self.tissues.index(self.provenance.source)
            ranks = (arrays[f"{RANKS}{name}"] for name in RANK_ARRAYS)
            self.ranks = RankScaler(source, *ranks, self.measure)
        self.certificate = Certificate.of(header, arrays)
        self.reference = Reference.of(header, arrays)
        apart = "scaler/", RANKS, PREFIX, REFERENCE
        self.restore({k: v for k, v in arrays.items() if not k.startswith(apart)})


class Untrained(Predictor):
    """A model that learns nothing beside the scaler."""

    def _fit(self, training: Training) -> pd.DataFrame:
        return pd.DataFrame({"epoch": [0]})

    def state(self) -> dict[str, np.ndarray]:
        """No learned arrays."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing to take over."""
