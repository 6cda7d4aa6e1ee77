"""Files of single analyses: conservation, interactions, identifiers, landmarks, elsewhere."""

import os

import numpy as np
import pyBigWig
from safetensors.numpy import save_file
from tests.hostile.case import Case
from tests.hostile.files import config, samples, write_cohort, write_config

CHECK = ["mtm", "check", "--configfile", "config.yaml"]
MODEL = "".join(
    f'chr1\tx\t{kind}\t{start}\t{start + 50}\t.\t+\t.\tgene_id "ENSG{i:011d}.1"; '
    'gene_type "protein_coding";\n'
    for i in range(1, 31)
    for start in [100 * i]
    for kind in ("gene", "exon")
)


def prepare(folder):
    """Write a cohort, good files beside it and an earlier result."""
    write_cohort(folder)
    (folder / "genes.gtf").write_text(MODEL)
    with pyBigWig.open(str(folder / "scores.bw"), "w") as file:
        file.addHeader([("chr1", 5000), ("chr2", 4000)])
        for name in ("chr1", "chr2"):
            starts = np.arange(0, 3000, 10)
            values = np.random.default_rng(1).random(len(starts))
            file.addEntries([name] * len(starts), starts, ends=starts + 10, values=values)
    (folder / "scores.tsv").write_text(
        "gene_id\tscore\n" + "".join(f"ENSG{i:011d}\t0.{i}\n" for i in range(1, 13))
    )
    (folder / "partners.tsv").write_text("a\tb\tscore\nS1\tS2\t0.7\nS2\tS3\t0.9\n")
    (folder / "ids.tsv").write_text(
        "symbol\tensembl_gene_id\tentrez_id\tuniprot_ids\nS1\tENSG00000000001\t1\tP1\n"
    )
    (folder / "panel.txt").write_text("S1\nENSG00000000002\n")
    names = [name for name, *_ in samples()]
    rows = [f"ENSG{i:011d}.1\t" + "\t".join(["17"] * len(names)) for i in range(1, 13)]
    (folder / "counts.tsv").write_text("\n".join(["\t".join(["gene_id", *names]), *rows, ""]))
    weights = {"bias": np.zeros(2, np.float32)}
    save_file(weights, folder / "encoder.safetensors", metadata={"genes": '["S1", "S2"]'})
    genes = [f"ENSG{i:011d}\t{i % 7}\t1.25\t{i % 5}.5\n" for i in range(1, 31)]
    (folder / "profiles.tsv").write_text("gene_id\tLiver\tLung\tSkin\n" + "".join(genes))
    (folder / "promoters.fa").write_text("".join(f">{one[:15]}\nACGTACGT\n" for one in genes))
    earlier = folder / "results/small/gene_characteristics"
    earlier.mkdir(parents=True)
    (earlier / "summary.tsv").write_text("earlier\n")


def check(folder, **files):
    """Check the cohort with further files, of profiles and among the inputs."""
    profiles = {role: files.pop(role) for role in ("table", "promoters") if role in files}
    inputs = {"gene_model": "genes.gtf"} | files
    write_config(folder, config(inputs=inputs, profiles={"run": True} | profiles))
    return CHECK


def spoilt(role, file, change):
    """Return the maker of a row in which the bytes of a file are changed."""

    def make(folder):
        before = (folder / file).read_bytes()
        after = change(before)
        assert after != before
        (folder / file).write_bytes(after)
        return check(folder, **{role: file})

    return make


def flipped(place, value=255):
    """Return the change of one byte."""
    return lambda data: data[:place] + bytes([data[place] ^ value]) + data[place + 1 :]


def piped(folder):
    """Name a pipe that nobody writes to."""
    os.mkfifo(folder / "pipe.bw")
    return check(folder, conservation="pipe.bw")


