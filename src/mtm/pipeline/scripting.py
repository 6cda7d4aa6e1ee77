"""What every script of a rule does the same way: log, threads, readable errors, what it skips."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtm.errors import CannotDo, InputError
from mtm.io import write_note

TABLES = (".tsv", ".parquet")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _handler(log_path: str | None) -> logging.Handler:
    """Return a handler that writes each record at once to `log_path`, or to stderr without one."""
    if log_path is None:
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        Path(log_path).parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(log_path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    return handler


def _leave_out(outputs: Iterable[str], why: CannotDo) -> None:
    """Write the reason in place of those outputs that are not there, which must be tables."""
    missing = [path for path in outputs if not Path(path).exists()]
    if any(Path(path).suffix not in TABLES for path in missing):
        raise why
    for path in missing:
        write_note(why, path)


@contextmanager
def run(snakemake: Any) -> Iterator[logging.Logger]:
    """Run the body of a rule's script: `with run(snakemake) as log: ...`.

    Log records (`mtm` from INFO, other packages from WARNING) and Python warnings go to the
    rule's log file, which is started afresh; progress bars stay on stderr. Torch, where it was
    imported, is held to the rule's threads; imported later, it takes Snakemake's OMP_NUM_THREADS.

    A body that raises `CannotDo` ends well: its reason stands in the tables that it did not write.

    Parameters
    ----------
    snakemake
        The object that Snakemake gives a script; `log`, `threads`, `rule` and `output` are read.
        An empty `log` means stderr.

    Yields
    ------
    logging.Logger
        The logger of this rule.

    Raises
    ------
    SystemExit
        With code 1 after an `InputError`, whose message alone goes to the log and to stderr.
    CannotDo
        An output that is not there is no table, in which the reason could stand.
    Exception
        Any other error, after its traceback was written to the log.
    """
    log_path = str(snakemake.log[0]) if snakemake.log else None
    root, library = logging.getLogger(), logging.getLogger("mtm")
    logger = logging.getLogger(f"mtm.{snakemake.rule}")
    handler, level_before = _handler(log_path), library.level
    root.addHandler(handler)
    library.setLevel(logging.INFO)
    logging.captureWarnings(True)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(snakemake.threads)
    try:
        yield logger
    except CannotDo as why:
        logger.warning("%s", why)
        _leave_out(snakemake.output, why)
    except InputError as error:
        logger.error("%s", error)
        if log_path is not None:
            sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    except Exception:
        logger.exception("rule %s failed", snakemake.rule)
        raise
    finally:
        logging.captureWarnings(False)
        library.setLevel(level_before)
        root.removeHandler(handler)
        handler.close()
