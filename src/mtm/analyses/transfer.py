"""Does a disease's dysregulation reach new people's tissues? (He et al. 2023, Fig 4).

Blood of an external cohort of cases and controls is aligned to the training blood, taken through
a model that was fitted without these people, and the log2 fold changes of the predicted tissues
are correlated over genes with those of observed tissues of the reference cohort (methods 3, R21).

Alignment gives every gene the mean and sd it has in the training blood: of log2(1+TPM)
(``log2``), of TPM (``tpm``; the paper does not say which), or not at all (``none``). It uses all
external samples, whatever their group. Tissues with enough differentially expressed genes in the
reference are called related to the disease; are they predicted better than others?

Fold changes cannot tell whether predictions are of the right size: what shifts a gene in all
people leaves a linear model's fold changes nearly as they are. So the distance of predicted from
reference controls stands beside them: the difference of mean log2(1+TPM), median over genes.

Intervals resample external donors, cases and controls each among themselves, with the reference
as it is. The null permutes their groups. Genes move together and the tissues are predicted from
the same blood, so neither genes nor tissues are independent: the P of a rank-sum test over tissues
(the paper's) stands beside one that permutes groups.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from mtm.analyses.contrasts import DiseaseSettings, contrasts, too_few
from mtm.analyses.differential_expression import permutation_p, row_correlation
from mtm.analyses.rank_sum import rank_sum
from mtm.cohort import Cohort
from mtm.errors import InputError
from mtm.evaluation.comparison import rank_sum_p, t_interval
from mtm.evaluation.predictable_genes import benjamini_hochberg
from mtm.io import read_tsv
from mtm.models.base import Predictor
from mtm.prediction import (
    MIN_OVERLAP,
    Units,
    align_expression,
    new_inputs,
    predict_new,
    read_new_expression,
    targets_of,
    to_tpm,
)
from mtm.scaling import log2_tpm
from mtm.vocabulary import RAN, SKIPPED, SOURCE, TARGET

log = logging.getLogger(__name__)

Alignment = Literal["none", "log2", "tpm"]
ALIGNMENTS: tuple[str, ...] = get_args(Alignment)
GENE_SETS = ("all", "predictable")
GROUPS = {"case": True, "control": False}
LARGEST_LOG2_TPM = 24.0
CONSTANT_SHARE = 1e-6
FISHER_LIMIT = 1 - 1e-7
REFERENCE_GENES = ["tissue", "gene_id", "log2fc_reference", "p_reference", "q_reference",
                   "controls_log2_reference"]  # fmt: skip
REFERENCE = ["contrast", "tissue", "role", "n_reference_cases", "n_reference_controls", "status",
             "reason", "n_up", "n_down", "related"]  # fmt: skip
AGREEMENT = ["model", "alignment", "genes", *REFERENCE, "n_cases", "n_controls", "n_genes",
             "n_de_predicted", "rho_log2fc", "ci_low", "ci_high", "null_mean", "null_low",
             "null_high", "p", "q", "sign_consistency", "level_error_log2"]  # fmt: skip
GENES = ["model", "alignment", "tissue", "gene_id", "log2fc_reference", "q_reference",
         "log2fc_predicted", "q_predicted", "predictable"]  # fmt: skip
# He et al. 2023, section 3.5: tissues and median rho, P of the rank-sum test.
PAPER = {"n_related": 16, "median_related": 0.52, "n_other": 11, "median_other": 0.32,
         "rank_sum_p": 0.033}  # fmt: skip


@dataclass(frozen=True)
class TransferSettings:
    """Keys of the transfer section of the config.

    Parameters
    ----------
    contrast
        Contrast of the reference cohort that the external groups stand for.
    alignments
        Of `ALIGNMENTS`, the headline first.
    units
        Units of the external expression; None takes TPM and refuses what does not look like it.
    min_gene_overlap
        Least share of the model's genes that the external expression must have.
    min_per_group
        Least number of external cases and of controls.
    min_de_genes
        A tissue is related where so many genes are up, or down, in the reference.
    q_below, pseudo_count
        As in `mtm.analyses.contrasts.DiseaseSettings`.
    permutations, bootstraps, seed
        Permutations of the external groups, bootstrap samples of external donors, their seed.
    """

    contrast: str = "MHT2D"
    alignments: Sequence[str] = ("log2", "tpm", "none")
    units: Units | None = None
    min_gene_overlap: float = MIN_OVERLAP
    min_per_group: int = 5
    min_de_genes: int = 10
    q_below: float = 0.05
    pseudo_count: float = 1.0
    permutations: int = 200
    bootstraps: int = 200
    seed: int = 0

    def __post_init__(self):
        for name in self.alignments:
            if name not in ALIGNMENTS:
                raise InputError(
                    "transfer.alignments", repr(name), f"one of {', '.join(ALIGNMENTS)}"
                )

    @classmethod
    def of(cls, values: Mapping, disease: Mapping) -> "TransferSettings":
        """Build settings from the config's sections transfer and disease."""
        known = {item.name for item in fields(cls)}
        shared = {key: disease[key] for key in ("q_below", "pseudo_count") if key in disease}
        return cls(**shared | {key: value for key, value in values.items() if key in known})


