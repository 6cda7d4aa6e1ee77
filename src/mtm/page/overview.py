"""The first view: what was found, in words made of the numbers, and what the run was."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

import pandas as pd
import yaml

from mtm import __version__
from mtm.figures import names
from mtm.io import read_table
from mtm.page.results import Results
from mtm.page.words import between, count, duration, listed, measured, number
from mtm.settings.models.base import declared
from mtm.statistics.small_counts import of_enough_people
from mtm.vocabulary import CEILING, FLOOR, HEADLINE, MEAN_OF_TISSUES, PAPER

# Fewer genes than this are no transcriptome.
WHOLE = 10_000
PACKAGES = ("snakemake", "torch", "numpy", "scipy", "pandas", "scikit-learn",
            "statsmodels", "anndata", "pydantic", "matplotlib", "Jinja2")  # fmt: skip


def first_line(results: Results) -> str:
    """Whose genes these are, with what a reader must know before any number."""
    cohort = results.config["cohort"]
    last = read_table(results.path("cohort/filtering.tsv")).iloc[-1]
    size = (
        f"{count(last['n_samples'])} samples of {count(last['n_donors'])} donors in "
        f"{count(last['n_tissues'])} tissues, {count(last['n_genes'])} genes"
    )
    if results.config["simulation"] is not None:
        return (
            f"Simulated cohort {cohort}: {size}. Nobody is real here: the numbers show that the "
            "pipeline works, not how well people's tissues can be told."
        )
    if last["n_genes"] < WHOLE:
        return (
            f"Only {count(last['n_genes'])} genes, not a whole transcriptome: cohort {cohort}, "
            f"{size}. Means over these genes cannot be set beside those over all genes."
        )
    return f"Cohort {cohort}: {size}."


def paragraph(results: Results) -> list[str]:
    """How well it works, in sentences: the best model beside covariates, null, limit and paper."""
    sentences = []
    best, table = results.best(one_source=True), results.headline
    if best is not None:
        row = table.loc[best]
        n_models = sum(
            results.sources(name) == results.config["source"] for name in results.rivals()
        )
        source = results.config["source"]
        sentences.append(
            (
                f"Of {n_models} models that see {source} alone, {names.title(best)} tells other "
                "tissues best: gene by gene, its"
                if n_models > 1
                else f"{names.title(best)} sees {source} alone: gene by gene, its"
            )
            + " predictions for donors it has never seen correlate with what was measured at "
            f"ρ = {number(row.mean_rho)} (95% interval {between(row.ci_low, row.ci_high)}; "
            f"mean over {_n_tissues(results)} tissues). Dealt to the wrong donors, they give "
            f"{between(row.null_low, row.null_high)} (null)."
            + (f" As the best of {n_models} it is flattered a little." if n_models > 1 else "")
        )
    if results.reference in table.index:
        sentences.append(
            "What is known of a donor without any sample (age, sex and the like) gives "
            f"{measured(table.loc[results.reference])} already: expression must beat this."
        )
    more = results.best(one_source=False)
    if more is not None:
        title, sees = names.title(more), results.sources(more)
        seen = "" if sees in title else f" (sees {sees})"
        sentences.append(
            f"Of models that see more of a donor, {title}{seen} reaches "
            f"{measured(table.loc[more])}."
        )
    last = [*_limit(results), *_paper(results), *_unlike_published(results), *_collapsed(results)]
    return [*sentences, *last]


def _n_tissues(results: Results) -> int:
    return results.summary.loc[results.summary["tissue"] != MEAN_OF_TISSUES, "tissue"].nunique()


def _limit(results: Results) -> list[str]:
    """Say what any model could reach."""
    table = results.table("accuracy/ceiling.tsv")
    if table is None:
        return []
    mean = table[table["tissue"] == MEAN_OF_TISSUES].set_index("kind")
    sentences = []
    if CEILING in mean.index:
        row = mean.loc[CEILING]
        sentences.append(
            f"An estimate of what any model could reach, from tissues of the same organ, is "
            f"{measured(row, 'rho')}, over the {count(row['n_tissues'])} tissues that have one."
        )
    # It says something where no model reaches it.
    reached = results.headline.loc[results.rivals(), "mean_rho"].max()
    if FLOOR in mean.index and not reached >= mean.loc[FLOOR, "rho"]:
        sentences.append(
            "What could be reached with all of a donor known lies at "
            f"{measured(mean.loc[FLOOR], 'rho')} at least: the mean of the donor's other tissues "
            "reaches that."
        )
    return sentences


def _paper(results: Results) -> list[str]:
    """MTM's number under the paper's reading beside the printed one."""
    table = results.table("tables/paper.tsv")
    if table is None:
        return []
    # As text: a table in which all of them are missing has no text to compare.
    part = table[(table["id"] == "R2") & (table["statistic"] == "mean")
                 & (table["role_a"] == "MTM") & (table["reading"] == "paper")]  # fmt: skip
    part = part[part["role_b"].isna() & part["ours"].notna()]
    if part.empty:
        return []
    row = part.iloc[0]
    other = "" if row["verdict"] != "-" else ", of other people: the two cannot be compared"
    beside = "" if pd.isna(row["covariates"]) else (
        f" (covariates alone {number(row['covariates'])})"
    )  # fmt: skip
    return [
        f"By the paper's own convention ({PAPER.title}), {names.title(row['model_a'])} has "
        f"{measured(row, 'ours')} here{beside}; He et al. 2023 print "
        f"{number(row['paper'])} for MTM on GTEx v8{other}."
    ]


def _unlike_published(results: Results) -> list[str]:
    """Say where the model in the part of MTM is not trained as published."""
    name = results.config["comparison"]["roles"]["MTM"]
    model = results.config["models"].get(name)
    if model is None or model["class"] != "mtm":
        return []
    published = declared("mtm")().model_dump(mode="json")
    other = [key for key, value in model["parameters"].items() if value != published[key]]
    if not other:
        return []
    return [
        f"{names.title(name)} is not at its published settings here: {len(other)} differ "
        f"({', '.join(other)})."
    ]


def _collapsed(results: Results) -> list[str]:
    """Say which trainings ended with an encoder that tells nobody from anybody."""
    table = results.table("models/trainings.tsv")
    if table is None or "collapsed" not in table:
        return []
    sentences = []
    for model, judged in table[table["collapsed"].notna()].groupby("model", sort=False):
        part = judged[judged["collapsed"] == 1]
        if part.empty:
            continue
        without = part.get("evaluation", pd.Series("", part.index)).fillna("")
        donors = part["run"].replace({"all": "all donors"})
        runs = [
            f"{run} without {who}" if who else run
            for run, who in zip(donors, without, strict=True)
        ]
        sentences.append(
            f"Codes of {names.title(model)} have collapsed in {count(len(part))} of "
            f"{count(len(judged))} trainings ({listed(runs)}): such a model gives all donors the "
            "same prediction. Its parameter restarts trains it again from another seed."
        )
    return sentences


def accuracy_table(results: Results) -> list[dict[str, str]]:
    """Every model's headline numbers as text, the most accurate first."""
    table = results.summary
    level = table[(table["scale"] == HEADLINE.scale) & (table["level"] == "sample_wise")
                  & (table["tissue"] == MEAN_OF_TISSUES)].set_index("model")  # fmt: skip
    return [
        {
            "model": names.title(model),
            "is_reference": model == results.reference,
            "is_oracle": model not in results.config["models"],
            "sees": results.sources(model),
            "gene_wise": measured(row),
            "null": between(row["null_low"], row["null_high"]),
            "sample_wise": measured(level.loc[model]) if model in level.index else "",
            "predictable": f"{count(row['n_predictable'])} of {count(row['n_genes'])}",
        }
        for model, row in results.headline.iterrows()
    ]


