"""What the tables say of genes over tissues: holes filled, genes told that nobody measured."""

from collections.abc import Iterator

from mtm.figures import names
from mtm.page.results import Results, rows
from mtm.page.words import count, listed, measured, number
from mtm.vocabulary import ALL_GENES


def profiles(results: Results) -> Iterator[str]:
    """Say how well holes are filled and genes told that nobody measured."""
    table = rows(results.table("profiles/accuracy.tsv"), genes=ALL_GENES, measure="shape_r")
    if table.empty:
        return
    for hidden, part in table.groupby("hidden", sort=False):
        told = part.set_index("method")
        row, simple = told.loc["stack"], ("tissue_mean", "own_mean", "nearest")
        others = [
            f"{names.PROFILE_METHODS[name].lower()} {number(told['value'][name])}"
            for name in simple
            if name in told.index
        ]
        yield (
            f"{hidden.capitalize()}, {count(row['n_genes'])} genes of chromosomes held out: "
            f"shape r {measured(row, 'value')} by all parts; {listed(others)}."
        )
