"""Landmarks chosen, listed and drawn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from people import make_cohort

from mtm.analyses.landmarks.panel import (
    choose_landmarks,
    listed_landmarks,
    panel_table,
    read_panels,
)
from mtm.errors import CannotDo, InputError
from mtm.settings.landmarks import Landmarks
from mtm.settings.scaling import Scaling


def explained(expr_z, tissue, genes, penalty):
    """Share of variance that ridge regression on some genes tells, the slow way."""
    shares = []
    for index in np.unique(tissue):
        z = expr_z[tissue == index] - expr_z[tissue == index].mean(0)
        x = z[:, genes]
        inverse = np.linalg.inv(x.T @ x + penalty * np.eye(len(genes)))
        shares.append(np.trace(z.T @ x @ inverse @ x.T @ z) / len(z))
    return np.mean(shares) / expr_z.shape[1]


def test_choice_is_that_of_the_slow_way():
    rng = np.random.default_rng(1)
    tissue = np.repeat([0, 2], [30, 25])
    expr_z = rng.standard_normal((55, 4)) @ rng.standard_normal((4, 15))
    expr_z[tissue == 2] = rng.standard_normal((25, 4)) @ rng.standard_normal((4, 15))
    expr_z += 0.5 * rng.standard_normal(expr_z.shape)
    places, told = choose_landmarks(expr_z, tissue, 6)
    chosen = []
    for place, share in zip(places, told, strict=True):
        each = [
            -1.0 if gene in chosen else explained(expr_z, tissue, [*chosen, gene], 6)
            for gene in range(15)
        ]
        assert place == np.argmax(each)
        assert share == pytest.approx(max(each), rel=1e-6)
        chosen.append(place)


def test_planted_landmarks_are_found():
    rng = np.random.default_rng(2)
    planted = rng.permutation(80)[:5]
    states = rng.standard_normal((400, 5))
    expr_z = states @ rng.standard_normal((5, 80)) + 2 * rng.standard_normal((400, 80))
    expr_z[:, planted] = states + 0.1 * rng.standard_normal((400, 5))
    expr_z = (expr_z - expr_z.mean(0)) / expr_z.std(0)
    places, told = choose_landmarks(expr_z.astype(np.float32), np.repeat([0, 1], 200), 5)
    assert set(places) == set(planted)
    assert (np.diff(told) > 0).all()


def test_more_landmarks_than_samples_are_chosen():
    expr_z = np.random.default_rng(3).standard_normal((6, 20)).astype(np.float32)
    expr_z[:, 4] = 0
    places, told = choose_landmarks(expr_z, np.zeros(6, int), 19)
    assert len(set(places)) == 19
    assert 4 not in places
    assert (np.diff(told) > 0).all()
    assert told[-1] < 1


GENES = pd.DataFrame(
    {"symbol": ["TP53", "BRCA1", "twice", "twice"]},
    index=["ENSG00000141510.16", "ENSG00000012048.21", "ENSG00000000003.1", "ENSG00000000005.2"],
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ENSG00000012048\nENSG00000141510.99\nENSG00000999999\n", [1, 0]),
        ("brca1\nTP53\nnone\n", [1, 0]),
        ("symbol\tensembl_gene_id\nX\tENSG00000000005\nY\tENSG00000141510\n", [3, 0]),
    ],
    ids=["ids of any version", "symbols", "table"],
)
def test_lists_are_read_by_id_and_symbol(tmp_path, text, found):
    path = tmp_path / "list.txt"
    path.write_text(text)
    assert list(listed_landmarks(path, GENES)) == found


@pytest.mark.parametrize("text", ["7157\n672\n", "TWICE\n"], ids=["Entrez", "ambiguous symbol"])
def test_lists_of_other_genes_are_refused(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"none of its \d genes .* such as ENSG00000141510.16"):
        listed_landmarks(path, GENES)


@pytest.fixture
def cohort():
    """Thirty donors with all tissues."""
    return make_cohort(np.ones((30, 4)), n_genes=9)


def folds_of(cohort):
    """Three folds."""
    return pd.Series(np.arange(len(cohort.donors)) % 3, cohort.donors.index)


def test_panels_do_not_know_held_out_donors(cohort, tmp_path):
    folds, settings = folds_of(cohort), Landmarks(n=3)
    table = panel_table(cohort, folds, settings, Scaling(), None)
    assert table.groupby(["panel", "fold"]).size().to_dict() == {
        (panel, fold): 3 for panel in ("chosen", "random") for fold in (-1, 0, 1, 2)
    }
    held_out = folds.to_numpy()[cohort.donor] == 1
    changed = np.where(held_out[:, None], cohort.expr_tpm[::-1] * 7, cohort.expr_tpm)
    other = panel_table(replace(cohort, expr_tpm=changed), folds, settings, Scaling(), None)
    same = table["fold"] == 1
    pd.testing.assert_frame_equal(table[same], other[same])
    assert not table.equals(other)


def test_a_panel_of_all_genes_leaves_nothing_to_tell(cohort):
    with pytest.raises(CannotDo, match="9 landmarks"):
        panel_table(cohort, folds_of(cohort), Landmarks(n=50), Scaling(), None)


def test_panels_of_another_cohort_are_refused(cohort, tmp_path):
    path = tmp_path / "panels.tsv"
    path.write_text("panel\tfold\tgene_id\nchosen\t0\tENSG1\n")
    with pytest.raises(InputError, match="landmark 'ENSG1'"):
        read_panels(path, cohort.genes.index)


def test_a_cohort_on_its_own_scale_is_not_taken_for_tpm():
    cohort = make_cohort(np.ones((40, 4)))
    folds = pd.Series(np.arange(len(cohort.donors)) % 2, index=cohort.donors.index)
    logs = np.log2(1 + cohort.expr_tpm.astype(np.float64)).astype(np.float32)
    settings = Landmarks(n=3)
    tables = [
        panel_table(one, folds, settings, Scaling(), None)
        for one in (cohort, replace(cohort, expr_tpm=logs - 3, measure="own"))
    ]
    pd.testing.assert_frame_equal(*tables, rtol=1e-3)
