"""People outside the training, joined to the training donors as one held-out fold.

The joined cohort has the files of any cohort. Training donors are never held out, external ones
are in fold 0, so that whatever reads held-out predictions reads these, and z-scores are made with
the statistics of the training donors (methods 6.14).
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from mtm.cohort.cohort import Cohort
from mtm.cohort.filters import check_source
from mtm.cohort.folds import NEVER_HELD_OUT
from mtm.cohort.parts import donors_with
from mtm.errors import InputError
from mtm.io import atomic_path, read_tsv, write_tsv
from mtm.models.base import Predictor, Requests
from mtm.models.requests import held_out_requests, predict_in_blocks
from mtm.predictions.alignment import align_moments
from mtm.predictions.files import write_matrix
from mtm.predictions.gene_overlap import match_genes
from mtm.predictions.held_out import read_rows
from mtm.predictions.new_people import align_expression, new_inputs
from mtm.settings.transfer import Alignment
from mtm.vocabulary import MIN_OVERLAP, RAN, SKIPPED

log = logging.getLogger(__name__)

EXTERNAL_FOLD = 0
BLOCK_SAMPLES = 1024
TISSUES = ["tissue", "n_samples", "n_pairs", "n_training_samples", "n_genes", "status", "reason"]


@dataclass(frozen=True)
class People:
    """Some samples of a cohort's files, and their donors.

    Parameters
    ----------
    expression
        ``cohort/expression.h5ad``.
    samples
        One row a sample, indexed by its id: ``donor``, ``tissue``, covariates, and ``row``, its
        place in the file.
    donors
        ``cohort/donors.tsv`` of these donors, indexed by donor id.
    genes
        Genes of the file, indexed by id: ``symbol``.
    uns
        What the file says of its values: ``scale`` and ``units``.
    """

    expression: Path
    samples: pd.DataFrame
    donors: pd.DataFrame
    genes: pd.DataFrame
    uns: dict[str, str]

    @classmethod
    def read(cls, expression: str | Path, donors: str | Path) -> "People":
        """Read everything of a cohort but its expression."""
        with h5py.File(expression) as file:
            samples, genes = read_elem(file["obs"]), read_elem(file["var"])[["symbol"]]
            uns = {"scale": "tpm", "units": "TPM"} | dict(read_elem(file["uns"]))
        for name in samples.columns[samples.dtypes == "category"]:
            samples[name] = samples[name].astype(object)
        table = read_tsv(donors, ["donor"], dtype={"donor": str}).set_index("donor")
        samples = samples.assign(row=np.arange(len(samples)))
        return cls(Path(expression), samples.rename_axis("sample_id"), table, genes, uns)

    def of_donors(self, donors: Collection[str]) -> "People":
        """Return the samples of some donors alone."""
        kept = self.samples["donor"].isin(list(donors))
        return replace(
            self,
            samples=self.samples[kept],
            donors=self.donors[self.donors.index.isin(list(donors))],
        )

    def split(self, column: str, values: Sequence[str | int]) -> tuple["People", "People"]:
        """Part those who have none of `values` from those who do, in any of their samples.

        Parameters
        ----------
        column
            Of the samples or donors.
        values
            Compared as text, so that 0, 0.0 and "0" are one.

        Raises
        ------
        InputError
            There is no such column, or nobody has one of the values.
        """
        inside = donors_with(self.samples, self.donors, column, values)
        return self.of_donors(set(self.donors.index) - inside), self.of_donors(inside)


def join_people(
    training: People,
    external: People,
    *,
    source: str,
    min_donors: int,
    min_gene_overlap: float = MIN_OVERLAP,
    out_expression: str | Path,
    out_donors: str | Path,
    out_folds: str | Path,
    out_tissues: str | Path,
) -> pd.DataFrame:
    """Write training donors and external people as one cohort on the genes that both have.

    Parameters
    ----------
    training, external, source
        Who is trained on, who is predicted, and from which tissue.
    min_donors
        Who have a tissue beside the source, at least; and at least so many training samples.
    min_gene_overlap
        Least share of the training cohort's genes that the external people's file has.
    out_expression, out_donors, out_folds
        Files of a cohort (docs/contracts.md), samples of the source and of tissues that run:
        where none does, of the source alone.
    out_tissues
        What is returned.

    Returns
    -------
    pd.DataFrame
        One row a tissue of theirs but the source, `TISSUES`; without a tissue where there is none.

    Raises
    ------
    InputError
        A donor or a sample is on both sides, nobody who has the source is left to train on, or
        genes do not match; nothing is written then.
    """
    _refuse_common(training, external)
    check_source(set(training.samples["tissue"]), source, training.expression)
    found, columns = _common_genes(training, external, min_gene_overlap)
    tissues = _tissues(training, external, source, min_donors).assign(n_genes=len(found))[TISSUES]
    _tell_absent_covariates(training, external)
    kept = [source, *tissues["tissue"][tissues["status"] == RAN]]
    sides = [
        (side.expression, side.samples[side.samples["tissue"].isin(kept)], genes)
        for side, genes in ((training, found), (external, columns))
    ]
    donors = pd.concat(
        [training.donors.assign(fold=NEVER_HELD_OUT), external.donors.assign(fold=EXTERNAL_FOLD)]
    )
    donors = donors.sort_index().rename_axis("donor").reset_index()
    with atomic_path(out_expression) as temporary:
        _write_expression(temporary, sides, training.genes.iloc[found], training.uns)
        write_tsv(donors.drop(columns="fold"), out_donors)
        write_tsv(donors[["donor", "fold"]], out_folds)
        write_tsv(tissues, out_tissues)
    return tissues


def _write_expression(
    path: Path,
    sides: Sequence[tuple[Path, pd.DataFrame, np.ndarray]],
    genes: pd.DataFrame,
    uns: dict[str, str],
) -> None:
    """Write samples of several files, each with the columns of its genes, one under the other."""
    samples = pd.concat([rows for _, rows, _ in sides]).drop(columns="row")
    samples = samples.astype(dict.fromkeys(samples.select_dtypes("object"), "category"))
    blocks = (block for side in sides for block in _blocks(*side))
    write_matrix(path, blocks, samples, genes, uns)


def _common_genes(
    training: People, external: People, min_overlap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the genes that both files have, in each."""
    where = external.expression
    columns, overlap = match_genes(training.genes, external.genes.index, min_overlap, where)
    log.info("%s: %s", where, overlap)
    found = np.flatnonzero(columns >= 0)
    return found, columns[found]


