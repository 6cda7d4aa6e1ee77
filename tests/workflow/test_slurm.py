"""Through a real Slurm: two nodes, one GPU slot, and trouble on the way.

`make test-slurm` runs the small cohort, `make test-slurm-demo` the whole demo, which takes half an
hour; both need Debian's slurm-wlm and munge.
"""

import copy
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from two_node_slurm import TwoNodeSlurm, missing_programs, wait_for

ROOT = Path(__file__).parents[2]
# A cluster's profile polls too slowly for a test; this Slurm keeps no accounts.
PROFILE = {
    "slurm-init-seconds-before-status-checks": "1",
    "slurm-status-command": "squeue",
    "latency-wait": "5",
}
# Snakemake waits for ever where Slurm answers no more.
WATCHDOG_SECONDS = 600
# Networks this small lose time to a second thread.
ONE_THREAD = ["--set-threads", "train_fold=1", "train_all=1"]
TARGETS = ["accuracy", "results/small/models/mtm/all.safetensors"]
GPU_RULES = ("rule_train_", "rule_score_model")

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.workflow,
    pytest.mark.skipif(
        bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"
    ),
    pytest.mark.skipif(
        torch.cuda.is_available(), reason="a job sent to the fake GPU would use the real one"
    ),
]


@pytest.fixture(scope="module")
def local_run(tmp_path_factory, small_config, small_snakemake):
    """Return the folder of the same run without Slurm, whose jobs start warm."""
    folder = tmp_path_factory.mktemp("local_run")
    (folder / "small.yaml").write_text(yaml.safe_dump(small_config | {"warm_start": True}))
    run = small_snakemake(folder, "--cores", "2", *TARGETS, *ONE_THREAD)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture
