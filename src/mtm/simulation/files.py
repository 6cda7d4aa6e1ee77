"""A simulated multi-tissue cohort in GTEx's own file formats, with its truth kept beside it.

The files walk the same rules as the real ones. Every gene of a donor's tissue has, in log2 TPM,
a base level of that gene and tissue plus the effects of donor-wide factors, of the gene's own
donor effect (shared across tissues, as a cis variant would be), of a state of that tissue alone,
of covariates, of diseases and of two non-linear functions of factors that blood shows linearly,
plus noise. TPM columns are not renormalised to a sum of a million, so genes are coupled through
the planted structure alone and the truth is exact.

Everything follows from the seed: equal settings write equal bytes. Genes are made block by block,
so memory is bounded by `GENE_BLOCK` times the number of donor-tissues.
"""

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import anndata
import h5py
import numpy as np
import pandas as pd

from mtm.io import atomic_path
from mtm.settings.simulation import BESIDE_THE_COHORT, GENE_BLOCK, SimulationSettings
from mtm.simulation.effects import (
    COVARIATES,
    NONLINEAR,
    affected_tissues,
    draw_effects,
    draw_expression,
    expected_log2_one_plus_tpm,
    expected_log2_tpm,
)
from mtm.simulation.population import (
    DISEASES,
    UNKNOWN_HARDY_SHARE,
    UNKNOWN_ISCHEMIC_SHARE,
    Population,
    organ,
    simulate_population,
)


@contextmanager
def _text(path: str | Path) -> Iterator[TextIO]:
    """Open `path` for text, written whole or not at all; gzip without a timestamp for ``.gz``."""
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        if Path(path).suffix != ".gz":
            with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as handle:
                yield handle
            return
        with (
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as handle,
        ):
            yield handle


def _write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write tab-separated text; unlike `mtm.io.write_tsv`, packed text has no timestamp."""
    with _text(path) as handle:
        table.to_csv(handle, sep="\t", index=False, lineterminator="\n")


def write_expression(population: Population, path: str | Path) -> None:
    """Write the TPM as GCT 1.2, four significant digits, samples in the order of their ids."""
    samples, genes = population.samples, population.genes
    sample_ids = samples.loc[samples["sampled"], "sample_id"].to_numpy()
    order = np.argsort(sample_ids)
    row_format = "\t".join(["%.4g"] * len(order))
    with _text(path) as handle:
        handle.write(f"#1.2\n{len(genes)}\t{len(order)}\n")
        handle.write("\t".join(["Name", "Description", *sample_ids[order]]) + "\n")
        for block, span in enumerate(population.settings.gene_blocks()):
            names = genes.iloc[span]
            values = draw_expression(population, block)[order].T.tolist()
            for gene, symbol, row in zip(names.index, names["symbol"], values, strict=True):
                handle.write(f"{gene}\t{symbol}\t{row_format % tuple(row)}\n")


def write_sample_attributes(population: Population, path: str | Path) -> None:
    """Write a table like SampleAttributesDS.

    As there, it also lists samples that are not in the expression file: those left out of the
    analysis freeze (SMAFRZE "EXCLUDE") and DNA (SMAFRZE "WGS").
    """
    samples = population.samples[population.samples["sampled"]]
    rng = population.settings.rng("attributes")
    table = pd.DataFrame(
        {
            "SAMPID": samples["sample_id"],
            "SMATSSCR": samples["autolysis"].astype("Int64"),
            "SMCENTER": population.donors.loc[samples["donor"], "center"].to_numpy(),
            "SMPTHNTS": samples["pathology_notes"],
            "SMRIN": samples["rin"],
            "SMTS": samples["tissue"].map(organ),
            "SMTSD": samples["tissue"],
            "SMTSISCH": samples["ischemic_minutes"].astype("Int64"),
            "SMAFRZE": "RNASEQ",
        }
    )
    table.loc[rng.random(len(table)) < UNKNOWN_ISCHEMIC_SHARE, "SMTSISCH"] = pd.NA
    excluded = table[rng.random(len(table)) < 0.03].assign(SMAFRZE="EXCLUDE")
    excluded["SAMPID"] = excluded["SAMPID"].str.replace(r"-SM-.*", "-SM-EXCL", regex=True)
    donors = population.donors[rng.random(len(population.donors)) < 0.9]
    dna = pd.DataFrame(
        {
            "SAMPID": donors.index + "-0003-SM-DNA00",
            "SMCENTER": donors["center"],
            "SMTS": "Blood",
            "SMTSD": "Whole Blood",
            "SMAFRZE": "WGS",
        }
    )
    rows = pd.concat([table, excluded, dna]).sort_values("SAMPID")
    _write_table(rows[table.columns], path)


def write_subject_phenotypes(population: Population, path: str | Path) -> None:
    """Write a table like the open SubjectPhenotypesDS: sex, ten-year age bracket, Hardy class."""
    donors = population.donors
    rng = population.settings.rng("attributes", 1)
    hardy = donors["hardy"].astype("Int64")
    hardy[rng.random(len(donors)) < UNKNOWN_HARDY_SHARE] = pd.NA
    decade = donors["age"] // 10 * 10
    bracket = decade.astype(str) + "-" + (decade + 9).astype(str)
    table = pd.DataFrame({"SEX": donors["sex"], "AGE": bracket, "DTHHRDY": hardy})
    _write_table(table.reset_index(), path)


def write_controlled_phenotypes(population: Population, path: str | Path) -> None:
    """Write what GTEx keeps under controlled access: age in years, BMI, diseases (0 or 1)."""
    columns = {"age": "AGE", "bmi": "BMI"}
    table = population.donors[[*columns, *DISEASES]].rename(columns=columns)
    _write_table(table.reset_index(), path)


def gene_exons(population: Population) -> list[np.ndarray]:
    """Draw the two to six exons of every gene; no two of a gene overlap.

    Returns
    -------
    list of np.ndarray
        One array a gene, in the order of ``population.genes``: shape ``(n_exons, 2)``, first and
        last base (1-based, inclusive), ascending.
    """
    genes = population.genes
    rng = population.settings.rng("exons")
    n_exons = rng.integers(2, 7, len(genes))
    # Exons and introns alternate between sorted cut points; the ends of the gene are exonic.
    fractions = np.sort(rng.random((len(genes), 10)), axis=1)
    places = zip(genes["start"], genes["end"], n_exons, fractions, strict=True)
    exons = []
    for start, end, count, cuts in places:
        # A cut is the last base of an exon or the first of the next: cuts must differ.
        inner = start + (cuts * (end - start - len(cuts))).astype(int)[: 2 * (count - 1)]
        inner = inner + np.arange(len(inner))
        exons.append(np.array([start, *inner, end]).reshape(-1, 2))
    return exons


def write_gene_model(population: Population, path: str | Path) -> None:
    """Write a GTF like GENCODE's: a gene, one transcript and its exons (`gene_exons`)."""
    genes = population.genes
    with _text(path) as handle:
        handle.write("##description: simulated gene model, no real genes\n##format: gtf\n")
        for (gene_id, row), exons in zip(genes.iterrows(), gene_exons(population), strict=True):
            handle.writelines(_gene_lines(gene_id, row, exons))


