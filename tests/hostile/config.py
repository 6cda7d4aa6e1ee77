"""Configurations: what the dry run says of them, by key and line."""

import yaml
from tests.hostile.case import Case
from tests.hostile.files import config, write_cohort, write_config

GOOD = yaml.safe_dump(config(), sort_keys=False)
NAN, INF = float("nan"), float("inf")


def prepare(folder):
    """Write the cohort that the configurations name, and an earlier result."""
    write_cohort(folder)
    earlier = folder / "results/small/accuracy"
    earlier.mkdir(parents=True)
    (earlier / "summary.tsv").write_text("earlier\n")


def dry(content, *more):
    """Return the maker of a dry run of a configuration."""
    return lambda folder: [*write_config(folder, content), *more]


def accepted(name, content, *more):
    """Return the row of a configuration that is good."""
    return Case("config", name, "accept", dry(content, *more), r"build_cohort")


def refused(name, key, content, says="", *more):
    """Return the row of a configuration with one wrong key: named, with its line."""
    pattern = says or r"config\.yaml, line \d+, config key"
    return Case("config", name, "refuse", dry(content, *more), pattern, key)


def value(section, key, given, says=""):
    """Return the row of one value of a section, or of a key of the first level."""
    where = f"{section}.{key}" if section else key
    shown = repr(given) if len(repr(given)) < 40 else f"{repr(given)[:30]}..."
    content = config(**({section: {key: given}} if section else {key: given}))
    return refused(f"{where}: {shown}", f"config key {where}", content, says)


def parameter(of, key, given, says=""):
    """Return the row of one hyper-parameter of a class of model."""
    models = {"m": {"class": of, "parameters": {key: given}}, "mean": {"class": "train_mean"}}
    shown = repr(given) if len(repr(given)) < 40 else f"{repr(given)[:30]}..."
    where = f"models.m.parameters.{key}"
    return refused(f"{of}, {key}: {shown}", f"config key {where}", config(models=models), says)


def changed(old, new):
    """Return the good configuration's text with one place changed."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def bomb():
    """Return a file of a dozen lines that unfolds to 10^11 values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return GOOD + "\n".join(lines) + "\n"


def several(outcome_folder, outcome):
    """All problems are told of at once."""
    for key in (
        "folds.seed",
        "accuracy.bootstraps",
        "inputs.expression",
        "modls",
        "traits.models",
    ):
        assert f"config key {key}" in outcome.text, key