def cohort_steps(results: Results) -> list[dict[str, str]]:
    """List samples, donors, tissues and genes after every filter, as text."""
    table = of_enough_people(
        read_table(results.path("cohort/filtering.tsv")), results.fewest_people
    )
    numbers = ["n_samples", "n_donors", "n_tissues", "n_genes"]
    return [
        {"step": row["step"], "detail": "" if pd.isna(row["detail"]) else str(row["detail"])}
        | {name: count(row[name]) for name in numbers}
        for _, row in table.iterrows()
    ]


def fold_counts(results: Results) -> list[dict[str, str]]:
    """Donors of every fold, as text."""
    table = of_enough_people(
        read_table(results.path("cohort/fold_counts.tsv")), results.fewest_people
    )
    return [{name: count(value) for name, value in row.items()} for _, row in table.iterrows()]


def skipped(results: Results) -> list[dict[str, str]]:
    """List what the run left out."""
    table = results.table("tables/skipped.tsv")
    return [] if table is None else table.fillna("").astype(str).to_dict("records")


def cost(benchmarks: Path) -> dict[str, object]:
    """Time and memory of the jobs of a run that Snakemake has measured.

    Parameters
    ----------
    benchmarks
        ``benchmarks/{cohort}``.

    Returns
    -------
    dict
        ``rules``, a row each, most time first; ``models``, what training one took, by name;
        ``total`` of all in words, empty without any measurement.
    """
    rows = []
    # Not its own: a page would differ from the one before by that.
    for path in sorted(set(benchmarks.rglob("*.tsv")) - {benchmarks / "build_page.tsv"}):
        name = path.relative_to(benchmarks).with_suffix("").parts
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        model = name[1] if name[0] == "train_fold" and len(name) > 1 else ""
        rows.append((name[0], model, table["s"].sum(), table["max_rss"].max()))
    if not rows:
        return {"rules": [], "models": {}, "total": ""}
    table = pd.DataFrame(rows, columns=["rule", "model", "seconds", "mb"])
    rules = table.groupby("rule").agg(
        n=("seconds", "size"), seconds=("seconds", "sum"), mb=("mb", "max")
    )
    models = table[table["model"] != ""].groupby("model")["seconds"].sum()
    return {
        "rules": [
            {"rule": rule, "jobs": count(row["n"]), "time": duration(row["seconds"]),
             "memory": f"{row['mb'] / 1000:.1f} GB" if pd.notna(row["mb"]) else ""}
            for rule, row in rules.sort_values("seconds", ascending=False).iterrows()
        ],
        "models": {model: duration(seconds) for model, seconds in models.items()},
        "total": f"{count(len(table))} jobs took {duration(table['seconds'].sum())} one after "
        f"another; the largest held {table['mb'].max() / 1000:.1f} GB",
    }  # fmt: skip


