import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from mtm.figures import style


def test_all_gtex_tissues_are_there():
    table = style.gtex_tissues()
    assert len(table) == 54
    assert table["abbreviation"].is_unique
    assert table.loc["Whole Blood", "color"] == "#FF00BB"
    brain = table[table.index.str.startswith("Brain - ")]
    assert len(brain) == 13
    assert brain["color"].nunique() == 1


def test_every_tissue_gets_a_color_known_or_not():
    colors = style.tissue_colors(["Lung", "Kidney - Medulla", "Moon dust", "Moon rock"])
    assert colors["Lung"] == "#99FF00"
    assert all(len(to_rgb(color)) == 3 for color in colors.values())
    assert len(set(colors.values())) == 4


def draw():
    with mpl.rc_context(style.RC):
        figure = style.new_figure(85, 40)
        figure.subplots().plot([0, 1], label="ρ")
    return figure


def test_files_are_complete_and_repeat_byte_for_byte(tmp_path):
    table = pd.DataFrame({"x": [0, 1]})
    for folder in ("a", "b"):
        paths = [tmp_path / folder / f"f.{suffix}" for suffix in ("pdf", "png", "tsv")]
        style.save_figure(draw(), table, *paths)
        assert sorted(p.name for p in (tmp_path / folder).iterdir()) == ["f.pdf", "f.png", "f.tsv"]
    for suffix in ("pdf", "png", "tsv"):
        first = (tmp_path / "a" / f"f.{suffix}").read_bytes()
        assert first == (tmp_path / "b" / f"f.{suffix}").read_bytes()
    pdf = (tmp_path / "a" / "f.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf or b"/Type42" in pdf or b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf
    width = int.from_bytes((tmp_path / "a" / "f.png").read_bytes()[16:20], "big")
    assert width == pytest.approx(85 / 25.4 * 300, abs=1)
