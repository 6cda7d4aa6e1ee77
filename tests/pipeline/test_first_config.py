import os
import re

import numpy as np
import pandas as pd
import pytest
import strangers
import yaml

from mtm.cli import main
from mtm.pipeline.first_config import detect_units, look, sizes


@pytest.fixture(autouse=True)
def in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("make", "units", "columns"),
    [
        (
            strangers.rats,
            "counts",
            {"sample_id": "sample", "donor": "Rat ID", "tissue": "Organ", "sex": "sex"},
        ),
        (
            strangers.mice,
            "zscores",
            {
                "sample_id": "array", "donor": "mouse", "tissue": "tissue", "donor_id": "name",
                "sex": "Sex", "batch": "batch",
            },
        ),
        (strangers.pilot, "rpkm", {"sex": "GENDER"}),
        (strangers.strains, None, {"sample_id": "id", "donor": "donor", "tissue": "tissue"}),
    ],
)  # fmt: skip
def test_what_is_seen_of_a_strangers_files(make, units, columns, tmp_path, capsys):
    files = make(tmp_path)
    assert main(["init", "mine", *files.options]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("snakemake --snakefile /")
    assert printed.endswith("/Snakefile --configfile mine.yaml --cores 8\n")
    config = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert config["inputs"]["units"] == units
    assert config["columns"] == columns
    assert len((tmp_path / "mine.yaml").read_text().splitlines()) <= 20
    # Nothing is replaced.
    assert main(["init", "mine", *files.options]) == 1
    assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        ("rows", "Rows of expression.tsv are samples: transpose it"),
        ("exchanged", "are the two files exchanged"),
        ("dots", "Column sample has a.1 for a-1: write both alike"),
        ("X", "Column sample has X1 for 1: write both alike"),
        ("zeros", "Column sample has 001 for 1: write both alike"),
        ("floats", "Column sample has 1.0 for 1: write both alike"),
        ("paths", "Column sample has /data/a-1.sorted.bam for a-1: write both alike"),
        ("lanes", "Column sample has a-1_S1_L001 for a-1: write both alike"),
        ("nothing alike", "expected one of sample, donor, tissue.\n"),
    ],
)
def test_names_that_do_not_meet_are_told_why(changed, hint, capsys):
    names = [f"a-{i}" for i in range(1, 5)]
    values = pd.DataFrame(np.arange(12.0).reshape(3, 4), ["TP53", "MYC", "KRAS"], names)
    samples = pd.DataFrame({"sample": names, "donor": [*"xxyy"], "tissue": [*"blbl"]})
    if changed == "dots":
        samples["sample"] = samples["sample"].str.replace("-", ".")
    forms = {"X": "X{}", "zeros": "00{}", "floats": "{}.0"}
    if changed in forms:
        values.columns = [*"1234"]
        samples["sample"] = [forms[changed].format(name) for name in "1234"]
        # Ages may be names by chance.
        samples.insert(0, "age", [1, 2, 1, 2])
    if changed in ("paths", "lanes"):
        end = {"paths": "/data/{}.sorted.bam", "lanes": "{}_S1_L001"}[changed]
        samples["sample"] = samples["sample"].map(end.format)
    if changed == "nothing alike":
        samples["sample"] = [*"pqrs"]
    files = ["expression.tsv", "samples.tsv"]
    (values.T if changed == "rows" else values).to_csv(files[0], sep="\t")
    samples.to_csv(files[1], sep="\t", index=False)
    given = files[::-1] if changed == "exchanged" else files
    assert main(["init", "mine", "--expression", given[0], "--samples", given[1]]) == 1
    assert hint in capsys.readouterr().err


def test_columns_without_telling_names_are_found_by_what_they_hold(tmp_path):
    files = strangers.strains(tmp_path)
    table = pd.read_csv(files.samples, sep="\t").set_axis(["a", "b", "c"], axis=1)
    table.to_csv(files.samples, sep="\t", index=False)
    assert look(files.expression, files.samples).columns == {
        "sample_id": "a", "donor": "b", "tissue": "c",
    }  # fmt: skip


