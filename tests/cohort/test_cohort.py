from dataclasses import replace

import numpy as np
import pytest
from people import five_donors

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
