"""The bench for a card, rehearsed without one."""

import json
import sys

import pytest
from bench import gpu


def rehearse(folder, monkeypatch, *arguments):
    command = ["gpu", str(folder), "--device", "cpu", "--share", "0.002", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    status = gpu.main()
    facts = json.loads((folder / "gpu.json").read_text())
    return status, {part["name"]: part for part in facts["parts"]}, (folder / "gpu.md").read_text()


@pytest.mark.slow
def test_parts_run_and_report(tmp_path, monkeypatch):
    status, parts, page = rehearse(tmp_path, monkeypatch, "--parts", "joint")
    assert status == 0
    assert {name: part["status"] for name, part in parts.items()} == {"joint": "done"}
    assert '"peak_mb"' in page


@pytest.mark.slow
def test_what_is_cut_or_fails_keeps_what_it_said_and_the_rest_goes_on(tmp_path, monkeypatch):
    says = "print('begun', flush=True); "
    made = [
        gpu.Part("slow", ["-c", says + "import time; time.sleep(60)"], 2),
        gpu.Part("wrong", ["-c", says + "raise SystemExit(3)"], 60),
        gpu.Part("right", ["-c", says], 60),
    ]
    monkeypatch.setattr(gpu, "parts", lambda device, share: made)
    status, parts, page = rehearse(tmp_path, monkeypatch)
    assert status == 1
    assert [part["status"] for part in parts.values()] == ["cut", "failed (3)", "done"]
    assert page.count("\nbegun\n") == 3


def test_without_time_parts_are_left_out(tmp_path, monkeypatch):
    status, parts, _ = rehearse(tmp_path, monkeypatch, "--minutes", "0")
    assert status == 1
    assert {part["status"] for part in parts.values()} == {"left out"}


def test_without_a_card_it_says_how_to_rehearse(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        gpu.main()
    assert "--device cpu" in capsys.readouterr().err
