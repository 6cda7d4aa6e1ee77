"""What is printed for good and bad input: ``python -m tests.printed`` writes docs/printed.md.

Rows of `tests.hostile` and `tests.geo_series` are given to the real commands; the test that goes
with this looks that each of them has its line here, with the exit status that other tests demand.
"""

import contextlib
import io
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]
PAGE = ROOT / "docs/printed.md"
# Bundles that no one should get an answer from, beside the rows of `tests.hostile.checks`.
BUNDLES = (
    "objects nested 100,000 deep as header", "versions that are a list", "no key tissues",
    "no key provenance", "one gene more than arrays have", "widths of 10^12",
    "widths of 10^5, which would take 10^7 bytes", "the scale fpkm", "clip -5", "a gene twice",
    "two versions of a gene", "a pickle that runs a command",
    "a header said to be 10^15 bytes long", "a coefficient of nan (mtm)",
    "terminal escapes in a tissue", "terminal escapes in notes and cohort, for mtm info",
)  # fmt: skip
LONGEST, LATE = 420, 10
# Where a file of GEO is.
ADDRESS = re.compile(r"https?://\S*?([^/=\s]+)(?=[:\s])")
HEAD = """# What is printed

Made by `python -m tests.printed`: the commands themselves, run on good and bad input.
`make test-long` runs the same rows and demands their exit status, a message that fits, and that
nothing is left behind where no answer is given. An answer without a warning is given to good
input alone.

## New people: `mtm predict`

"An answer" is a file of predictions; the line is the one that speaks of the input.

| input | exit | answer | printed |
|---|---|---|---|
"""
GEO = """
## A GEO series: `mtm geo`

A local server answers at GEO's addresses, in GEO's layouts. "Left" is what stands beside the
files that are sound, in the folder of the results and that of the series' files.

| answer of the server | exit | left | printed |
|---|---|---|---|
"""


def row(*cells: object) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def short(text: str) -> str:
    """Return a line as it is shown."""
    text = text.strip().removeprefix("mtm: ")
    return f"`{text if len(text) <= LONGEST else text[:LONGEST] + ' ...'}`".replace("``", "`")


def chosen() -> list:
    """Rows of `tests.hostile` that are shown."""
    from tests.hostile.case import all_cases

    cases = all_cases()
    of_bundles = {case.name: case for case in cases if case.area == "bundles"}
    return [case for case in cases if case.area == "checks"] + [of_bundles[n] for n in BUNDLES]


def predict_rows(folder: Path) -> Iterator[str]:
    """Run the rows of `chosen`."""
    import shutil

    from tests.hostile import bundles, checks
    from tests.hostile.command import run

    for area in (checks, bundles):
        (folder / area.CASES[0].area / "results").mkdir(parents=True)
        area.prepare(folder / area.CASES[0].area)
    for number, case in enumerate(chosen()):
        place = folder / str(number) / "run"
        shutil.copytree(folder / case.area, place)
        outcome = run(case.make(place), place, LATE * case.seconds)
        lines = [line for line in outcome.text.splitlines() if line.strip()]
        said = next((line for line in lines if re.search(case.says, line)), " ".join(lines))
        answers = any(place.glob("told.*"))
        yield row(case.name, outcome.status, "yes" if answers else "no", short(said))


def geo_rows(folder: Path) -> Iterator[str]:
    """Run ``mtm geo`` against each answer."""
    from _pytest.monkeypatch import MonkeyPatch
    from geo_series import ACCESSION, BAD, GOOD, write_bundle, write_hgnc
    from geo_server import geo_server

    from mtm import cli

    bundle = write_bundle(folder / "ridge.safetensors")
    answers = {"the series": ("", None, ())} | BAD
    for number, (name, (file, answer, _)) in enumerate(answers.items()):
        place, said = folder / f"geo{number}", io.StringIO()
        files, out = write_hgnc(place / "files"), place / "out"
        patch = MonkeyPatch()
        with geo_server(patch) as server, contextlib.redirect_stderr(said):
            server.files = {key: given for key, given in GOOD.items() if key != file}
            server.files |= {} if answer is None else {file: answer}
            status = cli.main(["geo", ACCESSION, "--bundle", str(bundle), "--out", str(out),
                               "--files", str(files), "--permutations", "19"])  # fmt: skip
        patch.undo()
        lines = said.getvalue().replace(f"{place}/", "").splitlines()
        line = next((text for text in lines if "error" in text), lines[-1])
        left = [path.name for path in files.iterdir() if path.name not in (*GOOD, "first_seen")]
        left = [part for part in left if "first_seen" not in part and "hgnc" not in part]
        left += ["the answer"] * out.exists()
        yield row(name, status, ", ".join(left) or "nothing", short(ADDRESS.sub(r".../\1", line)))


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [HEAD.rstrip(), *predict_rows(Path(folder)), GEO.rstrip(), *geo_rows(Path(folder))]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
