import pandas as pd
import pytest
from scripts import Named, run_script

from mtm.errors import CannotDo
from mtm.io import NOTE, write_note


@pytest.mark.slow
def test_the_script_reads_one_or_several_tables_and_writes_three_files(tmp_path):
    paths = []
    for fold, top in enumerate((0.2, 0.3)):
        path = tmp_path / "mtm" / f"fold{fold}.training.tsv"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame(
            {"step": [1, 2], "held_out_gene_wise": [0, top], "held_out_sample_wise": [0, top]}
        ).to_csv(path, sep="\t", index=False)
        paths.append(str(path))
    outputs = Named({suffix: tmp_path / f"f.{suffix}" for suffix in ("pdf", "png", "tsv")})
    run_script(
        "draw_figure",
        tmp_path / "log.txt",
        input={"table": paths},
        params={"figure": "learning_curve", "units": None, "fewest_people": 1},
        output=outputs,
    )
    table = pd.read_csv(outputs.tsv, sep="\t")
    assert set(table["run"]) == {"fold0", "fold1"}
    assert outputs.pdf.stat().st_size > 1000
    assert outputs.png.stat().st_size > 1000


def test_a_table_that_could_not_be_made_is_a_page_with_its_reason(tmp_path):
    write_note(
        CannotDo("similarity", "2 tissues, fewer than 3", "add tissues"), tmp_path / "p.tsv"
    )
    outputs = Named({suffix: tmp_path / f"f.{suffix}" for suffix in ("pdf", "png", "tsv")})
    run_script(
        "draw_figure",
        tmp_path / "log.txt",
        input={"pairs": str(tmp_path / "p.tsv"), "summary": str(tmp_path / "p.tsv")},
        params={"figure": "fig_s9", "units": "zscores", "fewest_people": 1},
        output=outputs,
    )
    table = pd.read_csv(outputs.tsv, sep="\t")
    assert list(table.columns) == NOTE
    assert table.iloc[0]["reason"] == "2 tissues, fewer than 3"
    assert outputs.png.stat().st_size > 1000
