"""What moves the expression of a simulated cohort, and the expression that follows."""

from dataclasses import dataclass

import numpy as np

from mtm.settings.simulation import SimulationSettings
from mtm.simulation.population import (
    DISEASES,
    PATHOLOGY_TERMS,
    SEX_MARKERS,
    Population,
    organ,
)

COVARIATES = ("age", "sex", "bmi", "ventilator", "ischemic", "rin", "center")
NONLINEAR = ("product", "threshold")
# One fragment or less: written as 0, as a quantifier would.
DETECTION_LIMIT_TPM = 0.01
# Shares are of variance, genes or tissues; strengths are in standard deviations of the noise.
FACTOR_SHARING_SHARE = 0.3
COVARIATE_GENE_SHARE = 0.3
DISEASE_STRENGTH = 1.0
DISEASE_TISSUE_SHARE = 0.5
NONLINEAR_GENE_SHARE = 0.3
NONLINEAR_TISSUE_SHARE = 0.6
NOISE_SHARING_SHARE = 0.2
# Level of the genes that mark a sex, and their effect in strengths of a covariate's.
MARKER_LOG2_TPM, MARKER_STRENGTH = 4.0, 15.0
# Counting noise is larger where there are few.
FRAGMENTS_PER_TPM = 30.0


@dataclass(frozen=True)
class Effects:
    """Planted effects on a block of genes, log2 TPM per unit, float64.

    Parameters
    ----------
    base, noise_sd, tissue, own
        Shape ``(n_tissues, n_genes)``: level, sd of the noise, effect of the tissue's own state
        and of the gene's own donor effect.
    factors, covariates, diseases, nonlinear
        Shape ``(n, n_tissues, n_genes)`` with n the factors, `COVARIATES`, `DISEASES`,
        `NONLINEAR`.
    """

    base: np.ndarray
    noise_sd: np.ndarray
    tissue: np.ndarray
    own: np.ndarray
    factors: np.ndarray
    covariates: np.ndarray
    diseases: np.ndarray
    nonlinear: np.ndarray


def _tissue_embedding(settings: SimulationSettings) -> np.ndarray:
    """Return unit vectors, shape ``(n_tissues, 3)``; tissues of one organ are close."""
    rng, tissues = settings.rng("tissues"), settings.all_tissues
    organs, code = np.unique([organ(tissue) for tissue in tissues], return_inverse=True)
    vectors = rng.standard_normal((len(organs), 3))[code]
    vectors = vectors + 0.5 * rng.standard_normal(vectors.shape)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def affected_tissues(settings: SimulationSettings) -> dict[str, tuple[str, ...]]:
    """Non-source tissues that carry each of `DISEASES` and of `NONLINEAR`, sorted.

    Every effect touches at least one tissue where there is one; a disease touches the tissues
    whose pathology notes name it first.
    """
    rng = settings.rng("tissues", 1)
    others = [tissue for tissue in settings.all_tissues if tissue != settings.source]
    common = [tissue for tissue in others if tissue in settings.tissues]
    affected = {}
    for disease in DISEASES:
        order = [common[index] for index in rng.permutation(len(common))]
        order.sort(key=lambda t: PATHOLOGY_TERMS.get(t, ("", ""))[1] != disease)
        n = max(1, round(DISEASE_TISSUE_SHARE * len(common)))
        affected[disease] = tuple(sorted(order[:n]))
    order = [common[index] for index in rng.permutation(len(common))]
    n = max(1, round(NONLINEAR_TISSUE_SHARE * len(common)))
    return affected | {name: tuple(sorted(order[:n])) for name in NONLINEAR}


def _sparse(
    rng: np.random.Generator,
    in_tissue: np.ndarray,
    n_genes: int,
    gene_share: float,
    strength: float,
) -> np.ndarray:
    """Draw effects that touch a share of the genes, the same ones in nearly all tissues.

    Parameters
    ----------
    in_tissue
        Whether an effect reaches a tissue, bool of shape ``(n_effects, n_tissues, 1)``.

    Returns
    -------
    np.ndarray
        Shape ``(n_effects, n_tissues, n_genes)``. A gene has one sign for an effect; sizes are
        between half and three halves of `strength`, and 0 in one of ten tissues.
    """
    per_gene = (len(in_tissue), 1, n_genes)
    shape = (*in_tissue.shape[:2], n_genes)
    touched = in_tissue & (rng.random(per_gene) < gene_share) & (rng.random(shape) < 0.9)
    sign = rng.choice([-1.0, 1.0], size=per_gene)
    return np.where(touched, strength * sign * (0.5 + rng.random(shape)), 0.0)


