"""Every writer, each of whose writes, flushes and renames fails once: old content or new."""

import errno
import os
import re
import resource
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import mtm.io
from mtm.cohort.h5_files import new_h5_file
from mtm.errors import CannotDo, InputError
from mtm.figures.style import new_figure, save_figure
from mtm.io import (
    atomic_path,
    clear_leftovers,
    read_parquet,
    read_tsv,
    replaced_together,
    require_file,
    write_note,
    write_parquet,
    write_tsv,
)
from mtm.models.bundle import write_bundle
from mtm.models.checkpoint import Checkpoint
from mtm.pipeline.input_digests import _keep
from mtm.pipeline.scripting import run
from mtm.predictions.files import write_matrix

SECONDS = 30
CACHE = "digests of inputs"


def table(version):
    return pd.DataFrame({"gene_id": [f"ENSG{i}" for i in range(900)], "rho": version / 7})


def h5ad(folder, version):
    obs = pd.DataFrame(index=[f"S{i}" for i in range(30)])
    var = pd.DataFrame(index=[f"ENSG{i}" for i in range(50)])
    with atomic_path(folder / "x.h5ad") as temporary:
        values = np.full((30, 50), version, np.float32)
        write_matrix(temporary, [values], obs, var, {"scale": "tpm"}, ())


def h5(folder, version):
    with atomic_path(folder / "x.h5") as temporary, new_h5_file(temporary) as file:
        file["x"] = np.full(4000, version)


def bundle(folder, version):
    write_bundle(folder / "x.safetensors", {"v": version}, {"w": np.full(3000, version)})


def checkpoint(folder, version):
    Checkpoint(folder, "key").write("state.pt", values=np.arange(3000).tolist(), version=version)


def figure(folder, version):
    drawn = new_figure(12, 9)
    drawn.text(0, 0, f"{version}")
    save_figure(drawn, table(version), *(folder / f"x.{end}" for end in ("pdf", "png", "tsv")))


def script(folder, version):
    outputs = [str(folder / "a.tsv"), str(folder / "b.parquet")]
    given = SimpleNamespace(output=Outputs(outputs), log=[], threads=1, rule="rule")
    with run(given):
        write_tsv(table(version), given.output[0])
        write_parquet(table(version), given.output[1])


class Outputs(list):
    """Snakemake's named outputs, as far as scripts are given others."""

    def __init__(self, toclone=(), custom_map=str):
        super().__init__(map(custom_map, toclone))


def text(folder, version):
    with atomic_path(folder / "index.html") as temporary:
        temporary.write_text(f"<html>{version}" * 2000, encoding="utf-8")


