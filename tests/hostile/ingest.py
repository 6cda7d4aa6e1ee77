"""A cohort's files, each spoilt in one way, before a build that has earlier results to lose."""

import gzip
import os
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse
from tests.hostile.case import Case
from tests.hostile.command import run
from tests.hostile.files import config, gct, samples, write_cohort, write_config

GENES = tuple(f"ENSG{i:011d}.1" for i in range(1, 41))
IDS = [row[0] for row in samples()]
CHECK = ["mtm", "check", "--configfile", "config.yaml"]
BUILD = ["snakemake", "results/small/cohort/folds.tsv", "-c1", "--configfile", "config.yaml"]
GCT, SAMPLES, PEOPLE = "expression.gct", "attributes.tsv", "phenotypes.tsv"


def values() -> np.ndarray:
    """Return TPM, genes in rows."""
    rng = np.random.default_rng(7)
    of_genes = rng.uniform(0, 9, (len(GENES), 1))
    return np.exp2(of_genes + rng.normal(0, 0.7, (len(GENES), len(IDS))))


def prepare(folder: Path) -> None:
    """Write the files and build the cohort, whose results no row may harm."""
    write_cohort(folder)
    (folder / GCT).write_text(gct(values(), IDS, GENES))
    write_config(folder, config())
    outcome = run(BUILD, folder, 60.0)
    assert outcome.status == 0, outcome.text


def text(file, change, command=CHECK):
    """Return the maker of a row in which the text of a file is changed."""

    def make(folder):
        path = folder / file
        before = path.read_text()
        after = change(before)
        assert after != before
        path.write_text(after)
        return command

    return make


def swap(file, old, new, command=CHECK, count=1):
    """Return the maker of a row in which a text of a file is replaced."""
    return text(file, lambda content: content.replace(old, new, count), command)


def both(*makers):
    """Return the maker of a row that several make, the last of which gives the command."""

    def make(folder):
        return [maker(folder) for maker in makers][-1]

    return make


def matrix(change, command=CHECK):
    """Return the maker of a row in which the values of the GCT are others."""

    def make(folder):
        (folder / GCT).write_text(gct(np.asarray(change(values())), IDS, GENES))
        return command

    return make


def settings(command=CHECK, **changes):
    """Return the maker of a row with another configuration."""

    def make(folder):
        write_config(folder, config(**changes))
        return command

    return make


def packed(pack, command=CHECK):
    """Return the maker of a row with a gzipped expression file."""

    def make(folder):
        (folder / "expression.gct.gz").write_bytes(pack((folder / GCT).read_bytes()))
        write_config(folder, config(inputs={"expression": "expression.gct.gz"}))
        return command

    return make


def h5ad(change, sparse=None, command=CHECK):
    """Return the maker of a row with an h5ad whose parts are changed by `change(file)`."""

    def make(folder):
        expr_tpm = values().T.astype(np.float32)
        data = anndata.AnnData(
            expr_tpm if sparse is None else sparse(expr_tpm),
            obs=pd.DataFrame(index=IDS),
            var=pd.DataFrame({"symbol": GENES}, index=list(GENES)),
        )
        data.write_h5ad(folder / "expression.h5ad")
        with h5py.File(folder / "expression.h5ad", "a") as file:
            change(file)
        write_config(folder, config(inputs={"expression": "expression.h5ad"}))
        return command

    return make


def raw_h5ad(content, command=CHECK):
    """Return the maker of a row in which the bytes of a good h5ad are changed."""

    def make(folder):
        h5ad(lambda file: None)(folder)
        path = folder / "expression.h5ad"
        path.write_bytes(content(path.read_bytes()))
        return command

    return make


def put(name, value, **options):
    """Return a change of an h5ad: one part in place of another."""

    def change(file):
        attributes = dict(file[name].attrs) if name in file else {}
        if name in file:
            del file[name]
        made = file.create_dataset(name, data=value, **options)
        made.attrs.update(attributes)

    return change


def drop(name):
    """Return a change of an h5ad: a part less."""
    return lambda file: file.__delitem__(name)


def set_entry(name, place, value):
    """Return a change of an h5ad: one entry of an array."""
    return lambda file: file[name].__setitem__(place, value)


def huge(file):
    """Declare a matrix of a million samples and genes, of which nothing is stored."""
    del file["X"]
    x = file.create_dataset("X", (10**6, 10**6), np.float32, chunks=(1000, 1000))
    x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def elsewhere(file):
    """Take X from another file."""
    del file["X"]
    file["X"] = h5py.ExternalLink("/etc/passwd", "X")


