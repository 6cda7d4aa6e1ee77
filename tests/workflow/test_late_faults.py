"""Trouble where a run is almost done: in predictions, figures and the page.

The commands are the real ones, in processes forked as those of `tests.hostile`.
"""

import hashlib
import shutil

import pytest
from broken import fill, half_written, needs_mount
from tests.hostile.command import PRINTED, run

pytestmark = pytest.mark.workflow

LITTLE = "results/little"
PAGE = f"{LITTLE}/index.html"
SNAKEMAKE = ["snakemake", "-c1", "--configfile", "config.yaml"]
SECONDS = 120.0


@pytest.fixture
def folder(little_run, tmp_path):
    """Return a copy of the finished folder, without what its jobs said."""
    shutil.copytree(little_run, tmp_path / "run", ignore=shutil.ignore_patterns("logs"))
    return tmp_path / "run"


def contents(folder):
    """Return the digest of every result."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / "results").rglob("*")
        if path.is_file() and path.name != "filler"
    }


@needs_mount
def test_full_disk_is_one_line_and_loses_nothing(folder, mount, fault_table):
    place = mount("size=40m")
    earlier = contents(folder)
    fill(place / "filler", leaving=4096)
    targets = {
        "predict_fold": f"{LITTLE}/predictions/ridge/fold0.h5ad",
        "draw_fig2a": f"{LITTLE}/figures/fig2a.png",
        "build_page": PAGE,
    }
    for rule, target in targets.items():
        again = [*SNAKEMAKE, "--forcerun", rule, "--", target]
        outcome = run(again, folder, SECONDS)
        printed = (folder.parent / PRINTED).read_text()
        assert outcome.status == 1
        last = printed.strip().splitlines()[-1]
        assert last.startswith(f"mtm: {rule} failed: "), printed
        assert "no room to write" in last
        assert "Traceback" not in printed, printed
        assert contents(folder) == earlier
        assert not half_written(folder)
        fault_table.append(
            (
                f"disk full in {rule}",
                "no room to write, as the last line",
                "nothing: every earlier file is there, byte for byte",
                "with space, done",
            )
        )
    (place / "filler").unlink()
    outcome = run(again, folder, SECONDS)
    assert outcome.status == 0, outcome.text
    assert "steps (100%) done" in outcome.text


def test_killed_while_the_page_is_written(folder, fault_table):
    page, log = folder / PAGE, folder / "logs/little/build_page.log"
    earlier, file = page.read_bytes(), page.stat().st_ino
    new = [*SNAKEMAKE, "--config", "final_bundle=false", "--rerun-incomplete", "--", PAGE]

    def written():
        return page.stat().st_ino != file or any(page.parent.glob(".*.partial.index.html"))

    for moment in (log.exists, written):
        outcome = run(new, folder, SECONDS, until=moment)
        assert outcome.status is None, outcome.text
        assert page.read_bytes() == earlier or page.read_text().rstrip().endswith("</html>")
        log.unlink()
        unlocked = run([*SNAKEMAKE, "--unlock"], folder, SECONDS)
        assert unlocked.status == 0, unlocked.text
    outcome = run(new, folder, SECONDS)
    assert outcome.status == 0, outcome.text
    assert page.read_text().rstrip().endswith("</html>")
    assert "final_bundle: false" in page.read_text()
    assert not half_written(folder)
    fault_table.append(
        (
            "everything killed (SIGKILL) while the page is written",
            "next start: directory locked, `--unlock` named",
            "nothing: the earlier page whole, or the new one",
            "after --unlock builds the page",
        )
    )
