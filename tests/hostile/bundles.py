"""Bundles: what is read of a file that anyone may have written.

Every hostile one has a checksum that is right, unless its row says otherwise.
"""

import json
import os
import pickle
from pathlib import Path

import numpy as np
from tests.hostile.case import Case
from tests.hostile.models import (
    KEY,
    TINY,
    bundle_of,
    copied,
    predict,
    raw,
    read,
    spoiled,
    write,
    write_models,
)

FILE = "spoiled.safetensors"
prepare = write_models


def no_answer(folder, outcome):
    """Nothing was written."""
    assert not list(folder.glob("*told*"))


def answer(folder, outcome):
    """Something finite was written."""
    text = (folder / "told.tsv").read_text()
    assert "nan" not in text.lower()
    assert text.count("\n") > 3


def exported(folder, outcome):
    """A bundle was written."""
    assert (folder / FILE).stat().st_size > 1000


def not_exported(folder, outcome):
    """No bundle was written."""
    assert not (folder / FILE).exists()


def refused(name, says, make, info=False):
    """Return the row of a file that neither command may take."""

    def command(folder):
        path = make(folder)
        named = path.name if isinstance(path, Path) else FILE
        return ["mtm", "info", named] if info else predict(named)

    return Case("bundles", name, "refuse", command, says, FILE, then=no_answer)


def header(name, says, change, of="ridge", info=False):
    """Return the row of a header that `change` spoils."""
    return refused(name, says, spoiled(of, lambda header, arrays: change(header)), info)


def arrays(name, says, change, of="ridge"):
    """Return the row of arrays that `change` spoils."""
    return refused(name, says, spoiled(of, lambda header, arrays: change(arrays)))


def setting(*path, value):
    """Return what sets one place of a header."""

    def change(header):
        for step in path[:-1]:
            header = header[step]
        header[path[-1]] = value

    return change


def without(key):
    """Return what takes a key out of a header."""
    return lambda header: header.pop(key)


def filled(key, value, kind=None):
    """Return what sets one value of an array, or all of another type."""

    def change(arrays):
        array = arrays[key].astype(kind) if kind else arrays[key].copy()
        array.reshape(-1)[-1] = value
        arrays[key] = array

    return change


def first(arrays, ending):
    """Return the name of the first array with this ending."""
    return next(name for name in sorted(arrays) if name.endswith(ending))


def one_of(ending, value):
    """Return what sets one value of the first array with this ending."""
    return lambda arrays: filled(first(arrays, ending), value)(arrays)


def cut(ending):
    """Return what takes the last row of the first array with this ending."""

    def change(arrays):
        name = first(arrays, ending)
        arrays[name] = arrays[name][:-1]

    return change


def bytes_of(data):
    """Return what writes a file of these bytes."""

    def make(folder):
        (folder / FILE).write_bytes(data)

    return make


def text_of(text):
    """Return what writes a good bundle whose metadata hold other text."""

    def make(folder):
        write(folder / FILE, *read(bundle_of(folder, "ridge")), text=text)

    return make


def damaged(place):
    """Return what flips a bit at a share of a file."""

    def make(folder):
        path = copied(folder, "mtm")
        data = bytearray(path.read_bytes())
        data[int(place * (len(data) - 1))] ^= 4
        path.write_bytes(data)

    return make


def shortened(share):
    """Return what keeps a share of a file."""

    def make(folder):
        path = copied(folder, "joint")
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return make


def made(kind):
    """Return what puts something that is no file in a bundle's place."""

    def make(folder):
        path = folder / FILE
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "loop":
            path.symlink_to(path.name)

    return make


class Bomb:
    """Writes a file where it is unpickled."""

    def __reduce__(self):
        return (os.system, ("touch exploded",))


def twice_in_header(folder):
    """Write a header with a key that stands twice."""
    header_, arrays_ = read(bundle_of(folder, "ridge"))
    path = write(folder / FILE, header_, arrays_)
    data = path.read_bytes().replace(b'\\"clip\\"', b'\\"clip\\": 1, \\"clip\\"', 1)
    size = int.from_bytes(data[:8], "little") + len(b'\\"clip\\": 1, ')
    path.write_bytes(size.to_bytes(8, "little") + data[8:])


