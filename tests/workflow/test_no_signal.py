"""A tenth of GTEx's genes without any signal: nothing is told, and nothing fails."""

import pandas as pd
import pytest
from no_signal import CONFIG, MODELS, run_no_signal

from mtm.errors import CannotDo
from mtm.figures.registry import make_figure
from mtm.io import read_table

pytestmark = pytest.mark.workflow

N_GENES = CONFIG["simulation"]["n_genes"]
NO_GENES = "nothing ran; most often: 0 predictable genes, fewer than 30"
CHOICES = ("predictable, all_folds", "predictable, nested", "predictable_paper, all_folds")
COMPARED = ("covariates", "mtm", "ridge")
LEFT_OUT = {
    ("growth of accuracy with donors", "", "growth.donors is empty"),
    ("zeros of read counts", "", "no method of imputation.methods takes counts"),
    ("noise ceiling", "", "no tissue has another of its organ, given by enough of its donors"),
    ("ranks/perturbation", "", "the cohort has none of the genes ['XIST', 'RPS4Y1']"),
    ("disease/status", "mtm", NO_GENES),
    *(("traits/agreement", model, NO_GENES) for model in COMPARED),
}
EMPTY = {
    "disease/status_curves/mtm.parquet",
    "disease/status_parts/mtm/0.curves.parquet",
    "disease/status_parts/mtm/0.replicates.parquet",
    "disease/status_summary/mtm.tsv",
    "disease/volcano.tsv",
    "imputation/zeros.tsv",
    "tables/s3.tsv",
    *(f"traits/associations/{model}.parquet" for model in COMPARED),
}
FIGURES = """accuracy_by_tissue codes_probed external fig2a fig2b fig2c fig2de fig3a fig3b fig3cd
fig4 fig4_predicted fig_s10 fig_s11 fig_s12 fig_s13 fig_s14 fig_s15 fig_s6 fig_s7 fig_s8
fig_s8_connectivity fig_s9 imputation intervals landmarks learning_curve perturbation profiles
ranks sources transfer"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Return the folder of results of the one run that all tests here look at."""
    folder = tmp_path_factory.mktemp("no_signal")
    run_no_signal(folder)
    return folder / "results/silent"


def tsv(path):
    return pd.read_csv(path, sep="\t")


def test_every_table_and_figure_is_there_and_empty_ones_are_those_expected(tables):
    empty, left_out = set(), set()
    for path in tables.rglob("*"):
        if path.suffix not in (".tsv", ".parquet") or path.parent.name == "figures":
            continue
        try:
            if read_table(path).empty:
                empty.add(str(path.relative_to(tables)))
        except CannotDo as why:
            left_out.add(why.analysis)
    assert empty == EMPTY
    assert left_out == {"ranks/perturbation"}
    assert {path.stem for path in tables.rglob("*.png")} == set(FIGURES.split())
    assert (tables / "index.html").stat().st_size


def test_no_model_tells_anything(tables):
    rows = tsv(tables / "accuracy/headline.tsv")
    assert set(rows["model"]) == {*MODELS, "oracle"}
    of_noise = rows["mean_rho"].between(rows["null_low"] - 1e-9, rows["null_high"] + 1e-9)
    holds_nothing = (rows["ci_low"] <= 0) & (rows["ci_high"] >= 0)
    assert (of_noise | holds_nothing).all(), rows[~of_noise & ~holds_nothing]
    assert rows["n_genes"].max() == N_GENES
    # By the sounder definition next to none; a pooled rho above 0.3 is of a few by chance.
    assert rows["n_predictable"].max() <= 0.001 * N_GENES
    assert rows["n_predictable_paper"].max() <= 0.01 * N_GENES


def test_what_was_not_done_is_listed_with_its_reason(tables):
    skipped = tsv(tables / "tables/skipped.tsv").fillna("")
    listed = skipped[["analysis", "model", "reason"]].to_records(index=False).tolist()
    of_choices = {row for row in listed if row[0].startswith("disease/agreement of ")}
    assert sorted(set(listed) - of_choices) == sorted(LEFT_OUT)
    assert {row[:2] for row in of_choices} == {
        (f"disease/agreement of {choice}", model) for choice in CHOICES for model in COMPARED
    }
    assert all("predictable genes, fewer than 30" in reason for *_, reason in of_choices)
    assert len(listed) == len(set(listed))
    assert (skipped["remedy"] != "").all()


def test_figures_of_empty_tables_say_why(tables):
    disease = tables / "disease"
    of_status = {"status": read_table(disease / "status/mtm.tsv")}
    of_pairs = {"contrasts": tsv(disease / "contrasts.tsv")}
    inputs = {
        "fig3a": {"genes": read_table(disease / "volcano.tsv")} | of_pairs,
        "fig3b": {"agreement": read_table(disease / "agreement.tsv")} | of_pairs,
        "fig_s15": of_status,
        "fig3cd": of_status
        | {
            "curves": read_table(disease / "status_curves/mtm.parquet"),
            "summary": read_table(disease / "status_summary/mtm.tsv"),
        },
    }
    for name, given in inputs.items():
        figure, table = make_figure(name, given)
        said = " ".join(
            text.get_text() for text in figure.findobj(lambda of: hasattr(of, "get_text"))
        )
        assert "predictable genes" in said, (name, said)
        assert len(tsv(tables / f"figures/{name}.tsv")) == len(table)
    note = tsv(tables / "figures/perturbation.tsv").iloc[0]
    assert "XIST" in note["reason"]
    assert "ranks.perturbation.genes" in note["remedy"]