WRITERS = {
    "tsv": lambda folder, version: write_tsv(table(version), folder / "x.tsv"),
    "parquet": lambda folder, version: write_parquet(table(version), folder / "x.parquet"),
    "AnnData": h5ad,
    "HDF5": h5,
    "bundle": bundle,
    "checkpoint": checkpoint,
    "figure": figure,
    "page": text,
    CACHE: lambda folder, version: _keep({"a": str(version)}, folder / "x.json"),
    "outputs of a rule": script,
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def in_child(write, folder, most_bytes=None, fail_at=None):
    """Write version 2 in a process of its own; return whether it ended well.

    Parameters
    ----------
    most_bytes
        No file may grow beyond it: the kernel refuses the write that would, whoever asks.
    fail_at
        Number of the flush or rename that fails.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(SECONDS)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            if most_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            if fail_at is not None:
                fail(fail_at)
            write(folder, 2)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFEXITED(status), f"ended by signal {os.WTERMSIG(status)}"
    return os.WEXITSTATUS(status) == 0


def fail(number):
    """Let the flush or rename of this number fail."""
    count = 0

    def failing(function):
        def call(*given):
            nonlocal count
            count += 1
            if count == number:
                raise OSError(errno.EIO, "Input/output error")
            return function(*given)

        return call

    for name in ("fsync", "replace"):
        setattr(mtm.io.os, name, failing(getattr(os, name)))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.slow
def test_every_failing_call_leaves_old_content_or_new(writer, tmp_path):
    write = WRITERS[writer]
    (tmp_path / "new").mkdir()
    write(tmp_path / "new", 2)
    new = contents(tmp_path / "new")
    folder = tmp_path / "here"
    folder.mkdir()
    write(folder, 1)
    old = contents(folder)
    assert old.keys() == new.keys()
    assert old != new
    largest = max(map(len, new.values()))
    limits = {0, 1, largest // 2, largest - 1, *range(4096, largest, max(4096, largest // 3))}
    failures = [{"most_bytes": limit} for limit in sorted(limits)]
    failures += [{"fail_at": number} for number in range(1, 30)]
    n_failed = 0
    for failure in failures:
        ended_well = in_child(write, folder, **failure)
        found = contents(folder)
        assert found.keys() == old.keys(), (failure, sorted(found))
        for name, content in found.items():
            assert content in (old[name], new[name]), (failure, name)
        if ended_well and found == new:
            break
        # The cache alone may fail and say nothing.
        assert not ended_well or writer == CACHE, failure
        n_failed += 1
        for name, content in old.items():
            (folder / name).write_bytes(content)
    # A flush of the file, its renaming, and a flush of its folder, which the cache does not tell.
    assert n_failed >= len(limits) + 3 - (writer == CACHE)
    assert ended_well


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("blod.tsv", "Did you mean 'blood.csv'?"),
        ("blood.tsv", "Did you mean 'blood.csv'?"),
        ("joint.safetensors", "expected a table."),
        ("nowhere/blood.csv", "There is no folder nowhere."),
    ],
)
def test_a_file_that_is_not_there_is_met_with_one_called_nearly_so(
    tmp_path, monkeypatch, asked, hint
):
    monkeypatch.chdir(tmp_path)
    for name in ("blood.csv", "ridge.safetensors"):
        Path(name).touch()
    with pytest.raises(InputError, match="found no such file") as caught:
        require_file(asked, "a table")
    assert str(caught.value).endswith(hint)


def test_what_others_left_goes_once_they_are_gone(tmp_path):
    path = tmp_path / "a[1].tsv"
    with atomic_path(path) as mine:
        mine.write_text("x")
        dead = mine.with_name(re.sub(r"\.\d+\.", ".999999999.", mine.name))
        elsewhere = mine.with_name(re.sub(r"^\.[^.]+", ".othernode", mine.name))
        abandoned = elsewhere.with_name(elsewhere.name.replace("othernode", "thirdnode"))
        for left in (dead, elsewhere, abandoned):
            left.write_text("half")
        old = time.time() - 2 * mtm.io.ABANDONED_SECONDS
        os.utime(abandoned, (old, old))
        with atomic_path(path) as second:
            assert second != mine
            second.write_text("y")
        assert mine.exists()
    assert path.read_text() == "x"
    assert sorted(tmp_path.iterdir()) == sorted([path, elsewhere])
    dead.write_text("half")
    (tmp_path / "kept.partial.tsv").write_text("a name of the user's")
    clear_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, elsewhere, tmp_path / "kept.partial.tsv"])


def test_a_folder_goes_but_for_what_another_process_writes(tmp_path):
    folder = tmp_path / "states"
    with atomic_path(folder / "state.pt") as mine:
        mine.write_text("x")
        (folder / "earlier.pt").write_text("y")
        (folder / "state.pt.damaged" / "below").mkdir(parents=True)
        mtm.io.remove_files(folder)
        assert list(folder.iterdir()) == [mine]
    assert (folder / "state.pt").read_text() == "x"
    mtm.io.remove_files(folder)
    assert not folder.exists()
    mtm.io.remove_files(folder)


def test_names_that_many_give_at_once_differ(tmp_path):
    with replaced_together([tmp_path / "a.tsv"] * 2) as (one, other):
        assert one != other
        assert one.suffixes[-1] == ".tsv"
        one.write_text("1")
        other.write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsv"]


def test_nothing_is_renamed_where_one_file_is_missing(tmp_path):
    with (
        pytest.raises(mtm.io.InputError, match="nothing written"),
        replaced_together([tmp_path / "a.tsv", tmp_path / "b.tsv"]) as (one, _),
    ):
        one.write_text("1")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_flushed_is_none_of_our_trouble(tmp_path, monkeypatch):
    fsync = os.fsync

    def as_some_do(handle):
        if Path(f"/proc/self/fd/{handle}").resolve().is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(mtm.io.os, "fsync", as_some_do)
    write_tsv(table(1), tmp_path / "x.tsv")
    assert (tmp_path / "x.tsv").exists()


def test_a_carriage_return_within_a_field_ends_no_row(tmp_path):
    given = pd.DataFrame({"sample": ["A", "B"], "said": ["one\rtwo", None], "n": [1, 2]})
    given["kind"] = pd.Categorical(["x\r\ny", "z"])
    write_tsv(given, tmp_path / "x.tsv")
    read = pd.read_csv(tmp_path / "x.tsv", sep="\t")
    assert list(read["sample"]) == ["A", "B"]
    assert list(read["n"]) == [1, 2]
    assert read.loc[0, "said"] == "one two"
    assert list(given["said"]) == ["one\rtwo", None]


def test_names_that_look_like_numbers_stay_text(tmp_path):
    names = {"cohort": ["007", "1e5"], "model": ["inf", "true"], "tissue": ["1", ""]}
    table = pd.DataFrame(names | {"rho": [0.5, 1.0]})
    write_tsv(table, tmp_path / "table.tsv")
    read = read_tsv(tmp_path / "table.tsv", ["model"], dtype={"rho": str})
    assert read.fillna("").to_dict("list") == names | {"rho": ["0.5", "1.0"]}
    assert read_tsv(tmp_path / "table.tsv")["rho"].sum() == 1.5
    assert read_tsv(tmp_path / "table.tsv", header=None, usecols=[3])[3].tolist()[0] == "rho"


def test_columns_of_a_table_are_read_alone_or_named(tmp_path):
    table = pd.DataFrame({"tissue": ["Lung", "Lung"], "rho": [0.1, 0.2], "n": [3, 4]})
    write_parquet(table, tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "table.parquet"), table)
    read = read_parquet(tmp_path / "table.parquet", ("n", "tissue"))
    pd.testing.assert_frame_equal(read, table[["n", "tissue"]])
    with pytest.raises(InputError, match="a column named gene_id and q"):
        read_parquet(tmp_path / "table.parquet", ("gene_id", "n", "q"))
    write_note(CannotDo("traits", "3 donors with an age", "more donors"), tmp_path / "no.parquet")
    with pytest.raises(CannotDo, match="3 donors with an age"):
        read_parquet(tmp_path / "no.parquet", ("n", "tissue"))
