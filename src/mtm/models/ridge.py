"""Baselines b3 and b6: ridge on source expression, with or without covariates (methods 4)."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Self

import numpy as np

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError, shown
from mtm.models.base import Training
from mtm.models.covariate_design import DESIGN, CovariateDesign, covariate_table
from mtm.models.cut import SHAREABLE
from mtm.models.device import choose_device
from mtm.models.layout import TISSUE, Layout, check_size, individual_level, summary
from mtm.models.per_tissue import PerTissuePredictor, TissuePairs
from mtm.models.registry import register
from mtm.settings.models.ridge import RidgeParameters

# Coefficients of one tissue over axes, and what its predictions change by, a row a person.
Cut = Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]


@register("ridge")
class Ridge(PerTissuePredictor):
    """Ridge regression of every target gene on all source genes, penalty by GCV."""

    Parameters = RidgeParameters

    def _prepare(self, training: Training, source_rows: np.ndarray) -> None:
        options = self.parameters
        names = () if options.covariates == "none" else options.covariate_columns
        design = CovariateDesign.fit(covariate_table(training.cohort, source_rows, names))
        self.provenance.notes["covariates"] = design.covariates
        self.shared["design"] = design.to_array()
        # More genes than donors: coefficients over donors are the smaller ones to keep.
        if len(self.genes) > len(source_rows):
            self.shared["source"] = self.seen(training.cohort, source_rows)

    def _features(self, inputs: Cohort, rows: np.ndarray) -> np.ndarray:
        """Return z-scores of the genes, then the covariates."""
        design = CovariateDesign.from_array(self.shared["design"])
        columns = design.transform(covariate_table(inputs, rows, design.covariates))
        return np.hstack([self.seen(inputs, rows), columns.astype(np.float32)])

    def _fit_tissue(
        self, features: np.ndarray, target_z: np.ndarray, pairs: TissuePairs, training: Training
    ) -> tuple[dict[str, np.ndarray], dict]:
        from mtm.models.solvers.ridge import gcv_ridge, reduced_rank

        options = {
            "penalties": self.parameters.penalties,
            "penalty_choice": self.parameters.penalty_choice,
            "device": choose_device(training.device),
            "memory_mb": self.parameters.memory_mb,
        }
        x, columns = np.hsplit(features.astype(np.float64), [len(self.genes)])
        kernel, beside = x @ x.T, columns @ columns.T
        fit, fields = {}, {}
        first_coef, first_intercept = 0.0, 0.0
        if self.parameters.covariates == "separate":
            first = gcv_ridge(beside, target_z, **options)
            first_coef, first_intercept = columns.T @ first.dual, first.intercept
            target_z = target_z - (columns @ first_coef + first_intercept)
        factor, fields["covariate_weight"] = self._block(kernel, beside, target_z, options)
        kernel += factor * beside
        ridge = gcv_ridge(kernel, target_z, **options)
        coef, dual, intercept = ridge.dual, ridge.dual, first_intercept + ridge.intercept
        if self.parameters.rank is not None:
            coef, directions = reduced_rank(kernel, ridge.dual, self.parameters.rank)
            dual = coef @ directions
            fit["directions"] = directions.astype(np.float32)
            intercept = intercept + kernel.mean(0) @ (ridge.dual - dual)
        fit["intercept"] = intercept.astype(np.float32)
        if columns.shape[1]:
            covariate_coef = first_coef + factor * columns.T @ dual
            fit["covariate_coef"] = covariate_coef.astype(np.float32)
            fit["covariate_weight"] = np.array([fields["covariate_weight"]], np.float32)
        if "source" in self.shared:
            fit["source_position"] = pairs.source_position
            fit["dual"] = coef.astype(np.float32)
        else:
            fit["coef"] = (x.T @ coef).astype(np.float32)
        return fit, {"median_penalty": float(np.median(ridge.penalty))} | fields

    def _block(
        self, kernel: np.ndarray, beside: np.ndarray, target_z: np.ndarray, options: dict
    ) -> tuple[float, float]:
        """Return the factor of the covariates' kernel `beside`, and its weight.

        The weight is its mean eigenvalue over that of the genes' kernel (methods 4); NaN where
        covariates came before.
        """
        from mtm.models.solvers.ridge import least_gcv, mean_eigenvalue

        p = self.parameters
        unit, own = mean_eigenvalue(kernel) or 1.0, mean_eigenvalue(beside)
        if p.covariates == "separate":
            return 0.0, np.nan
        if not own:
            return 0.0, 0.0
        if p.covariates == "together":
            return 1.0, own / unit
        factors = [weight * unit / own for weight in p.covariate_weights]
        best = least_gcv((kernel + factor * beside for factor in factors), target_z, **options)
        return factors[best], p.covariate_weights[best]

    def shareable(self, rank: int, fewest: int) -> Self:
        """Return it with coefficients over `rank` axes of the source, of all donors together.

        What predictions change by stands in the bundle's notes. Coefficients over all genes tell
        of as many directions as there are donors, though they hold none of them: they are cut
        down, too.
        """
        if "axes" in self.shared:
            known = self.shared["axes"].shape[1]
            if rank < known:
                raise InputError(
                    "rank", str(rank), f"{known} axes or more: the model has no others"
                )
            return super().shareable(rank, fewest)
        by_people = "source" in self.shared
        model, squares = copy(self), []
        # Axes and what they change are of the tissues that stay.
        model.forget(np.flatnonzero(self.few_samples(fewest)))
        of_axes, axes, cut = (model._cut_people if by_people else model._cut_coefficients)(rank)
        kept = model.fits
        model.shared = {"design": self.shared["design"], "axes": axes.astype(np.float32)}
        model.fits = {}
        for target, fit in kept.items():
            coef, change = cut(fit)
            change = change @ fit["directions"] if "directions" in fit else change
            squares.append(np.square(change).mean())
            rest = {key: fit[key] for key in fit if key not in ("dual", "source_position")}
            model.fits[target] = rest | {"coef": coef.astype(np.float32)}
        told = {
            "axes": axes.shape[1],
            "of_axes": of_axes,
            "rms_error_z": float(np.sqrt(np.mean(squares))) if squares else 0.0,
            "error_over": "training donors" if by_people else "independent genes",
        }
        notes = self.provenance.notes | {SHAREABLE: told}
        model.provenance = replace(self.provenance, notes=notes)
        return super(Ridge, model).shareable(rank, fewest)

    def _cut_people(self, rank: int) -> tuple[int, np.ndarray, Cut]:
        """Take the first right singular vectors of the training donors' z-scores, of how many."""
        source = self.shared["source"].astype(np.float64)
        kernel = source @ source.T
        values, vectors = np.linalg.eigh(kernel)
        all_axes = np.flatnonzero(values > 1e-9 * values[-1])[::-1]
        kept = all_axes[:rank]
        scores = vectors[:, kept] * np.sqrt(values[kept])

        def cut(fit: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            place, dual = fit["source_position"], fit["dual"].astype(np.float64)
            coef = scores[place].T @ dual
            return coef, kernel[:, place] @ dual - scores @ coef

        return len(all_axes), source.T @ (scores / values[kept]), cut

    def _cut_coefficients(self, rank: int) -> tuple[int, np.ndarray, Cut]:
        """Take the first left singular vectors of all tissues' coefficients, of how many."""
        n_genes = len(self.genes)
        gram = np.zeros((n_genes, n_genes))
        for fit in self.fits.values():
            whole = fit["coef"].astype(np.float64) @ fit.get("directions", np.eye(n_genes))
            gram += whole @ whole.T
        values, vectors = np.linalg.eigh(gram)
        all_axes = np.flatnonzero(values > 1e-9 * values[-1])[::-1]
        axes = vectors[:, all_axes[:rank]]

        def cut(fit: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            coef = axes.T @ fit["coef"]
            # Summed over genes of the source, whose z-scores have mean square 1.
            return coef, (fit["coef"] - axes @ coef) * np.sqrt(n_genes)

        return len(all_axes), axes, cut

    def _shared_layout(self) -> Layout:
        n_genes = len(self.genes)
        return {
            "design": DESIGN,
            "source": individual_level(("training samples", n_genes), optional=True),
            "axes": summary((n_genes, "axes"), optional=True),
        }

    def _tissue_layout(self) -> Layout:
        n_genes, terms, pairs = len(self.genes), f"terms of {TISSUE}", f"pairs of {TISSUE}"
        directions = n_genes if self.parameters.rank is None else f"directions of {TISSUE}"
        layout = {
            "coef": summary((terms, directions), optional=True),
            "dual": individual_level((pairs, directions), optional=True),
            "intercept": summary((n_genes,)),
            "source_position": individual_level((pairs,), "int64", 0, optional=True),
            "covariate_coef": summary(("covariates", n_genes), optional=True),
            "covariate_weight": summary((1,), low=0.0, missing=True, optional=True),
        }
        if self.parameters.rank is None:
            return layout
        return layout | {"directions": summary((directions, n_genes))}

    def _check_fit(self, place: str, fit: dict[str, np.ndarray]) -> None:
        dual = "source" in self.shared
        names = {"dual", "source_position"} if dual else {"coef"}
        found = {"coef", "dual", "source_position"}.intersection(fit)
        if found != names:
            raise InputError(f"arrays {place}", shown(sorted(found)), " and ".join(sorted(names)))
        super()._check_fit(place, fit)
        n_columns = len(CovariateDesign.from_array(self.shared["design"]))
        n_covariates = len(fit.get("covariate_coef", ()))
        check_size(f"{place}covariate_coef", n_covariates, n_columns, "columns of the design")
        if not dual:
            n_terms = self.shared["axes"].shape[1] if "axes" in self.shared else len(self.genes)
            check_size(f"{place}coef", len(fit["coef"]), n_terms, "genes or axes")

    def _predict_tissue(self, fit: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
        x, columns = np.hsplit(features, [len(self.genes)])
        if "dual" in fit:
            x = (x @ self.shared["source"].T)[:, fit["source_position"]]
        elif "axes" in self.shared:
            x = x @ self.shared["axes"]
        expr_z = x @ fit["dual" if "dual" in fit else "coef"]
        if "directions" in fit:
            expr_z = expr_z @ fit["directions"]
        if "covariate_coef" in fit:
            expr_z = expr_z + columns @ fit["covariate_coef"]
        return expr_z + fit["intercept"]
