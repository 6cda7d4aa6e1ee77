"""Trouble in the middle of a run: what the user sees, what is lost, what the next run does.

Every test adds a row to a table, which stands at the end of pytest's output
(``pytest tests/workflow/test_faults.py tests/workflow/test_late_faults.py``); docs/troubles.md has
the same faults in words.
"""

import copy
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from broken import fill, half_written, needs_mount

ROOT = Path(__file__).parents[2]
BUNDLE = "results/small/models/mtm/fold0.safetensors"
STATE = "checkpoints/small/mtm/fold0/state.pt"
SECONDS = 240
COHORT_FILES = ("expression.h5ad", "donors.tsv", "filtering.tsv", "folds.tsv")

pytestmark = pytest.mark.workflow


def start(folder, *arguments):
    """Start Snakemake on the small cohort in `folder`, in a session of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(folder / "small.yaml")]
    return subprocess.Popen(
        [*command, "--cores", "2", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )


def finish(run):
    """Wait for Snakemake; return its exit status and all it said."""
    output = run.communicate(timeout=SECONDS)[0]
    return run.returncode, output


def wait_for(condition, run):
    """Wait until `condition()` is true while `run` lasts; return what it gave."""
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        assert run.poll() is None, f"the run ended too early\n{run.stdout.read()}"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def job_of(run, script):
    """Return the process that runs `script` for Snakemake, None before there is one."""
    for process in psutil.Process(run.pid).children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if words and Path(words[0]).name.startswith("python") and words[-1].endswith(script):
            return process
    return None


def digest(folder, path=BUNDLE):
    return hashlib.sha256((folder / path).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def cases(small_config):
    """Configuration with a training long enough to be killed in its middle."""
    config = copy.deepcopy(small_config)
    config["models"]["mtm"]["parameters"] |= {"steps": 0, "epochs": 60, "checkpoint_every": 5}
    return config


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, cases):
    """Return a folder in which cohort and key of donors are made and nothing is trained."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "small.yaml").write_text(yaml.safe_dump(cases))
    made = "results/small/cohort/folds.tsv", "results/small/models/donors.key"
    status, output = finish(start(folder, *made))
    assert status == 0, output
    return folder


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, prepared):
    """Return the digest of the bundle that an undisturbed run gives."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    shutil.copytree(prepared, folder)
    status, output = finish(start(folder, BUNDLE))
    assert status == 0, output
    return digest(folder)


@pytest.fixture
def folder(tmp_path, prepared):
    """Return a copy of the prepared folder."""
    shutil.copytree(prepared, tmp_path / "run")
    return tmp_path / "run"


def test_killed_training_goes_on_where_it_was(folder, unbroken, fault_table):
    run = start(folder, BUNDLE)
    wait_for((folder / STATE).exists, run)
    job_of(run, "train_fold.py").send_signal(signal.SIGKILL)
    status, output = finish(run)
    assert status != 0
    assert "Error in rule train_fold" in output
    assert "fold0.log" in output
    assert not (folder / BUNDLE).exists()
    assert not half_written(folder)
    assert (folder / STATE).exists()

    status, output = finish(start(folder, BUNDLE))
    assert status == 0, output
    assert "resumed at step" in (folder / "logs/small/train_fold/mtm/fold0.log").read_text()
    assert digest(folder) == unbroken
    fault_table.append(
        (
            "training job killed (SIGKILL)",
            "Error in rule train_fold, the log named",
            "steps since the last saved state",
            "resumes; bundle equal byte for byte",
        )
    )


def test_killed_cohort_job_leaves_nothing_half_written(folder, fault_table):
    shutil.rmtree(folder / "results")
    log = folder / "logs/small/build_cohort.log"
    log.unlink()
    run = start(folder, "results/small/cohort/folds.tsv")
    job = wait_for(lambda: job_of(run, "build_cohort.py"), run)
    wait_for(log.exists, run)
    job.send_signal(signal.SIGKILL)
    status, output = finish(run)
    assert status != 0
    assert "Error in rule build_cohort" in output
    assert not (folder / "results/small/cohort/filtering.tsv").exists()
    status, output = finish(start(folder, "results/small/cohort/folds.tsv"))
    assert status == 0, output
    assert not half_written(folder)
    fault_table.append(
        (
            "cohort job killed (SIGKILL)",
            "Error in rule build_cohort, the log named",
            "that job",
            "builds the cohort, complete",
        )
    )


def cohort_bytes(folder):
    """Digests of the files of the cohort."""
    return {name: digest(folder, f"results/small/cohort/{name}") for name in COHORT_FILES}


def change_input(folder):
    """Change the sex of a donor in the cohort's table."""
    path = folder / "resources/simulated/small/subject_phenotypes.tsv"
    lines = path.read_text().splitlines()
    fields = lines[1].split("\t")
    place = lines[0].split("\t").index("SEX")
    fields[place] = str(3 - int(fields[place]))
    path.write_text("\n".join([lines[0], "\t".join(fields), *lines[2:]]) + "\n")


