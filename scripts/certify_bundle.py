"""Put what cross-validation found of a model into its bundle of all donors; nothing is fitted."""

import numpy as np

from mtm.io import read_parquet, read_tsv
from mtm.models.bundle import write_bundle
from mtm.models.card import card_of
from mtm.models.certificate import Certificate
from mtm.models.registry import read, revive
from mtm.pipeline.scripting import run
from mtm.settings.intervals import IntervalSettings
from mtm.settings.model_card import ModelCard


def main(snakemake):
    """Read the bundle and the tables of the cross-validation, write the bundle that has both."""
    inputs, params = snakemake.input, snakemake.params
    header, arrays = read(inputs.bundle)
    sources = {"source": [params.source], "others": header["tissues"]}
    quantiles = read_tsv(
        inputs.quantiles, ["tissue", "expression", "level", "quantile", "mean_own_sd"]
    )
    certificate = Certificate.from_tables(
        read_parquet(inputs.genes),
        quantiles,
        header["tissues"],
        header["gene_ids"],
        sources[params.sources] if isinstance(params.sources, str) else params.sources,
        IntervalSettings.of(params.intervals).thresholds,
    )
    if certificate.own_sd and len(certificate.sources) == 1:
        own_sd = mean_own_sd(revive(header, arrays), certificate)
        if own_sd is not None:
            held_out_sd = quantiles.groupby("tissue")["mean_own_sd"].first()
            certificate = certificate.of_fit(
                own_sd, held_out_sd.reindex(header["tissues"]).to_numpy()
            )
    card = card_of(
        read_tsv(inputs.by_tissue, ["tissue", "mean_rho"]),
        [read_tsv(path, ["tissue", "mean_rho"]) for path in inputs.covariates],
        read_tsv(inputs.coverage, ["tissue", "level", "coverage"]),
        ModelCard.of(params.card),
    )
    write_bundle(
        snakemake.output.bundle,
        header | {"certificate": certificate.header(), "card": card.model_dump()},
        arrays | certificate.arrays(),
    )


def mean_own_sd(model, certificate):
    """Mean over genes of the sd that a model gives of each tissue that was predicted.

    None where the model does not tell it without samples.
    """
    predicted = np.flatnonzero(certificate.n_donors > 0)
    source = model.tissues.index(certificate.sources[0])
    variance = model.expected_variance([source], predicted.tolist())
    if variance is None:
        return None
    found = np.full(len(model.tissues), np.nan)
    found[predicted] = np.sqrt(variance).mean(1, dtype=np.float64)
    return found


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
