"""What `mtm init` makes of tables as people have them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mtm.cli import main
from mtm.pipeline.first_config import Look, sizes, source_of

BLOOD = ("Blood", "Liver", "Lung")


@pytest.fixture(autouse=True)
def in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(n=12, tissues=BLOOD):
    """Return one row a sample, and TPM of 30 genes."""
    rows = [(f"P{i:02d}", tissue) for i in range(1, n + 1) for tissue in tissues]
    samples = pd.DataFrame(rows, columns=["donor", "tissue"])
    samples.insert(0, "sample", [f"S{i:03d}" for i in range(len(samples))])
    rng = np.random.default_rng(1)
    log2 = rng.uniform(2, 9, (30, 1)) + rng.normal(0, 0.7, (30, len(samples)))
    genes = pd.Index([f"G{i}" for i in range(30)], name="gene")
    return samples, pd.DataFrame(np.exp2(log2), genes, samples["sample"])


def of_donors(samples, *values):
    """Return the values of the first donors, and the last for all others, by sample."""
    numbers = samples["donor"].str[1:].astype(int).clip(upper=len(values)) - 1
    return numbers.map(dict(enumerate(values)))


@pytest.fixture
def init(capsys):
    """Return the function that writes tables, begins a configuration and returns what came."""

    def begin(samples, values, *options, name="x.tsv", donors=None):
        Path("c.yaml").unlink(missing_ok=True)
        samples.to_csv("s.csv", index=False)
        values.to_csv(name, sep="\t")
        if donors is not None:
            donors.to_csv("d.csv", index=False)
            options = ("--donors", "d.csv", *options)
        code = main(["init", "c", "--expression", name, "--samples", "s.csv", *options])
        said = capsys.readouterr().err
        assert Path("c.yaml").exists() == (code == 0)
        return said, yaml.safe_load(Path("c.yaml").read_text()) if code == 0 else None

    return begin


@pytest.fixture
def plates():
    """Two tissues with gaps, each filled into a plate of its own."""
    samples, values = made(20, ("Blood", "Liver"))
    gaps = {("P02", "Liver"), ("P05", "Blood")}
    pairs = samples[["donor", "tissue"]].itertuples(index=False, name=None)
    samples = samples[[pair not in gaps for pair in pairs]]
    place = samples.groupby("tissue").cumcount()
    samples = samples.assign(well=place.map(lambda i: f"{'ABCDEFGH'[i % 8]}{i // 8 + 1:02d}"))
    return samples, values[samples["sample"]]


def test_a_place_on_a_plate_is_no_donor(plates, init):
    samples, values = plates
    said, config = init(samples.rename(columns={"donor": "pig"}), values)
    assert config["columns"]["donor"] == "pig"
    assert "donor: pig, tissue: tissue\n" in said
    unknown = samples.rename(columns={"donor": "whose"})
    said, config = init(unknown, values)
    assert config is None
    assert "none of which is clearly the donor: the donor may be whose or well" in said
    assert "Name it: --donor COLUMN." in said
    said, config = init(unknown, values, "--donor", "whose")
    assert config["columns"]["donor"] == "whose"


def test_a_measure_is_no_donor(init):
    samples, values = made()
    samples = samples.rename(columns={"donor": "whose"})
    rin = [f"{5 + i % 34 / 10:.1f}" for i in range(len(samples))]
    said, config = init(samples.assign(ng=rin), values)
    assert config["columns"]["donor"] == "whose", said


@pytest.mark.parametrize("missing", ["tissue", "donor"])
def test_a_table_without_tissues_or_donors_needs_them(missing, init):
    samples, values = made()
    said, config = init(samples.drop(columns=missing), values)
    assert config is None
    assert f"a {missing} for every sample" in said
    assert f"Add a column {missing} to the table." in said
    assert "COLUMN" not in said
    # A column of several samples may still be meant.
    said, _ = init(samples.drop(columns=missing).assign(x=["a", "b"] * 18), values)
    assert f"or name what has it: --{missing} COLUMN." in said


@pytest.mark.parametrize(
    ("column", "values", "wrong"),
    [
        ("sex", ("M", "NA", "F"), "column sex of P02: found 'NA'; expected 1, M or Male"),
        ("gender", ("unknown", "F", "M"), "column gender of P01: found 'unknown'"),
        ("age", ("50", "90+", "40"), "column age of P02: found '90+'; expected a bracket"),
        ("sex", ("1.0", "2.0", "1.0"), ""),
        ("age", ("60-69", "45", "50"), ""),
        ("age", ("60-69", "", "50"), ""),
    ],
)
def test_sex_and_age_are_taken_as_they_are_read(column, values, wrong, init):
    samples, expression = made()
    donors = pd.DataFrame({"donor": samples["donor"].unique()})
    donors[column] = of_donors(donors, *values)
    said, config = init(samples, expression, donors=donors)
    role = "age" if column == "age" else "sex"
    assert (role in config["columns"]) == (not wrong)
    assert ("ridge_covariates" in config["models"]) == (not wrong)
    if wrong:
        (line,) = [line for line in said.splitlines() if "not used" in line]
        assert line.startswith(f"mtm: warning: column {column} is not used. d.csv, row ")
        assert wrong in line
        assert "once that is mended" in line
        assert f"# not used: {column};" in Path("c.yaml").read_text()
    else:
        assert "not used" not in said


def test_a_column_of_both_tables_must_be_read_in_both(init):
    samples, values = made()
    donors = pd.DataFrame({"donor": samples["donor"].unique(), "sex": "M"})
    said, config = init(samples.assign(sex="?"), values, donors=donors)
    assert "sex" not in config["columns"]
    assert "s.csv, row 1, column sex of S000: found '?' (and 35 further rows)" in said


def test_rin_that_is_not_known_is_left_out_with_a_warning(init):
    samples, values = made()
    rin = ["7.5", "N/A"] + ["8"] * 34
    said, config = init(samples.assign(RIN=rin, site=["A", "B"] * 18), values)
    assert config["columns"].keys() == {"sample_id", "donor", "tissue", "center"}
    assert "column RIN is not used. s.csv, row 2, column RIN of S001: found 'N/A'" in said


def test_what_differs_between_samples_of_a_donor_is_none_of_the_donors(init):
    samples, values = made()
    samples["sex"] = of_donors(samples, "M", "F")
    ages = samples.assign(age=[40 + i % 7 for i in range(len(samples))])
    said, config = init(ages, values)
    assert config["columns"]["sex"] == "sex"
    assert "age" not in config["columns"]
    assert "column age is not used. s.csv, column age of donor P01: found 40 and 41" in said
    # GTEx's name is read whatever it holds.
    said, config = init(ages.rename(columns={"age": "AGE"}), values)
    assert config is None
    assert "column AGE of donor P01" in said
    assert "Under another name the column is left out." in said


def test_all_problems_of_tables_and_values_are_told(init):
    samples, values = made()
    samples = samples.assign(AGE="200", SEX="x", SMRIN="11")
    samples.loc[1, "tissue"] = "liver"
    values = values.astype(object)
    values.iloc[3, 3] = "NA"
    said, config = init(samples, values)
    assert config is None
    assert len([line for line in said.splitlines() if line.startswith("mtm: ")]) == 6
    for told in ("AGE of", "SEX of", "SMRIN of", "one spelling", "gene G3", "5 problems"):
        assert told in said


def test_samples_that_are_of_one_donor_and_tissue_by_columns_that_were_found(init):
    samples, values = made()
    patients = samples.assign(mouse=of_donors(samples, "yes", "no")).rename(
        columns={"donor": "ear_tag"}
    )
    said, config = init(patients, values)
    assert config is None
    assert "duplicate donor-tissue" in said
    assert "Column mouse and column tissue were taken; --donor and --tissue name others." in said
    told = ["--donor", "mouse", "--tissue", "tissue"]
    assert "were taken" not in init(patients, values, *told)[0]
    assert init(patients, values, "--donor", "ear_tag")[1]


def test_blood_stays_and_what_is_left_out_is_told(init):
    samples, values = made(30)
    few = samples[(samples["tissue"] != "Blood") | (samples["donor"] <= "P12")]
    said, config = init(few, values[few["sample"]])
    assert config["source"] == "Blood"
    assert config["filters"]["min_samples_per_tissue"] == 12
    assert "72 samples of 30 donors in 3 tissues" in said
    assert "left out" not in said
    assert "12 donors have Blood and another tissue" in said
    least = samples[(samples["tissue"] != "Blood") | (samples["donor"] <= "P08")]
    lung = (least["tissue"] == "Lung") & (least["donor"] == "P30")
    said, config = init(least[~lung], values[least[~lung]["sample"]])
    assert config["source"] == "Liver"
    assert "58 samples of 29 donors in 2 tissues" in said
    assert "left out: Blood 8 (fewer than 14), 1 donor (fewer than 2 samples)" in said
    assert "donors have Blood" not in said
    assert "# samples: Liver 29, Lung 29\n" in Path("c.yaml").read_text()


def test_blood_is_what_is_called_so():
    tissues = {"Blood vessel": 12, "Lung": 12, "Blood, peripheral": 11, "Whole_Blood": 10}
    assert source_of(pd.Series(tissues)) == "Whole_Blood"
    assert source_of(pd.Series(tissues).drop("Whole_Blood")) == "Blood, peripheral"
    assert source_of(pd.Series({"Lung": 12, "Liver": 9})) == "Lung"
    names = np.repeat(list(tissues), list(tissues.values()))
    assert sizes(Look(pd.DataFrame({"donor": "d", "tissue": names})))[0] == 10


@pytest.mark.parametrize(
    ("name", "of", "units"),
    [
        ("kallisto_est_counts.tsv", lambda x: 3 * x, "counts"),
        ("log_counts.tsv", np.log2, "log2"),
        ("tpm_of_counts.tsv", lambda x: x, None),
        ("country.tsv", lambda x: x, None),
        ("discounts.tsv", lambda x: x, None),
        ("ReadCounts.tsv", lambda x: 3 * x, "counts"),
        ("vst.tsv", lambda x: 12 + np.log2(x), "intensity"),
    ],
)
def test_units_of_a_file_are_found_and_accepted(name, of, units, init):
    samples, values = made()
    said, config = init(samples, of(values), name=name)
    assert config["inputs"]["units"] == units, said
    if name.startswith("kallisto"):
        assert "units: counts  # the name of the file" in Path("c.yaml").read_text()


def test_units_that_are_said_are_taken(init):
    samples, values = made()
    said, config = init(samples, values / 40, "--units", "tpm")
    assert config["inputs"]["units"] == "tpm", said
    assert "as --units says" in Path("c.yaml").read_text()
    assert "log2(1+TPM), at most 20" in init(samples, values, "--units", "log2")[0]
    with pytest.raises(SystemExit):
        init(samples, values, "--units", "cpm")


@pytest.mark.parametrize("comment", ["# cohort, of 2024, v2\nsample,donor,tissue\n", None])
def test_a_header_may_begin_with_a_hash_and_a_comment_is_none(init, comment, tmp_path):
    samples, values = made()
    init(samples, values)
    rows = "".join(",".join(row) + "\n" for row in samples.itertuples(index=False))
    # Tables of samples have more than the expression file.
    header = comment or "#sample,donor,tissue\n"
    Path("t.csv").write_text(header + "X9B,D99,Blood\n" + rows)
    assert main(["init", "other", "--expression", "x.tsv", "--samples", "t.csv"]) == 0
    columns = yaml.safe_load(Path("other.yaml").read_text())["columns"]
    assert columns == {"sample_id": "sample", "donor": "donor", "tissue": "tissue"}


@pytest.mark.parametrize("further", [0, 60])
def test_names_that_are_numbers_are_not_looked_for_among_ages(init, further):
    samples, values = made()
    numbers = [str(i + 1) for i in range(len(samples))]
    # Ages are names of samples and donors, too, and in every row.
    samples = samples.assign(sample=numbers, donor=samples["donor"].str[1:].astype(int))
    samples.insert(0, "weight", samples["donor"] + 7)
    samples.insert(0, "age", samples["donor"] + 10)
    values.columns = numbers
    of_others = samples.iloc[np.arange(further) % len(samples)].assign(
        sample=[f"{1000 + i}" for i in range(further)], donor=900
    )
    said, config = init(pd.concat([samples, of_others]), values)
    assert config is not None, said
    assert config["columns"]["sample_id"] == "sample"
    people = pd.DataFrame({"age": [1 + i % 12 for i in range(40)], "subject": range(1, 41)})
    said, config = init(samples.drop(columns="age"), values, donors=people)
    assert config is not None, said
    assert (config["columns"]["donor_id"], config["columns"]["age"]) == ("subject", "age")
