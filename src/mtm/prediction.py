"""From a fitted model to predictions: what to ask, the prediction file, and new people's data."""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import anndata
import h5py
import numpy as np
import pandas as pd

from mtm.cohort import Cohort
from mtm.errors import InputError
from mtm.gtex import gene_key, iter_expression_blocks, read_expression_header
from mtm.io import atomic_path
from mtm.models.base import Predictor, Requests
from mtm.scaling import UNITS, log2_tpm

log = logging.getLogger(__name__)

BLOCK = 256
MIN_OVERLAP = 0.8
# TPM of one sample add up to a million, so log2(1+TPM) stays below 20; no whole-transcriptome
# sample has its highest TPM below 30.
LARGEST_LOG2 = 20.0
SMALLEST_MAX_TPM = 30.0
LARGEST_TPM_SUM = 1.1e6

SourceChoice = Literal["source", "others"]
Units = Literal["tpm", "log2"]
OutputScale = Literal["z", "log2", "tpm"]
OUTPUT_SCALES: tuple[str, ...] = get_args(OutputScale)


def held_out_requests(
    cohort: Cohort,
    donors: Collection[str],
    source: str,
    sources: SourceChoice | Sequence[str] = "source",
) -> tuple[Requests, np.ndarray]:
    """Request every observed target tissue of held-out donors (methods 1.3).

    The predictions are the same samples whatever `sources` is, so that models are compared on
    equal terms: every tissue other than `source` of every donor in `donors` who has `source`.

    Parameters
    ----------
    cohort
        The whole cohort; requests point into its rows.
    donors
        Ids of the held-out donors.
    source
        Name of the tissue that single-source models predict from.
    sources
        - ``"source"``: `source` alone
        - ``"others"``: every tissue the donor has, except the target
        - tissue names: those of them the donor has, except the target; a sample for which none
          is left is dropped, and the log says how many were

    Returns
    -------
    Requests
        One request a prediction, in the order of the cohort's rows.
    np.ndarray
        Row of `cohort` that each request predicts, shape ``(n_requests,)``, int64.

    Raises
    ------
    InputError
        A tissue or donor is unknown, or a donor has two samples of one tissue.
    """
    source_index = cohort.tissue_index(source)
    unknown = sorted(set(donors) - set(cohort.donors.index))
    if unknown:
        raise InputError("held-out donors", unknown[0], "donors of the cohort")
    row_of = _rows_by_donor_and_tissue(cohort)
    held_out = cohort.donors.index.isin(list(donors)) & (row_of[:, source_index] >= 0)
    target_rows = np.flatnonzero(held_out[cohort.donor] & (cohort.tissue != source_index))
    target = cohort.tissue[target_rows]

    if sources == "source":
        allowed = [source_index]
    elif sources == "others":
        allowed = list(range(len(cohort.tissues)))
    elif isinstance(sources, str):
        raise InputError("sources", repr(sources), "'source', 'others' or a list of tissue names")
    else:
        allowed = [cohort.tissue_index(name) for name in dict.fromkeys(sources)]
    rows = row_of[cohort.donor[target_rows]][:, allowed]
    rows[np.asarray(allowed) == target[:, None]] = -1
    rows = np.take_along_axis(rows, np.argsort(rows < 0, axis=1, kind="stable"), axis=1)
    counts = (rows >= 0).sum(1)
    if (counts == 0).any():
        log.warning(
            "%d of %d samples have no other sample of their donor in %s and are not predicted",
            (counts == 0).sum(),
            len(counts),
            ", ".join(cohort.tissues[index] for index in allowed),
        )
    kept = counts > 0
    width = max(int(counts.max(initial=0)), 1)
    return Requests(rows[kept, :width], target[kept]), target_rows[kept]


