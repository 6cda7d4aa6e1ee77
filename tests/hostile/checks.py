"""Samples that are not what they are said to be, and good ones: what checks print and how it ends.

Donors of a simulated cohort: a model of some, files of others.
"""

import numpy as np
from tests.cohorts import simulated_cohort
from tests.hostile.bundles import answer, no_answer
from tests.hostile.case import Case
from tests.hostile.models import SOURCE, bundle_of, predict, spoiled, write_people

from mtm.models.base import Training
from mtm.models.donors import DonorsKey
from mtm.models.registry import build

N_TRAINED = 120
FILE = "new.tsv"


def everyone():
    """Return donors with blood and three further tissues; the first two genes tell their sex."""
    made = simulated_cohort(n_donors=200, n_genes=150, keep=1.0)
    sex = made.donors["sex"].to_numpy()[made.donor]
    noise = np.random.default_rng(1).uniform(0, 0.2, (2, made.n_samples))
    made.expr_tpm[:, 0] = np.where(sex == 1, 10, 0) + noise[0]
    made.expr_tpm[:, 1] = np.where(sex == 2, 10, 0) + noise[1]
    return made


def prepare(folder):
    """Write the bundles: one of all training donors, one of a fold, one of before."""
    cohort = everyone()
    training = cohort.of_donors(cohort.donors.index[:N_TRAINED])
    model, key = build("same_gene"), DonorsKey.write(folder / "donors.key")
    model.fit(Training(training, source=cohort.tissue_index(SOURCE), device="cpu"))
    for name, fold in (("all", "all"), ("fold0", "0"), ("older", "all")):
        model.provenance.fold = fold
        if name == "older":
            model.reference = None
        model.save(bundle_of(folder, name), key)


