"""Which tissues tell nothing of others, by training donors whom a trial left out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.models.base import Predictor
from mtm.models.inner_folds import told

# Samples told from each tissue, at most.
MOST = 200
# Of what the median tissue tells: one that tells less adds noise to what others tell.
LEAST_SHARE = 0.1


def told_alone(model: Predictor, cohort: Cohort, donors: Sequence[str]) -> dict[str, float]:
    """Gene-wise rho of some donors from each tissue alone, covariates unknown; NaN of too few."""
    unknown = replace(cohort, donors=cohort.donors[[]])
    return {
        tissue: told(model, unknown, donors, tissue, "source", MOST) for tissue in model.tissues
    }


def silent_tissues(alone: Mapping[str, float]) -> list[str]:
    """Name tissues that tell less than `LEAST_SHARE` of what the median tissue tells."""
    known = [rho for rho in alone.values() if np.isfinite(rho)]
    least = LEAST_SHARE * max(float(np.median(known)), 0.0) if known else 0.0
    return [tissue for tissue, rho in alone.items() if rho < least]
