"""One card a question: what the tables answer, in a sentence or two."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from mtm.figures import names
from mtm.page.gene_profiles import profiles
from mtm.page.ranks import ranks_card
from mtm.page.results import Results, rows
from mtm.page.same_sample import codes_of_samples, imputed_genes, landmarks
from mtm.page.words import between, count, listed, measured, number, p_value, share
from mtm.settings.disease import contrast_label
from mtm.vocabulary import (
    ALL_OTHERS,
    BASELINE,
    CROSS_VALIDATION,
    HEADLINE,
    MEAN_OF_TISSUES,
    MEASURED,
    NO_TISSUE,
    PREDICTED,
    PROMISED,
    RAN,
    SAME_TISSUES,
    SOURCE,
    TARGET,
    TRAINED,
)

# Tissues of an external cohort differ below this q.
Q_BELOW = 0.05
CHARACTERISTICS = {
    "expression_level": "expression",
    "conservation": "conservation",
    "connectivity": "partners in the protein network",
}


@dataclass(frozen=True)
class Card:
    """A question, its answer, and the figures that show it.

    Parameters
    ----------
    question
        The heading.
    answer
        Sentences; where there is none, why.
    figures
        Names, of which the page links those it has.
    answered
        Whether there is an answer.
    """

    question: str
    answer: list[str]
    figures: list[str] = field(default_factory=list)
    answered: bool = True


def cards(results: Results) -> list[Card]:
    """Return the cards of a run in the order of the page."""
    asked = [
        ("How sure is that, and what of it is individual?", _individual,
         ["accuracy/partial/*.tsv"], ["fig2a", "fig_s6"]),
        ("Which genes can be told?", _genes, ["intervals/reliability.tsv"],
         ["fig2b", "fig2c", "fig_s10", "fig_s11", "fig_s8_connectivity"]),
        ("Which tissues?", _tissues, ["accuracy/summary.tsv"], ["accuracy_by_tissue", "fig2de"]),
        ("How wide is a prediction's interval, and does it hold?", _intervals,
         ["intervals/coverage.tsv"], ["intervals"]),
        ("What do more tissues of a person bring?", _sources, ["sources/accuracy/*.tsv"],
         ["sources"]),
        ("What would more donors bring?", _growth, ["growth/*.tsv"], ["growth"]),
        ("What does a panel of some genes tell of the others?", landmarks,
         ["landmarks/accuracy/*.tsv"], ["landmarks"]),
        ("What does the order of a sample's genes tell?", ranks_card, ["ranks/summary.tsv"],
         ["ranks", "perturbation"]),
        ("What do other tissues and the genome tell of a gene's expression?", profiles,
         ["profiles/accuracy.tsv"], ["profiles"]),
        ("What do a sample's other genes tell of one that failed?", imputed_genes,
         ["imputation/accuracy.tsv"], ["imputation"]),
        ("Is there a code of the person, free of the tissue?", codes_of_samples,
         ["imputation/probes.tsv"], ["codes_probed"]),
        ("Do the tissues' kinships come out?", _kinship,
         ["representations/tissue_similarity_summary.tsv"], ["fig_s9", "fig_s8"]),
        ("Do genes go with age, sex and other traits as they should?", _traits,
         ["traits/summary.tsv"], ["fig_s12", "fig_s13", "fig_s14"]),
        ("Does disease show?", _disease, ["disease/summary.tsv", "disease/status_summary/*.tsv"],
         ["fig3a", "fig3b", "fig3cd", "fig_s15"]),
        ("Does it hold for people from elsewhere?", _elsewhere, ["external/headline.tsv"],
         ["external"]),
        *_of_external_cohorts(results),
    ]  # fmt: skip
    return [_card(results, *item) for item in asked]


def _of_external_cohorts(results: Results) -> Iterator[tuple]:
    """Ask of every external cohort what differs, and whether a reference agrees."""
    for name in results.config.get("external") or [""]:
        of = f" ({name})" if name else ""
        if name:
            yield (
                f"What differs in the tissues of another cohort's patients?{of}",
                partial(_predicted, name=name), [f"transfer/{name}/predicted/*.tsv"],
                [f"fig4_predicted-{name}"],
            )  # fmt: skip
        yield (
            f"Does it carry to another cohort's patients?{of}",
            partial(_transfer, name=name), [f"transfer/{name}/groups/*.tsv"],
            [f"fig4-{name}", f"transfer-{name}"],
        )  # fmt: skip


def _card(results: Results, question: str, answer, needed: list[str], figures: list[str]) -> Card:
    """Answer a question, or say why there is no answer."""
    sentences = list(answer(results))
    if sentences:
        return Card(question, sentences, figures)
    missing = [name for pattern in needed for name in results.matching(pattern)]
    return Card(question, [results.why_not(*missing)], answered=False)


def quantities(table: pd.DataFrame | None, **where: object) -> dict[str, float]:
    """Quantities of a long table of values by name."""
    part = rows(table, **where)
    return {} if part.empty else dict(zip(part["quantity"], part["value"], strict=True))


def _individual(results: Results) -> Iterator[str]:
    """Say what is left of accuracy without covariates."""
    table = rows(results.joined("accuracy/partial/*.tsv"), scale=HEADLINE.scale,
                 tissue=MEAN_OF_TISSUES)  # fmt: skip
    model = results.leading(table) if len(table) else None
    if model is None:
        return
    left = rows(table, model=model, adjustment="covariates")
    if left.empty:
        return
    left, whole = left.iloc[0], results.headline.loc[model]
    yield (
        f"{names.title(model)}: {measured(whole)} as it stands, {measured(left)} when the linear "
        "effects of covariates of the donor and the source sample are taken out of prediction and "
        f"observation (null {between(left['null_low'], left['null_high'])}). What remains goes "
        "with the person, or with what no covariate records."
    )
    if pd.notna(left["n_above_zero"]):
        yield (
            f"It is above 0 (P < 0.05) in {count(left['n_above_zero'])} of "
            f"{count(left['n_tissues'])} tissues."
        )


def _genes(results: Results) -> Iterator[str]:
    """Predictable genes, classes of reliability, and what they are like."""
    best = results.best(one_source=True)
    if best is None:
        return
    row, limits = results.headline.loc[best], results.config["accuracy"]
    beside = ""
    if results.reference in results.headline.index:
        alone = results.headline.loc[results.reference, "n_predictable"]
        beside = f"; from covariates alone {count(alone)}"
    yield (
        f"{names.title(best)}: {count(row['n_predictable'])} of {count(row['n_genes'])} genes "
        f"({share(row['n_predictable'], row['n_genes'])}) are predictable in a tissue on average "
        f"(ρ > {limits['predictable_rho']}, q < {limits['predictable_q']}){beside}."
    )
    classes = rows(results.table("intervals/reliability.tsv"), model=best, tissue=MEAN_OF_TISSUES)
    if len(classes):
        row = classes.iloc[0]
        yield (
            f"Of all genes of a tissue, reliability is high for {count(row['n_high'])}, moderate "
            f"for {count(row['n_moderate'])}, low for {count(row['n_low'])}, none for "
            f"{count(row['n_none'])}."
        )
    yield from _characteristics(results)


def _characteristics(results: Results) -> Iterator[str]:
    """How the best and worst told genes differ."""
    found = []
    for name, words in CHARACTERISTICS.items():
        table = rows(results.table(f"gene_characteristics/{name}.tsv"), scale=HEADLINE.scale,
                     reading="all_genes", tissue=MEAN_OF_TISSUES)  # fmt: skip
        # One prediction for all donors has no contrast, and may be the most accurate.
        table = table.dropna(subset="cliffs_delta") if len(table) else table
        model = results.leading(table) if len(table) else None
        if model is not None:
            row = rows(table, model=model).iloc[0]
            found.append(f"{words} {measured(row, 'cliffs_delta')}")
    if found:
        part = share(results.config["gene_characteristics"]["quantile"], 1)
        yield (
            f"The best told {part} of genes against the worst, as Cliff's delta "
            f"(−1 to 1, 0: alike): {listed(found)}."
        )


def _tissues(results: Results) -> Iterator[str]:
    """Name the tissues told best and worst."""
    best = results.best(one_source=True)
    table = rows(results.summary, model=best, scale=HEADLINE.scale, level="gene_wise",
                 convention=HEADLINE.convention)  # fmt: skip
    table = table[table["tissue"] != MEAN_OF_TISSUES].sort_values("mean_rho", ascending=False)
    if table.empty:
        return
    ends = [f"{row['tissue']} {measured(row)}" for _, row in table.iloc[[0, -1]].iterrows()]
    yield f"{names.title(best)} tells {ends[0]} best and {ends[1]} worst."
    above = (table["ci_low"] > table["null_high"]).sum()
    yield f"The interval lies above the null in {above} of {len(table)} tissues."
    other = rows(results.summary, model=results.reference, scale=HEADLINE.scale,
                 level="gene_wise", convention=HEADLINE.convention)  # fmt: skip
    if len(other):
        alone = table["tissue"].map(other.set_index("tissue")["mean_rho"])
        more = (table["ci_low"] > alone).sum()
        yield f"It lies above what covariates alone give in {more}."


def _intervals(results: Results) -> Iterator[str]:
    """Coverage and width of the intervals of predictions."""
    table = rows(results.table("intervals/coverage.tsv"), by="all", tissue=MEAN_OF_TISSUES)
    model = results.leading(table) if len(table) else None
    if model is None:
        return
    row = rows(table, model=model).sort_values("level").iloc[-1]
    yield (
        f"{names.title(model)}: intervals that should hold {100 * row['level']:.0f}% of what is "
        f"measured hold {100 * row['coverage']:.0f}% ({100 * row['ci_low']:.0f}% to "
        f"{100 * row['ci_high']:.0f}%). They are {number(row['width_ratio'])} times as wide as "
        "intervals that know nothing of the person."
    )


def _sources(results: Results) -> Iterator[str]:
    """Accuracy from the source, from all others, from none."""
    table = rows(results.joined("sources/accuracy/*.tsv"), level="gene_wise",
                 tissue=MEAN_OF_TISSUES)  # fmt: skip
    model = results.leading(table) if len(table) else None
    if model is None:
        return
    alls = rows(table, model=model, kind=ALL_OTHERS)
    if alls.empty:
        return
    row = alls.iloc[0]
    yield (
        f"{names.title(model)} from {results.config['source']} alone: "
        f"{number(row['source_rho'])}; from all other tissues that a donor has, on the same "
        f"samples, {number(row['difference'])} more "
        f"({between(row['difference_low'], row['difference_high'])})."
    )
    none = rows(table, model=model, kind=NO_TISSUE)
    if len(none):
        yield f"Without any tissue, from covariates, it reaches {measured(none.iloc[0])}."


def _growth(results: Results) -> Iterator[str]:
    """Accuracy by number of donors, measured and promised."""
    table = rows(results.joined("growth/*.tsv"), level="gene_wise", tissue=MEAN_OF_TISSUES)
    model = results.leading(table) if len(table) else None
    if model is None:
        return
    known = rows(table, model=model, kind=MEASURED).sort_values("n_donors")
    hoped = rows(table, model=model, kind=PROMISED).sort_values("n_donors")
    steps = [f"{measured(row)} with {count(row['n_donors'])}" for _, row in known.iterrows()]
    if steps:
        yield f"{names.title(model)}, measured by number of training donors: {listed(steps)}."
    if len(hoped) and hoped["mean_rho"].notna().any():
        row = hoped.dropna(subset=["mean_rho"]).iloc[0]
        yield f"The curve through these promises {measured(row)} with {count(row['n_donors'])}."


def _kinship(results: Results) -> Iterator[str]:
    """Whether similar tissues are told similarly, and a donor's codes are alike."""
    table = rows(results.table("representations/tissue_similarity_summary.tsv"),
                 measure="pearson", scale=HEADLINE.scale, subset="all tissues")  # fmt: skip
    model = results.leading(table) if len(table) else None
    if model is not None:
        row = rows(table, model=model).iloc[0]
        yield (
            "Likeness of tissues in expression against likeness of their predictable genes "
            f"({names.title(model)}): Spearman's ρ {measured(row, 'spearman_rho')}, null "
            f"{between(row['null_low'], row['null_high'])}."
        )
    table = rows(results.table("representations/codes_summary.tsv"), network=TRAINED,
                 comparison=SAME_TISSUES)  # fmt: skip
    if len(table):
        row = table.iloc[0]
        yield (
            f"Codes of tissues ({names.title(row['model'])}): similarity of one person's "
            f"{number(row['mean_within'])}, of two people's {number(row['mean_between'])}, "
            f"difference {measured(row, 'difference')}."
        )