def _refuse_common(training: People, external: People) -> None:
    """Raise if a donor or a sample is on both sides, or one side is empty."""
    common = training.donors.index.intersection(external.donors.index).sort_values()
    if len(common):
        raise InputError(
            external.expression,
            f"{len(common)} donors of the training cohort: {', '.join(common[:5])}",
            "donors whom no model was trained on",
            "Leave them out, or, if they are other people with the same names, rename them.",
        )
    for sample in training.samples.index.intersection(external.samples.index)[:1]:
        raise InputError(
            external.expression, f"sample {sample}, as in the training cohort", "other names"
        )
    if training.uns["scale"] != external.uns["scale"]:
        raise InputError(
            external.expression,
            f"values in {external.uns['units']}",
            f"values in {training.uns['units']}, as of the training cohort",
        )
    if training.donors.empty:
        raise InputError(external.expression, "every donor held out", "donors left to train on")


def _tissues(training: People, external: People, source: str, min_donors: int) -> pd.DataFrame:
    """Say of every external tissue whether it is scored, and why not."""
    with_source = set(external.samples["donor"][external.samples["tissue"] == source])
    trained = training.samples["tissue"].value_counts()
    rows = []
    for tissue, part in external.samples.groupby("tissue", sort=True):
        if tissue == source:
            continue
        n_pairs = int(part["donor"].isin(with_source).sum())
        n_training = int(trained.get(tissue, 0))
        reason = ""
        if not n_training:
            reason = "no training sample of this tissue"
        elif n_training < min_donors:
            reason = f"{n_training} training samples of this tissue, fewer than {min_donors}"
        elif n_pairs < min_donors:
            reason = f"{n_pairs} external donors with it and {source}, fewer than {min_donors}"
        rows.append(
            {
                "tissue": tissue,
                "n_samples": len(part),
                "n_pairs": n_pairs,
                "n_training_samples": n_training,
                "status": SKIPPED if reason else RAN,
                "reason": reason,
            }
        )
    if not rows:
        rows = [
            {"tissue": "", "n_samples": 0, "n_pairs": 0, "n_training_samples": 0}
            | {"status": SKIPPED, "reason": f"no external sample but of {source}"}
        ]
    return pd.DataFrame(rows, columns=[name for name in TISSUES if name != "n_genes"])


