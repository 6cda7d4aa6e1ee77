import subprocess
import sys
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from scripts import Named, load_script

from mtm.cohort.build import build_cohort, merge_phenotypes, write_expression
from mtm.cohort.cohort import Cohort
from mtm.cohort.filters import GeneFilter, check_source, filter_samples, join_attributes
from mtm.cohort.tables import read_sample_attributes
from mtm.errors import InputError


class Inputs:
    """A small cohort on disk: 12 donors, three tissues, 30 genes, samples in random order."""

    def __init__(self, folder):
        rng = np.random.default_rng(3)
        self.folder = folder
        donors = [f"GTEX-{i:02d}" for i in range(12)]
        tissues = {"Whole Blood": 12, "Lung": 8, "Kidney - Medulla": 2}
        pairs = [(d, t) for t, n in tissues.items() for d in donors[12 - n :]]
        rng.shuffle(pairs)
        ids = [f"{d}-{i:04d}-SM" for i, (d, _) in enumerate(pairs)]
        self.samples = pd.DataFrame(pairs, columns=["donor", "tissue"], index=ids)
        self.gene_ids = [f"ENSG{i:011d}.{i % 4}" for i in range(29)]
        self.gene_ids.append(self.gene_ids[0] + "_PAR_Y")
        values = rng.lognormal(2, 2, (30, len(ids))).round(3)
        self.values = pd.DataFrame(values, index=self.gene_ids, columns=ids)
        self.write()

    def write(self):
        extra = pd.DataFrame({"donor": "GTEX-99", "tissue": "Lung"}, index=["GTEX-99-0001-SM"])
        attributes = pd.concat([self.samples, extra])
        attributes = pd.DataFrame(
            {
                "SAMPID": attributes.index,
                "SMRIN": np.linspace(5, 9, len(attributes)).round(2),
                "SMTSD": attributes["tissue"],
                "SMCENTER": np.where(np.arange(len(attributes)) % 2, "B1", ""),
                "SMPTHNTS": "",
            }
        )
        attributes.to_csv(self.folder / "attributes.txt", sep="\t", index=False)
        names = sorted(set(self.samples["donor"]) | {"GTEX-99"})
        phenotypes = pd.DataFrame({"SUBJID": names, "SEX": 1, "AGE": "60-69", "DTHHRDY": 2})
        phenotypes.to_csv(self.folder / "phenotypes.txt", sep="\t", index=False)
        gct = self.values.copy()
        gct.insert(0, "Description", [f"S{i}" for i in range(len(gct))])
        with open(self.folder / "tpm.gct", "w") as file:
            file.write(f"#1.2\n{len(gct)}\t{self.values.shape[1]}\n")
            gct.to_csv(file, sep="\t", index_label="Name")

    def build(self, **options):
        out = self.folder / "out"
        options = {"min_samples_per_tissue": 5, "progress": False} | options
        return build_cohort(
            self.folder / "tpm.gct",
            self.folder / "attributes.txt",
            self.folder / "phenotypes.txt",
            out_expression=out / "expression.h5ad",
            out_donors=out / "donors.tsv",
            out_filtering=out / "filtering.tsv",
            **options,
        )


@pytest.fixture
def inputs(tmp_path):
    return Inputs(tmp_path)


