"""Readers of expression files against files that nobody thought of: an answer or one error."""

import os

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hostile import ingest
from tests.hostile.files import gct

from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.errors import InputError

FUZZED = bool(os.environ.get("MTM_FUZZ"))
settings.register_profile(
    "hostile",
    max_examples=20_000 if FUZZED else 150,
    derandomize=not FUZZED,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
HOSTILE = settings.get_profile("hostile")
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


edits = st.lists(
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), st.binary(max_size=12)), max_size=4
)


@HOSTILE
@given(edits)
def test_an_edited_gct(tmp_path_factory, changes):
    data = GOOD
    for place, length, new in changes:
        data = data[:place] + new + data[place + length :]
    path = tmp_path_factory.getbasetemp() / "edited.gct"
    path.write_bytes(data)
    read(path)


@HOSTILE
@given(st.binary(max_size=200), st.sampled_from(["any.gct", "any.tsv", "any.gct.gz", "any.h5ad"]))
def test_any_bytes(tmp_path_factory, data, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    read(path)


@pytest.fixture(scope="module")
def good_h5ad(tmp_path_factory):
    import scipy.sparse

    folder = tmp_path_factory.mktemp("good")
    ingest.h5ad(lambda file: None, scipy.sparse.csr_matrix)(folder)
    return (folder / "expression.h5ad").read_bytes()


parts = st.sampled_from(["X", "X/data", "X/indices", "X/indptr", "obs/_index", "var/_index"])
numbers = st.one_of(st.integers(-(2**40), 2**40), st.floats(width=32), st.text(max_size=4))
arrays = st.one_of(
    numbers,
    st.lists(st.integers(-3, 60), max_size=90),
    st.lists(st.floats(width=32), max_size=90),
    st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), max_size=3),
)


@HOSTILE
@given(st.lists(st.tuples(parts, arrays), min_size=1, max_size=3), st.lists(numbers, max_size=3))
def test_an_h5ad_of_other_parts(tmp_path_factory, good_h5ad, changes, shape):
    path = tmp_path_factory.getbasetemp() / "parts.h5ad"
    path.write_bytes(good_h5ad)
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


@HOSTILE
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_an_h5ad_with_other_bytes(tmp_path_factory, good_h5ad, place, new):
    place %= len(good_h5ad)
    path = tmp_path_factory.getbasetemp() / "bytes.h5ad"
    path.write_bytes(good_h5ad[:place] + new + good_h5ad[place + len(new) :])
    read(path)
