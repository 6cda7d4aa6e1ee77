import threading
from types import SimpleNamespace

import pytest
import torch

from mtm.predictions.tissues import AT_ONCE, of_each


@pytest.fixture
def threads():
    """Set torch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def named(n, device="cpu"):
    return (SimpleNamespace(name=i, device=torch.device(device)) for i in range(n))


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_tissues_come_in_their_order_a_few_at_a_time_each_with_one_thread(threads, n_threads):
    threads(n_threads)
    at_once, barrier = min(AT_ONCE, n_threads), threading.Barrier(min(AT_ONCE, n_threads))
    alive, most, lock = set(), [], threading.Lock()

    def work(tissue):
        with lock:
            alive.add(tissue.name)
            most.append(len(alive))
        # Passes only where as many work side by side.
        barrier.wait(timeout=30)
        with lock:
            alive.remove(tissue.name)
        return tissue.name, torch.get_num_threads()

    found = list(of_each(work, named(4 * AT_ONCE)))
    assert [name for name, _ in found] == list(range(4 * AT_ONCE))
    assert {n for _, n in found} == {1}
    assert max(most) == at_once
    assert torch.get_num_threads() == n_threads


def test_tissues_are_read_no_further_than_they_are_worked_on(threads):
    threads(2)
    read = []

    def tissues():
        for tissue in named(20):
            read.append(tissue.name)
            yield tissue

    results = of_each(lambda tissue: tissue.name, tissues())
    for name in range(3):
        assert next(results) == name
        assert len(read) <= name + 3
    results.close()
    assert torch.get_num_threads() == 2


def test_what_fails_in_one_tissue_is_raised(threads):
    threads(2)

    def work(tissue):
        if tissue.name == 1:
            raise ValueError("tissue 1")
        return tissue.name

    results = of_each(work, named(9))
    assert next(results) == 0
    with pytest.raises(ValueError, match="tissue 1"):
        next(results)
    assert torch.get_num_threads() == 2


def test_on_a_card_tissues_are_worked_on_one_after_the_other(threads):
    threads(4)
    main = threading.current_thread()
    found = list(of_each(lambda _: threading.current_thread() is main, named(3, "cuda")))
    assert found == [True] * 3
