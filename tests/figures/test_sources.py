import numpy as np
import pandas as pd
import pytest

from mtm.figures import names, sources, style
from mtm.figures.registry import make_figure
from mtm.vocabulary import (
    ALL_OTHERS,
    AND,
    MEAN_OF_TISSUES,
    NO_TISSUE,
    ONE_ADDED,
    ONE_TISSUE,
    SOME_ADDED,
    SOME_DRAWN,
)

BLOOD = "Whole Blood"
FAT = "Adipose - Subcutaneous"
SINGLES = (BLOOD, FAT, "Lung", "Liver", "Testis", "Vein of Mars")


def accuracy(model, gain, source=0.25):
    """Draw a table as sources/accuracy/{model}.tsv; choices gain more, the more they hold."""
    choices = [(NO_TISSUE, "", 0, -0.1), (ALL_OTHERS, "", 14.5, 4 * gain)]
    choices += [(ONE_TISSUE, name, 1, 0.01 * rank) for rank, name in enumerate(SINGLES)]
    choices += [(ONE_ADDED, f"{BLOOD}{AND}Lung", 2, gain)]
    choices += [(SOME_ADDED, f"{BLOOD}{AND}{FAT}", 2, gain)]
    choices += [(SOME_DRAWN, str(n), n, gain * np.log2(1 + n)) for n in (1, 2, 5)]
    return pd.DataFrame(
        [
            {"model": model, "kind": kind, "given": given, "level": level, "tissue": tissue,
             "n_given": n, "n_samples": 50, "mean_rho": 0.03 + source + more, "ci_low": 0.1,
             "ci_high": 0.6, "source_rho": source + 0.03 * (kind != ALL_OTHERS),
             "difference": more, "difference_low": more - 0.02, "difference_high": more + 0.02,
             "n_tissues": 2 if given == "Testis" else 20}
            for kind, given, n, more in choices
            for level in ("gene_wise", "sample_wise")
            for tissue in ("Lung", MEAN_OF_TISSUES)
        ]
    )  # fmt: skip


TABLES = {"a": accuracy("tissue_average", 0.02), "b": accuracy("joint", 0.05)}


def test_table_adds_the_paired_difference_to_the_source_for_all():
    table = sources.sources_table(TABLES)
    assert list(table.columns) == sources.DRAWN
    assert list(dict.fromkeys(table["model"])) == ["joint", "tissue_average"]
    np.testing.assert_allclose(table["rho"], 0.25 + _gain(table))
    alone = table[table["is_source"]]
    assert list(alone["given"]) == [BLOOD]
    assert alone[["low", "high"]].to_numpy().tolist() == [[0.1, 0.6]]
    rest = table[~table["is_source"]]
    np.testing.assert_allclose(rest["high"] - rest["low"], 0.04)


def _gain(table):
    given = pd.concat(TABLES.values()).drop_duplicates(["model", "kind", "given"])
    merged = table.merge(given, on=["model", "kind", "given"])
    assert len(merged) == len(table)
    return merged["difference"]


def test_single_tissues_are_of_the_best_model_and_reach_half_of_the_targets():
    table = sources.sources_table(TABLES)
    single = table[table["kind"] == ONE_TISSUE]
    assert set(single["model"]) == {"joint"}
    assert set(single["given"]) == set(SINGLES) - {"Testis"}
    assert ONE_ADDED not in set(table["kind"])
    others = set(table.loc[table["model"] == "tissue_average", "kind"])
    assert others == {NO_TISSUE, SOME_DRAWN, ALL_OTHERS}


@pytest.mark.parametrize("given", [TABLES, TABLES["a"]])
def test_figure_is_a_column_wide_and_names_tissues_and_models(given):
    figure, table = make_figure("sources", {"accuracy": given})
    assert figure.get_figwidth() * style.MM_PER_INCH == pytest.approx(style.COLUMN_MM)
    figure.canvas.draw()
    numbers, singles = figure.axes
    assert [text.get_text() for text in numbers.texts] == ["+ ADPSBQ"]
    ticks = [tick.get_text() for tick in numbers.get_xticklabels()]
    assert ticks == ["0", "1", "2", "5", "all\n(14)"]
    (legend,) = (part.legends[0] for part in figure.subfigs if part.legends)
    shown = [text.get_text() for text in legend.get_texts()]
    models = [names.title(model) for model in dict.fromkeys(table["model"])]
    assert shown == [*models, f"{BLOOD} and accessible"]
    rows = [tick.get_text() for tick in singles.get_yticklabels()]
    assert rows == ["Vein of Mars", "Liver", "Lung", FAT, BLOOD]


def test_all_tissues_of_gtex_fit_on_a_page():
    many = accuracy("joint", 0.05)
    single = many[many["kind"] == ONE_TISSUE]
    more = [single.assign(given=name) for name in style.gtex_tissues().index]
    figure, _ = make_figure("sources", {"accuracy": pd.concat([many, *more])})
    assert figure.get_figheight() <= style.PAGE_HEIGHT_MM / style.MM_PER_INCH
