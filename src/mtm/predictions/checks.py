"""New samples held against a model's training donors before they are answered (methods 6.20)."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mtm.cohort.units import LARGEST_LOG2
from mtm.errors import InputError, numbered, printable, shown
from mtm.models.base import Predictor
from mtm.models.measures import BEYOND, LIMITS, MEASURES, Measured, measure, sexes_of
from mtm.models.reference import Reference
from mtm.models.requests import BLOCK

PASSED, WARNED, UNCHECKED = "pass", "warn", "unchecked"
# What each limit guards against, as the column `warnings` has it.
WARNINGS = {
    "rho_low": "genes",
    "margin_low": "tissue",
    "tpm_sum_low": "units",
    "tpm_sum_high": "units",
    "clipped_high": "clipped",
    "distance_high": "distance",
    "sex_high": "sex",
}
TRAINED = "training_donor"
SEXES = {1: "male", 2: "female"}
SAID = 20
# A factor that a sum is wrong by whatever the tissue.
LARGE = 5.0


def check_samples(
    model: Predictor,
    expr_tpm: np.ndarray,
    sample_ids: Sequence[str],
    source: str,
    found: np.ndarray | None = None,
    sex: pd.Series | None = None,
) -> pd.DataFrame:
    """Hold samples against what training donors' samples of a tissue are like.

    Parameters
    ----------
    model
        A fitted model.
    expr_tpm
        ``(n_samples, n_genes)``, TPM, genes as the model's.
    sample_ids
        Names of the samples.
    source
        Tissue that they are said to be of.
    found
        Genes that the data had, ``(n_genes,)``, bool; None for all.
    sex
        1 male, 2 female, missing or another code: not known; a value a sample, in their order.

    Returns
    -------
    pd.DataFrame
        A row a sample (docs/contracts.md, "Checks of new samples").

    Raises
    ------
    InputError
        A value is not finite, or a tissue is unknown.
    """
    if not np.isfinite(expr_tpm).all():
        row, gene = np.argwhere(~np.isfinite(expr_tpm))[0]
        where = f"sample {sample_ids[row]}, gene {model.genes.index[gene]}"
        raise InputError(where, str(expr_tpm[row, gene]), "a finite number")
    if source not in model.tissues:
        raise InputError("source", repr(source), f"one of {', '.join(model.tissues)}")
    codes = np.zeros(len(expr_tpm), int)
    if sex is not None:
        codes = sexes_of(pd.DataFrame({"sex": np.asarray(sex)}))
    parts = [
        _of_block(
            model,
            expr_tpm[part],
            sample_ids[part],
            model.tissues.index(source),
            found,
            codes[part],
        )
        for start in range(0, max(len(expr_tpm), 1), BLOCK)
        for part in [slice(start, start + BLOCK)]
    ]
    return pd.concat(parts, ignore_index=True)


def _of_block(
    model: Predictor,
    expr_tpm: np.ndarray,
    sample_ids: Sequence[str],
    tissue: int,
    found: np.ndarray | None,
    sex: np.ndarray,
) -> pd.DataFrame:
    """Check some samples."""
    known = model.reference
    measured = measure(
        model.scaler, None if known is None else known.sexes, expr_tpm, tissue, found
    )
    donors = _training_donors(model, sample_ids)
    table = pd.DataFrame(
        {
            "sample_id": np.asarray(sample_ids, dtype=object),
            "source": model.tissues[tissue],
            "genes_found": 1.0 if found is None else float(np.mean(found)),
            "rank_correlation": measured.rho,
            "best_other": [model.tissues[i] if i >= 0 else "" for i in measured.best],
            "best_other_correlation": measured.rho_best,
            "tpm_sum": measured.tpm_sum,
            "clipped": measured.clipped,
            "distance": measured.distance,
            "sex_given": [SEXES.get(code, "") for code in sex],
            "sex_found": _sex_words(measured.sex_score, known, tissue),
            "training_donor": donors,
        }
    )
    beyond = _beyond(model, measured, tissue, sex)
    say = _Words(model, measured, tissue, beyond, expr_tpm, sex, donors)
    warnings = []
    for i, donor in enumerate(donors):
        named = [WARNINGS[name] for name in LIMITS if beyond[name][i]]
        warnings.append(list(dict.fromkeys(named + [TRAINED] * bool(donor))))
    unchecked = known is None or np.isnan(known.limits[tissue]).all()
    status = [WARNED if w else UNCHECKED if unchecked else PASSED for w in warnings]
    table.insert(2, "status", status)
    table.insert(3, "warnings", [";".join(w) for w in warnings])
    return table.assign(says=[say.of(i) for i in range(len(table))])


def _training_donors(model: Predictor, sample_ids: Sequence[str]) -> list[str]:
    """Return the training donor that each sample's name is of or begins with, "" for none."""
    donors = model.provenance.training_donors
    if not donors.known:
        return [""] * len(sample_ids)
    named = []
    for sample in map(str, sample_ids):
        parts = sample.split("-")
        starts = ["-".join(parts[:n]) for n in range(len(parts), 0, -1)]
        seen = np.flatnonzero(donors.among(starts))
        named.append(starts[seen[0]] if len(seen) else "")
    return named


def _sex_words(score: np.ndarray, known: Reference | None, tissue: int) -> list[str]:
    """Sex that the score speaks for; "" where training donors' sexes cannot be told by it."""
    if known is None or np.isnan(known.limits[tissue, LIMITS.index("sex_high")]):
        return [""] * len(score)
    return ["" if np.isnan(s) else SEXES[2 if s > 0 else 1] for s in score]