def model_list(results: Results, trained: dict[str, str]) -> list[dict[str, str]]:
    """Models of the configuration: class, what it sees, seed, parameters and time of training."""
    models = results.config["models"]
    return [
        {
            "name": name,
            "title": names.title(name),
            "class": "" if model["class"] is None else model["class"],
            "sees": results.sources(name),
            "seed": listed([str(seed) for seed in
                            model["seeds"] or [results.config["training"]["seed"]]])
            if declared(model["class"]).at_random else "",
            "parameters": yaml.safe_dump(model["parameters"], sort_keys=False).strip()
            if model["parameters"] else "",
            "time": trained.get(model["of"] or name, ""),
        }
        for name, model in models.items()
    ]  # fmt: skip


def versions() -> list[str]:
    """Versions of Python and of the packages that computed, as far as they are installed."""
    found = [f"mtm {__version__}", f"Python {python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def citation(path: Path) -> list[str]:
    """How to cite: the software, and what it reproduces, from a citation file (CFF)."""
    cff = yaml.safe_load(path.read_text(encoding="utf-8"))
    own = listed([_person(author) for author in cff["authors"]])
    lines = [f"{own}. {cff['title']}, version {cff['version']}."]
    for item in cff.get("references", ()):
        people = listed([_person(author) for author in item["authors"]])
        lines.append(
            f"{people} ({item['year']}). {item['title']}. {item['journal']} "
            f"{item['volume']}({item['issue']}). doi:{item['doi']}"
        )
    return lines


def _person(author: dict[str, str]) -> str:
    return author.get("name") or f"{author['given-names']} {author['family-names']}"
