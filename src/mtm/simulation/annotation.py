"""Simulated annotation of a simulated cohort's genes: conservation, interactions, identifiers.

How well blood could predict a gene at best follows from the planted effects
(`true_predictability`). Conservation falls and the number of protein interactions rises with it,
each by a Gaussian copula of chosen strength, so that an analysis of either has a known answer.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
from scipy.stats import beta, norm, rankdata

from mtm.io import atomic_path, write_tsv
from mtm.simulation.effects import Effects, draw_effects
from mtm.simulation.files import gene_exons
from mtm.simulation.population import DISEASES, Population

# Beta shapes of a gene's mean phastCons. Coding: close to the real mean 0.68 and sd 0.25.
CODING_CONSERVATION = (1.6, 0.75)
NONCODING_CONSERVATION = (0.75, 1.6)
RUN_LENGTH = 48
UNCOVERED_SHARE = 0.05
# Bases with values on either side of an exon, which a misplaced exon would take in.
FLANK = 50
# Log-normal degrees; their spread is a little below HIPPIE's (1.4).
MEDIAN_DEGREE = 8.0
DEGREE_LOG_SD = 1.2
FOREIGN_SHARE = 0.05
LOW_SCORE_SHARE = 0.05
REVERSED_SHARE = 0.03
SELF_SHARE = 0.02
UNLISTED_GENE_SHARE = 0.03
TWO_ACCESSIONS_SHARE = 0.02
# Beyond every id in use.
FIRST_ENTREZ, FIRST_FOREIGN_ENTREZ, FIRST_HGNC = 900_000_000, 990_000_000, 900_000


def _state_covariances(population: Population) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of factors, diseases, non-linear functions and covariates, in this order.

    Returns
    -------
    shared, total
        Shape ``(n_terms, n_terms)``: covariance between two tissues of a donor, which is that of
        the donor's own part, and within a tissue. They differ in covariates of a sample alone.
    """
    covariates = population.covariates
    n_donors, n_tissues, _ = covariates.shape
    donor_wide = np.hstack(
        [population.factors, population.donors[list(DISEASES)], population.nonlinear]
    )
    donor_wide = np.repeat(donor_wide[:, None], n_tissues, axis=1)
    terms = np.concatenate([donor_wide, covariates], axis=2)
    terms = terms - terms.mean(0)
    within = np.einsum("dti,dtj->ij", terms, terms)
    between = np.einsum("di,dj->ij", terms.sum(1), terms.sum(1)) - within
    pairs = max(n_tissues - 1, 1)
    return between / (n_donors * n_tissues * pairs), within / (n_donors * n_tissues)


