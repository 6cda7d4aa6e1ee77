import gzip
import re
import threading
import time

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from mtm.cohort.matrices import iter_expression_blocks, read_expression_header
from mtm.errors import InputError


def gct_text(values, ids, names, end="\n"):
    lines = ["#1.2", f"{len(ids)}\t{len(names)}", "\t".join(["Name", "Description", *names])]
    for gene_id, row in zip(ids, values, strict=True):
        lines.append("\t".join([gene_id, f"S{gene_id[-3:]}", *(f"{x:.4g}" for x in row)]))
    return end.join(lines) + end


@pytest.fixture
def table(rng):
    """61 genes x 23 samples, as GTEx prints them (four digits, many zeros)."""
    values = rng.lognormal(0, 3, (61, 23)) * (rng.random((61, 23)) < 0.7)
    ids = [f"ENSG{i:011d}.{i % 7}" for i in range(61)]
    return values, ids, [f"GTEX-{i:03d}-0001" for i in range(23)]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def read_all(path, *args, **options):
    blocks = list(iter_expression_blocks(path, *args, **options))
    ids = [gene_id for block in blocks for gene_id in block.gene_ids]
    symbols = [symbol for block in blocks for symbol in block.symbols]
    return ids, symbols, np.concatenate([block.expr_tpm for block in blocks]), blocks


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("suffix", [".gct", ".gct.gz"])
@pytest.mark.parametrize("block_genes", [1, 7, 16, 40, 61, 500])
def test_gct_agrees_with_pandas(tmp_path, table, suffix, block_genes, end):
    path = tmp_path / f"x{suffix}"
    text = gct_text(*table, end=end).encode()
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    expected = pd.read_csv(path, sep="\t", skiprows=2)
    ids, symbols, expr, blocks = read_all(path, block_genes=block_genes)
    assert ids == list(expected["Name"])
    assert symbols == list(expected["Description"])
    assert expr.dtype == np.float32
    np.testing.assert_array_equal(expr, expected.iloc[:, 2:].to_numpy().astype(np.float32))
    assert all(len(block.gene_ids) == block_genes for block in blocks[:-1])
    header = read_expression_header(path)
    assert header.sample_ids == tuple(expected.columns[2:])
    assert header.n_genes == 61


def test_columns_and_genes_are_selected_in_the_order_asked_for(tmp_path, table):
    path = tmp_path / "x.gct"
    path.write_text(gct_text(*table))
    expected = pd.read_csv(path, sep="\t", skiprows=2)
    seen = []

    def keep(gene_id):
        seen.append(gene_id)
        return len(seen) % 3 == 0

    ids, _, expr, _ = read_all(path, [20, 0, 7], keep=keep, block_genes=4)
    assert seen == list(expected["Name"])
    assert ids == list(expected["Name"])[2::3]
    wanted = expected.iloc[2::3, [22, 2, 9]].to_numpy()
    np.testing.assert_array_equal(expr, wanted.astype(np.float32))


def test_rows_that_are_not_kept_are_not_parsed(tmp_path, table):
    path = tmp_path / "x.gct"
    lines = gct_text(*table).split("\n")
    lines[10] = lines[10].split("\t")[0] + "\tno\tnumbers\there"
    path.write_text("\n".join(lines))
    skipped = table[1][7]
    ids, *_ = read_all(path, keep=lambda gene_id: gene_id != skipped)
    assert len(ids) == 60
    with pytest.raises(InputError, match=f"line 11 .gene {skipped}.: found 4 fields"):
        read_all(path)


def test_gct_with_the_id_column_of_files_per_tissue(tmp_path):
    path = tmp_path / "x.gct"
    path.write_text("#1.2\n2\t2\nid\tName\tDescription\ta\tb\n0\tg1\tA\t1\t2\n1\tg2\tB\t3\t4\n")
    ids, symbols, expr, _ = read_all(path)
    assert (ids, symbols) == (["g1", "g2"], ["A", "B"])
    np.testing.assert_array_equal(expr, [[1, 2], [3, 4]])


def test_lines_longer_than_a_chunk_and_files_of_several_gzip_members(tmp_path, table, monkeypatch):
    monkeypatch.setattr("mtm.cohort.lines._CHUNK_BYTES", 37)
    text = gct_text(*table).encode()
    path = tmp_path / "x.gct.gz"
    path.write_bytes(gzip.compress(text[:900]) + gzip.compress(text[900:]))
    expected = pd.read_csv(path, sep="\t", skiprows=2)
    _, _, expr, _ = read_all(path)
    np.testing.assert_array_equal(expr, expected.iloc[:, 2:].to_numpy().astype(np.float32))


