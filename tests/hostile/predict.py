"""New people: what `mtm predict` does with their files and its own options."""

import gzip
import lzma
import os

import anndata
import h5py
import numpy as np
import pandas as pd
from tests.hostile.bundles import answer, no_answer
from tests.hostile.case import Case
from tests.hostile.models import (
    N_WIDE,
    SOURCE,
    bundle_of,
    new_expression,
    predict,
    write_models,
    write_people,
)

N_GENES = 12
GENES = [f"ENSG{i:011d}.1" for i in range(N_GENES)]
TRAITS = "sample_id\tsex\tage\thardy\trin\n"
PEOPLE_OF_BLOOD = "sample_id\tdonor\ttissue\n" + "".join(
    f"person-{number}\t{donor}\t{SOURCE}\n" for number, donor in enumerate("xyz")
)
prepare = write_models


def bundle(folder, name="same_gene"):
    """Return a good bundle's path from the row's folder."""
    return bundle_of(folder, name).relative_to(folder)


def file_row(name, says, write, verdict="refuse", file="new.tsv", more=(), of="same_gene"):
    """Return the row of an expression file that `write` writes."""

    def make(folder):
        write(folder / file)
        return predict(bundle(folder, of), *more, expression=file)

    good = verdict != "refuse"
    return Case("predict", name, verdict, make, says, file, then=answer if good else no_answer)


def text_row(name, says, text, verdict="refuse", file="new.tsv", more=()):
    """Return the row of an expression file of this text."""
    data = text if isinstance(text, bytes) else text.encode()
    return file_row(name, says, lambda path: path.write_bytes(data), verdict, file, more)


def values_row(name, says, change, verdict="refuse", more=()):
    """Return the row of expression whose values, ``(n_genes, n_people)``, are changed."""

    def write(path):
        values = new_expression(N_GENES)
        changed = change(values)
        write_people(path, GENES, values if changed is None else changed)

    return file_row(name, says, write, verdict, more=more)


def option(name, says, *more, names="", verdict="refuse", status=None):
    """Return the row of options beside good files."""
    good = verdict != "refuse"
    return Case("predict", name, verdict, lambda folder: predict(bundle(folder), *more), says, names,
                status, then=answer if good else no_answer)  # fmt: skip


def traits_row(name, says, text, verdict="refuse", of="covariates"):
    """Return the row of a table of traits for a model of covariates."""

    def make(folder):
        (folder / "traits.tsv").write_text(text)
        return predict(bundle(folder, of), "--traits", "traits.tsv")

    good = verdict != "refuse"
    return Case("predict", name, verdict, make, says, "" if good else "traits.tsv",
                then=answer if good else no_answer)  # fmt: skip


def people(*rows):
    """Return a table of traits of three people, the first as given."""
    given = [*rows, *(f"person-{i}\t1\t40\t2\t7" for i in range(len(rows), 3))]
    return TRAITS + "\n".join(given) + "\n"


def onto(target, *more):
    """Return the row of an output that names an input."""

    def make(folder):
        bundle_file = folder / "model.safetensors"
        bundle_file.write_bytes((folder / bundle(folder, "covariates")).read_bytes())
        (folder / "traits.tsv").write_text(people())
        os.link(folder / "blood.tsv", folder / "same.tsv")
        os.symlink("blood.tsv", folder / "link.tsv")
        command = predict("model.safetensors", "--traits", "traits.tsv", *more)
        command[command.index("told.tsv")] = target
        (folder / "before").write_bytes((folder / "blood.tsv").read_bytes())
        return command

    return make


def kept(folder, outcome):
    """No input was touched."""
    assert (folder / "blood.tsv").read_bytes() == (folder / "before").read_bytes()
    assert (folder / "traits.tsv").read_text() == people()


def earlier(*more):
    """Return the row of an output that is there already."""

    def make(folder):
        (folder / "told.tsv").write_text("earlier\n")
        return predict(bundle(folder), *more)

    return make


