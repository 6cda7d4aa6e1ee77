"""The hostile table in words: ``python -m tests.hostile.table`` writes docs/reliability.md."""

from collections import Counter
from pathlib import Path

from tests.hostile.case import AREAS, all_cases

PAGE = Path(__file__).parents[2] / "docs/reliability.md"
TITLES = {
    "config": "Configuration",
    "ingest": "Files of a cohort",
    "predict": "New people (`mtm predict`)",
    "checks": "Checks of new samples",
    "bundles": "Bundles",
    "annotation": "Annotation and pages",
    "external": "People from elsewhere",
    "faults": "Faults in the middle",
}
HEAD = """# What hostile and broken input does

Made by `python -m tests.hostile.table` from the rows of `tests/hostile`, which `make test-long` runs
against the real commands, each with an exit status, a message that names the file or the key, a
time limit, no traceback, no crash, and `results/` unchanged byte for byte. `make fuzz` runs the
rows that take longer, and looks for new ones. [SECURITY.md](../SECURITY.md) says what may be
untrusted.
"""


def page() -> str:
    """Return docs/reliability.md."""
    cases = all_cases()
    lines = [HEAD, "| area | accept | warn | refuse |", "|---|---|---|---|"]
    for area in AREAS:
        count = Counter(case.verdict for case in cases if case.area == area)
        cells = [str(count[verdict]) for verdict in ("accept", "warn", "refuse")]
        lines.append(f"| {' | '.join([TITLES[area], *cells])} |")
    for area in AREAS:
        rows = [case for case in cases if case.area == area]
        if not rows:
            continue
        lines += ["", f"## {TITLES[area]}", "", "| input | verdict | says |", "|---|---|---|"]
        for case in rows:
            cells = [case.name, case.verdict, f"`{case.says}`"]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