def test_cohort_holds_the_values_of_its_samples_and_genes(inputs):
    table = inputs.build(source="Lung")
    out = inputs.folder / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "donors.tsv",
        "expression.h5ad",
        "filtering.tsv",
    ]
    data = anndata.read_h5ad(out / "expression.h5ad")
    # 12 + 8 samples; four donors have blood alone.
    assert data.shape == (16, 30)
    assert data.X.dtype == np.float32
    assert data.X.flags["C_CONTIGUOUS"]
    order = list(zip(data.obs["donor"], data.obs["tissue"], strict=True))
    assert order == sorted(order)
    expected = inputs.values[data.obs_names].T
    np.testing.assert_array_equal(data.X, expected.to_numpy(np.float32))
    assert list(data.var_names) == inputs.gene_ids
    assert list(data.var["symbol"]) == [f"S{i}" for i in range(30)]
    assert dict(data.uns) == {"scale": "tpm", "units": "TPM"}
    truth = inputs.samples.loc[data.obs_names]
    assert (data.obs[["donor", "tissue"]].astype(str) == truth).all(axis=None)
    attributes = read_sample_attributes(inputs.folder / "attributes.txt").loc[data.obs_names]
    np.testing.assert_array_equal(data.obs["rin"], attributes["rin"])
    assert set(data.obs["center"].dropna()) == {"B1"}
    assert data.obs["pathology_notes"].isna().all()

    assert list(table["step"]) == [
        "expression file",
        "excluded tissues",
        "samples per tissue",
        "samples per donor",
    ]
    assert table[["n_samples", "n_donors", "n_tissues"]].to_numpy().tolist() == [
        [22, 12, 3],
        [22, 12, 3],
        [20, 12, 2],
        [16, 8, 2],
    ]
    assert "1 further sample" in table["detail"][0]
    assert "no gene model" in table["detail"][0]
    assert "Kidney - Medulla" in table["detail"][2]
    assert (table["n_genes"] == 30).all()
    pd.testing.assert_frame_equal(pd.read_csv(out / "filtering.tsv", sep="\t"), table)
    donors = pd.read_csv(out / "donors.tsv", sep="\t")
    assert list(donors.columns) == ["donor", "sex", "age_bracket", "age", "hardy"]
    assert list(donors["donor"]) == sorted(set(data.obs["donor"]))
    cohort = Cohort.read(out / "expression.h5ad", out / "donors.tsv")
    assert cohort.tissues == ("Lung", "Whole Blood")


@pytest.mark.parametrize("block_genes", [1, 7, 30])
def test_block_size_does_not_change_the_cohort(inputs, block_genes):
    attributes = read_sample_attributes(inputs.folder / "attributes.txt")
    samples = join_attributes(list(inputs.values), attributes, "expression", "attributes")
    samples, _ = filter_samples(samples, min_samples_per_tissue=5)
    path = inputs.folder / "x.h5ad"
    genes = GeneFilter(None, (), None)
    n_genes = write_expression(
        inputs.folder / "tpm.gct", samples, path, genes, block_genes=block_genes, progress=False
    )
    assert n_genes == 30
    data = anndata.read_h5ad(path)
    np.testing.assert_array_equal(data.X, inputs.values[samples.index].T.to_numpy(np.float32))


def test_two_runs_write_the_same_bytes(inputs):
    files = ["expression.h5ad", "donors.tsv", "filtering.tsv"]
    inputs.build()
    first = [(inputs.folder / "out" / name).read_bytes() for name in files]
    inputs.build()
    assert first == [(inputs.folder / "out" / name).read_bytes() for name in files]


def test_genes_are_joined_on_unversioned_id_and_par_mark(inputs):
    chosen = ["ENSG00000000004.99", "ENSG00000000007", "ENSG00000000000.5_PAR_Y", "ENSG9"]
    (inputs.folder / "list.txt").write_text("\n".join(chosen))
    table = inputs.build(gene_list=inputs.folder / "list.txt")
    data = anndata.read_h5ad(inputs.folder / "out" / "expression.h5ad")
    assert list(data.var_names) == [inputs.gene_ids[i] for i in (4, 7, 29)]
    assert table["n_genes"].tolist() == [30, 30, 30, 30, 3]
    assert table["detail"].iloc[-1] == "4 listed; 1 of these not in the expression"


def gtf(gene_ids, biotypes):
    return "".join(
        f'chr1\tx\tgene\t1\t2\t.\t+\t.\tgene_id "{gene}"; gene_type "{biotype}";\n'
        for gene, biotype in zip(gene_ids, biotypes, strict=True)
    )


