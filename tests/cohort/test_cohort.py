from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from people import five_donors

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError


def test_rows_by_donor_and_tissue():
    cohort = five_donors()
    rows = cohort.row_of()
    assert (rows.dtype, rows.shape) == (np.int64, (5, 4))
    assert (rows >= 0).sum() == cohort.n_samples
    for row in range(cohort.n_samples):
        assert rows[cohort.donor[row], cohort.tissue[row]] == row
    np.testing.assert_array_equal(rows[2], [-1, -1, -1, cohort.n_samples - 6])


def test_two_samples_of_a_donor_and_tissue_are_refused():
    cohort = five_donors()
    twice = replace(cohort, tissue=np.where(cohort.tissue == 0, 1, cohort.tissue))
    with pytest.raises(InputError, match="D0-0: found a second sample of donor D0 in Lung"):
        twice.row_of()


def test_samples_are_read_without_expression_as_with_it(tmp_path):
    expression, donors = tmp_path / "expression.h5ad", tmp_path / "donors.tsv"
    made = five_donors()
    made.to_anndata().write_h5ad(expression)
    made.donors.rename_axis("donor").to_csv(donors, sep="\t")
    whole, bare = Cohort.read(expression, donors), Cohort.read_samples(expression, donors)
    assert (bare.n_genes, bare.expr_tpm.shape) == (0, (whole.n_samples, 0))
    for name in ("samples", "donors"):
        pd.testing.assert_frame_equal(getattr(bare, name), getattr(whole, name))
    for name in ("donor", "tissue"):
        np.testing.assert_array_equal(getattr(bare, name), getattr(whole, name))
    assert (bare.tissues, bare.measure) == (whole.tissues, whole.measure)
    donors.write_text("donor\nD0\n")
    for read in (Cohort.read, Cohort.read_samples):
        with pytest.raises(InputError, match=r"expression\.h5ad, obs: found donor D1"):
            read(expression, donors)
