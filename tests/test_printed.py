"""The page of what is printed has a line for every row, with the status that the row must give."""

import re

from geo_series import BAD
from tests.printed import PAGE, chosen


def test_every_row_has_its_line_and_status():
    lines = re.findall(r"^\| (.+?) \| (\S+) \| (.+?) \| `", PAGE.read_text(), re.MULTILINE)
    found = {name: (status, left) for name, status, left in lines}
    expected = {
        case.name: (str(case.expected_status), "no" if case.verdict == "refuse" else "yes")
        for case in chosen()
    }
    shows = "terminal escapes in notes and cohort, for mtm info"
    expected[shows] = ("0", "no")
    expected |= {"the series": ("0", "the answer")} | dict.fromkeys(BAD, ("1", "nothing"))
    assert found == expected, "run python -m tests.printed"


def test_no_answer_is_without_a_warning_where_one_is_due():
    text = PAGE.read_text()
    for case in chosen():
        line = next(line for line in text.splitlines() if line.startswith(f"| {case.name} |"))
        said = line.rpartition(" | ")[2]
        if case.verdict == "warn" and "mtm info" not in case.name:
            assert re.search("warning|not checked", said), line
        elif case.verdict == "accept":
            assert not re.search("warning: ", said), line