def _rows_by_donor_and_tissue(cohort: Cohort) -> np.ndarray:
    """Row of the sample of each donor and tissue, shape ``(n_donors, n_tissues)``, -1 if none."""
    shape = (len(cohort.donors), len(cohort.tissues))
    flat = np.ravel_multi_index((cohort.donor, cohort.tissue), shape)
    counts = np.bincount(flat, minlength=shape[0] * shape[1])
    if (counts > 1).any():
        donor, tissue = np.unravel_index(counts.argmax(), shape)
        raise InputError(
            f"samples of donor {cohort.donors.index[donor]}",
            f"{counts.max()} samples of {cohort.tissues[tissue]}",
            "at most one sample a donor and tissue",
        )
    row_of = np.full(shape, -1, np.int64)
    row_of.reshape(-1)[flat] = np.arange(cohort.n_samples)
    return row_of


def predict_in_blocks(
    model: Predictor, inputs: Cohort, requests: Requests, block: int = BLOCK
) -> Iterator[np.ndarray]:
    """Predict `block` requests at a time.

    Yields
    ------
    np.ndarray
        Shape ``(at most block, n_genes)``, float32, z in `model.scale`.

    Raises
    ------
    InputError
        `inputs` has other genes or tissues than the model, or a prediction is not finite.
    """
    if not inputs.genes.index.equals(model.genes.index) or inputs.tissues != model.tissues:
        raise InputError(
            f"input of model {model.name}",
            f"{inputs.n_genes} genes and {len(inputs.tissues)} tissues",
            f"the model's own {len(model.genes)} genes and {len(model.tissues)} tissues, in order",
            "Use the cohort that the model was fitted on, or align new data to its genes first.",
        )
    for start in range(0, len(requests), block):
        part = slice(start, start + block)
        expr_z = model.predict(inputs, Requests(requests.source_rows[part], requests.target[part]))
        if not np.isfinite(expr_z).all():
            row = start + int(np.argmin(np.isfinite(expr_z).all(1)))
            raise InputError(
                f"model {model.name}",
                f"a prediction that is not finite, for {model.tissues[requests.target[row]]}",
                "finite values",
                "The model has diverged, or its training had no sample of that tissue.",
            )
        yield expr_z


def write_predictions(
    path: str | Path,
    expr_z: np.ndarray | Iterable[np.ndarray],
    cohort: Cohort,
    requests: Requests,
    target_rows: np.ndarray,
    *,
    model: str,
    scale: str,
    fold: int | str,
) -> None:
    """Write ``predictions/{model}/fold{fold}.h5ad`` (docs/contracts.md), block by block.

    Parameters
    ----------
    path
        The file.
    expr_z
        Predictions, shape ``(n_requests, n_genes)``, or their blocks of rows in order, as
        `predict_in_blocks` yields them.
    cohort, requests, target_rows
        What was asked, as `held_out_requests` returns it.
    model
        Name of the model.
    scale
        ``"tpm_z"`` or ``"log2_z"``, the scale of `expr_z`.
    fold
        The fold in which the donors were held out.

    Raises
    ------
    ValueError
        There are more or fewer predictions than requests.
    """
    names = np.array(cohort.tissues, dtype=object)
    obs = pd.DataFrame(
        {
            "donor": cohort.donors.index[cohort.donor[target_rows]].astype(str),
            "sources": [
                ";".join(names[cohort.tissue[rows[rows >= 0]]]) for rows in requests.source_rows
            ],
            "target": names[requests.target],
            "fold": fold,
        },
        index=pd.Index(cohort.samples.index[target_rows].astype(str), name="sample_id"),
    )
    uns = {"scale": scale, "units": UNITS[scale], "model": model}
    blocks = [expr_z] if isinstance(expr_z, np.ndarray) else expr_z
    with atomic_path(path) as temporary:
        write_matrix(temporary, blocks, obs, cohort.genes[["symbol"]], uns)