def _traits(results: Results) -> Iterator[str]:
    """Agreement of associations, beside permuted traits and covariates."""
    table = rows(results.table("traits/summary.tsv"), definition=HEADLINE.definition)
    model = results.leading(table) if len(table) else None
    if model is None:
        return
    for trait in table.loc[table["model"] == model, "trait"].drop_duplicates():
        value = quantities(table, model=model, trait=trait)
        if pd.isna(value.get("median rho")):
            continue
        yield (
            f"{trait[:1].upper()}{trait[1:]} ({names.title(model)}): "
            f"ρ {number(value['median rho'])} "
            f"({between(value['median rho, low'], value['median rho, high'])}) between predicted "
            "and observed associations, median of "
            f"{count(value['tissues compared'])} tissues; permuted "
            f"{between(value['median rho of the permuted trait, low'], value['median rho of the permuted trait, high'])}, "  # noqa: E501
            "covariates alone "
            f"{number(value.get('median rho of the covariates-only model on the same genes'))}, "
            "beyond covariates "
            f"{number(value.get('median rho beyond the covariates-only model'))}."
        )


def _disease(results: Results) -> Iterator[str]:
    """Dysregulation of genes, and telling cases from controls."""
    table = rows(results.table("disease/summary.tsv"), definition=HEADLINE.definition,
                 selection="nested")  # fmt: skip
    model = results.leading(table) if len(table) else None
    value = quantities(table, model=model) if model else {}
    if pd.notna(value.get("median rho")):
        enough = value["pairs with enough observed genes"]
        above = value.get("of these, rho above labels without meaning (q < 0.05)")
        yield (
            f"Changes of genes in {count(enough)} pairs of tissue and disease "
            f"({names.title(model)}): median ρ {number(value['median rho'])} between predicted "
            f"and observed fold changes; labels without meaning give "
            f"{number(value.get('median rho of labels without meaning'))}, which "
            f"{count(above)} pairs exceed (q < 0.05)."
        )
    status = rows(results.joined("disease/status_summary/*.tsv"), selection="nested",
                  pairs="all", input_a=PREDICTED)  # fmt: skip
    beside = []
    for other, words in ((SOURCE, results.config["source"]), (BASELINE, "covariates alone")):
        found = rows(status, input_b=other) if len(status) else status
        if len(found):
            row = found.iloc[0]
            beside.append(
                f"{number(row['mean_b'])} from {words} (difference {measured(row, 'difference')})"
            )
    if beside:
        yield (
            f"Cases from controls ({names.title(row['model'])}, all pairs): area under the curve "
            f"{number(row['mean_a'])} from predictions, {listed(beside)}."
        )