def slurm():
    """Return a running Slurm."""
    cluster = TwoNodeSlurm()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def submit(slurm, tmp_path):
    """Return a function that starts Snakemake on that Slurm, with the profile of the project."""
    started = []

    def start(folder, *targets, config="small.yaml"):
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(folder), "--configfile", str(folder / config)]
        command += ["--workflow-profile", str(ROOT / "profiles/slurm")]
        command += [f"--{key}={value}" for key, value in PROFILE.items()]
        with open(tmp_path / "snakemake.out", "w") as output:
            process = subprocess.Popen(
                [*command, *targets],
                cwd=ROOT,
                env=slurm.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


def finish(process, tmp_path, seconds=WATCHDOG_SECONDS):
    """Wait for a run, which must succeed in time."""
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        code = f"watchdog after {seconds} s"
    assert code == 0, (tmp_path / "snakemake.out").read_text()


def results(folder):
    """Return the content of every result file by its path; training times are left out."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        if path.name.endswith(".training.tsv"):
            table = pd.read_csv(path, sep="\t").drop(columns="seconds", errors="ignore")
            found[str(path.relative_to(folder))] = table.to_csv()
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def copy_key(other, folder):
    """Let bundles of two runs tell their donors by one key, so that they can be the same."""
    place = folder / "results/small/models/donors.key"
    place.parent.mkdir(parents=True)
    shutil.copy(other / "results/small/models/donors.key", place)


def write_config(folder, config, **parameters):
    """Write the small cohort's configuration for a device of its own choice."""
    config = copy.deepcopy(config)
    config["training"]["device"] = "auto"
    config["models"]["mtm"]["parameters"] |= parameters
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def seconds(job, event):
    return datetime.fromisoformat(job[f"{event}Time"]).timestamp()


def assert_queued_for_the_gpu(jobs):
    """Check that jobs that want a GPU ran on the one slot in turn, and no others."""
    on_gpu = sorted(
        (job for job in jobs if "gres:gpu:1" in job.get("TresPerJob", "")),
        key=lambda job: seconds(job, "Start"),
    )
    comments = [job["Comment"] for job in jobs if job["Comment"].startswith(GPU_RULES)]
    # The training mean needs no card.
    wanted = [text for text in comments if "score" in text or "train_mean" not in text]
    assert len(on_gpu) == len(wanted) > 4
    assert {job["Partition"] for job in on_gpu} == {"gpu"}
    assert {job["Partition"] for job in jobs if job not in on_gpu} == {"cpu"}
    # One at a time on the one slot, and some were submitted while another held it.
    pairs = list(zip(on_gpu, on_gpu[1:], strict=False))
    assert all(seconds(one, "End") <= seconds(two, "Start") for one, two in pairs)
    assert any(seconds(two, "Submit") < seconds(one, "End") for one, two in pairs)


def cancel_one_and_kill_the_node_of_the_next(slurm, training):
    """Return both jobs, the node up again; `training` finds a job of another name than given."""
    cancelled, first = wait_for(training, 600, "a training job")
    slurm.call("scancel", cancelled["JobId"])
    lost, second = wait_for(lambda: training(first), 600, "another training job")
    slurm.kill_node("n0")
    wait_for(lambda: slurm.node_state("n0") == "DOWN", 180, "Slurm to miss the node")
    slurm.start_node("n0")
    return cancelled, lost


def assert_cancelled_and_lost(states, cancelled, lost):
    """Check, and take out, the states of both jobs."""
    assert states.pop(cancelled["JobId"]) == "CANCELLED"
    assert states.pop(lost["JobId"]) == "NODE_FAIL"


@pytest.mark.timeout(900)
def test_run_equals_the_local_one_and_queues_for_the_gpu(
    slurm, submit, local_run, small_config, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(local_run / "resources", folder / "resources")
    copy_key(local_run, folder)
    write_config(folder, small_config)
    finish(submit(folder, *TARGETS, *ONE_THREAD), tmp_path)
    made, local = results(folder), results(local_run)
    assert len([path for path in made if path.endswith(".safetensors")]) == 3
    assert "results/small/accuracy/summary.tsv" in made
    assert [path for path in made if made[path] != local[path]] == []

    jobs = slurm.jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["NodeList"] for job in jobs} == {"n0", "n1"}
    assert_queued_for_the_gpu(jobs)


@pytest.mark.timeout(1200)
def test_cancelled_job_and_killed_node_leave_no_trace_in_the_models(
    slurm, submit, local_run, small_snakemake, small_config, tmp_path
):
    targets = [f"results/small/models/mtm/{name}.safetensors" for name in ("fold0", "all")]
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    for folder in (unbroken, broken):
        shutil.copytree(local_run / "resources", folder / "resources")
        shutil.copytree(local_run / "results/small/cohort", folder / "results/small/cohort")
        copy_key(local_run, folder)
        write_config(folder, small_config, steps=400, checkpoint_every=1)
    run = small_snakemake(unbroken, "--cores", "2", *targets, *ONE_THREAD)
    assert run.returncode == 0, run.stdout + run.stderr

    process = submit(broken, *targets, *ONE_THREAD)

    def training(other_than=None):
        """Return the job in training that has a checkpoint, and the name of its model."""
        for rule, name in (("train_fold", "fold0"), ("train_all", "all")):
            state = broken / "checkpoints/small/mtm" / name / "state.pt"
            job = slurm.running(rule)
            if job is not None and state.exists() and name != other_than:
                return job, name
        assert process.poll() is None, (tmp_path / "snakemake.out").read_text()

    others = cancel_one_and_kill_the_node_of_the_next(slurm, training)
    finish(process, tmp_path)
    states = {job["JobId"]: job["JobState"] for job in slurm.jobs()}
    assert_cancelled_and_lost(states, *others)
    assert list(states.values()) == ["COMPLETED", "COMPLETED"]
    for log in ("train_fold/mtm/fold0.log", "train_all/mtm.log"):
        assert "resumed at step" in (broken / "logs/small" / log).read_text()
    made, expected = results(broken), results(unbroken)
    assert made.keys() == expected.keys()
    assert [path for path in made if made[path] != expected[path]] == []


@pytest.mark.demo
@pytest.mark.timeout(5400)
def test_whole_demo_equals_the_local_one_despite_a_cancelled_job_and_a_killed_node(
    slurm, submit, tmp_path
):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["models"]["mtm"]["parameters"]["checkpoint_every"] = 1
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    folders = {"cpu": tmp_path / "local", "auto": tmp_path / "slurm"}
    for device, folder in folders.items():
        folder.mkdir()
        config["training"]["device"] = device
        (folder / "demo.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    local = folders["cpu"]
    command += ["--directory", str(local), "--configfile", str(local / "demo.yaml")]
    run = subprocess.run(
        [*command, "--cores", "2", "--max-threads", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr

    folder = folders["auto"]
    process = submit(folder, "--max-threads", "1", config="demo.yaml")

    def training(other_than=None):
        """Return a job that trains MTM and has a checkpoint, and the name of its model."""
        for fold in range(config["folds"]["n_folds"]):
            name = f"mtm_{fold}"
            saved = (folder / f"checkpoints/demo/mtm/fold{fold}/state.pt").exists()
            job = slurm.running(f"rule_train_fold_wildcards_demo_{name}")
            if job is not None and saved and name != other_than:
                return job, name
        assert process.poll() is None, (tmp_path / "snakemake.out").read_text()

    others = cancel_one_and_kill_the_node_of_the_next(slurm, training)
    finish(process, tmp_path, 3600)
    jobs = slurm.jobs()
    states = {job["JobId"]: job["JobState"] for job in jobs}
    assert_cancelled_and_lost(states, *others)
    assert set(states.values()) == {"COMPLETED"}
    assert_queued_for_the_gpu([job for job in jobs if job["JobId"] in states])
    made, expected = results(folder), results(local)
    assert made.keys() == expected.keys()
    assert [path for path in made if made[path] != expected[path]] == []


def test_two_nodes_that_write_one_result_leave_one_whole_file(slurm, tmp_path):
    """Each node has a name of its own, as it has where nodes are machines."""
    (tmp_path / "write.py").write_text(
        "import os, platform, sys\n"
        "node = os.environ['SLURMD_NODENAME']\n"
        "platform.node = lambda: node\n"
        "from mtm.io import atomic_path\n"
        "for number in range(100):\n"
        "    with atomic_path(sys.argv[1]) as temporary:\n"
        "        temporary.write_text(f'{node} {number}\\n' * 5000)\n"
        "print(node)\n"
    )
    path = tmp_path / "results" / "x.tsv"
    command = [sys.executable, tmp_path / "write.py", path]
    said = slurm.call("srun", "--nodes=2", "--ntasks=2", "--partition=cpu", *map(str, command))
    assert sorted(said.split()) == ["n0", "n1"]
    assert list(path.parent.iterdir()) == [path]
    lines = path.read_text().splitlines()
    assert len(lines) == 5000
    assert set(lines) <= {"n0 99", "n1 99"}
    assert len(set(lines)) == 1