def write_matrix(
    path: str | Path,
    blocks: Iterable[np.ndarray],
    obs: pd.DataFrame,
    var: pd.DataFrame,
    uns: dict[str, str],
) -> None:
    """Write an AnnData file whose X arrives in blocks of rows; only one block is in memory.

    Parameters
    ----------
    path
        The file; not atomic, give it the path of `mtm.io.atomic_path`.
    blocks
        Arrays of shape ``(any, len(var))``, together ``len(obs)`` rows.
    obs, var
        Row and column tables.
    uns
        Texts that describe the whole.
    """
    anndata.AnnData(obs=obs, var=var, uns=uns).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        if "X" in file:
            del file["X"]
        data = file.create_dataset("X", shape=(len(obs), len(var)), dtype=np.float32)
        data.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        done = 0
        for rows in blocks:
            if done + len(rows) > len(obs):
                raise ValueError(f"more than the {len(obs)} announced rows")
            data[done : done + len(rows)] = rows
            done += len(rows)
    if done != len(obs):
        raise ValueError(f"{done} rows where {len(obs)} were announced")


def read_predictions(path: str | Path) -> anndata.AnnData:
    """Read what `write_predictions` wrote.

    Raises
    ------
    InputError
        The file is missing or no prediction file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file", "a prediction file (.h5ad)")
    try:
        data = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(path, f"an unreadable file ({error})", "an AnnData .h5ad") from error
    missing = {"donor", "sources", "target", "fold"} - set(data.obs)
    if missing or data.uns.get("scale") not in UNITS:
        raise InputError(
            path,
            f"obs {sorted(data.obs)} and scale {data.uns.get('scale')!r}",
            f"obs columns donor, sources, target, fold and a scale of {', '.join(UNITS)}",
        )
    return data


def unversioned(gene_ids: Iterable[str]) -> pd.Index:
    """Drop the version of Ensembl ids; the ``_PAR_Y`` mark stays (ENSG00000002586_PAR_Y)."""
    keys = map(gene_key, gene_ids)
    return pd.Index([f"{stable_id}{'_PAR_Y' * par_y}" for stable_id, par_y in keys], dtype=object)


@dataclass(frozen=True)
class GeneOverlap:
    """How the genes of new data meet a model's.

    Parameters
    ----------
    n_model, n_data
        Genes of the model, and of the data.
    n_exact
        Model genes found under their versioned id.
    n_unversioned
        Further model genes found when versions are ignored.
    """

    n_model: int
    n_data: int
    n_exact: int
    n_unversioned: int

    @property
    def n_found(self) -> int:
        """Model genes found in the data."""
        return self.n_exact + self.n_unversioned

    @property
    def fraction(self) -> float:
        """Share of the model's genes found in the data, 0 to 1."""
        return self.n_found / self.n_model

    def __str__(self) -> str:
        return (
            f"{self.n_found} of the model's {self.n_model} genes found ({self.fraction:.1%}): "
            f"{self.n_exact} by versioned id, {self.n_unversioned} with versions ignored; "
            f"{self.n_data - self.n_found} genes of the data are not used"
        )


def match_genes(
    model_genes: pd.DataFrame,
    gene_ids: Sequence[str],
    min_overlap: float = MIN_OVERLAP,
    where: object = "expression",
) -> tuple[np.ndarray, GeneOverlap]:
    """Find the model's genes in new data, by versioned id and then with versions ignored.

    Parameters
    ----------
    model_genes
        `Predictor.genes`.
    gene_ids
        Gene ids of the data.
    min_overlap
        Smallest share of the model's genes that must be found, 0 to 1.
    where
        File named in errors.

    Returns
    -------
    np.ndarray
        Column of the data for each gene of the model, -1 where it has none, int64.
    GeneOverlap
        The counts.

    Raises
    ------
    InputError
        A gene stands twice, or fewer than `min_overlap` of the model's genes are found.
    """
    wanted, given = model_genes.index.astype(str), pd.Index(gene_ids).astype(str)
    _refuse_repeats(given, given, where)
    columns = given.get_indexer(wanted)
    exact = int((columns >= 0).sum())
    plain_wanted, plain_given = unversioned(wanted), unversioned(given)
    open_genes = columns < 0
    candidates = plain_given.isin(plain_wanted[open_genes])
    _refuse_repeats(plain_given[candidates], given[candidates], where)
    positions = np.flatnonzero(candidates)
    found = plain_given[candidates].get_indexer(plain_wanted[open_genes])
    columns[open_genes] = np.where(found >= 0, np.append(positions, -1)[found], -1)
    overlap = GeneOverlap(len(wanted), len(given), exact, int((columns >= 0).sum()) - exact)
    if overlap.n_found == 0 or overlap.fraction < min_overlap:
        _refuse_overlap(model_genes, given, overlap, min_overlap, where)
    return columns.astype(np.int64), overlap


