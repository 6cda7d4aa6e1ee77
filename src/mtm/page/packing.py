"""Data inside a page: compressed, as text that no browser runs."""

import base64
import hashlib
import json
import zlib

import numpy as np
import pandas as pd

LEVEL = 9
WINDOW, MEMORY = 15, 9
# Digits of numbers in the tables of figures; the files beside the page have all.
DIGITS = "%.5g"


def pack(content: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> str:
    """Deflate bytes and write them in base64."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW, MEMORY, strategy)
    return base64.b64encode(packer.compress(content) + packer.flush()).decode("ascii")


def pack_bytes(values: np.ndarray) -> str:
    """Pack an array of bytes that hardly repeat one another: frequent ones get fewer bits.

    Looking for repetitions in them takes twenty times as long and finds chance ones, at a loss.
    """
    return pack(values.tobytes(), zlib.Z_HUFFMAN_ONLY)


def unpack(text: str) -> bytes:
    """Bytes that `pack` was given."""
    return zlib.decompress(base64.b64decode(text))


def pack_json(value: object) -> str:
    """Pack a value as JSON; NaN is no JSON and must have become None."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return pack(text.encode())


def pack_table(table: pd.DataFrame) -> str:
    """Pack a table as tab-separated text with numbers of five digits; whole numbers stay whole."""
    whole = {
        name: "Int64"
        for name in table.select_dtypes("float")
        if np.equal(np.mod(table[name].dropna(), 1), 0).all()
    }
    text = table.astype(whole).to_csv(sep="\t", index=False, float_format=DIGITS)
    return pack(text.encode())


def security_hash(text: str) -> str:
    """Hash of a script or style as a Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
