"""Readers of expression files against files that nobody thought of: an answer or one error."""

from functools import cache

import h5py
import numpy as np
import pytest
from hypothesis import strategies as st
from tests.hostile import ingest
from tests.hostile.files import gct
from tests.hostile.tries import tried

from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.errors import InputError

GOOD = gct(ingest.values()[:4, :6], ingest.IDS[:6], ingest.GENES[:4]).encode()


def read(path):
    """Read a file whole: values within bounds, or one error that names it."""
    try:
        header = read_expression_header(path)
        for block in iter_expression_blocks(path):
            assert block.expr_tpm.shape == (len(block.gene_ids), len(header.sample_ids))
            assert np.isfinite(block.expr_tpm).all()
            assert (block.expr_tpm >= 0).all()
    except InputError as error:
        named = str(error)
    else:
        named = path.name
    assert path.name in named


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readers")


@cache
def good_h5ad(folder):
    """Return the bytes of a good h5ad."""
    import scipy.sparse

    ingest.h5ad(lambda file: None, scipy.sparse.csr_matrix)(folder)
    return (folder / "expression.h5ad").read_bytes()


edits = st.lists(
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), st.binary(max_size=12)), max_size=4
)


@tried(150, changes=edits)
def test_an_edited_gct(folder, changes):
    data = GOOD
    for place, length, new in changes:
        data = data[:place] + new + data[place + length :]
    path = folder / "edited.gct"
    path.write_bytes(data)
    read(path)


NAMES = ["any.gct", "any.tsv", "any.gct.gz", "any.h5ad"]


@tried(150, data=st.binary(max_size=200), name=st.sampled_from(NAMES))
def test_any_bytes_for_expression(folder, data, name):
    path = folder / name
    path.write_bytes(data)
    read(path)


parts = st.sampled_from(["X", "X/data", "X/indices", "X/indptr", "obs/_index", "var/_index"])
numbers = st.one_of(st.integers(-(2**40), 2**40), st.floats(width=32), st.text(max_size=4))
arrays = st.one_of(
    numbers,
    st.lists(st.integers(-3, 60), max_size=90),
    st.lists(st.floats(width=32), max_size=90),
    st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), max_size=3),
)


CHANGES = st.lists(st.tuples(parts, arrays), min_size=1, max_size=3)


@tried(150, changes=CHANGES, shape=st.lists(numbers, max_size=3))
def test_an_h5ad_of_other_parts(folder, changes, shape):
    path = folder / "parts.h5ad"
    path.write_bytes(good_h5ad(folder))
    with h5py.File(path, "a") as file:
        for name, value in changes:
            attributes = dict(file[name].attrs) if name in file else {}
            try:
                if name in file:
                    del file[name]
                file[name] = value
                file[name].attrs.update(attributes)
            except (TypeError, ValueError, KeyError, OSError):
                continue  # It cannot be written so.
        if shape and "X" in file:
            try:
                file["X"].attrs["shape"] = shape
            except (TypeError, ValueError, OverflowError):
                pass
    read(path)


@tried(150, place=st.integers(0, 10**6), new=st.binary(min_size=1, max_size=8))
def test_an_h5ad_with_other_bytes(folder, place, new):
    good = good_h5ad(folder)
    place %= len(good)
    path = folder / "bytes.h5ad"
    path.write_bytes(good[:place] + new + good[place + len(new) :])
    read(path)
