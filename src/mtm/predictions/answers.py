"""What a model says of new people: who is told which tissue from what, and how far to trust it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import log2_tpm
from mtm.cohort.tables import SAMPLE_COVARIATES
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests
from mtm.models.certificate import Certificate
from mtm.models.cut import of_the_whole
from mtm.models.requests import predict_in_blocks, predict_with_sd_in_blocks
from mtm.predictions.gene_overlap import GeneChoice
from mtm.predictions.new_people import targets_of, tissue_called, tissue_of
from mtm.predictions.sample_tables import SAMPLE_COLUMNS, absent_covariates
from mtm.predictions.samples import NewSamples, let_go
from mtm.vocabulary import RELIABILITY

# Values of one kind that are held at a time.
BLOCK_VALUES = 1 << 21
LARGEST_BLOCK = 8192
# What stands for a person and tissue.
PERSON = ("donor", "sample_id", "source", "target")
BETWEEN = ";"
# What stands for every tissue that can be told.
ALL = "all"


@dataclass(frozen=True)
class Block:
    """Answers of some persons and tissues, genes as columns.

    Parameters
    ----------
    part
        Rows of `Answers.rows`.
    z, low_z, high_z
        z-scores in the target tissue on the model's scale, and the ends of the widest interval,
        ``(n_rows, n_genes)``, float32; NaN where there is none.
    log2, tpm, low_tpm, high_tpm
        The same as log2(1+TPM) and as TPM; of a model trained on values on a scale of their own,
        as such values, all of them.
    """

    part: slice
    z: np.ndarray
    log2: np.ndarray
    tpm: np.ndarray
    low_z: np.ndarray
    high_z: np.ndarray
    low_tpm: np.ndarray
    high_tpm: np.ndarray


@dataclass(frozen=True)
class Answers:
    """Everything that is asked of a model about new people.

    Parameters
    ----------
    model
        A fitted model.
    inputs
        Their samples.
    requests
        What is predicted from what, people one after the other.
    rows
        One row a request: `PERSON`; several samples and sources stand in one field.
    choice
        Genes that are told.
    """

    model: Predictor
    inputs: Cohort
    requests: Requests
    rows: pd.DataFrame
    choice: GeneChoice

    @property
    def genes(self) -> pd.DataFrame:
        """Genes that are told in any tissue, indexed by id: ``symbol``."""
        return self.model.genes.iloc[self.choice.columns]

    @property
    def in_tpm(self) -> bool:
        """Whether predictions are TPM; else values on the scale that the model was trained on."""
        return self.model.measure == "tpm"

    @cached_property
    def targets(self) -> list[str]:
        """Tissues that are told, in order."""
        return list(dict.fromkeys(self.rows["target"]))

    @cached_property
    def certified(self) -> np.ndarray:
        """Of which rows the bundle's certificate speaks, ``(n_rows,)``, bool."""
        sources = self.rows["source"]
        spoken = {text: speaks_of(self.model, text) for text in sources.unique()}
        return sources.map(spoken).to_numpy(bool)

    @property
    def certificate(self) -> Certificate | None:
        """What is known of the reliability of these predictions; None where nothing is."""
        return self.model.certificate if self.certified.any() else None

    @property
    def n_told(self) -> np.ndarray:
        """How many genes are told in each row, ``(n_rows,)``."""
        if self.choice.shown is None:
            return np.full(len(self.rows), len(self.choice.columns))
        of_tissue = self.choice.shown[:, self.choice.columns].sum(1)
        return np.where(self.certified, of_tissue[self.requests.target], 0)

    def of_reliable(self) -> "Answers":
        """Leave genes that the choice shows nowhere out of what is told.

        Raises
        ------
        InputError
            None is left, as the certificate speaks of nobody's samples or of no such gene.
        """
        asked = "--min-reliability"
        if not self.certified.any():
            found = f"samples of {', '.join(self.rows['source'].unique()[:5])} alone"
            expected = "people of whose predictions reliability is known"
            raise InputError(asked, found, expected, f"There are {trust(self)}.")
        told = np.unique(self.requests.target[self.certified])
        reliable = self.choice.shown[np.ix_(told, self.choice.columns)].any(0)
        if not reliable.any():
            rho = self.certificate.expected_rho[np.ix_(told, self.choice.columns)]
            most = f", at most {np.nanmax(rho):.2f} expected" * bool(np.isfinite(rho).any())
            names = ", ".join(self.model.tissues[i] for i in told[:5])
            raise InputError(
                asked, f"no such gene of {names}", f"what some gene of them reaches{most}"
            )
        columns = self.choice.columns[reliable]
        return replace(self, choice=replace(self.choice, columns=columns))

    def reliability(self, targets: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Correlation to expect and class of each gene.

        Returns
        -------
        np.ndarray, np.ndarray
            Each ``(n_targets, n_genes)``: float32, NaN where unknown; int8, position in
            `RELIABILITY`, -1 where unknown.
        """
        indices = [tissue_of(self.model, name) for name in targets]
        shape = len(indices), len(self.choice.columns)
        if self.certificate is None:
            return np.full(shape, np.nan, np.float32), np.full(shape, -1, np.int8)
        cells = np.ix_(indices, self.choice.columns)
        rho = self.certificate.expected_rho[cells]
        classes = self.certificate.reliability[cells].astype(np.int8)
        return rho, np.where(np.isnan(rho), np.int8(-1), classes)

    def blocks(self) -> Iterator[Block]:
        """Predict, some persons and tissues at a time.

        Raises
        ------
        InputError
            A prediction is not finite.
        """
        size = max(1, min(LARGEST_BLOCK, BLOCK_VALUES // max(len(self.model.genes), 1)))
        start = 0
        for expr_z, sd in self._predicted(size):
            part = slice(start, start + len(expr_z))
            yield self._block(part, expr_z, sd)
            let_go(self.inputs.expr_tpm)
            start = part.stop

    def _predicted(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield predictions, and the sds that intervals are in units of, if they are."""
        asked = self.model, self.inputs, self.requests, size
        if self.certificate is not None and self.certificate.own_sd:
            return predict_with_sd_in_blocks(*asked)
        return ((expr_z, None) for expr_z in predict_in_blocks(*asked))

    def _block(self, part: slice, expr_z: np.ndarray, sd: np.ndarray | None) -> Block:
        """Bring predictions to all scales, with their intervals."""
        columns, requests = self.choice.columns, self.requests.of(part)
        low_z = high_z = np.full_like(expr_z, np.nan)
        if self.certificate is not None:
            told, place = np.unique(requests.target, return_inverse=True)
            half = np.stack([self.certificate.half_width(target) for target in told])[place]
            if sd is not None:
                half = half * sd
            half = np.where(self.certified[part, None], half, np.nan)
            low_z, high_z = expr_z - half, expr_z + half
        in_tpm = [
            self.model.scaler.inverse(values, requests.target)[:, columns]
            for values in (expr_z, low_z, high_z)
        ]
        z = [values[:, columns] for values in (expr_z, low_z, high_z)]
        if self.choice.shown is not None:
            hidden = ~self.choice.shown[requests.target][:, columns] | ~self.certified[part, None]
            for values in (*z, *in_tpm):
                values[hidden] = np.nan
        log2 = log2_tpm(in_tpm[0], self.model.measure)
        return Block(part, z[0], log2, in_tpm[0], z[1], z[2], *in_tpm[1:])


def speaks_of(model: Predictor, source: str) -> bool:
    """Whether the bundle's certificate speaks of predictions from these sources.

    It speaks of those it is of. Of a model with an sd of its own it also speaks where samples are
    added to that of its one tissue: the sd says what they tell, and reliability is at least that
    without them (methods 6.11).

    Parameters
    ----------
    source
        Tissues of a person's samples, as a field of `Answers.rows`.
    """
    known = model.certificate
    if known is None:
        return False
    added = known.own_sd and len(known.sources) == 1
    return known.covers(source) or (added and known.sources[0] in source.split(BETWEEN))


def inputs_of(model: Predictor, samples: NewSamples) -> Cohort:
    """Wrap new samples as input of a model; donors in order of their first sample.

    Raises
    ------
    InputError
        A person is of two sexes, or of two classes of death.
    """
    table = samples.table
    donors = pd.Index(table["donor"].unique(), name="donor")
    covariates = table.drop(columns=list(SAMPLE_COLUMNS))
    absent = absent_covariates(model, table)
    if not model.parameters.of_covariates_alone or len(absent) < len(model.used_covariates):
        # What nobody has is missing for all; a model of nothing else refuses it.
        covariates = covariates.assign(**dict.fromkeys(absent, np.nan))
    of_people = covariates.groupby(table["donor"], sort=False)
    # What differs between a person's samples is of the sample that is predicted from.
    several = of_people.nunique() > 1
    for name in ("sex", "hardy"):
        if name in several and several[name].any():
            person = several[name].idxmax()
            values = covariates[name][table["donor"] == person].dropna().unique()
            found = " and ".join(map(str, values[:2]))
            raise InputError(f"samples of {person}, {name}", found, "one value a person")
    differs = several.any()
    for name in covariates.columns.difference(SAMPLE_COVARIATES):
        known = covariates[name].notna()
        covariates[name] = covariates[name].where(known, of_people[name].transform("first"))
    own = [name for name in covariates if name in SAMPLE_COVARIATES or differs[name]]
    return Cohort(
        expr_tpm=samples.expr_tpm,
        samples=covariates.set_index(pd.Index(table["sample_id"], name="sample_id")),
        donor=donors.get_indexer(table["donor"]).astype(np.int64),
        tissue=pd.Index(model.tissues).get_indexer(table["tissue"]).astype(np.int64),
        donors=of_people.first().drop(columns=own).set_index(donors),
        tissues=model.tissues,
        genes=model.genes,
        measure=model.measure,
    )


def targets_for(model: Predictor, samples: NewSamples, asked: Sequence[str] | None) -> list[str]:
    """Names of the tissues to tell: those asked for, or all that somebody has a sample beside.

    Raises
    ------
    InputError
        One is unknown, or nobody has a sample of another tissue to tell it from.
    """
    given = [*dict.fromkeys(samples.table["tissue"])]
    if not model.several_sources:
        given = [model.provenance.source]
    alone = given[0] if len(given) == 1 else None
    if not asked or ALL in asked:
        targets = targets_of(model, alone)
        if not targets:
            found = f"no tissue but {alone}"
            raise InputError(f"model {model.name}", found, "a model of several tissues")
        return targets
    targets = list(dict.fromkeys(tissue_called(model, name) for name in asked))
    if alone in targets:
        raise InputError("target", repr(alone), "a tissue other than the source")
    return targets


def ask(
    model: Predictor, samples: NewSamples, targets: Sequence[str], choice: GeneChoice
) -> tuple[Answers, list[str]]:
    """Ask for every target of every person who has a sample to tell it from.

    A model that takes several samples is given all of a person's but that of the target; any
    other that of the tissue it was trained to predict from.

    Returns
    -------
    Answers
        To be computed.
    list of str
        Who is told nothing.

    Raises
    ------
    InputError
        Nobody is told anything, or no gene as reliable as the choice demands.
    """
    inputs = inputs_of(model, samples)
    given = np.unique(inputs.tissue)
    if not model.several_sources:
        given = np.array([model.tissues.index(model.provenance.source)])
    row_of = inputs.row_of()[:, given]
    indices = np.array([tissue_of(model, name) for name in targets])
    source_rows = np.repeat(row_of, len(indices), axis=0)
    target = np.tile(indices, len(row_of))
    source_rows[given == target[:, None]] = -1
    kept = (source_rows >= 0).any(1)
    order = np.argsort(source_rows < 0, axis=1, kind="stable")
    packed = np.take_along_axis(source_rows, order, 1)[kept]
    width = max(int((packed >= 0).sum(1).max(initial=0)), 1)
    requests = Requests(packed[:, :width], target[kept])
    donors = np.repeat(np.arange(len(row_of)), len(indices))[kept]
    silent = np.setdiff1d(np.arange(len(row_of)), donors)
    if not len(requests):
        raise InputError(
            "samples", "no sample to tell a target from", "a sample of another tissue a person"
        )
    rows = _describe(inputs, requests, donors, np.array(model.tissues, dtype=object))
    answers = Answers(model, inputs, requests, rows, choice)
    answers = answers if choice.shown is None else answers.of_reliable()
    return answers, list(inputs.donors.index[silent])


def _describe(
    inputs: Cohort, requests: Requests, donors: np.ndarray, names: np.ndarray
) -> pd.DataFrame:
    """Return `PERSON` of each request."""
    used, place = np.unique(requests.source_rows, axis=0, return_inverse=True)
    sample_ids = inputs.samples.index.to_numpy()
    of_set = [rows[rows >= 0] for rows in used]
    return pd.DataFrame(
        {
            "donor": inputs.donors.index.to_numpy()[donors],
            "sample_id": np.array(
                [BETWEEN.join(dict.fromkeys(sample_ids[rows])) for rows in of_set], dtype=object
            )[place],
            "source": np.array(
                [BETWEEN.join(names[inputs.tissue[rows]]) for rows in of_set], dtype=object
            )[place],
            "target": names[requests.target],
        }
    )


def trust(answers: Answers) -> str:
    """Say in a line what intervals and reliability rest on, or why there are none."""
    known = answers.model.certificate
    if known is None:
        return "no intervals and no reliability: the bundle has no certificate"
    names = ", ".join(known.sources)
    if answers.certificate is None:
        return f"no intervals and no reliability: the certificate is of predictions from {names}"
    spoken = set(answers.rows["source"][answers.certified])
    beside = ""
    if not all(known.covers(source) for source in spoken):
        beside = f"; reliability is what {names} alone gives, more samples tell no less on average"
    if not answers.certified.all():
        beside += f"; none of predictions without {names}"
    if answers.model.cut:
        beside += f"; both {of_the_whole(answers.model.cut)}, and may be too good"
    return (
        f"{known.levels[-1]:.0%} intervals and reliability from up to {known.n_donors.max()} "
        f"held-out donors a tissue{beside}"
    )


def of_class(codes: np.ndarray) -> np.ndarray:
    """Name of each class of reliability, None where it is not known."""
    return np.array([*RELIABILITY, None], dtype=object)[codes]
