"""A simulated external cohort: blood of new donors, measured elsewhere, with its truth.

The donors carry the same planted effects as those of the cohort and share no random number with
them. Every gene is shifted and stretched in log2 TPM, as another laboratory and another
quantification would do, so that values compare only once genes are aligned.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mtm.io import atomic_path, write_tsv
from mtm.settings.simulation import STREAMS, SimulationSettings
from mtm.simulation.effects import DETECTION_LIMIT_TPM, draw_effects, draw_expression
from mtm.simulation.files import write_truth
from mtm.simulation.population import Population, simulate_population

DISEASE = "MHT2D"
DONOR_STREAMS = (
    "donors",
    "factors",
    "availability",
    "samples",
    "identifiers",
    "own",
    "noise",
    "attributes",
)
# Log sd of the stretch for a shift of sd 1.
STRETCH_PER_SHIFT = 0.2


class _ExternalSettings(SimulationSettings):
    """Settings whose donors are others, of the same genes and effects."""

    def rng(self, stream: str, *key: int) -> np.random.Generator:
        if stream in DONOR_STREAMS:
            return super().rng("external", STREAMS.index(stream), *key)
        return super().rng(stream, *key)


def simulate_external_population(settings: SimulationSettings) -> Population:
    """Draw the external donors, half of them expected to be cases of each disease.

    Returns
    -------
    Population
        Like the cohort's, with the same genes; the source tissue alone is sampled, one sample a
        donor. Donors are called ``EXT-...``, samples ``EXT-...-BLOOD``.
    """
    values = settings.model_dump() | {
        "n_donors": settings.n_external_donors,
        "n_rare_samples": 0,
        "n_single_sample_donors": 0,
        # Recruited by disease, as case-control studies are.
        "disease_prevalence": 0.5,
    }
    population = simulate_population(_ExternalSettings(**values))

    def renamed(names):
        return names.str.replace("GTEX-", "EXT-", regex=False)

    samples = population.samples
    samples = samples.assign(
        donor=renamed(samples["donor"]), sampled=samples["tissue"] == settings.source
    )
    samples["sample_id"] = np.where(samples["sampled"], samples["donor"] + "-BLOOD", "")
    donors = population.donors.set_axis(renamed(population.donors.index))
    return replace(population, donors=donors, samples=samples)


def draw_batch(settings: SimulationSettings, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the batch effect on gene block number `block`.

    Returns
    -------
    shift_log2, stretch
        Shape ``(n_genes,)``: added to log2 TPM, and the factor on deviations from the base level.
    """
    span = settings.gene_blocks()[block]
    rng, n_genes = settings.rng("batch", block), span.stop - span.start
    shift_log2 = settings.external_shift * rng.standard_normal(n_genes)
    stretch = STRETCH_PER_SHIFT * settings.external_shift * rng.standard_normal(n_genes)
    return shift_log2, np.exp(stretch)


def draw_external_expression(population: Population, block: int) -> np.ndarray:
    """Draw the source tissue's TPM of gene block number `block`, batch effect included.

    Returns
    -------
    np.ndarray
        TPM, shape ``(n_external_donors, n_genes)``; 0 below `DETECTION_LIMIT_TPM` before or
        after the batch effect.
    """
    settings = population.settings
    expr_tpm = draw_expression(population, block)
    base = draw_effects(population, block).base[settings.all_tissues.index(settings.source)]
    shift_log2, stretch = draw_batch(settings, block)
    expr_log2 = np.log2(expr_tpm, out=np.full_like(expr_tpm, -np.inf), where=expr_tpm > 0)
    expr_tpm = np.exp2(base + shift_log2 + stretch * (expr_log2 - base))
    return np.where(expr_tpm < DETECTION_LIMIT_TPM, 0.0, expr_tpm)


def write_external_expression(population: Population, path: str | Path) -> None:
    """Write TPM of the source tissue, genes in rows, samples in columns, four digits.

    The first column, ``gene_id``, holds Ensembl ids without version; pseudo-autosomal copies,
    which have the id of their original, are left out.
    """
    samples, genes = population.samples, population.genes
    gene_ids, kept = genes.index.str.split(".").str[0], ~genes["silent"].to_numpy()
    sample_ids = samples.loc[samples["sampled"], "sample_id"]
    row_format = "\t".join(["%s"] + ["%.4g"] * len(sample_ids)) + "\n"
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        handle.write("\t".join(["gene_id", *sample_ids]) + "\n")
        for block, span in enumerate(population.settings.gene_blocks()):
            values = draw_external_expression(population, block).T[kept[span]].tolist()
            names = gene_ids[span][kept[span]]
            handle.writelines(
                row_format % (name, *row) for name, row in zip(names, values, strict=True)
            )


def write_external_samples(population: Population, path: str | Path) -> None:
    """Write ``sample``, ``group`` (case or control), ``sex`` (1 male, 2 female), ``age`` (years).

    Cases are those of `DISEASE`.
    """
    samples = population.samples[population.samples["sampled"]]
    donors = population.donors.loc[samples["donor"]]
    table = pd.DataFrame(
        {
            "sample": samples["sample_id"].to_numpy(),
            "group": np.where(donors[DISEASE] == 1, "case", "control"),
            "sex": donors["sex"].to_numpy(),
            "age": donors["age"].to_numpy(),
        }
    )
    write_tsv(table, path)


def write_external(
    settings: SimulationSettings,
    *,
    expression: str | Path,
    samples: str | Path,
    truth: str | Path,
) -> None:
    """Write the external cohort that belongs to a simulated one.

    Parameters
    ----------
    settings
        Those of the cohort, `n_external_donors` above 0.
    expression
        Tab-separated, see `write_external_expression`.
    samples
        Tab-separated, see `write_external_samples`.
    truth
        AnnData, see `mtm.simulation.files.write_truth`: expected log2(1+TPM) of the donors in
        every tissue, without noise and without batch effect.
    """
    population = simulate_external_population(settings)
    write_external_expression(population, expression)
    write_external_samples(population, samples)
    write_truth(population, truth)
