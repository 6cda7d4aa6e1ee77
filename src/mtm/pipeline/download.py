"""Download the external files of the manifest: resumed after a break, verified before use.

pooch is not used because it cannot resume by byte range, which files of several GB need.
"""

import logging
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import pandas as pd
import requests
import urllib3

from mtm import __version__
from mtm.errors import InputError
from mtm.io import put_in_place, read_tsv, write_tsv
from mtm.pipeline.datasets import Dataset, by_hand, checksum_of, missing_files, verify
from mtm.progress import Bar

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
LONGEST_WAIT = 60.0
# Of a file whose size neither manifest nor server tells: several times the largest there is.
LARGEST_BYTES = 20_000_000_000
# Ending of the table with the checksum first seen of a file that has none in the manifest.
FIRST_SEEN = ".first_seen.tsv"
RETRIES_UNHEARD = 2
HEADERS = {
    "User-Agent": f"mtm/{__version__} (python-requests/{requests.__version__})",
    "Accept-Encoding": "identity",
}


class Unreachable(InputError):
    """A file that is not in place and cannot be downloaded from here."""


class _Transient(Exception):
    """An attempt that failed in a way that may pass."""

    def __init__(self, what: str, wait: float = 0.0, heard: bool = True):
        super().__init__(what)
        self.wait, self.heard = wait, heard


