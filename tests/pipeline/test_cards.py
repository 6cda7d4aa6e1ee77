import multiprocessing
import os
import time
from types import SimpleNamespace

import pytest

from mtm.pipeline import cards
from mtm.pipeline.cards import VISIBLE, own_card
from mtm.pipeline.scripting import run
from mtm.registered import registered_modules
from mtm.settings.models.base import declared, model_names

SECONDS = 0.3


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    for name in (*cards.SCHEDULERS, VISIBLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cards, "SECONDS", 0.02)


def hold(folder, begun, held):
    """Take a card for a while; tell which and when."""
    begun.wait()
    with own_card(1, folder):
        start = time.monotonic()
        time.sleep(SECONDS)
        held.put((os.environ[VISIBLE], start, time.monotonic()))


@pytest.mark.slow
@pytest.mark.parametrize(("n_jobs", "n_cards"), [(2, 2), (4, 2), (3, 1)])
def test_no_two_jobs_hold_one_card_and_those_too_many_wait(tmp_path, monkeypatch, n_jobs, n_cards):
    monkeypatch.setenv(VISIBLE, ",".join(map(str, range(n_cards))))
    context = multiprocessing.get_context("fork")
    begun, held = context.Barrier(n_jobs), context.Queue()
    jobs = [context.Process(target=hold, args=(tmp_path, begun, held)) for _ in range(n_jobs)]
    for job in jobs:
        job.start()
    found = sorted((held.get(timeout=30) for _ in jobs), key=lambda row: row[1])
    for job in jobs:
        job.join()
    assert {name for name, _, _ in found} == set(map(str, range(n_cards)))
    for name in map(str, range(n_cards)):
        of_card = [row for row in found if row[0] == name]
        assert all(one[2] <= two[1] for one, two in zip(of_card, of_card[1:], strict=False))


def test_a_killed_job_gives_its_card_back(tmp_path, monkeypatch):
    monkeypatch.setenv(VISIBLE, "7")
    context = multiprocessing.get_context("fork")
    taken = context.Event()

    def keep():
        with own_card(1, tmp_path):
            taken.set()
            time.sleep(60)

    job = context.Process(target=keep)
    job.start()
    taken.wait(30)
    job.kill()
    with own_card(1, tmp_path):
        assert os.environ[VISIBLE] == "7"
    assert os.environ[VISIBLE] == "7"
    job.join()


def test_a_job_that_asks_for_none_sees_none(monkeypatch, tmp_path):
    with own_card(0, tmp_path):
        assert os.environ[VISIBLE] == ""
    assert VISIBLE not in os.environ
    snakemake = SimpleNamespace(log=[], threads=1, rule="rule", output=[])
    snakemake.resources = SimpleNamespace(gpu=0)
    with run(snakemake, in_place=True):
        assert os.environ[VISIBLE] == ""


def test_what_a_scheduler_gave_is_left(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv(VISIBLE, "0")
    with own_card(1, tmp_path), own_card(1, tmp_path):
        assert os.environ[VISIBLE] == "0"
    assert not list(tmp_path.iterdir())


def test_jobs_within_an_allocation_of_several_cards_take_one_each(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv(VISIBLE, "0,1")
    monkeypatch.setattr(cards.tempfile, "gettempdir", lambda: str(tmp_path))
    with own_card(1):
        assert os.environ[VISIBLE] == "0"
        monkeypatch.setenv(VISIBLE, "0,1")
        with own_card(1):
            assert os.environ[VISIBLE] == "1"
        # Cards of another allocation are others, whatever their numbers.
        monkeypatch.setenv("SLURM_JOB_ID", "13")
        with own_card(1):
            assert os.environ[VISIBLE] == "0"


def test_cards_are_counted_without_the_driver_and_none_is_no_reason_to_wait(tmp_path, monkeypatch):
    for name in ("nvidia0", "nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert cards.cards(tmp_path) == ["0", "2", "10"]
    monkeypatch.setattr(cards, "cards", list)
    with own_card(1, tmp_path):
        assert VISIBLE not in os.environ


@pytest.mark.parametrize("name", model_names())
def test_models_that_choose_a_device_ask_for_a_card(name):
    module = registered_modules("mtm.models", "register")[name]
    package = module.rpartition(".")[0] if module.endswith(".model") else module
    place = cards.Path(cards.__file__).parents[2] / package.replace(".", "/")
    files = place.rglob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    # Where it chooses a device itself, or fits others that may.
    marks = "choose_device", "member.fit("
    chooses = any(mark in file.read_text() for file in files for mark in marks)
    assert declared(name).on_card == chooses
