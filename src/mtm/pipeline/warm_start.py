"""Jobs that start where the libraries are loaded already, for cohorts whose jobs are small.

A fresh Python takes one to four seconds of processor time for imports, more than most jobs of a
small cohort take for their work. Where a configuration asks for it (`warm_start`), each job is a
process of its own as before, but a fork of one that has imported the libraries
(`mtm.pipeline.preloaded`) and has computed nothing. Functions of `atexit` are not called at its
end; no script leaves any.
"""

import logging
import os
import runpy
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from subprocess import CalledProcessError
from typing import Any

log = logging.getLogger(__name__)

PRELOADED = ["mtm.pipeline.preloaded"]
TEMPORARY = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")
# Snakemake runs jobs from several threads; a process that ends is asked about by one of them.
_LOCK = threading.Lock()


def start_jobs_warm(script_class: type) -> None:
    """Let Snakemake's Python scripts of one thread start from a process with libraries loaded.

    Those that ask for a graphics card, more threads or an environment of their own start as
    before, and on systems other than Linux all do.

    Parameters
    ----------
    script_class
        `snakemake.script.PythonScript`.
    """
    execute_as_it_was = getattr(script_class, "execute_script", None)
    if not sys.platform.startswith("linux") or hasattr(script_class, "starts_warm"):
        return
    # Of another version of Snakemake.
    if execute_as_it_was is None:
        return

    def execute_script(self, fname, edit=False):
        elsewhere = self.conda_env or self.container_img or self.env_modules
        started = None
        if not elsewhere and self.threads == 1 and not self.resources.get("gpu"):
            try:
                started = _start(fname, self.resources)
            except (OSError, EOFError) as error:
                # Of a socket, say, whose path TMPDIR makes too long.
                log.warning("jobs start cold, as no process can be forked for them: %s", error)
                script_class.execute_script = execute_as_it_was
        if started is None:
            execute_as_it_was(self, fname, edit)
        else:
            _end(*started, fname, self.bench_record)

    script_class.execute_script = execute_script
    script_class.starts_warm = True


def _start(path: str, resources: Mapping[str, Any]) -> tuple[BaseProcess, Connection]:
    """Return a process that is to run a script, and what it waits to hear from before.

    Raises
    ------
    OSError, EOFError
        There is no process to start from.
    """
    context = get_context("forkserver")
    begin, go = context.Pipe(duplex=False)
    try:
        with begin, _LOCK:
            context.set_forkserver_preload(PRELOADED)
            given = (path, os.getcwd(), resources.get("tmpdir"), begin)
            job = context.Process(target=_run_script, args=given)
            job.start()
    except BaseException:
        go.close()
        raise
    return job, go


def _end(job: BaseProcess, go: Connection, path: str, record: Any) -> None:
    """Let a script run to its end, and measure it as Snakemake does where there is a record."""
    from snakemake.benchmark import benchmarked

    # A job that ended before it is looked at could not be measured.
    with go, nullcontext() if record is None else benchmarked(job.pid, record):
        # Of a job that was killed the exit code tells.
        with suppress(BrokenPipeError):
            go.send_bytes(b"go")
        wait([job.sentinel])
    with _LOCK:
        job.join()
    if job.exitcode:
        raise CalledProcessError(job.exitcode, f"{sys.executable} {path}")


def _run_script(path: str, folder: str, temporary: str | None, begin: Connection) -> None:
    """Be the process of a script."""
    with begin:
        begin.recv_bytes()
    os.chdir(folder)
    if temporary is not None:
        os.environ.update(dict.fromkeys(TEMPORARY, temporary))
        # A library may have asked for it while it was loaded.
        tempfile.tempdir = None
    sys.argv = [path]
    runpy.run_path(path, run_name="__main__")