def still_earlier(folder, outcome):
    """The earlier file is as it was."""
    assert (folder / "told.tsv").read_text() == "earlier\n"


def samples_row(name, says, text, verdict="refuse"):
    """Return the row of a table of samples beside good expression."""

    def make(folder):
        data = text if isinstance(text, bytes) else text.encode()
        (folder / "samples.tsv").write_bytes(data)
        return without_source(predict(bundle(folder, "joint"), "--samples", "samples.tsv"))

    good = verdict != "refuse"
    return Case("predict", name, verdict, make, says, "" if good else "samples.tsv",
                then=answer if good else no_answer)  # fmt: skip


def without_source(command):
    """Return a command that says no tissue."""
    at = command.index("--source")
    return [*command[:at], *command[at + 2 :]]


def sources(*given, of="joint"):
    """Return the command whose sources are files of their own."""

    def make(folder):
        write_people(folder / "lung.tsv", GENES, new_expression(N_GENES)[::-1])
        command = without_source(predict(bundle(folder, of)))
        at = command.index("--expression")
        named = [word for text in given for word in ("--source", text)]
        return [*command[:at], *command[at + 2 :], *named]

    return make


def obs_row(name, says, tissues, verdict="refuse", change=None):
    """Return the row of AnnData whose obs says the tissues."""

    def make(folder):
        h5ad(change, obs={"tissue": tissues})(folder / "new.h5ad")
        return without_source(predict(bundle(folder, "joint"), expression="new.h5ad"))

    good = verdict != "refuse"
    return Case(
        "predict", name, verdict, make, says, "new.h5ad", then=answer if good else no_answer
    )


def genes_row(name, says, content, verdict="refuse"):
    """Return the row of a file of genes to tell."""

    def make(folder):
        (folder / "genes.txt").write_bytes(content)
        return predict(bundle(folder), "--genes", "genes.txt")

    good = verdict != "refuse"
    return Case("predict", name, verdict, make, says, then=answer if good else no_answer)


def crowd(folder):
    """Ask for a page about eleven people."""
    write_people(folder / "crowd.tsv", GENES, new_expression(N_GENES, 11))
    return predict(bundle(folder, "certified_same_gene"), "--report", "told.html",
                   "--qc", "told_checks.tsv", expression="crowd.tsv")  # fmt: skip


def linked_column(path):
    """Let the column of tissues be another file's."""
    with h5py.File(path, "r+") as file:
        del file["obs/tissue"]
        file["obs/tissue"] = h5py.ExternalLink("/etc/hostname", "x")


LONG = "a" * 246 + ".tsv"


def long_answer(folder, outcome):
    """The answer is there, and no temporary file."""
    assert [path.name for path in folder.iterdir() if path.name[0] in "a."] == [LONG]


def earlier_page(folder):
    """Ask for a page that is there."""
    (folder / "told.html").write_text("earlier")
    return predict(bundle(folder), "--report", "told.html", "--force")


def not_utf8(folder):
    """Name the expression by bytes that are no text."""
    name = os.fsdecode(b"blood\xff.tsv")
    (folder / name).write_bytes((folder / "blood.tsv").read_bytes())
    return predict(bundle(folder), expression=name)


def in_place_of_a_folder(folder):
    """Name a folder as output."""
    (folder / "told.d.tsv").mkdir()
    return [word.replace("told", "told.d") for word in map(str, predict(bundle(folder)))]


def good_text(gene="gene_id", names=("a", "b", "c"), genes=GENES, end="\n"):
    """Return a good table as text."""
    lines = ["\t".join([gene, *names])]
    lines += ["\t".join([g, *(f"{v:.5g}" for v in row)])
              for g, row in zip(genes, new_expression(len(genes)), strict=True)]  # fmt: skip
    return end.join(lines) + end


