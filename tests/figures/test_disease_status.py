import numpy as np
import pandas as pd
import pytest
from marks import slow

from mtm.analyses.disease.status_tables import COUNTS, CURVE, RATES, STATUS, compare_inputs
from mtm.figures import style
from mtm.figures.registry import make_figure
from mtm.statistics.small_counts import of_enough_people
from mtm.vocabulary import BASELINE, OBSERVED, PREDICTED, SOURCE

INPUTS = (OBSERVED, PREDICTED, SOURCE, BASELINE)
KEY = {"model": "mtm", "definition": "predictable"}


def tables(n_tissues, contrasts, selections=("all_folds", "nested"), inputs=INPUTS):
    """Draw tables as `mtm.analyses.disease.status_tables.combine_status` returns them."""
    rng = np.random.default_rng(0)
    tissues = [name for name in style.gtex_tissues().index if name != "Whole Blood"][:n_tissues]
    rows, replicates = [], []
    for selection in selections:
        for tissue in tissues:
            for contrast in contrasts:
                aucs = rng.uniform(0.45, 0.8) + np.array([0.08, 0.04, 0, -0.02])
                pair = KEY | {"selection": selection, "tissue": tissue, "contrast": contrast}
                sides = dict(zip(inputs, aucs, strict=False))
                rows += [
                    pair | {"input": name, "status": "ran", "reason": "", "auroc": auc,
                            "ci_low": auc - 0.1, "ci_high": auc + 0.1, "null_mean": 0.5,
                            "n_cases": 50, "n_controls": 90, "informative": aucs[0] >= 0.6}
                    for name, auc in sides.items()
                ]  # fmt: skip
                replicates += [
                    pair | {"input": name, "kind": kind, "number": number, "part": part,
                            "auroc": auc + 0.02 * rng.standard_normal()}
                    for name, auc in sides.items()
                    for kind, parts in (("repeat", 1), ("half", 2))
                    for number in range(5) for part in range(parts)
                ]  # fmt: skip
    status = pd.DataFrame(rows).reindex(columns=STATUS).astype({"informative": "boolean"})
    first = status[(status["tissue"] == tissues[0]) & (status["contrast"] == contrasts[0])]
    curves = [
        pd.DataFrame(
            {"false_positive_rate": RATES, "true_positive_rate": RATES**0.5, "low": RATES,
             "high": RATES**0.3, "shown": True}
        ).assign(**row[[*KEY, *COUNTS, "selection", "tissue", "contrast", "input"]])
        for _, row in first.iterrows()
    ]  # fmt: skip
    summary = compare_inputs(status, pd.DataFrame(replicates))
    return {"status": status, "curves": pd.concat(curves)[CURVE], "summary": summary}


def test_figures_show_the_choice_of_genes_that_ran():
    made = tables(3, ["MHA"])
    nested = made["status"]["selection"] == "nested"
    made["status"].loc[nested, ["status", "input", "auroc"]] = ["skipped", np.nan, np.nan]
    made = {name: part[part["selection"] != "nested"] if name != "status" else part
            for name, part in made.items()}  # fmt: skip
    for name, given in (("fig3cd", made), ("fig_s15", {"status": made["status"]})):
        _, table = make_figure(name, given)
        assert set(table["selection"]) == {"all_folds"}


@pytest.mark.slow
def test_every_pair_is_a_line_and_informative_ones_have_colour():
    made = tables(6, ["MHA", "MHB"])
    figure, table = make_figure("fig3cd", made)
    roc, pairs = figure.axes[:2]
    assert set(table["selection"]) == {"nested"}
    labels = [text.get_text() for text in roc.get_legend().get_texts()]
    of_pair = table[(table["panel"] == "ROC curve")].groupby("input", sort=False)["auroc"].first()
    assert [label.split(" (")[0] for label in labels] == [
        f"{name}: {value:.2f}" for name, value in of_pair.items()
    ]
    wide = made["status"][made["status"]["selection"] == "nested"].pivot(
        index=["tissue", "contrast"], columns="input", values="auroc"
    )[list(INPUTS)]
    drawn = [line.get_ydata() for line in pairs.lines if len(line.get_ydata()) == 4]
    for values in wide.to_numpy():
        assert any(np.allclose(values, line) for line in drawn)
    informative = (wide[OBSERVED] >= 0.6).sum()
    assert 0 < informative < len(wide)
    assert len(pairs.collections) == informative
    mean = wide.mean().to_numpy()
    assert any(np.allclose(mean, line) for line in drawn)
    below = " ".join(text.get_text() for text in figure.axes[2].texts)
    assert "predicted \N{MINUS SIGN} source" in below
    assert "predicted \N{MINUS SIGN} covariates" in below


def test_without_the_baseline_and_without_nesting():
    made = tables(4, ["MHA"], selections=("all_folds",), inputs=INPUTS[:3])
    figure, table = make_figure("fig3cd", made)
    assert set(table["selection"]) == {"all_folds"}
    assert len(figure.axes[1].get_xticks()) == 3


def test_few_pairs_of_tissue_and_disease_are_no_few_people():
    made = tables(7, ["MHA"])
    kept = {name: of_enough_people(table, 10) for name, table in made.items()}
    figure, _ = make_figure("fig3cd", kept)
    whole, _ = make_figure("fig3cd", made)
    said, known = ([text.get_text() for text in one.axes[2].texts] for one in (figure, whole))
    assert said == known


def test_where_nothing_ran_the_page_says_so():
    made = tables(2, ["MHA"])
    nothing = made["status"].assign(status="skipped", input=float("nan"))
    for name, given in (
        ("fig3cd", made | {"status": nothing, "summary": made["summary"][:0]}),
        ("fig_s15", {"status": nothing}),
    ):
        figure, table = make_figure(name, given)
        assert table.empty
        assert "auroc" in table
        assert "Nothing to draw" in figure.texts[0].get_text()


@pytest.mark.slow
def test_s15_places_every_value_in_its_row_and_column():
    made = tables(5, ["MHA", "MHB"])
    figure, table = make_figure("fig_s15", {"status": made["status"]})
    axes = {ax.get_title(loc="left"): ax for ax in figure.axes}
    assert all(ax.get_xlabel() == "n = 50 /\n90" for ax in axes.values())
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    for contrast, ax in axes.items():
        marks = [line for line in ax.lines if line.get_linewidth() == 0]
        places = np.concatenate([np.stack([m.get_xdata(), m.get_ydata()], 1) for m in marks])
        rows = table[table["contrast"] == contrast]
        assert len(places) == len(rows) == 20
        for row in rows.itertuples():
            near = places[np.isclose(places[:, 0], row.auroc)]
            assert np.round(near[0, 1]) == names.index(row.tissue)


@pytest.mark.parametrize(("n_tissues", "n_contrasts"), [(4, 1), slow(48, 11)])
@pytest.mark.parametrize("name", ["fig3cd", "fig_s15"])
def test_it_fits_the_page(name, n_tissues, n_contrasts):
    made = tables(n_tissues, [f"MH{i:06d}" for i in range(n_contrasts)], ("nested",))
    given = made if name == "fig3cd" else {"status": made["status"]}
    figure, table = make_figure(name, given)
    assert figure.get_figwidth() * 25.4 <= 180.01
    assert figure.get_figheight() * 25.4 <= 240
    box = figure.get_tightbbox()
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01
    if name == "fig_s15":
        assert table["contrast"].nunique() == min(n_contrasts, 9)
        assert table["n_contrasts"].iloc[0] == n_contrasts
