import numpy as np
import pandas as pd
import pytest

from mtm.figures.registry import make_figure
from mtm.vocabulary import MEDIAN_OF_TISSUES

TISSUES = ["Lung", "Liver", "Testis"]


def agreement(traits=("age", "sex", "BMI"), models=("mtm", "ridge", "covariates")):
    rng = np.random.default_rng(0)
    rows = []
    for model in models:
        for definition in ("predictable", "predictable_paper"):
            for trait in traits:
                for tissue in [*TISSUES, MEDIAN_OF_TISSUES]:
                    skipped = trait == "sex" and tissue == "Testis"
                    rho = np.nan if skipped else rng.uniform(0.3, 0.9)
                    rows.append(
                        {"model": model, "definition": definition, "trait": trait,
                         "tissue": tissue, "n_donors": 50, "n_genes": 100, "rho": rho,
                         "ci_low": rho - 0.1, "ci_high": rho + 0.1, "null_low": rho - 0.5,
                         "null_high": rho - 0.2, "rho_split": rho - 0.2, "rho_covariates": 0.95,
                         "rho_beyond": np.nan if model == "covariates" else 0.1,
                         "status": "skipped" if skipped else "ran",
                         "reason": "0 donors of one level, fewer than 10" if skipped else ""}
                    )  # fmt: skip
    return pd.DataFrame(rows)


def texts(drawing):
    return [text.get_text() for ax in drawing.axes for text in ax.texts]


@pytest.mark.parametrize(
    ("name", "trait"), [("fig_s12", "age"), ("fig_s13", "sex"), ("fig_s14", "BMI")]
)
def test_each_figure_draws_its_trait_alone(name, trait):
    drawing, table = make_figure(name, {"agreement": agreement()})
    assert set(table["trait"]) == {trait}
    assert set(table["model"]) == {"mtm", "ridge"}
    assert len(drawing.axes) == 2
    names = [label.get_text() for label in drawing.axes[0].get_yticklabels()]
    assert names[0] == "Median of tissues"
    drawn = table[(table["model"] == "mtm") & (table["definition"] == "predictable")]
    drawn = drawn[(drawn["status"] == "ran") & (drawn["tissue"] != MEDIAN_OF_TISSUES)]
    order = drawn.sort_values("rho", ascending=False)["tissue"]
    assert [label.split("  ")[0] for label in names[1 : len(order) + 1]] == list(order)


def test_a_skipped_tissue_stays_a_row_with_its_reason():
    drawing, _ = make_figure("fig_s13", {"agreement": agreement()})
    assert texts(drawing).count("0 of one level") == 2


def test_a_trait_that_no_tissue_has_is_still_a_figure():
    table = agreement(traits=("age",))
    table = table[table["tissue"] != MEDIAN_OF_TISSUES].assign(
        status="skipped", reason="one level"
    )
    values = ["rho", "ci_low", "ci_high", "null_low", "null_high", "rho_split"]
    table[values] = np.nan
    drawing, _ = make_figure("fig_s12", {"agreement": table})
    assert texts(drawing).count("one level") == 6


def test_the_covariates_model_alone_is_drawn_as_a_model():
    _, table = make_figure("fig_s12", {"agreement": agreement(models=("covariates",))})
    assert set(table["model"]) == {"covariates"}


def test_without_another_trait_the_page_says_why():
    skipped = agreement(traits=("age",)).assign(reason="the trait has one level")
    figure, table = make_figure("fig_s14", {"agreement": skipped})
    assert table.empty
    assert f"{len(skipped)} x  the trait has one level" in figure.texts[0].get_text()
