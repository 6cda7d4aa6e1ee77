"""A server that answers at GEO's addresses, and the files that it serves."""

import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import requests

from mtm.pipeline import download
from mtm.simulation.series import CAPTCHA

HOSTS = ("ftp.ncbi.nlm.nih.gov", "www.ncbi.nlm.nih.gov")


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files` by their names; a tuple is status, content type and body."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        asked = urlsplit(self.path)
        name = parse_qs(asked.query).get("file", [asked.path.rsplit("/")[-1]])[0]
        self.server.seen.append(self.path)
        status, kind, body = self.server.files.get(name, (404, "text/html", b"not found"))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def packed(content):
    """Answer with a file."""
    return 200, "application/x-gzip", content


def captcha(kind="text/html"):
    """Answer with the page that a script is given in a file's stead."""
    return 200, kind, CAPTCHA


@contextmanager
def geo_server(monkeypatch):
    """Answer what is asked of GEO's hosts, and let nothing else out."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.seen = {}, []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    get = requests.Session.get

    def local(session, url, **options):
        parts = urlsplit(url)
        if parts.hostname not in HOSTS:
            raise requests.ConnectionError(f"{parts.hostname} is not there")
        address = f"http://127.0.0.1:{server.server_port}{parts.path}?{parts.query}"
        return get(session, address, **options)

    monkeypatch.setattr(requests.Session, "get", local)
    monkeypatch.setattr(download._Transfer, "require_secure", lambda self, urls: None)
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def matrix_text(
    accession="GSE184050",
    kind="Expression profiling by high throughput sequencing",
    organism="Homo sapiens",
    relation=None,
    characteristics=(("disease state: T2D", "Disease State: control"),),
    gsm=("GSM1", "GSM2"),
):
    """Text of a series matrix."""

    def line(name, cells):
        return "\t".join([name, *(f'"{cell}"' for cell in cells)])

    lines = [
        line("!Series_title", ["A title with quotes in it"]),
        line("!Series_geo_accession", [accession]),
        line("!Series_type", [kind]),
        *([line("!Series_relation", [relation])] if relation else []),
        line("!Sample_title", [f"blood {name}" for name in gsm]),
        line("!Sample_geo_accession", gsm),
        line("!Sample_organism_ch1", [organism] * len(gsm)),
        *(line("!Sample_characteristics_ch1", cells) for cells in characteristics),
        "!series_matrix_table_begin",
        line('"ID_REF"', gsm),
        "!series_matrix_table_end",
    ]
    return "\n".join(lines) + "\n"


def tpm_text(entrez, gsm, seed=0):
    """Text of NCBI's TPM."""
    values = np.random.default_rng(seed).gamma(0.5, 1, (len(entrez), len(gsm)))
    values *= 1e6 / values.sum(0)
    rows = ["\t".join([str(gene), *(f"{value:.5g}" for value in row)])
            for gene, row in zip(entrez, values, strict=True)]  # fmt: skip
    return "\n".join(["\t".join(["GeneID", *gsm]), *rows]) + "\n"


def zipped(text):
    """Return text as a gzip file."""
    return gzip.compress(text.encode(), mtime=0)
