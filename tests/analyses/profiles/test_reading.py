import numpy as np
import pandas as pd
import pytest
from tests.analyses.profiles.made_up import TISSUES, table

from mtm.analyses.profiles.complete import profile_tables, surroundings_of
from mtm.analyses.profiles.promoters import promoter_features, promoters_of, read_promoters
from mtm.analyses.profiles.table import Table, place, read_profiles
from mtm.errors import CannotDo, InputError
from mtm.settings.profiles import ProfileSettings

GENES = [f"ENSG{i:011d}" for i in range(1, 61)]


def write_table(path, change=lambda text: text):
    values = pd.DataFrame(table(60).expr_log2.round(3), GENES, TISSUES)
    path.write_text(change(values.to_csv(sep="\t", index_label="gene_id")))
    return path


def write_model(path, n=60):
    rows = [
        f"chr{i % 4}\tx\tgene\t{1000 * i}\t{1000 * i + 500}\t.\t{'+-'[i % 2]}\t.\t"
        f'gene_id "{gene}.3"; gene_type "protein_coding"; gene_name "S{i}";\n'
        for i, gene in enumerate(GENES[:n], 1)
    ]
    path.write_text("".join(rows))
    return path


def test_genes_are_placed_at_their_starts_whatever_their_version(tmp_path):
    values = read_profiles(write_table(tmp_path / "t.tsv"))
    placed = place(values, write_model(tmp_path / "m.gtf"), tmp_path / "t.tsv")
    first = placed.genes.loc[GENES[0]]
    assert (first["chrom"], first["tss"], first["strand"]) == ("chr1", 1500, -1)
    assert placed.genes["tss"].groupby(placed.genes["chrom"]).is_monotonic_increasing.all()
    at = placed.genes.index.get_loc(GENES[9])
    np.testing.assert_array_equal(placed.expr_log2[at], values.loc[GENES[9]])


def holes(n_genes=60, n_tissues=6):
    """Return the change that empties the last fields of the last rows."""

    def change(text):
        first, *rows = text.splitlines()
        cut = [row.rsplit("\t", n_tissues)[0] + n_tissues * "\t" for row in rows[-n_genes:]]
        return "\n".join([first, *rows[: 60 - n_genes], *cut]) + "\n"

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("ENSG00000000002\t", "ENSG00000000001.4\t"), "twice"),
        (lambda text: text.replace("ENSG00000000001\t", "ENSG00000000001\thigh", 1), "line 2"),
        (lambda text: text.replace("gene_id", "gene"), "gene_id"),
        (holes(n_tissues=1), "'Thyroid' hidden in every gene"),
        (holes(), "'Liver' hidden in every gene"),
        (holes(50), "10 genes with a value, all others with every tissue hidden"),
        (lambda text: "".join(text.splitlines(True)[:5]), "4 genes by 6 tissues"),
        (lambda text: text.replace("ENSG00000000001\t", "ENSG00000000001\t99", 1), "log2"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        read_profiles(write_table(tmp_path / "t.tsv", change))


def test_genes_without_a_position_are_refused_in_a_users_table_alone(tmp_path):
    values = read_profiles(write_table(tmp_path / "t.tsv"))
    model = write_model(tmp_path / "m.gtf", 50)
    with pytest.raises(InputError, match="10 of 60 genes without a position"):
        place(values, model, tmp_path / "t.tsv")
    assert place(values, model).n_genes == 50
    with pytest.raises(CannotDo, match="5 genes on 4 chromosomes"):
        place(values.iloc[:5], model)


def test_promoters_are_read_from_fasta_and_tables(tmp_path):
    (tmp_path / "p.fa").write_text(">G1|x chr1\nACGT\nacgn\n>G2\nTTTT\n>G1\nAAAA\n")
    assert read_promoters(tmp_path / "p.fa")["sequence"].tolist() == ["ACGTACGN", "TTTT"]
    genes = table(6).genes
    assert promoters_of(tmp_path / "p.fa", genes)[:3] == ["", "ACGTACGN", "TTTT"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">G1\nACGU\n", "RNA has U"),
        (">G1\nMKVL*\n", "letters of DNA"),
        (">\nACGT\n", "a name that is empty"),
        (">G1\n\n", "letters of DNA"),
        ("gene_id\tsequence\n", "no promoter"),
        ("gene_id\tdna\nG1\tAC\n", "sequence"),
        (">G1\n" + "A" * 20_001 + "\n", "20,000 bases at most"),
        (">ENSG00000000001\nACGT\n", "none of them"),
    ],
)
def test_promoters_that_cannot_be_used_are_refused(tmp_path, text, said):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(InputError, match=said):
        promoters_of(tmp_path / "p.txt", table(6).genes)


