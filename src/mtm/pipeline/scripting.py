"""What every script of a rule does the same way: log, threads, readable errors, what it skips."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtm.errors import CannotDo, InputError
from mtm.io import full_disk, replaced_together, write_note
from mtm.pipeline.cards import own_card

TABLES = (".tsv", ".parquet")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


# Kept for the reason in the log of a job that fills the disk.
ROOM_BYTES = 4096


class _Log(logging.FileHandler):
    """A log that writes each record at once and holds room on the disk for its last ones."""

    def __init__(self, path: str):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, mode="w", encoding="utf-8")
        self.stream.write(" " * ROOM_BYTES)
        self.stream.flush()
        self.stream.seek(0)

    def handleError(self, record):
        """Say nothing of a record that cannot be written: stderr has the reason."""

    def close(self):
        """Give back the room that is left."""
        try:
            if self.stream is not None:
                self.stream.truncate()
        except OSError:
            pass
        super().close()


def _handler(log_path: str | None) -> logging.Handler:
    """Return a handler that writes to `log_path`, or to stderr without one."""
    try:
        handler = logging.StreamHandler(sys.stderr) if log_path is None else _Log(log_path)
    except OSError as error:
        raise SystemExit(str(full_disk(error, log_path) or error)) from None
    handler.setFormatter(logging.Formatter(FORMAT))
    return handler


def _leave_out(outputs: Iterable[Path], why: CannotDo) -> None:
    """Write the reason in place of those outputs that are not there, which must be tables."""
    missing = [path for path in outputs if not path.exists()]
    if any(path.suffix not in TABLES for path in missing):
        raise why
    for path in missing:
        write_note(why, path)


@contextmanager
def _outputs(snakemake: Any, in_place: bool) -> Iterator[list[Path]]:
    """Give a script other names to write its outputs under, which are renamed at the end."""
    named = snakemake.output
    if in_place:
        yield list(map(Path, named))
        return
    with replaced_together(list(named)) as written:
        other = dict(zip(map(str, named), map(str, written), strict=True))
        snakemake.output = type(named)(toclone=named, custom_map=lambda path: other[str(path)])
        try:
            yield written
        finally:
            snakemake.output = named


@contextmanager
def run(snakemake: Any, *, in_place: bool = False) -> Iterator[logging.Logger]:
    """Run the body of a rule's script: `with run(snakemake) as log: ...`.

    Log records (`mtm` from INFO, other packages from WARNING) and Python warnings go to the
    rule's log file, started afresh; bars (`mtm.progress`) to stderr, if that is a terminal.
    Torch, where it was imported, is held to the rule's threads; imported later, it takes
    Snakemake's OMP_NUM_THREADS. A card that the rule asks for is its own (`mtm.pipeline.cards`).

    The body finds temporary names in `snakemake.output`. All are renamed once it has ended well:
    what fails or is killed leaves every earlier output as it was. One that raises `CannotDo` ends
    well: its reason stands in the tables that it did not write.

    Parameters
    ----------
    snakemake
        What Snakemake gives a script.
    in_place
        Leave `snakemake.output` as it is, for a body that keeps earlier outputs itself.

    Yields
    ------
    logging.Logger
        The logger of this rule.

    Raises
    ------
    SystemExit
        With code 1 after an `InputError`, or where disk or memory was full: its message alone.
    CannotDo
        An output that is not there is no table, in which the reason could stand.
    Exception
        Any other error, its traceback in the log.
    """
    log_path = str(snakemake.log[0]) if snakemake.log else None
    root, library, logger = map(logging.getLogger, (None, "mtm", f"mtm.{snakemake.rule}"))
    handler, level_before = _handler(log_path), library.level
    root.addHandler(handler)
    library.setLevel(logging.INFO)
    logging.captureWarnings(True)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(snakemake.threads)
    try:
        with own_card(_cards_asked(snakemake)), _outputs(snakemake, in_place) as written:
            try:
                yield logger
            except CannotDo as why:
                logger.warning("%s", why)
                _leave_out(written, why)
    except Exception as error:
        reason = _reason(error, Path(next(iter(snakemake.output), ".")).parent)
        if reason is None:
            logger.exception("rule %s failed", snakemake.rule)
            raise
        _tell(logger, reason, log_path)
        raise SystemExit(1) from None
    finally:
        logging.captureWarnings(False)
        library.setLevel(level_before)
        root.removeHandler(handler)
        handler.close()


def _cards_asked(snakemake: Any) -> int:
    """Return the resource ``gpu`` of the rule."""
    return int(getattr(getattr(snakemake, "resources", None), "gpu", 0))


def _tell(logger: logging.Logger, reason: InputError, log_path: str | None) -> None:
    """Write a reason to the log and, where that is a file, to stderr."""
    logger.error("%s", reason)
    if log_path is not None:
        sys.stderr.write(f"{reason}\n")


def _reason(error: Exception, folder: Path) -> InputError | None:
    """Return what to say in a line where it is no mistake of the code; None for any other."""
    if isinstance(error, InputError):
        return error
    if isinstance(error, MemoryError):
        return InputError("memory", f"too little ({error})", "what the job's mem_mb asks for")
    return full_disk(error, folder)