def fetch(
    dataset: Dataset,
    destination: str | Path,
    *,
    retries: int = 5,
    timeout: float = 60.0,
    progress: bool = True,
    session: requests.Session | None = None,
    backoff: float = 1.0,
    allow_http: bool = False,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Put the file of `dataset` at `destination`, downloading it if it is not there.

    A file in place is verified and left as it is. A download is written to `destination` with
    ".part" appended, which an interruption leaves for the next call to resume, and is renamed
    once verified.

    Parameters
    ----------
    dataset
        What to fetch.
    destination
        Where the file belongs.
    retries
        Attempts in a row, after the first, that may bring no further bytes; at most two while
        the server has not answered at all, so that a machine without internet soon says so.
    timeout
        Seconds without an answer after which an attempt is given up.
    progress
        Show a progress bar where stderr is a terminal, and lines in the log elsewhere.
    session
        Session to use; a new one if None.
    backoff
        Seconds before the first retry, doubled for each further one.
    allow_http
        Accept plain http without a checksum. For tests.
    check
        Called with the file, in place or as downloaded; refuses by an InputError what it is not.

    Raises
    ------
    Unreachable
        The file cannot be had from here; the message says how to put it in place by hand.
    InputError
        The file, in place or as downloaded, is not the one of the manifest; access is controlled;
        the transfer would be open to tampering; or the disk is too small.
    """
    destination = Path(destination)
    if _in_place(dataset, destination, check):
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    with nullcontext(session) if session is not None else requests.Session() as opened:
        transfer = _Transfer(dataset, destination, opened, timeout, progress, allow_http)
        transfer.require_secure([dataset.url])
        transfer.complete_and_verify(retries, backoff)
    _check_part(dataset, transfer.part, check)
    demand_first_seen(dataset, transfer.part, destination)
    put_in_place([(transfer.part, destination)])
    logger.info("%s is in place at %s", dataset.name, destination)


def _check_part(dataset: Dataset, part: Path, check: Callable[[Path], None] | None) -> None:
    """Delete a download that is refused by its check, and say so."""
    if check is None:
        return
    try:
        check(part)
    except InputError as error:
        part.unlink()
        hint = f"Nothing was kept. {error.hint}".strip()
        raise InputError(dataset.url, error.found, error.expected, hint) from error


def _in_place(dataset: Dataset, destination: Path, check: Callable | None) -> bool:
    """Whether the file is there, and the right one; refuse what cannot be downloaded."""
    if destination.exists():
        if not destination.is_file():
            raise InputError(destination, "a folder or a pipe", f"the file of {dataset.name}")
        verify(
            dataset,
            destination,
            f"The file was left as it is. Move it away to download {dataset.name} again, or "
            f"correct the row of {dataset.name} in the manifest if this file is the right one.",
        )
        if check is not None:
            check(destination)
        demand_first_seen(dataset, destination, destination)
        logger.info("%s is in place at %s", dataset.name, destination)
        return True
    if dataset.access == "controlled":
        raise InputError(
            f"dataset {dataset.name}",
            "controlled access",
            f"a copy that you were granted, named in local_files.{dataset.name}",
            f"Apply at {dataset.url}",
        )
    return False


def fetch_needed(
    name: str, manifest: Mapping[str, Dataset], destinations: Mapping[str, Path], **options
) -> None:
    """`fetch` one of several needed files; if it cannot be had, report on all of them.

    Parameters
    ----------
    name
        Dataset to fetch.
    manifest
        Dataset name to `Dataset`.
    destinations
        Dataset name to where its file belongs, for all that is needed.
    options
        Passed to `fetch`.

    Raises
    ------
    Unreachable
        With it, every other file of `destinations` that is not in place.
    InputError
        As `fetch`.
    """
    try:
        fetch(manifest[name], destinations[name], **options)
    except Unreachable as error:
        others = {key: path for key, path in destinations.items() if key != name}
        raise Unreachable.together([error, *missing_files(manifest, others)]) from error


def demand_first_seen(dataset: Dataset, path: str | Path, destination: str | Path) -> None:
    """Hold a file without a checksum in the manifest against the one that first stood for it.

    Parameters
    ----------
    dataset
        What the file is of; one with a checksum is passed over.
    path
        The file.
    destination
        Where it belongs; the checksum first seen is kept beside it.

    Raises
    ------
    InputError
        The content is another than the first seen of this address and version.
    """
    if dataset.checksum is not None:
        return
    record = Path(destination).with_name(f"{dataset.file}{FIRST_SEEN}")
    found = checksum_of(path, "sha256")
    seen = read_tsv(record, ["version", "url", "checksum"], dtype=str) if record.exists() else None
    if seen is None or list(seen[["version", "url"]].iloc[0]) != [dataset.version, dataset.url]:
        row = {"version": dataset.version, "url": dataset.url, "checksum": found}
        write_tsv(pd.DataFrame([row]), record)
        logger.warning(
            "%s has no checksum in the manifest; its file has %s, kept in %s",
            dataset.name, found, record,
        )  # fmt: skip
    elif seen["checksum"].iloc[0] != found:
        raise InputError(
            path,
            found,
            f"{seen['checksum'].iloc[0]}, as when {dataset.name} was first seen",
            f"The file behind {dataset.url} or this copy has changed. Delete {record} if it is "
            "the right one.",
        )


@dataclass(frozen=True)
class _Transfer:
    """The download of one file to `part`, over as many requests as it takes."""

    dataset: Dataset
    destination: Path
    session: requests.Session
    timeout: float
    progress: bool
    allow_http: bool

    @property
    def part(self) -> Path:
        return self.destination.with_name(self.destination.name + ".part")

    @property
    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def complete_and_verify(self, retries: int, backoff: float) -> None:
        """Bring `part` to its full length and check it; one that was resumed may start again."""
        if self.part.is_symlink() or (self.part.exists() and not self.part.is_file()):
            raise InputError(
                self.part,
                "a link, folder or pipe where the download would be written",
                "nothing, or the beginning of an earlier download",
                "Remove it.",
            )
        for attempts_left in (1, 0):
            resumed = self.complete(retries, backoff)
            try:
                verify(
                    self.dataset,
                    self.part,
                    f"Nothing was kept. If this comes back, the file behind {self.dataset.url} "
                    "has changed, or is given to browsers alone: compare it with what its "
                    f"publisher states, and put it at {self.destination} or name it in "
                    f"local_files.{self.dataset.name}.",
                )
                return
            except InputError:
                self.part.unlink()
                if not (resumed and attempts_left):
                    raise
                logger.warning("%s, resumed, is damaged; starting again", self.dataset.name)

    def complete(self, retries: int, backoff: float) -> bool:
        """Bring `part` to its full length; return whether any request continued an earlier one."""
        resumed, failures, furthest, heard = False, 0, self.size, False
        while True:
            try:
                resumed |= self.size > 0
                self.attempt()
                return resumed
            except _Transient as error:
                failures = 1 if self.size > furthest else failures + 1
                furthest, heard = max(furthest, self.size), heard or error.heard
                if failures > (retries if heard else min(retries, RETRIES_UNHEARD)):
                    raise self.unreachable(str(error)) from error
                wait = min(max(error.wait, backoff * 2 ** (failures - 1)), LONGEST_WAIT)
                logger.warning(
                    "%s: found %s; next attempt in %.0f s", self.dataset.url, error, wait
                )
                time.sleep(wait)

    def attempt(self) -> None:
        """Request what `part` lacks, once, and append it; `_Transient` asks for another call."""
        start = self.size
        headers = HEADERS | ({"Range": f"bytes={start}-"} if start else {})
        try:
            with self.session.get(
                self.dataset.url, headers=headers, stream=True, timeout=self.timeout
            ) as response:
                self.require_secure([*(step.url for step in response.history), response.url])
                self.require_success(response)
                start, total = self.span(response, start)
                if start and start == total:
                    return
                self.require_content(response, total)
                total = total or self.dataset.bytes
                self.require_space(total, start)
                with (
                    self.part.open("ab" if start else "wb") as file,
                    Bar(
                        total,
                        "B",
                        self.dataset.name,
                        start,
                        None if self.progress else False,
                        unit_scale=True,
                    ) as bar,
                ):
                    for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                        file.write(chunk)
                        bar.update(len(chunk))
                        self.require_no_more(file.tell(), total)
        except requests.exceptions.SSLError as error:
            raise self.unreachable(f"no trustworthy secure connection ({error})") from error
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            reason = getattr(error.args[0], "reason", error) if error.args else error
            heard = self.size > start
            raise _Transient(f"a connection that failed ({reason})", heard=heard) from error
        except requests.RequestException as error:
            raise self.unreachable(f"an unusable answer ({error})") from error
        if self.size < (total or 1):
            raise _Transient(f"an answer that ended early, at {self.size:,} bytes of {total}")

    def require_no_more(self, n_bytes: int, total: int | None) -> None:
        """Stop what has no end, or another than was told."""
        most = total or LARGEST_BYTES
        if n_bytes > most:
            self.part.unlink()
            raise InputError(
                self.dataset.url,
                f"more than {most:,} bytes",
                f"a file of {most:,} bytes" + (" at most" if total is None else ""),
                "Nothing was kept.",
            )

    def unreachable(self, found: str) -> Unreachable:
        """Return the error to raise when the file cannot be had from here."""
        hint = by_hand(self.dataset, self.destination)
        return Unreachable(self.dataset.url, found, f"the file {self.dataset.file}", hint)

    def require_secure(self, urls: list[str]) -> None:
        """Refuse any url but https, unless a checksum will show whether the content is genuine."""
        if self.allow_http or self.dataset.checksum is not None:
            return
        for url in urls:
            if not url.lower().startswith("https://"):
                raise InputError(
                    f"dataset {self.dataset.name}",
                    f"the address {url}, where anybody on the way can alter the file, and no "
                    "checksum",
                    "an https address, or a checksum in the manifest",
                    f"Put the file at {self.destination} by hand, name your copy in "
                    f"local_files.{self.dataset.name}, or pin its checksum.",
                )

    def require_success(self, response: requests.Response) -> None:
        """Raise `_Transient` or `Unreachable` on a status that brings no file."""
        status = response.status_code
        if status in (200, 206, 416):
            return
        answer = f"HTTP status {status} ({response.reason})"
        if status in (408, 429) or status >= 500:
            wait = response.headers.get("Retry-After", "")
            raise _Transient(answer, float(wait) if wait.isdecimal() else 0.0)
        raise self.unreachable(answer)

    def span(self, response: requests.Response, start: int) -> tuple[int, int | None]:
        """Return where in the file the body begins, and the length of the file if it is told.

        An answer to a range request that does not continue `part` deletes it and raises
        `_Transient`.
        """
        if response.status_code == 200:
            length = response.headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        span = re.fullmatch(
            r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        total = int(span[2]) if span and span[2] != "*" else None
        if response.status_code == 416:
            continues = 0 < start == total
        else:
            continues = span is not None and span[1] == str(start)
        if not continues or (start and self.changed(response)):
            self.part.unlink(missing_ok=True)
            raise _Transient("another file than the one begun")
        return start, total

    def changed(self, response: requests.Response) -> bool:
        """Whether the server's file is younger than the last bytes of `part`."""
        try:
            modified = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
        except ValueError:
            return False
        return modified.timestamp() > self.part.stat().st_mtime

    def require_content(self, response: requests.Response, total: int | None) -> None:
        """Refuse a web page, a re-encoded body or a file of another length in the file's stead."""
        file, known = self.dataset.file, self.dataset.bytes
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "text/html":
            raise self.unreachable("a web page (a captcha, or of a log-in or a proxy?)")
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        # Many servers label a .gz file that is stored so as an encoding: its bytes are the file.
        if encoding != "identity" and not file.endswith(".gz"):
            raise self.unreachable(f"the content encoding {encoding}")
        if known is not None and total not in (None, known):
            self.part.unlink(missing_ok=True)
            raise InputError(
                self.dataset.url,
                f"a file of {total:,} bytes",
                f"{known:,} bytes",
                "It has changed since it was entered in the manifest. Nothing was kept.",
            )

    def require_space(self, total: int | None, start: int) -> None:
        """Refuse to begin what the disk cannot hold."""
        free = shutil.disk_usage(self.destination.parent).free
        if total is not None and total - start > free:
            raise InputError(
                self.destination.parent,
                f"{free:,} bytes free on its disk",
                f"{total - start:,} bytes for {self.destination.name}",
                f"Free some space, or name a copy elsewhere in local_files.{self.dataset.name}.",
            )
