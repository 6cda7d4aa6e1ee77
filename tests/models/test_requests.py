import logging

import numpy as np
import pytest
from people import BLOOD, TISSUES, SameGene, five_donors, make_cohort

from mtm.cohort.cohort import Cohort
from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.requests import held_out_requests, predict_in_blocks


@pytest.fixture
def cohort():
    return five_donors()


@pytest.fixture
def model(cohort):
    fitted = SameGene()
    fitted.fit(Training(cohort, source=3))
    return fitted


def brute_force(cohort, donors, choose):
    """Requests by plain loops: {target row: source rows}."""
    row = {
        (cohort.donors.index[d], cohort.tissues[t]): i
        for i, (d, t) in enumerate(zip(cohort.donor, cohort.tissue, strict=True))
    }
    asked = {}
    for (donor, tissue), i in row.items():
        if donor in donors and tissue != BLOOD and (donor, BLOOD) in row:
            asked[i] = [
                row[donor, name] for name in choose if (donor, name) in row and name != tissue
            ]
    return asked


@pytest.mark.parametrize(
    ("sources", "choose"),
    [
        ("source", [BLOOD]),
        ("others", TISSUES),
        (["Lung", BLOOD], ["Lung", BLOOD]),
        ([BLOOD, "Lung", BLOOD], [BLOOD, "Lung"]),
    ],
)
def test_requests_equal_brute_force(cohort, sources, choose):
    donors = ["D0", "D1", "D2", "D4"]
    requests, target_rows = held_out_requests(cohort, donors, BLOOD, sources)
    expected = brute_force(cohort, donors, choose)
    asked = {
        int(row): list(sources[sources >= 0])
        for row, sources in zip(target_rows, requests.source_rows, strict=True)
    }
    assert asked == expected
    assert (requests.target == cohort.tissue[target_rows]).all()


def test_padding_stands_at_the_end_and_is_no_wider_than_needed(cohort):
    requests, _ = held_out_requests(cohort, ["D0", "D3"], BLOOD, "others")
    padding = requests.source_rows < 0
    assert (np.diff(padding.astype(int), axis=1) >= 0).all()
    assert requests.source_rows.shape == (4, 3)


def test_sources_that_a_donor_lacks_are_dropped_and_counted(cohort, caplog):
    with caplog.at_level(logging.WARNING):
        requests, target_rows = held_out_requests(cohort, ["D0", "D3", "D4"], BLOOD, ["Lung"])
    assert list(cohort.samples.index[target_rows]) == ["D0-0", "D0-2"]
    assert len(requests) == 2
    assert "4 of 6 samples" in caplog.text


def test_requests_refuse_what_they_cannot_use(cohort):
    with pytest.raises(InputError, match="nobody"):
        held_out_requests(cohort, ["nobody"], BLOOD)
    with pytest.raises(InputError, match="Spleen"):
        held_out_requests(cohort, ["D0"], BLOOD, ["Spleen"])
    with pytest.raises(InputError, match="'all'"):
        held_out_requests(cohort, ["D0"], BLOOD, "all")
    twice = Cohort(**{**vars(cohort), "tissue": np.where(cohort.tissue == 0, 1, cohort.tissue)})
    with pytest.raises(InputError, match="second sample of donor D0 in Lung"):
        held_out_requests(twice, ["D0"], BLOOD)


def test_predictions_refuse_other_genes_and_non_finite_values(cohort, model):
    requests, _ = held_out_requests(cohort, ["D0"], BLOOD)
    other = make_cohort([[1, 1, 1, 1]], n_genes=6)
    with pytest.raises(InputError, match="6 genes"):
        next(predict_in_blocks(model, other, requests))
    model.scaler.mean[3] = np.nan
    with pytest.raises(InputError, match="not finite, for Artery"):
        next(predict_in_blocks(model, cohort, requests))