def test_promoters_of_another_build_are_refused(tmp_path):
    genes = table(40).genes
    rows = genes.reset_index()[["gene_id", "chrom", "tss"]].rename(columns={"chrom": "chromosome"})
    rows["sequence"] = "ACGT"
    rows.to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    assert promoters_of(tmp_path / "p.tsv", genes) == ["ACGT"] * 40
    rows.assign(tss=rows["tss"] + 120_000).to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match="40 of 40 starts.*genome build"):
        promoters_of(tmp_path / "p.tsv", genes)


def test_words_count_either_strand_and_absence_is_no_feature():
    features = promoter_features(["AAAAA", "TTTTT", "", "ACGTC"])
    n_words = 32 + 136 + 512
    np.testing.assert_allclose(features[0, :n_words], features[1, :n_words])
    assert not features[2].any()
    assert np.abs(features[3, :n_words] - features[0, :n_words]).max() > 0.1


@pytest.mark.slow
def test_a_table_goes_through_with_promoters_and_conservation(tmp_path):
    write_table(tmp_path / "t.tsv")
    (tmp_path / "p.fa").write_text(
        "".join(f">{g}\n{'ACGT' * 10}{i * 'A'}\n" for i, g in enumerate(GENES))
    )
    (tmp_path / "c.tsv").write_text(
        "gene_id\tvalue\n" + "".join(f"{g}.1\t0.{i}\n" for i, g in enumerate(GENES[:40]))
    )
    settings = ProfileSettings(
        parts=("promoter", "conservation", "family", "trees"), hidden=(1,), seen=(1,),
        n_folds=2, trees={"iterations": 3, "draws": 1},
    )  # fmt: skip
    files = {
        "table": tmp_path / "t.tsv",
        "promoters": tmp_path / "p.fa",
        "conservation": tmp_path / "c.tsv",
    }
    completed, accuracy = profile_tables(
        None, settings, write_model(tmp_path / "m.gtf"), files, "cpu"
    )
    assert completed["observed"].all()
    used = {"promoter", "conservation", "trees", "stack"}
    assert used <= set(accuracy["method"])
    assert "family" not in set(accuracy["method"])


def test_without_the_network_no_card_is_needed(tmp_path):
    write_table(tmp_path / "t.tsv")
    settings = ProfileSettings(parts=("neighbours",), hidden=(1,), seen=(1,), n_folds=2)
    # The rule asks for none then, and its job sees none.
    _, accuracy = profile_tables(
        None, settings, write_model(tmp_path / "m.gtf"), {"table": tmp_path / "t.tsv"}, "cuda"
    )
    assert "stack" in set(accuracy["method"])


def test_a_second_copy_does_not_take_a_genes_conservation(tmp_path):
    # As of gene_characteristics/genes/conservation.tsv: the copy's row has no value.
    rows = [f"{g}.1\t0.{i}\n" for i, g in enumerate(GENES)] + [f"{GENES[3]}.1_PAR_Y\t\n"]
    (tmp_path / "c.tsv").write_text("gene_id\tvalue\n" + "".join(rows))
    genes = table(60).genes.set_axis(GENES)
    around = surroundings_of(
        Table(table(60).expr_log2, TISSUES, genes),
        ProfileSettings(parts=("conservation",)),
        conservation=tmp_path / "c.tsv",
    )
    assert around.fixed["conservation"].any(1).all()
