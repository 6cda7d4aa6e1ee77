"""The page put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from mtm.page import overview
from mtm.page.cards import cards
from mtm.page.genes import gene_blocks
from mtm.page.packing import pack_json
from mtm.page.parts import asset, rendered
from mtm.page.pictures import Picture, pictures
from mtm.page.results import Results
from mtm.page.tissues import models_and_tissues, target_tissues
from mtm.vocabulary import in_units

# In the order in which they need one another.
SCRIPTS = ("dom", "data", "state", "search", "table", "plot", "chooser", "tissues", "genes",
           "figures", "main")  # fmt: skip
# A page that opens at once and can be sent by mail, and what of it is text.
MOST_CHARACTERS, OF_TEXT = 15_000_000, 400_000


@dataclass(frozen=True)
class Places:
    """Where a page finds what is no table of the run.

    Parameters
    ----------
    captions
        Folder of the figures' captions.
    benchmarks
        ``benchmarks/{cohort}``, which may be missing.
    citation
        The citation file.
    """

    captions: Path
    benchmarks: Path
    citation: Path


def build_page(
    results: Results, figures: Mapping[str, dict], symbols: pd.Series, places: Places
) -> str:
    """Make the result page of a run.

    Parameters
    ----------
    results
        Of the run.
    figures
        By name, ``category`` and ``title`` of each.
    symbols
        Of every gene, indexed by gene id.
    places
        Captions, benchmarks and citation.

    Returns
    -------
    str
        HTML that needs no other file and asks for none.
    """
    drawn = pictures(results, dict(figures), places.captions)
    cost = overview.cost(places.benchmarks)

    def words(name: str) -> str:
        """Text of an asset as it is of the cohort's units."""
        return in_units(asset(name), results.config["inputs"]["units"])

    parts = "".join(words(f"{name}.js") for name in SCRIPTS)
    return rendered(
        "page.html.jinja",
        f'"use strict";\n(() => {{\n{parts}}})();\n',
        words,
        blocks=_blocks(results, drawn, symbols),
        config=results.config,
        first_line=overview.first_line(results),
        paragraph=overview.paragraph(results),
        accuracy=overview.accuracy_table(results),
        cards=cards(results),
        categories=_by_category(drawn),
        titles={picture.name: picture.title for picture in drawn if not picture.reason},
        steps=overview.cohort_steps(results),
        folds=overview.fold_counts(results),
        models=overview.model_list(results, cost["models"]),
        skipped=overview.skipped(results),
        cost=cost,
        versions=overview.versions(),
        citation=overview.citation(places.citation),
        settings=yaml.safe_dump(results.config, sort_keys=False),
        tables=[name for name in results.matching("*.tsv") if "figures/" not in name],
    )


def _blocks(results: Results, drawn: list[Picture], symbols: pd.Series) -> dict[str, str]:
    """Pack the data of the page, with the genes of as many models as have room."""
    blocks = {f"figure-{picture.name}": picture.table for picture in drawn if picture.table}
    taken = sum(map(len, blocks.values())) + sum(len(picture.image) for picture in drawn)
    gene_models, of_genes = gene_blocks(
        results, symbols, target_tissues(results), MOST_CHARACTERS - taken - OF_TEXT
    )
    models = pack_json(models_and_tissues(results, gene_models))
    return blocks | of_genes | {"models": models}


def _by_category(drawn: list[Picture]) -> dict[str, list[Picture]]:
    categories: dict[str, list[Picture]] = {}
    for picture in drawn:
        categories.setdefault(picture.category, []).append(picture)
    return categories
