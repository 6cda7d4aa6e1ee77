"""The two scales of the project, and the way between each of them and TPM (methods 1.1, 6.4)."""

from dataclasses import dataclass

import numpy as np

from mtm.errors import InputError
from mtm.settings.scaling import Scaling
from mtm.vocabulary import SCALES_OF, Measure, Scale

UNITS = {
    "tpm_z": "z-score of TPM within tissue, training donors' mean and sd",
    "log2_z": "z-score of log2(1+TPM) within tissue, training donors' mean and sd",
}
OWN_VALUES_TEXT = "values as the model was trained on"
OWN_UNITS_TEXT = "z-score of the values within tissue, training donors' mean and sd"


def log2_tpm(expr_tpm: np.ndarray, measure: Measure = "tpm") -> np.ndarray:
    """Return log2(1+TPM), same shape; values on a scale of their own as they are."""
    return np.log2(1 + expr_tpm) if measure == "tpm" else expr_tpm


@dataclass(frozen=True)
class TissueScaler:
    """Per-tissue, per-gene z-scores with statistics of training donors, invertible to TPM.

    Parameters
    ----------
    scale
        - ``"tpm_z"``: z-scores of raw TPM, as the paper
        - ``"log2_z"``: z-scores of log2(1+TPM)
    mean, sd
        Shape ``(n_tissues, n_genes)``, float32, in TPM or log2(1+TPM). A tissue without training
        samples holds NaN.
    clip
        z-scores are limited to ``[-clip, clip]``; None leaves them.
    measure
        Where it is ``"own"``, values of the cohort stand wherever TPM or log2(1+TPM) are said
        here, and the scale is ``"log2_z"``.
    """

    scale: Scale
    mean: np.ndarray
    sd: np.ndarray
    clip: float | None = None
    measure: Measure = "tpm"

    @property
    def units(self) -> str:
        """What z-scores are of, in words."""
        return UNITS[self.scale] if self.measure == "tpm" else OWN_UNITS_TEXT

    @classmethod
    def fit(
        cls,
        expr_tpm: np.ndarray,
        tissue: np.ndarray,
        n_tissues: int,
        scale: Scale,
        scaling: Scaling = Scaling(),
        measure: Measure = "tpm",
        rows: np.ndarray | None = None,
    ) -> "TissueScaler":
        """Fit on training samples.

        Parameters
        ----------
        expr_tpm
            Shape ``(n_samples, n_genes)``, TPM.
        tissue
            Shape ``(n_samples,)``, 0 to `n_tissues` - 1.
        n_tissues, scale
            Tissues of the statistics, and their scale.
        scaling
            How sds are made and z-scores clipped.
        measure
            What values are measured in.
        rows
            Which samples are training samples, bool, shape ``(n_samples,)``; None for all. One
            tissue's are copied at a time.
        """
        if scale not in SCALES_OF[measure]:
            raise InputError("scale", repr(scale), f"one of {', '.join(SCALES_OF[measure])}")
        shape = (n_tissues, expr_tpm.shape[1])
        mean, sd = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        tissue = tissue if rows is None else np.where(rows, tissue, -1)
        for index in np.unique(tissue[tissue >= 0]):
            block = expr_tpm[tissue == index].astype(np.float64)
            if scale == "log2_z":
                block = log2_tpm(block, measure)
            mean[index], sd[index] = block.mean(0), block.std(0)
        return cls.of_moments(mean, sd, scale, scaling, measure)

    @classmethod
    def of_moments(
        cls,
        mean: np.ndarray,
        spread: np.ndarray,
        scale: Scale,
        scaling: Scaling = Scaling(),
        measure: Measure = "tpm",
    ) -> "TissueScaler":
        """Scale by means and sds, each ``(n_tissues, n_genes)``; a gene without spread by 1."""
        mean = mean.astype(np.float32)
        # Deviation: the published code divides by a zero sd where the mean is 1 or more.
        unit = spread <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
        if scale == "tpm_z" and scaling.sd_rule == "unit_below_one":
            unit |= mean < 1
        clip = scaling.log2_clip if scale == "log2_z" else None
        return cls(scale, mean, np.where(unit, 1, spread).astype(np.float32), clip, measure)

    def mean_tpm(self, tissue: int) -> np.ndarray:
        """Training mean of a tissue on this scale, z = 0, as TPM, ``(n_genes,)``."""
        return self.inverse(np.zeros((1, self.mean.shape[1]), np.float32), np.array([tissue]))[0]

    def transform(self, expr_tpm: np.ndarray, tissue: np.ndarray) -> np.ndarray:
        """TPM to z, both of shape ``(n_samples, n_genes)``; `tissue` of shape ``(n_samples,)``."""
        values = log2_tpm(expr_tpm, self.measure) if self.scale == "log2_z" else expr_tpm
        return self.of_units(values, tissue)

    def of_units(self, values: np.ndarray, tissue: np.ndarray) -> np.ndarray:
        """TPM or log2(1+TPM), whichever the scale is of, to z, as `transform`."""
        expr_z = ((values - self.mean[tissue]) / self.sd[tissue]).astype(np.float32, copy=False)
        return expr_z if self.clip is None else np.clip(expr_z, -self.clip, self.clip)

    def to_units(self, expr_z: np.ndarray, tissue: np.ndarray) -> np.ndarray:
        """Z to TPM or log2(1+TPM), whichever the scale is of and never below 0, as `transform`."""
        values = (expr_z * self.sd[tissue] + self.mean[tissue]).astype(np.float32, copy=False)
        if self.measure == "own":
            return values
        # Deviation: 2^24 TPM is beyond any real sample; the bound keeps a prediction finite.
        return np.clip(values, 0, 24 if self.scale == "log2_z" else None)

    def inverse(self, expr_z: np.ndarray, tissue: np.ndarray) -> np.ndarray:
        """Z to TPM (never below 0), both of shape ``(n_samples, n_genes)``."""
        values = self.to_units(expr_z, tissue)
        if self.measure == "own" or self.scale != "log2_z":
            return values
        return np.exp2(values) - 1
