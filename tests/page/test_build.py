"""What the page says of numbers that are known."""

import re

import numpy as np
import pages
import pandas as pd
import pytest

from mtm.errors import CannotDo
from mtm.io import write_note
from mtm.page import overview
from mtm.page.build import build_page
from mtm.page.cards import cards
from mtm.page.genes import MISSING, mirrored, q_codes, shown_models
from mtm.page.packing import pack, pack_bytes, pack_table, security_hash, unpack
from mtm.page.pictures import written
from mtm.page.results import Results
from mtm.page.words import between, count, duration, listed, number, p_value, share


def test_numbers_are_rounded_to_what_they_are_worth():
    assert number(-0.004) == "0.00"
    assert number(-0.4321) == "−0.43"
    assert number(np.nan) == "–"
    assert between(-0.04, 0.051) == "−0.04 to 0.05"
    assert between(np.nan, 1) == ""
    assert [p_value(p) for p in (3e-7, 0.00123, 0.0449, 1)] == ["< 0.0001", "0.001", "0.04", "1"]
    assert (count(19291.0), share(1, 3), share(1, 0)) == ("19,291", "33%", "–")
    assert [duration(s) for s in (40, 200, 7200, 2e6)] == [
        "40 seconds", "3.3 minutes", "2.0 hours", "23 days",
    ]  # fmt: skip
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a"]) == "a"


def test_what_is_packed_is_unpacked():
    content = bytes(range(256)) * 9
    assert unpack(pack(content)) == content
    values = np.arange(200, dtype=np.uint8).reshape(20, 10)
    assert unpack(pack_bytes(values)) == values.tobytes()
    table = pd.DataFrame({"n": [1.0, np.nan], "x": [0.123456789, 19291.5], "t": ["NA", "<b>"]})
    assert unpack(pack_table(table)).decode().split("\n")[:3] == [
        "n\tx\tt", "1\t0.12346\tNA", "\t19292\t<b>",
    ]  # fmt: skip


def test_q_has_one_digit():
    q = np.array([np.nan, 1e-9, 1e-4, 0.00026, 0.0095, 0.0996, 0.5, 1])
    codes = q_codes(q)
    # Digits 1 to 9 of a power of ten, from 1e-4 on, follow 2.
    assert codes.tolist() == [0, 1, 2, 4, 20, 29, 33, 38]


def test_bounds_are_foretold_but_for_rounding():
    rng = np.random.default_rng(0)
    z, wide = rng.normal(0.3, 0.4, 5000), rng.uniform(0.05, 0.5, 5000)
    rho, low, high = (np.round(100 * np.tanh(z + side * wide)) for side in (0, -1, 1))
    off = high - mirrored(rho, low)
    assert np.abs(off).max() <= 4
    assert np.abs(mirrored(np.array([100, -100]), np.array([100, -100]))).max() <= 100
    assert MISSING not in off


