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

from mtm import __version__, cli
from mtm.cohort.cohort import Cohort
from mtm.models.base import Requests, Training
from mtm.models.certificate import Certificate
from mtm.models.registry import build, load
from mtm.predictions.new_people import QUANTITIES

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
    assert list(table.columns) == ["sample_id", "source", "target", "scale", "quantity", *IDS]
    assert list(table["sample_id"]) == SAMPLES * 2
    assert list(table["target"]) == ["Lung"] * 4 + ["Liver"] * 4
    assert set(table["scale"]) == {"log2_z"}
    np.testing.assert_allclose(table[IDS], expected_z, rtol=1e-4, atol=1e-5)
    assert "4 samples of Whole Blood, read as TPM" in err
    assert "20 of the model's 20 genes found (100.0%)" in err
    assert "z-score of log2(1+TPM)" in err


@pytest.mark.parametrize("name", ["y.tsv.gz", "y.parquet", "y.h5ad"])
def test_every_output_format_holds_the_same(tmp_path, capsys, bundle, expr_tpm, expected_z, name):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, err = predict(capsys, bundle, expression, tmp_path / name)
    assert code == 0, err
    if name == "y.h5ad":
        data = anndata.read_h5ad(tmp_path / name)
        rows, values = data.obs, data.X
        assert data.obs_names[0] == "person-b|Lung"
        assert data.uns["scale"] == "log2_z"
        assert list(data.var_names) == IDS
    elif name == "y.parquet":
        rows = pd.read_parquet(tmp_path / name)
        values = rows[IDS].to_numpy()
        assert pq.read_schema(tmp_path / name).metadata[b"scale"] == b"log2_z"
    else:
        rows = pd.read_csv(tmp_path / name, sep="\t")
        values = rows[IDS].to_numpy()
    assert list(rows["sample_id"]) == SAMPLES * 2
    np.testing.assert_allclose(values, expected_z, rtol=1e-4, atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["x.tsv", name])


@pytest.mark.parametrize("scale", ["tpm", "log2"])
def test_output_in_expression_units(tmp_path, capsys, bundle, model, expr_tpm, expected_z, scale):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv", "--scale", scale)
    assert code == 0, err
    table = pd.read_csv(tmp_path / "y.tsv", sep="\t")
    mean, sd = model.scaler.mean[[1, 0]].repeat(4, 0), model.scaler.sd[[1, 0]].repeat(4, 0)
    expr_log2 = np.clip(expected_z * sd + mean, 0, None)
    expected = expr_log2 if scale == "log2" else 2**expr_log2 - 1
    np.testing.assert_allclose(table[IDS], expected, rtol=1e-3, atol=1e-3)
    assert set(table["scale"]) == {scale}


def test_all_other_tissues_by_default(tmp_path, capsys, bundle, expr_tpm):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    code, _, _ = predict(capsys, bundle, expression, tmp_path / "y.tsv", targets=())
    assert code == 0
    assert set(pd.read_csv(tmp_path / "y.tsv", sep="\t")["target"]) == {"Liver", "Lung"}


@pytest.mark.parametrize("name", ["y.tsv", "y.parquet", "y.h5ad"])
@pytest.mark.parametrize("scale", ["z", "tpm"])
def test_a_certified_bundle_says_how_far_to_trust_it(
    tmp_path, capsys, certified, certificate, model, expr_tpm, expected_z, name, scale
):
    expression = write_expression(tmp_path / "x.tsv", expr_tpm)
    out = tmp_path / name
    code, _, err = predict(capsys, certified, expression, out, "--scale", scale)
    assert code == 0, err
    assert "90% intervals (low, high) and reliability from up to 90 held-out donors" in err
    if name == "y.h5ad":
        data = anndata.read_h5ad(out)
        found = {"prediction": data.X, **data.layers}
    else:
        table = pd.read_csv(out, sep="\t") if name == "y.tsv" else pd.read_parquet(out)
        found = {kind: part[IDS].to_numpy() for kind, part in table.groupby("quantity")}
        assert list(table["sample_id"][table["quantity"] == "low"]) == SAMPLES * 2
    assert set(found) == set(QUANTITIES)
    targets = np.repeat([1, 0], N_NEW)
    half = np.stack([certificate.half_width(target) for target in targets])
    for kind, ends in {"prediction": 0, "low": -1, "high": 1}.items():
        expected = expected_z + ends * half
        if scale == "tpm":
            expected = model.scaler.inverse(expected, targets)
        np.testing.assert_allclose(found[kind], expected, rtol=2e-3, atol=2e-3)
    assert (found["low"] <= found["high"]).all()
    np.testing.assert_allclose(found["reliability"], certificate.expected_rho[targets], rtol=1e-4)
    np.testing.assert_array_equal(found["reliability_class"], certificate.reliability[targets])


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
    assert set(pd.read_csv(tmp_path / "y.tsv", sep="\t")["quantity"]) == {"prediction"}


def test_log2_input_needs_its_flag(tmp_path, capsys, bundle, expr_tpm, expected_z):
    expression = write_expression(tmp_path / "x.tsv", np.log2(1 + expr_tpm))
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv")
    assert code == 1
    assert "looks log-scaled" in err
    code, _, err = predict(capsys, bundle, expression, tmp_path / "y.tsv", "--units", "log2")
    assert code == 0
    assert "read as log2(1+TPM)" in err
    table = pd.read_csv(tmp_path / "y.tsv", sep="\t")
    np.testing.assert_allclose(table[IDS], expected_z, rtol=1e-3, atol=1e-4)


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
        yield "Lung", slice(0, 4), np.zeros((4, N_GENES), np.float32)
        raise OSError("no space left on device")

    monkeypatch.setattr("mtm.predictions.new_people.predict_new", fail)
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
