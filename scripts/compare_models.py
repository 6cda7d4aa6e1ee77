"""Compare models in every tissue: accuracy, predictable genes and their overlaps."""

from collections import defaultdict
from pathlib import Path

from mtm.analyses.accuracy.comparison import Scored, compare_accuracy, comparison_pairs
from mtm.analyses.accuracy.model_tables import accuracy_table, predictable_table
from mtm.analyses.accuracy.overlaps import (
    fold_changes,
    predictable_overlaps,
    venn_models,
    venn_regions,
)
from mtm.analyses.accuracy.pair_counts import pair_counts
from mtm.io import read_parquet, read_tsv, write_tsv
from mtm.pipeline.held_out import held_out
from mtm.pipeline.scripting import run
from mtm.settings.accuracy import AccuracySettings
from mtm.statistics.small_counts import of_enough_people


def main(snakemake):
    """Read accuracy and predictions of all models, write one table a question."""
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    files = defaultdict(list)
    for path in inputs.predictions:
        files[Path(path).parent.name].append(path)
    scored = {}
    tables = inputs.gene_wise, inputs.sample_wise, inputs.draws
    for model, learned, *paths in zip(params.models, params.learned, *tables, strict=True):
        genes, samples, draws = map(read_parquet, paths)
        predicted = held_out(snakemake, files[model])
        scored[model] = Scored(genes, samples, predicted, learned, draws)
    pairs = comparison_pairs(params.models, params.roles, params.pairs)
    compared = compare_accuracy(scored, pairs, AccuracySettings.of(params.accuracy))
    write_tsv(compared, output.pairs)
    write_tsv(pair_counts(compared), output.pair_counts)
    gene_wise = {model: tables.gene_wise for model, tables in scored.items()}
    overlaps = predictable_overlaps(gene_wise, pairs)
    write_tsv(overlaps, output.overlaps)
    samples_of = next(iter(scored.values())).held_out.samples["tissue"].value_counts()
    write_tsv(fold_changes(overlaps, samples_of), output.fold_changes)
    sets = params.venn_models or venn_models(params.models, params.roles)
    write_tsv(venn_regions(gene_wise, sets, params.venn_tissue), output.venn)
    summary = read_tsv(inputs.summary, ["model", "tissue"])
    summary = of_enough_people(summary, params.fewest_people)
    write_tsv(accuracy_table(summary), output.s1)
    write_tsv(predictable_table(summary), output.s2)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
