import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.predictions.held_out import read_held_out
from mtm.predictions.tissues import tissues


@pytest.fixture
def case(make_cohort):
    cohort = make_cohort(n_donors=24, n_genes=4)
    cohort.write()
    files = cohort.write_predictions(np.arange(cohort.expr_tpm.size).reshape(-1, 4), "log2_z")
    return cohort, files


def read(case, **options):
    cohort, files = case
    return read_held_out(
        cohort.folder / "expression.h5ad", cohort.folder / "folds.tsv", files, **options
    )


def rewrite(path, change):
    data = anndata.read_h5ad(path)
    data = change(data) or data
    data.write_h5ad(path)


def set_obs(column, value):
    def change(data):
        if isinstance(value, str):
            data.obs[column] = data.obs[column].astype(object)
        data.obs.iloc[1, data.obs.columns.get_loc(column)] = value

    return change


def test_predictions_meet_their_observations(case):
    cohort, _ = case
    held_out = read(case)
    seen = []
    for tissue in tissues(held_out):
        rows = tissue.rows
        assert (rows["tissue"] == tissue.name).all()
        assert rows["fold"].is_monotonic_increasing
        cohort_rows = cohort.obs.index.get_indexer(rows["sample_id"])
        np.testing.assert_array_equal(tissue.predicted, 4 * cohort_rows[:, None] + np.arange(4))
        np.testing.assert_array_equal(tissue.observed_tpm, cohort.expr_tpm[cohort_rows])
        assert (cohort.fold_of[rows["donor"]].to_numpy() == rows["fold"]).all()
        seen.extend(rows["sample_id"])
    assert sorted(seen) == sorted(cohort.obs.index[cohort.obs["tissue"] != "Whole Blood"])


def test_a_missing_held_out_prediction_is_named(case):
    rewrite(case[1][1], lambda data: data[1:].copy())
    gone = set(case[0].obs.index) - set(read_ids(case))
    with pytest.raises(InputError, match="no prediction of 1 held-out samples") as error:
        read(case)
    assert any(sample in str(error.value) for sample in gone)
    assert str(case[1][1]) in str(error.value)


def read_ids(case):
    return pd.concat([anndata.read_h5ad(path).obs for path in case[1]]).index


def test_a_donor_missing_altogether_is_noticed(case):
    def drop_donor(data):
        return data[data.obs["donor"] != data.obs["donor"].iloc[0]].copy()

    rewrite(case[1][0], drop_donor)
    with pytest.raises(InputError, match="held-out samples"):
        read(case)


def test_donors_without_the_source_need_no_prediction(case):
    cohort, files = case
    donor = cohort.obs["donor"].iloc[0]
    data = anndata.read_h5ad(cohort.folder / "expression.h5ad")
    blood = (data.obs["donor"] == donor) & (data.obs["tissue"] == "Whole Blood")
    data[~blood].copy().write_h5ad(cohort.folder / "expression.h5ad")
    for path in files:
        rewrite(path, lambda data: data[data.obs["donor"] != donor].copy())
    for options in ({}, {"source": "Whole Blood"}):
        assert donor not in set(read(case, **options).rows["donor"])


def test_several_sources(case):
    cohort, files = case
    tissues_of = cohort.obs.groupby("donor")["tissue"].agg(list)

    def others(data):
        data.obs["sources"] = [
            ";".join(tissue for tissue in tissues_of[donor] if tissue != target)
            for donor, target in zip(data.obs["donor"], data.obs["target"], strict=True)
        ]

    for path in files:
        rewrite(path, others)
    assert len(read(case).rows) == (cohort.obs["tissue"] != "Whole Blood").sum()
    rewrite(files[2], lambda data: data[:-1].copy())
    with pytest.raises(InputError, match="no prediction of 1 held-out"):
        read(case)


