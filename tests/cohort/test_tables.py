import gzip

import numpy as np
import pandas as pd
import pytest

from mtm.cohort.build import merge_phenotypes
from mtm.cohort.tables import (
    read_controlled_phenotypes,
    read_sample_attributes,
    read_subject_phenotypes,
)
from mtm.errors import InputError


def test_sample_attributes(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(
        "SAMPID\tSMTSD\tSMRIN\tSMCENTER\tSMGEBTCH\tSMPTHNTS\tSMAFRZE\tOTHER\n"
        'GTEX-1-0001-SM\tWhole Blood\t7.5\tB1\t0180312\tsome "odd note\tRNASEQ\t1\n'
        "GTEX-2-0001-SM\tLung\t\tNA\t\t\tEXCLUDE\t1\n"
    )
    table = read_sample_attributes(path)
    assert list(table.columns) == [
        "donor",
        "tissue",
        "freeze",
        "rin",
        "center",
        "batch",
        "pathology_notes",
    ]
    assert list(table["donor"]) == ["GTEX-1", "GTEX-2"]
    assert table.loc["GTEX-1-0001-SM", "rin"] == 7.5
    assert np.isnan(table.loc["GTEX-2-0001-SM", "rin"])
    assert table.loc["GTEX-2-0001-SM", "center"] == "NA"
    assert table.loc["GTEX-1-0001-SM", "batch"] == "0180312"
    path.write_text("SAMPID\tSMTSD\tSUBJID\ns1\tLung\tp1\n")
    assert list(read_sample_attributes(path)["donor"]) == ["p1"]
    path.write_text("SAMPID\tSMTSD\tSMRIN\ns1\tLung\thigh\n")
    with pytest.raises(InputError, match="column SMRIN of s1: found 'high'"):
        read_sample_attributes(path)
    path.write_text("SAMPID\tSMTSD\ns1\tLung\ns1\tLung\n")
    with pytest.raises(InputError, match="s1 twice"):
        read_sample_attributes(path)


def test_subject_phenotypes(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("SUBJID\tSEX\tAGE\tDTHHRDY\nd1\t1\t60-69\t4\nd2\t2\t43\t\n")
    table = read_subject_phenotypes(path)
    assert list(table["sex"]) == [1, 2]
    assert list(table["age_bracket"]) == ["60-69", "40-49"]
    assert list(table["age"]) == [64.5, 43]
    assert table["hardy"].isna().tolist() == [False, True]
    for row, words in [
        ("d1\t3\t60-69\t0", "column SEX of d1: found '3'"),
        ("d1\t1\tx60-69\t0", "column AGE of d1"),
        ("d1\t1\t60-69\t5", "column DTHHRDY of d1"),
        ("d1\t1\t60-69\t0\nd1\t1\t60-69\t0", "d1 twice"),
        ("\t1\t60-69\t0", "row 1: found an empty SUBJID"),
    ]:
        path.write_text(f"SUBJID\tSEX\tAGE\tDTHHRDY\n{row}\n")
        with pytest.raises(InputError, match=words):
            read_subject_phenotypes(path)


@pytest.mark.parametrize("column", ["SUBJID", "donor"])
def test_controlled_phenotypes_as_dbgap_writes_them(tmp_path, column):
    path = tmp_path / "c.txt.gz"
    text = (
        "# Study accession: phs0\n# Table\n\n##\tphv1\tphv2\n"
        f"dbGaP_Subject_ID\t{column}\tAGE\tBMI\tMHTXT\n1\tGTEX-1\t61\t25.4\tyes #1\n"
        "2\tGTEX-2\t44\t\tno\n"
    )
    path.write_bytes(gzip.compress(text.encode()))
    table = read_controlled_phenotypes(path)
    assert list(table.index) == ["GTEX-1", "GTEX-2"]
    assert list(table.columns) == ["dbGaP_Subject_ID", "AGE", "BMI", "MHTXT"]
    assert table.loc["GTEX-1", "BMI"] == 25.4
    assert table.loc["GTEX-1", "MHTXT"] == "yes #1"
    path.write_bytes(gzip.compress(b"#\nID\tAGE\n1\t2\n"))
    with pytest.raises(InputError, match="SUBJID"):
        read_controlled_phenotypes(path)


def test_quotes_around_a_whole_field_are_no_part_of_it(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(
        'SAMPID\tSMTSD\tSMPTHNTS\nGTEX-1-a\tLung\t"6 pieces\nGTEX-2-a\tLung\t"clean"\n'
    )
    notes = read_sample_attributes(path)["pathology_notes"]
    assert list(notes) == ['"6 pieces', "clean"]
    path.write_text('"SAMPID"\t"SMTSD"\n"GTEX-1-a"\t"Lung"\n')
    assert list(read_sample_attributes(path)["tissue"]) == ["Lung"]
    path = tmp_path / "a.csv"
    path.write_text('SAMPID,SMTSD\nGTEX-1-a,"Lung, left"\n')
    assert list(read_sample_attributes(path)["tissue"]) == ["Lung, left"]


def test_donors_that_differ_in_capitals_alone_are_warned_of(tmp_path, caplog):
    path = tmp_path / "a.tsv"
    path.write_text("SAMPID\tSUBJID\tSMTSD\n1\tAnn\tLung\n2\tBob\tLung\n3\tann\tLiver\n")
    assert list(read_sample_attributes(path)["donor"]) == ["Ann", "Bob", "ann"]
    assert "donors 'Ann' and 'ann' differ in capitals alone" in caplog.text
    caplog.clear()
    path.write_text("SAMPID\tSUBJID\tSMTSD\n1\tAnn\tLung\n3\tAnn\tLiver\n")
    read_sample_attributes(path)
    assert not caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SAMPID;SMTSD\n1;Lung\n", "semicolons between them"),
        ("SAMPID,SMTSD\n1,Lung\n", "name that ends in .csv"),
        ("SAMPID\tSMTSD\t\t\n1\tLung\t\t\n", "2 columns without a name"),
        ("SAMPID\tSMTSD\n1\ta\tLung\n", "R wrote the table"),
        ('SAMPID\tSMTSD\n1\t"Lu\nng"\n', "leave line ends within fields out"),
    ],
)
def test_tables_as_other_programs_write_them(text, words, tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_sample_attributes(path)
    assert words in str(caught.value)


def test_sex_in_words_of_the_controlled_access_file_must_agree(tmp_path):
    path = tmp_path / "controlled.tsv"
    path.write_text("SUBJID\tSEX\tAGE\na\tMale\t40\nb\tF\t50\n")
    controlled = read_controlled_phenotypes(path)
    assert list(controlled["SEX"]) == [1, 2]
    assert list(merge_phenotypes(["a", "b"], None, controlled)["sex"]) == [1, 2]
    told = pd.DataFrame({"sex": [2, 2]}, index=pd.Index(["a", "b"], name="donor"))
    with pytest.raises(InputError, match="column SEX of a: found 1"):
        merge_phenotypes(["a", "b"], told, controlled)
    path.write_text("SUBJID\tSEX\na\t1\nb\t99\n")
    with pytest.raises(InputError, match="column SEX of b: found '99'"):
        read_controlled_phenotypes(path)


def test_exact_ages_where_the_table_of_donors_has_none(tmp_path):
    path = tmp_path / "donors.tsv"
    path.write_text("SUBJID\tSEX\tAGE\na\t1\t\nb\t2\t\n")
    donors = read_subject_phenotypes(path)
    exact = pd.DataFrame({"AGE": [40.0, 50.0]}, index=pd.Index(["a", "b"], name="donor"))
    assert list(merge_phenotypes(["a", "b"], donors, exact)["age"]) == [40, 50]


@pytest.mark.parametrize("bracket", ["60-69", "60 - 69", "60\N{EN DASH}69", "60 \N{EM DASH} 69"])
def test_brackets_of_ages_may_have_any_dash(tmp_path, bracket):
    path = tmp_path / "p.txt"
    path.write_text(f"SUBJID\tAGE\nd1\t{bracket}\nd2\t{bracket}\n", encoding="utf-8")
    people = read_subject_phenotypes(path)
    assert list(people["age_bracket"]) == ["60-69", "60-69"]
    assert list(people["age"]) == [64.5, 64.5]
    path.write_text(f"SUBJID\tAGE\nd1\t{bracket[::-1]}\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"column AGE of d1: found '{bracket[::-1]}'"):
        read_subject_phenotypes(path)


@pytest.mark.parametrize("age", ["89+", ">89", "\N{GREATER-THAN OR EQUAL TO} 90"])
def test_an_age_with_an_open_end_is_told_how_to_be_written(tmp_path, age):
    path = tmp_path / "p.txt"
    path.write_text(f"SUBJID\tAGE\nd1\t60-69\nd2\t{age}\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2, column AGE of d2.*An open end has no middle"):
        read_subject_phenotypes(path)
