"""The ceiling against simulations whose truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtm.analyses.accuracy.ceiling import Correlations, ceiling_of, estimate_ceilings
from mtm.cohort.cohort import Cohort
from mtm.statistics.group_jackknife import donor_groups
from mtm.vocabulary import MEAN_OF_TISSUES

TISSUES = ("Cells - A", "Cells - B", "Heart - A", "Heart - B", "Lung", "Whole Blood")
N_GENES, N_DONORS = 200, 120


def simulated(share, present=1.0, seed=0):
    """A cohort whose samples are a donor's part, of a gene's share, and noise of their own."""
    rng = np.random.default_rng(seed)
    donor_part = rng.standard_normal((N_DONORS, 1, N_GENES))
    noise = rng.standard_normal((N_DONORS, len(TISSUES), N_GENES))
    expr_log2 = 8 + np.sqrt(share) * donor_part + np.sqrt(1 - share) * noise
    # Each pair of tissues has a mean expression of its own.
    expr_log2 += rng.standard_normal((3, N_GENES)).repeat(2, axis=0)
    kept = rng.random((N_DONORS, len(TISSUES))) < present
    donor, tissue = np.nonzero(kept)
    return Cohort(
        expr_tpm=np.maximum(2.0 ** expr_log2[kept] - 1, 0).astype(np.float32),
        samples=pd.DataFrame(index=[f"S{i}" for i in range(len(donor))]),
        donor=donor,
        tissue=tissue,
        donors=pd.DataFrame(index=[f"D{i:03d}" for i in range(N_DONORS)]),
        tissues=TISSUES,
        genes=pd.DataFrame({"symbol": "G"}, index=[f"ENSG{i:011d}.1" for i in range(N_GENES)]),
    )


@pytest.mark.parametrize("without", [0.0, 0.4])
def test_ceiling_is_the_root_of_what_the_donor_explains(without):
    rng = np.random.default_rng(1)
    share = np.where(rng.random(N_GENES) < without, 0, rng.beta(3, 3, N_GENES))
    table = estimate_ceilings(simulated(share), "Whole Blood").set_index(["kind", "tissue"])
    truth = np.sqrt(share).mean()
    row = table.loc[("ceiling", "Heart - A")]
    assert row["rho"] == pytest.approx(truth, abs=0.02)
    assert row["ci_low"] < truth < row["ci_high"]
    assert row["sister"] == "Heart - B"
    assert (row["n_donors"], row["n_genes"]) == (N_DONORS, N_GENES)
    # The root of the mean, which forgets that genes differ, would be too high.
    assert row["rho"] < np.sqrt(share.mean())
    floor = table.loc[("floor", "Heart - A")]
    expected = (share * 5 / np.sqrt(5 + 20 * share)).mean()
    assert floor["rho"] == pytest.approx(expected, abs=0.02)
    assert floor["ci_low"] < expected < floor["ci_high"]
    assert floor["ci_high"] < row["ci_low"]


def test_rows_are_of_what_can_be_had():
    share = np.full(N_GENES, 0.5)
    table = estimate_ceilings(simulated(share, present=0.7), "Whole Blood")
    kinds = table.groupby("kind", sort=False)["tissue"].apply(list)
    # Cultured cells are no organ, and the source is not predicted.
    assert kinds["ceiling"] == ["Heart - A", "Heart - B", MEAN_OF_TISSUES]
    assert kinds["floor"] == [*TISSUES[:5], MEAN_OF_TISSUES]
    mean = table[table["tissue"] == MEAN_OF_TISSUES].set_index("kind")
    assert mean["n_tissues"].to_dict() == {"ceiling": 2, "floor": 5}
    for kind in ("ceiling", "floor"):
        of_kind = table[(table["kind"] == kind) & (table["tissue"] != MEAN_OF_TISSUES)]
        assert mean.loc[kind, "rho"] == pytest.approx(of_kind["rho"].mean())
        width = of_kind["ci_high"] - of_kind["ci_low"]
        assert mean.loc[kind, "ci_high"] - mean.loc[kind, "ci_low"] < width.max()
    assert table["assumption"].notna().all()


def test_one_target_without_a_sister_and_few_donors_has_no_row_but_its_columns():
    cohort = simulated(np.full(N_GENES, 0.5))
    few = cohort.of_donors(cohort.donors.index[:15])
    table = estimate_ceilings(few, "Whole Blood")
    assert table.empty
    assert {"tissue", "kind", "rho", "ci_low", "ci_high", "assumption"} <= set(table)


def test_a_constant_gene_is_left_out():
    cohort = simulated(np.full(N_GENES, 0.5))
    expr_tpm = cohort.expr_tpm.copy()
    expr_tpm[:, :3] = 0
    table = estimate_ceilings(replace(cohort, expr_tpm=expr_tpm), "Whole Blood")
    assert (table["n_genes"].dropna() == N_GENES - 3).all()
    assert table["rho"].notna().all()


def test_correlations_without_a_group_are_those_of_the_rest():
    rng = np.random.default_rng(2)
    a = rng.standard_normal((50, 4)).astype(np.float32)
    b = (a + rng.standard_normal((50, 4))).astype(np.float32)
    groups = donor_groups(50, 7, 0)
    found = Correlations.of(a, b, groups, 7)
    for gene in range(4):
        assert found.rho[gene] == pytest.approx(np.corrcoef(a[:, gene], b[:, gene])[0, 1])
        rest = groups != 3
        expected = np.corrcoef(a[rest, gene], b[rest, gene])[0, 1]
        assert found.left_out[3, gene] == pytest.approx(expected)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_gene_that_one_donor_sets_apart_has_no_correlation(constant):
    sides = np.random.default_rng(4).standard_normal((2, 40, 3))
    # The same donor on both sides, which would be a rho of 1; and all in one group.
    sides[:, 1:, 0] = 2.5
    groups = donor_groups(40, 8, 0)
    sides[constant, groups != 2, 1] = -1
    found = Correlations.of(*sides, groups, 8)
    assert np.isnan(found.rho).tolist() == [True, True, False]
    assert (np.isnan(found.left_out) == np.isnan(found.rho)).all()


def test_without_any_donor_effect_the_ceiling_is_near_zero():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 300, 2000))
    whole, left_out = ceiling_of(Correlations.of(a, b, donor_groups(300, 20, 0), 20))
    assert whole < 0.05
    assert left_out.max() < 0.1