def test_no_thread_is_left_by_a_reader_given_up_half_way(tmp_path, table):
    path = tmp_path / "x.gct"
    path.write_text(gct_text(*table))
    before = threading.active_count()
    blocks = iter_expression_blocks(path, block_genes=5)
    next(blocks)
    blocks.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "text", ["0.1", "1e-3", "3E+2", "7", "12345.678", ".5", "5.", "-0", " 7", "7  ", "7\r"]
)
def test_every_spelling_of_a_number(tmp_path, text):
    path = tmp_path / "x.gct"
    path.write_text(f"#1.2\n1\t2\nName\tDescription\ta\tb\ng\tG\t{text}\t1\n")
    _, _, expr, _ = read_all(path)
    assert expr[0, 0] == np.float32(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "non-numeric value 'x'"),
        ("", "non-numeric value ''"),
        ("NA", "non-numeric value 'NA'"),
        ("1,5", "non-numeric value '1,5'"),
        ("0x1F", "non-numeric"),
        ("-0.5", "negative value '-0.5'"),
        ("nan", "NaN value 'nan'"),
        ("inf", "infinite value 'inf'"),
        ("-Infinity", "infinite value '-Infinity'"),
        ("1e60", "infinite"),
        ('"1', "non-numeric"),
        ("1\r2", "non-numeric"),
        ("1 2", "non-numeric value '1 2'"),
        ("\xff", "non-numeric"),
    ],
)
def test_bad_values_are_named(tmp_path, table, text, words):
    lines = gct_text(*table).split("\n")
    fields = lines[40].split("\t")
    fields[2 + 17] = text
    lines[40] = "\t".join(fields)
    path = tmp_path / "x.gct"
    path.write_text("\n".join(lines), newline="", encoding="latin-1")
    with pytest.raises(InputError) as caught:
        read_all(path)
    for word in (words, "line 41", f"gene {table[1][37]}", f"sample {table[2][17]}"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("line", "text", "words"),
    [
        (0, "#1.3", "line 1: found '#1.3'"),
        (1, "61", "line 2: found '61'"),
        (1, "61\tx", "line 2"),
        (1, "61\t24", "found 23 sample columns; expected 24"),
        (1, "60\t23", "header of 60 genes and more rows"),
        (1, "62\t23", "header of 62 genes over 61 rows"),
        (2, "Gene\tDescription\ta", "columns Name and Description"),
    ],
)
def test_bad_gct_headers(tmp_path, table, line, text, words):
    lines = gct_text(*table).split("\n")
    lines[line] = text
    path = tmp_path / "x.gct"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=words):
        read_all(path)


def test_damaged_gzip(tmp_path, table):
    path = tmp_path / "x.gct.gz"
    whole = bytearray(gzip.compress(gct_text(*table).encode()))
    whole[-8] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(InputError, match="unreadable file"):
        read_all(path)


@pytest.mark.parametrize("symbol", [True, False])
def test_wide_table(tmp_path, table, symbol):
    values, ids, names = table
    frame = pd.DataFrame(values, index=pd.Index(ids, name="gene"), columns=names)
    if symbol:
        frame.insert(0, "symbol", [f"S{i}" for i in range(61)])
    path = tmp_path / "x.tsv.gz"
    frame.to_csv(path, sep="\t")
    assert read_expression_header(path).sample_ids == tuple(names)
    read_ids, symbols, expr, _ = read_all(path, [3, 1], block_genes=10)
    assert read_ids == ids
    assert symbols == ([f"S{i}" for i in range(61)] if symbol else ids)
    np.testing.assert_array_equal(expr, values[:, [3, 1]].astype(np.float32))


def test_quotes_around_symbols_and_numbers_are_left_out(tmp_path):
    path = tmp_path / "x.tsv"
    head = '"gene_id"\t"symbol"\t"p"\t"q"\t"r"\n'
    path.write_text(f'{head}"ENSG00000000001.1"\t"TP53"\t"1.5"\t 2 \t"3"\n')
    ids, symbols, expr, _ = read_all(path)
    assert (ids, symbols, expr.tolist()) == (["ENSG00000000001.1"], ["TP53"], [[1.5, 2, 3]])
    # The value that is none is told, not those before it.
    for text, words in [('"NA"', "non-numeric"), ('"-3"', "negative"), ('"nan"', "NaN")]:
        path.write_text(f'{head}"ENSG00000000001.1"\t"TP53"\t"1.5"\t 2 \t{text}\n')
        with pytest.raises(InputError, match=f"sample r.*the {words} value '{text}'"):
            read_all(path)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix])
