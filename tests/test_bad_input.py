"""Every kind of unusable input: one clear error, and no output, whole or in part.

A case is a function of a folder `tmp_path` that writes bad input there and uses it, with every
output under ``tmp_path / "out"``. ``@case(words...)`` names what the message must say.
"""

import gzip

import pandas as pd
import pytest

from mtm.cohort.build import build_cohort
from mtm.cohort.filters import check_source
from mtm.cohort.folds import make_folds, published_folds
from mtm.errors import InputError
from mtm.io import write_tsv

CASES = []


def case(*words):
    """Register a function of `tmp_path` as a case whose error says all of `words`."""

    def register(function):
        CASES.append(pytest.param(function, words, id=function.__name__))
        return function

    return register


@pytest.mark.parametrize(("use", "words"), CASES)
def test_one_clear_error_and_no_output(use, words, tmp_path):
    with pytest.raises(InputError) as caught:
        use(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "; expected " in message
    for word in words:
        assert word in message
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


SAMPLES = ["GTEX-A-1", "GTEX-A-2", "GTEX-B-1", "GTEX-B-2"]
FILES = {
    "tpm.gct": "#1.2\n2\t4\nName\tDescription\t"
    + "\t".join(SAMPLES)
    + "\nENSG00000000001.1\tS1\t1\t2\t3\t4\nENSG00000000002.1\tS2\t5\t6\t7\t8\n",
    "attributes.txt": "SAMPID\tSMTSD\n"
    + "".join(f"{s}\t{t}\n" for s, t in zip(SAMPLES, ["Lung", "Whole Blood"] * 2, strict=True)),
    "phenotypes.txt": "SUBJID\tSEX\tAGE\tDTHHRDY\nGTEX-A\t1\t60-69\t0\nGTEX-B\t2\t50-59\t1\n",
}


def build(folder, old="", new="", file="tpm.gct", pack=None, **options):
    """Build a small cohort with `old` replaced by `new` in one of its files."""
    for name, text in FILES.items():
        assert name != file or old in text
        (folder / name).write_text(text.replace(old, new, 1) if name == file else text)
    expression = folder / "tpm.gct"
    if pack is not None:
        packed = folder / "tpm.gct.gz"
        packed.write_bytes(pack(gzip.compress(expression.read_bytes())))
        expression = packed
    out = folder / "out"
    build_cohort(
        expression,
        folder / "attributes.txt",
        folder / "phenotypes.txt",
        min_samples_per_tissue=options.pop("min_samples_per_tissue", 1),
        units=options.pop("units", "tpm"),
        out_expression=out / "expression.h5ad",
        out_donors=out / "donors.tsv",
        out_filtering=out / "filtering.tsv",
        **options,
    )


def draw(folder, donors, tissues, **options):
    """Draw folds of samples and write them."""
    options = {"scheme": "published", "n_folds": 5, "seed": 666, "source": "Lung"} | options
    folds, counts = make_folds(donor=donors, tissue=tissues, **options)
    write_tsv(folds, folder / "out" / "folds.tsv")
    write_tsv(counts, folder / "out" / "fold_counts.tsv")


def test_the_files_the_cases_spoil_are_good(tmp_path):
    build(tmp_path)
    build(tmp_path, pack=lambda data: data)
    assert len(list((tmp_path / "out").iterdir())) == 3


@case("tpm.gct", "header of 56200 genes over 2 rows")
def header_of_another_number_of_genes(folder):
    build(folder, "\n2\t4", "\n56200\t4")


@case("tpm.gct, line 3", "4 sample columns", "17382")
def header_of_another_number_of_samples(folder):
    build(folder, "\n2\t4", "\n2\t17382")


@case("tpm.gct, line 1", "'#1.3'", "'#1.2'")
def another_gct_version(folder):
    build(folder, "#1.2", "#1.3")


@case("tpm.gct, line 5", "ENSG00000000002.1", "5 fields", "6")
def row_too_short(folder):
    build(folder, "\t7\t8", "\t8")


@case("tpm.gct.gz", "Truncated", "Download")
def truncated_gzip(folder):
    build(folder, pack=lambda data: data[:-20])


@case("tpm.gct.gz", "unreadable")
def not_gzip_at_all(folder):
    build(folder, pack=lambda data: b"<html>404 Not Found</html>")


@case("line 5", "gene ENSG00000000002.1", "sample GTEX-B-1", "non-numeric", "'high'")
def non_numeric_value(folder):
    build(folder, "\t7\t", "\thigh\t")


@case("line 5", "gene ENSG00000000002.1", "sample GTEX-B-1", "non-numeric", "''")
def empty_value(folder):
    build(folder, "\t7\t", "\t\t")


@case("line 5", "gene ENSG00000000002.1", "sample GTEX-B-1", "negative", "'-7'")
def negative_value(folder):
    build(folder, "\t7\t", "\t-7\t")


@case("line 5", "gene ENSG00000000002.1", "sample GTEX-B-1", "NaN", "'nan'")
def nan_value(folder):
    build(folder, "\t7\t", "\tnan\t")


@case("line 5", "gene ENSG00000000002.1", "sample GTEX-B-1", "infinite", "'inf'")
def infinite_value(folder):
    build(folder, "\t7\t", "\tinf\t")


@case("tpm.gct, line 3", "duplicate sample GTEX-A-1")
def duplicate_sample(folder):
    build(folder, "GTEX-B-1", "GTEX-A-1")


@case("tpm.gct, line 5", "duplicate gene ENSG00000000001.2", "line 4")
def duplicate_gene(folder):
    build(folder, "ENSG00000000002.1", "ENSG00000000001.2")


@case("attributes.txt", "GTEX-A", "Lung", "duplicate donor-tissue", "GTEX-A-1 and GTEX-A-2")
def duplicate_donor_tissue(folder):
    build(folder, "GTEX-A-2\tWhole Blood", "GTEX-A-2\tLung", file="attributes.txt")


@case("attributes.txt", "GTEX-B-1", "1 of 4 samples")
def sample_without_attributes(folder):
    build(folder, "GTEX-B-1", "GTEX-C-1", file="attributes.txt")


@case("attributes.txt", "sample GTEX-A-1", "no tissue")
def sample_without_tissue(folder):
    build(folder, "GTEX-A-1\tLung", "GTEX-A-1\t", file="attributes.txt")


@case("attributes.txt", "column named SMTSD")
def missing_attribute_column(folder):
    build(folder, "SMTSD", "TISSUE", file="attributes.txt")


@case("phenotypes.txt", "column named SUBJID")
def missing_phenotype_column(folder):
    build(folder, "SUBJID", "PERSON", file="phenotypes.txt")


@case("phenotypes.txt", "no row for 1 donor", "GTEX-B")
def donor_without_phenotypes(folder):
    build(folder, "GTEX-B", "GTEX-C", file="phenotypes.txt")


@case("phenotypes.txt", "column AGE of GTEX-A", "'old'", "60-69")
def malformed_age(folder):
    build(folder, "60-69", "old", file="phenotypes.txt")


@case("attributes.txt", "no sample that passes every filter", "min_samples_per_tissue")
def filters_that_leave_nothing(folder):
    build(folder, min_samples_per_tissue=50)


@case("genes.txt", "no gene in common with the 2", "ENSG00000000009", "ENSG00000000001")
def gene_list_of_other_genes(folder):
    (folder / "genes.txt").write_text("ENSG00000000009.1\n")
    build(folder, gene_list=folder / "genes.txt")


@case("source tissue", "'Whole_Blood'", "Did you mean 'Whole Blood'")
def source_tissue_not_in_the_cohort(folder):
    build(folder, source="Whole_Blood")


@case("config, source", "'Blood'", "'Whole Blood'")
def source_tissue_of_the_config(folder):
    check_source(pd.Index(["Whole Blood", "Lung"]), "Blood", "config, source")


@case("folds", "3 donors for 5 folds", "Lower folds.n_folds")
def fewer_donors_than_folds(folder):
    draw(folder, ["a", "b", "c"], ["Lung"] * 3)


@case("fold 0", "no training sample of tissue 'Skin'", "balanced scheme", "exclude_tissues")
def tissue_absent_from_a_training_fold(folder):
    donors = [f"d{i:02d}" for i in range(40)]
    in_fold_0 = next(d for d, fold in published(donors) if fold == 0)
    draw(folder, [*donors, in_fold_0], ["Lung"] * 40 + ["Skin"])


def published(donors):
    """Donors and their folds."""
    folds = published_folds(donors, 5, 666)
    return zip(folds["donor"], folds["fold"], strict=True)