def column(name, value, rows=slice(0, 1)):
    """Return the change of a table: another value in some rows of a column."""

    def change(content):
        lines = [line.split("\t") for line in content.rstrip("\n").split("\n")]
        place = lines[0].index(name)
        for line in lines[1:][rows]:
            line[place] = value if isinstance(value, str) else value(line[place])
        return "\n".join("\t".join(line) for line in lines) + "\n"

    return change


def add_column(name, value):
    """Return the change of a table: a column more."""

    def change(content):
        first, *others = content.rstrip("\n").split("\n")
        return "\n".join([f"{first}\t{name}", *(f"{line}\t{value}" for line in others)]) + "\n"

    return change


def one_sample(sample, of):
    """Return a change of values: one sample is of another kind."""

    def change(tpm):
        tpm[:, sample] = of(tpm[:, sample])
        return tpm

    return change


def pipe(file):
    """Return the maker of a row in which a pipe nobody writes to stands for a file."""

    def make(folder):
        (folder / file).unlink()
        os.mkfifo(folder / file)
        return CHECK

    return make


def folder_for(file):
    """Return the maker of a row in which a folder stands for a file."""

    def make(folder):
        (folder / file).unlink()
        (folder / file).mkdir()
        return CHECK

    return make


def swapped(folder):
    """Name the tables in each other's place."""
    names = {"sample_attributes": PEOPLE, "subject_phenotypes": SAMPLES}
    write_config(folder, config(inputs=names))
    return BUILD


def several(folder):
    """Spoil every file."""
    text(PEOPLE, column("AGE", "1944"))(folder)
    text(SAMPLES, column("SMRIN", "-3"))(folder)
    text(GCT, lambda content: content.replace("#1.2", "#1.3"))(folder)
    return CHECK


def all_problems(folder, outcome):
    """See each of them told of."""
    for word in ("1944", "'-3'", "#1.3"):
        assert word in outcome.text, word


def last_line_is_the_reason(folder, outcome):
    """See the reason last on the screen."""
    printed = (folder.parent / "printed.txt").read_text().strip().splitlines()
    assert printed[-1].startswith("mtm: "), printed[-3:]
    assert "failed: " in printed[-1]


def dense(file):
    """Leave the file as it is."""


def refuse(name, make, says, names="", **options):
    """Return a row that ends with an error."""
    return Case("ingest", name, "refuse", make, says, names, **options)


def accept(name, make, says="", names="", verdict="accept", **options):
    """Return a row that ends well."""
    return Case("ingest", name, verdict, make, says or "no problem found", names, **options)


UNITS = [
    refuse(f"expression {name}", matrix(change), says, GCT)
    for name, change, says in [
        ("as log2(1+TPM)", lambda tpm: np.log2(1 + tpm), "looks log-scaled.*inputs.units: log2"),
        ("as counts", lambda tpm: np.round(1e3 * tpm), "looks like counts"),
        ("as rounded counts of few reads", lambda tpm: np.round(tpm), "looks like counts"),
        ("divided by a thousand", lambda tpm: tpm / 1000, "looks log-scaled"),
        ("as absolute z-scores", lambda tpm: np.abs(np.log(tpm) - 2), "looks log-scaled"),
        ("of zeros", lambda tpm: 0 * tpm, "found 0 for every gene"),
        ("of ones", lambda tpm: 0 * tpm + 1, "found 1 for every gene"),
        ("with one empty sample", one_sample(3, lambda x: 0 * x), f"{IDS[3]}: found 0 for every"),
        ("with one sample of ones", one_sample(5, lambda x: 0 * x + 1), f"{IDS[5]}: found 1 for"),
        ("with one log-scaled sample", one_sample(5, lambda x: np.log2(1 + x)), "log-scaled"),
        ("with one sample of counts", one_sample(5, lambda x: np.round(9e4 * x)), "like counts"),
        ("with one value of 1e38", one_sample(2, lambda x: np.r_[1e38, x[1:]]), "add up to 1e"),
        ("with one negative value", one_sample(2, lambda x: np.r_[-1, x[1:]]), "negative"),
        ("with one NaN", one_sample(2, lambda x: np.r_[np.nan, x[1:]]), "NaN"),
        ("with one infinity", one_sample(2, lambda x: np.r_[np.inf, x[1:]]), "infinite"),
    ]
]  # fmt: skip

