"""New people: what `mtm predict` does with their files and its own options."""

import gzip
import os

import anndata
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


def h5ad(change=None):
    """Return what writes new people as AnnData."""

    def write(path):
        data = anndata.AnnData(new_expression(N_GENES).T.astype(np.float32),
                               obs=pd.DataFrame(index=["a", "b", "c"]),
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
    # Tables.
    text_row("a row one field short", "found", good_text()[:-2].rsplit("\t", 1)[0] + "\n"),
    text_row("a row one field longer", "found", good_text()[:-1] + "\t7\n"),
    text_row("a sample twice", "a", good_text(names=("a", "b", "a"))),
    text_row("a gene twice", "duplicate gene|2 times", good_text(genes=[*GENES[:-1], GENES[0]])),
    text_row("two versions of a gene", "duplicate gene|times", good_text(genes=[*GENES[:-1], GENES[0].replace(".1", ".2")])),
    text_row("gene symbols", "Ensembl", good_text(genes=[f"G{i}" for i in range(N_GENES)])),
    text_row("no gene of the model", "no gene of the model", good_text(genes=[f"ENSG9{i:010d}" for i in range(N_GENES)])),
    text_row("samples as rows", "found", "sample\t" + "\t".join(GENES) + "\na\t" + "\t".join(["7"] * N_GENES) + "\n"),
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
    traits_row("a person without a row", "no row for sample person-2", people().rsplit("person-2", 1)[0]),
    traits_row("a person twice", "several rows|twice", people() + "person-0\t1\t40\t2\t7\n"),
    traits_row("no column of samples", "sample_id", people().replace("sample_id", "id")),
    traits_row("no column of ages", "age", "sample_id\tsex\n" + "".join(f"person-{i}\t1\n" for i in range(3))),
    traits_row("an empty table", "found", ""),
    Case("predict", "a model of covariates without traits", "refuse", lambda f: predict(bundle(f, "covariates")), "--traits", "age", then=no_answer),
    Case("predict", "a pipe of traits", "refuse", lambda f: (os.mkfifo(f / "traits.tsv"), predict(bundle(f), "--traits", "traits.tsv"))[1], "found a pipe", "traits.tsv", then=no_answer),
    # Options.
    option("an unknown source", "one of|trained to predict from", "--source", "Brain"),
    option("an unknown target", "one of", "--target", "Brain", names="'Brain'"),
    option("the source as target", "other than the source", "--target", SOURCE),
    option("a target with terminal escapes", "one of", "--target", "\x1b[2J"),
    option("a target twice", "3 samples x 1 tissues", "--target", "Lung", "--target", "Lung", verdict="accept"),
    *(option(f"--min-overlap {given}", "--min-overlap", f"--min-overlap={given}", status=2) for given in ("2", "-1", "nan", "much")),
    option("--scale fpkm", "--scale", "--scale", "fpkm", status=2),
    option("an unknown option", "--shell", "--shell", "sh", status=2),
    option("an output of another format", "'.csv'", "--out", "told.csv"),
    Case("predict", "an output in place of a folder", "refuse", in_place_of_a_folder, "a folder", "told.d.tsv"),
    Case("predict", "an output that is there already", "refuse", earlier(), "--force", "told.tsv",
         then=still_earlier),
    Case("predict", "an output that is there already, with --force", "accept", earlier("--force"), "3 samples", "told.tsv", then=answer),
    *(Case("predict", f"an output that is the file of {of}{' by a ' + how if how else ''}, with --force", "refuse", onto(target, "--force"), f"the file of {of}", target, then=kept)
      for of, how, target in (("--expression", "", "blood.tsv"), ("--expression", "hard link", "same.tsv"), ("--expression", "symbolic link", "link.tsv"),
                              ("--traits", "", "traits.tsv"), ("--expression", "path through a folder", "results/../blood.tsv"))),
]  # fmt: skip