def _predictable_share(
    effects: Effects, rows: np.ndarray, shared: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """Mean over tissues `rows` of the share of variance that is the donor's, one value a gene."""
    terms = np.concatenate(
        [effects.factors, effects.diseases, effects.nonlinear, effects.covariates]
    )[:, rows]
    own = effects.own[rows] ** 2
    of_donor = np.einsum("itg,ij,jtg->tg", terms, shared, terms, optimize=True) + own
    everything = np.einsum("itg,ij,jtg->tg", terms, total, terms, optimize=True) + own
    everything += effects.tissue[rows] ** 2 + effects.noise_sd[rows] ** 2
    share = np.divide(of_donor, everything, out=np.zeros_like(own), where=everything > 0)
    return share.mean(0)


def true_predictability(population: Population) -> np.ndarray:
    """Share of a gene's variance that who the donor is explains, at best.

    In one tissue, with a the planted effects on log2 TPM of the donor's factors, diseases,
    non-linear functions of factors and covariates, S their covariance between two tissues of a
    donor and V that within a tissue (both over the donors of the population):

        (a'Sa + own^2) / (a'Va + own^2 + tissue^2 + noise_sd^2)

    S leaves out what covariates tell of one sample alone (RIN, part of the ischemic time), and
    noise_sd holds biological and counting noise. It is the squared correlation that a predictor
    reaches which knows the donor but not the sample.

    Returns
    -------
    np.ndarray
        Shape ``(n_genes,)``, 0 to 1: mean over the common tissues other than the source; 0 for
        silent genes and where there is no such tissue.
    """
    settings = population.settings
    targets = [t for t in settings.tissues if t != settings.source]
    rows = np.flatnonzero(np.isin(settings.all_tissues, targets))
    if len(rows) == 0:
        return np.zeros(len(population.genes))
    shared, total = _state_covariances(population)
    return np.concatenate(
        [
            _predictable_share(draw_effects(population, block), rows, shared, total)
            for block in range(len(settings.gene_blocks()))
        ]
    )


def _related(rng: np.random.Generator, values: np.ndarray, rank_correlation: float) -> np.ndarray:
    """Draw standard normal numbers whose Spearman correlation with `values` is as given."""
    score = norm.ppf((rankdata(values) - 0.5) / max(len(values), 1))
    r = 2 * np.sin(np.pi / 6 * rank_correlation)
    return r * score + np.sqrt(1 - r**2) * rng.standard_normal(len(values))


def _original(population: Population) -> np.ndarray:
    """Row of the chrX original of every pseudo-autosomal copy; other genes are their own."""
    genes = population.genes.index
    return genes.get_indexer(genes.str.removesuffix("_PAR_Y"))


def _partner_weights(population: Population, predictability: np.ndarray) -> np.ndarray:
    """Weights of proteins in the interaction model: those of coding genes, then foreign ones."""
    settings, genes = population.settings, population.genes
    rng = settings.rng("connectivity")
    coding = _has_protein(genes)
    related = _related(rng, predictability[coding], settings.connectivity_strength)
    foreign = rng.standard_normal(round(FOREIGN_SHARE * coding.sum()))
    return MEDIAN_DEGREE * np.exp(DEGREE_LOG_SD * np.concatenate([related, foreign]))


def _has_protein(genes: pd.DataFrame) -> np.ndarray:
    return ((genes["gene_type"] == "protein_coding") & ~genes["silent"]).to_numpy()


def _expected_degree(weights: np.ndarray) -> np.ndarray:
    """Return the expected number of distinct partners of every protein.

    Proteins i and j interact with probability 1 - exp(-w_i w_j / sum w): the expected-degree
    model of Norros and Reittu (Adv Appl Probab 2006), in which degrees follow the weights but for
    hubs, which run out of partners.
    """
    total, degree = weights.sum(), np.empty(len(weights))
    for start in range(0, len(weights), 1024):
        part = weights[start : start + 1024]
        degree[start : start + 1024] = -np.expm1(-np.outer(part, weights) / total).sum(1)
    return degree + np.expm1(-(weights**2) / total)


def plant_annotation(population: Population) -> pd.DataFrame:
    """Draw what the annotation files are made to show (``gene_truth.tsv``).

    Returns
    -------
    pd.DataFrame
        One row a gene, indexed by versioned id: ``symbol``, ``gene_type``,
        ``true_predictability`` (0-1, see there), ``conservation`` (mean phastCons over exons,
        0-1) and ``expected_degree`` (interaction partners other than itself, before edges of low
        score; NaN where the gene is not protein-coding). Relations are planted among coding genes
        and, for conservation, among the others. A pseudo-autosomal copy has its original's
        conservation and degree.
    """
    settings, genes = population.settings, population.genes
    predictability = true_predictability(population)
    rng = settings.rng("conservation")
    coding = _has_protein(genes)
    conservation, degree = np.zeros(len(genes)), np.full(len(genes), np.nan)
    other = ~coding & ~genes["silent"].to_numpy()
    for kind, shapes in ((coding, CODING_CONSERVATION), (other, NONCODING_CONSERVATION)):
        related = _related(rng, predictability[kind], -settings.conservation_strength)
        conservation[kind] = beta.ppf(norm.cdf(related), *shapes)
    degree[coding] = _expected_degree(_partner_weights(population, predictability))[: coding.sum()]
    original = _original(population)
    return genes[["symbol", "gene_type"]].assign(
        true_predictability=predictability,
        conservation=conservation[original],
        expected_degree=degree[original],
    )


def _conserved_runs(population: Population, conservation: np.ndarray) -> pd.DataFrame:
    """Cut the exons into runs of one value; weighted by length, their mean is as planted.

    Returns
    -------
    pd.DataFrame
        ``gene`` (its row), ``start``, ``end`` (0-based, half-open), ``value``; one run in twenty
        is left out, as it has no value.
    """
    rng = population.settings.rng("conservation", 1)
    exons = gene_exons(population)
    gene = np.repeat(np.arange(len(exons)), [len(rows) for rows in exons])
    bounds = np.concatenate(exons) - [1, 0]
    n_runs = -(-(bounds[:, 1] - bounds[:, 0]) // RUN_LENGTH)
    exon = np.repeat(np.arange(len(bounds)), n_runs)
    number = np.arange(len(exon)) - np.repeat(np.cumsum(n_runs) - n_runs, n_runs)
    start = bounds[exon, 0] + RUN_LENGTH * number
    runs = pd.DataFrame(
        {
            "gene": gene[exon],
            "start": start,
            "end": np.minimum(start + RUN_LENGTH, bounds[exon, 1]),
            "value": rng.beta(0.5, 0.5, len(exon)),
        }
    )
    # The first run of a gene always has a value, so that every gene has a mean.
    covered = (rng.random(len(runs)) >= UNCOVERED_SHARE) | ~runs["gene"].duplicated()
    runs = runs[covered.to_numpy()]

    # Values are drawn towards the planted mean as far as 0 to 1 demands, then shifted onto it.
    length = runs["end"] - runs["start"]
    by_gene = runs["value"].groupby(runs["gene"])
    weight = length.groupby(runs["gene"]).sum()
    mean = (runs["value"] * length).groupby(runs["gene"]).sum() / weight
    below, above = mean - by_gene.min(), by_gene.max() - mean
    target = pd.Series(conservation)[mean.index]
    room = np.full(len(mean), 1.0)
    for space, reach in ((target, below), (1 - target, above)):
        needed = np.divide(space, reach, out=np.ones(len(mean)), where=reach.to_numpy() > 1e-9)
        room = np.minimum(room, needed)
    room = pd.Series(room, index=mean.index)
    place = runs["gene"]
    deviation = (runs["value"].to_numpy() - mean[place].to_numpy()) * room[place].to_numpy()
    return runs.assign(value=np.clip(target[place].to_numpy() + deviation, 0, 1))


def _surroundings(population: Population) -> pd.DataFrame:
    """Return the bases beside exons, with values that tell nothing, like `_conserved_runs`."""
    rows = []
    for gene, exons in enumerate(gene_exons(population)):
        # 0-based, half-open gaps: before the gene, its introns, after the gene.
        left = np.concatenate([[exons[0, 0] - 1 - FLANK], exons[:, 1]])
        right = np.concatenate([exons[:, 0] - 1, [exons[-1, 1] + FLANK]])
        first_end = np.minimum(left + FLANK, right)
        rows += [(gene, *ends) for ends in zip(left, first_end, strict=True)]
        rows += [
            (gene, *ends) for ends in zip(np.maximum(right - FLANK, first_end), right, strict=True)
        ]
    table = pd.DataFrame(rows, columns=["gene", "start", "end"])
    table = table[table["start"] < table["end"]]
    return table.assign(value=population.settings.rng("conservation", 2).random(len(table)))


def write_conservation(population: Population, planted: pd.DataFrame, path: str | Path) -> None:
    """Write a bigWig like phastCons100way, 0 to 1, chromosomes in the order of their names.

    The mean over a gene's exonic bases that have a value is ``planted["conservation"]``; one run
    of bases in twenty has none. Introns and flanks have values that tell nothing.
    """
    genes = population.genes
    runs = pd.concat(
        [
            _conserved_runs(population, planted["conservation"].to_numpy()),
            _surroundings(population),
        ]
    )
    runs["chromosome"] = genes["chromosome"].to_numpy()[runs["gene"]]
    sizes = (genes.groupby("chromosome")["end"].max() + 10_000).sort_index()
    with atomic_path(path) as temporary:
        handle = pyBigWig.open(str(temporary), "w")
        handle.addHeader([(name, int(size)) for name, size in sizes.items()])
        for name, part in runs.sort_values(["chromosome", "start"]).groupby("chromosome"):
            handle.addEntries(
                [name] * len(part),
                part["start"].tolist(),
                ends=part["end"].tolist(),
                values=part["value"].tolist(),
            )
        handle.close()


def _draw_edges(rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    """Draw the edges of `_expected_degree`'s model, shape ``(n_edges, 2)``, first below second."""
    if len(weights) < 2:
        return np.empty((0, 2), int)
    n_draws = rng.poisson(weights.sum() / 2)
    ends = rng.choice(len(weights), size=(n_draws, 2), p=weights / weights.sum())
    ends = np.unique(np.sort(ends, axis=1), axis=0)
    return ends[ends[:, 0] < ends[:, 1]]


def write_interactions(population: Population, planted: pd.DataFrame, path: str | Path) -> None:
    """Write protein interactions in HIPPIE's tab format, without a header.

    Columns: UniProt entry name, Entrez id, entry name and Entrez id of the partner, score (0-1),
    comments. Interactions of score 0.5 or more follow ``planted["expected_degree"]``; some of the
    partners are proteins of no gene of the cohort. Beside them stand edges between proteins at
    random (score below 0.3), self-interactions, and repeats in the reversed order.
    """
    settings, genes = population.settings, population.genes
    rng = settings.rng("connectivity", 1)
    weights = _partner_weights(population, planted["true_predictability"].to_numpy())
    rows = np.flatnonzero(_has_protein(genes))
    n_foreign = len(weights) - len(rows)
    names = [f"{symbol}_HUMAN" for symbol in genes["symbol"].iloc[rows]]
    names = np.array([*names, *(f"OTHER{i:05d}_HUMAN" for i in range(n_foreign))], dtype=object)
    entrez = np.concatenate([FIRST_ENTREZ + rows, FIRST_FOREIGN_ENTREZ + np.arange(n_foreign)])

    edges = _draw_edges(rng, weights)
    chance = np.sort(rng.integers(0, len(weights), (round(LOW_SCORE_SHARE * len(edges)), 2)))
    known = set(map(tuple, edges.tolist()))
    chance = [pair for pair in map(tuple, chance.tolist()) if pair not in known]
    chance = np.array(sorted({p for p in chance if p[0] < p[1]}), int).reshape(-1, 2)
    selves = rng.choice(len(weights), round(SELF_SHARE * len(weights)), replace=False)
    selves = np.stack([selves, selves], 1)
    pairs = np.concatenate([edges, chance, selves])
    score = np.concatenate(
        [
            0.5 + 0.5 * rng.random(len(edges)),
            0.29 * rng.random(len(chance)),
            0.5 + 0.5 * rng.random(len(selves)),
        ]
    ).round(2)
    # The file names partners in either order.
    pairs = np.where(rng.random((len(pairs), 1)) < 0.5, pairs[:, ::-1], pairs)
    again = rng.choice(len(edges), round(REVERSED_SHARE * len(edges)), replace=False)
    pairs = np.concatenate([pairs, pairs[again, ::-1]])
    score = np.concatenate([score, score[again]])
    order = rng.permutation(len(pairs))
    pairs, score = pairs[order], score[order]
    table = pd.DataFrame(
        {
            "entry_a": names[pairs[:, 0]],
            "entrez_a": entrez[pairs[:, 0]],
            "entry_b": names[pairs[:, 1]],
            "entrez_b": entrez[pairs[:, 1]],
            "score": score,
            "comments": "experiments:simulated;sources:simulated",
        }
    )
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, header=False, lineterminator="\n")


def _accessions(number: np.ndarray) -> np.ndarray:
    """UniProt accessions of ten characters, one for every number below 260,000."""
    return np.array(
        [f"Z9SIM{n // 1000 % 10}{chr(65 + n // 10_000)}{n % 1000:03d}" for n in number],
        dtype=object,
    )


def write_gene_identifiers(population: Population, path: str | Path) -> None:
    """Write a table like HGNC's complete set; a few genes are absent from it.

    Columns: ``hgnc_id``, ``symbol``, ``entrez_id``, ``ensembl_gene_id`` (without version),
    ``uniprot_ids`` (accessions joined by "|", empty where the gene is not protein-coding). A
    pseudo-autosomal gene has one row.
    """
    genes = population.genes
    rng = population.settings.rng("identifiers_of_genes")
    number = np.arange(len(genes))
    accession = _accessions(number)
    second = rng.random(len(genes)) < TWO_ACCESSIONS_SHARE
    accession[second] += "|" + _accessions(number[second] + 100_000)
    table = pd.DataFrame(
        {
            "hgnc_id": [f"HGNC:{FIRST_HGNC + i}" for i in number],
            "symbol": genes["symbol"].to_numpy(),
            "entrez_id": FIRST_ENTREZ + number,
            "ensembl_gene_id": genes.index.str.split(".").str[0],
            "uniprot_ids": np.where(genes["gene_type"] == "protein_coding", accession, ""),
        }
    )[~genes["silent"].to_numpy()]
    absent = rng.choice(len(table), round(UNLISTED_GENE_SHARE * len(table)), replace=False)
    write_tsv(table.drop(index=table.index[absent]), path)


def write_annotation(
    population: Population,
    *,
    conservation: str | Path,
    interactions: str | Path,
    gene_identifiers: str | Path,
    gene_truth: str | Path,
) -> None:
    """Write the annotation of a simulated cohort's genes.

    Parameters
    ----------
    population
        From `mtm.simulation.population.simulate_population`.
    conservation
        bigWig, see `write_conservation`.
    interactions
        HIPPIE's tab format, see `write_interactions`.
    gene_identifiers
        Tab-separated, see `write_gene_identifiers`.
    gene_truth
        Tab-separated, ``gene_id`` and the columns of `plant_annotation`.
    """
    planted = plant_annotation(population)
    write_conservation(population, planted, conservation)
    write_interactions(population, planted, interactions)
    write_gene_identifiers(population, gene_identifiers)
    write_tsv(planted.reset_index(), gene_truth)
