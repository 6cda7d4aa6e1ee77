"""Whatever stands in a file: an answer of finite numbers, or one error; never anything else.

The same few tries in every test run; ``make fuzz`` goes on with others.
"""

import contextlib
import copy
import io
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import strategies as st
from tests.hostile.files import config
from tests.hostile.models import bundle_of, predict, read, write, write_models
from tests.hostile.test_hostile import UNPRINTABLE
from tests.hostile.tries import tried

from mtm import cli
from mtm.analyses.genes.connectivity import read_gene_identifiers, read_interactions
from mtm.cohort.folds import read_folds
from mtm.cohort.genes import read_gene_list
from mtm.cohort.tables import read_sample_attributes, read_subject_phenotypes
from mtm.errors import InputError
from mtm.settings.check import check_config
from mtm.settings.yaml_file import read_values

pytestmark = pytest.mark.xdist_group("fuzz")

STRANGE = st.sampled_from(
    [None, True, False, 0, 1, -1, -3, 1.5, 1e30, 10**12, 2**63, float("nan"), float("inf"), "", " ",
     "Lung", "Lung ", "fpkm", "tpm_z", "\x1b[2J", "\ud800", "a" * 400, [], {}, [[]], ["Lung"],
     [1, "a", None], {"a": {}}, [float("nan")]]
)  # fmt: skip
VALUES = st.one_of(
    STRANGE,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
        max_leaves=5,
    ),
)  # fmt: skip
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e8, 1e30, np.nan, np.inf, -np.inf, 255, 2**31])
KINDS = st.sampled_from(["float32", "float64", "float16", "int64", "int32", "uint8", "bool"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with good bundles and people, which is the working folder meanwhile."""
    folder = tmp_path_factory.mktemp("fuzz")
    write_models(folder)
    (folder / "traits.tsv").write_text(
        "sample_id\tsex\tage\thardy\trin\n"
        + "".join(f"person-{i}\t1\t40\t2\t7\n" for i in range(3))
    )
    before = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def run(command):
    """Run ``mtm`` in this process; return its status and what it printed, which is printable."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main([str(word) for word in command[1:]])
    text = out.getvalue() + err.getvalue()
    assert status in (0, 1), text
    assert not UNPRINTABLE.search(text), repr(text)
    return status, text


def answered(folder, command, named):
    """Run a prediction; its answer is of finite numbers, or its error names the file."""
    told = folder / "told.tsv"
    told.unlink(missing_ok=True)
    status, text = run([*command, "--force"])
    if status:
        assert named in text, text
        assert not told.exists(), text
        return
    values = pd.read_csv(told, sep="\t")[["tpm", "z"]]
    assert np.isfinite(values).all(axis=None), text


def problem(path):
    """Return what is wrong with a configuration, which is printable; nothing of a good one."""
    told = ""
    try:
        check_config(read_values(path), [path])
    except InputError as error:
        told = str(error)
    assert not UNPRINTABLE.search(told.replace("\n", "")), told
    return told


def places(value, path=()):
    """Return the path of every value of a nested one."""
    below = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for name, item in below for place in places(item, (*path, name)))]  # fmt: skip


def changed(value, path, new, kind):
    """Return a nested value with one place replaced, taken out, or standing twice."""
    if not path:
        return new
    value = copy.deepcopy(value)
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    if kind == "drop":
        del inner[path[-1]]
    elif kind == "twice" and isinstance(inner, list):
        inner.append(inner[path[-1]])
    else:
        inner[path[-1]] = new
    return value


def spoilt(text, data):
    """Return the bytes of a table with a few places changed."""
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        new = data.draw(PIECES | st.text(max_size=4))
        text = text[:place] + new + text[place + data.draw(st.integers(0, 5)) :]
    return text.encode("utf-8", errors="surrogatepass")


PIECES = st.sampled_from(
    [
        "\t",
        "\n",
        "\r",
        "\x00",
        "nan",
        "inf",
        "-1",
        "1e400",
        "9" * 400,
        '"',
        "#",
        " ",
        "\ufeff",
        "\x1b[2J",
    ]
)
CHANGES = st.sampled_from(["set", "set", "drop", "twice"])
BUNDLES = st.sampled_from(
    ["ridge", "ridge_of_rank_2", "bgex", "teebot", "nearest_donors", "covariates", "mlp", "mtm",
     "joint", "average", "ensemble", "certified_same_gene", "certified_joint", "tissue_average"]
)  # fmt: skip