def test_columns_that_cannot_be_told_are_asked_for_by_option(tmp_path, capsys):
    files = strangers.strains(tmp_path)
    table = pd.read_csv(files.samples, sep="\t").set_axis(["a", "b", "c"], axis=1)
    table.assign(d=table["b"]).to_csv(files.samples, sep="\t", index=False)
    assert main(["init", "mine", *files.options]) == 1
    assert "--tissue COLUMN --donor COLUMN" in capsys.readouterr().err
    assert not os.path.exists("mine.yaml")
    assert main(["init", "mine", *files.options, "--donor", "b", "--tissue", "c"]) == 0


def test_all_problems_come_in_one_message(tmp_path, capsys):
    files = strangers.pilot(tmp_path)
    people = files.donors.read_text().replace("60-69", "1944", 1)
    files.donors.write_text(people)
    samples = files.samples.read_text().replace("Lung", "lung", 1)
    files.samples.write_text(samples)
    assert main(["init", "mine", *files.options]) == 1
    said = capsys.readouterr().err
    assert "one spelling of a tissue" in said
    assert "'1944'" in said
    assert not os.path.exists("mine.yaml")


@pytest.mark.parametrize(
    ("of", "name", "units"),
    [
        (lambda x: x * 1e6 / x.sum(0), "a.tsv", None),
        (lambda x: np.log2(1 + x * 1e6 / x.sum(0)), "a.tsv", "log2"),
        (lambda x: 4 + np.log2(1 + x), "a.tsv", "intensity"),
        (lambda x: (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True), "a.tsv", "zscores"),
        (lambda x: np.log2(x) - 9, "a.tsv", "intensity"),
        (lambda x: np.round(x), "a.tsv", "counts"),
        (lambda x: 40 * x, "a.tsv", "counts"),
        (lambda x: x, "GTEx_rpkm.tsv", "rpkm"),
        (lambda x: np.log2(1 + x * 5e5 / x.sum(0)), "log2_fpkm.tsv", "log2"),
    ],
)
def test_units_are_told_by_values(of, name, units, tmp_path):
    rng = np.random.default_rng(0)
    x = np.exp2(rng.uniform(0, 10, (5200, 1)) + rng.standard_normal((5200, 6)))
    table = pd.DataFrame(of(x), [f"g{i}" for i in range(5200)], list("abcdef"))
    table.to_csv(tmp_path / name, sep="\t", float_format="%.4g")
    assert detect_units(tmp_path / name)[0] == units


@pytest.mark.parametrize("n_genes", [5200, 200])
@pytest.mark.parametrize(
    ("log", "total", "units", "why"),
    [
        (np.log1p, 1e6, "intensity", "ln(1+x) of x that add up to 1e+06.* by 0.6931 .* log2"),
        (np.log1p, 1e4, "intensity", "ln(1+x) of x that add up to 1e+04"),
        (lambda x: np.log10(1 + x), 1e6, "intensity", "lg(1+x) of x .* by 0.3010 .* log2"),
        (lambda x: np.log2(1 + x), 1e6, "log2", "no value above"),
        # Quantiles made alike: sums tell nothing.
        (lambda x: np.sort(2 + np.log1p(x), 0)[:, [0] * 6], 1e6, None, "no value above"),
    ],
)
def test_the_base_of_logarithms_is_told_by_sums(log, total, units, why, n_genes, tmp_path):
    rng = np.random.default_rng(0)
    x = np.exp2(rng.uniform(0, 10, (n_genes, 1)) + rng.standard_normal((n_genes, 6)))
    table = pd.DataFrame(log(x * total / x.sum(0)), [f"g{i}" for i in range(n_genes)])
    table.to_csv(tmp_path / "a.tsv", sep="\t", float_format="%.4f")
    told = detect_units(tmp_path / "a.tsv")
    assert told[0] == units or units is None
    assert re.search(why.replace("(", r"\(").replace(")", r"\)").replace("+", r"\+"), told[1])


@pytest.mark.parametrize(
    ("counts", "least", "n_folds"),
    [((700, 600, 80), 50, 5), ((29, 27, 26), 13, 3), ((12, 11), 10, 2), ((4, 3), 3, 2)],
)
def test_sizes_suit_the_donors(counts, least, n_folds):
    from mtm.pipeline.first_config import Look

    tissue = np.repeat(np.arange(len(counts)).astype(str), counts)
    assert sizes(Look(samples=pd.DataFrame({"donor": "d", "tissue": tissue}))) == (least, n_folds)