def mixed(path):
    """Write people of many genes, one of them in logarithms."""
    values = 100 * new_expression(N_WIDE)
    values[:, 1] = np.log2(1 + values[:, 1])
    write_people(path, [f"ENSG{i:011d}.1" for i in range(N_WIDE)], values)


def h5ad(change=None, obs=None):
    """Return what writes new people as AnnData."""

    def write(path):
        data = anndata.AnnData(new_expression(N_GENES).T.astype(np.float32),
                               obs=pd.DataFrame(obs or {}, index=["a", "b", "c"]),
                               var=pd.DataFrame(index=GENES))  # fmt: skip
        data.write_h5ad(path)
        if change is not None:
            change(path)

    return write


def overwrite(place, data):
    """Return what overwrites bytes of a file at a share of its length."""

    def change(path):
        content = bytearray(path.read_bytes())
        at = int(place * len(content))
        content[at : at + len(data)] = data
        path.write_bytes(content)

    return change


def at(row, column, value):
    """Return what sets one value."""

    def change(values):
        values[row, column] = value

    return change


CASES = [
    # Good files.
    text_row("a good table", "3 samples x 3 tissues", good_text(), "accept"),
    text_row("line ends of Windows", "3 samples x 3 tissues", good_text(end="\r\n"), "accept"),
    text_row("genes without versions", "with versions ignored", good_text(genes=[g.split(".")[0] for g in GENES]), "accept"),
    text_row("genes in another order", "12 of the model's 12 genes", good_text(genes=GENES[::-1]), "accept"),
    text_row("two genes of twelve missing", "training mean", good_text(genes=GENES[:-2]), "warn", more=["--min-overlap", "0.8"]),
    file_row("good AnnData", "3 samples x 3 tissues", h5ad(), "accept", "new.h5ad"),
    file_row("a good table, gzipped", "3 samples x 3 tissues",
             lambda path: path.write_bytes(gzip.compress(good_text().encode())), "accept", "new.tsv.gz"),
    traits_row("good traits", "3 samples x 3 tissues", people(), "accept"),
    traits_row("traits with empty fields", "3 samples x 3 tissues", people("person-0\t\t\t\t"), "accept"),
    traits_row("traits in another order", "3 samples x 3 tissues", TRAITS + "person-2\t1\t40\t2\t7\nperson-0\t2\t30\t1\t8\nperson-1\t1\t50\t0\t6\n", "accept"),
    # Files that are none.
    Case("predict", "no expression", "refuse", lambda f: predict(bundle(f), expression="none.tsv"), "no such file", "none.tsv"),
    file_row("a pipe", "found a pipe", os.mkfifo),
    file_row("a folder", "found a folder", os.mkdir),
    file_row("a link to a device", "no regular file", lambda path: path.symlink_to("/dev/zero")),
    text_row("an empty file", "found", b""),
    text_row("a header alone", "found", "gene_id\ta\tb\n"),
    text_row("genes alone", "found", "gene_id\n" + "\n".join(GENES) + "\n"),
    text_row("zero bytes", "found", b"\x00" * 5000),
    text_row("random bytes", "found", np.random.default_rng(0).bytes(5000)),
    text_row("gzip under the name of a table", "found", gzip.compress(good_text().encode())),
    text_row("a table under the name of gzip", "found", good_text(), file="new.tsv.gz"),
    file_row("gzip cut in the middle", "found", lambda path: path.write_bytes(gzip.compress(good_text().encode())[:-30]), file="new.tsv.gz"),
    text_row("Latin-1 letters", "found", good_text(names=("a", "b", "c")).replace("a\t", "caf\xe9\t", 1).encode("latin-1")),
    text_row("another format's name", "found", good_text(), file="new.xlsx"),
    text_row("a table under AnnData's name", "found", good_text(), file="new.h5ad"),
    file_row("AnnData cut in the middle", "found", h5ad(lambda path: path.write_bytes(path.read_bytes()[:4000])), file="new.h5ad"),
    *(file_row(f"AnnData overwritten at {place:.0%}", "found", h5ad(overwrite(place, b"\xff" * 300)), file="new.h5ad") for place in (0, 0.05)),
    text_row("text in UTF-16", "UTF-16.*Save it as UTF-8", good_text().encode("utf-16")),
    text_row("a workbook of a spreadsheet", "workbook.*as text", b"PK\x03\x04" + bytes(500)),
    text_row("content packed by xz under the name of gzip", "xz.*gzip", lzma.compress(good_text().encode()), file="new.tsv.gz"),
    text_row("two gzip members", "3 samples x 3 tissues", gzip.compress(good_text()[:99].encode()) + gzip.compress(good_text()[99:].encode()), "accept", "new.tsv.gz"),
    text_row("line ends of old Macs", "old Macs", good_text(end="\r")),
    text_row("a gene with a NUL byte", "line 5: found a NUL byte", good_text().replace(GENES[3], "ENSG\0")),
    Case("predict", "a name of a file that is no UTF-8", "refuse", not_utf8, "not UTF-8", then=no_answer),
    # Tables.
    text_row("a header as R writes it", "R wrote the table", good_text().replace("gene_id\t", "", 1)),
    text_row("a comment before the header", "3 samples", "# made by x\n" + good_text(), "accept"),
    text_row("a comment alone", "'# made by x'", "# made by x\n"),
    text_row("a GCT under the name of a table", r"\.gct", "#1.2\n12\t3\n" + good_text()),
    text_row("four million columns", "at most 1048576 columns", "gene_id" + "\ta" * 2**22 + "\n"),
    text_row("decimal commas", "Numbers have a point", good_text().replace(".", ",").replace(",1\t", ".1\t")),
    text_row("a row one field short", "found", good_text()[:-2].rsplit("\t", 1)[0] + "\n"),
    text_row("a row one field longer", "found", good_text()[:-1] + "\t7\n"),
    text_row("a sample twice", "a", good_text(names=("a", "b", "a"))),
    text_row("what Salmon writes of one sample", "of one sample.*column TPM", good_text("Name", ("Length", "EffectiveLength", "TPM"))),
    text_row("genes of another species", "another species", good_text(genes=[gene.replace("ENSG", "ENSMUSG") for gene in GENES])),
    text_row("a gene twice", "duplicate gene|2 times", good_text(genes=[*GENES[:-1], GENES[0]])),
    text_row("two versions of a gene", "duplicate gene|times", good_text(genes=[*GENES[:-1], GENES[0].replace(".1", ".2")])),
    text_row("gene symbols", "Ensembl", good_text(genes=[f"G{i}" for i in range(N_GENES)])),
    text_row("no gene of the model", "no gene of the model", good_text(genes=[f"ENSG9{i:010d}" for i in range(N_GENES)])),
    text_row("samples as rows", "gene ids.*Transpose", "sample\t" + "\t".join(GENES) + "\na\t" + "\t".join(["7"] * N_GENES) + "\n"),
    text_row("samples as rows, genes by symbol", "gene symbols.*Transpose", "sample\t" + "\t".join(f"G{i}" for i in range(N_GENES)) + "\na\t" + "\t".join(["7"] * N_GENES) + "\n"),
    text_row("semicolons between fields", "semicolons", good_text().replace("\t", ";"), file="new.csv"),
    text_row("tabs under the name of a table with commas", "tabs between", good_text(), file="new.csv"),
    text_row("commas under the name of a table with tabs", "commas", good_text().replace("\t", ",")),
    text_row("a sample without a name", "found", good_text(names=("a", "", "c"))),
    text_row("a sample named by terminal escapes", "found", good_text(names=("a", "\x1b[2Jb", "c"))),
    text_row("text among numbers", "non-numeric|found", good_text().replace("\t", "\thigh", 20)),
    # Values.
    values_row("a value below 0", "negative", at(3, 1, -7.0)),
    values_row("a value that is missing", "NaN|found nan", at(3, 1, np.nan)),
    values_row("a value without end", "inf", at(3, 1, np.inf)),
    values_row("a value of 1e38", "found", at(3, 1, 1e38)),
    values_row("logarithms", "log", lambda v: np.log2(1 + v)),
    file_row("one sample of logarithms among good ones", "person-1.*log-scaled", mixed, of="wide"),
    values_row("all zeros", "found", lambda v: 0 * v),
    values_row("one sample of zeros", "found", lambda v: np.column_stack([v[:, 0], 0 * v[:, 1], v[:, 2]])),
    values_row("all ones", "found", lambda v: 0 * v + 1),
    values_row("logarithms, said to be so", "read as log2", lambda v: np.log2(1 + v), "accept", more=["--units", "log2"]),
    values_row("TPM said to be logarithms", "found", lambda v: v, more=["--units", "log2"]),
    # Traits.
    traits_row("sex 7", "1, M or Male, 2, F or Female", people("person-0\t7\t40\t2\t7")),
    traits_row("sex boy", "1, M or Male", people("person-0\tboy\t40\t2\t7")),
    traits_row("age in months", "0 to 120", people("person-0\t1\t487\t2\t7")),
    traits_row("an age below 0", "0 to 120", people("person-0\t1\t-4\t2\t7")),
    traits_row("hardy 9", "0 to 4", people("person-0\t1\t40\t9\t7")),
    traits_row("RIN 1e300", "0 to 10", people("person-0\t1\t40\t2\t1e300")),
    traits_row("traits with a row cut short", "line 3: found 2 fields", people("person-0\t1\t40\t2\t7", "person-1\t1")),
    traits_row("traits with a field more in every row", "R wrote the table", people().replace("\t7\n", "\t7\t0\n")),
    traits_row("traits with a column Sex", "column 'Sex'; expected sex", people().replace("sex", "Sex")),
    traits_row("traits with a column that nobody knows", "1 column not used: 'weight'", people().replace("\trin", "\trin\tweight").replace("\t7\n", "\t7\t70\n"), "warn"),
    traits_row("traits with another donor than the samples'", "the donor 'x' of sample 'person-0'", people().replace("\trin", "\trin\tdonor").replace("\t7\n", "\t7\tx\n")),
    traits_row("traits with a column twice", "'age' twice", people().replace("sex", "age")),
    traits_row("traits with line ends of old Macs", "old Macs", people().replace("\n", "\r")),
    traits_row("traits of 100,000 columns", "a header and no row", "sample_id\t" + "\t".join(map(str, range(100_000))) + "\n"),
    traits_row("a person without a row", "no row for sample person-2", people().rsplit("person-2", 1)[0]),
    traits_row("a person twice", "several rows|twice", people() + "person-0\t1\t40\t2\t7\n"),
    traits_row("no column of samples", "sample_id", people().replace("sample_id", "id")),
    traits_row("no column of ages", "no sample has, missing for all: age, hardy, rin", "sample_id\tsex\n" + "".join(f"person-{i}\t1\n" for i in range(3)), "warn"),
    Case("predict", "a model of blood and covariates without traits", "warn", lambda f: predict(bundle(f, "ridge_of_rank_2")), "no sample has, missing for all: sex, age, hardy", then=answer),
    traits_row("an empty table", "found", ""),
    Case("predict", "a model of covariates without traits", "refuse", lambda f: predict(bundle(f, "covariates")), "--traits", "age", then=no_answer),
    Case("predict", "a pipe of traits", "refuse", lambda f: (os.mkfifo(f / "traits.tsv"), predict(bundle(f), "--traits", "traits.tsv"))[1], "found a pipe", "traits.tsv", then=no_answer),
    # Options.
    Case("predict", "an unknown source", "refuse", lambda f: ["Brain" if word == SOURCE else word for word in predict(bundle(f))], "one of|trained to predict from", then=no_answer),
    option("an unknown target", "one of", "--target", "Brain", names="'Brain'"),
    option("the source as target", "other than the source", "--target", SOURCE),
    option("a target with terminal escapes", "one of", "--target", "\x1b[2J"),
    option("a target twice", "3 samples x 1 tissue", "--target", "Lung", "--target", "Lung", verdict="accept"),
    samples_row("a table of samples", "3 samples x 3 tissues", PEOPLE_OF_BLOOD, "accept"),
    samples_row("a table of samples, one of them of no file", "1 sample is in no file", PEOPLE_OF_BLOOD + "nobody\tx\tLung\n", "warn"),
    samples_row("samples that the table of samples lacks", "2 samples of the files are not in it, and left out: 'person-1', 'person-2'",
                "sample_id\tdonor\ttissue\nperson-0\tx\tWhole Blood\n", "warn"),
    samples_row("a donor NA in the table of samples", "no donor of sample 'person-1' but the word 'NA'", PEOPLE_OF_BLOOD.replace("\ty\t", "\tNA\t")),
    samples_row("a table of samples with a column Donor", "column 'Donor'; expected donor", PEOPLE_OF_BLOOD.replace("donor", "Donor")),
    samples_row("two samples of a person and tissue", "a second sample of donor x", PEOPLE_OF_BLOOD.replace("\ty\t", "\tx\t")),
    samples_row("a table of samples with an unknown tissue", "one of", PEOPLE_OF_BLOOD.replace(SOURCE, "Spleens", 1)),
    samples_row("a table of samples with an empty tissue", "no tissue", PEOPLE_OF_BLOOD.replace(SOURCE, "", 1)),
    samples_row("a table of samples without tissues", "no tissue of its samples", "sample_id\tdonor\nperson-0\tx\n"),
    samples_row("a sample twice in the table of samples", "several rows", PEOPLE_OF_BLOOD.replace("person-1", "person-0")),
    samples_row("a donor named by terminal escapes", "found", PEOPLE_OF_BLOOD.replace("\ty\t", "\t\x1b[2J\t")),
    samples_row("a table of samples of other people", "no sample of", PEOPLE_OF_BLOOD.replace("person", "nobody")),
    samples_row("a table of samples of random bytes", "found", np.random.default_rng(1).bytes(3000)),
    samples_row("an age of 500 among the samples", "0 to 120", PEOPLE_OF_BLOOD.replace("tissue\n", "tissue\tage\n").replace("Blood\n", "Blood\t500\n")),
    Case("predict", "two files of one person's samples", "accept", sources(f"{SOURCE}=blood.tsv", "Lung=lung.tsv"), "3 people with 6 samples x 4 tissues", then=answer),
    Case("predict", "two files, one of which the model does not use", "warn", sources(f"{SOURCE}=blood.tsv", "Lung=lung.tsv", of="ridge"), "3 samples of other tissues are not used", then=answer),
    Case("predict", "one file for two tissues", "accept", sources(f"{SOURCE}=blood.tsv", "Lung=blood.tsv"), "3 people with 6 samples", then=answer),
    Case("predict", "a tissue twice", "refuse", sources(f"{SOURCE}=blood.tsv", f"{SOURCE}=lung.tsv"), "a second sample of donor person-0", then=no_answer),
    Case("predict", "a source without a file", "refuse", sources(SOURCE), "TISSUE=FILE", then=no_answer),
    Case("predict", "a source whose file is missing", "refuse", sources(f"{SOURCE}=none.tsv"), "no such file", "none.tsv", then=no_answer),
    Case("predict", "samples of the target alone", "refuse", lambda folder: [*sources("Lung=lung.tsv")(folder), "--target", "Lung"], "other than the source", then=no_answer),
    obs_row("AnnData that says its tissues", "3 people with 3 samples|3 samples x", [SOURCE, SOURCE, "Lung"], "accept"),
    obs_row("AnnData with an unknown tissue", "one of", [SOURCE, SOURCE, "Spleens"]),
    obs_row("AnnData whose tissues are numbers", "one of", [1, 2, 3]),
    obs_row("AnnData whose tissues are another file's", "a link to", [SOURCE] * 3, change=linked_column),
    genes_row("a file of genes", "3 samples x 3 tissues, 2 genes", f"gene_id\n{GENES[1]}\n{GENES[2][:-2].lower()}.99\n".encode(), "accept"),
    genes_row("a file of genes in quotes", "3 samples x 3 tissues, 2 genes", f'"gene_id"\n"{GENES[1]}"\n"{GENES[2]}"\n'.encode(), "accept"),
    genes_row("a file of genes, some unknown", "1 unknown to the model", f"{GENES[1]}\n\x1b[2J\n".encode(), "warn"),
    genes_row("a file of no gene", "no gene of the model", b"TP53\nBRCA1\n"),
    genes_row("an empty file of genes", "no gene of the model", b""),
    genes_row("a file of genes of random bytes", "found", np.random.default_rng(1).bytes(3000)),
    option("a gene of no model", "no gene of the model", "--genes", "\x1b[2J,NOPE"),
    option("genes whose names are longer than a file's", "unknown to the model", "--genes", ",".join(["G0", *map("X{}".format, range(2000))]), verdict="accept"),
    option("reliable genes of a bundle that knows none", "certified bundle", "--min-reliability", "high"),
    Case("predict", "reliable genes of people of whom no reliability is known", "refuse",
         lambda folder: [*sources("Lung=lung.tsv", of="certified_joint")(folder), "--min-reliability", "low"],
         "samples of Lung alone.*predictions from Whole Blood", "--min-reliability", then=no_answer),
    option("--min-reliability 7", "--min-reliability", "--min-reliability", "7", status=2),
    option("--align harmony", "--align", "--align", "harmony", status=2),
    option("a scale of a long table", "--wide", "--scale", "log2"),
    option("genes as rows of AnnData", "a table", "--wide", "--out", "told.h5ad"),
    option("a page in place of the table", "the file of --", "--report", "told.tsv"),
    Case("predict", "a page about a crowd", "refuse", crowd, "11 people", "--report", then=no_answer),
    *(option(f"--min-overlap {given}", "--min-overlap", f"--min-overlap={given}", status=2) for given in ("2", "-1", "nan", "much")),
    option("--scale fpkm", "--scale", "--scale", "fpkm", status=2),
    option("an unknown option", "--shell", "--shell", "sh", status=2),
    option("an output of another format", "'.csv'", "--out", "told.csv"),
    option("a page under the name of a picture", "ending '.pdf'", "--report", "told.pdf"),
    option("an output below a file", "no folder", "--out", "blood.tsv/told.tsv"),
    option("an output whose name is too long", "300 bytes", "--out", "a" * 296 + ".tsv"),
    Case("predict", "an output whose name leaves no room for another", "accept", lambda f: predict(bundle(f), "--out", LONG), "3 samples", then=long_answer),
    Case("predict", "an earlier page beside a new table, with --force", "accept", earlier_page, "a page about 3 people", then=answer),
    Case("predict", "an output in place of a folder", "refuse", in_place_of_a_folder, "a folder", "told.d.tsv"),
    Case("predict", "an output that is there already", "refuse", earlier(), "--force", "told.tsv",
         then=still_earlier),
    Case("predict", "an output that is there already, with --force", "accept", earlier("--force"), "3 samples", "told.tsv", then=answer),
    *(Case("predict", f"an output that is the file of {of}{' by a ' + how if how else ''}, with --force", "refuse", onto(target, "--force"), f"the file of {of}", target, then=kept)
      for of, how, target in (("--expression", "", "blood.tsv"), ("--expression", "hard link", "same.tsv"), ("--expression", "symbolic link", "link.tsv"),
                              ("--traits", "", "traits.tsv"), ("--expression", "path through a folder", "results/../blood.tsv"))),
]  # fmt: skip
