"""How accuracy grows with training donors, and what more of them promise (methods 6.19).

The same held-out samples are told by models fitted on fewer donors. Bootstrap samples of the
held-out donors are the same for every number of training donors, so a curve through each of them
says how sure the curve is. Which training donors were drawn is not in it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mtm.analyses.accuracy.counted import CONVENTION_OF, Counted, degrees_of
from mtm.analyses.accuracy.resampled import headline_correlations, nothing_to_score
from mtm.predictions.held_out import HeldOut, fold_weights
from mtm.predictions.tissues import tissues
from mtm.settings.accuracy import AccuracySettings
from mtm.settings.growth import Growth
from mtm.statistics.growth_curve import fit_growth, read_growth
from mtm.statistics.joint_null import wider
from mtm.statistics.over_tissues import known_mean
from mtm.statistics.testing import t_limits, with_degrees, within_correlations
from mtm.vocabulary import FORETOLD, MEAN_OF_TISSUES, MEASURED, PROMISED

# Numbers of donors that make a curve to read beyond them; two lie on any.
LEAST_SIZES = 3


@dataclass(frozen=True)
class _Measured:
    """Mean correlation by number of donors, and how it varies over bootstrap samples of donors.

    `rho` is ``(n_sizes,)``, `spread` ``(n_sizes, n_bootstraps)`` about 0; `counted` are those whom
    they are of, by tissue.
    """

    n_samples: int
    counted: tuple[Counted, ...]
    rho: np.ndarray
    spread: np.ndarray


def training_sizes(folds: pd.Series) -> tuple[int, int]:
    """Return the training donors of the smallest fold and of a fold on average.

    `folds` are those of `mtm.cohort.folds.read_folds`, of donors with samples.
    """
    held_out = folds[folds >= 0].value_counts()
    return len(folds) - int(held_out.max()), round(len(folds) - held_out.mean())


def score_growth(
    whole: HeldOut,
    parts: Mapping[int, HeldOut],
    model: str,
    n_donors: int,
    settings: Growth,
    accuracy: AccuracySettings,
    learned: bool = True,
) -> pd.DataFrame:
    """Score a model by number of training donors.

    Parameters
    ----------
    whole
        Held-out predictions of the model fitted on all training donors.
    parts
        Those of fits on some, by number of donors.
    model
        Name in the table.
    n_donors
        Training donors of a fold, on average.
    settings, accuracy
        Sections of the config.
    learned
        Whether the model learns from the donors of other folds.

    Returns
    -------
    pd.DataFrame
        One row a ``level`` (gene_wise, sample_wise), ``tissue``, ``kind`` and ``n_donors``:
        ``n_samples``, ``mean_rho``, ``ci_low``, ``ci_high``. Kind "measured" was scored;
        "foretold" is the curve through fewer donors at all of them; "promised" the curve through
        all at `Growth.promised`, NaN where there is no curve. Tissue "(mean of tissues)" is the
        mean over tissues.

    Raises
    ------
    CannotDo
        No tissue has enough held-out donors in any fold, by every number of training donors.
    """
    of_size = {n: parts[n] for n in sorted(parts)} | {n_donors: whole}
    weights = fold_weights([whole], accuracy)
    scored = _scored(of_size.values(), weights, accuracy, learned)
    rows = []
    for level, of_tissues in scored.items():
        if not of_tissues:
            raise nothing_to_score("growth of accuracy with donors", accuracy)
        of_tissues[MEAN_OF_TISSUES] = _mean([*of_tissues.values()])
        for name, found in of_tissues.items():
            about = {"model": model, "level": level, "tissue": name}
            rows += [about | row for row in _rows([*of_size], found, settings.promised)]
    return pd.DataFrame(rows)


def _scored(
    of_numbers: Collection[HeldOut],
    weights: Mapping[int, pd.DataFrame],
    accuracy: AccuracySettings,
    learned: bool,
) -> dict[str, dict[str, _Measured]]:
    """Score every number of donors; by level and tissue, those that every number tells of."""
    found: dict[str, dict[str, list]] = {"gene_wise": {}, "sample_wise": {}}
    for held_out in of_numbers:
        for tissue in tissues(held_out):
            for level, of_level in headline_correlations(
                tissue, weights, accuracy, learned
            ).items():
                counted = Counted.of(tissue.rows, accuracy, CONVENTION_OF[level])
                rho, degrees = float(known_mean(of_level.rho)), degrees_of([counted])
                if np.isfinite(rho) and degrees > 0:
                    drawn = wider(of_level.draws, of_level.ratio)
                    told = tissue.n_samples, counted, rho, with_degrees(drawn, *counted.sizes)
                    found[level].setdefault(tissue.name, []).append(told)
    scored = {}
    for level, of_tissues in found.items():
        scored[level] = {
            name: _Measured(
                n_samples=of_size[0][0],
                counted=(of_size[0][1],),
                rho=np.array([rho for *_, rho, _ in of_size]),
                spread=np.stack([spread for *_, spread in of_size]),
            )
            for name, of_size in of_tissues.items()
            if len(of_size) == len(of_numbers)
        }
    return scored


def _mean(of_tissues: list[_Measured]) -> _Measured:
    """Average over tissues, in the same bootstrap samples."""
    return _Measured(
        n_samples=sum(one.n_samples for one in of_tissues),
        counted=tuple(counted for one in of_tissues for counted in one.counted),
        rho=np.mean([one.rho for one in of_tissues], 0),
        spread=known_mean(np.stack([one.spread for one in of_tissues])),
    )


def _rows(sizes: list[int], found: _Measured, promised: Iterable[int]) -> Iterator[dict]:
    """Yield what was measured, and what curves through it say."""
    drawn = found.rho[:, None] + found.spread

    def row(kind: str, n_donors: int, rho: float, draws: np.ndarray) -> dict:
        interval = {"ci_low": np.nan, "ci_high": np.nan}
        known = draws[np.isfinite(draws)]
        if np.isfinite(rho) and len(known) > 1:
            limits = t_limits(rho, float(known.std(ddof=1)), degrees_of(found.counted))
            interval = within_correlations({name: limits[name] for name in interval})
        about = {"kind": kind, "n_donors": n_donors, "n_samples": found.n_samples}
        return about | {"mean_rho": rho} | interval

    for n_donors, rho, draws in zip(sizes, found.rho, drawn, strict=True):
        yield row(MEASURED, n_donors, float(rho), draws)
    asked = [(FORETOLD, slice(-1), sizes[-1:])]
    asked.append((PROMISED, slice(None), [n for n in promised if n > sizes[-1]]))
    for kind, part, at in asked:
        if len(sizes[part]) < LEAST_SIZES - (kind == FORETOLD):
            continue
        curve, curves = (fit_growth(sizes[part], values[part]) for values in (found.rho, drawn))
        for n_donors in at:
            rho = float(read_growth(curve, n_donors))
            yield row(kind, n_donors, rho, read_growth(curves, n_donors))