@dataclass(frozen=True)
class ExternalCohort:
    """Source-tissue expression of new people, cases and controls.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``, TPM.
    gene_ids
        Ensembl ids, versioned or not.
    samples
        One row a sample, indexed by its id in the order of `expr_tpm`: ``case`` (bool) and the
        table's further columns.
    path
        Of the expression, for messages.
    """

    expr_tpm: np.ndarray
    gene_ids: list[str]
    samples: pd.DataFrame
    path: Path


def read_external(
    expression: str | Path, samples: str | Path, settings: TransferSettings
) -> ExternalCohort:
    """Read and check an external cohort.

    Parameters
    ----------
    expression
        Genes in rows, samples in columns (a table or GCT), or h5ad.
    samples
        Table with ``sample``, ``group`` ("case" or "control") and further columns.

    Raises
    ------
    InputError
        A sample stands in one of the files alone or twice, a group is another, there are too few
        of one, or values do not look like TPM.
    """
    table = read_tsv(samples, ["sample", "group"], dtype={"sample": str, "group": str})
    table = table.set_index("sample")
    for name in table.index[table.index.duplicated()][:1]:
        raise InputError(samples, f"sample {name} twice", "one row a sample")
    known = table["group"].isin(list(GROUPS))
    if not known.all():
        group = table.loc[~known, "group"].iloc[0]
        raise InputError(
            f"{samples}, sample {table.index[~known][0]}",
            "no group" if pd.isna(group) else f"group {group!r}",
            f"{' or '.join(map(repr, GROUPS))}",
        )
    sample_ids, gene_ids, values = read_new_expression(expression)
    _same_samples(pd.Index(sample_ids), table.index, expression, samples)
    table = table.loc[list(sample_ids)]
    case = table.pop("group").map(GROUPS).to_numpy(bool)
    for n, name in ((case.sum(), "cases"), ((~case).sum(), "controls")):
        if n < settings.min_per_group:
            raise InputError(
                samples,
                f"{n} {name}",
                f"at least {settings.min_per_group}",
                "Lower transfer.min_per_group, or leave out inputs.external_expression.",
            )
    try:
        expr_tpm = to_tpm(values, settings.units, expression)
    except InputError as error:
        hint = "Set transfer.units to log2 if these are log2(1+TPM), to tpm if you know better."
        if settings.units is not None:
            hint = f"transfer.units says {settings.units}."
        elif "looks" not in error.found:
            raise
        raise InputError(error.where, error.found, error.expected, hint) from None
    return ExternalCohort(expr_tpm, gene_ids, table.assign(case=case), Path(expression))


def _same_samples(
    measured: pd.Index, listed: pd.Index, expression: str | Path, samples: str | Path
) -> None:
    """Raise unless both files have the same samples."""
    for missing, path, other in (
        (listed.difference(measured), expression, samples),
        (measured.difference(listed), samples, expression),
    ):
        if len(missing):
            raise InputError(
                path,
                f"no sample {missing[0]} ({len(missing)} of {len(measured.union(listed))} "
                "samples stand in one file alone)",
                f"the samples of {other}",
                "Names must be equal; take out samples that are not to be used from both files.",
            )