def _gene_lines(gene_id: str, row: pd.Series, exons: np.ndarray) -> list[str]:
    """GTF lines of one gene; exons are numbered in the direction of transcription."""
    transcript_id = gene_id.replace("ENSG", "ENST")
    gene = f'gene_id "{gene_id}"; '
    kind = f'gene_type "{row["gene_type"]}"; gene_name "{row["symbol"]}"; '
    transcript = f'transcript_id "{transcript_id}"; {kind}'
    transcript += f'transcript_type "{row["gene_type"]}"; transcript_name "{row["symbol"]}-201"; '

    def line(feature: str, start: int, end: int, attributes: str) -> str:
        place = f"{row['chromosome']}\tHAVANA\t{feature}\t{start}\t{end}\t.\t{row['strand']}\t."
        return f"{place}\t{attributes}level 2;\n"

    bounds = exons[::-1] if row["strand"] == "-" else exons
    lines = [
        line("gene", row["start"], row["end"], gene + kind),
        line("transcript", row["start"], row["end"], gene + transcript),
    ]
    for number, (start, end) in enumerate(bounds, 1):
        exon_id = gene_id.replace("ENSG", "ENSE")
        exon = f'exon_number {number}; exon_id "{exon_id}.{number}"; '
        lines.append(line("exon", start, end, gene + transcript + exon))
    return lines


def _planted(population: Population) -> dict[str, np.ndarray]:
    """Planted effects of all genes, by name, each of shape ``(n_genes, n_tissues)``, float32."""
    parts: dict[str, list[np.ndarray]] = {}
    for block in range(len(population.settings.gene_blocks())):
        effects = draw_effects(population, block)
        named = {
            "base": effects.base,
            "noise_sd": effects.noise_sd,
            "tissue": effects.tissue,
            "own": effects.own,
        }
        named |= {f"factor_{k}": effects.factors[k] for k in range(len(effects.factors))}
        named |= dict(zip(COVARIATES, effects.covariates, strict=True))
        named |= dict(zip(DISEASES, effects.diseases, strict=True))
        named |= dict(zip(NONLINEAR, effects.nonlinear, strict=True))
        for name, values in named.items():
            parts.setdefault(name, []).append(values.T.astype(np.float32))
    return {name: np.concatenate(blocks) for name, blocks in parts.items()}


