"""Trouble in the middle: inputs that change between runs, states that are damaged, a clock."""

import hashlib
import os
import re

import torch
from tests.hostile import ingest
from tests.hostile.case import Case
from tests.hostile.command import run
from tests.hostile.files import config, write_config
from tests.hostile.ingest import BUILD, GCT, PEOPLE, SAMPLES, column, swap, text

from mtm.io import atomic_path
from mtm.models.donors import DonorsKey

NET = {
    "class": "mtm",
    "parameters": {
        "encoder_widths": [8],
        "code_width": 4,
        "generator_widths": [8],
        "discriminator_widths": [8],
        "mapping_widths": [4],
        "noise_width": 2,
        "steps": 3,
    },
}
STATE = "checkpoints/small/net/fold0/state.pt"
BUNDLE = "results/small/models/net/fold0.safetensors"
TRAIN = ["snakemake", BUNDLE, *BUILD[2:]]


def prepare(folder):
    """Build a cohort, and a model on it."""
    ingest.prepare(folder)
    write_config(folder, config(models={"net": NET}))
    key = folder / "results/small/models/donors.key"
    key.parent.mkdir(exist_ok=True)
    DonorsKey.write(key)


def cohort_of(folder):
    """Return the digests of the cohort's files."""
    place = folder / "results/small/cohort"
    return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in place.iterdir()}


def older(folder):
    """Put another table in place whose time of change is years ago."""
    text(PEOPLE, column("SEX", "2"))(folder)
    os.utime(folder / PEOPLE, (10**9, 10**9))
    return BUILD


def is_taken(folder, outcome):
    """See the table's content in the cohort."""
    donors = (folder / "results/small/cohort/donors.tsv").read_text().splitlines()
    assert donors[1].split("\t")[1] == "2"


def touched(folder):
    """Change the time of every input alone."""
    for file in (GCT, SAMPLES, PEOPLE):
        os.utime(folder / file)
    return BUILD


def ahead(folder):
    """Replace a table by one that is dated ahead of the clock."""
    text(PEOPLE, column("SEX", "2"))(folder)
    os.utime(folder / PEOPLE, (4 * 10**9, 4 * 10**9))
    return BUILD


def back_again(folder, outcome):
    """Put the good input back, older than the failed run, and see that nothing is left to do."""
    fresh = folder / PEOPLE
    fresh.write_text(fresh.read_text().replace("\t500\t", "\t20-29\t"))
    os.utime(fresh, (10**9, 10**9))
    before = cohort_of(folder)
    again = run(BUILD, folder, 20.0)
    assert again.status == 0, again.text
    assert "Nothing to be done" in again.text
    assert cohort_of(folder) == before


def renamed(folder):
    """Swap two tables, which are as old as the cohort, in the configuration."""
    (folder / "one.tsv").write_bytes((folder / PEOPLE).read_bytes())
    os.utime(folder / "one.tsv", (10**9, 10**9))
    changed = {"subject_phenotypes": "one.tsv", "sample_attributes": "one.tsv"}
    write_config(folder, config(inputs=changed))
    return BUILD


def leftover(folder):
    """Leave what a killed process leaves."""
    with atomic_path(folder / "results/small/cohort/donors.tsv") as mine:
        mine.write_bytes((folder / "results/small/cohort/donors.tsv").read_bytes())
    name = re.sub(r"\.\d+\.", ".999999999.", mine.name)
    mine.with_name(name).write_text("half")
    text(PEOPLE, column("SEX", "2"))(folder)
    return BUILD


def is_cleared(folder, outcome):
    """See no file under a temporary name."""
    assert not list((folder / "results").rglob("*.partial.*"))


