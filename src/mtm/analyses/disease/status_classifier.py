"""LASSO of disease status on expression: penalty, cross-validation and auROC of one contrast.

Labels are -1 and 1 and the loss is squared, as in the paper's scikit-learn LASSO and in TEEBoT.
The paper leaves the penalty open; here it is TEEBoT's: the minimum of an inner cross-validation
within the training donors, over glmnet's path of penalties for more genes than donors (down to a
hundredth of the first). The path is walked in pieces from the sparse end, warm-started, and
left where the inner error has not fallen any more for a while: its far end holds most of the work
and, for noisy labels, never the minimum (docs/decisions.md).

Needs NumPy, SciPy and scikit-learn alone, so that worker processes start fast.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed, parallel_config
from scipy.stats import false_discovery_control, norm
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, lasso_path
from sklearn.model_selection import StratifiedKFold

from mtm.settings.disease_status import ClassifierSettings
from mtm.statistics.correlation import fisher_z
from mtm.statistics.coupled_folds import coupling

# A penalty is judged on a path solved to this share of the labels' sum of squares, the one
# chosen is solved again to a tenth of it.
PATH_TOLERANCE, TOLERANCE, MAX_ITER = 1e-3, 1e-4, 2000
PIECE = 5
CONSTANT_SHARE = 1e-6
# A gene has a correlation from so many values that differ from its commonest one (methods 6.2).
LEAST_APART, HEAD = 2, 8
REPEAT, PERMUTED, HALF = "repeat", "permuted", "half"


def standardised(values: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Z-scores by the training rows, ``(n_rows, n_genes)``, float32 in columns.

    A gene that does not vary over the training rows is 0 everywhere.
    """
    block = values[training].astype(np.float64)
    mean, sd = block.mean(0), block.std(0)
    largest = np.abs(block).max(0, initial=0)
    scale = np.divide(1, sd, out=np.zeros_like(sd), where=sd > CONSTANT_SHARE * largest)
    result = np.empty(values.shape, np.float32, order="F")
    np.multiply(values - mean, scale, out=result, casting="unsafe")
    return result


def choose_penalty(
    x: np.ndarray, y: np.ndarray, settings: ClassifierSettings, seed: int
) -> tuple[float, int]:
    """Penalty of the least inner cross-validation error, and how many were tried.

    Parameters
    ----------
    x
        Standardised, shape ``(n_donors, n_genes)``.
    y
        Labels -1 and 1, shape ``(n_donors,)``, of the type of `x`.
    seed
        Of the inner folds.
    """
    largest = float(np.abs(x.T @ (y - y.mean())).max(initial=0)) / len(y)
    if largest == 0:
        return 0.0, 0
    penalties = largest * np.geomspace(1, settings.smallest_penalty, settings.n_penalties)
    splits = StratifiedKFold(settings.inner_folds, shuffle=True, random_state=seed).split(x, y)
    inner = []
    for kept, left in splits:
        part = np.asfortranarray(x[kept])
        mean, level = part.mean(0), y[kept].mean()
        part -= mean
        inner.append([part, y[kept] - level, x[left] - mean, y[left] - level, None])
    error = np.empty(0)
    for start in range(0, len(penalties), PIECE):
        piece, total = penalties[start : start + PIECE], 0.0
        for fold in inner:
            part, target, left, left_target, coef = fold
            _, path, _ = lasso_path(
                part, target, alphas=piece, coef_init=coef, precompute=False, copy_X=False,
                check_input=False, tol=PATH_TOLERANCE, max_iter=MAX_ITER,
            )  # fmt: skip
            fold[4] = np.ascontiguousarray(path[:, -1])
            total = total + ((left @ path - left_target[:, None]) ** 2).sum(0)
        error = np.append(error, total)
        if len(error) - 1 - error.argmin() >= settings.patience:
            break
    return float(penalties[error.argmin()]), len(error)


def fit_predict(
    x: np.ndarray, y: np.ndarray, new: np.ndarray, settings: ClassifierSettings, seed: int
) -> np.ndarray:
    """Fit on training donors, the penalty chosen among them, and score others.

    Parameters
    ----------
    x, new
        Standardised, shapes ``(n_training, n_genes)`` and ``(n_new, n_genes)``.
    y
        Labels -1 and 1, shape ``(n_training,)``.

    Returns
    -------
    np.ndarray
        Scores, shape ``(n_new,)``; all 0 without a gene that varies.
    """
    y = y.astype(x.dtype)
    with warnings.catch_warnings():
        # At the far end of a path a few solutions stop short; their inner error tells.
        warnings.simplefilter("ignore", ConvergenceWarning)
        penalty, _ = choose_penalty(x, y, settings, seed)
        if penalty == 0:
            return np.zeros(len(new))
        model = Lasso(alpha=penalty, tol=TOLERANCE, max_iter=MAX_ITER).fit(x, y)
        return model.predict(new).astype(np.float64)