def _refuse_repeats(keys: pd.Index, shown: pd.Index, where: object) -> None:
    """Raise if a gene stands twice."""
    repeated = keys.duplicated(keep=False)
    if repeated.any():
        names = shown[keys == keys[repeated][0]]
        raise InputError(
            where,
            f"gene {names[0]} {len(names)} times ({', '.join(names.unique()[:3])})",
            "every gene once",
            "Sum or drop the repeated rows.",
        )


def _refuse_overlap(
    model_genes: pd.DataFrame,
    given: pd.Index,
    overlap: GeneOverlap,
    min_overlap: float,
    where: object,
) -> None:
    """Raise the error about too few common genes, with a guess at the reason."""
    n_symbols = int(given.isin(model_genes["symbol"].astype(str)).sum())
    examples = ", ".join(given[:3])
    if n_symbols > overlap.n_found:
        hint = (
            f"{n_symbols} of the data's names are gene symbols of the model; "
            "use Ensembl gene ids (ENSG...), with or without version."
        )
    elif overlap.n_found == 0:
        hint = (
            "Use Ensembl gene ids (ENSG...) as gene names, with or without version; "
            "check that genes are not where samples should be."
        )
    else:
        hint = (
            "Missing genes would be filled with the source tissue's training mean. "
            f"Accept that with a smaller minimum overlap (--min-overlap, now {min_overlap:g})."
        )
    if overlap.n_found == 0:
        found = f"no gene of the model among {overlap.n_data} genes named like {examples}"
    else:
        found = (
            f"{overlap.n_found} of the model's {overlap.n_model} genes ({overlap.fraction:.1%}) "
            f"among {overlap.n_data} genes named like {examples}"
        )
    raise InputError(
        where,
        found,
        f"at least {min_overlap:.0%} of genes named like {', '.join(model_genes.index[:3])}",
        hint,
    )


def to_tpm(
    values: np.ndarray, units: Units | None = None, where: object = "expression"
) -> np.ndarray:
    """Check expression values and return them as TPM.

    Parameters
    ----------
    values
        Shape ``(n_samples, n_genes)``: all genes of the data.
    units
        - ``None``: take them for TPM and refuse what cannot be TPM
        - ``"tpm"``: TPM, however they look
        - ``"log2"``: log2(1+TPM)
    where
        File named in errors.

    Returns
    -------
    np.ndarray
        TPM, same shape, float32.

    Raises
    ------
    InputError
        Values are missing, negative or infinite, or do not look like the units.
    """
    values = np.asarray(values, dtype=np.float32)
    if units not in (None, *get_args(Units)):
        raise InputError("units", repr(units), f"one of {', '.join(get_args(Units))}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{where}, sample {row + 1}, gene {column + 1}",
            str(values[row, column]),
            "a finite number for every gene and sample",
        )
    if values.size == 0:
        raise InputError(where, f"a table of shape {values.shape}", "samples and genes")
    smallest, largest = float(values.min()), float(values.max())
    if smallest < 0:
        raise InputError(
            where,
            f"negative values (down to {smallest:.4g})",
            "TPM or log2(1+TPM)",
            "Give the values before any centring or scaling.",
        )
    if units == "log2":
        if largest > LARGEST_LOG2:
            raise InputError(
                where,
                f"values up to {largest:.4g}",
                f"log2(1+TPM), at most {LARGEST_LOG2:g}",
                "If they are TPM, leave out --units log2.",
            )
        return np.exp2(values) - 1
    largest_sum = float(values.sum(1, dtype=np.float64).max())
    if units is None and largest < SMALLEST_MAX_TPM:
        raise InputError(
            where,
            f"no value above {largest:.4g}, which looks log-scaled",
            "TPM",
            "Say --units log2 if these are log2(1+TPM), --units tpm if they are TPM after all.",
        )
    if units is None and largest_sum > LARGEST_TPM_SUM:
        raise InputError(
            where,
            f"a sample whose values add up to {largest_sum:.4g}, which looks like counts",
            "TPM, which add up to at most one million a sample",
            "Convert them to TPM, or say --units tpm if you know better.",
        )
    return values


