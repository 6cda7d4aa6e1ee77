from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.colors import to_rgb

from mtm.figures import names
from mtm.figures.style import PALETTE

ROOT = Path(__file__).parents[2]
CONFIGS = ["config/config.yaml", "config/demo.yaml", "tests/real/panel.yaml"]
# Linear RGB as people without green or red cones see it (Machado et al. 2009), and as all others.
SIGHTS = {
    "normal": np.eye(3),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
}  # fmt: skip
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
# CIE76; 2 is just noticeable side by side, tabulated data colours stay above 10 to 20.
TOLD_APART = 20


def distance(first, second, sight):
    """CIE76 colour difference as `sight` has it."""
    lab = []
    for color in (first, second):
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        xyz = TO_XYZ @ np.clip(SIGHTS[sight] @ linear, 0, 1) / [0.95047, 1, 1.08883]
        x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
        lab.append(np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)]))
    return np.linalg.norm(lab[0] - lab[1])


def test_the_distance_tells_what_is_known():
    assert distance("black", "white", "normal") == pytest.approx(100, abs=0.1)
    assert distance("#FF0000", "#00FF00", "normal") == pytest.approx(170.6, abs=0.5)
    red, green = "#B05050", "#7D6E50"
    assert distance(red, green, "deuteranopia") < distance(red, green, "normal") / 2


@pytest.mark.parametrize("path", CONFIGS)
def test_models_of_shipped_configurations_have_looks_of_their_own(path):
    assert set(yaml.safe_load((ROOT / path).read_text())["models"]) <= set(names.MODELS)


@pytest.mark.parametrize("sight", SIGHTS)
def test_known_models_are_told_apart_by_color_or_marker(sight):
    for a, b in combinations(names.MODELS, 2):
        a, b = names.style(a), names.style(b)
        if a["marker"] == b["marker"]:
            assert distance(a["color"], b["color"], sight) >= TOLD_APART


@pytest.mark.parametrize("sight", SIGHTS)
def test_models_that_share_a_panel_of_lines_are_told_apart_by_color_alone(sight):
    trained = ("mtm", "mtm_log2", "mtm_log2_covariates", "mlp", "joint", "ensemble")
    on_panel = (*trained, "mtm_log2_sources")
    on_five_tissues = ("mtm", "mtm_z", "mtm_log2", "mlp", "joint", "ensemble")
    compared = ("mtm", "bgex", "teebot", "mlp")
    for models in (on_panel, on_five_tissues, compared):
        for a, b in combinations([names.style(model)["color"] for model in models], 2):
            assert distance(a, b, sight) >= TOLD_APART
    for color in PALETTE:
        assert distance(color, "white", sight) >= 1.5 * TOLD_APART


def test_looks_and_order_do_not_depend_on_the_list():
    models = ["zeta", "train_mean", "mtm_wide", "alpha", "ridge", "mtm_log2", "mtm"]
    order = ["mtm", "mtm_wide", "mtm_log2", "ridge", "train_mean", "alpha", "zeta"]
    assert names.ordered(models) == names.ordered(reversed(models)) == order
    assert names.ordered([*models, "omega", "mtm"]) == [*order[:-1], "omega", "zeta"]
    # Fixed: what a name looks like must survive other models, runs and machines.
    assert names.style("zeta") == {"color": "#0072B2", "marker": "*"}
    assert names.style("alpha") != names.style("zeta")


def test_an_unknown_model_never_looks_like_a_known_one():
    known = {tuple(names.style(model).values()) for model in names.MODELS}
    others = {tuple(names.style(f"model{i}").values()) for i in range(500)}
    assert not known & others
    assert len(others) == len(names.OTHER_STYLES)


def test_titles_say_what_a_model_is():
    titles = [names.title(name) for name in ("mtm", "bgex", "teebot", "mlp", "mtm_wide", "mine_2")]
    assert titles == ["MTM", "S1 B-GEx", "S2 TEEBoT", "S3 per-tissue network", "MTM wide",
                      "mine_2"]  # fmt: skip
    assert len({title for title, _, _ in names.MODELS.values()}) == len(names.MODELS)