def test_h5ad(tmp_path, table, form):
    values, ids, names = table
    var = pd.DataFrame({"gene_name": [f"S{i}" for i in range(61)]}, index=ids)
    data = anndata.AnnData(form(values.T), obs=pd.DataFrame(index=names), var=var)
    path = tmp_path / "x.h5ad"
    data.write_h5ad(path)
    assert read_expression_header(path).n_genes == 61
    wanted = set(ids[3:50:2])
    read_ids, symbols, expr, _ = read_all(
        path, [3, 1], keep=lambda gene_id: gene_id in wanted, block_genes=10
    )
    assert read_ids == ids[3:50:2]
    assert symbols == [f"S{i}" for i in range(3, 50, 2)]
    np.testing.assert_array_equal(expr, values[3:50:2][:, [3, 1]].astype(np.float32))

    data.X = form(np.where(np.arange(61) == 5, -values.T - 1, values.T))
    data.write_h5ad(path)
    with pytest.raises(InputError, match=f"gene {ids[5]}, sample {names[0]}"):
        read_all(path)
    data.uns["scale"] = "log2_z"
    data.write_h5ad(path)
    with pytest.raises(InputError, match="log2_z"):
        read_expression_header(path)


def test_h5ad_without_x_and_files_that_are_none(tmp_path):
    path = tmp_path / "x.h5ad"
    anndata.AnnData(obs=pd.DataFrame(index=["a"]), var=pd.DataFrame(index=["g"])).write_h5ad(path)
    with pytest.raises(InputError, match=r"no X.*Layers and raw are not read.*data\.X ="):
        read_expression_header(path)
    path.write_text("not hdf5")
    with pytest.raises(InputError, match="unreadable"):
        read_expression_header(path)
    with pytest.raises(InputError, match="no such file"):
        read_expression_header(tmp_path / "absent.gct")
    with pytest.raises(InputError, match="expression file: .gct"):
        read_expression_header(tmp_path / "x.xlsx")


WIDE = "gene_id\tA\tB\nENSG00000000001\t1\t2\nENSG00000000002\t3\t4\n"


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("x.tsv", "gene_id\tA\tB\n", "", "line 1: found a gene ('ENSG00000000001')"),
        ("x.csv", "\tB\n", "\tB\t\n", "an empty name in column 4"),
        ("x.tsv", "02\t3\t4\n", "02\t3\t4\nTotal\t4\t6\n", "line 4: found a row 'Total'"),
        ("x.tsv", "\t3", "\t1,234", "nothing between thousands"),
        ("x.tsv", "\t3", "\t1,2.5,3,4,5", "Several numbers stand in one field"),
        ("x.tsv", "\t3", "\tNA", "No value may be missing"),
        ("x.tsv", "\t3", "\t", "No value may be missing"),
        ("x.tsv", "\t3", "\tNaN", "No value may be missing"),
        ("x.tsv", "2\n", "2\t\n", "Leave tabs at the ends of lines out"),
        ("x.csv", "2\n", "2\t\n", "Leave commas at the ends of lines out"),
        ("x.tsv", "ENSG00000000002", "ENSG00000000001", "Add up its counts or TPM"),
        ("x.tsv", "gene_id\tA\tB\n", "g\tA\tB\n1-Mar\t1\t2\n1-Mar\t1\t2\n", "made dates"),
    ],
)
def test_what_a_spreadsheet_adds_or_takes_is_named(tmp_path, name, old, new, words):
    assert old in WIDE
    text = WIDE.replace(old, new)
    path = tmp_path / name
    path.write_text(text.replace("\t", ",") if name.endswith("csv") else text)
    with pytest.raises(InputError, match=re.escape(words)):
        read_all(path)


@pytest.mark.parametrize("part", [",", "1,", "1"])
def test_a_damaged_value_of_any_length_is_named_soon(tmp_path, part):
    path = tmp_path / "x.tsv"
    path.write_text(WIDE.replace("\t3", f"\t{part * 30_000}x"))
    start = time.process_time()
    with pytest.raises(InputError, match=r"line 3 \(gene ENSG00000000002, sample A"):
        read_all(path)
    assert time.process_time() - start < 1