def _beyond(
    model: Predictor, measured: Measured, tissue: int, sex: np.ndarray
) -> dict[str, np.ndarray]:
    """Whether each sample is beyond each of `LIMITS`; where there is no limit none is."""
    if model.reference is None:
        return {name: np.zeros(len(sex), bool) for name in LIMITS}
    limit = dict(zip(LIMITS, model.reference.limits[tissue], strict=True))
    against = np.where(sex > 0, measured.sex_score * (3 - 2 * sex), np.nan)
    values = {name: getattr(measured, name) for name in MEASURES} | {"sex": against}
    return {
        name: values[name.rsplit("_", 1)[0]] < limit[name]
        if name.endswith("_low")
        else values[name.rsplit("_", 1)[0]] > limit[name]
        for name in LIMITS
    }


class _Words:
    """Sentences about samples, each with the figures that it rests on."""

    def __init__(self, model, measured, tissue, beyond, expr_tpm, sex, donors):
        self.model, self.measured, self.tissue, self.beyond = model, measured, tissue, beyond
        self.expr_tpm, self.sex, self.donors = expr_tpm, sex, donors
        self.name = model.tissues[tissue]
        known = model.reference
        values = [np.nan] * len(MEASURES) if known is None else known.typical[tissue]
        self.typical = dict(zip(MEASURES, values, strict=True))

    def of(self, i: int) -> str:
        """Return what is to be said of sample `i`."""
        ways = self._of_tissue, self._of_units, self._of_distance, self._of_sex, self._of_donor
        said = [word for way in ways for word in way(i)]
        if said:
            return "; ".join(said)
        rho = f"{self.measured.rho[i]:.3f}"
        if np.isnan(self.typical["rho"]):
            return (
                f"not checked, the bundle has no limits for {self.name} (rank correlation {rho})"
            )
        return f"fits {self.name} (rank correlation {rho})"

    def _is_another(self, i: int) -> bool:
        """Whether it fits another tissue as that tissue's own samples do, and better."""
        m = self.measured
        apart = self.beyond["rho_low"][i] or self.beyond["margin_low"][i]
        if not apart or not m.rho_best[i] > m.rho[i]:
            return False
        return not m.rho_best[i] < self.model.reference.limits[m.best[i], LIMITS.index("rho_low")]

    def _of_tissue(self, i: int) -> Iterator[str]:
        m, beyond = self.measured, self.beyond
        mine = f"{self.name} ({m.rho[i]:.3f}, typically {self.typical['rho']:.3f})"
        best = f"{self.model.tissues[m.best[i]]} ({m.rho_best[i]:.3f})"
        if self._is_another(i):
            yield f"looks like {best}, not {mine}, by rank correlation"
        elif beyond["rho_low"][i]:
            nor = f", nor of {best}" if m.best[i] >= 0 else ""
            yield f"has not the order of genes of {mine}{nor}: check gene ids and sample quality"
        elif beyond["margin_low"][i]:
            yield f"fits {best} as well as {mine}, by rank correlation"

    def _of_units(self, i: int) -> Iterator[str]:
        if not (self.beyond["tpm_sum_low"][i] or self.beyond["tpm_sum_high"][i]):
            return
        total, typical = self.measured.tpm_sum[i], float(self.typical["tpm_sum"])
        values = self.expr_tpm[i]
        factor = max(total / typical, typical / max(total, 1e-9 * typical))
        if self._is_another(i) and factor < LARGE:
            return
        why = f"{factor:.3g} times too {'large' if total > typical else 'small'}; are they TPM"
        if total > typical and (values == np.floor(values)).all():
            why += ", or counts"
        elif total < typical and values.max() <= LARGEST_LOG2:
            why += ", or logarithms"
        yield f"values add up to {total:.4g}, typically {typical:.4g}, {why}?"

    def _of_distance(self, i: int) -> Iterator[str]:
        if self._is_another(i):
            return
        m, typical = self.measured, self.typical
        if self.beyond["clipped_high"][i]:
            usual = abs(typical["clipped"])
            yield f"{m.clipped[i]:.1%} of genes beyond {BEYOND:g} sd, typically {usual:.1%}"
        if self.beyond["distance_high"][i]:
            yield (
                f"farther from the training donors than they are from each other "
                f"({m.distance[i]:.2f} sd, typically {typical['distance']:.2f})"
            )

    def _of_sex(self, i: int) -> Iterator[str]:
        if self.beyond["sex_high"][i]:
            found, given = SEXES[3 - int(self.sex[i])], SEXES[int(self.sex[i])]
            yield f"has the sex genes of a {found} but is said to be {given}: samples swapped?"

    def _of_donor(self, i: int) -> Iterator[str]:
        if self.donors[i]:
            yield f"is of {shown(self.donors[i])}, a training donor, whom the model has seen"


def in_words(table: pd.DataFrame, most: int = SAID) -> list[str]:
    """Say a line a sample, warnings first, `most` samples at most, then how many more.

    Parameters
    ----------
    table
        From `check_samples`.
    most
        Lines of single samples.
    """
    order = np.argsort((table["status"] != WARNED).to_numpy(), kind="stable")
    lines = [
        f"{'warning: ' * (row.status == WARNED)}sample {printable(row.sample_id)}: {row.says}"
        for row in table.iloc[order[:most]].itertuples()
    ]
    if len(table) > most:
        left = table["status"].iloc[order[most:]]
        lines.append(
            f"{numbered(len(left), 'further sample')}, {int((left == WARNED).sum())} of them "
            "with a warning"
        )
    return lines
