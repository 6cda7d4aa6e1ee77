"""Draw one figure: tables in, PDF, PNG and the drawn table out."""

from mtm.errors import CannotDo
from mtm.figures.registry import left_out, make_figure
from mtm.figures.style import save_figure
from mtm.io import read_table
from mtm.pipeline.scripting import run
from mtm.statistics.small_counts import of_enough_people


def main(snakemake):
    """Read every named input, several files under one name as a dict, and draw, or say why not."""
    try:
        params = snakemake.params

        def read(path):
            return of_enough_people(read_table(path), params.fewest_people)

        tables = {
            name: read(paths) if isinstance(paths, str) else {path: read(path) for path in paths}
            for name, paths in snakemake.input.items()
        }
        figure, table = make_figure(params.figure, tables)
    except CannotDo as why:
        figure, table = left_out(why)
    output = snakemake.output
    units = snakemake.params.units
    save_figure(figure, table, output.pdf, output.png, output.tsv, units)


if "snakemake" in globals():
    with run(snakemake):  # noqa: F821
        main(snakemake)  # noqa: F821