def damaged(content):
    """Return the maker of a training that finds a state with that content."""

    def make(folder):
        path = folder / STATE
        path.parent.mkdir(parents=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        return TRAIN

    return make


def flipped(path):
    """Write a state of another run, one bit of it changed."""
    torch.save({"key": "x", "values": torch.arange(5000)}, path)
    data = path.read_bytes()
    data += hashlib.sha256(data).digest()
    path.write_bytes(data[:900] + bytes([data[900] ^ 1]) + data[901:])


def pickled(path):
    """Write a pickle of something else, with a digest at its end."""
    data = b"cos\nsystem\n(S'touch hacked'\ntR."
    path.write_bytes(data + hashlib.sha256(data).digest())


def ran_nothing(folder, outcome):
    """See that the pickle ran no code, and the bundle made."""
    assert not (folder / "hacked").exists()
    assert (folder / BUNDLE).exists()


FOLDS = "results/small/cohort/folds.tsv"


def folds(change):
    """Return the maker of a training on folds that somebody edited."""

    def make(folder):
        path = folder / FOLDS
        path.write_text(change(path.read_text()))
        return [*TRAIN, "--allowed-rules", "train_fold"]

    return make


def fault(name, verdict, make, says, names="", **options):
    """Return a row."""
    return Case("faults", name, verdict, make, says, names, **options)


CASES = [
    fault("another input with an older time", "accept", older, "steps .* done", changes=True, then=is_taken),
    fault("inputs with another time alone", "accept", touched, "Nothing to be done"),
    fault("an input dated ahead of the clock", "refuse", ahead, "ahead of this machine's clock", PEOPLE),
    fault("a failed rebuild, then the good input again", "refuse", text(PEOPLE, column("AGE", "500"), BUILD), "found '500'", PEOPLE, then=back_again),
    fault("one table in place of two, both old", "refuse", renamed, "a column named SAMPID", "one.tsv"),
    fault("what a killed job left", "accept", leftover, "steps .* done", changes=True, then=is_cleared),
    fault("an empty training state", "warn", damaged(b""), "is damaged", "state.pt", changes=True),
    fault("a training state that is cut", "warn", damaged(b"PK\x03\x04" + bytes(200)), "is damaged", "state.pt", changes=True),
    fault("a training state of noise", "warn", damaged(bytes(range(256)) * 9), "is damaged", "state.pt", changes=True),
    fault("a training state with a flipped bit", "warn", damaged(flipped), "is damaged", "state.pt", changes=True),
    fault("a training state that is a pickle", "warn", damaged(pickled), "is damaged", "state.pt", changes=True, then=ran_nothing),
    fault("a folder for a training state", "warn", damaged(lambda path: path.mkdir()), "is damaged", "state.pt", changes=True),
    *(
        fault(f"folds with {name}", "refuse", folds(change), says, "folds.tsv")
        for name, change, says in [
            ("a fold in words", lambda t: t.replace("\t1\n", "\tone\n", 1), "'one'"),
            ("a fold -7", lambda t: t.replace("\t1\n", "\t-7\n", 1), "'-7'"),
            ("a fold 99", lambda t: t.replace("\t1\n", "\t99\n", 1), "found 99"),
            ("one fold more than the configuration has", lambda t: t.replace("\t1\n", "\t2\n", 1), "folds 0 to 1, as folds.n_folds says"),
            ("one fold less", lambda t: t.replace("\t1\n", "\t0\n"), "folds 0 to 1, as folds.n_folds says"),
            ("most donors missing", lambda t: "\n".join(t.split("\n")[:6]) + "\n", "no row for"),
            ("a donor twice", lambda t: t + t.rstrip("\n").split("\n")[-1] + "\n", "every donor once"),
            ("a row cut short", lambda t: t.rstrip("\n").rsplit("\t", 1)[0] + "\n", "1 field"),
        ]
    ),
    fault("a result that is swapped for garbage", "refuse", swap(FOLDS, "donor\tfold", "a\tb", [*TRAIN, "--allowed-rules", "train_fold"]), "a column named donor", "folds.tsv", changes=True),
]  # fmt: skip