def test_ingest_killed_at_any_moment_loses_nothing(folder, fault_table, tmp_path):
    fuzz = bool(os.environ.get("MTM_FUZZ"))
    moments = np.random.default_rng(0).uniform(0, 1.5, 10 if fuzz else 3)
    earlier = cohort_bytes(folder)
    change_input(folder)
    shutil.copytree(folder, tmp_path / "undisturbed")
    status, output = finish(start(tmp_path / "undisturbed", "results/small/cohort/folds.tsv"))
    assert status == 0, output
    changed = cohort_bytes(tmp_path / "undisturbed")
    assert changed != earlier
    # None: as soon as the new files are in place, before Snakemake hears of them.
    for moment in [*sorted(moments), None]:
        run = start(folder, "results/small/cohort/folds.tsv")
        job = wait_for(lambda run=run: job_of(run, "build_cohort.py"), run)
        if moment is None:
            wait_for(lambda: cohort_bytes(folder) != earlier, run)
        else:
            time.sleep(moment)
        with suppress(psutil.NoSuchProcess):
            job.send_signal(signal.SIGKILL)
        status, output = finish(run)
        if cohort_bytes(folder) == changed:
            break
        assert cohort_bytes(folder) == earlier
        assert "mtm: build_cohort failed: " in output.strip().splitlines()[-1]
    change_input(folder)
    status, output = finish(start(folder, "results/small/cohort/folds.tsv"))
    assert status == 0, output
    assert cohort_bytes(folder) == earlier
    assert not half_written(folder)
    fault_table.append(
        (
            "cohort job killed at random moments, an earlier cohort there",
            "build_cohort failed, as the last line",
            "nothing: the earlier cohort is there, byte for byte, or the new one whole",
            "with the good input again, the earlier cohort byte for byte",
        )
    )


@needs_mount
def test_full_disk_in_ingest_keeps_the_earlier_cohort(folder, mount, fault_table):
    target = mount("size=8m")
    earlier = cohort_bytes(folder)
    change_input(folder)
    fill(target / "filler", leaving=8192)
    status, output = finish(start(folder, "results/small/cohort/folds.tsv"))
    assert status != 0
    assert "no room to write" in output.strip().splitlines()[-1]
    assert "Traceback" not in output, output[-5000:]
    assert cohort_bytes(folder) == earlier
    assert not half_written(folder)
    fault_table.append(
        (
            "disk full in ingest",
            "no room to write, as the last line",
            "nothing: the earlier cohort is there, byte for byte",
            "with space, builds the cohort",
        )
    )


def test_killed_snakemake_needs_one_unlock(folder, unbroken, fault_table):
    run = start(folder, BUNDLE)
    wait_for((folder / STATE).exists, run)
    job = job_of(run, "train_fold.py")
    run.send_signal(signal.SIGKILL)
    run.wait()
    status, output = finish(start(folder, BUNDLE))
    assert status != 0
    assert "--unlock" in output
    assert finish(start(folder, "--unlock"))[0] == 0
    # The orphaned job may still run: it and the next run write the same bytes, each whole.
    status, output = finish(start(folder, BUNDLE))
    assert status == 0, output
    assert digest(folder) == unbroken
    psutil.wait_procs([job], timeout=SECONDS)
    assert digest(folder) == unbroken
    assert not half_written(folder)
    fault_table.append(
        (
            "Snakemake itself killed (SIGKILL)",
            "next start: directory locked, `--unlock` named",
            "nothing",
            "after --unlock resumes; bundle equal byte for byte",
        )
    )