@tried(25, of=BUNDLES, data=st.data())
def test_any_header(folder, of, data):
    header, arrays = read(bundle_of(folder, of))
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(header)))
        header = changed(header, path, data.draw(VALUES), data.draw(CHANGES))
        if not isinstance(header, dict):
            break
    try:
        write(folder / "fuzzed.safetensors", header, arrays)
    except UnicodeEncodeError:
        return
    run(["mtm", "info", "fuzzed.safetensors"])
    answered(folder, predict("fuzzed.safetensors", "--traits", "traits.tsv"), "fuzzed.safetensors")


@tried(25, of=BUNDLES, data=st.data())
def test_any_array(folder, of, data):
    header, arrays = read(bundle_of(folder, of))
    name = data.draw(st.sampled_from(sorted(arrays)))
    array = arrays[name].copy()
    kind = data.draw(st.sampled_from(["value", "type", "rows", "shape", "drop", "other"]))
    with np.errstate(all="ignore"):
        if kind == "value" and array.size:
            array.reshape(-1)[data.draw(st.integers(0, array.size - 1))] = np.float64(
                data.draw(NUMBERS)
            ).astype(array.dtype)
        elif kind == "type":
            array = array.astype(data.draw(KINDS))
        elif kind == "rows":
            array = array[: data.draw(st.integers(0, len(array)))]
        elif kind == "shape":
            array = array.reshape(-1)
    arrays[name] = array
    if kind == "drop":
        del arrays[name]
    elif kind == "other":
        other = data.draw(st.sampled_from(sorted(arrays)))
        arrays[name], arrays[other] = arrays[other], arrays[name]
    write(folder / "fuzzed.safetensors", header, arrays)
    answered(folder, predict("fuzzed.safetensors", "--traits", "traits.tsv"), "fuzzed.safetensors")


