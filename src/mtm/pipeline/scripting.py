"""What every script of a rule does the same way: log, threads, and errors a user can read."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtm.errors import InputError

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


@contextmanager
def run(snakemake: Any) -> Iterator[logging.Logger]:
    """Run the body of a rule's script: `with run(snakemake) as log: ...`.

    Log records (`mtm` from INFO, other packages from WARNING) and Python warnings go to the
    rule's log file, which is started afresh; progress bars stay on stderr. Torch, where it was
    imported, is held to the rule's threads; imported later, it takes Snakemake's OMP_NUM_THREADS.

    Parameters
    ----------
    snakemake
        The object that Snakemake gives a script; `log`, `threads` and `rule` are read. An empty
        `log` means stderr.

    Yields
    ------
    logging.Logger
        The logger of this rule.

    Raises
    ------
    SystemExit
        With code 1 after an `InputError`, whose message alone goes to the log and to stderr.
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