def auroc(score: np.ndarray, case: np.ndarray) -> float:
    """Area under the ROC curve: how often a case scores above a control, ties counted half.

    Parameters
    ----------
    score, case
        Shape ``(n_donors,)``.

    Returns
    -------
    float
        NaN without a case or a control.
    """
    above = np.sign(score[case][:, None] - score[~case][None]) / 2 + 0.5
    return float(above.mean()) if above.size else np.nan


@dataclass(frozen=True)
class GeneChoice:
    """What chooses the genes of a training fold: given ones, or by its donors' correlations.

    Parameters
    ----------
    fixed
        Genes, bool of shape ``(n_genes,)``; None chooses them among the training donors: Pearson
        of prediction and observation within each of the model's folds, averaged as Fisher z,
        above `rho` with a false discovery rate below `q` (P one-sided, normal, as wide as folds
        that learn from each other make it, methods 6.18).
    predicted_z, observed_z
        Shape ``(n_donors, n_genes)``, where the genes are not given.
    fold
        The model's fold of each donor.
    rho, q, min_donors
        Bounds, and the least donors of a fold that counts.
    """

    fixed: np.ndarray | None = None
    predicted_z: np.ndarray | None = None
    observed_z: np.ndarray | None = None
    fold: np.ndarray | None = None
    rho: float = 0.3
    q: float = 0.05
    min_donors: int = 5

    def of_rows(self, rows: np.ndarray) -> "GeneChoice":
        """Choice of genes among some of the donors."""
        if self.fixed is not None:
            return self
        return replace(
            self,
            predicted_z=self.predicted_z[rows],
            observed_z=self.observed_z[rows],
            fold=self.fold[rows],
        )

    def of(self, training: np.ndarray) -> np.ndarray:
        """Genes for these training rows, positions."""
        if self.fixed is not None:
            return np.flatnonzero(self.fixed)
        n_genes = self.predicted_z.shape[1]
        total_z, total, sizes = np.zeros(n_genes), np.zeros(n_genes), []
        for fold in np.unique(self.fold):
            rows = training[self.fold[training] == fold]
            if len(rows) < max(self.min_donors, 4):
                continue
            rho = _correlation(self.predicted_z[rows], self.observed_z[rows])
            known = np.isfinite(rho)
            sizes.append(len(rows))
            weight = (len(rows) - 3) * known
            total_z += weight * fisher_z(np.where(known, rho, 0))
            total += weight
        tested = np.flatnonzero(total > 0)
        if not len(tested):
            return tested
        mean_z = total_z[tested] / total[tested]
        ratio = coupling(np.array(sizes), np.array(sizes) - 3, len(self.fold))
        p = norm.sf(mean_z * np.sqrt(total[tested]) / ratio)
        q = false_discovery_control(p, method="bh")
        return tested[(np.tanh(mean_z) > self.rho) & (q < self.q)]