@tried(25, of=BUNDLES, data=st.data())
def test_any_bytes(folder, of, data):
    whole = bytearray(bundle_of(folder, of).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(whole) - 1, 4000)))
        whole[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    (folder / "fuzzed.safetensors").write_bytes(bytes(whole))
    run(["mtm", "info", "fuzzed.safetensors"])


@tried(25, data=st.data())
def test_any_expression(folder, data):
    text = (folder / "blood.tsv").read_text()
    kind = data.draw(st.sampled_from(["tsv", "gct", "tsv.gz", "h5ad"]))
    lines = [line.split("\t") for line in text.splitlines()]
    row = data.draw(st.integers(0, len(lines) - 1))
    fields = lines[row]
    field = data.draw(st.integers(0, len(fields) - 1))
    change = data.draw(st.sampled_from(["set", "drop", "insert", "row", "cut"]))
    new = data.draw(st.sampled_from(["", "nan", "inf", "-1", "1e39", "x", "0", "\x00", "\x1b[2J", '"', "é", "1_0", "0x1F", " 7 "]) | st.text(max_size=6))  # fmt: skip
    if change == "set":
        fields[field] = new
    elif change == "drop":
        del fields[field]
    elif change == "insert":
        fields.insert(field, new)
    elif change == "row":
        lines.insert(row, list(lines[-1]))
    text = "\n".join("\t".join(line) for line in lines) + "\n"
    if kind == "gct":
        text = f"#1.2\n{len(lines) - 1}\t{len(lines[0]) - 2}\n" + text
    content = text.encode("utf-8", errors="surrogatepass")
    if change == "cut":
        content = content[: data.draw(st.integers(0, len(content)))]
    (folder / f"fuzzed.{kind}").write_bytes(content)
    command = predict(bundle_of(folder, "same_gene"), expression=f"fuzzed.{kind}")
    answered(folder, command, f"fuzzed.{kind}")


@tried(25, data=st.data())
def test_any_anndata(folder, data):
    import anndata
    import pandas as pd

    values = np.random.default_rng(0).gamma(1, 60, (3, 12)).astype(np.float32)
    genes = [f"ENSG{i:011d}.1" for i in range(12)]
    people = pd.DataFrame(index=[f"person-{i}" for i in range(3)])
    path = folder / "fuzzed.h5ad"
    anndata.AnnData(values, obs=people, var=pd.DataFrame(index=genes)).write_h5ad(path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(whole))
    answered(folder, predict(bundle_of(folder, "same_gene"), expression=path.name), path.name)


@tried(25, data=st.data())
def test_any_traits(folder, data):
    lines = [line.split("\t") for line in (folder / "traits.tsv").read_text().splitlines()]
    row = data.draw(st.integers(0, len(lines) - 1))
    field = data.draw(st.integers(0, len(lines[row]) - 1))
    new = data.draw(st.text(max_size=6) | STRANGE.map(str))
    lines[row][field] = new
    text = "\n".join("\t".join(line) for line in lines) + "\n"
    (folder / "fuzzed.tsv").write_bytes(text.encode("utf-8", errors="surrogatepass"))
    command = predict(bundle_of(folder, "covariates"), "--traits", "fuzzed.tsv")
    answered(folder, command, "fuzzed.tsv")


TABLES = {
    "samples": (
        "SAMPID\tSMTSD\tSMRIN\tSMTSISCH\nGTEX-1-0001\tLung\t7.1\t340\nGTEX-2-0001\tWhole Blood\t6\t-5\n",
        read_sample_attributes,
    ),
    "people": (
        "SUBJID\tSEX\tAGE\tDTHHRDY\nGTEX-1\t1\t20-29\t0\nGTEX-2\t2\t60-69\t\n",
        read_subject_phenotypes,
    ),
    "folds": ("donor\tfold\nGTEX-1\t0\nGTEX-2\t1\n", read_folds),
    "edges": ("a\tb\tscore\nA\tB\t0.7\nB\tC\t0.9\n", read_interactions),
    "gene_names": ("symbol\tensembl_gene_id\tentrez_id\tuniprot_ids\nA\tENSG00000000001\t1\tP12345\nB\tENSG00000000002\t2\t\n", read_gene_identifiers),
    "genes": ("ENSG00000000001.1\nENSG00000000002.2\n", read_gene_list),
}  # fmt: skip


@tried(25, of=st.sampled_from(sorted(TABLES)), data=st.data())
def test_any_table(folder, of, data):
    text, read_it = TABLES[of]
    path = folder / f"fuzzed.{of}.tsv"
    path.write_bytes(spoilt(text, data))
    told = path.name
    try:
        read_it(path)
    except InputError as error:
        told = str(error)
    assert path.name in told
    assert not UNPRINTABLE.search(told.replace("\n", "")), repr(told)


@tried(25, data=st.data())
def test_any_configuration(folder, data):
    models = {
        "ridge": {"class": "ridge", "parameters": {"rank": 3, "penalties": [1.0, 2.0]}},
        "net": {"class": "mtm", "seeds": [1, 2], "parameters": {"steps": 3}},
        "mean": {"class": "average", "parameters": {"models": ["ridge", "net"]}},
    }
    whole = config(models=models, comparison={"pairs": [["ridge", "net"]]}, simulation={})
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(whole)))
        whole = changed(whole, path, data.draw(VALUES), data.draw(CHANGES))
    path = folder / "fuzzed.yaml"
    try:
        path.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
    except (UnicodeEncodeError, yaml.YAMLError):
        path.write_text(json.dumps(whole), encoding="utf-8")
    told = problem(path)
    assert not told or "config key" in told or "fuzzed.yaml" in told


@tried(25, data=st.data())
def test_any_yaml(folder, data):
    text = yaml.safe_dump(config())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(
            st.sampled_from(["&a ", "*a", "!!int ", "? ", "- ", ": ", "\t", "{", "[", "<<: ", "'", '"', "|", "\n", "%"]) | st.text(max_size=4)
        ) + text[place + data.draw(st.integers(0, 3)) :]  # fmt: skip
    path = folder / "fuzzed.yaml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    problem(path)


def test_the_files_that_are_fuzzed_are_good(folder):
    shutil.copy(bundle_of(folder, "ridge"), folder / "fuzzed.safetensors")
    for of in ("ridge", "covariates", "ensemble"):
        status, text = run([*predict(bundle_of(folder, of), "--traits", "traits.tsv"), "--force"])
        assert status == 0, text
