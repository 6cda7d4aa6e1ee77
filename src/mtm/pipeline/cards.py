"""The graphics card of a job: it sees the one it has taken, and none if it asked for none."""

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Set in the jobs of schedulers, which give a job its cards themselves.
SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID")
SECONDS = 1.0


def cards(devices: Path = Path("/dev")) -> list[str]:
    """Return the cards of this machine that this process may use, as CUDA names them."""
    if (visible := os.environ.get(VISIBLE)) is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    numbers = (re.fullmatch(r"nvidia(\d+)", path.name) for path in devices.glob("nvidia*"))
    return sorted((found[1] for found in numbers if found), key=int)


@contextmanager
def own_card(n_asked: int, folder: Path | None = None) -> Iterator[None]:
    """Let this process see the card that is its own until the end.

    A job that asks for none sees none. One that asks waits for a card that no other job of this
    machine holds: a lock on a file, which falls with the process that holds it. What a scheduler
    gave a job is left as it is.

    Parameters
    ----------
    n_asked
        The resource ``gpu`` of the rule.
    folder
        Where the files of locks are, the same for all jobs of a user on a machine.
    """
    before, names = os.environ.get(VISIBLE), cards()
    if n_asked >= len(names) > 0 and _allocation():
        yield
        return
    lock = _first_free(names, folder or _folder()) if n_asked else None
    if lock is not None or not n_asked:
        os.environ[VISIBLE] = lock[0] if lock else ""
    try:
        yield
    finally:
        os.environ.pop(VISIBLE, None)
        if before is not None:
            os.environ[VISIBLE] = before
        if lock is not None:
            os.close(lock[1])


def _allocation() -> str:
    """Return what a scheduler calls the job that this process runs in; "" without one."""
    return next((os.environ[name] for name in SCHEDULERS if name in os.environ), "")


def _folder() -> Path:
    """Return this user's folder of locks on this machine, or in an allocation."""
    job = re.sub(r"[^A-Za-z0-9]", "-", _allocation())
    return Path(tempfile.gettempdir(), "-".join(filter(None, [f"mtm-cards-{os.getuid()}", job])))


def _first_free(names: list[str], folder: Path) -> tuple[str, int] | None:
    """Wait for a card; return it and the lock that is held. None where there is no card at all."""
    if not names:
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    waits = False
    while True:
        for name in names:
            path = folder / re.sub(r"[^A-Za-z0-9-]", "-", name)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return name, handle
        if not waits:
            logger.info("waits for one of the graphics cards %s", ", ".join(names))
            waits = True
        time.sleep(SECONDS)