TEXT = [
    refuse("GCT of version 1.3", swap(GCT, "#1.2", "#1.3"), "line 1: found '#1.3'", GCT),
    refuse("GCT without its version", text(GCT, lambda t: t[5:]), "line 1", GCT),
    refuse("GCT of other sizes", swap(GCT, "\n40\t", "\n41\t"), "41 genes over 40 rows", GCT),
    refuse("GCT of fewer genes", swap(GCT, "\n40\t", "\n39\t"), "more rows than that", GCT),
    refuse("GCT of 10^12 genes", swap(GCT, "\n40\t", "\n999999999999\t"), "over 40 rows", GCT),
    refuse("GCT of other samples", swap(GCT, "\t80\n", "\t81\n"), "80 sample columns", GCT),
    refuse("GCT of a count of 5,000 digits", swap(GCT, "\n40\t", "\n" + "9" * 5000 + "\t"), "line 2", GCT),
    refuse("an age of 5,000 digits", text(PEOPLE, column("AGE", "9" * 5000)), "5000 in all", PEOPLE),
    refuse("a position of 5,000 digits in a gene model", lambda folder: (folder / "g.gtf").write_text(f'1\tx\tgene\t{"1" * 5000}\t9\t.\t+\t.\tgene_id "a"; gene_type "b";\n') and settings(inputs={"gene_model": "g.gtf"}, filters={"gene_biotypes": ["b"]})(folder), "nine fields", "g.gtf"),
    refuse("GCT of negative sizes", swap(GCT, "\n40\t", "\n-40\t"), "line 2", GCT),
    refuse("GCT without Name", swap(GCT, "Name\t", "Gene\t"), "Name and Description", GCT),
    refuse("an empty expression file", text(GCT, lambda t: ""), "line 1", GCT),
    refuse("a table of featureCounts", lambda folder: (folder / "counts.tsv").write_text("# Program:featureCounts v2.0.1\nGeneid\tChr\tStart\tEnd\tStrand\tLength\t" + "\t".join(IDS) + "\nG1\t1\t1\t9\t+\t9" + "\t1" * len(IDS) + "\n") and settings(inputs={"expression": "counts.tsv"})(folder), "line 2, .*Leave these five out", "counts.tsv"),
    refuse("a GCT without genes", text(GCT, lambda t: "\n".join(t.split("\n")[:3]).replace("\n40\t", "\n0\t")), "no gene", GCT),
    refuse("a row cut short", text(GCT, lambda t: t.rstrip("\n").rsplit("\t", 1)[0] + "\n"), "81 fields", GCT),
    refuse("a row with a field more", text(GCT, lambda t: t.rstrip("\n") + "\t1\n"), "83 fields", GCT),
    refuse("a gene twice", swap(GCT, GENES[4], GENES[2]), f"duplicate gene {GENES[2]}", GCT),
    refuse("a gene twice in another version", swap(GCT, GENES[4], GENES[2][:-1] + "9"), "duplicate gene", GCT),
    accept("reads of no gene beside genes, as HTSeq writes them", swap(GCT, GENES[4], "__no_feature"), "1 row of reads of no gene left out", GCT, verdict="warn"),
    refuse("a gene without a name", swap(GCT, GENES[4], ""), "a gene id and values", GCT),
    refuse("a sample twice", swap(GCT, IDS[1], IDS[0]), f"duplicate sample {IDS[0]}", GCT),
    refuse("a sample without a name", swap(GCT, f"\t{IDS[1]}\t", "\t\t"), "an empty name", GCT),
    refuse("a word among values", text(GCT, lambda t: t.rstrip("\n").rsplit("\t", 1)[0] + "\thigh\n"), "non-numeric value 'high'", IDS[-1]),
    refuse("a decimal comma", text(GCT, lambda t: t.rstrip("\n").rsplit("\t", 1)[0] + "\t1,5\n"), "non-numeric", IDS[-1]),
    refuse("an empty value", text(GCT, lambda t: t.rstrip("\n").rsplit("\t", 1)[0] + "\t\n"), "non-numeric", IDS[-1]),
    refuse("a cut gzip", packed(lambda data: gzip.compress(data)[:-20]), "unreadable file", ".gct.gz"),
    refuse("a gzip with a flipped byte", packed(lambda data: (lambda z: z[:500] + bytes([z[500] ^ 255]) + z[501:])(gzip.compress(data))), "expression.gct.gz", ".gct.gz"),
    refuse("a web page named as gzip", packed(lambda data: b"<html>404</html>"), "unreadable file", ".gct.gz"),
    refuse("a gzip of one line without end", packed(lambda data: gzip.compress(bytes([65]) * (1 << 27), 1)), "without an end of line", ".gct.gz"),
    refuse("a file of another suffix", settings(inputs={"expression": PEOPLE[:-4] + ".xlsx"}), "no such file", "phenotypes.xlsx"),
    refuse("no expression file", settings(inputs={"expression": "nowhere.gct"}), "no such file", "nowhere.gct"),
    refuse("a pipe for the expression", pipe(GCT), "a pipe", GCT),
    refuse("a pipe for a table", pipe(SAMPLES), "a pipe", SAMPLES),
    refuse("a folder for a table", folder_for(PEOPLE), "a folder", PEOPLE),
    accept("a gzipped GCT", packed(gzip.compress)),
    accept("log2 that is said to be so", lambda folder: (matrix(lambda tpm: np.log2(1 + tpm))(folder), settings(inputs={"units": "log2"})(folder))[1]),
    accept("rounded TPM that is said to be so", lambda folder: (matrix(np.round)(folder), settings(inputs={"units": "tpm"})(folder))[1]),
    accept("a GCT with carriage returns", text(GCT, lambda t: t.replace("\n", "\r\n"))),
    accept("tables with carriage returns", text(SAMPLES, lambda t: t.replace("\n", "\r\n"))),
    accept("a table with a byte order mark", text(PEOPLE, lambda t: "\ufeff" + t)),
    accept("a table with an empty line at its end", text(PEOPLE, lambda t: t + "\n\n")),
]  # fmt: skip

