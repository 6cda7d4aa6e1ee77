"""Training donors: told by a key, by nothing else."""

import stat
from types import SimpleNamespace

import pytest
from scripts import load_script

from mtm.errors import InputError
from mtm.models.donors import DonorsKey, TrainingDonors

NAMES = ("GTEX-1", "GTEX-2", "GTEX-Ü")


def from_bundle(written_with, read_with):
    header = TrainingDonors.of(NAMES).header(written_with)
    return TrainingDonors.from_header(header, read_with)


def test_the_key_that_was_used_tells_them():
    key = DonorsKey(b"a")
    told = from_bundle(key, key)
    assert len(told) == 3
    assert told.among(["GTEX-2", "GTEX-", "GTEX-Ü", ""]).tolist() == [True, False, True, False]
    # A bundle that is written again keeps them, whoever writes it.
    assert from_bundle(key, None).header(None) == told.header(DonorsKey(b"b"))


@pytest.mark.parametrize(
    ("written_with", "read_with", "found"),
    [
        (DonorsKey(b"a"), None, "no key"),
        (DonorsKey(b"a"), DonorsKey(b"b"), "another key"),
        (None, DonorsKey(b"b"), "no digests"),
    ],
)
def test_nobody_else_is_told_that_nobody_was_seen(written_with, read_with, found):
    told = from_bundle(written_with, read_with)
    assert len(told) == 3
    with pytest.raises(InputError, match=found):
        told.among(["GTEX-9"])


def test_a_key_is_its_owners_alone_and_new_every_time(tmp_path):
    path = tmp_path / "models/donors.key"
    path.parent.mkdir()
    first = DonorsKey.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert DonorsKey.read(path) == first
    assert first.secret.hex() not in repr(first)
    assert DonorsKey.write(path) != first
    path.write_text("no key")
    with pytest.raises(InputError, match="no key of training donors"):
        DonorsKey.read(path)


def test_a_key_that_is_there_is_never_made_again(tmp_path):
    path = tmp_path / "donors.key"
    make = load_script("make_donors_key").main
    make(SimpleNamespace(output=SimpleNamespace(key=str(path))))
    first = DonorsKey.read(path)
    make(SimpleNamespace(output=SimpleNamespace(key=str(path))))
    assert DonorsKey.read(path) == first
    path.write_text("no key")
    with pytest.raises(InputError, match="no key of training donors"):
        make(SimpleNamespace(output=SimpleNamespace(key=str(path))))
    assert path.read_text() == "no key"
