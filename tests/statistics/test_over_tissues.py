import numpy as np
import pandas as pd

from mtm.statistics.over_tissues import averaged, known_mean, over_tissues


def table():
    rows = [
        ("b", "x", "Liver", 1.0, 0.03),
        ("a", "x", "Liver", 4.0, 0.2),
        ("b", "x", "Lung", 3.0, 0.02),
        ("a", "x", "Lung", np.nan, np.nan),
    ]
    return pd.DataFrame(rows, columns=["model", "scale", "tissue", "rho", "p"])


def test_each_group_is_followed_by_its_row():
    seen = {}

    def together(key, part):
        seen[key] = list(part["tissue"])
        return averaged(part, ["rho"]) | {"n": len(part)}

    found = over_tissues(table(), ["model", "scale"], "(all)", together, {"q": "p"})
    assert seen == {("b", "x"): ["Liver", "Lung"], ("a", "x"): ["Liver", "Lung"]}
    assert list(found["model"]) == ["b", "b", "b", "a", "a", "a"]
    assert list(found["tissue"]) == ["Liver", "Lung", "(all)"] * 2
    np.testing.assert_array_equal(found["rho"], [1, 3, 2, 4, np.nan, 4])
    np.testing.assert_array_equal(found["n"], [np.nan, np.nan, 2] * 2)
    np.testing.assert_allclose(found["q"], [0.03, 0.03, np.nan, 0.2, np.nan, np.nan])


def test_a_group_without_a_row_keeps_its_tissues():
    found = over_tissues(
        table(), ["model"], "(all)", lambda key, part: None if key == ("a",) else {"rho": 0.0}
    )
    assert list(found["tissue"]) == ["Liver", "Lung", "(all)", "Liver", "Lung"]
    assert "q" not in found


def test_no_rows_stay_none():
    found = over_tissues(table().iloc[:0], ["model"], "(all)", lambda *_: {}, {"q": "p"})
    assert found.empty
    assert list(found) == ["model", "scale", "tissue", "rho", "p", "q"]


def test_averages_are_means_whole_means_and_totals():
    tissues = pd.DataFrame({"rho": [0.2, np.nan, 0.4], "n": [10, 11, 13], "m": [1, 2, 3]})
    found = averaged(tissues, ["rho"], counts=["n"], totals=["m"])
    assert found == {"rho": np.mean([0.2, 0.4]), "n": 11, "m": 6}
    nothing = averaged(tissues.iloc[:0], ["rho"], counts=["n"], totals=["m"])
    assert np.isnan(nothing.pop("rho"))
    assert nothing == {"n": 0, "m": 0}


def test_the_mean_of_what_is_known():
    values = np.array([[1.0, np.nan, 2], [3, np.nan, np.nan], [8, np.nan, 4]])
    np.testing.assert_array_equal(known_mean(values), [4, np.nan, 3])
    assert known_mean(values[:, 2]) == 3
    assert np.isnan(known_mean(np.empty(0)))
