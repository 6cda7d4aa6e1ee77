"""Names and numbers of a configuration that its own cohort must have, looked up before any job."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mtm.analyses.disease.contrasts import contrasts, history_columns
from mtm.analyses.traits.trait import read_trait
from mtm.cohort.checks import CohortNames, Problems
from mtm.cohort.cohort import Cohort
from mtm.cohort.filters import check_source
from mtm.cohort.parts import donors_with
from mtm.errors import InputError
from mtm.pipeline.tissue_names import named_tissues
from mtm.settings.disease import DiseaseSettings
from mtm.vocabulary import OWN_UNITS


def check_names(problems: Problems, config: Mapping[str, Any], known: CohortNames) -> None:
    """Note tissues, columns, values and contrasts in a configuration that its cohort has not."""
    for where, tissue in named_tissues(config):
        problems.of(check_source, known.tissues, tissue, where)
    cohort = known.cohort
    if cohort is None:
        return
    for name, other in config["evaluation"]["external"].items():
        if other["hold_out"]:
            problems.of(_check_part, name, other, known, config["source"])
    controlled = config["inputs"]["controlled_phenotypes"] is not None
    # Without that file the plan leaves out, and lists, what open data have not.
    for column in config["traits"]["columns"] if controlled else ():
        problems.of(read_trait, cohort.donors, column)
    disease = DiseaseSettings.of(config["disease"])
    n_found = len(problems.found)
    problems.of(history_columns, cohort.donors, disease.medical_history)
    if len(problems.found) == n_found:
        _check_contrasts(problems, config, cohort, disease, controlled)


def _check_part(name: str, part: Mapping[str, Any], known: CohortNames, source: str) -> None:
    """Refuse to hold out a part of the cohort that is nobody, or all who have the source."""
    where = f"config key evaluation.external.{name}."
    inside = donors_with(known.samples, known.donors, part["hold_out"], part["values"], where)
    left = known.samples[~known.samples["donor"].isin(inside)]
    if source not in set(left["tissue"]):
        raise InputError(
            f"{where}values",
            f"{len(inside)} of {len(known.donors)} donors held out, all with {source} among them",
            "donors left to train on",
            "Name fewer values, or another column as hold_out.",
        )


def _check_contrasts(
    problems: Problems,
    config: Mapping[str, Any],
    cohort: Cohort,
    disease: DiseaseSettings,
    controlled: bool,
) -> None:
    """Note contrasts that groups of external cohorts stand for and the cohort has not."""
    transfer = config["transfer"]
    if transfer["reference"] or config["inputs"]["units"] in OWN_UNITS:
        return
    usual = {config["comparison"]["roles"].get("MTM"), "ridge", "same_gene"}
    if not transfer["models"] and usual.isdisjoint(config["models"]):
        return
    asked = {}
    for name, external in (config["external"] or {}).items():
        where = f"external.{name}.contrast" if external["contrast"] else "transfer.contrast"
        contrast = external["contrast"] or transfer["contrast"]
        # Of medical history the plan leaves out what nothing can tell.
        if controlled or not contrast.startswith("MH"):
            asked[where] = contrast
    if not asked:
        return
    names = list(dict.fromkeys(contrasts(cohort, disease)["contrast"]))
    for where, contrast in asked.items():
        if contrast not in names:
            problems.found.append(
                InputError(
                    f"config key {where}",
                    repr(contrast),
                    f"a contrast of the cohort ({', '.join(names) or 'it has none'})",
                    "Name one of these, or a table of fold changes as transfer.reference.",
                )
            )


def check_folds(
    problems: Problems, config: Mapping[str, Any], folds: pd.DataFrame, known: CohortNames
) -> None:
    """Note models that can tell nobody of a fold, and numbers of donors that no fold exceeds.

    Parameters
    ----------
    folds
        ``donor``, ``fold``.
    """
    has = pd.crosstab(known.samples["donor"], known.samples["tissue"]).reindex(folds["donor"]) > 0
    held_out_in = folds["fold"].to_numpy()
    for name, model in config["models"].items():
        if not isinstance(model["sources"], str) and set(model["sources"]) <= set(has):
            where = f"config key models.{name}.sources"
            told = _told_from(has, model["sources"], config["source"])
            problems.of(_demand_told, where, model["sources"], held_out_in, told)
    least = min(int((held_out_in != fold).sum()) for fold in range(held_out_in.max() + 1))
    donors = config["growth"]["donors"]
    if donors and min(donors) >= least:
        problems.found.append(
            InputError(
                "config key growth.donors",
                ", ".join(map(str, donors)),
                f"at least one number below {least}, the training donors of the smallest fold",
                "Those that a fold does not exceed are passed by.",
            )
        )


def _told_from(has: pd.DataFrame, sources: Collection[str], source: str) -> pd.Series:
    """Whether a donor with `source` has another tissue, and one of `sources` beside it."""
    given = has[list(sources)].sum(axis=1)
    targets = has.drop(columns=source)
    beside = targets.apply(lambda tissue: tissue & (given > int(tissue.name in sources)))
    return has[source] & beside.any(axis=1)


def _demand_told(
    where: str, sources: Collection[str], held_out_in: np.ndarray, told: pd.Series
) -> None:
    """Refuse a fold of whose donors nobody is told: it would have no predictions."""
    for fold in range(held_out_in.max() + 1):
        held_out = held_out_in == fold
        if not (held_out & told.to_numpy()).any():
            raise InputError(
                where,
                f"{', '.join(sources)}, which tell none of {held_out.sum()} held-out donors of "
                f"fold {fold}",
                "tissues that some donor of every fold has beside the source and another",
                "Name further tissues, or choose the balanced scheme (folds.scheme), fewer folds "
                "or another folds.seed.",
            )