def align_expression(
    model: Predictor,
    expr_tpm: np.ndarray,
    gene_ids: Sequence[str],
    source: str,
    min_overlap: float = MIN_OVERLAP,
    where: object = "expression",
) -> tuple[np.ndarray, GeneOverlap]:
    """Bring new samples of one tissue to a model's genes.

    Parameters
    ----------
    model
        A fitted model.
    expr_tpm
        Shape ``(n_samples, n_data_genes)``, TPM.
    gene_ids
        Ensembl ids of the columns, versioned or not.
    source
        Tissue of the samples; genes that the data lack get its training mean, z = 0.
    min_overlap, where
        See `match_genes`.

    Returns
    -------
    np.ndarray
        Shape ``(n_samples, n_model_genes)``, TPM, float32.
    GeneOverlap
        The counts.

    Raises
    ------
    InputError
        Genes do not match, or `source` is unknown to the model.
    """
    index = tissue_of(model, source)
    columns, overlap = match_genes(model.genes, gene_ids, min_overlap, where)
    mean_tpm = model.scaler.inverse(np.zeros((1, len(columns)), np.float32), np.array([index]))
    aligned = np.repeat(mean_tpm, len(expr_tpm), axis=0)
    found = columns >= 0
    aligned[:, found] = np.asarray(expr_tpm)[:, columns[found]]
    return aligned, overlap


def tissue_of(model: Predictor, name: str) -> int:
    """Index of tissue `name` in the model.

    Raises
    ------
    InputError
        The model does not know it, or had no training sample of it.
    """
    if name not in model.tissues:
        raise InputError(
            f"tissues of model {model.name}", repr(name), f"one of {', '.join(model.tissues)}"
        )
    index = model.tissues.index(name)
    if np.isnan(model.scaler.mean[index]).all():
        raise InputError(
            f"tissues of model {model.name}",
            f"{name!r}, of which the training had no sample",
            "a tissue with training samples",
        )
    return index


def check_source(model: Predictor, name: str) -> int:
    """Index of tissue `name` in the model.

    Raises
    ------
    InputError
        The model cannot predict from it.
    """
    if not model.several_sources and name != model.provenance.source:
        raise InputError(
            f"source of model {model.name}",
            repr(name),
            f"{model.provenance.source!r}, the tissue it was trained to predict from",
        )
    return tissue_of(model, name)


def targets_of(model: Predictor, source: str) -> list[str]:
    """Names of the tissues that the model can predict from `source`: all trained ones but it."""
    trained = ~np.isnan(model.scaler.mean).all(axis=1)
    return [
        name
        for name, known in zip(model.tissues, trained, strict=True)
        if known and name != source
    ]