def tensor(name, **keys):
    """Return bytes of a file with one array that is described by a lie."""
    described = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | keys
    return raw(json.dumps({name: described}).encode(), bytes(16))


def taken_apart(folder):
    """Return what describes the arrays of a good bundle, and their bytes."""
    data = bundle_of(folder, "ridge").read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def described(change, more=b""):
    """Return what writes a good bundle whose description of arrays is changed."""

    def make(folder):
        arrays, body = taken_apart(folder)
        change(arrays)
        (folder / FILE).write_bytes(raw(json.dumps(arrays).encode(), body + more))

    return make


def header_length(length):
    """Return what writes a good bundle that says its header were of another length."""

    def make(folder):
        arrays, body = taken_apart(folder)
        (folder / FILE).write_bytes(raw(json.dumps(arrays).encode(), body, length=length))

    return make


def offsets(start, end):
    """Return what moves an array."""
    return lambda arrays: arrays["scaler/mean"].update(data_offsets=[start, end])


def dtype(name):
    """Return what calls an array's numbers of another type."""
    return lambda arrays: arrays["scaler/mean"].update(dtype=name)


def shape(sizes):
    """Return what gives an array other sizes."""
    return lambda arrays: arrays["scaler/mean"].update(shape=sizes)


def overlapping(arrays):
    """Give two arrays the same bytes."""
    arrays["scaler/sd"]["data_offsets"] = arrays["scaler/mean"]["data_offsets"]


def hole(arrays):
    """Leave 8 bytes between two arrays."""
    moved = max(
        (name for name in arrays if name != "__metadata__"),
        key=lambda name: arrays[name]["data_offsets"],
    )
    arrays[moved]["data_offsets"] = [place + 8 for place in arrays[moved]["data_offsets"]]


def named_twice(folder):
    """Describe an array twice under one name."""
    arrays, body = taken_apart(folder)
    text = json.dumps(arrays)
    again = json.dumps({"scaler/mean": arrays["scaler/mean"]})[1:-1]
    (folder / FILE).write_bytes(raw((text[:-1] + ", " + again + "}").encode(), body))


def shared(name, *options):
    """Return the command that makes a bundle's form for others."""
    return lambda folder: ["mtm", "export", "--shareable", bundle_of(folder, name), FILE, *options]


def with_key(text):
    """Return the command that predicts with a key of these bytes."""

    def command(folder):
        (folder / "donors.key").write_bytes(text)
        return predict(bundle_of(folder, "ridge"), "--donors-key", "donors.key")

    return command


def without_checksum(folder):
    """Write a bundle that has none."""
    header_, arrays_ = read(bundle_of(folder, "ridge"))
    write(folder / FILE, header_, arrays_, text=json.dumps({"header": header_}))


def without_sd(arrays):
    """Give a column of covariates an sd of 0."""
    text = arrays["shared/design"].tobytes().replace(b'"sd": ', b'"sd": 0, "s": ')
    arrays["shared/design"] = np.frombuffer(text, np.uint8)


ESCAPE = "\x1b[2J\x1b]0;owned\x07"
GOOD = [
    Case(
        "bundles", f"a good bundle of class {name}", "accept",
        lambda folder, name=name: predict(
            bundle_of(folder, name), *(["--traits", "traits.tsv"] if traits(folder, name) else [])
        ),
        r"told.tsv: 3 samples x 3 tissues", then=answer,
    )
    for name in TINY
]  # fmt: skip


def traits(folder, name):
    """Write covariates of new people for the bundles that need them."""
    rows = "".join(f"person-{i}\t{1 + i % 2}\t{30 + i}\t{i}\t7.{i}\n" for i in range(3))
    (folder / "traits.tsv").write_text("sample_id\tsex\tage\thardy\trin\n" + rows)
    return name in ("covariates", "ridge_of_rank_2")


def replaced_member(header):
    """Give a member other genes."""
    header["members"]["ridge"]["gene_ids"][0] = "ENSG00000099999.1"


