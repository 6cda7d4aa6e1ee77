"""The page about a person, as text and in a browser without a network."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pages
import pandas as pd
import pytest
from cohorts import simulated_cohort
from tests.hostile.models import certificate

from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.registry import build
from mtm.page.person import MOST_GENES, build_person_page
from mtm.predictions.answer_files import provenance
from mtm.predictions.answers import ask
from mtm.predictions.gene_overlap import GeneChoice, GeneOverlap
from mtm.predictions.samples import NewSamples, Source

N_GENES = 90
PEOPLE = ["Ann", pages.HOSTILE]


def answers_of(people, certified=True):
    """What a ridge says of people's lung and liver."""
    cohort = simulated_cohort(n_genes=N_GENES)
    cohort.genes.iloc[5] = pages.HOSTILE
    model = build("ridge")
    model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood"), device="cpu"))
    if certified:
        model.certificate = certificate((len(model.tissues), N_GENES))
    table = pd.DataFrame({"sample_id": people, "donor": people, "tissue": "Whole Blood"})
    source = Source("blood.tsv", "Whole Blood", np.arange(len(people)),
                    GeneOverlap(N_GENES, N_GENES, N_GENES, 0))  # fmt: skip
    samples = NewSamples(cohort.expr_tpm[: len(people)], table, (source,))
    return ask(model, samples, ["Liver", "Lung"], GeneChoice.every(N_GENES))[0]


def page_of(answers):
    said = provenance(answers.model, None, ())
    checks = pd.DataFrame({"sample_id": PEOPLE, "source": "Whole Blood", "status": "warn",
                           "says": pages.HOSTILE})  # fmt: skip
    return build_person_page(answers, said, ["Not aligned."], checks)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("person") / "told.html"
    path.write_text(page_of(answers_of(PEOPLE)), encoding="utf-8")
    return path


def test_the_genes_that_stand_out_among_reliable_ones_are_shown():
    answers = answers_of(PEOPLE)
    text = page_of(answers)
    (block,) = answers.blocks()
    classes = answers.reliability(["Liver", "Lung"])[1]
    tables = re.findall(r"<summary>.*?</details>", text, re.DOTALL)
    assert len(tables) == 4
    for row, table in enumerate(tables):
        reliable = np.flatnonzero(classes[row % 2] >= 2)
        first = reliable[np.argsort(-np.abs(block.z[row, reliable]), kind="stable")][:MOST_GENES]
        shown = re.findall(r"<td>(ENSG[\d.]+)</td>", table)
        assert shown == list(answers.genes.index[first])
        assert f"{len(first)} of {len(reliable)} genes, told from Whole Blood" in table
        low, high = block.low_z[row, first[0]], block.high_z[row, first[0]]
        assert f"({low:.2f} to {high:.2f})".replace("-", "\N{MINUS SIGN}") in table
    assert "Not a diagnosis" in text
    assert "<script" not in text.replace("&lt;script", "")


def test_nothing_is_shown_of_which_nothing_is_known():
    text = page_of(answers_of(PEOPLE, certified=False))
    assert "Nothing is known of how well its genes are told" in text
    assert "<td>ENSG" not in text


def test_a_crowd_has_no_page():
    with pytest.raises(InputError, match="11 people"):
        page_of(answers_of([f"p{i}" for i in range(11)]))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "light"), (1440, "dark")])
def test_it_opens_offline_without_a_word_and_without_sideways_scroll(browser, page, width, scheme):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    tab, seen = context.new_page(), SimpleNamespace(said=[], requests=[])
    tab.on("console", lambda message: seen.said.append(message.text))
    tab.on("pageerror", lambda error: seen.said.append(str(error)))
    tab.on("request", lambda request: seen.requests.append(request.url))
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.locator("h2", has_text=pages.HOSTILE).count() == 1
    assert tab.locator("details").count() == 4
    tab.locator("summary").nth(1).click()
    assert tab.locator("svg.interval:visible").count() > 10
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    assert (seen.said, seen.requests) == ([], [page.as_uri()])
    context.close()


def test_no_script_runs_on_it(browser, page, tmp_path):
    foul = tmp_path / "foul.html"
    text = page.read_text(encoding="utf-8")
    foul.write_text(text.replace("</main>", "<script>alert('ran')</script></main>", 1))
    context = browser.new_context(offline=True)
    tab, said = context.new_page(), []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("dialog", lambda dialog: said.append("ran") or dialog.dismiss())
    tab.goto(foul.as_uri())
    assert any("Content Security Policy" in message for message in said)
    assert "ran" not in said
    context.close()


def told_from(answers, *sources):
    """The same answers by a certificate of other sources."""
    answers.model.certificate = replace(answers.model.certificate, sources=sources)
    return replace(answers)


def test_what_is_not_known_of_a_tissue_is_left_blank_with_the_reason():
    answers = answers_of(PEOPLE)
    assert "not known of" not in page_of(answers)
    text = page_of(told_from(answers, "Lung"))
    for name in ("Liver", "Lung"):
        why = f"not known of {name} told from Whole Blood: measured from Lung"
        assert f'<th scope="row">{name}</th><td colspan="7">{why}</td></tr>' in text
    assert '<td class="n">0</td>' not in text


def test_names_keep_their_capitals():
    text = page_of(told_from(answers_of(PEOPLE), "Whole Blood", "Lung"))
    said = "No intervals and no reliability: the certificate is of predictions from Whole Blood"
    assert said in text


def test_a_cut_form_says_whose_figures_it_shows():
    answers = answers_of(PEOPLE)
    assert "made from" not in page_of(answers)
    answers.model.provenance.notes["shareable"] = {"axes": 2, "of_axes": 9}
    said = "All of this is of the model that this form was made from (2 of 9 axes are left)"
    assert said in page_of(answers)
