import gzip
import json
import subprocess
import sys
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from cohorts import simulated_cohort
from tests.hostile.models import certificate as made_up

from mtm import __version__, cli
from mtm.cohort.cohort import Cohort
from mtm.models.base import Requests, Training
from mtm.models.certificate import Certificate
from mtm.models.registry import build, load
from mtm.predictions.answer_files import LONG
from mtm.vocabulary import RELIABILITY

TISSUES = ("Liver", "Lung", "Whole Blood")
N_GENES, N_NEW = 20, 4
SAMPLES = ["person-b", "person-a", "person-d", "person-c"]
IDS = [f"ENSG{i:011d}.3" for i in range(N_GENES)]


@pytest.fixture(scope="module")
def expr_tpm():
    return np.random.default_rng(2).gamma(1, 90, (N_NEW, N_GENES)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    n_donors = 6
    donor, tissue = np.repeat(np.arange(n_donors), 3), np.tile(np.arange(3), n_donors)
    cohort = Cohort(
        np.random.default_rng(1).gamma(1, 60, (len(donor), N_GENES)).astype(np.float32),
        pd.DataFrame(index=[f"S{i}" for i in range(len(donor))]),
        donor,
        tissue,
        pd.DataFrame(index=[f"D{i}" for i in range(n_donors)]),
        TISSUES,
        pd.DataFrame({"symbol": [f"SYM{i}" for i in range(N_GENES)]}, index=IDS),
    )
    parameters = {
        "target_scale": "log2_z", "encoder_widths": (6,), "code_width": 4,
        "generator_widths": (6,), "lambda_adversarial": 0.0, "lambda_reconstruction": 0.0,
        "batch_size": 8, "steps": 2, "precision": "float32",
    }  # fmt: skip
    fitted = build("mtm", parameters)
    fitted.fit(Training(cohort, source=2, device="cpu"))
    return fitted


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("bundle") / "all.safetensors"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def certificate():
    """What cross-validation might have found of predictions from blood."""
    shape, rng = (len(TISSUES), N_GENES), np.random.default_rng(3)
    of_genes = ("sd", "rho", "ci_low", "ci_high", "q", "expected_rho")
    return Certificate(
        sources=("Whole Blood",),
        levels=(0.5, 0.9),
        own_sd=False,
        thresholds={"high": 0.5, "moderate": 0.3, "low": 0.1},
        n_donors=np.array([70, 90, 0], np.int32),
        quantiles=rng.uniform(1, 2, (len(TISSUES), 3, 2)).astype(np.float32),
        tertile=rng.integers(0, 3, shape).astype(np.uint8),
        reliability=rng.integers(0, 4, shape).astype(np.uint8),
        **{name: rng.uniform(0.1, 0.9, shape).astype(np.float32) for name in of_genes},
    )


@pytest.fixture(scope="module")
def certified(tmp_path_factory, bundle, certificate):
    path = tmp_path_factory.mktemp("certified") / "model.safetensors"
    model = load(bundle)
    model.certificate = certificate
    model.save(path)
    return path


@pytest.fixture(scope="module")
def expected_z(model, expr_tpm):
    """Lung, then Liver, of the new people by the model itself."""
    inputs = Cohort(
        expr_tpm,
        pd.DataFrame(index=range(N_NEW)),
        np.arange(N_NEW),
        np.full(N_NEW, 2),
        pd.DataFrame(index=range(N_NEW)),
        TISSUES,
        model.genes,
    )
    return np.concatenate(
        [
            model.predict(inputs, Requests(np.arange(N_NEW)[:, None], np.full(N_NEW, t)))
            for t in (1, 0)
        ]
    )


def write_expression(path, values, gene_ids=IDS):
    """Write samples x genes in the format of the file name."""
    wide = pd.DataFrame(values.T, index=pd.Index(gene_ids, name="gene_id"), columns=SAMPLES)
    if path.suffix == ".h5ad":
        anndata.AnnData(
            values, obs=pd.DataFrame(index=SAMPLES), var=pd.DataFrame(index=list(gene_ids))
        ).write_h5ad(path)
    elif ".gct" in path.suffixes:
        wide.insert(0, "Description", "x")
        text = f"#1.2\n{len(wide)}\t{len(SAMPLES)}\n"
        text += wide.rename_axis("Name").to_csv(sep="\t", float_format="%.9g")
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    else:
        wide.to_csv(path, sep="\t", float_format="%.9g")
    return path


def run(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def turned(table, value="z"):
    """Return one kind of values of a long table: Lung of all people, then Liver."""
    wide = table.pivot(index=["target", "sample_id"], columns="gene_id", values=value)
    rows = [(target, sample) for target in ("Lung", "Liver") for sample in SAMPLES]
    return wide.loc[rows, IDS].to_numpy()


def predict(capsys, bundle, expression, out, *more, targets=("Lung", "Liver")):
    asked = [word for name in targets for word in ("--target", name)]
    return run(
        capsys,
        "predict",
        "--bundle",
        bundle,
        "--expression",
        expression,
        "--source",
        "Whole Blood",
        *asked,
        "--out",
        out,
        "--align",
        "none",
        *more,
    )


@pytest.mark.parametrize("name", ["x.tsv", "x.tsv.gz", "x.gct", "x.gct.gz", "x.h5ad"])
def test_every_input_format_gives_the_models_own_predictions(
    tmp_path, capsys, bundle, expr_tpm, expected_z, name
):
    expression = write_expression(tmp_path / name, expr_tpm)
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv")
    assert code == 0, err
    table = pd.read_csv(tmp_path / "y.tsv", sep="\t")
    assert tuple(table.columns) == LONG
    people = table[["sample_id", "target"]].drop_duplicates()
    assert list(people["sample_id"]) == [name for name in SAMPLES for _ in range(2)]
    assert list(people["target"]) == ["Lung", "Liver"] * 4
    assert list(table["gene_id"][:N_GENES]) == IDS
    assert (table["symbol"] == "SYM" + (table.index % N_GENES).astype(str)).all()
    np.testing.assert_allclose(turned(table), expected_z, rtol=1e-4, atol=1e-5)
    assert "4 samples of Whole Blood, read as TPM" in err
    assert "20 of the model's 20 genes found (100.0%)" in err


@pytest.mark.parametrize("name", ["y.tsv.gz", "y.parquet", "y.h5ad"])
def test_every_output_format_holds_the_same(tmp_path, capsys, bundle, expr_tpm, expected_z, name):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, err = predict(capsys, bundle, expression, tmp_path / name)
    assert code == 0, err
    if name == "y.h5ad":
        data = anndata.read_h5ad(tmp_path / name)
        assert list(data.obs_names[:2]) == ["person-b|Lung", "person-b|Liver"]
        assert (data.uns["scale"], data.uns["units"]) == ("tpm", "TPM")
        assert len(data.uns["mtm"]["bundle_sha256"]) == 64
        assert data.uns["mtm"]["training_donors"] == 6
        assert list(data.var_names) == IDS
        assert set(data.layers) == {"z", "log2", "tpm"}
        np.testing.assert_array_equal(data.layers["tpm"], data.X)
        np.testing.assert_allclose(data.layers["log2"], np.log2(1 + data.X), rtol=1e-5)
        values = np.concatenate([data.layers["z"][0::2], data.layers["z"][1::2]])
    elif name == "y.parquet":
        values = turned(pd.read_parquet(tmp_path / name))
        said = json.loads(pq.read_schema(tmp_path / name).metadata[b"mtm"])
        assert (said["model"], said["units"]["tpm"]) == ("mtm", "TPM")
    else:
        values = turned(pd.read_csv(tmp_path / name, sep="\t"))
    np.testing.assert_allclose(values, expected_z, rtol=1e-4, atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["x.tsv", name])


@pytest.mark.parametrize("scale", ["z", "tpm", "log2", None])
@pytest.mark.parametrize("name", ["y.tsv", "y.parquet"])
def test_genes_as_rows(tmp_path, capsys, bundle, model, expr_tpm, expected_z, name, scale):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    asked = ["--wide"] + (["--scale", scale] if scale else [])
    code, _, err = predict(capsys, bundle, expression, tmp_path / name, *asked)
    assert code == 0, err
    is_text = name == "y.tsv"
    table = pd.read_csv(tmp_path / name, sep="\t") if is_text else pd.read_parquet(tmp_path / name)
    assert list(table["gene_id"]) == IDS
    columns = [f"{sample}|{target}" for target in ("Lung", "Liver") for sample in SAMPLES]
    expected = expected_z
    if scale != "z":
        mean, sd = model.scaler.mean[[1, 0]].repeat(4, 0), model.scaler.sd[[1, 0]].repeat(4, 0)
        expr_log2 = np.clip(expected_z * sd + mean, 0, None)
        expected = expr_log2 if scale == "log2" else 2**expr_log2 - 1
    np.testing.assert_allclose(table[columns].T, expected, rtol=1e-3, atol=1e-3)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["x.tsv", name])


@pytest.mark.parametrize("name", ["y.h5ad", "y.tsv"])
def test_answers_in_tpm_can_be_brought_as_expression(tmp_path, capsys, bundle, expr_tpm, name):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    wide = [] if name == "y.h5ad" else ["--wide"]
    code, _, _ = predict(capsys, bundle, expression, tmp_path / name, *wide, targets=("Lung",))
    assert code == 0
    again = ["predict", "--bundle", bundle, "--expression", tmp_path / name, "--units", "tpm",
             "--out", tmp_path / "z.tsv", "--target", "Liver"]  # fmt: skip
    code, _, err = run(capsys, *again, *([] if name == "y.h5ad" else ["--source", "Lung"]))
    assert code == 0, err
    assert "4 samples of Lung, read as TPM" in err
    assert "20 of the model's 20 genes found" in err
    assert set(pd.read_csv(tmp_path / "z.tsv", sep="\t")["source"]) == {"Lung"}


def test_numbers_have_six_digits(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    predict(capsys, bundle, expression, tmp_path / "y.tsv")
    texts = pd.read_csv(tmp_path / "y.tsv", sep="\t", dtype=str)["tpm"]
    digits = texts.str.split("e").str[0].str.replace(".", "").str.strip("0-").str.len()
    assert digits.max() == 6


def test_all_other_tissues_by_default(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, _ = predict(capsys, bundle, expression, tmp_path / "y.tsv", targets=())
    assert code == 0
    assert set(pd.read_csv(tmp_path / "y.tsv", sep="\t")["target"]) == {"Liver", "Lung"}


@pytest.mark.parametrize("name", ["y.tsv", "y.parquet", "y.h5ad"])
def test_a_certified_bundle_says_how_far_to_trust_it(
    tmp_path, capsys, certified, certificate, model, expr_tpm, expected_z, name
):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    out = tmp_path / name
    code, _, err = predict(capsys, certified, expression, out)
    assert code == 0, err
    assert "90% intervals and reliability from up to 90 held-out donors" in err
    targets = np.repeat([1, 0], N_NEW)
    half = np.stack([certificate.half_width(target) for target in targets])
    low, high = (model.scaler.inverse(expected_z + end * half, targets) for end in (-1, 1))
    if name == "y.h5ad":
        data = anndata.read_h5ad(out)
        found = [np.concatenate([data.layers[end][0::2], data.layers[end][1::2]])
                 for end in ("low", "high")]  # fmt: skip
        assert list(data.uns["mtm"]["targets"]) == ["Lung", "Liver"]
        rho, classes = data.varm["reliability"].T, data.varm["reliability_class"].T
        np.testing.assert_allclose(rho, certificate.expected_rho[[1, 0]])
        np.testing.assert_array_equal(classes, certificate.reliability[[1, 0]])
    else:
        table = pd.read_csv(out, sep="\t") if name == "y.tsv" else pd.read_parquet(out)
        found = [turned(table, value) for value in ("tpm_low", "tpm_high")]
        for value, end in (("z_low", -1), ("z_high", 1)):
            np.testing.assert_allclose(
                turned(table, value), expected_z + end * half, rtol=2e-3, atol=1e-4
            )
        rho, classes = turned(table, "reliability"), turned(table, "reliability_class")
        np.testing.assert_allclose(rho, certificate.expected_rho[targets], rtol=1e-4)
        assert (classes == np.array(RELIABILITY)[certificate.reliability[targets]]).all()
    np.testing.assert_allclose(found, [low, high], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("least", ["good", "1.5", "nan"])
def test_a_reliability_that_is_none_is_met_with_those_there_are(capsys, least):
    given = ["--bundle", "b", "--expression", "x.tsv", "--out", "y.tsv"]
    with pytest.raises(SystemExit, match="2"):
        cli.main(["predict", *given, "--min-reliability", least])
    says = f"{least!r} is none of low, moderate, high, and no number from 0 to 1"
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("least", ["moderate", "0.6"])
def test_genes_that_are_hardly_told_are_left_out(
    tmp_path, capsys, certified, certificate, expr_tpm, least
):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    out = tmp_path / "y.tsv"
    code, _, err = predict(capsys, certified, expression, out, "--min-reliability", least)
    assert code == 0, err
    table = pd.read_csv(out, sep="\t")
    told = certificate.reliability >= 2 if least == "moderate" else certificate.expected_rho >= 0.6
    for name, tissue in (("Lung", 1), ("Liver", 0)):
        of_tissue = table[table["target"] == name]
        assert list(of_tissue["gene_id"]) == list(np.array(IDS)[told[tissue]]) * N_NEW


def test_reliability_is_not_made_up(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, err = predict(
        capsys, bundle, expression, tmp_path / "y.tsv", "--min-reliability", "low"
    )
    assert_refused(tmp_path, code, err, "--min-reliability", "certified bundle")


def test_genes_are_asked_for_by_any_name(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    names = tmp_path / "genes.txt"
    names.write_text("gene\nsym3\nENSG00000000001.77\nNOPE\n")
    for given in ("sym3,ensg00000000001.77,NOPE", names):
        out = tmp_path / "y.tsv"
        code, _, err = predict(capsys, bundle, expression, out, "--genes", given, "--force")
        assert code == 0, err
        assert "1 unknown to the model: 'NOPE'" in err
        assert set(pd.read_csv(out, sep="\t")["symbol"]) == {"SYM1", "SYM3"}
    out.unlink()
    code, _, err = predict(capsys, bundle, expression, out, "--genes", "NOPE,NEITHER")
    assert_refused(tmp_path, code, err, "no gene of the model", "SYM0")


def test_several_samples_of_a_person(tmp_path, capsys, bundle, model, expr_tpm):
    blood = write_expression(tmp_path / "blood.tsv", expr_tpm)
    liver_tpm = expr_tpm[::-1].copy()
    liver = write_expression(tmp_path / "liver.tsv", liver_tpm)
    asked = ["predict", "--bundle", bundle, "--target", "Lung", "--align", "none"]
    code, _, err = run(capsys, *asked, "--source", f"Whole Blood={blood}", "--source",
                       f"Liver={liver}", "--out", tmp_path / "y.tsv")  # fmt: skip
    assert code == 0, err
    assert "4 people with 8 samples x 1 tissue" in err
    both = pd.read_csv(tmp_path / "y.tsv", sep="\t")
    assert set(both["source"]) == {"Liver;Whole Blood"}
    inputs = Cohort(
        np.concatenate([expr_tpm, liver_tpm]),
        pd.DataFrame(index=range(8)),
        np.tile(np.arange(4), 2),
        np.repeat([2, 0], 4),
        pd.DataFrame(index=range(4)),
        TISSUES,
        model.genes,
    )
    rows = np.stack([np.arange(4), np.arange(4, 8)], axis=1)
    expected = model.predict(inputs, Requests(rows, np.full(4, 1)))
    np.testing.assert_allclose(
        both["z"].to_numpy().reshape(4, N_GENES), expected, rtol=1e-4, atol=1e-5
    )
    # The same of one file and a table of its samples.
    names = [f"{sample}-{tissue}" for tissue in ("b", "l") for sample in SAMPLES]
    table = pd.DataFrame({"sample_id": names, "donor": SAMPLES * 2,
                          "tissue": ["Whole Blood"] * 4 + ["Liver"] * 4})  # fmt: skip
    table.to_csv(tmp_path / "samples.tsv", sep="\t", index=False)
    values = pd.DataFrame(inputs.expr_tpm.T, index=pd.Index(IDS, name="gene_id"), columns=names)
    values.to_csv(tmp_path / "all.tsv", sep="\t", float_format="%.9g")
    code, _, err = run(capsys, *asked, "--expression", tmp_path / "all.tsv", "--samples",
                       tmp_path / "samples.tsv", "--out", tmp_path / "z.tsv")  # fmt: skip
    assert code == 0, err
    again = pd.read_csv(tmp_path / "z.tsv", sep="\t")
    np.testing.assert_allclose(again["z"], both["z"], rtol=1e-4, atol=1e-5)
    assert again["sample_id"][0] == "person-b-l;person-b-b"
    assert list(again["donor"].unique()) == SAMPLES


def test_where_no_tissue_is_said(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    asked = ["predict", "--bundle", bundle, "--out", tmp_path / "y.tsv"]
    given = {
        "no tissue of its samples": ["--expression", expression],
        "TISSUE=FILE": ["--source", "Whole Blood"],
        "2 tissues of one file": [
            "--expression",
            expression,
            "--source",
            "Liver",
            "--source",
            "Lung",
        ],
        "found none": [],
    }
    for says, more in given.items():
        code, _, err = run(capsys, *asked, *more)
        assert_refused(tmp_path, code, err, says)


def test_a_certificate_of_other_sources_is_not_applied(
    tmp_path, capsys, certified, certificate, expr_tpm
):
    model = load(certified)
    model.certificate = replace(certificate, sources=TISSUES)
    model.save(tmp_path / "others.safetensors")
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, err = predict(capsys, tmp_path / "others.safetensors", expression, tmp_path / "y.tsv")
    assert code == 0
    assert "the certificate is of predictions from Liver, Lung, Whole Blood" in err
    table = pd.read_csv(tmp_path / "y.tsv", sep="\t")
    assert table[["tpm_low", "z_high", "reliability", "reliability_class"]].isna().all(axis=None)


def test_log2_input_needs_its_flag(tmp_path, capsys, bundle, expr_tpm, expected_z):
    expression = write_expression(tmp_path / "x.tsv", np.log2(1 + expr_tpm))
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv")
    assert code == 1
    assert "looks log-scaled" in err
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv", "--units", "log2")
    assert code == 0
    assert "read as log2(1+TPM)" in err
    table = pd.read_csv(tmp_path / "y.tsv", sep="\t")
    np.testing.assert_allclose(turned(table), expected_z, rtol=1e-3, atol=1e-4)


def test_other_versions_and_missing_genes_are_reported(tmp_path, capsys, bundle, expr_tpm):
    gene_ids = [gene.split(".")[0] for gene in IDS[:18]]
    expression = write_expression(tmp_path / "x.tsv", expr_tpm[:, :18], gene_ids)
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv")
    assert code == 0
    assert "18 of the model's 20 genes found (90.0%): 0 by versioned id, 18 with versions" in err
    assert "2 genes that the data lack are set to the training mean of Whole Blood" in err


def assert_refused(tmp_path, code, err, *texts):
    assert code == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith("mtm: error: ")
    for text in texts:
        assert text in last
    assert not list(tmp_path.glob("*y.*"))


def test_poor_overlap_is_refused(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm[:, :15], IDS[:15])
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv")
    assert_refused(tmp_path, code, err, "15 of the model's 20 genes (75.0%)", "--min-overlap")
    code, _, _ = predict(capsys, bundle, expression, tmp_path / "y.tsv", "--min-overlap", "0.7")
    assert code == 0


def test_symbols_get_a_hint(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(
        tmp_path / "x.tsv", expr_tpm, [f"SYM{i}" for i in range(N_GENES)]
    )
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv")
    assert_refused(tmp_path, code, err, "gene symbols", "Ensembl gene ids")


def test_other_refusals(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    out = tmp_path / "y.tsv"
    code, _, err = predict(capsys, bundle, expression, out, targets=("Spleen",))
    assert_refused(tmp_path, code, err, "'Spleen'", "Liver, Lung")
    code, _, err = predict(capsys, bundle, expression, out, targets=("Whole Blood",))
    assert_refused(tmp_path, code, err, "other than the source")
    code, _, err = predict(capsys, bundle, tmp_path / "none.tsv", out)
    assert_refused(tmp_path, code, err, "none.tsv", "no such file")
    code, _, err = predict(capsys, tmp_path / "none.safetensors", expression, out)
    assert_refused(tmp_path, code, err, "none.safetensors")
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.csv")
    assert_refused(tmp_path, code, err, "'.csv'", ".parquet")
    code, _, err = predict(capsys, bundle, expression, out, "--traits", expression)
    assert_refused(tmp_path, code, err, "sample_id")
    cut = tmp_path / "cut.gct"
    write_expression(cut, expr_tpm)
    cut.write_text("\n".join(cut.read_text().splitlines()[:-3]) + "\n")
    code, _, err = predict(capsys, bundle, cut, out)
    assert_refused(tmp_path, code, err, "cut.gct")


def test_a_failure_while_writing_leaves_the_old_file(
    tmp_path, capsys, monkeypatch, bundle, expr_tpm
):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    out = tmp_path / "y.tsv"
    out.write_text("old")

    def fail(*_):
        yield np.zeros((4, N_GENES), np.float32)
        raise OSError("no space left on device")

    monkeypatch.setattr("mtm.predictions.answers.predict_in_blocks", fail)
    code, _, err = predict(capsys, bundle, expression, out, "--force")
    assert code == 1
    assert "no space left" in err
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.tsv", "y.tsv"]


def test_an_earlier_file_is_replaced_by_force_alone_and_an_input_never(
    tmp_path, capsys, bundle, expr_tpm
):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    out = tmp_path / "y.tsv"
    out.write_text("old")
    code, _, err = predict(capsys, bundle, expression, out)
    assert code == 1
    assert "--force" in err
    assert out.read_text() == "old"
    code, _, _ = predict(capsys, bundle, expression, out, "--force")
    assert code == 0
    before = expression.read_bytes()
    (tmp_path / "same.tsv").hardlink_to(expression)
    (tmp_path / "link.tsv").symlink_to(expression)
    for name in ("x.tsv", "same.tsv", "link.tsv"):
        code, _, err = predict(capsys, bundle, expression, tmp_path / name, "--force")
        assert code == 1
        assert "the file of --expression" in err
        assert expression.read_bytes() == before


def test_info(capsys, bundle):
    code, out, _ = run(capsys, "info", bundle)
    assert code == 0
    lines = dict(line.split(":", 1) for line in out.splitlines())
    lines = {key: value.strip() for key, value in lines.items()}
    assert lines["model"] == "mtm"
    assert lines["scale"] == "log2_z"
    assert lines["genes"].startswith("20 (ENSG00000000000.3,")
    assert lines["tissues"] == "3 (samples): Liver 6; Lung 6; Whole Blood 6"
    assert lines["training donors"] == "6"
    assert lines["sources"] == "any, several at once: Liver; Lung; Whole Blood"
    assert lines["certificate"] == "none"
    assert "checksum ok" in lines["bundle"]
    assert '"code_width": 4' in lines["parameters"]
    assert __version__ in lines["versions"]


def test_info_as_json(capsys, bundle, certified):
    told = json.loads(run(capsys, "info", bundle, "--json")[1])
    assert told["model"] == "mtm"
    assert told["tissues"][0] == {"tissue": "Liver", "n_samples": 6}
    assert told["accuracy"] == []
    told = json.loads(run(capsys, "info", certified, "--json")[1])
    assert {row["n_samples"] for row in told["accuracy"]} <= {70, 80, 90}
    assert told["certified_sources"] == ["Whole Blood"]


def test_info_tells_of_a_certificate(capsys, certified):
    _, out, _ = run(capsys, "info", certified)
    assert "50%, 90% from 70 to 90 held-out donors a tissue, predicted from Whole Blood" in out
    assert "(from 0.5), moderate " in out


def test_a_certificate_says_one_number_of_donors_once(certificate):
    same = replace(certificate, n_donors=np.array([70, 70, 0], np.int32))
    assert "90% from 70 held-out donors a tissue, " in same.in_words()["intervals"]


def test_info_refuses_a_damaged_bundle(tmp_path, capsys, bundle):
    damaged = bytearray(bundle.read_bytes())
    damaged[-1] ^= 1
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(damaged)
    code, out, err = run(capsys, "info", path)
    assert (code, out) == (1, "")
    assert len(err.strip().splitlines()) == 1
    assert "checksum" in err


def test_the_command_stands_alone():
    done = subprocess.run(
        [sys.executable, "-m", "mtm.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"mtm {__version__}"


def test_usage_errors_name_the_option(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["predict", "--min-overlap", "2"])
    assert caught.value.code == 2
    assert "--min-overlap" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "geo", "export", "init", "check", "compare"])
def test_an_option_with_one_value_stands_once(command, capsys):
    option = {"predict": "--samples", "init": "--expression", "check": "--configfile"}
    twice = [word for path in "ab" for word in (option.get(command, "--out"), path)]
    twice = ["--rank", "3", "--rank", "4"] if command == "export" else twice
    with pytest.raises(SystemExit) as caught:
        cli.main([command, *twice])
    assert caught.value.code == 2
    assert f"argument {twice[0]}: given twice" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["info", "--help"], ["predict", "--help"]])
def test_help_comes_without_slow_imports(arguments):
    code = (
        "import sys\nfrom mtm.cli import main\n"
        f"try:\n    main({arguments})\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'anndata', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "usage: mtm" in done.stdout
    assert done.stderr.strip() == "[]"


def test_a_page_about_a_person(tmp_path, capsys, certified, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, err = predict(
        capsys, certified, expression, tmp_path / "y.tsv", "--report", tmp_path / "r.html"
    )
    assert code == 0, err
    assert "a page about 4 people" in err
    assert '<h2 id="person-0-title">person-b</h2>' in (tmp_path / "r.html").read_text()
    again = predict(capsys, certified, expression, tmp_path / "z.tsv", "--report", expression,
                    "--force")  # fmt: skip
    assert again[0] == 1
    assert "the file of --expression" in again[2]


def test_nothing_is_left_of_a_page_about_a_crowd(tmp_path, capsys, certified, expr_tpm):
    many = pd.DataFrame(np.tile(expr_tpm.T, 3), index=pd.Index(IDS, name="gene_id"))
    many.add_prefix("p").to_csv(tmp_path / "x.tsv", sep="\t")
    asked = [
        capsys,
        certified,
        tmp_path / "x.tsv",
        tmp_path / "y.tsv",
        "--qc",
        tmp_path / "qc.tsv",
    ]
    code, _, err = predict(*asked, "--report", tmp_path / "y.html")
    assert_refused(tmp_path, code, err, "12 people", "at most 10")
    assert "sample p0" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.tsv"]
    assert predict(*asked)[0] == 0


def test_a_failure_leaves_none_of_several_files(
    tmp_path, capsys, monkeypatch, certified, expr_tpm
):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    asked = [capsys, certified, expression, tmp_path / "y.tsv", "--qc", tmp_path / "y_qc.tsv",
             "--report", tmp_path / "y.html"]  # fmt: skip

    def fail(*_):
        yield np.full((4, N_GENES), np.nan, np.float32)
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mtm.predictions.answers.predict_in_blocks", fail)
        assert predict(*asked)[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.tsv"]
    assert predict(*asked)[0] == 0
    assert len(list(tmp_path.iterdir())) == 4


def test_samples_that_are_left_out_are_named(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    names = [*SAMPLES[:2], "Person-D"]
    sheet = "sample_id\ttissue\n" + "".join(f"{name}\tWhole Blood\n" for name in names)
    (tmp_path / "samples.tsv").write_text(sheet)
    code, _, err = predict(
        capsys, bundle, expression, tmp_path / "y.tsv", "--samples", tmp_path / "samples.tsv"
    )
    assert code == 0, err
    assert "1 sample is in no file of expression, and left out: 'Person-D'" in err
    assert "2 samples of the files are not in it, and left out: 'person-d', 'person-c'" in err


@pytest.mark.parametrize("option", ["--traits", "--samples"])
def test_columns_that_mean_nothing_are_not_passed_over(
    tmp_path, capsys, monkeypatch, bundle, expr_tpm, option
):
    monkeypatch.setattr("mtm.models.mtm.model.MTM.used_covariates", ("age", "bmi"))
    expression, out = write_expression(tmp_path / "x.tsv", expr_tpm), tmp_path / "y.tsv"

    def of(*columns):
        rows = ["\t".join([name, *"1" * len(columns)]) for name in SAMPLES]
        (tmp_path / "t.tsv").write_text("\n".join(["\t".join(["sample_id", *columns]), *rows]))
        return predict(capsys, bundle, expression, out, option, tmp_path / "t.tsv", "--force")

    for column, name in (("Sex", "sex"), ("BMI", "bmi"), ("Tissue", "tissue")):
        code, _, err = of(column)
        assert_refused(tmp_path, code, err, f"t.tsv, header: found a column '{column}'", name)
    code, _, err = of("sex", "gender", "age_years")
    assert code == 0, err
    assert "t.tsv: 2 columns not used: 'gender', 'age_years'" in err
    assert (
        "covariates of the model that no sample has, missing for all: age, bmi; its accuracy"
        in err
    )
    code, _, err = of("age", "bmi")
    assert (code, "not used:" in err, "missing for all" in err) == (0, False, False)


def test_a_donor_among_covariates_is_that_of_the_sample(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    (tmp_path / "t.tsv").write_text(
        "sample_id\tdonor\n" + "".join(f"{name}\tsomebody\n" for name in SAMPLES)
    )
    code, _, err = predict(
        capsys, bundle, expression, tmp_path / "y.tsv", "--traits", tmp_path / "t.tsv"
    )
    assert_refused(tmp_path, code, err, "the donor 'somebody' of sample 'person-b'", "--samples")


@pytest.mark.parametrize("wide", [True, False])
def test_reliable_genes_are_counted_in_the_tissues_that_are_told(
    tmp_path, capsys, certified, certificate, expr_tpm, wide
):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    more = ["--min-reliability", "0.6", *["--wide"] * wide]
    n = int((certificate.expected_rho[1] >= 0.6).sum())
    assert 0 < n < (certificate.expected_rho >= 0.6).any(0).sum()
    code, _, err = predict(
        capsys, certified, expression, tmp_path / "y.tsv", *more, targets=("Lung",)
    )
    assert code == 0, err
    assert f"4 samples x 1 tissue, {n} genes, in" in err
    table = pd.read_csv(tmp_path / "y.tsv", sep="\t")
    assert len(table) == (n if wide else 4 * n)
    assert table.notna().all(axis=None)
    counts = sorted(int((certificate.expected_rho[t] >= 0.6).sum()) for t in (0, 1))
    _, _, err = predict(capsys, certified, expression, tmp_path / "z.tsv", *more)
    assert f"4 samples x 2 tissues, {counts[0]} to {counts[1]} genes a tissue, in" in err


def test_people_of_whom_no_gene_is_known_to_be_reliable(
    tmp_path, capsys, certified, certificate, expr_tpm
):
    expression, sheet = write_expression(tmp_path / "x.tsv", expr_tpm), tmp_path / "samples.tsv"
    tissues = ["Whole Blood", "Liver", "Liver", "Liver"]
    rows = [f"{name}\t{tissue}\n" for name, tissue in zip(SAMPLES, tissues, strict=True)]
    sheet.write_text("sample_id\ttissue\n" + "".join(rows))
    asked = ["predict", "--bundle", certified, "--expression", expression, "--target", "Lung",
             "--min-reliability", "low"]  # fmt: skip
    code, _, err = run(capsys, *asked, "--samples", sheet, "--out", tmp_path / "z.tsv")
    assert code == 0, err
    assert "3 people have no row" in err
    assert "known of predictions from Whole Blood: 'person-a', 'person-d', 'person-c'" in err
    assert set(pd.read_csv(tmp_path / "z.tsv", sep="\t")["donor"]) == {"person-b"}
    code, _, err = run(capsys, *asked, "--source", "Liver", "--out", tmp_path / "y.tsv")
    assert_refused(tmp_path, code, err, "--min-reliability: found samples of Liver alone")


def test_a_form_that_was_cut_says_so(tmp_path, capsys):
    whole, cut = tmp_path / "ridge.safetensors", tmp_path / "cut.safetensors"
    cohort = simulated_cohort(n_genes=40)
    model = build("ridge")
    model.fit(Training(cohort, source=cohort.tissue_index("Whole Blood"), device="cpu"))
    model.certificate = made_up((len(model.tissues), 40))
    model.save(whole)
    said = "of the model that this form was made from (2 of 23 axes are left), not measured again"
    code, _, err = run(capsys, "export", "--shareable", whole, cut, "--rank", "2")
    assert code == 0, err
    assert f"accuracy, intervals and reliability in it stay those {said}" in err
    _, out, _ = run(capsys, "info", cut)
    assert out.count(said) == 3
    code, _, err = run(capsys, "export", "--shareable", whole, tmp_path / "all.safetensors",
                       "--rank", "99")  # fmt: skip
    assert "stay those" not in err
    assert said not in run(capsys, "info", tmp_path / "all.safetensors")[1]


@pytest.mark.slow
def test_a_reader_who_has_enough_is_no_error(bundle):
    command = [sys.executable, "-m", "mtm.cli", "info", str(bundle)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0


@pytest.mark.slow
def test_closed_streams_are_no_error(bundle):
    command = f'"{sys.executable}" -m mtm.cli info "{bundle}"'
    done = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(f"{command}x 2>&-", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