@pytest.mark.filterwarnings("ignore:Observation names are not unique")
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (set_obs("donor", "D999"), "donor D999"),
        (set_obs("target", "Whole Blood"), "tissue Whole Blood"),
        (set_obs("fold", 2), "fold 2"),
        (lambda data: data.obs.assign(fold="all"), "fold all"),
        (set_obs("sources", "Whole Blood;Liver;Lung;Testis"), "predicted from itself"),
        (lambda data: data.obs.rename(columns={"sources": "source"}), "sources"),
        (lambda data: data[:, ::-1].copy(), "gene ENSG00000000003.1 in column 1"),
        (lambda data: data[:, :3].copy(), "3 genes"),
        (lambda data: data.uns.update(scale="log2"), "'log2'"),
        (lambda data: anndata.concat([data, data[:1]], uns_merge="same"), "a second prediction"),
        (lambda data: setattr(data, "X", scipy.sparse.csr_matrix(data.X)), "sparse"),
    ],
)
def test_what_disagrees_is_refused(case, change, match):
    def keep_obs(data):
        result = change(data)
        if isinstance(result, pd.DataFrame):
            data.obs = result
            return data
        return result

    rewrite(case[1][0], keep_obs)
    with pytest.raises(InputError, match=match):
        read(case)


def test_misaligned_sample_ids_are_refused(case):
    def shift(data):
        data.obs.index = np.roll(data.obs.index, 1)

    rewrite(case[1][0], shift)
    with pytest.raises(InputError, match="as in the cohort and its folds"):
        read(case)


def test_unknown_samples_are_refused(case):
    def rename(data):
        data.obs.index = ["new", *data.obs.index[1:]]

    rewrite(case[1][0], rename)
    with pytest.raises(InputError, match="sample new"):
        read(case)


def test_files_and_folds_must_match(case):
    cohort, files = case
    with pytest.raises(InputError, match="no file of fold 1"):
        read((cohort, [files[0], files[2]]))
    with pytest.raises(InputError, match="fold 0, as in"):
        read((cohort, [*files, files[0]]))
    with pytest.raises(InputError, match="no such file"):
        read((cohort, [cohort.folder / "fold9.h5ad"]))
    with pytest.raises(InputError, match="no file"):
        read((cohort, []))
    (cohort.folder / "text.h5ad").write_text("no HDF5")
    with pytest.raises(InputError, match="unreadable"):
        read((cohort, [cohort.folder / "text.h5ad"]))
    kept = anndata.read_h5ad(files[2])
    kept[:0].copy().write_h5ad(files[2])
    with pytest.raises(InputError, match="no prediction.*Name further tissues"):
        read(case)
    kept.uns["scale"] = "tpm_z"
    kept.write_h5ad(files[2])
    with pytest.raises(InputError, match="in all files"):
        read(case)


def test_donors_must_have_folds(case):
    cohort, _ = case
    table = pd.read_csv(cohort.folder / "folds.tsv", sep="\t")
    table.iloc[1:].to_csv(cohort.folder / "folds.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match="no row for donor D000"):
        read(case)


def test_predictions_must_be_finite(case):
    def spoil(data):
        data.X[2, 3] = np.nan

    rewrite(case[1][2], spoil)
    held_out = read(case)
    with pytest.raises(InputError, match="nan for ENSG00000000003.1 in"):
        list(tissues(held_out))


def test_all_folds_are_scaled_from_one_pass_as_each_by_its_own_training_samples(make_cohort):
    cohort = make_cohort(n_donors=24, n_genes=6)
    # Constant in training and varying in one fold; constant but for rounding; nothing at all.
    cohort.expr_tpm[:, 0] = np.where(np.isin(np.arange(len(cohort.expr_tpm)), (0, 1)), 5, 0)
    cohort.expr_tpm[:, 1], cohort.expr_tpm[:, 2] = 1e4, 0
    cohort.write()
    files = cohort.write_predictions(np.zeros_like(cohort.expr_tpm), "log2_z")
    for tissue in tissues(read((cohort, files))):
        for scale, scalers in tissue.scalers.items():
            for members, found in zip(tissue.training, scalers, strict=True):
                expr_tpm = tissue.tissue_tpm[members]
                own = TissueScaler.fit(expr_tpm, np.zeros(len(expr_tpm), int), 1, scale)
                np.testing.assert_allclose(found.mean, own.mean, rtol=1e-6, atol=1e-9)
                np.testing.assert_allclose(found.sd, own.sd, rtol=1e-6)