def test_as_many_models_as_there_is_room_for(tmp_path):
    run = pages.made_up(tmp_path, 20, ["Lung"], [])
    assert shown_models(run.results, 1000, 1e9) == ["ridge", "covariates", "mtm", "joint_others"]
    assert shown_models(run.results, 1000, 8_000) == ["ridge", "covariates"]
    assert shown_models(run.results, 1000, 0) == ["ridge"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return pages.made_up(tmp_path_factory.mktemp("run"), 30, ["Lung", "Thyroid"], [])


def test_the_paragraph_says_best_model_covariates_limit_and_other_tissues(run):
    text = " ".join(overview.paragraph(run.results))
    best = run.results.headline.loc["ridge"]
    assert "Ridge tells other tissues best: gene by gene" in text
    assert f"ρ = {best['mean_rho']:.2f}" in text
    assert f"{number(run.results.headline.loc['covariates', 'mean_rho'])} (" in text
    assert "Of models that see more of a donor, Joint model, all other tissues reaches" in text
    # A model of the run is above it.
    assert "at least" not in text


def test_a_floor_that_no_model_reaches_is_said(run, monkeypatch):
    monkeypatch.setattr(run.results, "rivals", lambda: ["mtm"])
    assert run.results.headline.loc["mtm", "mean_rho"] < 0.35
    text = " ".join(overview.paragraph(run.results))
    assert "at 0.35 (0.33 to 0.37) at least" in text
    assert "MTM sees Whole Blood alone: gene by gene, its predictions" in text
    assert "flattered" not in text


def test_the_first_line_says_what_the_cohort_is(tmp_path, run):
    assert overview.first_line(run.results).startswith("Only 30 genes, not a whole transcriptome")
    simulated = pages.made_up(tmp_path, 30, ["Lung"], [], simulation={})
    assert overview.first_line(simulated.results).startswith("Simulated cohort made_up")
    assert "MTM" not in " ".join(overview._unlike_published(run.results))


def test_a_second_model_of_covariates_sees_no_tissue(tmp_path):
    run = pages.made_up(tmp_path, 5, ["Lung"], [])
    results, table = run.results, run.results.summary
    other = table[table["model"] == "covariates"].assign(model="age_alone", mean_rho=0.9)
    results.__dict__["summary"] = pd.concat([table, other], ignore_index=True)
    results.config["models"]["age_alone"] = results.config["models"]["covariates"]
    assert results.models[0] == "age_alone"
    assert results.sources("age_alone") == "covariates alone"
    assert results.best(one_source=True) in ("ridge", "mtm")
    assert results.best(one_source=False) == "joint_others"


def test_a_model_that_is_not_as_published_is_said_to_be_so(tmp_path):
    models = pages.MODELS | {"mtm": {"class": "mtm", "parameters": {"steps": 10}}}
    other = pages.made_up(
        tmp_path, 5, ["Lung"], [], models={k: dict(v) for k, v in models.items()}
    )
    assert "1 differ (steps)" in overview._unlike_published(other.results)[0]


def test_trainings_whose_codes_have_collapsed_are_said(tmp_path):
    run = pages.made_up(tmp_path, 5, ["Lung"], [])
    paragraph = overview.paragraph(run.results)
    ended = pd.DataFrame(
        {"model": ["mtm"] * 4 + ["mlp"], "evaluation": [None, None, "site", None, None],
         "run": ["fold0", "fold1", "fold0", "all", "fold0"], "collapsed": [0, 1, 1, 1, None]}
    )  # fmt: skip
    run.results.tables["models/trainings.tsv"] = ended
    (sentence,) = set(overview.paragraph(run.results)) - set(paragraph)
    assert sentence.startswith("Codes of MTM have collapsed in 3 of 4 trainings (fold1, fold0 ")
    assert "without site and all donors)" in sentence
    for table in (ended.assign(collapsed=0), ended.drop(columns="collapsed")):
        run.results.tables["models/trainings.tsv"] = table
        assert overview.paragraph(run.results) == paragraph


def test_a_characteristic_is_of_a_model_that_has_a_contrast(tmp_path):
    results = pages.made_up(tmp_path, 5, ["Lung"], []).results
    best, second = results.rivals()[:2]
    table = pd.DataFrame(
        {"model": [best, second], "scale": "log2_z", "reading": "all_genes",
         "tissue": "(mean of tissues)", "cliffs_delta": [None, 0.25], "ci_low": [None, 0.2],
         "ci_high": [None, 0.3]}
    )  # fmt: skip
    name = "gene_characteristics/conservation.tsv"
    results.names.add(name)
    results.tables[name] = table
    results.config["gene_characteristics"] = {"quantile": 0.25}
    told = " ".join(sentence for card in cards(results) for sentence in card.answer)
    assert "conservation 0.25 (0.20 to 0.30)" in told
    results.tables[name] = table[:1]
    told = " ".join(sentence for card in cards(results) for sentence in card.answer)
    assert "conservation" not in told


@pytest.mark.slow
def test_rows_of_few_people_stand_nowhere_and_the_page_says_so(tmp_path):
    run = pages.made_up(tmp_path, 30, ["Lung", "Thyroid"], [], fewest_people=10)
    path = tmp_path / "accuracy/summary.tsv"
    table = pd.read_csv(path, sep="\t")
    table.loc[table["tissue"] == "Thyroid", "n_samples"] = 9
    table.to_csv(path, sep="\t", index=False)
    assert set(run.results.summary["tissue"]) == {"Lung", "(mean of tissues)"}
    page = build_page(run.results, run.figures, run.symbols, run.places)
    assert "Rows of fewer than 10 people" in page
    run.results.config["fewest_people"] = 1
    assert "Rows of fewer" not in build_page(run.results, run.figures, run.symbols, run.places)


def test_a_figure_is_drawn_again_with_the_configuration_of_the_run(run):
    page = build_page(run.results, run.figures, run.symbols, run.places)
    (line,) = (line for line in page.splitlines() if "--forcerun draw_fig2a" in line)
    assert "with the <code>--configfile</code> of the run" in line


def test_a_table_that_was_not_made_gives_its_reason(tmp_path, run):
    folder = tmp_path / "results"
    note = folder / "traits/summary.tsv"
    write_note(CannotDo("traits", "3 donors with an age", "more donors"), note)
    results = Results(folder, [note], run.results.config, "covariates")
    results.__dict__["summary"] = run.results.summary
    told = {card.question: card for card in cards(results)}
    traits = next(card for question, card in told.items() if "traits" in question)
    assert not traits.answered
    assert traits.answer == ["3 donors with an age. To have it: more donors."]
    growth = next(card for question, card in told.items() if "more donors" in question)
    assert "no such analysis" in growth.answer[0]


def test_cards_of_an_external_cohort_name_the_tissue_that_was_sampled(tmp_path):
    files = {"expression": "skin.tsv", "source": "Skin - Sun Exposed (Lower leg)"}
    transfer = {"models": ["joint_others"]}
    chosen = {"external": {"skin": files}, "transfer": dict(transfer)}
    run = pages.made_up(tmp_path, 5, ["Lung"], [], **chosen)
    predicted = {"model": "joint_others", "status": "ran", "comparison": "kept", "n_cases": 20,
                 "n_controls": 30, "q": 0.01, "change": 0.2, "ci_low": 0.1, "ci_high": 0.3,
                 "n_up": 3, "n_down": 4, "n_genes": 90}  # fmt: skip
    rows = [predicted | {"tissue": "Lung", "role": "target", "rank": 1},
            predicted | {"tissue": files["source"], "role": "source", "rank": None}]  # fmt: skip
    groups = {"model": "joint_others", "genes": "all", "alignment": "log2", "median": 0.3,
              "n_cases": 20, "n_controls": 30, "n_tissues": 1, "median_null_high": 0.1,
              "median_p": 0.01, "median_related": None}  # fmt: skip
    tables = {
        "transfer/skin/predicted/joint_others.tsv": pd.DataFrame(rows),
        "transfer/skin/groups/joint_others.tsv": pd.DataFrame([groups]),
    }
    results = pages.MadeUp(tmp_path, tables, run.results.config)
    results.__dict__["summary"] = run.results.summary
    differs, carries = (card.answer[0] for card in cards(results)[-2:])
    assert f"{files['source']} itself tells 7 of 90 genes" in differs
    assert f"from another cohort's {files['source']} (20 cases, 30 controls; " in carries
    assert "Type 2 diabetes, predicted" in carries
    results.config["transfer"]["reference"] = "mine.tsv"
    carries = cards(results)[-1].answer[0]
    assert "Type 2 diabetes" not in carries
    assert "with the fold changes of 1 tissues in the table given;" in carries


def test_card_of_landmarks_names_the_best_method_of_each_panel(tmp_path, run):
    row = {"genes": "all others", "level": "gene_wise", "tissue": "(mean of tissues)",
           "n_landmarks": 20, "n_genes": 39, "ci_low": 0.5, "ci_high": 0.9}  # fmt: skip
    tables = {
        f"landmarks/accuracy/chosen/{method}.tsv": pd.DataFrame(
            [row | {"panel": "chosen", "method": method, "mean_rho": rho}]
        )
        for method, rho in (("dgex", 0.6), ("ridge", 0.7))
    }
    results = pages.MadeUp(tmp_path, tables, run.results.config)
    results.__dict__["summary"] = run.results.summary
    card = next(card for card in cards(results) if "panel of some genes" in card.question)
    assert card.answer[0] == (
        "20 landmarks (chosen): within a tissue, 39 other genes of the same sample are told with "
        "0.70 (0.50 to 0.90) by ridge per tissue; D-GEX 0.60."
    )


def probes(code, tissue, donor, expression):
    """Rows of a code: its scores, each with an interval of a tenth around it."""
    scores = {"tissue": tissue, "donor": donor, "expression": expression}
    about = {"code": code, "probe": "linear", "width": 8, "chance": 0.1, "n_samples": 9}
    return [
        about | {"target": name, "score": score, "ci_low": score - 0.05, "ci_high": score + 0.05}
        for name, score in scores.items()
    ]


def test_cards_of_imputation_and_codes_say_no_gain_where_there_is_none(tmp_path, run):
    row = {"level": "gene_wise", "tissue": "(mean of tissues)", "ci_low": 0.5, "ci_high": 0.9}
    accuracy = pd.DataFrame(
        [
            row | {"method": name, "mean_rho": rho}
            for name, rho in (("vae", 0.6), ("gaussian", 0.7))
        ]
    )
    plain = probes("minus_means", 0.1, 0.65, 0.2)
    for penalised, expected in (
        (probes("vae_penalty", 0.1, 0.66, 0.21), "no gain"),
        (probes("vae_penalty", 0.1, 0.75, 0.21), "a gain"),
        (probes("vae_penalty", 0.3, 0.75, 0.21), "no gain"),
    ):
        tables = {
            "imputation/accuracy.tsv": accuracy,
            "imputation/probes.tsv": pd.DataFrame(plain + penalised),
        }
        results = pages.MadeUp(tmp_path, tables, run.results.config)
        results.__dict__["summary"] = run.results.summary
        told = {card.question: card for card in cards(results)}
        codes = next(card for question, card in told.items() if "code of the person" in question)
        assert codes.answer[-1] == (
            f"The penalised autoencoder is {expected} over taking off the tissue's mean."
        )
    assert codes.answer[0] == (
        "Minus tissue means: 10% of tissues named (chance 10%), AUC of the same donor 0.65 (0.60 "
        "to 0.70), other tissues' genes 0.20."
    )
    imputed = next(card for question, card in told.items() if "one that failed" in question)
    assert imputed.answer == [
        "Within a tissue, a gene that failed with others is imputed with 0.70 (0.50 to 0.90) by "
        "the Gaussian conditional; autoencoder, Gaussian 0.60."
    ]


def test_card_of_ranks_sets_the_encoder_beside_what_knows_it_without(tmp_path, run):
    rows = [
        ("perplexity", "encoder", "masked gene", 7.0),
        ("perplexity", "unigram over genes not shown", "masked gene", 9.0),
        ("perplexity", "the same by place", "masked gene", 8.0),
        ("probe", "encoder", "sex", 0.6),
        ("probe", "principal components", "sex", 0.7),
        ("source to tissue", "encoder", "(mean of tissues)", 0.1),
        ("source to tissue", "z-scores", "(mean of tissues)", 0.2),
    ]
    summary = pd.DataFrame(rows, columns=["part", "input", "target", "score"])
    summary = summary.assign(ci_low=0.05, ci_high=0.15, chance=0.5)
    moved = {"symbol": "XIST", "perturbation": "delete", "from_state": "sex 2",
             "to_state": "sex 1", "p": 0.005, "q": 0.02}  # fmt: skip
    no_test = moved | {"perturbation": "overexpress", "p": np.nan, "q": np.nan}
    tables = {
        "ranks/summary.tsv": summary,
        "ranks/perturbation.tsv": pd.DataFrame([moved, no_test]),
    }
    results = pages.MadeUp(tmp_path, tables, run.results.config)
    results.__dict__["summary"] = run.results.summary
    card = next(card for card in cards(results) if "order of a sample" in card.question)
    assert card.answer == [
        "Of masked genes an encoder is as unsure as of 7.00 equally likely ones; counting genes "
        "that are not shown leaves 9.00, by their place 8.00.",
        "A linear probe of its code tells, in balanced accuracy, sex 0.60 (components 0.70, "
        "chance 0.50).",
        "From the source's code a ridge tells other tissues with 0.10 (0.05 to 0.15); "
        "z-scores 0.20.",
        "Of 1 perturbations, these move codes most towards the other state: XIST (delete, "
        "sex 2 to sex 1, P 0.005, q 0.02).",
    ]


def test_card_of_profiles_has_the_means_beside_what_is_told(tmp_path, run):
    row = {"hidden": "1 hidden", "genes": "all", "measure": "shape_r", "n_genes": 900,
           "ci_low": 0.6, "ci_high": 0.8}  # fmt: skip
    told = {"own_mean": 0.0, "nearest": 0.2, "stack": 0.7}
    table = pd.DataFrame([row | {"method": name, "value": r} for name, r in told.items()])
    results = pages.MadeUp(tmp_path, {"profiles/accuracy.tsv": table}, run.results.config)
    results.__dict__["summary"] = run.results.summary
    card = next(card for card in cards(results) if "the genome tell" in card.question)
    assert card.answer[0] == (
        "1 hidden, 900 genes of chromosomes held out: shape r 0.70 (0.60 to 0.80) by all parts; "
        "own mean 0.00 and nearest gene 0.20."
    )


def test_captions_are_filled_in_and_text_from_settings_stays_text():
    caption = 'From {{ snakemake.config["source"] }}, *so* and **bold** and ``code``.\n\nTwo.'
    html = written(caption, {"source": pages.HOSTILE, "inputs": {"units": None}})
    assert html == (
        "<p>From &lt;script&gt;alert(1)&lt;/script&gt;, <em>so</em> and <strong>bold</strong> and "
        "<code>code</code>.</p><p>Two.</p>"
    )


def test_the_policy_names_the_one_script_and_the_one_style(run):
    page = build_page(run.results, run.figures, run.symbols, run.places)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1].replace(
        "&#39;", "'"
    )
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(scripts) == len(styles) == 1
    assert f"script-src '{security_hash(scripts[0])}'" in policy
    assert f"style-src '{security_hash(styles[0])}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    # Whatever would read text as HTML is not there.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page)
    assert pages.HOSTILE not in page
    assert page == build_page(run.results, run.figures, run.symbols, run.places)
