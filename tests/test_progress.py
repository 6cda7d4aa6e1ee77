"""How far long work is, on a terminal and in a log."""

import logging

import pytest

from mtm import progress
from mtm.progress import Bar, Pace, duration


def test_how_far_it_is_and_how_long_it_will_take_is_said_now_and_then():
    seconds, said = iter([0, 1, 11, 12, 40]), []
    told = Pace(400, "people x tissues", said.append, 10, now=lambda: next(seconds))
    for done in (10, 100, 110, 150, 400):
        told(done)
    assert said == [
        "100 of 400 people x tissues (25%), 9.1 a second, about 33 s left",
        "150 of 400 people x tissues (38%), 3.8 a second, about 67 s left",
    ]


def test_lines_come_further_apart_the_longer_it_takes():
    time_now, said = [0.0], []
    told = Pace(
        36_000, "steps", lambda line: said.append(time_now[0]), 60, now=lambda: time_now[0]
    )
    for time_now[0] in range(1, 36_000):
        told(int(time_now[0]))
    assert said[:10] == list(range(60, 601, 60))
    assert all(0.1 <= (b - a) / b < 0.102 for a, b in zip(said[10:], said[11:], strict=False))
    assert 32_000 < said[-1]


def test_what_was_done_before_counts_for_no_speed():
    seconds, said = iter([0, 100]), []
    told = Pace(2_000, "steps", said.append, 60, done=1_000, now=lambda: next(seconds))
    told(1_200)
    assert said == ["1,200 of 2,000 steps (60%), 2 a second, about 6.7 min left"]


def test_nothing_is_foretold_of_what_has_no_known_end():
    said = []
    Pace(None, "bytes", said.append, 0)(5)
    assert not said


def test_where_there_is_no_terminal_the_log_tells(caplog, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    with caplog.at_level(logging.INFO, "mtm"), Bar(10, "step", "mtm", 2) as bar:
        bar.update()
        bar.update(3)
        bar.update(4)
    assert [line.split(",")[0] for line in caplog.messages] == [
        "mtm: 3 of 10 steps (30%)",
        "mtm: 6 of 10 steps (60%)",
    ]
    assert capsys.readouterr().err == ""


def test_bytes_are_told_in_sizes(caplog, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    with (
        caplog.at_level(logging.INFO, "mtm"),
        Bar(2_000_000_000, "B", "tpm.gct.gz", unit_scale=True) as bar,
    ):
        bar.update(500_000_000)
    assert caplog.messages[0].startswith("tpm.gct.gz: 500M of 2.00G B (25%), ")


@pytest.mark.parametrize("show", [True, False])
def test_who_shows_or_hides_the_bar_gets_no_lines(show, caplog, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    with caplog.at_level(logging.INFO, "mtm"), Bar(10, "genes", "expression", show=show) as bar:
        bar.update(5)
        assert bar.n == 5
    assert not caplog.messages
    assert ("expression" in capsys.readouterr().err) is show


def test_times_are_in_units_that_fit():
    assert [duration(s) for s in (40, 200, 7_200, 90_000)] == [
        "about 40 s", "about 3.3 min", "about 2.0 h", "about 25 h",
    ]  # fmt: skip