@needs_mount
def test_full_disk_is_named_and_nothing_is_half_written(folder, mount, fault_table):
    target = mount("size=8m")
    fill(target / "filler", leaving=16_384)
    status, output = finish(start(folder, BUNDLE))
    log = (folder / "logs/small/train_fold/mtm/fold0.log").read_text()
    assert status != 0
    assert "No space left on device" in output + log
    assert not (folder / BUNDLE).exists()
    assert not half_written(folder)
    assert (folder / STATE).exists()
    subprocess.run(["mount", "-o", "remount,size=200m", str(target)], check=True)
    status, output = finish(start(folder, BUNDLE))
    assert status == 0, output
    assert (folder / BUNDLE).exists()
    fault_table.append(
        (
            "disk full while a bundle is written",
            "No space left on device, the log named",
            "nothing: the training state is kept",
            "with space, writes the bundle from the saved state",
        )
    )


@needs_mount
def test_read_only_results_stop_the_run_at_once(folder, mount, fault_table):
    target = mount("size=200m")
    subprocess.run(["mount", "-o", "remount,ro", str(target)], check=True)
    status, output = finish(start(folder, BUNDLE))
    assert status != 0
    assert "Read-only file system" in output
    assert "results/small" in output
    subprocess.run(["mount", "-o", "remount,rw", str(target)], check=True)
    status, output = finish(start(folder, BUNDLE))
    assert status == 0, output
    fault_table.append(
        (
            "results/ is read-only",
            "Read-only file system, the path named",
            "nothing",
            "once writable, runs",
        )
    )


def test_second_run_on_the_same_results_is_refused(folder, unbroken, fault_table):
    first = start(folder, BUNDLE)
    wait_for((folder / STATE).exists, first)
    status, output = finish(start(folder, BUNDLE))
    assert status != 0
    assert "cannot be locked" in output
    status, output = finish(first)
    assert status == 0, output
    assert digest(folder) == unbroken
    fault_table.append(
        (
            "two runs at once on one folder",
            "second run: directory cannot be locked",
            "nothing",
            "the first run ends as if alone",
        )
    )


def downloads():
    """Return the module of the download tests: its server and its ways to misbehave."""
    path = ROOT / "tests/pipeline/test_download.py"
    spec = importlib.util.spec_from_file_location("download_tests", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOWNLOADS = downloads()
server, dataset, destination = DOWNLOADS.server, DOWNLOADS.dataset, DOWNLOADS.destination


def test_download_cut_at_half_is_resumed(dataset, destination, server, fault_table):
    half = len(DOWNLOADS.CONTENT) // 2
    server.plan = [DOWNLOADS.cut(half)]
    DOWNLOADS.get(dataset, destination)
    assert destination.read_bytes() == DOWNLOADS.CONTENT
    assert server.seen[1]["Range"] == f"bytes={half}-"
    fault_table.append(
        (
            "download cut at 50%",
            "a warning, and the bar goes on",
            "nothing",
            "asks for the other half alone",
        )
    )


def test_download_with_wrong_bytes_is_refused(dataset, destination, server, fault_table):
    server.content = b"y" * len(DOWNLOADS.CONTENT)
    with pytest.raises(DOWNLOADS.InputError, match=r"sha256:.*expected sha256:"):
        DOWNLOADS.get(dataset, destination)
    assert DOWNLOADS.files(destination) == []
    server.content = DOWNLOADS.CONTENT
    DOWNLOADS.get(dataset, destination)
    assert destination.read_bytes() == DOWNLOADS.CONTENT
    fault_table.append(
        ("download with wrong bytes", "both checksums", "nothing is kept", "fetches it afresh")
    )


def test_download_refused_with_403_says_what_to_do(dataset, destination, server, fault_table):
    server.plan = [DOWNLOADS.status(403)]
    with pytest.raises(DOWNLOADS.Unreachable, match="403"):
        DOWNLOADS.get(dataset, destination)
    assert len(server.seen) == 1
    DOWNLOADS.get(dataset, destination)
    assert destination.read_bytes() == DOWNLOADS.CONTENT
    fault_table.append(
        (
            "download refused (403)",
            "the status, and `local_files` as the way out",
            "nothing",
            "fetches it, or takes the local file",
        )
    )


def test_server_without_ranges_starts_from_zero(dataset, destination, server, fault_table):
    server.plan = [DOWNLOADS.cut(2_000_000), DOWNLOADS.whole]
    DOWNLOADS.get(dataset, destination)
    assert destination.read_bytes() == DOWNLOADS.CONTENT
    fault_table.append(
        (
            "server without ranges, cut once",
            "a warning, and the bar starts again",
            "the first part",
            "fetches the whole",
        )
    )