CASES = [
    *GOOD,
    Case("bundles", "a good bundle with a certificate", "accept",
         lambda folder: predict(bundle_of(folder, "certified_same_gene")),
         "90% intervals", then=answer),
    Case("bundles", "a good bundle with a certificate in units of its own sd", "accept",
         lambda folder: predict(bundle_of(folder, "certified_joint")), "90% intervals",
         then=answer),
    Case("bundles", "mtm info of a good bundle", "accept",
         lambda folder: ["mtm", "info", bundle_of(folder, "ensemble")], r"model: +ensemble"),
    Case("bundles", "a good bundle through a symbolic link", "accept",
         lambda folder: (os.symlink(bundle_of(folder, "ridge"), folder / FILE), predict(FILE))[1],
         r"told.tsv: 3 samples", then=answer),
    # Forms for others, and who took part.
    *(Case("bundles", f"a form for others of a bundle of class {name}", "accept", shared(name),
           "summary statistics only", then=exported) for name in ("dual_ridge", "ridge", "joint", "ensemble")),
    *(Case("bundles", f"a form for others of a bundle of class {name}", "refuse", shared(name),
           "arrays of single people", name, then=not_exported)
      for name in ("nearest_donors", "average")),
    Case("bundles", "a form for others in place of the bundle itself", "refuse",
         lambda folder: ["mtm", "export", "--shareable", copied(folder, "ridge"), FILE],
         "already", FILE),
    Case("bundles", "a form for others of rank 0", "refuse", shared("ridge", "--rank", "0"),
         "a whole number, 1 or more", status=2),
    Case("bundles", "a key of training donors", "accept",
         with_key(KEY.secret.hex().encode()), r"told.tsv: 3 samples", then=answer),
    Case("bundles", "a key of other training donors", "refuse", with_key(b"5" * 64), "another key",
         "donors.key", then=no_answer),
    *(Case("bundles", f"a key of training donors that is {what}", "refuse", with_key(text),
           "no key", "donors.key", then=no_answer)
      for what, text in {"empty": b"", "short": b"5" * 63, "long": b"5" * 10**6,
                         "no number": b"z" * 64, "not ASCII": b"\xff" * 64}.items()),
    # Places that are no files.
    refused("a pipe in place of a bundle", "found a pipe", made("pipe")),
    refused("a pipe shown to mtm info", "found a pipe", made("pipe"), info=True),
    refused("a folder in place of a bundle", "found a folder", made("folder")),
    refused("a link to a device", "no regular file", made("device")),
    refused("a link to itself", "no readable file", made("loop")),
    refused("no file", "no such file", made("nothing")),
    # Files that are no bundles.
    refused("an empty file", "no bundle", bytes_of(b"")),
    refused("seven bytes", "no bundle", bytes_of(b"\x07" * 7)),
    refused("a web page in place of a bundle", "no bundle", bytes_of(b"<html>404</html>" * 9)),
    refused("a pickle that runs a command", "never unpickled", bytes_of(pickle.dumps(Bomb()))),
    refused("a header said to be 10^15 bytes long", "no bundle",
            bytes_of(raw(b"{}", length=10**15))),
    refused("an array said to be of 10^12 x 10^12", "no bundle",
            bytes_of(tensor("scaler/mean", shape=[10**12, 10**12]))),
    refused("an array said to lie beyond the file", "no bundle",
            bytes_of(tensor("scaler/mean", data_offsets=[0, 10**12], shape=[10**11, 2]))),
    # What was published against readers of safetensors, each in an else good bundle.
    *(refused(f"a header said to be {length} bytes long", "no bundle", header_length(length))
      for length in (0, 1, 2**31, 2**63, 2**64 - 1)),
    refused("an array that begins below 0", "no bundle", described(offsets(-16, 0))),
    refused("an array that ends before it begins", "no bundle", described(offsets(64, 16))),
    refused("an array that ends beyond 2^63", "no bundle", described(offsets(0, 2**63))),
    refused("two arrays of the same bytes", "no bundle", described(overlapping)),
    refused("a hole between arrays", "no bundle", described(hole)),
    refused("bytes after the last array", "no bundle", described(lambda arrays: None, bytes(8))),
    refused("bytes that no array is of", "no bundle", described(lambda arrays: arrays.popitem())),
    refused("an array said to be of another type", "no bundle", described(dtype("F64"))),
    refused("an array of a type of as many bytes", "scaler/mean", described(dtype("I32"))),
    refused("an array of a type that is none", "no bundle", described(dtype("PICKLE"))),
    refused("a size below 0", "no bundle", described(shape([-4, -12]))),
    refused("a size of a fraction", "no bundle", described(shape([4.5, 12]))),
    refused("sizes whose product goes round at 2^64", "no bundle",
            described(shape([2**33, 2**33]))),
    refused("an array of no size where there are values", "no bundle", described(shape([]))),
    refused("an array's name twice", "no bundle", named_twice),
    refused("metadata that are no text", "no bundle",
            described(lambda arrays: arrays["__metadata__"].update(mtm={"header": 1}))),
    refused("an array without offsets", "no bundle",
            described(lambda arrays: arrays["scaler/mean"].pop("data_offsets"))),
    refused("another program's safetensors", "no bundle", bytes_of(tensor("weight"))),
    refused("lists nested 100,000 deep as header", "nested too deep",
            text_of("[" * 10**5 + "]" * 10**5)),
    refused("objects nested 100,000 deep as header", "nested too deep",
            text_of('{"header":' * 10**5 + "1" + "}" * 10**5), info=True),
    refused("metadata that are no JSON", "no bundle", text_of("{'header': 1}")),
    refused("metadata that are a list", "no bundle", text_of('["header"]')),
    refused("a header that is a list", "without keys", text_of('{"header": []}')),
    refused("a number of 10,000 digits", "no bundle", text_of(f'{{"header": {"9" * 10**4}}}')),
    refused("a header with a key twice", "stands twice|no bundle", twice_in_header),
    # Damage.
    *(refused(f"a bit flipped at {place:.0%}", "checksum|no bundle|damaged|array|found",
              damaged(place)) for place in (0, 0.2, 0.5, 0.8, 1)),
    *(refused(f"cut at {share:.1%}", "no bundle|damaged", shortened(share))
      for share in (0.001, 0.5, 0.999)),
    refused("a checksum that is missing", "checksum",
            without_checksum),
    # Headers.
    header("versions that are a list", "header.versions", setting("versions", value=[])),
    header("bundle_version true", "bundle version True", setting("bundle_version", value=True)),
    header("bundle_version 1.0", "bundle version 1.0", setting("bundle_version", value=1.0)),
    header("bundle_version 1", "bundle version 1", setting("bundle_version", value=1), info=True),
    *(header(f"no key {key}", f"no key '{key}'|bundle version None", without(key), info=True)
      for key in ("tissues", "gene_ids", "symbols", "scale", "clip", "provenance", "parameters",
                  "model", "bundle_version")),
    header("an unknown model", "one of average", setting("model", value="os.system")),
    header("a model that is a number", "header.model", setting("model", value=3)),
    header("the scale fpkm", "header.scale", setting("scale", value="fpkm")),
    header("the scale null", "header.scale", setting("scale", value=None)),
    header("the other scale", "log2_z, as its parameters say", setting("scale", value="tpm_z")),
    header("clip -5", "header.clip", setting("clip", value=-5)),
    header("clip 0", "header.clip", setting("clip", value=0)),
    header("clip true", "header.clip", setting("clip", value=True)),
    header("clip infinite", "header.clip", setting("clip", value=float("inf"))),
    header("clip as text", "header.clip", setting("clip", value="5")),
    header("rank -3", "rank", setting("parameters", "rank", value=-3)),
    header("rank true", "rank", setting("parameters", "rank", value=True)),
    header("an unknown parameter", "unknown key", setting("parameters", "shell", value="sh")),
    header("parameters that are a list", "header.parameters", setting("parameters", value=[])),
    header("widths of 10^12", "encoder_widths", of="mtm",
           change=setting("parameters", "encoder_widths", value=[10**12])),
    header("widths of 10^5, which would take 10^7 bytes", "expected float32 of shape", of="mtm",
           change=setting("parameters", "encoder_widths", value=[10**5])),
    header("100 fits where there are 2", "fit/2", of="joint",
           change=setting("parameters", "fits", value=100)),
    header("101 numbers of factors, of each of which fits are counted", "n_factors", of="joint",
           change=setting("parameters", "n_factors", value=[2] * 101)),
    header("a gene twice", "a second time",
           lambda header: header["gene_ids"].__setitem__(1, header["gene_ids"][0])),
    header("two versions of a gene", "a second time",
           lambda header: header["gene_ids"].__setitem__(1, header["gene_ids"][0] + "7")),
    header("a tissue twice", "a second time",
           lambda header: header["tissues"].__setitem__(1, header["tissues"][0])),
    header("no tissue", "header.tissues", setting("tissues", value=[])),
    header("tissues that are text", "header.tissues", setting("tissues", value="Lung")),
    header("a gene that is a number", "header.gene_ids", setting("gene_ids", 0, value=7)),
    header("a gene that is nothing", "header.gene_ids", setting("gene_ids", 0, value=None)),
    header("symbols of other number", "symbols", setting("symbols", value=["A"])),
    header("one gene more than arrays have", "scaler/mean|array",
           lambda header: (header["gene_ids"].append("ENSG1.1"), header["symbols"].append("x"))),
    header("a source that is no tissue", "provenance.source",
           setting("provenance", "source", value="Blood")),
    header("a seed that is text", "seed", setting("provenance", "seed", value="1")),
    header("donors that are numbers", "training_donors",
           setting("provenance", "training_donors", value=[1])),
    header("donors by their ids", "training_donors", info=True,
           change=lambda header: header["provenance"]["training_donors"].__setitem__(0, "D1")),
    header("a donor twice", "training_donors",
           lambda header: header["provenance"]["training_donors"].__setitem__(
               0, header["provenance"]["training_donors"][1])),
    header("digests of one donor less", "training_donors",
           lambda header: header["provenance"]["training_donors"].pop()),
    header("donors below 0", "n_training_donors",
           setting("provenance", "n_training_donors", value=-1)),
    header("10^30 donors", "n_training_donors",
           setting("provenance", "n_training_donors", value=10**30)),
    header("terminal escapes in a tissue", "header.tissues", setting("tissues", 0, value=ESCAPE)),
    header("terminal escapes in a gene, for mtm info", "header.gene_ids",
           setting("gene_ids", 0, value=ESCAPE), info=True),
    header("terminal escapes in a version", "header.versions",
           setting("versions", "mtm", value=ESCAPE), info=True),
    header("half a character in a tissue", "header.tissues",
           setting("tissues", 0, value="\ud800")),
    Case("bundles", "terminal escapes in notes and cohort, for mtm info", "warn",
         lambda folder: ["mtm", "info", spoiled("ridge", lambda header, arrays: (
             header["provenance"].update(cohort=ESCAPE, notes={"a": ESCAPE})))(folder)],
         r"\\x1b\[2J"),
    header("a certificate of unknown tissues", "certificate.sources", of="certified_same_gene",
           change=setting("certificate", "sources", value=["Brain"])),
    header("a certificate of a level of 2", "certificate.levels", of="certified_same_gene",
           change=setting("certificate", "levels", value=[0.5, 2.0])),
    header("a certificate in units of an sd that the model lacks", "own_sd",
           of="certified_same_gene", change=setting("certificate", "own_sd", value=True)),
    header("a certificate whose own_sd is 0", "own_sd", of="certified_same_gene",
           change=setting("certificate", "own_sd", value=0)),
    header("a certificate without thresholds", "thresholds", of="certified_same_gene",
           change=lambda header: header["certificate"].pop("thresholds")),
    header("a member that is missing", "members", of="average",
           change=lambda header: header["members"].pop("ridge")),
    header("a member of other genes", "other tissues or genes", of="average",
           change=replaced_member),
    header("a member that is its parent's class", "members|array", of="average",
           change=setting("members", "ridge", "model", value="average")),
    # Arrays.
    arrays("an sd below 0", "scaler/sd", filled("scaler/sd", -1.0)),
    arrays("an sd of 0", "scaler/sd", filled("scaler/sd", 0.0)),
    arrays("an sd without end", "scaler/sd", filled("scaler/sd", np.inf)),
    arrays("an sd that is missing", "scaler", filled("scaler/sd", np.nan)),
    arrays("sds of whole numbers", "scaler/sd", filled("scaler/sd", 1, np.int64)),
    arrays("sds of half precision", "scaler/sd", filled("scaler/sd", 1, np.float16)),
    arrays("means of booleans", "scaler/mean", filled("scaler/mean", True, bool)),
    arrays("a mean of 1e30", "scaler/mean", filled("scaler/mean", 1e30)),
    arrays("means of one gene more", "scaler/mean",
           lambda arrays: arrays.update({"scaler/mean": np.zeros((4, 13), np.float32)})),
    arrays("no mean", "scaler/mean", lambda arrays: arrays.pop("scaler/mean")),
    arrays("an array too many", "an array that the model has not",
           lambda arrays: arrays.update(extra=np.zeros(3))),
    arrays("arrays of a tissue that is not there", "an array that the model has not",
           lambda arrays: arrays.update({"tissue/99/coef": np.zeros((12, 12), np.float32)})),
    *(arrays(f"a coefficient of {value:g} ({of})", "array", one_of(ending, value), of=of)
      for of, ending, value in (
          ("ridge", "/coef", 1e30), ("ridge", "/coef", np.nan), ("ridge", "/intercept", -np.inf),
          ("bgex", "/coef", 1e30), ("teebot", "axes", np.nan), ("covariates", "/coef", 1e30),
          ("nearest_donors", "/target", np.nan), ("mlp", "/weight", np.nan),
          ("mtm", "last.weight", np.nan), ("mtm", "gamma", 1e30), ("joint", "factors", np.inf),
          ("joint", "/variance", 0.0), ("joint", "/own", -1.0), ("ensemble", "weights", -1.0),
          ("average", "ridge/tissue/0/coef", np.nan))),
    *(arrays(f"a row of {ending.strip('/')} less ({of})", "array", cut(ending), of=of)
      for of, ending in (
          ("ridge", "/coef"), ("bgex", "/source_genes"), ("teebot", "/coef"), ("mlp", "/weight"),
          ("mtm", "beta"), ("joint", "organ"), ("nearest_donors", "/target"),
          ("covariates", "/coef"), ("ridge_of_rank_2", "covariate_coef"),
          ("certified_same_gene", "quantiles"), ("ensemble", "weights"))),
    arrays("a gene's number beyond the genes", "source_genes", one_of("source_genes", 12),
           of="bgex"),
    arrays("a sample's number beyond the samples", "source_position",
           one_of("source_position", 10**6), of="nearest_donors"),
    arrays("a sample's number below 0", "source_position", one_of("source_position", -1),
           of="nearest_donors"),
    arrays("coefficients over donors without the donors", "dual.*expected coef",
           lambda arrays: arrays.pop("shared/source"), of="dual_ridge"),
    arrays("coefficients over donors and over genes", "coef", of="dual_ridge",
           change=lambda arrays: arrays.update(
               {"tissue/0/coef": np.zeros((40, 40), np.float32)})),
    arrays("a design that is no JSON", "array design|design", of="covariates",
           change=lambda arrays: arrays.update({"shared/design": np.zeros(9, np.uint8)})),
    arrays("a design with an sd of 0", "design", of="covariates",
           change=without_sd),
    arrays("a design nested deep", "design", of="joint",
           change=lambda arrays: arrays.update(
               design=np.frombuffer(b"[" * 10**5 + b"]" * 10**5, np.uint8))),
    arrays("a reliability class of 200", "reliability", one_of("certificate/reliability", 200),
           of="certified_same_gene"),
    arrays("a certificate's sd below 0", "certificate/sd", one_of("certificate/sd", -1.0),
           of="certified_same_gene"),
    arrays("a certificate's correlation of 7", "certificate/rho", one_of("certificate/rho", 7.0),
           of="certified_same_gene"),
]  # fmt: skip
