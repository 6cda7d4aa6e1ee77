"""What a failed job leaves, and what is said last."""

import asyncio
import os
from types import SimpleNamespace

import pytest
from snakemake.jobs import Job

from mtm.errors import InputError
from mtm.pipeline.failing import demand_past, keep_earlier_results, reason_of


class FakeJob:
    """As much of Snakemake's job as is changed."""

    def __init__(self, output, records):
        self.output, self.log = output, []
        self.dag = SimpleNamespace(workflow=SimpleNamespace(persistence=records))

    async def remove_existing_output(self):
        raise AssertionError("nothing may be removed")

    async def cleanup(self, skip_outputs):
        raise AssertionError("nothing may be removed")

    async def postprocess(self, error=False):
        self.dag.workflow.persistence.known = dict.fromkeys(self.output, "as if it had ended well")
        await self.cleanup([])


class Records:
    """As much of Snakemake's records as is used."""

    def __init__(self, known):
        self.known, self.incomplete = dict(known), set()

    def metadata(self, file):
        return self.known.get(file)

    def _get_key(self, file):
        return file

    def _write_record(self, key, record):
        self.known[key] = record

    def cleanup_metadata(self, file):
        self.known.pop(file)

    def _mark_incomplete(self, key, external):
        self.incomplete.add(key)


def test_snakemake_has_what_is_changed():
    for name in ("remove_existing_output", "cleanup", "postprocess"):
        assert asyncio.iscoroutinefunction(getattr(Job, name)), name


@pytest.mark.parametrize("replaced", [False, True])
def test_a_failed_job_keeps_files_and_what_made_them(tmp_path, replaced):
    keep_earlier_results(FakeJob)
    earlier, never = str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")
    (tmp_path / "a.tsv").write_text("earlier")
    records = Records({earlier: "what made it"})
    job = FakeJob([earlier, never], records)
    asyncio.run(job.remove_existing_output())
    if replaced:
        (tmp_path / "new").write_text("half of two outputs")
        os.replace(tmp_path / "new", earlier)
    asyncio.run(job.postprocess(error=True))
    assert records.known == {earlier: "what made it"}
    assert (records.incomplete == {earlier, never}) == replaced


def test_the_reason_is_the_last_of_the_log(tmp_path):
    log = tmp_path / "rule.log"
    log.write_text(
        "2026-01-01 00:00:00,1 INFO mtm.x: read\n"
        "2026-01-01 00:00:01,1 ERROR mtm.x: a.tsv: found x; expected y.\n"
    )
    assert reason_of(log) == f"a.tsv: found x; expected y. (log: {log})"
    log.write_text("2026-01-01 00:00:01,1 ERROR mtm.x: 2 problems:\none\ntwo\n")
    assert reason_of(log) == f"one (and 1 further problem) (log: {log})"
    log.write_text("2026-01-01 00:00:01,1 ERROR mtm.x: rule x failed\nTraceback\nValueError: no\n")
    assert reason_of(log) == f"rule x failed: ValueError: no (log: {log})"
    log.write_text("")
    assert "killed" in reason_of(log)


def test_a_file_ahead_of_the_clock_is_named(tmp_path):
    path = tmp_path / "a.tsv"
    path.touch()
    os.utime(path, (1000, 1000))
    demand_past([path, tmp_path / "none"], 1000.0)
    with pytest.raises(InputError, match="a.tsv: found a time of change 900 seconds ahead"):
        demand_past([path], 100.0)
