"""What cross-validation found of a model, kept in its bundle: intervals, reliability of genes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from mtm.errors import InputError
from mtm.models.layout import Layout, summary
from mtm.vocabulary import RELIABILITY, TERTILES

PREFIX = "certificate/"
# Columns of the table of genes, and what they are called here.
OF_GENES = ("sd", "rho", "ci_low", "ci_high", "q", "expected_rho")


@dataclass(frozen=True)
class Certificate:
    """Intervals and reliability of the predictions of a bundle (methods 6.11).

    Rows are tissues and columns genes of the model; a tissue that was not predicted has NaN.

    Parameters
    ----------
    sources
        Tissues that held-out donors were predicted from.
    levels
        Shares of observations that intervals hold, rising.
    own_sd
        Whether `sd` and `quantiles` are in units of the sd that the model itself gives.
    thresholds
        Least expected correlation of each class of reliability.
    n_donors
        Held-out donors behind each tissue, ``(n_tissues,)``, int32.
    quantiles
        Half-widths in units of `sd`, by tertile of expression, ``(n_tissues, 3, n_levels)``.
    tertile
        Of each gene, position in `TERTILES`, ``(n_tissues, n_genes)``, uint8.
    sd
        Moderated sd of residuals, ``(n_tissues, n_genes)``, float32, on the model's scale.
    rho, ci_low, ci_high, q, expected_rho
        Cross-fitted correlation of each gene with its interval and false discovery rate, and
        what further people are expected to show; as `sd`.
    reliability
        Class of each gene, position in `RELIABILITY`, uint8.
    """

    sources: tuple[str, ...]
    levels: tuple[float, ...]
    own_sd: bool
    thresholds: Mapping[str, float]
    n_donors: np.ndarray
    quantiles: np.ndarray
    tertile: np.ndarray
    sd: np.ndarray
    rho: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray
    q: np.ndarray
    expected_rho: np.ndarray
    reliability: np.ndarray

    @classmethod
    def from_tables(
        cls,
        genes: pd.DataFrame,
        quantiles: pd.DataFrame,
        tissues: Sequence[str],
        gene_ids: Sequence[str],
        sources: Sequence[str],
        thresholds: Mapping[str, float],
    ) -> "Certificate":
        """Make it of ``intervals/genes/{model}.parquet`` and ``intervals/quantiles/{model}.tsv``.

        Parameters
        ----------
        genes, quantiles
            The two tables.
        tissues, gene_ids
            Of the bundle; the tables may lack tissues, and no genes.
        sources, thresholds
            As of the class.

        Raises
        ------
        InputError
            The tables are of other genes.
        """
        row = pd.Index(tissues).get_indexer(genes["tissue"])
        column = pd.Index(gene_ids).get_indexer(genes["gene_id"])
        if (row < 0).any() or (column < 0).any() or len(genes) % max(len(gene_ids), 1):
            raise InputError(
                "intervals/genes", "other genes or tissues", "those of the bundle", "Run it again."
            )
        shape = len(tissues), len(gene_ids)

        def spread(values: np.ndarray, empty: float, kind: type) -> np.ndarray:
            array = np.full(shape, empty, kind)
            array[row, column] = values
            return array

        levels = tuple(sorted(float(level) for level in quantiles["level"].unique()))
        index = pd.MultiIndex.from_product([tissues, TERTILES, levels])
        key = ["tissue", "expression", "level"]
        wide = quantiles.set_index(key)["quantile"].reindex(index).to_numpy(np.float32)
        n_donors = genes.groupby("tissue")["n"].first().reindex(tissues, fill_value=0)
        classes = pd.Index(RELIABILITY).get_indexer(genes["reliability"])
        return cls(
            sources=tuple(sources),
            levels=levels,
            own_sd=bool(quantiles["own_sd"].all()),
            thresholds=dict(thresholds),
            n_donors=n_donors.to_numpy(np.int32),
            quantiles=wide.reshape(len(tissues), len(TERTILES), len(levels)),
            tertile=spread(pd.Index(TERTILES).get_indexer(genes["expression"]), 0, np.uint8),
            reliability=spread(classes, 0, np.uint8),
            **{name: spread(genes[name].to_numpy(), np.nan, np.float32) for name in OF_GENES},
        )

    @staticmethod
    def layout(shape: tuple[int, int], header: Mapping) -> Layout:
        """Return the arrays of a certificate, of so many tissues and genes, under `PREFIX`."""
        rho = summary(shape, low=-1.0, high=1.0, missing=True)
        return {
            f"{PREFIX}sd": summary(shape, above=0.0, missing=True),
            **{f"{PREFIX}{name}": rho for name in ("rho", "ci_low", "ci_high", "expected_rho")},
            f"{PREFIX}q": summary(shape, low=0.0, high=1.0, missing=True),
            f"{PREFIX}tertile": summary(shape, "uint8", 0, len(TERTILES) - 1),
            f"{PREFIX}reliability": summary(shape, "uint8", 0, len(RELIABILITY) - 1),
            f"{PREFIX}quantiles": summary(
                (shape[0], len(TERTILES), len(header["levels"])), low=0.0, missing=True
            ),
            f"{PREFIX}n_donors": summary(shape[:1], "int32", 0),
        }

    @classmethod
    def of(cls, header: Mapping, arrays: Mapping[str, np.ndarray]) -> "Certificate | None":
        """Take it from the header and arrays of a bundle, checked; None where it has none."""
        plain = header.get("certificate")
        if plain is None:
            return None
        return cls(
            sources=tuple(plain["sources"]),
            levels=tuple(plain["levels"]),
            own_sd=plain["own_sd"],
            thresholds=dict(plain["thresholds"]),
            **{
                name: arrays[PREFIX + name]
                for name in (item.name for item in fields(cls))
                if PREFIX + name in arrays
            },
        )

    def header(self) -> dict:
        """Return what a bundle's header holds of it, under ``certificate``."""
        return {
            "sources": list(self.sources),
            "levels": list(self.levels),
            "own_sd": self.own_sd,
            "thresholds": dict(self.thresholds),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return its arrays under the names of a bundle."""
        names = [*OF_GENES, "tertile", "reliability", "quantiles", "n_donors"]
        return {PREFIX + name: getattr(self, name) for name in names}

    def without(self, tissues: np.ndarray) -> "Certificate":
        """Return it as if nobody had been predicted of some tissues, ``(n_tissues,)``, bool."""
        empty = dict.fromkeys((*OF_GENES, "quantiles"), np.nan)
        empty |= dict.fromkeys(("tertile", "reliability", "n_donors"), 0)
        parts = {name: getattr(self, name).copy() for name in empty}
        for name, values in parts.items():
            values[tissues] = empty[name]
        return replace(self, **parts)

    def of_fit(self, own_sd: np.ndarray, held_out_sd: np.ndarray) -> "Certificate":
        """Return it for a fit whose own sd is not that of the fits that were judged.

        Intervals stay as wide as theirs (methods 6.11).

        Parameters
        ----------
        own_sd
            Of the fit, mean over genes, ``(n_tissues,)``; NaN where it is not known.
        held_out_sd
            Of the judged fits, mean over held-out samples and genes, as `own_sd`.
        """
        ratio = np.where(self.n_donors > 0, held_out_sd / own_sd, 1.0)
        return replace(self, sd=self.sd * ratio[:, None].astype(np.float32))

    def in_words(self) -> dict[str, str]:
        """Say what there is, a line on intervals and one on reliability."""
        known = self.n_donors > 0
        if not known.any():
            return {"certificate": "of no held-out donor"}
        levels = ", ".join(f"{level:.0%}" for level in self.levels)
        shares = [
            f"{name} {(self.reliability[known] == place).mean():.1%}"
            + (f" (from {self.thresholds[name]:g})" if name in self.thresholds else "")
            for place, name in reversed(list(enumerate(RELIABILITY)))
        ]
        least, most = self.n_donors[known].min(), self.n_donors.max()
        donors = f"{most}" if least == most else f"{least} to {most}"
        return {
            "intervals": f"{levels} from {donors} held-out donors a tissue, predicted "
            f"from {'; '.join(self.sources)}",
            "reliability": f"{', '.join(shares)} of genes, by the correlation to expect",
        }

    def half_width(self, tissue: int) -> np.ndarray:
        """Half of the widest interval of each gene, ``(n_genes,)``.

        In units of the model's own sd where `own_sd`, else on its scale.
        """
        return self.quantiles[tissue, self.tertile[tissue], -1] * self.sd[tissue]

    def covers(self, source: str) -> bool:
        """Whether it speaks of predictions from one sample of this tissue."""
        return self.sources == (source,)
