"""What a failed job leaves: every earlier result as it was, and the reason as the last line.

Snakemake deletes a job's outputs before it starts and again if it fails, and its flag `update()`
records a failed job as done. Scripts write under other names and rename at the end
(`mtm.pipeline.scripting.run`), so there is nothing half written to delete: here its jobs learn to
leave files alone, and to remember a file as what last made it.
"""

import atexit
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtm.errors import InputError, numbered

# Clocks of machines that share a disk differ by less.
CLOCK_SECONDS = 60.0
MOST_REASONS = 5
_ERROR = re.compile(r"^\S+ \S+ ERROR [\w.]+: (.+)$", re.MULTILINE)
_failed: list[Any] = []


def keep_earlier_results(job_class: type) -> None:
    """Make Snakemake's jobs keep what is there until something new takes its place.

    Parameters
    ----------
    job_class
        `snakemake.jobs.Job`.
    """
    if hasattr(job_class, "earlier_results"):
        return
    postprocess_as_it_was = job_class.postprocess
    # An attribute of the class, as jobs have slots.
    job_class.earlier_results = states = {}

    async def remove_existing_output(self):
        states[self] = _states(self.output)
        for file in self.log:
            await file.remove(remove_non_empty_dir=False)

    async def cleanup(self, skip_outputs):
        pass

    async def postprocess(self, *given, error=False, **options):
        if not error:
            return await postprocess_as_it_was(self, *given, **options)
        _failed.append(self)
        records = self.dag.workflow.persistence
        before = {file: records.metadata(file) for file in self.output}
        await postprocess_as_it_was(self, *given, error=True, **options)
        untouched = states.get(self) == _states(self.output)
        for file, record in before.items():
            key = records._get_key(file)
            if record is None:
                records.cleanup_metadata(file)
            else:
                records._write_record(key, record)
            if not untouched:
                records._mark_incomplete(key, None)

    job_class.remove_existing_output = remove_existing_output
    job_class.cleanup = cleanup
    job_class.postprocess = postprocess


def _states(paths: Iterable[str]) -> list[tuple[int, int] | None]:
    """Tell each file from any other that could take its place."""
    found = []
    for path in map(Path, paths):
        stat = path.stat() if path.exists() else None
        found.append(stat and (stat.st_ino, stat.st_mtime_ns))
    return found


def end_with_reasons() -> None:
    """Print why jobs failed after all that Snakemake still has to say."""
    lines = []
    for job in dict.fromkeys(_failed):
        log = str(job.log[0]) if job.log else ""
        lines.append(f"{job.rule.name} failed: {reason_of(log)}")
    if lines:
        atexit.register(_print_last, lines)


def _print_last(lines: list[str]) -> None:
    sys.stdout.flush()
    for line in lines[:MOST_REASONS]:
        print(f"mtm: {line}", file=sys.stderr)
    if len(lines) > MOST_REASONS:
        print(f"mtm: and {len(lines) - MOST_REASONS} further jobs failed", file=sys.stderr)


def reason_of(log: str | Path) -> str:
    """Return the reason that a rule's log ends with, in one line.

    Parameters
    ----------
    log
        Path of the log; "" for a job without one.
    """
    if not log or not Path(log).exists():
        return "it ended before it could say why (killed, or out of memory?)"
    text = Path(log).read_text(encoding="utf-8", errors="replace").strip()
    found = _ERROR.findall(text)
    if not found:
        return f"it was ended from outside (killed, or out of memory?); see {log}"
    last = text.splitlines()[-1]
    problems = re.fullmatch(r"(\d+) problems:", found[-1])
    reason = text.splitlines()[-int(problems[1])] if problems else found[-1]
    more = f" (and {numbered(int(problems[1]) - 1, 'further problem')})" if problems else ""
    crash = "" if problems or last.endswith(found[-1]) else f": {last}"
    return f"{reason}{crash}{more} (log: {log})"


def demand_past(paths: Iterable[str | Path], now: float) -> None:
    """Refuse files that were changed after now, which no result could be newer than.

    Parameters
    ----------
    paths
        Files; those that do not exist are passed over.
    now
        Seconds since the epoch.

    Raises
    ------
    InputError
        A file is dated ahead of the clock.
    """
    problems = [
        InputError(
            path,
            f"a time of change {path.stat().st_mtime - now:.0f} seconds ahead of this machine's "
            "clock",
            "a file changed before now",
            "Set the clock right, or give the file the present time (touch).",
        )
        for path in sorted(set(map(Path, paths)))
        if path.exists() and path.stat().st_mtime > now + CLOCK_SECONDS
    ]
    if problems:
        raise InputError.together(problems)