def write_truth(population: Population, path: str | Path) -> None:
    """Write the noise-free expression of every donor-tissue, sampled or not, and what was planted.

    The file is an AnnData. X: expected log2(1+TPM), float32, one row a donor-tissue. obs:
    ``donor``, ``tissue``, ``sampled``, ``sample_id`` and the diseases. obsm: ``factors``,
    ``covariates`` (`COVARIATES` on a unit scale), ``nonlinear``. var: ``symbol``, ``gene_type``
    and for every covariate, disease and non-linear effect a column (``has_age``, ...) that says
    whether it touches the gene in any tissue. varm: every effect by name, genes by tissues (in
    the order of ``uns["tissues"]``), log2 TPM per unit. uns: ``scale``, ``units``, ``tissues``,
    ``covariates``, ``nonlinear``, ``affected_tissues`` and ``settings`` (both JSON; settings of
    files beside the cohort are left out).
    """
    settings, samples = population.settings, population.samples
    of_cohort = settings.model_dump(exclude=set(BESIDE_THE_COHORT))
    n_tissues = len(settings.all_tissues)
    donors = population.donors.loc[samples["donor"]]
    planted = _planted(population)
    var = population.genes[["symbol", "gene_type"]].copy()
    for name in (*COVARIATES, *DISEASES, *NONLINEAR):
        var[f"has_{name}"] = (planted[name] != 0).any(1)
    obs = samples[["donor", "tissue", "sampled", "sample_id"]].set_index(
        pd.Index(samples["donor"] + "|" + samples["tissue"], name="donor_tissue")
    )
    obs[list(DISEASES)] = donors[list(DISEASES)].to_numpy()
    covariates = population.covariates.reshape(len(obs), -1)
    truth = anndata.AnnData(
        obs=obs,
        var=var,
        obsm={
            "factors": np.repeat(population.factors, n_tissues, 0).astype(np.float32),
            "covariates": covariates.astype(np.float32),
            "nonlinear": np.repeat(population.nonlinear, n_tissues, 0).astype(np.float32),
        },
        varm=planted,
        uns={
            "scale": "log2_tpm",
            "units": "expected log2(1+TPM)",
            "tissues": list(settings.all_tissues),
            "covariates": list(COVARIATES),
            "nonlinear": list(NONLINEAR),
            "affected_tissues": json.dumps(affected_tissues(settings)),
            "settings": json.dumps(of_cohort),
        },
    )
    with atomic_path(path) as temporary:
        truth.write_h5ad(temporary)
        with h5py.File(temporary, "r+") as handle:
            _write_expected(population, handle)


def _write_expected(population: Population, handle: h5py.File) -> None:
    """Write X of the truth: AnnData cannot append columns, so it is filled block by block here."""
    settings = population.settings
    shape = (len(population.samples), len(population.genes))
    handle.pop("X", None)
    matrix = handle.create_dataset(
        "X",
        shape=shape,
        dtype=np.float32,
        chunks=(min(len(settings.all_tissues) * 16, shape[0]), min(GENE_BLOCK, shape[1])),
    )
    matrix.attrs["encoding-type"], matrix.attrs["encoding-version"] = "array", "0.2.0"
    for block, span in enumerate(settings.gene_blocks()):
        effects = draw_effects(population, block)
        mean = expected_log2_tpm(population, effects, block)
        expected = expected_log2_one_plus_tpm(mean, effects.noise_sd)
        matrix[:, span] = expected.reshape(shape[0], -1)


def simulate_cohort(
    settings: SimulationSettings,
    *,
    expression: str | Path,
    sample_attributes: str | Path,
    subject_phenotypes: str | Path,
    controlled_phenotypes: str | Path,
    gene_model: str | Path,
    truth: str | Path,
) -> None:
    """Simulate a cohort and write its files; text files whose name ends in ``.gz`` are packed.

    Parameters
    ----------
    settings
        Size and planted structure.
    expression
        TPM, GCT 1.2.
    sample_attributes, subject_phenotypes, controlled_phenotypes
        Tab-separated, GTEx's column names.
    gene_model
        GTF.
    truth
        AnnData, see `write_truth`.
    """
    population = simulate_population(settings)
    write_expression(population, expression)
    write_sample_attributes(population, sample_attributes)
    write_subject_phenotypes(population, subject_phenotypes)
    write_controlled_phenotypes(population, controlled_phenotypes)
    write_gene_model(population, gene_model)
    write_truth(population, truth)