def _correlation(predicted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Pearson's rho of each gene: 0 for a fixed prediction, NaN for a fixed observation.

    As `mtm.statistics.kernels.pearson`, whose import would slow the workers' start.
    """
    p, o = predicted - predicted.mean(0), observed - observed.mean(0)
    norms = [np.sqrt(np.einsum("ng,ng->g", side, side)) for side in (p, o)]
    fixed = [_fixed(side, norm_) for norm_, side in zip(norms, (predicted, observed), strict=True)]
    product = np.maximum(norms[0] * norms[1], np.finfo(np.float32).tiny)
    rho = np.einsum("ng,ng->g", p, o) / product
    return np.where(fixed[1], np.nan, np.where(fixed[0], 0.0, rho))


def _fixed(values: np.ndarray, norm_: np.ndarray) -> np.ndarray:
    """Whether genes, ``(n_donors, n_genes)``, vary in fewer than `LEAST_APART` donors."""
    tolerance = CONSTANT_SHARE * np.abs(values).max(0)
    fixed = norm_ <= tolerance * len(values) ** 0.5
    # Where all values but one are equal, so are two of any three: their median.
    commonest = np.median(values[:3], axis=0)
    # The first donors tell it of most genes.
    some = np.flatnonzero((np.abs(values[:HEAD] - commonest) > tolerance).sum(0) < LEAST_APART)
    apart = (np.abs(values[:, some] - commonest[some]) > tolerance[some]).sum(0)
    fixed[some] |= apart < LEAST_APART
    return fixed


@dataclass(frozen=True)
class CrossValidation:
    """Scores of held-out donors: one repeat of the cross-validation.

    Parameters
    ----------
    test_fold
        Fold in which each donor is scored, shape ``(n_donors,)``.
    score
        By input, shape ``(n_donors,)``; comparable within a fold alone.
    n_genes
        Genes chosen, on average over folds.
    """

    test_fold: np.ndarray
    score: dict[str, np.ndarray]
    n_genes: float

    def auroc(self, case: np.ndarray) -> dict[str, float]:
        """Mean over folds of the auROC within each, by input."""
        folds = [self.test_fold == index for index in np.unique(self.test_fold)]
        return {
            name: float(np.mean([auroc(score[rows], case[rows]) for rows in folds]))
            for name, score in self.score.items()
        }


def cross_validate(
    inputs: Mapping[str, np.ndarray],
    case: np.ndarray,
    choice: GeneChoice,
    settings: ClassifierSettings,
    seed: Sequence[int],
) -> CrossValidation:
    """Predict the status of every donor from donors of the other folds, for every input.

    All inputs see the same donors, folds, inner folds and genes. Genes, z-scores and penalty
    are those of the training donors.

    Parameters
    ----------
    inputs
        Expression of the donors by the name of the input, each ``(n_donors, n_genes)``.
    case
        Shape ``(n_donors,)``, bool.
    seed
        Of the folds, which are stratified by status.
    """
    state = int(np.random.SeedSequence(list(seed)).generate_state(1)[0] % 2**31)
    splits = StratifiedKFold(settings.n_folds, shuffle=True, random_state=state)
    y = np.where(case, 1.0, -1.0)
    test_fold = np.full(len(case), -1)
    score = {name: np.zeros(len(case)) for name in inputs}
    n_genes = []
    for index, (training, test) in enumerate(splits.split(y, case)):
        test_fold[test] = index
        genes = choice.of(training)
        n_genes.append(len(genes))
        for name, values in inputs.items() if len(genes) else ():
            x = standardised(values[:, genes], training)
            train_x = np.asfortranarray(x[training])
            score[name][test] = fit_predict(train_x, y[training], x[test], settings, state)
    return CrossValidation(test_fold, score, float(np.mean(n_genes)))


@dataclass(frozen=True)
class Task:
    """One cross-validation: of a repeat, of permuted labels, or of one half of the donors.

    Parameters
    ----------
    kind, number, part
        `REPEAT`, `PERMUTED` or `HALF`; which of its kind; the first or the second of a
        permutation's two cross-validations, or of two halves.
    rows
        Donors that take part, positions.
    case
        Their status, bool.
    seed
        Of the folds.
    """

    kind: str
    number: int
    part: int
    rows: np.ndarray
    case: np.ndarray
    seed: tuple[int, ...]


def tasks(case: np.ndarray, halves: np.ndarray, settings: ClassifierSettings) -> Iterator[Task]:
    """Yield repeats, permutations of the labels and halves of the donors.

    Parameters
    ----------
    case
        Shape ``(n_donors,)``, bool.
    halves
        Who is in the first half, shape ``(n_halvings, n_donors)``, bool. A halving is left out
        where a half has fewer cases or controls than its folds need.
    """
    everyone = np.arange(len(case))
    for number in range(settings.repeats):
        yield Task(REPEAT, number, 0, everyone, case, (settings.seed, 0, number))
    for number in range(settings.permutations):
        permuted = np.random.default_rng([settings.seed, 1, number]).permutation(case)
        for part in range(2):
            seed = (settings.seed, 2, number, part)
            yield Task(PERMUTED, number, part, everyone, permuted, seed)
    least = least_of_a_class(settings)
    for number, first in enumerate(halves):
        sides = np.flatnonzero(first), np.flatnonzero(~first)
        if min(np.bincount(case[rows], minlength=2).min() for rows in sides) >= least:
            for part, rows in enumerate(sides):
                yield Task(HALF, number, part, rows, case[rows], (settings.seed, 4, number, part))


def least_of_a_class(settings: ClassifierSettings) -> int:
    """Least donors of a status that give every fold, outer and inner, at least one."""
    folds, least = settings.n_folds, settings.n_folds
    while least - -(-least // folds) < settings.inner_folds:
        least += 1
    return least


def run_tasks(
    wanted: Sequence[Task],
    inputs: Mapping[str, np.ndarray],
    choice: GeneChoice,
    settings: ClassifierSettings,
    n_jobs: int = 1,
) -> list[CrossValidation]:
    """Run cross-validations.

    Parameters
    ----------
    inputs
        Expression of all donors by the name of the input, each ``(n_donors, n_genes)``.
    n_jobs
        Worker processes; results do not depend on it.
    """
    workers = {"n_jobs": n_jobs, "inner_max_num_threads": 1} if n_jobs > 1 else {}
    with parallel_config("loky" if n_jobs > 1 else "sequential", **workers):
        return Parallel(max_nbytes="1M")(
            delayed(_run)(task, inputs, choice, settings) for task in wanted
        )


def _run(
    task: Task,
    inputs: Mapping[str, np.ndarray],
    choice: GeneChoice,
    settings: ClassifierSettings,
) -> CrossValidation:
    """Run one cross-validation; its inputs were checked before."""
    if task.kind == HALF:
        inputs = {name: values[task.rows] for name, values in inputs.items()}
        choice = choice.of_rows(task.rows)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        return cross_validate(inputs, task.case, choice, settings, task.seed)
