"""What differs between an external cohort's groups in tissues that nobody sampled (methods 9).

No reference is needed. Predicted expression of every tissue is compared between cases and
controls with the design that the cohort has: kept samples, each person once; later samples of the
same people; and the change within a person, later minus kept, in which what makes people differ
for good is gone. Sex and age are covariates where they are known, and groups are permuted within
sex. The blood itself stands beside the tissues, as predictions tell nothing that it does not hold:
what they add is where in the body it points.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mtm.analyses.transfer.external import ExternalCohort
from mtm.analyses.transfer.people import AGE, FOLLOW_UP, KEPT, SEX
from mtm.analyses.transfer.predicting import Align, predicted_tissues
from mtm.cohort.scaling import log2_tpm
from mtm.errors import CannotDo
from mtm.models.base import Predictor
from mtm.settings.transfer import TransferSettings
from mtm.statistics.adjusted_groups import AdjustedGroups
from mtm.statistics.correlation import row_correlation
from mtm.statistics.testing import benjamini_hochberg
from mtm.vocabulary import RAN, SKIPPED, SOURCE, TARGET

CHANGE = "change"
COMPARISONS = (KEPT, FOLLOW_UP, CHANGE)
TISSUES = ["model", "comparison", "tissue", "role", "status", "reason", "n_cases", "n_controls",
           "covariates", "n_genes", "change", "ci_low", "ci_high", "explained", "null_low",
           "null_high", "p", "q", "rank", "n_up", "n_down", "n_as_source", "n_beyond_source",
           "rho_source"]  # fmt: skip
GENES = ["model", "comparison", "tissue", "gene_id", "n_cases", "n_controls", "log2fc", "ci_low",
         "ci_high", "p", "q", "predictable"]  # fmt: skip
LEAST_LOG2 = 1e-6


def predicted_differences(
    model: Predictor,
    name: str,
    external: ExternalCohort,
    align: Align,
    source: str,
    settings: TransferSettings,
    predictable: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the groups in the source tissue and in all predicted ones.

    Parameters
    ----------
    model, name
        Fitted without any of these people, and its name in the tables.
    external
        All samples of the cohort.
    align
        How they are brought to the training samples: kept samples as one set, both visits of
        people who came twice as one.
    source
        Tissue of the samples.
    predictable
        Columns ``tissue`` and ``gene_id``: the model's predictable genes.

    Returns
    -------
    pd.DataFrame
        `TISSUES`: one row a comparison and tissue, the source too; one row of a comparison that
        was asked for and could not be made. ``change`` is the root mean square over genes of the
        true log2 fold change, ``explained`` the mean share of variance that groups explain;
        ``n_as_source`` of the genes up and down (q below the limit) are so in the source too,
        ``n_beyond_source`` are not; genes that do not vary there, or that it lacks, are neither.
    pd.DataFrame
        `GENES`: one row a comparison, tissue and gene that varies.

    Raises
    ------
    CannotDo
        No comparison could be made.
    """
    rows: list[dict] = []
    genes: list[pd.DataFrame] = []
    for comparison, people, values_of in _comparisons(model, external, align, source, settings):
        groups, covariates = _groups(people, settings)
        about = {"model": name, "comparison": comparison} | _counts(people)
        key = about | {"covariates": ", ".join(covariates)}
        if reason := _too_little(people, groups, settings):
            rows.append(key | {"tissue": "", "status": SKIPPED, "reason": reason})
            continue
        for row, part in _by_tissue(groups, values_of(), source, settings):
            rows.append(key | row)
            part["gene_id"] = model.genes.index[part["gene"]]
            genes.append(part.assign(tissue=row["tissue"], **about))
    table = pd.DataFrame(rows, columns=TISSUES)
    if not genes:
        reason = "; ".join(dict.fromkeys(table["reason"]))
        remedy = "name a group that differs from sex and age, or lower transfer.min_per_group"
        raise CannotDo("predicted differences of an external cohort", reason, remedy)
    return _ranked(table), _marked(pd.concat(genes, ignore_index=True), predictable)[GENES]


def _counts(people: ExternalCohort) -> dict[str, int]:
    """Count the people of the two groups."""
    return {"n_cases": int(people.case.sum()), "n_controls": int((~people.case).sum())}


