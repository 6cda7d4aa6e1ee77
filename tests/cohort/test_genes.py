import pytest

from mtm.cohort.genes import gene_key, gtf_records, read_gene_list, read_gtf_genes
from mtm.errors import InputError


@pytest.mark.parametrize(
    ("gene_id", "key"),
    [
        ("ENSG00000182378.13", ("ENSG00000182378", False)),
        ("ENSG00000182378", ("ENSG00000182378", False)),
        ("ENSG00000182378.13_PAR_Y", ("ENSG00000182378", True)),
        ("ENSMUSG00000000001.4", ("ENSMUSG00000000001", False)),
        ("RP11-34P13.7", ("RP11-34P13.7", False)),
    ],
)
def test_gene_key(gene_id, key):
    assert gene_key(gene_id) == key


def test_gtf_genes(tmp_path):
    path = tmp_path / "g.gtf"
    path.write_text(
        "#!genome\n"
        'chr1\tHAVANA\tgene\t11\t20\t.\t+\t.\tgene_id "ENSG00000000001.2"; gene_type "lncRNA"; '
        'gene_name "A"; level 2;\n'
        'chr1\tHAVANA\texon\t11\t20\t.\t+\t.\tgene_id "ENSG00000000001.2"; gene_type "lncRNA";\n'
        'chrY\tHAVANA\tgene\t5\t9\t.\t-\t.\tgene_id "ENSG00000000002.1_PAR_Y"; '
        'gene_biotype "protein_coding";\n'
    )
    genes = read_gtf_genes(path)
    assert genes.loc["ENSG00000000001.2"].tolist() == ["A", "lncRNA", "chr1", "+", 11, 20]
    assert genes.loc["ENSG00000000002.1_PAR_Y", "biotype"] == "protein_coding"
    assert genes.loc["ENSG00000000002.1_PAR_Y", "symbol"] == "ENSG00000000002.1_PAR_Y"
    path.write_text('chr1\tx\tgene\t1\t2\t.\t+\t.\tgene_id "a";\n')
    with pytest.raises(InputError, match="line 1"):
        read_gtf_genes(path, biotypes=True)
    path.write_text("#only\n")
    with pytest.raises(InputError, match="no gene row"):
        read_gtf_genes(path)


def test_gene_list(tmp_path):
    path = tmp_path / "g.txt"
    path.write_text("ENSG00000000001.2\nENSG00000000001.2_PAR_Y\n")
    assert len(read_gene_list(path)) == 2
    path.write_text("symbol\tgene_id\nA\tENSG00000000001\n")
    assert list(read_gene_list(path)) == ["ENSG00000000001"]
    for text, words in [
        ("ENSG00000000001.2\nENSG00000000001.3\n", "duplicate gene ENSG00000000001.3"),
        ("a\tb\n1\t2\n", "ensembl_gene_id or gene_id"),
        ("gene_id\n", "without a gene id"),
        ("symbol\tgene_id\nA\n", "without a gene id"),
        ("", "empty file"),
    ]:
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_gene_list(path)


def test_rows_of_a_gene_model_are_those_of_one_feature(tmp_path):
    path = tmp_path / "g.gtf"
    row = 'chr1\tx\t{}\t{}\t9\t.\t-\t.\thavana_gene_id "H"; gene_id "a.1"; tag "exon";\n'
    path.write_text("#!exon\n" + row.format("gene", 2) + row.format("exon", 3))
    (record,) = gtf_records(path, "exon", lambda row: row.start > 2, "an exon")
    assert record[:5] == ("a.1", "chr1", 3, 9, "-")
    assert record.attribute("no_such", "tag") == "exon"
    assert record.attribute("no_such") is None
    for feature, words in [("gene", "line 2: found .*; expected an exon"), ("CDS", "no CDS row")]:
        with pytest.raises(InputError, match=words):
            list(gtf_records(path, feature, lambda row: row.start > 2, "an exon"))
    for cut in ['gene_id ""', "gene_name"]:
        path.write_text(row.format("exon", 3).replace('gene_id "a.1"', cut))
        with pytest.raises(InputError, match="line 1"):
            list(gtf_records(path, "exon", lambda row: True, "an exon"))


def test_a_byte_order_mark_is_no_part_of_the_first_gene(tmp_path):
    path = tmp_path / "genes.txt"
    for text in ("ENSG00000000001\nENSG00000000002\n", "gene_id\tx\nENSG00000000001\t1\n"):
        path.write_text(text, encoding="utf-8-sig")
        assert read_gene_list(path)[0] == "ENSG00000000001"


def test_gff3_is_told_to_become_gtf(tmp_path):
    path = tmp_path / "x.gff3"
    path.write_text(
        "##gff-version 3\n1\tx\tgene\t1\t900\t.\t+\t.\tID=gene:ENSG00000000001;biotype=x\n"
    )
    with pytest.raises(InputError, match="line 2: .*GFF3.*gffread -T"):
        read_gtf_genes(path)