def _elsewhere(results: Results) -> Iterator[str]:
    """Accuracy for people from elsewhere beside that of the cohort's own held-out donors."""
    table = rows(results.table("external/headline.tsv"), scale=HEADLINE.scale, level="gene_wise")
    if table.empty:
        return
    for cohort, part in table.groupby("cohort", sort=False):
        own = part[part["alignment"] == CROSS_VALIDATION]
        theirs = part[part["alignment"] != CROSS_VALIDATION]
        model = results.leading(theirs)
        if model is None:
            continue
        row = rows(theirs, model=model).iloc[0]
        beside = rows(own, model=model)
        alone = rows(theirs, model=results.reference, alignment=row["alignment"])
        yield (
            f"{cohort} ({names.title(model)}, alignment {row['alignment']}): {measured(row)}, "
            f"null {between(row['null_low'], row['null_high'])}"
            + (f"; this cohort's own {measured(beside.iloc[0])}" if len(beside) else "")
            + (f"; covariates alone {measured(alone.iloc[0])}" if len(alone) else "")
            + f"; {count(row['n_tissues'])} tissues."
        )


COMPARISONS = {
    "kept": "Cases against controls",
    "change": "Change within people, cases against controls",
}


def _predicted(results: Results, name: str) -> Iterator[str]:
    """Tissues in which the groups of an external cohort differ, by what is predicted."""
    table = rows(results.joined(f"transfer/{name}/predicted/*.tsv"), status=RAN)
    model = results.leading(table) if len(table) else None
    if model is None:
        return
    for comparison, words in COMPARISONS.items():
        of_model = rows(table, model=model, comparison=comparison)
        tissues = rows(of_model, role=TARGET).sort_values("rank")
        if tissues.empty:
            continue
        source = rows(of_model, role=SOURCE)
        first = tissues.iloc[0]
        found = int((tissues["q"] < Q_BELOW).sum())
        text = (
            f"{words} ({names.title(model)}, {count(first['n_cases'])} and "
            f"{count(first['n_controls'])} people): {found} of {len(tissues)} predicted tissues "
            f"differ (q < {Q_BELOW}), first {first['tissue']} "
            f"({number(first['change'])} log2 fold change over genes, "
            f"{between(first['ci_low'], first['ci_high'])}; q {p_value(first['q'])})"
        )
        if len(source):
            row = source.iloc[0]
            text += (
                f". {row['tissue']} itself tells {count(row['n_up'] + row['n_down'])} of "
                f"{count(row['n_genes'])} genes"
            )
        yield f"{text}."