def align_moments(
    expr_tpm: np.ndarray, reference_tpm: np.ndarray, alignment: Alignment
) -> np.ndarray:
    """Give every gene the mean and sd that it has in the reference.

    Parameters
    ----------
    expr_tpm, reference_tpm
        Shapes ``(n_samples, n_genes)`` and ``(n_reference, n_genes)``, TPM.
    alignment
        - ``"none"``: values as they are
        - ``"log2"``: mean and sd of log2(1+TPM)
        - ``"tpm"``: mean and sd of TPM

    Returns
    -------
    np.ndarray
        TPM, not below 0, shape of `expr_tpm`, float32. A gene that does not vary gets the mean of
        the reference.
    """
    if alignment == "none":
        return expr_tpm.astype(np.float32)
    unit = log2_tpm if alignment == "log2" else np.asarray
    values, reference = (unit(side.astype(np.float64)) for side in (expr_tpm, reference_tpm))
    mean, sd = values.mean(0), values.std(0)
    varies = sd > CONSTANT_SHARE * np.abs(values).max(0)
    stretch = np.divide(reference.std(0), sd, out=np.zeros_like(sd), where=varies)
    aligned = (values - mean) * stretch + reference.mean(0)
    if alignment == "log2":
        aligned = np.exp2(np.clip(aligned, 0, LARGEST_LOG2_TPM)) - 1
    return np.maximum(aligned, 0).astype(np.float32)


def fold_changes(
    expr_tpm: np.ndarray, cases: np.ndarray, controls: np.ndarray, pseudo_count: float
) -> np.ndarray:
    """Log2 of mean TPM of cases over that of controls, each plus the pseudo-count.

    Parameters
    ----------
    expr_tpm
        Shape ``(n_samples, n_genes)``.
    cases, controls
        How often each sample counts, shape ``(n_draws, n_samples)``.

    Returns
    -------
    np.ndarray
        Shape ``(n_draws, n_genes)``, float32 for many draws, else float64.
    """
    dtype = np.float64 if len(cases) == 1 else np.float32
    values = expr_tpm.astype(dtype, copy=False)
    means = [
        weights.astype(dtype) @ values / weights.sum(1, keepdims=True).astype(dtype)
        + dtype(pseudo_count)
        for weights in (cases, controls)
    ]
    return np.log2(means[0]) - np.log2(means[1])