NO_GENES = ["__no_feature", "__alignment_not_unique", "no_feature", "N_unmapped", "N_noFeature"]


@pytest.mark.parametrize("name", NO_GENES)
def test_reads_of_no_gene_are_left_out_and_said(tmp_path, name, caplog):
    path = tmp_path / "x.tsv"
    path.write_text(f"{WIDE}{name}\t900\t800\n")
    assert read_all(path)[0] == ["ENSG00000000001", "ENSG00000000002"]
    assert f"{path}: 1 row of reads of no gene left out" in caplog.text
    assert name in caplog.text
    # STAR's own table, of one sample, has no header.
    path.write_text(f"{name}\t900\t800\n{WIDE}")
    with pytest.raises(InputError, match=f"line 1: found .*'{name}'.*the names of the samples"):
        read_expression_header(path)
    var = pd.DataFrame(index=["ENSG00000000001", name])
    anndata.AnnData(np.ones((1, 2)), pd.DataFrame(index=["a"]), var).write_h5ad(
        tmp_path / "x.h5ad"
    )
    caplog.clear()
    assert read_all(tmp_path / "x.h5ad")[0] == ["ENSG00000000001"]
    assert "1 row of reads of no gene left out" in caplog.text


@pytest.mark.parametrize(
    "columns",
    [
        "Name Length EffectiveLength TPM NumReads",
        "gene_id transcript_id(s) length effective_length expected_count TPM FPKM",
        "target_id length eff_length est_counts tpm",
        "Gene_ID Gene_Name Reference Strand Start End Coverage FPKM TPM",
    ],
)
def test_what_is_told_of_one_sample_is_no_table_of_samples(tmp_path, columns):
    path = tmp_path / "x.tsv"
    path.write_text(columns.replace(" ", "\t") + "\nENSG00000000001" + "\t1" * columns.count(" "))
    with pytest.raises(InputError, match="of one sample.*one sample id a column.*column TPM"):
        read_expression_header(path)


@pytest.mark.parametrize("name", ["Gene Name", "external_gene_name", "hgnc_symbol", "Gene.Symbol"])
def test_symbols_stand_under_many_names(tmp_path, name):
    path = tmp_path / "x.tsv"
    path.write_text(f"Gene ID\t{name}\tA\nENSG00000000001\tTP53\t1\n")
    assert read_expression_header(path).sample_ids == ("A",)
    assert read_all(path)[:2] == (["ENSG00000000001"], ["TP53"])
    var = pd.DataFrame({name: ["TP53"]}, index=["ENSG00000000001"])
    anndata.AnnData(np.ones((1, 1)), pd.DataFrame(index=["a"]), var).write_h5ad(
        tmp_path / "x.h5ad"
    )
    assert read_all(tmp_path / "x.h5ad")[1] == ["TP53"]


def test_another_version_of_gct_is_told_what_to_become(tmp_path):
    path = tmp_path / "x.gct"
    path.write_text("#1.3\n1\t1\t0\t0\nid\tA\nG\t1\n")
    with pytest.raises(InputError, match=r"'#1.3'.*or as a table that ends in \.tsv"):
        read_expression_header(path)


def test_a_word_among_numbers_is_no_decimal_comma(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text(WIDE.replace("\t3", "\tENST1,ENST2"))
    with pytest.raises(InputError) as refused:
        read_all(path)
    assert "thousands" not in str(refused.value)


def test_suffixes_may_be_capitals(tmp_path):
    path = tmp_path / "X.TSV.GZ"
    path.write_bytes(gzip.compress(WIDE.encode()))
    assert read_all(path)[0] == ["ENSG00000000001", "ENSG00000000002"]


@pytest.mark.parametrize(
    "comment", ["# patient 1, of 2024\n", '# 5" tubes, 2024\n', "\ufeff# made, here\n"]
)
def test_a_comment_before_the_header_is_passed_over(tmp_path, comment):
    path = tmp_path / "x.csv"
    path.write_text(comment + "gene_id,P1\nA,1\nB,2\n", encoding="utf-8")
    assert read_expression_header(path).sample_ids == ("P1",)
    assert read_all(path)[0] == ["A", "B"]
