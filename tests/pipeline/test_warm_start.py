"""Jobs that are forks of a process with the libraries loaded: each is what it would be alone."""

import gc
import importlib
import json
import os
import runpy
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import CalledProcessError
from types import SimpleNamespace

import pytest
from snakemake import benchmark
from snakemake.benchmark import BenchmarkRecord

from mtm.pipeline import warm_start

TELL = """
import json, os, sys, tempfile
loaded = "torch" in sys.modules
import numpy as np
from pathlib import Path
told = {"pid": os.getpid(), "folder": os.getcwd(), "argv": sys.argv, "loaded": loaded,
        "name": __name__, "tmp": tempfile.gettempdir(), "threads": os.environ["OMP_NUM_THREADS"]}
Path(sys.argv[0]).with_suffix(".json").write_text(json.dumps(told))
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Return what runs a script of some text as Snakemake runs that of a job."""
    # As the workflow does, for scripts of any folder.
    monkeypatch.setenv("PYTHONPATH", str(Path(warm_start.__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    cold = []

    class Script:
        conda_env = container_img = env_modules = None

        def execute_script(self, fname, edit=False):
            cold.append(fname)

    warm_start.start_jobs_warm(Script)

    def run(text, name="job", **given):
        job = Script()
        settings = {"threads": 1, "resources": {}, "bench_record": None} | given
        for key, value in settings.items():
            setattr(job, key, value)
        (tmp_path / f"{name}.py").write_text(text)
        job.execute_script(f"{name}.py")
        told = tmp_path / f"{name}.json"
        return json.loads(told.read_text()) if told.exists() else None

    return SimpleNamespace(run=run, cold=cold, kind=Script, folder=tmp_path)


@pytest.mark.slow
def test_a_job_is_a_process_of_its_own_with_the_libraries_loaded(script):
    (script.folder / "tmp").mkdir()
    first = script.run(TELL, resources={"tmpdir": str(script.folder / "tmp")})
    second = script.run(TELL, "other")
    assert len({first["pid"], second["pid"], os.getpid()}) == 3
    assert first["folder"] == str(script.folder)
    assert (first["argv"], first["name"]) == (["job.py"], "__main__")
    assert first["loaded"]
    assert first["tmp"] == str(script.folder / "tmp") != second["tmp"]
    assert first["threads"] == "1"
    assert script.cold == []


@pytest.mark.slow
def test_what_one_job_changes_no_other_sees(script):
    script.run("import numpy\nnumpy.pi = 3\nimport os\nos.environ['HERE'] = 'yes'")
    script.run("import numpy, os\nassert numpy.pi > 3.1 and 'HERE' not in os.environ", "other")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("raise ValueError('wrong')", 1),
        ("raise SystemExit(3)", 3),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", -signal.SIGKILL),
    ],
)
def test_a_job_that_fails_or_is_killed_is_told_of(script, text, status):
    with pytest.raises(CalledProcessError) as failed:
        script.run(text)
    assert failed.value.returncode == status
    assert "job.py" in failed.value.cmd
    assert script.run(TELL, "after")["loaded"]


@pytest.mark.slow
def test_jobs_side_by_side_end_with_what_is_theirs(script):
    def status(number):
        try:
            script.run(f"raise SystemExit({number % 2})", f"job{number}")
        except CalledProcessError as failed:
            return failed.returncode
        return 0

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(status, range(40))) == [0, 1] * 20


@pytest.mark.slow
def test_a_job_is_measured(script):
    record = BenchmarkRecord()
    script.run("import time\nx = b'x' * 200_000_000\ntime.sleep(1.2)", bench_record=record)
    assert 1.2 < record.running_time < 60
    # Its own, beside the libraries that all jobs share.
    assert 190 < record.max_uss < record.max_rss - 100


@pytest.mark.slow
def test_a_job_that_is_done_at_once_is_measured(script, monkeypatch):
    """By a Snakemake that is busy, too: it looks at a job long after it was started."""
    look = benchmark.benchmarked

    def late(*given):
        time.sleep(1)
        return look(*given)

    monkeypatch.setattr(benchmark, "benchmarked", late)
    record = BenchmarkRecord()
    script.run("pass", bench_record=record)
    assert record.data_collected
    with pytest.raises(CalledProcessError):
        script.run("raise SystemExit(2)", bench_record=BenchmarkRecord())


@pytest.mark.parametrize("error", [OSError("AF_UNIX path too long"), EOFError("unexpected EOF")])
def test_jobs_start_as_before_where_there_is_no_process_to_start_from(
    script, monkeypatch, caplog, error
):
    def fail(self):
        raise error

    monkeypatch.setattr(ForkServerProcess, "start", fail)
    assert script.run(TELL) is script.run(TELL, "other") is None
    assert script.cold == ["job.py", "other.py"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(error) in caplog.text


def test_a_broken_library_is_no_matter_of_jobs_without_it(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        raise OSError("libcudnn.so: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", load)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(gc, "freeze", lambda: asked.append("freeze"))
    loaded = runpy.run_module("mtm.pipeline.preloaded")
    assert asked == [*loaded["LIBRARIES"], "freeze"]


@pytest.mark.parametrize(
    "given",
    [{"threads": 2}, {"resources": {"gpu": 1}}, {"conda_env": "env"}, {"container_img": "image"}],
)
def test_jobs_with_more_than_a_thread_start_as_before(script, given):
    assert script.run(TELL, **given) is None
    assert script.cold == ["job.py"]


def test_a_second_call_changes_nothing(script):
    before = script.kind.execute_script
    warm_start.start_jobs_warm(script.kind)
    assert script.kind.execute_script is before
