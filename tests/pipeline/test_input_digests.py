import os

from mtm.pipeline import input_digests as module
from mtm.pipeline.input_digests import input_digests


def test_content_alone_makes_a_digest(tmp_path, monkeypatch):
    cache = tmp_path / ".snakemake" / "digests.json"
    cache.parent.mkdir()
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    other.write_text("b")

    def digests():
        monkeypatch.setattr(module, "_cached", {})
        return input_digests({"x": str(one), "y": str(other), "z": str(tmp_path / "none")}, cache)

    first = digests()
    assert first["x"] != first["y"]
    assert first["z"] == ""
    os.utime(one, (10**9, 10**9))
    assert digests() == first
    # Another file of the same size and time, as `cp -p` leaves it.
    two = tmp_path / "two"
    two.write_text("c")
    os.utime(two, (10**9, 10**9))
    os.replace(two, one)
    assert digests()["x"] != first["x"]
    cache.write_text("{")
    assert digests()["y"] == first["y"]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert input_digests({"x": str(tmp_path / "pipe")}, tmp_path / "cache") == {"x": ""}