H5AD = [
    accept("a dense h5ad", h5ad(dense)),
    accept("an h5ad of sparse rows", h5ad(dense, scipy.sparse.csr_matrix)),
    accept("an h5ad of sparse columns", h5ad(dense, scipy.sparse.csc_matrix)),
    *(
        refuse(f"h5ad with {name}", h5ad(change, sparse), says, "expression.h5ad")
        for name, change, sparse, says in [
            ("an index beyond its genes", set_entry("X/indices", 3, 10**6), scipy.sparse.csr_matrix, "indices from"),
            ("a negative index", set_entry("X/indices", 3, -1), scipy.sparse.csr_matrix, "indices from -1"),
            ("an index beyond its samples", set_entry("X/indices", 3, 10**6), scipy.sparse.csc_matrix, "indices from"),
            ("an index twice", set_entry("X/indices", 3, 2), scipy.sparse.csr_matrix, "two values of one"),
            ("starts that fall", set_entry("X/indptr", 3, 0), scipy.sparse.csr_matrix, "do not rise"),
            ("starts beyond the end", set_entry("X/indptr", -1, 10**9), scipy.sparse.csr_matrix, "do not rise"),
            ("fewer starts", put("X/indptr", np.array([0, 1])), scipy.sparse.csr_matrix, "2 numbers"),
            ("fewer values", put("X/data", np.ones(3, np.float32)), scipy.sparse.csr_matrix, "3 numbers"),
            ("decimal indices", put("X/indices", np.ones(3200)), scipy.sparse.csr_matrix, "whole numbers"),
            ("a shape of 10^12", lambda file: file["X"].attrs.__setitem__("shape", [10**12, 40]), scipy.sparse.csr_matrix, "the shape"),
            ("another shape", lambda file: file["X"].attrs.__setitem__("shape", [80, 39]), scipy.sparse.csr_matrix, "indices from"),
            ("no shape", lambda file: file["X"].attrs.__delitem__("shape"), scipy.sparse.csr_matrix, "the shape"),
            ("an unknown encoding", lambda file: file["X"].attrs.__setitem__("encoding-type", "coo"), scipy.sparse.csr_matrix, "the encoding"),
            ("a million squared values", huge, None, "bytes declared"),
            ("X of another file", elsewhere, None, "a link to"),
            ("no X", drop("X"), None, "no X"),
            ("X of text", put("X", np.array([[b"a"] * 40] * 80)), None, "an array of"),
            ("X of complex numbers", put("X", np.ones((80, 40), complex)), None, "an array of"),
            ("X of three dimensions", put("X", np.ones((80, 40, 1))), None, "3 dimensions"),
            ("X of more samples", put("X", np.ones((81, 40))), None, "80 names"),
            ("X of fewer genes", put("X", 9 * np.random.default_rng(0).random((80, 39))), None, "40 names"),
            ("X of NaN", put("X", np.full((80, 40), np.nan)), None, "the value nan"),
            ("X of 1e300", put("X", np.full((80, 40), 1e300)), None, "the value inf"),
            ("no samples' names", drop("obs"), None, "no obs"),
            ("no genes' names", drop("var"), None, "no var"),
            ("the names of samples gone", drop("obs/_index"), None, "no _index"),
            ("a z-score scale", lambda file: file["uns"].create_dataset("scale", data="z"), None, "uns"),
        ]
    ),
    refuse("h5ad that is cut", raw_h5ad(lambda data: data[: len(data) // 2]), "unreadable file", "expression.h5ad"),
    refuse("h5ad that is empty", raw_h5ad(lambda data: b""), "unreadable file", "expression.h5ad"),
    refuse("h5ad of text", raw_h5ad(lambda data: b"sample\tgene\n"), "unreadable file", "expression.h5ad"),
    refuse("h5ad without its first bytes", raw_h5ad(lambda data: bytes(64) + data[64:]), "unreadable file", "expression.h5ad"),
]  # fmt: skip

TABLES = [
    *(
        refuse(f"{name}", text(file, change, command), says, file)
        for name, file, change, command, says in [
            ("a tissue in another case on half of its samples", SAMPLES, column("SMTSD", lambda t: t.lower(), slice(0, 40)), BUILD, "'liver' .10 samples. and 'Liver'"),
            ("a tissue with underscores on some samples", SAMPLES, column("SMTSD", lambda t: t.replace(" ", "_"), slice(0, 9)), CHECK, "one spelling"),
            ("a tissue with two blanks inside", SAMPLES, column("SMTSD", lambda t: t.replace(" ", "  "), slice(0, 9)), CHECK, "one spelling"),
            ("two columns SMTSD", SAMPLES, add_column("SMTSD", "Lung"), BUILD, "column 'SMTSD' twice"),
            ("two columns SEX", PEOPLE, add_column("SEX", "1"), CHECK, "column 'SEX' twice"),
            ("a last row one field short", SAMPLES, lambda t: t.rstrip("\n").rsplit("\t", 1)[0] + "\n", BUILD, "line 81: found 4 fields"),
            ("a row of people with a field more", PEOPLE, lambda t: t.rstrip("\n") + "\t1\n", CHECK, "line 21: found 5 fields"),
            ("a file cut in the middle of a row", PEOPLE, lambda t: t[:-12], CHECK, "fields"),
            ("a sample twice in the table", SAMPLES, lambda t: t + t.rstrip("\n").split("\n")[-1] + "\n", CHECK, "twice"),
            ("a donor twice", PEOPLE, lambda t: t + t.rstrip("\n").split("\n")[-1] + "\n", CHECK, "twice"),
            ("a sample without a row", SAMPLES, lambda t: "\n".join(t.split("\n")[:-2]) + "\n", BUILD, "no row for 1 of 80"),
            ("a donor without a row", PEOPLE, lambda t: "\n".join(t.split("\n")[:-2]) + "\n", BUILD, "no row for 1 donor"),
            ("a sample without a tissue", SAMPLES, column("SMTSD", ""), CHECK, "no tissue"),
            ("no column SMTSD", SAMPLES, lambda t: t.replace("SMTSD", "TISSUE"), CHECK, "a column named SMTSD"),
            ("an empty table of samples", SAMPLES, lambda t: "", CHECK, "columns"),
            ("a header alone", PEOPLE, lambda t: t.split("\n")[0] + "\n", CHECK, "no row"),
            ("commas in place of tabs", PEOPLE, lambda t: t.replace("\t", ","), CHECK, "commas between them"),
            ("a NUL byte", PEOPLE, lambda t: t.replace("GTEX-1003", "GTEX-10\0"), CHECK, "a NUL byte"),
            ("an age of 500", PEOPLE, column("AGE", "500"), BUILD, "column AGE of GTEX-1001: found '500'"),
            ("an age of inf", PEOPLE, column("AGE", "inf"), CHECK, "found 'inf'"),
            ("an age of 0-999", PEOPLE, column("AGE", "0-999"), CHECK, "found '0-999'"),
            ("a year of birth", PEOPLE, column("AGE", "1944"), CHECK, "found '1944'"),
            ("an age in words", PEOPLE, column("AGE", "sixty"), CHECK, "found 'sixty'"),
            ("a bracket the wrong way", PEOPLE, column("AGE", "69-60"), CHECK, "found '69-60'"),
            ("sex 7", PEOPLE, column("SEX", "7"), CHECK, "found '7'"),
            ("sex boy", PEOPLE, column("SEX", "boy"), CHECK, "found 'boy'"),
            ("hardy 9", PEOPLE, column("DTHHRDY", "9"), CHECK, "found '9'"),
            ("hardy one and a half", PEOPLE, column("DTHHRDY", "1.5"), CHECK, "found '1.5'"),
            ("an RIN of 1e300", SAMPLES, column("SMRIN", "1e300"), CHECK, "found '1e300'"),
            ("an RIN of -3", SAMPLES, column("SMRIN", "-3"), CHECK, "found '-3'"),
            ("an RIN of NaN", SAMPLES, column("SMRIN", "nan"), CHECK, "found 'nan'"),
            ("an ischemic time of -500 of liver", SAMPLES, column("SMTSISCH", "-500"), CHECK, "-500 minutes for Liver"),
            ("an ischemic time of a billion", SAMPLES, column("SMTSISCH", "1e9"), CHECK, "found '1e9'"),
        ]
    ),
    refuse("a tissue named as a number", text(SAMPLES, column("SMTSD", "1", slice(0, 40, 4))), "names that are no numbers", SAMPLES),
    refuse("a tissue named as a missing value", text(SAMPLES, column("SMTSD", "NA", slice(0, 40, 4))), "not a missing value", SAMPLES),
    refuse("a table in Latin-1", lambda folder: (folder / PEOPLE).write_bytes((folder / PEOPLE).read_bytes().replace(b"DTHHRDY", b"\xe4\xf6")) and CHECK, "no text.*save it as UTF-8", PEOPLE),
    refuse("a table of one line of two megabytes", text(PEOPLE, lambda t: "x" * (1 << 22)), "without an end of line|columns", PEOPLE),
    refuse("the tables in each other's place", swapped, "a column named SAMPID", PEOPLE, then=last_line_is_the_reason),
    refuse("two samples of a donor and tissue", swap(SAMPLES, f"{IDS[0]}\tLiver", f"{IDS[0]}\tLung"), "duplicate donor-tissue", IDS[0]),
    refuse("every file wrong", several, "3 problems:", "phenotypes.tsv", then=all_problems),
    refuse("a sex in the table of samples that the table of donors contradicts", text(SAMPLES, add_column("SEX", "1")), "row 2, column SEX of GTEX-1002: found 2 .and 9 further donors.*; expected 1", SAMPLES),
    refuse("donors whose samples are named another's", both(text(SAMPLES, add_column("SUBJID", "GTEX-1001")), settings(inputs={"subject_phenotypes": None})), "and 3 further pairs", "columns.donor"),
    refuse("more folds than donors", settings(folds={"n_folds": 21}), "20 donors for 21 folds", "folds"),
    accept("a donor spelt in two ways", both(text(SAMPLES, add_column("SUBJID", "")), text(SAMPLES, lambda t: "\n".join(line + (line[:9].replace("-", "_") if "Lung" in line else line[:9]) * line.startswith("GTEX") for line in t.split("\n"))), settings(inputs={"subject_phenotypes": None})), "differ in capitals, blanks or signs", SAMPLES, verdict="warn"),
    accept("a header that begins with #", text(PEOPLE, lambda t: "# people\n#" + t)),
    accept("quotes around single fields", text(SAMPLES, column("SMTSD", lambda t: f'"{t}"', slice(0, 9)))),
    accept("rows of tabs alone", text(PEOPLE, lambda t: t + "\t\t\t\n" * 3)),
    accept("a tissue with a blank behind it", text(SAMPLES, column("SMTSD", lambda t: t + " ", slice(0, 40)), BUILD), "steps .* done", changes=True),
    accept("blood drawn before death", text(SAMPLES, column("SMTSISCH", "-500", slice(3, 4)), BUILD), "drawn before death", verdict="warn", changes=True),
    accept("no column SEX", swap(PEOPLE, "SEX", "GENDER")),
    accept("no age of somebody", text(PEOPLE, column("AGE", ""))),
    accept("sex in words", text(PEOPLE, column("SEX", lambda code: {"1": "Male", "2": "f"}[code], slice(None)))),
    accept("no table of donors", settings(inputs={"subject_phenotypes": None})),
    accept("no column DTHHRDY", text(PEOPLE, lambda t: "\n".join(line.rsplit("\t", 1)[0] for line in t.split("\n"))), ),
]  # fmt: skip

NAMES = [
    refuse("a source that there is not", settings(BUILD, source="Whole_Bloood"), "Did you mean 'Whole Blood'", "config key source"),
    refuse("an excluded tissue that there is not", settings(filters={"exclude_tissues": ["Lungs"]}), "Did you mean 'Lung'", "exclude_tissues"),
    refuse("a model's source that there is not", settings(models={"j": {"class": "joint", "sources": ["Whole Blood", "Lungs"]}}), "Did you mean 'Lung'", "models.j.sources"),
    refuse("a Venn tissue that there is not", settings(comparison={"venn_tissue": "Lungs"}), "Did you mean 'Lung'", "comparison.venn_tissue"),
    refuse("a model of an analysis that there is not", settings(traits={"models": ["rigde"]}), "Did you mean 'ridge'", "traits.models"),
    refuse("a column to hold out that there is not", settings(evaluation={"external": {"site": {"hold_out": "centre", "values": ["B1"]}}}), "Did you mean 'center'", "hold_out"),
    refuse("filters that leave nothing", settings(BUILD, filters={"min_samples_per_tissue": 50}), "no sample that passes every filter", "min_samples_per_tissue"),
    refuse("interactions that are none", lambda folder: (folder / "partners.tsv").write_text("a\tb\n1\n") and settings(inputs={"interactions": "partners.tsv"})(folder), "fields", "partners.tsv"),
    refuse("a gene list of other genes", lambda folder: (folder / "genes.txt").write_text("ENSG00000009999\n") and settings(BUILD, inputs={"gene_list": "genes.txt"})(folder), "no gene in common", "genes.txt"),
    refuse("a gene model that is none", lambda folder: (folder / "genes.gtf").write_text("chr1\tx\tgene\t1\n") and settings(inputs={"gene_model": "genes.gtf"}, filters={"gene_biotypes": ["protein_coding"]})(folder), "nine fields", "genes.gtf"),
]  # fmt: skip


def with_column(file, name, value, **changes):
    """Return the maker of a row with a column more and another configuration."""

    def make(folder):
        text(file, add_column(name, value))(folder)
        return settings(**changes)(folder)

    return make


def own(**covariates):
    """Return a configuration's change: covariates of the cohort's own."""
    return {"columns": {"covariates": covariates}}


def told(*words):
    """Return the check that all these words were printed."""

    def look(folder, outcome):
        for word in words:
            assert word in outcome.text, word

    return look


OWN = [
    refuse(name, make, says, names, seconds=5.0, **options)
    for name, make, says, names, options in [
        ("a column of sex that there is not", settings(columns={"sex": "GENDER"}), "a column of attributes.tsv or phenotypes.tsv", "columns.sex", {}),
        ("a column of RIN among those of donors", with_column(PEOPLE, "rin", "7", columns={"rin": "rin"}), "a column of attributes.tsv: ", "columns.rin", {}),
        ("a column of donors that there is not", settings(columns={"donor": "Donor"}), "a column named Donor", SAMPLES, {}),
        ("a column of tissues that there is not", settings(columns={"tissue": "Tissue"}), "a column named Tissue", SAMPLES, {}),
        ("an id of donors that there is not", settings(columns={"donor_id": "ID"}), "a column named ID", PEOPLE, {}),
        ("a covariate that there is not", settings(**own(diet={}, wieght={})), "2 problems", "columns.covariates.diet", {"then": told("covariates.wieght")}),
        ("a covariate named as sex is", settings(**own(sex={})), "a name that no column of results has", "covariates.sex", {}),
        ("a covariate with a blank in its name", settings(**own(**{"body weight": {}})), "matching", "body weight", {}),
        ("a covariate for nothing", settings(**own(diet={"use": []})), "use", "columns.covariates.diet", {}),
        ("a covariate for something else", settings(**own(diet={"use": ["sorting"]})), "covariate, trait, status", "columns.covariates.diet", {}),
        ("a case of what is no status", settings(**own(diet={"case": 1})), "none, as it is no status", "diet.case", {}),
        ("NA in a column of categories", with_column(PEOPLE, "diet", "NA", **own(diet={})), "column diet of GTEX-1001: found 'NA' .and 19 further rows.; expected an empty field", PEOPLE, {}),
        ("words in a column of numbers", with_column(PEOPLE, "kg", "heavy", **own(kg={"kind": "number"})), "column kg of GTEX-1001: found 'heavy'", PEOPLE, {}),
        ("a status of words without its case", with_column(PEOPLE, "ill", "yes", **own(ill={"use": ["status"]})), "the key `case`", PEOPLE, {}),
        ("a status without its case among its values", with_column(PEOPLE, "ill", "no", **own(ill={"use": ["status"], "case": "yes"})), "a case, 'yes'", PEOPLE, {}),
        ("a sex in the table of samples that differs", both(text(SAMPLES, add_column("sx", "M")), text(SAMPLES, column("sx", "F")), settings(columns={"sex": "sx"}, inputs={"subject_phenotypes": None})), "column sx of donor GTEX-1001: found 2 and 1|found 1 and 2", SAMPLES, {}),
        ("counts that are log-scaled", both(matrix(lambda tpm: np.log2(1 + tpm)), settings(inputs={"units": "counts"})), "looks log-scaled", GCT, {}),
        ("RPKM that are counts", both(matrix(np.round), settings(inputs={"units": "rpkm"})), "looks like counts", GCT, {}),
        ("z-scores that are none", settings(inputs={"units": "zscores"}), "about half are negative", GCT, {}),
        ("intensities that are no logarithms", settings(inputs={"units": "intensity"}), "Take logarithms", GCT, {}),
        ("counts with a negative value", both(matrix(one_sample(2, lambda x: np.r_[-1, x[1:]])), settings(inputs={"units": "counts"})), "negative", GCT, {}),
        ("z-scores with a NaN", both(matrix(lambda tpm: np.r_[[np.full(len(IDS), np.nan)], np.log(tpm[1:]) - 3]), settings(inputs={"units": "zscores"})), "NaN", GCT, {}),
        ("one sample of z-scores a thousand times as large", both(matrix(lambda tpm: one_sample(4, lambda x: 1000 * x)(np.log(tpm) - 3)), settings(inputs={"units": "zscores"})), f"sample {IDS[4]}", GCT, {}),
        ("a model of TPM for z-scores", settings(inputs={"units": "zscores"}, models={"r": {"class": "ridge", "parameters": {"scale": "tpm_z"}}}), "has no TPM", "models.r.parameters.scale", {}),
        ("units that there are not", settings(inputs={"units": "fpkm"}), "tpm, counts, rpkm, log2, zscores, intensity", "inputs.units", {}),
        *((f"an expression file whose rows are samples, {kind} its columns", lambda folder, genes=genes: pd.DataFrame(values().T, IDS, genes).to_csv(folder / "turned.csv") or settings(inputs={"expression": "turned.csv"})(folder), says, names, {})
          for kind, genes, says, names in (("Ensembl ids", GENES, "Transpose the table", "turned.csv"), ("symbols", [f"NAME{i}" for i in range(len(GENES))], "genes its rows", SAMPLES))),
        ("commas in a table named .tsv", lambda folder: (folder / "people.tsv").write_text((folder / PEOPLE).read_text().replace("\t", ",")) and settings(inputs={"subject_phenotypes": "people.tsv"})(folder), "ends in .csv", "people.tsv", {}),
        ("a CSV with a quote that does not end", lambda folder: (folder / "e.csv").write_text('"gene","' + '","'.join(IDS) + '"\n"G1,' + ",".join("1" * len(IDS)) + "\n") and settings(inputs={"expression": "e.csv"})(folder), "a quote without its end", "e.csv", {}),
        ("a misspelt source, a bad age and a bad RIN", both(text(PEOPLE, column("AGE", "1944")), text(SAMPLES, column("SMRIN", "70")), settings(source="Blod")), "2 problems", PEOPLE, {"then": told("'1944'", "'70'")}),
        ("names of five columns that there are not", settings(columns={"sex": "a", "age": "b", "hardy": "c", "rin": "d", "batch": "e"}), "5 problems", "columns.sex", {"then": told("columns.age", "columns.hardy", "columns.rin", "columns.batch")}),
        ("a bad sex, a bad age and a bad class of death", text(PEOPLE, lambda t: column("SEX", "x")(column("AGE", "-1")(column("DTHHRDY", "7")(t)))), "3 problems", PEOPLE, {"then": told("'x'", "'-1'", "'7'")}),
        ("a misspelt source and a misspelt tissue to leave out", settings(source="Lungs", filters={"exclude_tissues": ["Livers"]}), "Did you mean 'Liver'", "exclude_tissues", {}),
        ("counts for a gene model without exons", lambda folder: (folder / "g.gtf").write_text(f'1\tx\tgene\t1\t9\t.\t+\t.\tgene_id "{GENES[0]}"; gene_type "protein_coding";\n') and both(matrix(lambda tpm: np.round(9 * tpm)), settings(inputs={"units": "counts", "gene_model": "g.gtf"}))(folder), "no exon row", "g.gtf", {}),
    ]
] + [
    accept("covariates of donors and samples", with_column(SAMPLES, "pool", "7", **own(pool={"kind": "category"}))),
    accept("a status of words with its case", both(text(PEOPLE, add_column("ill", "no")), text(PEOPLE, column("ill", "yes")), settings(**own(ill={"use": ["status", "covariate"], "case": "yes"})))),
    accept("z-scores that are said to be so", both(matrix(lambda tpm: np.log(tpm) - 3), settings(inputs={"units": "zscores"}))),
    accept("counts that are said to be so", both(matrix(lambda tpm: np.round(9 * tpm)), settings(BUILD, inputs={"units": "counts"})), "CPM", changes=True, verdict="warn"),
    accept("counts of genes of which the gene model lacks most", lambda folder: (folder / "g.gtf").write_text("".join(f'1\tx\texon\t1\t{900 + i}\t.\t+\t.\tgene_id "{gene}";\n' for i, gene in enumerate(GENES[:9]))) and both(matrix(lambda tpm: np.round(9 * tpm)), settings(inputs={"units": "counts", "gene_model": "g.gtf"}))(folder), "31 of 40 genes of .*left out", "g.gtf", verdict="warn"),
    accept("a CSV with quotes, a byte order mark and carriage returns", lambda folder: pd.DataFrame(values(), GENES, IDS).to_csv(folder / "e.csv", quoting=2, lineterminator="\r\n", encoding="utf-8-sig") or settings(inputs={"expression": "e.csv"})(folder)),
]  # fmt: skip

CASES = [
    accept("the cohort as it is", lambda folder: CHECK),
    *UNITS,
    *TEXT,
    *H5AD,
    *TABLES,
    *NAMES,
    *OWN,
]
