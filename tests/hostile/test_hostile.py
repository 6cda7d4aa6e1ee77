"""Every row of the hostile table against the real commands: see `tests.hostile.case`."""

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from tests.hostile.case import Case, all_cases, modules
from tests.hostile.command import run

ALL = bool(os.environ.get("MTM_FUZZ"))
PREPARE = {
    case.area: getattr(module, "prepare", lambda folder: None)
    for module in modules()
    for case in module.CASES[:1]
}
# What no one may see, whatever they hand in.
CRASHES = (
    "Traceback (most recent call last)",
    "SIGSEGV",
    "SIGABRT",
    "SIGBUS",
    "core dumped",
    "ended with status -",
)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Return the function that gives the folder which an area's rows start from."""
    made = {}

    def of(area):
        if area not in made:
            made[area] = tmp_path_factory.mktemp(area)
            (made[area] / "results").mkdir()
            PREPARE[area](made[area])
        return made[area]

    return of


def contents(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=pytest.mark.xdist_group(case.area))
        for case in all_cases()
        if case.always or ALL
    ],
)
def test_hostile(case: Case, prepared, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(prepared(case.area), folder)
    command = case.make(folder)
    before = contents(folder / "results")
    outcome = run(command, folder, case.seconds)
    shown = f"{' '.join(map(str, command))}\n{outcome.text[-6000:]}"
    assert outcome.status is not None, (
        f"hangs: computed {case.seconds} s or waited too long\n{shown}"
    )
    assert outcome.status == case.expected_status, f"ended with {outcome.status}\n{shown}"
    for crash in CRASHES:
        assert crash not in outcome.text, shown
    assert not UNPRINTABLE.search(outcome.text), repr(outcome.text)
    assert re.search(case.says, outcome.text), f"does not say {case.says!r}\n{shown}"
    assert case.names in outcome.text, f"does not name {case.names!r}\n{shown}"
    if not case.changes:
        after = contents(folder / "results")
        assert {name: after.get(name) for name in before} == before, f"results changed\n{shown}"
        if case.verdict == "refuse":
            assert set(after) == set(before), f"something was left in results\n{shown}"
    if case.then is not None:
        case.then(folder, outcome)


def test_rows_have_names_of_their_own():
    ids = [case.id for case in all_cases()]
    assert len(ids) == len(set(ids))


def test_the_table_is_up_to_date():
    from tests.hostile.table import PAGE, page

    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.hostile.table"


@pytest.mark.skipif(sys.platform != "linux", reason="the process group is Linux's")
def test_a_hang_is_ended_and_a_crash_is_seen(tmp_path):
    os.mkfifo(tmp_path / "fifo.tsv")
    (tmp_path / "run").mkdir()
    command = ["snakemake", "--configfile", tmp_path / "fifo.tsv", "-n"]
    assert run(command, tmp_path / "run", 1.0).status is None