BIGWIG = [
    ("cut in half", lambda data: data[: len(data) // 2], "bigWig"),
    ("cut in its head", lambda data: data[:40], "bigWig"),
    ("empty", lambda data: b"", "bigWig"),
    ("of text", lambda data: b"chr1\t0\t10\t0.5\n" * 50, "bigWig"),
    ("of zeros", lambda data: bytes(len(data)), "bigWig"),
    ("with another magic number", flipped(0), "bigWig"),
    ("with a place of chromosomes beyond its end", lambda data: data[:8] + b"\xff" * 8 + data[16:], "bigWig"),
    ("with endless zoom levels", lambda data: data[:6] + b"\xff\xff" + data[8:], "bigWig"),
    ("with a broken tree of chromosomes", lambda data: (lambda at: data[:at] + b"\xff" * 32 + data[at + 32 :])(int.from_bytes(data[8:16], "little")), "bigWig"),
    ("with chromosomes of 2^32 keys", lambda data: (lambda at: data[:at + 8] + b"\xff" * 8 + data[at + 16 :])(int.from_bytes(data[8:16], "little")), "bigWig"),
]  # fmt: skip
TABLES = [
    ("conservation", "scores.tsv", "a conservation table with a row cut short", lambda data: data + b"ENSG00000000099\n", "1 field"),
    ("conservation", "scores.tsv", "a conservation table with a column twice", lambda data: data.replace(b"gene_id\tscore", b"score\tscore"), "twice"),
    ("conservation", "scores.tsv", "a conservation table without gene ids", lambda data: data.replace(b"gene_id", b"name"), "gene_id or ensembl_gene_id"),
    ("conservation", "scores.tsv", "a conservation table of words", lambda data: data.replace(b"0.", b"x"), "numeric column"),
    ("conservation", "scores.tsv", "a conservation table with a gene twice", lambda data: data + b"ENSG00000000001.7\t0.1\n", "twice"),
    ("conservation", "scores.tsv", "an empty conservation table", lambda data: b"", "an empty file"),
    ("conservation", "scores.tsv", "a conservation table that is no text", lambda data: b"\xfd\xfe" + data, "no text"),
    ("interactions", "partners.tsv", "interactions with a word for a score", lambda data: data.replace(b"0.9", b"high"), "'high'"),
    ("interactions", "partners.tsv", "interactions with a row cut short", lambda data: data + b"S1\n", "1 field"),
    ("interactions", "partners.tsv", "interactions of one column", lambda data: b"a\nb\n", "found"),
    ("gene_identifiers", "ids.tsv", "identifiers without Ensembl ids", lambda data: data.replace(b"ensembl_gene_id", b"ensembl"), "ensembl_gene_id"),
    ("landmarks", "panel.txt", "landmarks with a gene twice", lambda data: data + b"S1\nS1\n", "duplicate gene"),
    ("landmarks", "panel.txt", "landmarks that are no text", lambda data: b"\xff\xfe" + data, "UTF-16"),
    ("landmarks", "panel.txt", "an empty list of landmarks", lambda data: b"", "an empty file"),
    ("landmarks", "panel.txt", "landmarks of two columns without ids", lambda data: b"gene\tprobe\nS1\tp\n", "ensembl_gene_id or gene_id"),
    ("counts", "counts.tsv", "TPM for counts", lambda data: data.replace(b"\t17\t", b"\t16.8\t", 1), "whole numbers"),
    ("counts", "counts.tsv", "counts beyond what is counted", lambda data: data.replace(b"\t17\t", b"\t17e30\t", 1), "whole numbers"),
    ("counts", "counts.tsv", "counts below 0", lambda data: data.replace(b"\t17\t", b"\t-17\t", 1), "-17"),
    ("counts", "counts.tsv", "counts with a word", lambda data: data.replace(b"\t17\t", b"\tmany\t", 1), "'many'"),
    ("counts", "counts.tsv", "an empty file of counts", lambda data: b"", "sample ids: found nothing"),
    ("rank_encoder", "encoder.safetensors", "an encoder's weights as a pickle", lambda data: b"\x80\x04" + data, "a file that is none"),
    ("rank_encoder", "encoder.safetensors", "an encoder's weights cut in half", lambda data: data[: len(data) // 2], "a file that is none"),
    ("rank_encoder", "encoder.safetensors", "an encoder's weights with a gene twice", lambda data: data.replace(b"S2", b"S1"), "no ids that differ"),
    ("table", "profiles.tsv", "profiles of words", lambda data: data.replace(b"1.25", b"low"), "a number of 30 at most"),
    ("table", "profiles.tsv", "profiles in TPM", lambda data: data.replace(b"1.25", b"512"), "log2"),
    ("table", "profiles.tsv", "profiles with a gene twice", lambda data: data + b"ENSG00000000001.7\t1\t1\t1\n", "twice"),
    ("table", "profiles.tsv", "profiles with a tissue hidden in every gene", lambda data: data.replace(b"\t1.25", b"\t"), "hidden in every gene"),
    ("table", "profiles.tsv", "profiles of a gene without a position", lambda data: data + b"ENSG00000000099\t1\t1\t1\n", "1 of 31 genes without a position"),
    ("table", "profiles.tsv", "profiles with a row cut short", lambda data: data + b"ENSG00000000099\n", "1 field"),
    ("table", "profiles.tsv", "profiles of two tissues", lambda data: data.replace(b"\t1.25", b"").replace(b"\tLung", b""), "by 2 tissues"),
    ("promoters", "promoters.fa", "promoters of RNA", lambda data: data.replace(b"ACGT", b"ACGU"), "RNA has U for T"),
    ("promoters", "promoters.fa", "promoters of protein", lambda data: data.replace(b"ACGT", b"MKLV"), "letters of DNA"),
    ("promoters", "promoters.fa", "a promoter without a name", lambda data: data + b">\nACGT\n", "a name that is empty"),
    ("promoters", "promoters.fa", "promoters that are no text", lambda data: b"\xfd\xfe" + data, "no text"),
    ("promoters", "promoters.fa", "an empty file of promoters", lambda data: b"", "an empty file"),
    ("gene_model", "genes.gtf", "a gene model with a word for a place", lambda data: data.replace(b"\t100\t", b"\tx\t", 1), "nine fields"),
    ("gene_model", "genes.gtf", "a gene model with a gene twice", lambda data: data + data, "duplicate gene"),
    ("gene_model", "genes.gtf", "a gene model without genes", lambda data: b"#empty\n", "no gene row"),
]  # fmt: skip

CASES = [
    Case(
        "annotation",
        "good files of every kind",
        "accept",
        lambda folder: check(
            folder,
            conservation="scores.bw",
            interactions="partners.tsv",
            gene_identifiers="ids.tsv",
            landmarks="panel.txt",
            counts="counts.tsv",
            rank_encoder="encoder.safetensors",
            table="profiles.tsv",
            promoters="promoters.fa",
        ),
        "12 files checked, no problem found",
    ),
    *(
        Case(
            "annotation",
            f"a bigWig {name}",
            "refuse",
            spoilt("conservation", "scores.bw", change),
            says,
            "scores.bw",
        )
        for name, change, says in BIGWIG
    ),
    Case("annotation", "a pipe for a bigWig", "refuse", piped, "a pipe", "pipe.bw"),
    *(
        Case("annotation", name, "refuse", spoilt(role, file, change), says, file)
        for role, file, name, change, says in TABLES
    ),
]