def read_new_expression(path: str | Path) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Read an expression file of new people (formats of `mtm.gtex.iter_expression_blocks`).

    Returns
    -------
    tuple of str, list of str, np.ndarray
        Sample ids, gene ids, and values of shape ``(n_samples, n_genes)``, float32, in the units
        of the file.
    """
    sample_ids = read_expression_header(path).sample_ids
    blocks = list(iter_expression_blocks(path))
    gene_ids = [gene_id for block in blocks for gene_id in block.gene_ids]
    if not gene_ids:
        raise InputError(path, "no gene", "one row a gene")
    return sample_ids, gene_ids, np.concatenate([block.expr_tpm for block in blocks]).T


def new_inputs(
    model: Predictor,
    aligned_tpm: np.ndarray,
    sample_ids: Sequence[str],
    source: str,
    traits: pd.DataFrame | None = None,
) -> Cohort:
    """Wrap new people's samples of one tissue as input of a model, one donor a sample.

    Parameters
    ----------
    model
        A fitted model.
    aligned_tpm
        Shape ``(n_samples, n_model_genes)``, TPM, from `align_expression`.
    sample_ids
        Unique names of the samples; each is its own donor.
    source
        Tissue of the samples.
    traits
        Covariates of each sample and its donor, indexed by sample id; models that use none do
        not need it.

    Raises
    ------
    InputError
        A sample stands twice or has no row in `traits`, or the model predicts from another
        tissue alone.
    """
    index_of_source = check_source(model, source)
    index = pd.Index(sample_ids, name="sample_id").astype(str)
    if index.has_duplicates:
        raise InputError(
            "expression", f"sample {index[index.duplicated()][0]} twice", "every sample once"
        )
    traits = pd.DataFrame(index=index) if traits is None else traits
    for sample in index[~index.isin(traits.index)][:1]:
        raise InputError("traits", f"no row for sample {sample}", "a row for every sample")
    for sample in traits.index[traits.index.duplicated()][:1]:
        raise InputError("traits", f"several rows for sample {sample}", "one row a sample")
    donors = traits.loc[index.sort_values()].rename_axis("donor")
    return Cohort(
        expr_tpm=aligned_tpm,
        samples=traits.loc[index].rename_axis("sample_id"),
        donor=donors.index.get_indexer(index).astype(np.int64),
        tissue=np.full(len(index), index_of_source, np.int64),
        donors=donors,
        tissues=model.tissues,
        genes=model.genes,
    )


def predict_new(
    model: Predictor,
    inputs: Cohort,
    targets: Sequence[str],
    scale: OutputScale = "z",
    block: int = BLOCK,
) -> Iterator[tuple[str, slice, np.ndarray]]:
    """Predict target tissues of new people from one sample each.

    Parameters
    ----------
    model
        A fitted model.
    inputs
        One sample a person, from `new_inputs`.
    targets
        Names of the tissues to predict.
    scale
        - ``"z"``: z-score in the target tissue, on the model's own scale
        - ``"log2"``: log2(1+TPM)
        - ``"tpm"``: TPM
    block
        People predicted at a time.

    Yields
    ------
    tuple of str, slice, np.ndarray
        Target tissue, rows of `inputs`, and their predictions of shape
        ``(at most block, n_genes)``, float32.

    Raises
    ------
    InputError
        A target or the scale is unknown, or a target is the source.
    """
    if scale not in OUTPUT_SCALES:
        raise InputError("scale", repr(scale), f"one of {', '.join(OUTPUT_SCALES)}")
    indices = [tissue_of(model, name) for name in targets]
    for name, index in zip(targets, indices, strict=True):
        if (inputs.tissue == index).any():
            raise InputError("target", repr(name), "a tissue other than the source")
    for name, index in zip(targets, indices, strict=True):
        requests = Requests(
            np.arange(inputs.n_samples)[:, None], np.full(inputs.n_samples, index, np.int64)
        )
        start = 0
        for values in predict_in_blocks(model, inputs, requests, block):
            part = slice(start, start + len(values))
            if scale != "z":
                values = model.scaler.inverse(values, requests.target[part])
            yield name, part, log2_tpm(values) if scale == "log2" else values
            start = part.stop


def new_rows(
    sample_ids: Sequence[str], source: str, targets: Sequence[str], scale: str
) -> pd.DataFrame:
    """Describe the rows that `predict_new` yields, in its order.

    Returns
    -------
    pd.DataFrame
        Columns ``sample_id``, ``source``, ``target``, ``scale``; one row a target and sample.
    """
    return pd.DataFrame(
        {
            "sample_id": np.tile(np.asarray(sample_ids, dtype=object), len(targets)),
            "source": source,
            "target": np.repeat(np.asarray(targets, dtype=object), len(sample_ids)),
            "scale": scale,
        }
    )