def _by_tissue(
    groups: AdjustedGroups,
    values_of: Iterator[tuple[str, np.ndarray]],
    source: str,
    settings: TransferSettings,
) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Yield a row, and genes, of each tissue; the source comes first."""
    of_source = None
    for tissue, values in values_of:
        row, part = _compare(groups, np.nan_to_num(values), settings)
        if tissue == source:
            of_source = part
        else:
            row |= _beside_source(part, of_source, settings)
        role = SOURCE if tissue == source else TARGET
        yield {"tissue": tissue, "role": role, "status": RAN} | row, part


def _marked(genes: pd.DataFrame, predictable: pd.DataFrame | None) -> pd.DataFrame:
    """Add whether the model tells a gene of a tissue; missing where that is not known."""
    if predictable is None:
        return genes.assign(predictable=pd.array([pd.NA] * len(genes), "boolean"))
    told = pd.MultiIndex.from_frame(predictable[["tissue", "gene_id"]])
    return genes.assign(
        predictable=pd.MultiIndex.from_frame(genes[["tissue", "gene_id"]]).isin(told)
    )


def _comparisons(
    model: Predictor,
    external: ExternalCohort,
    align: Align,
    source: str,
    settings: TransferSettings,
) -> Iterator[tuple]:
    """Yield each comparison: its name, people, and what gives log2 expression by tissue."""
    kept = external.kept()

    def of_kept():
        told = predicted_tissues(model, kept, align, source, settings.min_gene_overlap)
        for tissue, values in told:
            yield tissue, log2_tpm(values)

    yield KEPT, kept, of_kept
    pairs = external.pairs()
    n = len(pairs.samples) // 2
    if not n:
        return
    first, later = slice(n), slice(n, None)

    def of_pairs(compared):
        # One alignment for both visits: aligned apart, what changed would be taken away.
        told = predicted_tissues(model, pairs, align, source, settings.min_gene_overlap)
        for tissue, values in told:
            yield tissue, compared(log2_tpm(values))

    people = pairs.of(np.arange(n))
    yield FOLLOW_UP, people, lambda: of_pairs(lambda log2: log2[later])
    yield CHANGE, people, lambda: of_pairs(lambda log2: log2[later] - log2[first])


def _groups(
    people: ExternalCohort, settings: TransferSettings
) -> tuple[AdjustedGroups, list[str]]:
    """Set up the comparison, and name its covariates.

    Where some people's sex or age is missing, they stand at the mean and have a column that says
    so.
    """
    columns, named = [np.empty((len(people.samples), 0))], []
    for name in (SEX, AGE):
        if name not in people.samples:
            continue
        values = people.samples[name].to_numpy(float)
        known = np.isfinite(values)
        if not known.any() or np.ptp(values[known]) == 0:
            continue
        named.append(name)
        columns.append(np.where(known, values, values[known].mean())[:, None])
        if not known.all():
            columns.append((~known).astype(float)[:, None])
    groups = AdjustedGroups(
        people.case, np.hstack(columns), people.sex, settings.permutations, settings.seed
    )
    return groups, named


def _too_little(people: ExternalCohort, groups: AdjustedGroups, settings: TransferSettings) -> str:
    """Say why people cannot be compared; empty where they can."""
    least = min(people.case.sum(), (~people.case).sum())
    if least < settings.min_per_group:
        return f"{least} people in a group, fewer than {settings.min_per_group}"
    return "" if groups.can_tell else "the groups cannot be told from sex and age"


def _compare(
    groups: AdjustedGroups, values: np.ndarray, settings: TransferSettings
) -> tuple[dict, pd.DataFrame]:
    """Row of a tissue, and its genes that vary (``gene`` is their position)."""
    varying = np.flatnonzero(np.ptp(values, axis=0) > LEAST_LOG2)
    compared = groups.differences(values)
    low, high = compared.limits
    part = pd.DataFrame(
        {"gene": varying, "log2fc": compared.difference[varying], "ci_low": low[varying],
         "ci_high": high[varying], "p": compared.p[varying],
         "q": benjamini_hochberg(compared.p[varying])}
    )  # fmt: skip
    row = {"n_genes": len(varying)} | groups.summary(values[:, varying])
    found, up = part["q"] < settings.q_below, part["log2fc"] > 0
    return row | {"n_up": int((found & up).sum()), "n_down": int((found & ~up).sum())}, part


def _beside_source(
    target: pd.DataFrame, source: pd.DataFrame, settings: TransferSettings
) -> dict[str, float]:
    """Set a target's genes against the same genes of the source, where they vary there too."""
    both = target.merge(source, on="gene", suffixes=("", "_source"))
    alike = np.sign(both["log2fc"]) == np.sign(both["log2fc_source"])
    found = both["q"] < settings.q_below
    as_source = found & alike & (both["q_source"] < settings.q_below)
    row = {"n_as_source": int(as_source.sum()), "n_beyond_source": int((found & ~as_source).sum())}
    if len(both) > 2:
        rho = row_correlation(both["log2fc"].to_numpy(), both["log2fc_source"].to_numpy())
        row["rho_source"] = float(rho[0])
    return row


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Add q over the targets of a comparison, and their rank: by P, then by what is explained."""
    targets = (table["role"] == TARGET) & (table["status"] == RAN)
    table[["q", "rank"]] = np.nan
    for _, part in table[targets].groupby("comparison", sort=False):
        table.loc[part.index, "q"] = benjamini_hochberg(part["p"].to_numpy(float))
        order = part.sort_values(["p", "explained"], ascending=[True, False]).index
        table.loc[order, "rank"] = np.arange(1, len(order) + 1)
    integers = ["rank", "n_genes", "n_up", "n_down", "n_as_source", "n_beyond_source"]
    return table.astype(dict.fromkeys(integers, "Int64"))