def small_files(n_donors=6, n_genes=30, tissues=("A", "B")):
    """Write TPM and samples of some donors in the working folder."""
    names = [f"d{i}-{t}" for t in tissues for i in range(n_donors)]
    rows = [(name, name.split("-")[1], name.split("-")[0], "") for name in names]
    columns = ["sample", "tissue", "donor", "organ"]
    pd.DataFrame(rows, columns=columns).to_csv("s.csv", index=False)
    values = np.random.default_rng(0).gamma(1, 50, (n_genes, len(names)))
    genes = pd.Index([f"g{i}" for i in range(n_genes)], name="gene")
    pd.DataFrame(values, genes, names).to_csv("x.tsv", sep="\t")
    return ["init", "mine", "--expression", "x.tsv", "--samples", "s.csv"]


def test_too_few_donors_are_warned_of(capsys):
    assert main(small_files(n_donors=6)) == 0
    assert "6 donors have A and another tissue; models need 10" in capsys.readouterr().err
    os.remove("mine.yaml")
    assert main(small_files(n_donors=30)) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"n_genes": 0}, [], "x.tsv: found no gene"),
        ({"tissues": ("A",)}, [], "1 tissue in column tissue (A)"),
        ({}, ["--tissue", "nope"], "a column named nope"),
        ({}, ["--donor", "nope"], "a column named nope"),
        ({}, ["--donor", "sample"], "s.csv, column sample: found the names of samples"),
        ({}, ["--tissue", "sample"], "s.csv, column sample: found the names of samples"),
        ({}, ["--tissue", "organ"], "s.csv, column organ: found nothing"),
    ],
)
def test_what_cannot_be_a_cohort_is_said_in_a_line(changes, options, says, capsys):
    assert main([*small_files(**changes), *options]) == 1
    assert says in capsys.readouterr().err
    assert not os.path.exists("mine.yaml")


@pytest.mark.parametrize("name", ["yes", "007", "null"])
def test_a_cohort_may_have_a_name_that_yaml_reads_otherwise(name, tmp_path):
    assert main(["init", name, *strangers.strains(tmp_path).options]) == 0
    assert yaml.safe_load((tmp_path / f"{name}.yaml").read_text())["cohort"] == name


def test_a_name_with_a_line_end_is_refused_in_one_line(tmp_path, capsys):
    assert main(["init", "a\nb: c", *strangers.strains(tmp_path).options]) == 1
    assert "config key cohort: found 'a\\nb: c'" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.yaml"))


def test_names_of_strangers_do_not_end_a_comment(tmp_path):
    files = strangers.strains(tmp_path)
    for old, new in (("\tspleen", "\tspleen\u2028models: x"), ("\ttissue", "\ttissue\tx\x85y: z")):
        text = files.samples.read_text()
        if "x\x85y" in new:
            head, *rows = text.rstrip("\n").split("\n")
            lines = [head, *(f"{row}\t{i}" for i, row in enumerate(rows))]
            text = "\n".join(lines) + "\n"
        files.samples.write_text(text.replace(old, new))
    assert main(["init", "mine", *files.options]) == 0
    found = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert set(found["models"]) >= {"joint", "ridge"}
    assert "x\x85y" not in found


def test_a_column_of_ids_without_a_name_and_one_named_wrongly(tmp_path, capsys):
    files = strangers.strains(tmp_path)
    assert main(["init", "mine", *files.options, "--sample-id", "donor"]) == 1
    assert "Column id has them." in capsys.readouterr().err
    files.samples.write_text(files.samples.read_text().replace("id\t", "\t", 1))
    assert main(["init", "mine", *files.options]) == 1
    assert "no name over the column of ids" in capsys.readouterr().err


def test_a_center_of_the_donors_table_is_no_sample_s(tmp_path, capsys):
    command = small_files(n_donors=30)
    people = pd.DataFrame({"donor": [f"d{i}" for i in range(30)], "site": ["X", "Y"] * 15,
                           "age": range(30, 60)})  # fmt: skip
    people.to_csv("p.csv", index=False)
    assert main([*command, "--donors", "p.csv"]) == 0, capsys.readouterr().err
    text = (tmp_path / "mine.yaml").read_text()
    assert "center" not in yaml.safe_load(text)["columns"]
    assert "# not used: site;" in text
