"""The real commands, each in a process of its own that pays for no import."""

import atexit
import math
import multiprocessing
import os
import resource
import runpy
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from tests.hostile.case import Outcome

ROOT = Path(__file__).parents[2]
PRINTED = "printed.txt"
# A command may wait for others that share the machine so many times as long as it may compute.
WAITING = 5
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.hostile.preloaded"])


def run(
    command: Sequence[object],
    folder: Path,
    seconds: float,
    until: Callable[[], bool] | None = None,
) -> Outcome:
    """Run ``mtm ...`` or ``snakemake ...`` in `folder`.

    It is killed, and what it started, when it has computed for `seconds`, when `WAITING` times as
    long is over, or when `until` gives True.
    """
    command = [str(word) for word in command]
    if command[0] == "snakemake":
        command[1:1] = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    printed = folder.parent / PRINTED
    process = SERVER.Process(target=_run, args=(command, str(folder), str(printed), seconds))
    start = time.monotonic()
    process.start()
    while process.is_alive() and (left := start + WAITING * seconds - time.monotonic()) > 0:
        if until is not None and until():
            break
        process.join(left if until is None else 0.001)
    late = process.is_alive()
    # What it started goes with it, also where it has ended itself.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.join()
    logs = sorted((folder / "logs").rglob("*.log"))
    text = "".join(path.read_text(errors="replace") for path in [printed, *logs])
    late |= process.exitcode == -signal.SIGXCPU
    return Outcome(None if late else process.exitcode, text, time.monotonic() - start)


def _run(command: list[str], folder: str, printed: str, seconds: float) -> None:
    """Be the command."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), resource.RLIM_INFINITY))
    out = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.chdir(folder)
    os.environ.update(PYTHONPATH=str(ROOT / "src"), OMP_NUM_THREADS="1", MPLBACKEND="agg")
    sys.argv = command
    if command[0] == "mtm":
        from mtm.cli import main
    elif command[0] == "snakemake":
        from snakemake.cli import main
        from snakemake.script import PythonScript

        PythonScript.execute_script = _fork_script
    else:
        raise ValueError(f"no command {command[0]!r}")
    try:
        sys.exit(main(command[1:]))
    finally:
        # As at the end of any process; those of multiprocessing leave them out.
        atexit._run_exitfuncs()


def _fork_script(self, fname: str, edit: bool = False) -> None:
    """Run a rule's script as Snakemake does, in a process that has its imports."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        from snakemake.benchmark import benchmarked

        with benchmarked(child, self.bench_record) if self.bench_record else nullcontext():
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            raise SystemExitOfScript(f"script of rule {self.rulename} ended with status {status}")
        return
    status = 1
    try:
        # Snakemake's preamble puts its folders on the path itself.
        runpy.run_path(fname, run_name="__main__")
        status = 0
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class SystemExitOfScript(Exception):
    """A script's exit status, which Snakemake reports as a failed job."""