CASES = [
    accepted("a good configuration", config()),
    accepted("--config final_bundle=true, as config/README.md has it", config(), "--config", "final_bundle=true"),
    accepted("anchors and merged keys", changed(
        "ridge:\n    class: ridge\n", "ridge: &one\n    class: ridge\n  other:\n    <<: *one\n")),
    accepted("a whole number for a decimal one", config(scaling={"log2_clip": 4})),
    accepted("quoted names that YAML would read otherwise", config(filters={"exclude_tissues": ["no", "1:30"]})),
    # What YAML makes of it.
    refused("a key twice", "config key folds", GOOD + "folds:\n  n_folds: 3\n", "stands in line"),
    refused("a key of a section twice", "folds.seed", changed("  seed: 1\n", "  seed: 1\n  seed: 2\n"), "stands in line"),
    refused("a model twice", "models.ridge", changed("  ridge:\n", "  ridge:\n    class: ridge\n  ridge:\n"), "stands in line"),
    refused("n_folds: 1:30, which YAML reads as 90", "folds.n_folds", changed("n_folds: 2", "n_folds: 1:30"), "sixties"),
    refused("seed: 1:00:00", "folds.seed", changed("seed: 1", "seed: 1:00:00"), "sixties"),
    refused("seed: 010, which YAML reads as 8", "folds.seed", changed("seed: 1", "seed: 010"), "eights"),
    refused("a date as a tissue", "source", changed("cohort: small\n", "cohort: small\nsource: 2020-01-01\n"), "date"),
    refused("a model named yes", "models.yes", changed("  ridge:", "  yes:"), "truth value"),
    refused("a model named null", "models.null", changed("  ridge:", "  null:"), "reads as nothing"),
    refused("a model named 1", "models.1", changed("  ridge:", "  1:"), "reads as a number"),
    refused("a model named 1.5", "models.1.5", changed("  ridge:", "  1.5:"), "reads as a number"),
    refused("a tissue no, unquoted", "filters.exclude_tissues", changed("filters:\n", "filters:\n  exclude_tissues: [no]\n")),
    refused("anchors that unfold to 10^11 values", "config.yaml", bomb(), "unfold to"),
    refused("an anchor that holds itself", "config.yaml", GOOD + "x: &x [*x]\n", "unfold|config key x"),
    refused("a Python object", "YAML", GOOD + "x: !!python/object/apply:os.system ['touch owned']\n", "YAML"),
    refused("tabs for blanks", "YAML", "cohort:\tsmall\n\tx: 1\n", "YAML"),
    refused("a list of keys", "keys at top level", "- cohort\n", "top level"),
    refused("an empty file", "keys at top level", "", "top level"),
    refused("a section that is text", "config key traits", config(traits="all")),
    refused("a section that is a list", "config key models", config(models=["ridge"])),
    # Numbers.
    *(value("folds", "seed", given) for given in (NAN, INF, -1, 2**32, True, "1", 1.0, None)),
    *(value("scaling", "log2_clip", given) for given in (NAN, INF, -INF, 0, -5, "5", True)),
    *(value("folds", "n_folds", given) for given in (3.0, 0, -2, 101, 10**18, "two", [2])),
    *(value("accuracy", "bootstraps", given) for given in (10**15, 10**9, 0, NAN, "1e3")),
    *(value("filters", "min_samples_per_tissue", given) for given in (0, -1, 1e300, NAN)),
    value("accuracy", "permutations", 10**9),
    value("disease", "pseudo_count", INF),
    value("simulation", "n_donors", 10**9),
    value("simulation", "noise_sd_log2", NAN),
    value("intervals", "levels", [0.9, NAN]),
    parameter("mtm", "steps", 10**18),
    parameter("mtm", "encoder_widths", [10**12]),
    parameter("mtm", "encoder_widths", [10**6]),
    parameter("mtm", "encoder_widths", []),
    parameter("mtm", "learning_rate", NAN),
    parameter("mtm", "learning_rate", "5e-4", "without quotes"),
    parameter("mtm", "dropout", 1.0),
    parameter("mlp", "memory_mb", 1e12),
    parameter("ridge", "penalties", [1.0, INF]),
    parameter("ridge", "rank", -3),
    parameter("joint", "n_factors", [10**9]),
    parameter("nearest_donors", "shell", "rm", "unknown key"),
    # Names and texts.
    value("", "cohort", "../../etc"),
    value("", "cohort", "small\n"),
    value("", "cohort", "a" * 300),
    value("", "cohort", ""),
    value("", "cohort", "\x1b[2J"),
    value("", "source", " Whole Blood"),
    value("", "source", "Whole\nBlood"),
    value("", "source", ""),
    value("", "source", "`x <javascript:alert(1)>`__", "markup"),
    value("", "source", "<script>alert(1)</script>", "markup"),
    value("filters", "exclude_tissues", ["Lung", "javascript:alert(1)"], "markup"),
    value("comparison", "venn_tissue", "<img src=x onerror=alert(1)>", "markup"),
    value("inputs", "expression", ""),
    value("inputs", "expression", "  "),
    value("inputs", "expression", None),
    value("inputs", "expression", ["a.gct"]),
    value("inputs", "expression", "x" * 5000),
    refused("a model's name of 300 letters", "config key models", config(models={"m" * 300: {"class": "ridge"}})),
    refused("a model's name that ends in a line end", "config key models", config(models={"ridge\n": {"class": "ridge"}})),
    refused("a model's name with a slash", "config key models", config(models={"../ridge": {"class": "ridge"}})),
    refused("an unknown class", "models.m.class", config(models={"m": {"class": "os.system"}})),
    refused("a name with terminal escapes", "config key", config(models={"\x1b[31m": {"class": "ridge"}})),
    *(refused(f"an unknown model in {section}.models", f"config key {section}.models", config(**{section: {"models": ["rigde"]}}), "Did you mean 'ridge'")
      for section in ("traits", "disease_status", "representations", "transfer", "any_sources", "evaluation", "gene_characteristics")),
    refused("an unknown model in a pair", "comparison.pairs", config(comparison={"pairs": [["mean", "rigde"]]})),
    refused("an unknown member of an average", "models.a.parameters.models",
            config(models={"mean": {"class": "train_mean"}, "a": {"class": "average", "parameters": {"models": ["mean", "b"]}}})),
    # Of the cohort's table, before any job.
    refused("a source that there is not", "config key source", config(source="Whole blod"), "Did you mean 'Whole Blood'"),
    refused("a model's source that there is not", "config key models.m.sources",
            config(models={"m": {"class": "tissue_average", "sources": ["Whole Blood", "Lungs"]}}), "Did you mean 'Lung'"),
    refused("a tissue of the Venn diagram that there is not", "comparison.venn_tissue", config(comparison={"venn_tissue": "Livr"}), "Did you mean 'Liver'"),
    refused("an unknown key", "config key modls", config(modls={}), "Did you mean 'models'"),
    refused("an unknown data set", "config key local_files", config(local_files={"gtex": "a"}), "found 'gtex'"),
    Case("config", "five problems at once", "refuse",
         dry(config(folds={"seed": NAN}, accuracy={"bootstraps": -1}, inputs={"expression": ""}, modls={}, traits={"models": ["x"]})),
         "5 problems", "config.yaml", then=several),
]  # fmt: skip
