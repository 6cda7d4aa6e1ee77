from pathlib import Path

from mtm.settings.manual import BEGIN, FIRST, key_rows, with_key_tables

ROOT = Path(__file__).parents[2]


def test_every_key_is_described():
    rows = key_rows()
    assert len(rows) > 200
    assert [row["key"] for row in rows if len(row["meaning"]) < 5 or not row["allowed"]] == []


def test_manual_has_every_key_as_the_settings_state_it():
    manual = (ROOT / "config/README.md").read_text()
    assert with_key_tables(manual) == manual, "run: python -m mtm.settings.manual"
    missing = [row["key"] for row in key_rows() if row["key"].split(".")[-1] not in manual]
    assert missing == []


def test_what_is_set_first_comes_first():
    manual = (ROOT / "config/README.md").read_text()
    rows = [line for line in manual.split(BEGIN)[1].splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows[: len(FIRST)]] == list(FIRST)
    assert len(set(FIRST)) == 20