def draw_effects(population: Population, block: int) -> Effects:
    """Draw the planted effects on gene block number `block`."""
    settings = population.settings
    rng = settings.rng("effects", block)
    genes = population.genes.iloc[settings.gene_blocks()[block]]
    n_genes = len(genes)
    shape = (len(settings.all_tissues), n_genes)
    embedding = _tissue_embedding(settings)
    # One random stream: the order of the draws is part of what a seed means.
    base = _base_levels(rng, embedding, (genes["gene_type"] != "protein_coding").to_numpy())
    spread = settings.noise_sd_log2 * np.exp(
        0.35 * rng.standard_normal(n_genes) + 0.15 * rng.standard_normal(shape)
    )
    unit = spread * np.exp(0.35 * rng.standard_normal(n_genes))
    loadings = _loadings(rng, settings, embedding, n_genes)
    covariates, nonlinear, diseases = _responses(rng, settings, n_genes)
    _plant_sex(base, covariates, genes["symbol"].to_numpy(), settings.covariate_strength)
    # Delta method for the log2 of a Poisson count, bounded where the count is near 0.
    counting = np.minimum(1 / (np.log(2) ** 2 * FRAGMENTS_PER_TPM * np.exp2(base)), 1.5)
    audible = ~genes["silent"].to_numpy()
    # A disease's effect is a fold change: it does not depend on the gene's quality.
    return Effects(
        base=np.where(audible, base, -60.0),
        noise_sd=np.sqrt(spread**2 + counting) * audible,
        tissue=settings.tissue_strength * rng.standard_normal(shape) * unit * audible,
        own=settings.own_strength * (0.5 + rng.random(shape)) * unit * audible,
        factors=settings.factor_strength * loadings * unit * audible,
        covariates=covariates * unit * audible,
        diseases=diseases * spread * audible,
        nonlinear=nonlinear * unit * audible,
    )


def _plant_sex(
    base: np.ndarray, covariates: np.ndarray, symbols: np.ndarray, strength: float
) -> None:
    """Let the genes of `SEX_MARKERS` tell the sexes apart in every tissue, in place."""
    for symbol, sign in SEX_MARKERS.items():
        gene = symbols == symbol
        base[:, gene] = np.maximum(base[:, gene], MARKER_LOG2_TPM)
        covariates[COVARIATES.index("sex"), :, gene] = sign * MARKER_STRENGTH * strength


def _base_levels(
    rng: np.random.Generator, embedding: np.ndarray, noncoding: np.ndarray
) -> np.ndarray:
    """Draw log2 TPM of shape ``(n_tissues, n_genes)``: a tenth of genes silent in most tissues."""
    n_genes = len(noncoding)
    shape = (len(embedding), n_genes)
    base = (
        rng.normal(2.6, 2.4, n_genes)
        + embedding @ rng.normal(0, 1.0, (3, n_genes))
        + rng.normal(0, 0.6, shape)
    )
    restricted = rng.random(n_genes) < 0.1
    base = np.where(restricted & (rng.random(shape) < 0.7), base - 9, base)
    return np.clip(base - 2.0 * noncoding, -12, 12.5)


def _loadings(
    rng: np.random.Generator, settings: SimulationSettings, embedding: np.ndarray, n_genes: int
) -> np.ndarray:
    """Draw loadings of the factors, shape ``(n_factors, n_tissues, n_genes)``."""
    n_factors = settings.n_factors
    shared = rng.standard_normal((n_factors, 1, n_genes))
    alike = np.einsum("tj,jkg->ktg", embedding, rng.standard_normal((3, n_factors, n_genes)))
    return (
        np.sqrt(FACTOR_SHARING_SHARE) * shared + np.sqrt(1 - FACTOR_SHARING_SHARE) * alike
    ) / np.sqrt(n_factors)