def _blocks(expression: Path, samples: pd.DataFrame, genes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield TPM of `samples` at the columns `genes`."""
    with h5py.File(expression) as file:
        for start in range(0, len(samples), BLOCK_SAMPLES):
            rows = samples["row"].to_numpy()[start : start + BLOCK_SAMPLES]
            yield read_rows(file["X"], rows)[:, genes]


def _tell_absent_covariates(training: People, external: People) -> None:
    """Log the covariates that the external people lack; models take them for missing."""
    absent = {*training.samples, *training.donors} - {*external.samples, *external.donors}
    if absent:
        log.warning(
            "%s: no column %s; missing for all of them",
            external.expression,
            ", ".join(sorted(absent)),
        )


def predict_external(
    model: Predictor, joined: Cohort, donors: Collection[str], source: str, alignment: Alignment
) -> tuple[Requests, np.ndarray, Iterator[np.ndarray]]:
    """Predict the observed tissues of external people from their source samples.

    The model is given source samples alone. Aligned, these have the mean and sd of every gene
    that the training donors' source samples have; all external source samples count.

    Parameters
    ----------
    model
        Fitted on the other donors of `joined`.
    joined
        From `join_people`.
    donors
        The external ones.
    source
        Tissue that is predicted from.
    alignment
        As `mtm.predictions.alignment.align_moments` describes it.

    Returns
    -------
    Requests, np.ndarray
        What is predicted, as `held_out_requests` returns it.
    Iterator of np.ndarray
        Predictions in blocks of requests, z in ``model.scale``, of the genes of `joined`.

    Raises
    ------
    InputError
        The model was trained on an external donor or without one of the others, lacks a gene,
        or predicts from another tissue.
    """
    _check_training(model, joined, donors)
    requests, target_rows = held_out_requests(joined, donors, source)
    is_source = joined.tissue == joined.tissue_index(source)
    external = joined.donors.index.isin(list(donors))[joined.donor]
    rows = np.flatnonzero(is_source & external)
    aligned = align_moments(
        joined.expr_tpm[rows], joined.expr_tpm[is_source & ~external], alignment, joined.measure
    )
    # Genes were matched, and their share demanded, when the cohorts were joined.
    complete, _ = align_expression(model, aligned, joined.genes.index, source, min_overlap=0)
    traits = joined.samples.iloc[rows]
    of_donors = joined.donors.iloc[joined.donor[rows]].set_axis(traits.index)
    inputs = new_inputs(
        model, complete, traits.index, source, pd.concat([of_donors, traits], axis=1)
    )
    place = pd.Series(np.arange(len(rows)), index=rows)
    asked = Requests(
        place[requests.source_rows[:, 0]].to_numpy()[:, None],
        pd.Index(model.tissues).get_indexer(np.array(joined.tissues)[requests.target]),
    )
    genes = model.genes.index.get_indexer(joined.genes.index)
    blocks = (block[:, genes] for block in predict_in_blocks(model, inputs, asked))
    return requests, target_rows, blocks


def _check_training(model: Predictor, joined: Cohort, donors: Collection[str]) -> None:
    """Raise unless the model was fitted on the donors of `joined` but `donors`."""
    everyone = joined.donors.index
    trained = everyone[model.provenance.training_donors.among(everyone)]
    seen = sorted(trained.intersection(list(donors)))
    if seen:
        raise InputError(
            f"model {model.name}",
            f"{len(seen)} of the external donors among its training donors: {', '.join(seen[:5])}",
            "a model trained without them",
        )
    missing = set(everyone) - set(donors) - set(trained)
    if missing or not joined.genes.index.isin(model.genes.index).all():
        raise InputError(
            f"cohort of model {model.name}",
            f"{len(missing)} donors, or genes, that it was not trained on",
            "its training donors and genes",
            "The cohort has changed since the training; train the model again.",
        )
