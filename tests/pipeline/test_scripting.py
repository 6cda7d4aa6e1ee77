import errno
import logging
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from scripts import Named

from mtm.errors import CannotDo, InputError
from mtm.io import read_parquet, read_tsv, write_tsv
from mtm.pipeline.scripting import run


@pytest.fixture
def snakemake(tmp_path):
    log = [str(tmp_path / "logs" / "rule.log")]
    return SimpleNamespace(log=log, threads=2, rule="count", output=Named())


def log_text(snakemake):
    with open(snakemake.log[0], encoding="utf-8") as file:
        return file.read()


def test_records_and_warnings_reach_the_log_at_once_and_stderr_stays_free(snakemake, capsys):
    with run(snakemake) as log:
        log.info("twelve samples")
        logging.getLogger("mtm.cohort.cohort").info("from the library")
        logging.getLogger("elsewhere").info("chatter")
        warnings.warn("odd value", UserWarning, stacklevel=1)
        sys.stderr.write("progress")
        text = log_text(snakemake)
    assert "INFO mtm.count: twelve samples" in text
    assert "from the library" in text
    assert "odd value" in text
    assert "chatter" not in text
    assert capsys.readouterr().err == "progress"


def test_log_is_created_without_any_record_and_started_afresh(snakemake):
    with run(snakemake) as log:
        log.info("first run")
    with run(snakemake):
        pass
    assert log_text(snakemake) == ""


def test_input_error_is_one_line_in_log_and_stderr_with_exit_code_1(snakemake, capsys):
    with pytest.raises(SystemExit) as stop, run(snakemake):
        raise InputError("samples.tsv", "no column 'donor'", "a column named donor")
    message = "samples.tsv: found no column 'donor'; expected a column named donor."
    assert stop.value.code == 1
    assert capsys.readouterr().err == message + "\n"
    text = log_text(snakemake)
    assert text.count(message) == 1
    assert "Traceback" not in text


def test_other_errors_keep_their_type_and_leave_a_traceback_in_the_log(snakemake):
    with pytest.raises(ZeroDivisionError), run(snakemake):
        _ = 1 / 0
    text = log_text(snakemake)
    assert "Traceback" in text
    assert "ZeroDivisionError" in text


@pytest.mark.parametrize("empty", [[], ""])
def test_without_a_log_file_everything_goes_to_stderr_once(snakemake, capsys, empty):
    snakemake.log = empty
    with pytest.raises(SystemExit), run(snakemake):
        raise InputError("config", "x", "y")
    assert capsys.readouterr().err.count("config: found x; expected y.") == 1


def test_logging_is_left_as_it_was(snakemake):
    root, library = logging.getLogger(), logging.getLogger("mtm")
    before = list(root.handlers), library.level, warnings.showwarning
    with run(snakemake):
        assert warnings.showwarning is not before[2]
    assert (list(root.handlers), library.level, warnings.showwarning) == before


def test_torch_threads_are_set_only_where_torch_was_imported(snakemake, monkeypatch):
    seen = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=seen.append))
    with run(snakemake):
        pass
    assert seen == [2]
    monkeypatch.delitem(sys.modules, "torch")
    with run(snakemake):
        assert "torch" not in sys.modules


def test_what_cannot_be_done_stands_in_place_of_the_tables_and_is_raised_again(
    snakemake, tmp_path, capsys
):
    made, text, parquet = (tmp_path / name for name in ("made.tsv", "a.tsv", "sub/b.parquet"))
    snakemake.output = Named(made=str(made), text=str(text), parquet=str(parquet))
    why = CannotDo("decoding paths", "2 target tissues, fewer than 3", "add tissues")
    with run(snakemake):
        write_tsv(pd.DataFrame({"rho": [0.5]}), snakemake.output.made)
        raise why
    assert why.reason in log_text(snakemake)
    assert capsys.readouterr().err == ""
    assert list(read_tsv(made)["rho"]) == [0.5]
    for read in (lambda: read_tsv(text, ["rho"]), lambda: read_parquet(parquet)):
        with pytest.raises(CannotDo) as caught:
            read()
        assert str(caught.value) == str(why)


def test_a_file_that_is_no_table_must_be_made(snakemake, tmp_path):
    snakemake.output = Named(a=str(tmp_path / "a.tsv"), model=str(tmp_path / "m.safetensors"))
    with pytest.raises(CannotDo), run(snakemake):
        raise CannotDo("fit", "no donor", "add donors")
    assert not (tmp_path / "a.tsv").exists()


def test_outputs_take_the_place_of_earlier_ones_together_or_not_at_all(snakemake, tmp_path):
    paths = {name: tmp_path / f"{name}.tsv" for name in "ab"}
    for path in paths.values():
        path.write_text("earlier")
    snakemake.output = Named({name: str(path) for name, path in paths.items()})

    def write_one(error=None):
        with run(snakemake):
            Path(snakemake.output.a).write_text("new")
            if error:
                raise error

    with pytest.raises(SystemExit):
        write_one(InputError("b", "x", "y"))
    assert [path.read_text() for path in paths.values()] == ["earlier"] * 2
    with pytest.raises(SystemExit):
        write_one()
    assert "b.tsv: found nothing written" in log_text(snakemake)
    assert [path.read_text() for path in paths.values()] == ["earlier"] * 2
    with run(snakemake):
        for path in snakemake.output:
            write_tsv(pd.DataFrame({"new": [1]}), path)
    assert [path.read_text() for path in paths.values()] == ["new\n1\n"] * 2
    assert {path.name for path in tmp_path.iterdir()} == {"a.tsv", "b.tsv", "logs"}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "a.tsv"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_line(snakemake, capsys, error):
    with pytest.raises(SystemExit), run(snakemake):
        raise error
    said = capsys.readouterr().err
    assert "found no room to write" in said
    assert said.count("\n") == 1
    assert "Traceback" not in log_text(snakemake)