def _responses(
    rng: np.random.Generator, settings: SimulationSettings, n_genes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw effects of covariates, non-linear functions and diseases, as in `Effects`."""
    tissues = settings.all_tissues
    affected = affected_tissues(settings)
    in_tissue = {name: np.isin(tissues, names)[:, None] for name, names in affected.items()}
    source = np.array(tissues)[:, None] == settings.source
    covariates = _sparse(
        rng,
        np.ones((len(COVARIATES), len(tissues), 1), bool),
        n_genes,
        COVARIATE_GENE_SHARE,
        settings.covariate_strength,
    )
    nonlinear = _sparse(
        rng,
        np.stack([in_tissue[name] for name in NONLINEAR]),
        n_genes,
        NONLINEAR_GENE_SHARE,
        settings.nonlinear_strength,
    )
    # A disease touches other genes in every tissue: each tissue is drawn as an effect of its own.
    diseases = [
        _sparse(
            rng,
            (in_tissue[name] | source)[:, None],
            n_genes,
            settings.disease_gene_share,
            DISEASE_STRENGTH,
        )[:, 0]
        * np.where(source, 0.5, 1.0)
        for name in DISEASES
    ]
    return covariates, nonlinear, np.stack(diseases)


def expected_log2_tpm(population: Population, effects: Effects, block: int) -> np.ndarray:
    """Noise-free log2 TPM (not log2(1+TPM)), shape ``(n_donors, n_tissues, n_genes)``."""
    n_genes = effects.base.shape[1]
    own = population.settings.rng("own", block).standard_normal((len(population.donors), n_genes))
    log2 = effects.base + own[:, None] * effects.own
    log2 += population.tissue_states[:, :, None] * effects.tissue
    log2 += np.tensordot(population.factors, effects.factors, 1)
    log2 += np.tensordot(population.donors[list(DISEASES)].to_numpy(float), effects.diseases, 1)
    log2 += np.tensordot(population.nonlinear, effects.nonlinear, 1)
    covariates = population.covariates
    for index in range(len(COVARIATES)):
        log2 += covariates[:, :, index, None] * effects.covariates[index]
    return log2


def expected_log2_one_plus_tpm(mean_log2: np.ndarray, sd_log2: np.ndarray) -> np.ndarray:
    """Return the expectation of log2(1+TPM) for log-normal TPM, by Gauss-Hermite quadrature.

    Parameters
    ----------
    mean_log2, sd_log2
        Mean and sd of log2 TPM; shapes that broadcast.

    Returns
    -------
    np.ndarray
        log2(1+TPM), shape of `mean_log2`; exact to about 1e-4 for sd up to 1.5.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    total = np.zeros_like(mean_log2)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total += weight * np.log1p(np.exp2(mean_log2 + node * sd_log2))
    return total / np.log(2)


def draw_expression(population: Population, block: int) -> np.ndarray:
    """Draw the TPM of gene block number `block` in the sampled donor-tissues.

    Returns
    -------
    np.ndarray
        TPM, shape ``(n_samples, n_genes)``, in the order of ``population.samples``; 0 below
        `DETECTION_LIMIT_TPM`.
    """
    settings = population.settings
    effects = draw_effects(population, block)
    n_genes = effects.base.shape[1]
    sampled = population.samples["sampled"].to_numpy()
    mean = expected_log2_tpm(population, effects, block).reshape(-1, n_genes)[sampled]
    tissue = np.flatnonzero(sampled) % len(settings.all_tissues)
    artefacts = settings.rng("noise").standard_normal((sampled.sum(), 3))
    rng = settings.rng("noise", block)
    directions = rng.standard_normal((3, n_genes))
    directions /= np.linalg.norm(directions, axis=0)
    noise = np.sqrt(NOISE_SHARING_SHARE) * artefacts @ directions + np.sqrt(
        1 - NOISE_SHARING_SHARE
    ) * rng.standard_normal(mean.shape)
    expr_tpm = np.exp2(mean + noise * effects.noise_sd[tissue])
    return np.where(expr_tpm < DETECTION_LIMIT_TPM, 0.0, expr_tpm)
