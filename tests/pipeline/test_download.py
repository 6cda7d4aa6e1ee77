import hashlib
import re
import shutil
import socket
import sys
import threading
from collections import namedtuple
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import requests
from real_data import PANEL, needs_panel

from mtm.errors import InputError
from mtm.pipeline.datasets import (
    PATTERNS,
    Dataset,
    missing_files,
    needed_files,
    read_manifest,
    verify,
)
from mtm.pipeline.download import Unreachable, fetch, fetch_needed

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 12_000
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.content`; `server.plan` holds one function for each of the next requests."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.seen.append(dict(self.headers))
        action = self.server.plan.pop(0) if self.server.plan else ranged
        action(self)


def ranged(handler):
    content, asked = handler.server.content, handler.headers.get("Range")
    start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0
    if asked and start >= len(content):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(content)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    for key, value in handler.server.headers.items():
        handler.send_header(key, value)
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:])


def whole(handler):
    content = handler.server.content
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def cut(at, data=None):
    def action(handler):
        content = handler.server.content if data is None else data
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:at])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    return action


def status(code, **headers):
    def action(handler):
        handler.send_response(code)
        for key, value in headers.items():
            handler.send_header(key.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return action


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Say nothing of clients that hang up, which many tests do."""


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as server:
        server.content, server.plan, server.seen, server.headers = CONTENT, [], [], {}
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def dataset(server):
    return Dataset(
        name="toy",
        version="v1",
        file="toy.bin",
        url=f"http://127.0.0.1:{server.server_address[1]}/toy.bin",
        bytes=len(CONTENT),
        checksum=SHA256,
        licence="none",
        access="open",
        verified=False,
        needed_for="tests",
        description="toy file",
    )


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "resources" / "toy.bin"


def get(dataset, destination, **options):
    fetch(dataset, destination, **{"progress": False, "backoff": 0.0, "retries": 2} | options)


def files(destination):
    return sorted(path.name for path in destination.parent.iterdir())


def part_of(destination, content):
    destination.parent.mkdir()
    part = destination.with_name("toy.bin.part")
    part.write_bytes(content)
    return part


def test_download_of_known_content_leaves_the_file_alone(dataset, destination, server):
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert files(destination) == ["toy.bin"]
    assert "Range" not in server.seen[0]
    assert server.seen[0]["User-Agent"].startswith("mtm/")


def test_md5_is_checked_too(dataset, destination):
    get(replace(dataset, checksum="md5:" + hashlib.md5(CONTENT).hexdigest()), destination)
    assert destination.read_bytes() == CONTENT
    destination.unlink()
    with pytest.raises(InputError, match="expected md5:0{32}"):
        get(replace(dataset, checksum="md5:" + "0" * 32), destination)


def test_download_cut_at_half_goes_on_from_there(dataset, destination, server):
    half = len(CONTENT) // 2
    server.plan = [cut(half)]
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert server.seen[1]["Range"] == f"bytes={half}-"
    assert len(server.seen) == 2


def test_part_of_an_earlier_run_is_resumed(dataset, destination, server):
    part_of(destination, CONTENT[:1000])
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert [request["Range"] for request in server.seen] == ["bytes=1000-"]
    assert files(destination) == ["toy.bin"]


def test_complete_part_is_not_transferred_again(dataset, destination, server):
    part_of(destination, CONTENT)
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.seen] == [f"bytes={len(CONTENT)}-"]


def test_part_longer_than_the_file_starts_again(dataset, destination, server):
    part_of(destination, CONTENT + b"more")
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert "Range" not in server.seen[1]


def test_part_older_than_the_file_on_the_server_starts_again(dataset, destination, server):
    unpinned = replace(dataset, checksum=None, bytes=None)
    part_of(destination, b"x" * 1000)
    server.headers["Last-Modified"] = formatdate(4_000_000_000, usegmt=True)
    get(unpinned, destination, allow_http=True)
    assert destination.read_bytes() == CONTENT
    assert "Range" not in server.seen[1]


def test_part_younger_than_the_file_on_the_server_is_resumed(dataset, destination, server):
    part_of(destination, CONTENT[:1000])
    server.headers["Last-Modified"] = formatdate(1_000_000_000, usegmt=True)
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert len(server.seen) == 1


def test_damaged_part_is_fetched_once_more_from_scratch(dataset, destination, server):
    part_of(destination, b"x" * 1000)
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert [request.get("Range") for request in server.seen] == ["bytes=1000-", None]


def test_damaged_part_and_wrong_file_end_after_one_more_download(dataset, destination, server):
    server.content = b"y" * len(CONTENT)
    part_of(destination, b"x" * 1000)
    with pytest.raises(InputError, match=SHA256):
        get(dataset, destination)
    assert len(server.seen) == 2
    assert files(destination) == []


def test_wrong_checksum_keeps_nothing_and_names_both(dataset, destination, server):
    server.content = b"y" * len(CONTENT)
    found = "sha256:" + hashlib.sha256(server.content).hexdigest()
    with pytest.raises(InputError) as error:
        get(dataset, destination)
    assert (error.value.found, error.value.expected) == (found, SHA256)
    assert len(server.seen) == 1
    assert files(destination) == []


def test_wrong_length_is_refused_before_the_body_is_kept(dataset, destination, server):
    with pytest.raises(InputError, match=r"3,072,000 bytes; expected 7 bytes"):
        get(replace(dataset, bytes=7, checksum=None), destination, allow_http=True)
    assert files(destination) == []


def test_server_without_ranges_starts_from_zero(dataset, destination, server):
    server.plan = [cut(2_000_000), whole]
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert server.seen[1]["Range"] == "bytes=2000000-"


def test_short_body_is_noticed_without_any_pinned_length(dataset, destination, server):
    server.plan = [cut(100)] * 10
    unpinned = replace(dataset, checksum=None, bytes=None)
    with pytest.raises(Unreachable, match="100"):
        get(unpinned, destination, allow_http=True)
    assert files(destination) == ["toy.bin.part"]
    assert destination.with_name("toy.bin.part").read_bytes() == CONTENT[:100]


def test_retries_count_attempts_without_progress_only(dataset, destination, server):
    def piece(handler):
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header(
                "Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            )
        handler.send_header("Content-Length", str(len(CONTENT) - start))
        handler.end_headers()
        handler.wfile.write(CONTENT[start : start + 100_000])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    server.plan = [piece] * 10
    get(dataset, destination, retries=1)
    assert destination.read_bytes() == CONTENT
    assert len(server.seen) == 11


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_refusals_are_not_repeated(dataset, destination, server, code):
    server.plan = [status(code)] * 5
    with pytest.raises(Unreachable, match=f"HTTP status {code}") as error:
        get(dataset, destination)
    assert len(server.seen) == 1
    assert "local_files.toy" in str(error.value)
    assert files(destination) == []


@pytest.mark.parametrize("code", [429, 500, 503])
def test_passing_trouble_is_waited_for(dataset, destination, server, code, monkeypatch):
    waits = []
    monkeypatch.setattr("mtm.pipeline.download.time.sleep", waits.append)
    server.plan = [status(code), status(code), status(code, Retry_After="30")]
    get(dataset, destination, retries=3, backoff=1.0)
    assert destination.read_bytes() == CONTENT
    assert waits == [1.0, 2.0, 30.0]


def test_lasting_trouble_ends_after_the_retries(dataset, destination, server):
    server.plan = [status(503)] * 9
    with pytest.raises(Unreachable, match="HTTP status 503"):
        get(dataset, destination, retries=2)
    assert len(server.seen) == 3


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_offline_message_says_what_is_missing_and_what_to_do(dataset, destination):
    offline = replace(dataset, url=f"http://127.0.0.1:{closed_port()}/toy.bin")
    with pytest.raises(Unreachable) as error:
        get(offline, destination)
    message = str(error.value)
    for part in (offline.url, str(destination), "local_files.toy", "Connection refused"):
        assert part in message
    assert files(destination) == []


def test_server_never_heard_of_is_given_up_soon_and_one_heard_of_is_not(
    dataset, destination, server, monkeypatch
):
    waits = []
    monkeypatch.setattr("mtm.pipeline.download.time.sleep", waits.append)
    offline = replace(dataset, url=f"http://127.0.0.1:{closed_port()}/toy.bin")
    with pytest.raises(Unreachable):
        get(offline, destination, retries=5, backoff=1.0)
    assert waits == [1.0, 2.0]
    server.plan = [cut(0)] + [cut(200_000)] + [cut(0)] * 9
    with pytest.raises(Unreachable):
        get(dataset, destination, retries=5, backoff=1.0)
    assert waits[2:] == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0]


def test_offline_report_lists_every_missing_file_once(dataset, destination):
    url = f"http://127.0.0.1:{closed_port()}"
    names = ("first", "second", "third")
    manifest = {
        name: replace(dataset, name=name, file=f"{name}.bin", url=f"{url}/{name}.bin")
        for name in names
    }
    destinations = {name: destination.with_name(f"{name}.bin") for name in names}
    destination.parent.mkdir()
    destinations["second"].write_bytes(CONTENT)
    with pytest.raises(Unreachable) as error:
        fetch_needed("third", manifest, destinations, retries=0, backoff=0.0)
    message = str(error.value)
    lines = message.splitlines()
    assert lines[0] == "2 problems:"
    assert len(lines) == 3
    for name, line in zip(("third", "first"), lines[1:], strict=True):
        assert f"{url}/{name}.bin" in line
        assert f"put it at {destinations[name]}," in line
        assert message.count(f"local_files.{name}:") == 1
    assert str(destinations["second"]) not in message
    for name in ("first", "third"):
        destinations[name].write_bytes(CONTENT)
    assert missing_files(manifest, destinations) == []


def test_file_in_place_is_used_without_any_request(dataset, destination, server):
    destination.parent.mkdir()
    destination.write_bytes(CONTENT)
    session = SimpleNamespace(get=pytest.fail)
    get(dataset, destination, session=session)
    assert server.seen == []


@pytest.mark.parametrize("content", [b"mine", b"z" * len(CONTENT)])
def test_other_file_in_place_is_reported_and_left(dataset, destination, server, content):
    destination.parent.mkdir()
    destination.write_bytes(content)
    with pytest.raises(InputError, match="left as it is"):
        get(dataset, destination)
    assert destination.read_bytes() == content
    assert server.seen == []


@pytest.mark.parametrize("known", [True, False])
def test_disk_too_small_is_told_before_anything_is_written(
    dataset, destination, server, monkeypatch, known
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    pinned = replace(dataset, bytes=len(CONTENT) if known else None)
    with pytest.raises(InputError, match="1,000 bytes free") as error:
        get(pinned, destination)
    assert f"{len(CONTENT):,}" in error.value.expected
    assert files(destination) == []


def test_disk_needs_to_hold_only_what_is_left(dataset, destination, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    part_of(destination, CONTENT[:-1000])
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT


def test_interruption_leaves_only_the_part(dataset, destination, server, monkeypatch):
    class Interrupting:
        def __init__(self, *args, **options):
            self.seen = 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def update(self, n_bytes):
            self.seen += n_bytes
            if self.seen > 1_000_000:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mtm.pipeline.download.Bar", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            get(dataset, destination)
    assert files(destination) == ["toy.bin.part"]
    part = destination.with_name("toy.bin.part").read_bytes()
    assert len(part) > 1_000_000
    assert CONTENT.startswith(part)
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert server.seen[-1]["Range"] == f"bytes={len(part)}-"


def test_plain_http_without_checksum_is_refused_before_any_request(dataset, destination, server):
    with pytest.raises(InputError, match="pin its checksum") as error:
        get(replace(dataset, checksum=None), destination)
    assert str(destination) in str(error.value)
    assert server.seen == []


def test_redirect_to_plain_http_is_refused_without_checksum(dataset, destination):
    """The transport is replaced: an https address that redirects to plain http."""
    body = SimpleNamespace(stream=lambda *args, **options: iter([b"forged"]))

    class Redirected(requests.Session):
        def get(self, url, **options):
            first, last = requests.Response(), requests.Response()
            first.url, first.status_code = url, 302
            last.url, last.status_code, last.history = "http://elsewhere/toy.bin", 200, [first]
            last.raw, last.close = body, lambda: None
            return last

    secure = replace(dataset, url="https://publisher/toy.bin", checksum=None, bytes=None)
    with pytest.raises(InputError, match="http://elsewhere/toy.bin"):
        get(secure, destination, session=Redirected())
    assert files(destination) == []
    digest = "sha256:" + hashlib.sha256(b"forged").hexdigest()
    get(replace(secure, checksum=digest), destination, session=Redirected())
    assert destination.read_bytes() == b"forged"


def test_redirect_is_followed(dataset, destination, server):
    server.plan = [status(302, Location="/moved.bin")]
    get(dataset, destination)
    assert destination.read_bytes() == CONTENT
    assert len(server.seen) == 2


def test_redirects_without_end_are_not_repeated(dataset, destination, server):
    server.plan = [status(302, Location="/again")] * 100
    with pytest.raises(Unreachable, match="redirects"):
        get(dataset, destination)


def test_web_page_in_place_of_the_file_is_refused(dataset, destination, server):
    server.content, server.headers = b"<html>log in</html>", {"Content-Type": "text/html; x=y"}
    with pytest.raises(Unreachable, match="a web page"):
        get(replace(dataset, checksum=None, bytes=None), destination, allow_http=True)
    assert files(destination) == []


def test_bytes_are_kept_as_stored_where_the_server_calls_gz_an_encoding(
    dataset, destination, server
):
    server.headers["Content-Encoding"] = "x-gzip"
    get(replace(dataset, file="toy.gz"), destination)
    assert destination.read_bytes() == CONTENT
    destination.unlink()
    with pytest.raises(Unreachable, match="content encoding x-gzip"):
        get(dataset, destination)


def test_empty_answer_is_no_file(dataset, destination, server):
    server.content = b""
    unpinned = replace(dataset, checksum=None, bytes=None)
    with pytest.raises(Unreachable):
        get(unpinned, destination, allow_http=True)
    assert not destination.exists()


def test_checksum_of_an_unpinned_file_is_logged(dataset, destination, caplog):
    get(replace(dataset, checksum=None), destination, allow_http=True)
    assert SHA256 in caplog.text


def test_an_unpinned_file_is_held_against_the_first_seen(dataset, destination, server):
    unpinned = replace(dataset, checksum=None, bytes=None)
    get(unpinned, destination, allow_http=True)
    get(unpinned, destination, allow_http=True)
    destination.write_bytes(b"another")
    with pytest.raises(InputError, match="first seen.*first_seen.tsv if it is the right one"):
        get(unpinned, destination, allow_http=True)
    assert destination.read_bytes() == b"another"
    get(replace(unpinned, version="next"), destination, allow_http=True)


def test_a_body_without_end_is_cut(dataset, destination, server):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(bytes(1 << 20))
        handler.close_connection = True

    server.plan = [endless]
    with pytest.raises(InputError, match="more than"):
        get(dataset, destination)
    assert files(destination) == []


def test_a_part_that_is_a_link_is_refused(dataset, destination, server, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"mine")
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.with_name(destination.name + ".part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="a link"):
        get(dataset, destination)
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


def test_controlled_access_is_never_requested(dataset, destination, server):
    with pytest.raises(InputError, match=r"local_files\.toy"):
        get(replace(dataset, access="controlled"), destination)
    assert server.seen == []


def test_progress_bar_counts_what_was_there(dataset, destination, monkeypatch):
    seen = {}

    class Bar:
        def __init__(self, total, unit, desc, initial, show, **options):
            seen.update(total=total, unit=unit, initial=initial, show=show)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

        def update(self, n_bytes):
            seen["initial"] += n_bytes

    part_of(destination, CONTENT[:1000])
    monkeypatch.setattr("mtm.pipeline.download.Bar", Bar)
    get(dataset, destination, progress=True)
    assert (seen["initial"], seen["total"], seen["unit"]) == (len(CONTENT), len(CONTENT), "B")
    assert seen["show"] is None


def test_project_manifest_is_valid_and_honest():
    table = pd.read_csv(ROOT / "config" / "datasets.tsv", sep="\t")
    assert list(PATTERNS) == list(table)
    manifest = read_manifest(ROOT / "config" / "datasets.tsv")
    assert list(manifest) == list(table["name"])
    for dataset in manifest.values():
        assert dataset.url.startswith("https://") or dataset.checksum


@needs_panel
def test_pinned_phenotypes_are_the_published_ones():
    manifest = read_manifest(ROOT / "config" / "datasets.tsv")
    verify(manifest["gtex_v8_subject_phenotypes"], PANEL / "subject_phenotypes.txt")


@pytest.fixture
def rows(dataset):
    row = {column: getattr(dataset, column) for column in PATTERNS} | {"verified": "no"}
    return [row, row | {"name": "other", "file": "other.bin", "bytes": "", "checksum": ""}]


def write_manifest(tmp_path, rows):
    path = tmp_path / "datasets.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return path


def test_manifest_reads_unknown_as_none(tmp_path, rows, dataset):
    manifest = read_manifest(write_manifest(tmp_path, rows))
    assert manifest["toy"] == dataset
    assert (manifest["other"].bytes, manifest["other"].checksum) == (None, None)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("file", "../escape"),
        ("file", "folder/file"),
        ("url", "ftp://host/file"),
        ("bytes", "1.5e9"),
        ("bytes", "-4"),
        ("checksum", "sha256:abc"),
        ("checksum", "0" * 64),
        ("access", "public"),
        ("verified", "maybe"),
        ("licence", ""),
        ("name", "with space"),
    ],
)
def test_manifest_names_the_line_and_column_of_a_bad_field(tmp_path, rows, column, value):
    rows[1] = rows[1] | {column: value}
    with pytest.raises(InputError, match=rf"line 3, column {column}"):
        read_manifest(write_manifest(tmp_path, rows))


@pytest.mark.parametrize("column", ["name", "file"])
def test_manifest_refuses_a_repeated_name_or_file(tmp_path, rows, column):
    rows[1] = rows[1] | {column: rows[0][column]}
    with pytest.raises(InputError, match="more than once"):
        read_manifest(write_manifest(tmp_path, rows))


def test_manifest_refuses_an_unknown_and_a_missing_column(tmp_path, rows):
    with pytest.raises(InputError, match="mirror"):
        read_manifest(write_manifest(tmp_path, [row | {"mirror": "x"} for row in rows]))
    for row in rows:
        del row["licence"]
    with pytest.raises(InputError, match="a column named licence"):
        read_manifest(write_manifest(tmp_path, rows))


def test_needed_files_are_the_open_ones_in_use_without_a_local_copy(dataset):
    manifest = {
        name: replace(dataset, name=name, file=f"{name}.bin", access=access)
        for name, access in [
            ("used", "open"),
            ("elsewhere", "open"),
            ("copied", "open"),
            ("unused", "open"),
            ("secret", "controlled"),
        ]
    }
    names = ("expression", "sample_attributes", "subject_phenotypes")
    lab = dict(zip(names, ("elsewhere", "their/path.tsv", "secret"), strict=True))
    config = {
        "inputs": {"a": "used", "b": "copied", "c": "secret", "d": "my/path.tsv", "e": None},
        "local_files": {"copied": "x"},
        "evaluation": {"external": {"lab": lab, "site": dict.fromkeys(names)}},
    }
    assert needed_files(manifest, config, "resources") == {
        "used": Path("resources/used.bin"),
        "elsewhere": Path("resources/elsewhere.bin"),
    }


def test_script_fetches_the_file_of_its_output(tmp_path, rows, server):
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import fetch_dataset
    finally:
        sys.path.pop(0)
    output = tmp_path / "resources" / "toy.bin"
    job = SimpleNamespace(
        input=SimpleNamespace(manifest=str(write_manifest(tmp_path, rows))),
        output=SimpleNamespace(file=str(output)),
        config={
            "inputs": {"a": "toy", "b": "other"},
            "local_files": {},
            "evaluation": {"external": {}},
        },
    )
    fetch_dataset.main(job)
    assert output.read_bytes() == CONTENT
    output.unlink()
    server.plan = [status(404)]
    with pytest.raises(Unreachable, match=r"(?s)local_files\.toy.*local_files\.other"):
        fetch_dataset.main(job)