def reference_contrast(
    cohort: Cohort, source: str, disease: DiseaseSettings, settings: TransferSettings
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test the reference cohort's observed tissues, every donor with a known status.

    Parameters
    ----------
    cohort, source
        The reference cohort, and its source tissue, which is tested beside the targets.
    disease
        What counts as a contrast; its least numbers of cases and controls hold in every tissue.

    Returns
    -------
    pd.DataFrame
        `REFERENCE_GENES`: genes that vary, of the tissues that ran; q over the genes of a tissue.
    pd.DataFrame
        `REFERENCE`: one row a tissue; ``role`` is "target" or "source".

    Raises
    ------
    InputError
        The cohort has no such contrast, or no target tissue has enough cases and controls.
    """
    labels = contrasts(cohort, disease)
    names = list(dict.fromkeys(labels["contrast"]))
    labels = labels[labels["contrast"] == settings.contrast]
    if labels.empty:
        raise InputError(
            "config key transfer.contrast",
            repr(settings.contrast),
            f"a contrast of the cohort ({', '.join(names) or 'it has none'})",
        )
    status = labels.set_index("sample_id")["case"]
    case_of = status.reindex(cohort.samples.index.astype(str)).to_numpy(float)
    genes, rows = [], []
    for index, tissue in enumerate(cohort.tissues):
        members = np.flatnonzero((cohort.tissue == index) & np.isfinite(case_of))
        case = case_of[members] == 1
        counts = int(case.sum()), int((~case).sum())
        row = {"contrast": settings.contrast, "tissue": tissue}
        row |= {"role": SOURCE if tissue == source else TARGET}
        row |= dict(zip(("n_reference_cases", "n_reference_controls"), counts, strict=True))
        row["reason"] = too_few(*counts, disease)
        row["status"] = SKIPPED if row["reason"] else RAN
        if not row["reason"]:
            part = _tested(cohort.expr_tpm[members], case, settings)
            part["gene_id"] = cohort.genes.index[part["gene_id"]]
            found = part["q_reference"] < settings.q_below
            row["n_up"] = int((found & (part["log2fc_reference"] > 0)).sum())
            row["n_down"] = int((found & (part["log2fc_reference"] < 0)).sum())
            row["related"] = max(row["n_up"], row["n_down"]) >= settings.min_de_genes
            genes.append(part.assign(tissue=tissue))
        rows.append(row)
    table = pd.DataFrame(rows, columns=REFERENCE)
    if not ((table["status"] == RAN) & (table["role"] == TARGET)).any():
        most = table.loc[table["role"] == TARGET, ["n_reference_cases", "n_reference_controls"]]
        raise InputError(
            f"reference of contrast {settings.contrast}",
            f"at most {most.min(axis=1).max()} cases and as many controls in any tissue",
            f"{disease.min_cases} cases and {disease.min_controls} controls in one",
            "Lower disease.min_cases and disease.min_controls, or name another contrast.",
        )
    integers = {"n_up": "Int64", "n_down": "Int64", "related": "boolean"}
    return pd.concat(genes, ignore_index=True)[REFERENCE_GENES], table.astype(integers)


def _tested(expr_tpm: np.ndarray, case: np.ndarray, settings: TransferSettings) -> pd.DataFrame:
    """Test the genes of a tissue that vary; ``gene_id`` is their position."""
    varying = np.flatnonzero(np.ptp(expr_tpm, axis=0) > 0)
    values, labels = expr_tpm[:, varying], case[None]
    p = rank_sum(values, case)
    return pd.DataFrame(
        {
            "gene_id": varying,
            "log2fc_reference": fold_changes(values, labels, ~labels, settings.pseudo_count)[0],
            "p_reference": p,
            "q_reference": benjamini_hochberg(p),
            "controls_log2_reference": log2_tpm(values[~case]).mean(0),
        }
    )


def training_source(model: Predictor, cohort: Cohort, source: str) -> np.ndarray:
    """Source-tissue expression of the donors that a model was fitted on.

    Returns
    -------
    np.ndarray
        TPM, shape ``(n_donors, n_genes)``.

    Raises
    ------
    InputError
        The cohort lacks a training donor, or has other genes than the model.
    """
    missing = set(model.provenance.training_donors) - set(cohort.donors.index)
    if missing or not cohort.genes.index.equals(model.genes.index):
        raise InputError(
            f"cohort of model {model.name}",
            f"{len(missing)} training donors missing, {cohort.n_genes} genes",
            f"its training donors and its {len(model.genes)} genes",
            "The cohort has changed since the training; train the model again.",
        )
    kept = cohort.donors.index.isin(model.provenance.training_donors)[cohort.donor]
    return cohort.expr_tpm[kept & (cohort.tissue == cohort.tissue_index(source))]


def transfer(
    model: Predictor,
    name: str,
    external: ExternalCohort,
    training_tpm: np.ndarray,
    source: str,
    reference_genes: pd.DataFrame,
    reference: pd.DataFrame,
    settings: TransferSettings,
    predictable: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Predict the external people's tissues, and compare fold changes with the reference's.

    Parameters
    ----------
    model, name
        Fitted without any of these people, and its name in the tables.
    training_tpm
        From `training_source`.
    source
        Tissue of the external samples.
    reference_genes, reference
        From `reference_contrast`.
    predictable
        Columns ``tissue`` and ``gene_id``: the model's predictable genes; None leaves the gene
        set "predictable" out.

    Returns
    -------
    pd.DataFrame
        `AGREEMENT`: one row an alignment, set of genes and tissue, then the tissues that did not
        run. The row of the source tissue is of the external expression itself, no prediction.
    pd.DataFrame
        From `compare_groups`.
    pd.DataFrame
        `GENES`, of the first alignment.

    Raises
    ------
    InputError
        Genes do not match, or the model needs a covariate that the external table lacks.
    """
    try:
        expr_tpm, overlap = align_expression(
            model, external.expr_tpm, external.gene_ids, source, settings.min_gene_overlap,
            external.path,
        )  # fmt: skip
    except InputError as error:
        if "--min-overlap" not in str(error):
            raise
        hint = (
            "Missing genes would be filled with the source tissue's training mean. Accept that "
            f"with a smaller transfer.min_gene_overlap (now {settings.min_gene_overlap:g})."
        )
        raise InputError(error.where, error.found, error.expected, hint) from None
    log.info("%s: %s", external.path, overlap)
    case = external.samples["case"].to_numpy(bool)
    draws = _Draws.of(case, settings)
    by_tissue = dict(iter(reference_genes.groupby("tissue", sort=False)))
    sets = {} if predictable is None else dict(iter(predictable.groupby("tissue")["gene_id"]))
    ran = reference[reference["status"] == RAN].set_index("tissue", drop=False)
    rows, genes, null = [], [], {}
    for alignment in settings.alignments:
        aligned = align_moments(expr_tpm, training_tpm, alignment)
        inputs = new_inputs(
            model, aligned, external.samples.index, source, external.samples.drop(columns="case")
        )
        for tissue, values in _predicted(model, inputs, source, ran.index):
            row = ran.loc[tissue].to_dict()
            part = by_tissue[tissue]
            place = model.genes.index.get_indexer(part["gene_id"])
            compared = _Compared.of(values[:, place], part, case, draws, settings)
            chosen = {"all": np.ones(len(part), bool)}
            own = part["gene_id"].isin(sets.get(tissue, ())).to_numpy()
            if predictable is not None and row["role"] == TARGET:
                chosen["predictable"] = own
            for gene_set, kept in chosen.items():
                key = {"model": name, "alignment": alignment, "genes": gene_set}
                fields_, null_rho = compared.agreement(kept, settings)
                counts = {"n_cases": case.sum(), "n_controls": (~case).sum()}
                rows.append(key | row | counts | fields_)
                null[(alignment, gene_set, tissue)] = null_rho
            if alignment == settings.alignments[0]:
                genes.append(
                    part[["tissue", "gene_id", "log2fc_reference", "q_reference"]].assign(
                        model=name,
                        alignment=alignment,
                        log2fc_predicted=compared.log2fc,
                        q_predicted=compared.q,
                        predictable=own,
                    )
                )
    table = pd.DataFrame(rows, columns=AGREEMENT)
    targets = table["role"] == TARGET
    groups = [table[column].where(targets) for column in ("alignment", "genes")]
    table["q"] = table.groupby(groups)["p"].transform(lambda p: benjamini_hochberg(p.to_numpy()))
    left_out = reference[reference["status"] != RAN].assign(model=name)
    left_out = left_out.reindex(columns=AGREEMENT)
    summary = compare_groups(table, null)
    table = pd.concat([table, left_out], ignore_index=True) if len(left_out) else table
    return table, summary, pd.concat(genes, ignore_index=True)[GENES]


def _predicted(
    model: Predictor, inputs: Cohort, source: str, tissues: Sequence[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the source tissue as it is, then every target, TPM of all people."""
    if source in tissues:
        yield source, inputs.expr_tpm
    targets = [tissue for tissue in targets_of(model, source) if tissue in tissues]
    blocks: list[np.ndarray] = []
    for tissue, part, values in predict_new(model, inputs, targets, "tpm"):
        blocks.append(values)
        if part.stop == inputs.n_samples:
            yield tissue, np.concatenate(blocks)
            blocks = []


@dataclass(frozen=True)
class _Draws:
    """Permuted groups ``(n_permutations, n_samples)``, bool, and bootstrap weights."""

    permuted: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, case: np.ndarray, settings: TransferSettings) -> "_Draws":
        rng = np.random.default_rng([settings.seed, len(case)])
        permuted = rng.permuted(np.tile(case, (settings.permutations, 1)), axis=1)
        weights = np.zeros((settings.bootstraps, len(case)), np.float32)
        for rows in (np.flatnonzero(case), np.flatnonzero(~case)):
            share = np.full(len(rows), 1 / len(rows))
            weights[:, rows] = rng.multinomial(len(rows), share, settings.bootstraps)
        return cls(permuted, weights)


@dataclass(frozen=True)
class _Compared:
    """Fold changes of one tissue's genes: the reference's, predicted, permuted and drawn."""

    reference: np.ndarray
    log2fc: np.ndarray
    q: np.ndarray
    permuted: np.ndarray
    drawn: np.ndarray
    level_error_log2: np.ndarray
    n_samples: int

    @classmethod
    def of(
        cls,
        expr_tpm: np.ndarray,
        reference: pd.DataFrame,
        case: np.ndarray,
        draws: _Draws,
        settings: TransferSettings,
    ) -> "_Compared":
        """Test predicted expression ``(n_samples, n_genes)``."""
        pseudo, permuted, weights = settings.pseudo_count, draws.permuted, draws.weights
        return cls(
            reference["log2fc_reference"].to_numpy(),
            fold_changes(expr_tpm, case[None], ~case[None], pseudo)[0],
            benjamini_hochberg(rank_sum(expr_tpm, case)),
            fold_changes(expr_tpm, permuted, ~permuted, pseudo),
            fold_changes(expr_tpm, weights * case, weights * ~case, pseudo),
            np.abs(log2_tpm(expr_tpm[~case]).mean(0) - reference["controls_log2_reference"]),
            len(case),
        )

    def agreement(
        self, kept: np.ndarray, settings: TransferSettings
    ) -> tuple[dict[str, float], np.ndarray]:
        """Measure the agreement over some genes; return it and the null's correlations."""
        fields_: dict[str, float] = {"n_genes": int(kept.sum())}
        if kept.sum() < 3:
            return fields_, np.full(len(self.permuted), np.nan)
        reference, predicted = self.reference[kept], self.log2fc[kept]
        rho = float(row_correlation(predicted, reference)[0])
        null = row_correlation(self.permuted[:, kept], reference)
        drawn = row_correlation(self.drawn[:, kept], reference)
        z, drawn_z = (np.arctanh(np.clip(r, -FISHER_LIMIT, FISHER_LIMIT)) for r in (rho, drawn))
        interval = t_interval(float(z), drawn_z, self.n_samples, 2)
        known = null[np.isfinite(null)]
        low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
        fields_ |= {
            "n_de_predicted": int((self.q[kept] < settings.q_below).sum()),
            "rho_log2fc": rho,
            "ci_low": float(np.tanh(interval["ci_low"])),
            "ci_high": float(np.tanh(interval["ci_high"])),
            "null_mean": float(known.mean()) if len(known) else np.nan,
            "null_low": float(low),
            "null_high": float(high),
            "p": permutation_p(rho, null),
            "sign_consistency": float((np.sign(predicted) == np.sign(reference)).mean()),
            "level_error_log2": float(np.median(self.level_error_log2[kept])),
        }
        return fields_, null


def compare_groups(table: pd.DataFrame, null: Mapping[tuple, np.ndarray]) -> pd.DataFrame:
    """Compare tissues related to the disease with others.

    Parameters
    ----------
    table
        `AGREEMENT` rows of one model.
    null
        Correlations under permuted groups by alignment, set of genes and tissue.

    Returns
    -------
    pd.DataFrame
        ``model``, ``alignment``, ``genes``, ``n_tissues``, ``median``, ``median_null_high`` (97.5%
        of permuted groups), ``median_p`` (one-sided, groups permuted), ``n_related``,
        ``median_related``, ``n_other``, ``median_other``, ``difference`` of the medians,
        ``rank_sum_p`` (two-sided, tissues as if independent, as the paper), ``permuted_p``
        (of the difference, one-sided, groups permuted), ``median_level_error_log2``, and the
        paper's numbers, ``paper_...``.
    """
    rows = []
    targets = table[(table["role"] == TARGET) & table["rho_log2fc"].notna()]
    for (alignment, gene_set), part in targets.groupby(["alignment", "genes"], sort=False):
        rho, related = part["rho_log2fc"].to_numpy(float), part["related"].to_numpy(bool)
        permuted = np.stack([null[(alignment, gene_set, tissue)] for tissue in part["tissue"]], 1)
        medians = np.median(permuted, axis=1)
        row = {"model": part["model"].iloc[0], "alignment": alignment, "genes": gene_set}
        row |= {
            "n_tissues": len(part),
            "median_level_error_log2": part["level_error_log2"].median(),
            "median": np.median(rho),
            "median_null_high": np.nanquantile(medians, 0.975),
            "median_p": permutation_p(float(np.median(rho)), medians),
            "n_related": int(related.sum()),
            "n_other": int((~related).sum()),
        }
        if related.any():
            row["median_related"] = np.median(rho[related])
        if (~related).any():
            row["median_other"] = np.median(rho[~related])
        if related.any() and (~related).any():
            row["difference"] = row["median_related"] - row["median_other"]
            gaps = np.median(permuted[:, related], 1) - np.median(permuted[:, ~related], 1)
            row["rank_sum_p"] = rank_sum_p(rho[related], rho[~related])
            row["permuted_p"] = permutation_p(row["difference"], gaps)
        rows.append(row | {f"paper_{key}": value for key, value in PAPER.items()})
    columns = ["model", "alignment", "genes", "n_tissues", "median", "median_null_high",
               "median_p", "n_related", "median_related", "n_other", "median_other",
               "difference", "rank_sum_p", "permuted_p", "median_level_error_log2",
               *(f"paper_{key}" for key in PAPER)]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