def test_biotypes_and_list_both_filter(inputs):
    biotypes = np.where(np.arange(30) % 2, "protein_coding", "lncRNA")
    (inputs.folder / "g.gtf").write_text(gtf(inputs.gene_ids, biotypes))
    (inputs.folder / "list.txt").write_text("\n".join(inputs.gene_ids[:6]))
    options = {"gene_model": inputs.folder / "g.gtf"}
    table = inputs.build(**options)
    assert table["n_genes"].iloc[-1] == 15
    assert "no gene model" not in table["detail"][0]
    table = inputs.build(**options, gene_biotypes=None)
    assert table["n_genes"].iloc[-1] == 30
    table = inputs.build(**options, gene_list=inputs.folder / "list.txt")
    assert table["n_genes"].tolist()[-2:] == [15, 3]
    table = inputs.build(**options, gene_biotypes=("lncRNA", "protein_coding"))
    assert table["n_genes"].iloc[-1] == 30
    with pytest.raises(InputError, match="biotype 'coding'; expected one of lncRNA, protein"):
        inputs.build(**options, gene_biotypes=("coding",))


def test_controlled_phenotypes_are_joined_by_donor(inputs):
    path = inputs.folder / "c.txt"
    path.write_text("#x\nSUBJID\tSEX\tAGE\tBMI\nGTEX-11\t1\t61\t20.5\nGTEX-07\t1\t68\t30\n")
    table = inputs.build(controlled_phenotypes=path)
    donors = pd.read_csv(inputs.folder / "out" / "donors.tsv", sep="\t", index_col="donor")
    assert list(donors.columns) == ["sex", "age_bracket", "age", "hardy", "BMI"]
    assert donors.loc["GTEX-11", ["age", "BMI"]].tolist() == [61, 20.5]
    assert donors.loc["GTEX-04", "age"] == 64.5
    assert np.isnan(donors.loc["GTEX-04", "BMI"])
    assert "2 donors with controlled-access" in table["detail"].iloc[-1]
    for text, words in [
        ("SUBJID\tAGE\nGTEX-11\t71\n", "AGE of GTEX-11: found 71 years"),
        ("SUBJID\tSEX\nGTEX-11\t2\n", "SEX of GTEX-11: found 2; expected 1"),
        ("SUBJID\tAGE\n11\t61\n", "such as 11; expected donors of the cohort"),
        ("SUBJID\thardy\nGTEX-11\t1\n", "found a column hardy"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            inputs.build(controlled_phenotypes=path)


def test_a_donor_without_phenotypes_is_an_error(inputs):
    phenotypes = pd.DataFrame({"sex": [1], "age_bracket": ["60-69"]}, index=["a"])
    with pytest.raises(InputError, match="no row for 1 donor, first b"):
        merge_phenotypes(["a", "b"], phenotypes)


def frame(pairs, **columns):
    table = pd.DataFrame(pairs, columns=["donor", "tissue"])
    table.index = [f"s{i}" for i in range(len(table))]
    return table.assign(**columns)


def test_filters_are_applied_in_order_and_once():
    # Lung has three samples until donor d is dropped; it stays, with two.
    samples = frame(
        [("a", "Lung"), ("a", "Blood"), ("b", "Lung"), ("b", "Blood"), ("c", "Blood")]
        + [("c", "Skin"), ("d", "Lung"), ("d", "Skin")]
    )
    left, counts = filter_samples(samples, min_samples_per_tissue=3, min_samples_per_donor=2)
    assert left.index.tolist() == ["s1", "s0", "s3", "s2"]
    assert [count["n_samples"] for count in counts] == [8, 6, 4]
    left, _ = filter_samples(
        samples, min_samples_per_tissue=1, min_samples_per_donor=2, exclude_tissues=["Lung"]
    )
    assert left.index.tolist() == ["s4", "s5"]


def test_samples_outside_the_analysis_freeze_are_dropped():
    pairs = [("a", "Lung"), ("a", "Blood"), ("b", "Lung"), ("b", "Blood"), ("b", "Lung")]
    samples = frame(pairs, freeze=["RNASEQ"] * 4 + ["EXCLUDE"])
    left, counts = filter_samples(samples, min_samples_per_tissue=1)
    assert len(left) == 4
    assert counts[0]["step"] == "analysis freeze"
    with pytest.raises(InputError, match="duplicate donor-tissue: samples s2 and s4"):
        filter_samples(samples.drop(columns="freeze"), min_samples_per_tissue=1)


def test_nothing_left_and_unknown_excluded_tissue():
    samples = frame([("a", "Lung"), ("a", "Blood")])
    with pytest.raises(InputError, match="no sample that passes"):
        filter_samples(samples, min_samples_per_tissue=50)
    with pytest.raises(InputError, match="exclude_tissues.*Did you mean 'Lung'"):
        filter_samples(samples, exclude_tissues=["lungs"])


def test_source_names_near_tissues():
    tissues = ["Whole Blood", "Lung", "Brain - Cortex"]
    check_source(tissues, "Lung")
    with pytest.raises(InputError, match="Did you mean 'Whole Blood'"):
        check_source(tissues, "Whole_Blood")
    with pytest.raises(InputError, match="They are Brain - Cortex, Lung, Whole Blood"):
        check_source(tissues, "xyz")


def test_scripts_build_a_cohort_and_its_folds(inputs):
    folder, out = inputs.folder, inputs.folder / "made"
    cohort = Named(
        expression=out / "expression.h5ad",
        donors=out / "donors.tsv",
        filtering=out / "filtering.tsv",
    )
    filters = {
        "gene_biotypes": ["protein_coding"],
        "min_samples_per_tissue": 5,
        "min_samples_per_donor": 2,
        "exclude_tissues": [],
    }
    load_script("build_cohort").main(
        SimpleNamespace(
            input=Named(
                expression=folder / "tpm.gct",
                sample_attributes=folder / "attributes.txt",
                subject_phenotypes=folder / "phenotypes.txt",
            ),
            params=SimpleNamespace(filters=filters, columns={}, source="Whole Blood", units=None),
            output=cohort,
        )
    )
    inputs.build()
    assert cohort.expression.read_bytes() == (folder / "out/expression.h5ad").read_bytes()
    made = SimpleNamespace(
        input=cohort,
        params=SimpleNamespace(
            folds={"scheme": "balanced", "n_folds": 4, "seed": 1}, source="Lung"
        ),
        output=Named(folds=out / "folds.tsv", counts=out / "fold_counts.tsv"),
    )
    load_script("make_folds").main(made)
    folds = pd.read_csv(out / "folds.tsv", sep="\t")
    assert folds["donor"].tolist() == pd.read_csv(cohort.donors, sep="\t")["donor"].tolist()
    counts = pd.read_csv(out / "fold_counts.tsv", sep="\t")
    assert counts["n_training_pairs"].tolist() == [12] * 4
    cohort.donors.write_text("donor\nx\n")
    with pytest.raises(InputError, match="donors that differ"):
        load_script("make_folds").main(made)


MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from mtm.cohort.build import build_cohort

folder, names = Path(sys.argv[1]), sys.argv[2].split()
rng = np.random.default_rng(0)
rows = ["\\t".join(f"{x:.4g}" for x in rng.uniform(1, 60, len(names))) for _ in range(2)]
for n_genes in (1024, 8192):
    with open(folder / "x.gct", "w") as file:
        file.write(f"#1.2\\n{n_genes}\\t{len(names)}\\n")
        file.write("\\t".join(["Name", "Description", *names]) + "\\n")
        file.writelines(f"ENSG{i:011d}.1\\tS\\t{rows[i % 2]}\\n" for i in range(n_genes))
    build_cohort(
        *(folder / name for name in ("x.gct", "a.txt", "p.txt")),
        out_expression=folder / "e.h5ad",
        out_donors=folder / "d.tsv",
        out_filtering=folder / "f.tsv",
        progress=False,
        units="tpm",
    )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    names = [f"GTEX-{i // 2:04d}-{i % 2:04d}" for i in range(2000)]
    attributes = pd.DataFrame({"SAMPID": names, "SMTSD": ["Lung", "Whole Blood"] * 1000})
    attributes.to_csv(tmp_path / "a.txt", sep="\t", index=False)
    phenotypes = pd.DataFrame({"SUBJID": sorted({name[:9] for name in names}), "SEX": 1})
    phenotypes.assign(AGE="60-69").to_csv(tmp_path / "p.txt", sep="\t", index=False)
    command = [sys.executable, "-c", MEASURE, str(tmp_path), " ".join(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    few, many = map(float, done.stdout.split())
    # Of the larger file, X alone is 62 MB and the text 80 MB.
    assert many - few < 30