def _transfer(results: Results, name: str) -> Iterator[str]:
    """Fold changes of another cohort's patients against the reference."""
    table = rows(results.joined(f"transfer/{name}/groups/*.tsv"), genes="all")
    model = results.leading(table) if len(table) else None
    if model is None:
        return
    row = rows(table, model=model).iloc[0]
    of_cohort = results.config["external"][name]
    settings = results.config["transfer"]
    contrast = contrast_label(of_cohort.get("contrast") or settings["contrast"])
    # A table's fold changes are of what the table is, whatever contrast is named.
    told = "The groups' fold changes" if settings["reference"] else contrast
    place = "in the table given" if settings["reference"] else "here"
    source = of_cohort.get("source") or results.config["source"]
    yield (
        f"{told}, predicted from another cohort's {source} "
        f"({count(row['n_cases'])} cases, {count(row['n_controls'])} controls; "
        f"{names.title(model)}, alignment {row['alignment']}): "
        f"median ρ {number(row['median'])} with the fold changes of "
        f"{count(row['n_tissues'])} tissues {place}; permuted patients give up to "
        f"{number(row['median_null_high'])} (P {p_value(row['median_p'])})."
    )
    if pd.notna(row["median_related"]):
        yield (
            f"Tissues that the disease changes: {number(row['median_related'])}, others "
            f"{number(row['median_other'])} (P {p_value(row['permuted_p'])})."
        )