def people(n, tissue=SOURCE, cohort=None):
    """Return gene ids, names, values ``(n_genes, n)`` and sexes of people whom no model has seen."""
    cohort = everyone() if cohort is None else cohort
    kept = np.flatnonzero(
        (cohort.tissue == cohort.tissue_index(tissue)) & (cohort.donor >= N_TRAINED)
    )
    kept = np.tile(kept, -(-n // len(kept)))[:n]
    sexes = cohort.donors["sex"].to_numpy()[cohort.donor[kept]]
    return list(cohort.genes.index), cohort.expr_tpm[kept].T.astype(float), sexes


def row(name, verdict, says, change=lambda v: v, n=10, tissue=SOURCE, genes=lambda g: g,
        named=None, sex=None, more=(), status=None, then=None, bundle="all", file=""):  # fmt: skip
    """Return the row of people's values, genes and options, changed."""

    def make(folder):
        gene_ids, values, sexes = people(n, tissue)
        write_people(folder / FILE, genes(gene_ids), change(values))
        if named is not None:
            text = (folder / FILE).read_text().replace("person-0", named, 1)
            (folder / FILE).write_text(text)
        given = [*more]
        if sex is not None:
            lines = ["sample_id\tsex", *(f"person-{i}\t{s}" for i, s in enumerate(sex(sexes)))]
            (folder / "traits.tsv").write_text("\n".join(lines) + "\n")
            given += ["--traits", "traits.tsv"]
        return predict(bundle_of(folder, bundle).relative_to(folder), *given, expression=FILE)

    if then is None:
        then = no_answer if verdict == "refuse" else answer
    return Case("checks", name, verdict, make, says, file, status, then=then)


def permuted(genes):
    """Return ids that no longer belong to their rows."""
    return list(np.random.default_rng(5).permutation(genes))


def table_alone(folder, outcome):
    """The checks were written, and nothing was predicted."""
    no_answer(folder, outcome)
    assert (folder / "qc.tsv").read_text().count("\n") == 11


def hostile(name, says, change):
    """Return the row of a bundle whose reference is no training's."""

    def make(folder):
        path = spoiled("all", change)(folder)
        gene_ids, values, _ = people(2)
        write_people(folder / FILE, gene_ids, values)
        return predict(path.name, expression=FILE)

    return Case("checks", name, "refuse", make, says, "spoiled.safetensors", then=no_answer)


def setting(name, value):
    """Return what sets every value of an array of the reference."""
    return lambda header, arrays: arrays.update({name: np.full_like(arrays[name], value)})


STRICT = ["--strict", "--qc", "qc.tsv"]
CASES = [
    # Good people.
    *(row(f"{n} people like the training donors", "accept", "person-.: fits Whole Blood", n=n) for n in (1, 2, 10)),
    row("1,000 people", "accept", "980 further samples", n=1000),
    row("ten people, strictly", "accept", "told.tsv", more=STRICT),
    row("genes in another order", "accept", "fits Whole Blood", lambda v: v[::-1], genes=lambda g: g[::-1]),
    row("genes without versions", "accept", "fits Whole Blood", genes=lambda g: [name.split(".")[0] for name in g]),
    row("genes of other versions", "accept", "fits Whole Blood", genes=lambda g: [name.replace(".1", ".17") for name in g]),
    row("a tenth of the genes missing", "accept", "fits Whole Blood", lambda v: v[15:], genes=lambda g: g[15:]),
    row("sexes given rightly", "accept", "fits Whole Blood", sex=lambda s: s),
    row("logarithms, said to be so", "accept", "fits Whole Blood", lambda v: np.log2(1 + v), more=["--units", "log2"]),
    *(row(f"the source as {name}", "accept", "fits Whole Blood", more=["--source", name]) for name in ("whole_blood", "WHOLE-BLOOD", "WHLBLD")),
    row("the target as LUNG", "accept", "told.tsv", more=["--target", "LUNG"]),
    # What must be warned of.
    row("gene ids permuted", "warn", "warning: sample person-0: has not the order of genes of Whole Blood", genes=permuted),
    row("one person without an order of genes", "warn", "warning: sample person-0: has not the order", n=1, genes=permuted),
    row("liver called blood", "warn", r"looks like Liver \(0\.\d+\), not Whole Blood \(0\.\d+", tissue="Liver"),
    row("1,000 samples of liver called blood", "warn", "980 further samples, 980 of them with a warning", n=1000, tissue="Liver"),
    row("TPM divided by 100, said to be TPM", "warn", r"1\d\d times too small|\d\d times too small", lambda v: v / 100, more=["--units", "tpm"]),
    row("TPM times 20", "warn", "times too large", lambda v: v * 20),
    row("counts, said to be TPM", "warn", "or counts", lambda v: np.round(50 * v), more=["--units", "tpm"]),
    row("logarithms, said to be TPM", "warn", "or logarithms", lambda v: np.log2(1 + v), more=["--units", "tpm"]),
    row("two samples swapped between a man and a woman", "warn", "samples swapped", sex=lambda s: [3 - s[0], *s[1:]]),
    row("a sample of a training donor", "warn", "is of 'GTEX-00007', a training donor", named="GTEX-00007-0006-SM-1",
        more=["--donors-key", "donors.key"]),
    row("noise on every gene", "warn", "warning: sample", lambda v: v * np.exp(2.5 * np.random.default_rng(0).normal(size=v.shape))),
    row("a bundle of a fold", "warn", "the bundle is of fold 0", bundle="fold0"),
    row("a bundle of before there were limits", "warn", "not checked, the bundle has no limits", bundle="older"),
    # What is refused.
    row("liver called blood, strictly", "refuse", "nothing predicted", tissue="Liver", more=STRICT, status=2, then=table_alone),
    row("gene ids permuted, strictly", "refuse", "10 of 10 samples", genes=permuted, more=STRICT, status=2, then=table_alone),
    row("TPM divided by 100", "refuse", "log-scaled", lambda v: v / 100),
    row("counts", "refuse", "looks like counts", lambda v: np.round(50 * v)),
    row("logarithms", "refuse", "log-scaled", lambda v: np.log2(1 + v)),
    row("TPM said to be logarithms", "refuse", "log2", lambda v: 10 * v, more=["--units", "log2"]),
    row("all zeros", "refuse", "0 for every gene", lambda v: 0 * v),
    *(row(f"a value that is {value}", "refuse", str(value), lambda v, value=value: np.where(v == v[3, 1], value, v)) for value in (np.nan, np.inf)),
    row("a source called blood", "refuse", "Did you mean 'Whole Blood'", more=["--source", "blood"]),
    row("a target called lungs", "refuse", "Did you mean 'Lung'", more=["--target", "lungs"]),
    row("checks into the file of the answers", "refuse", "the file of --out", more=["--qc", "told.tsv"]),
    row("checks into the file of the expression", "refuse", "the file of --expression", more=["--qc", FILE, "--force"]),
    # Bundles whose reference is none.
    hostile("limits of fewer tissues", "array reference/limits", lambda h, a: a.update({"reference/limits": a["reference/limits"][1:]})),
    hostile("a sex gene that is not there", "array reference/sex_genes", setting("reference/sex_genes", 150)),
    hostile("a sex gene of number -7", "array reference/sex_genes", setting("reference/sex_genes", -7)),
    hostile("votes without end", "array reference/sex_votes", setting("reference/sex_votes", np.inf)),
    hostile("false alarms of 2", "false_alarms", lambda h, a: h["reference"].update(false_alarms=2.0)),
    hostile("limits without arrays", "array reference/", lambda h, a: [a.pop(k) for k in list(a) if k.startswith("reference/")]),
    hostile("arrays without limits in the header", "an array that the model has not", lambda h, a: h.pop("reference")),
]  # fmt: skip
