import pandas as pd
import pytest

from mtm.cohort.fields import FIELDS, check_traits, field_problems
from mtm.errors import InputError


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("age", ["0", "43.5", "120", ""], ["-1", "744", "inf", "sixty", "1944"]),
        ("sex", ["1", "2", ""], ["0", "7", "male", "1.5"]),
        ("hardy", ["0", "4"], ["9", "-1", "2.5"]),
        ("rin", ["7.1", "10"], ["1e300", "-3", "nan"]),
        ("ischemic_minutes", ["-500", "2000"], ["-5000", "1e9"]),
    ],
)
def test_what_a_field_can_be(name, good, bad):
    def problems(values):
        column = pd.Series(values, dtype=object, name=name)
        ids = pd.Series([f"s{i}" for i in range(len(values))])
        return list(field_problems("t.tsv", ids, column, FIELDS[name]))

    assert problems(good) == []
    for value in bad:
        (problem,) = problems([*good, value])
        assert problem.where == f"t.tsv, row {len(good) + 1}, column {name} of s{len(good)}"


def test_traits_tell_of_every_column():
    traits = pd.DataFrame({"age": [40, 500], "sex": ["1", "boy"], "other": ["x", "y"]}, ["a", "b"])
    with pytest.raises(InputError) as caught:
        check_traits(traits, "t.tsv")
    assert len(caught.value.parts) == 2
    check_traits(traits.iloc[:1], "t.tsv")


def test_sex_is_read_as_it_is_written():
    written = ["1", "2.0", "M", "f", " Male ", "FEMALE", None]
    traits = pd.DataFrame({"sex": written}, list("abcdefg"))
    read = check_traits(traits)["sex"]
    assert read[:-1].tolist() == [1, 2, 1, 2, 1, 2]
    assert read.isna().tolist() == [False] * 6 + [True]


def test_an_age_may_be_a_bracket_as_in_a_cohort():
    traits = pd.DataFrame({"age": ["60-69", "41", None, " 20-29 ", 33.5]}, list("abcde"))
    years = check_traits(traits)["age"].astype(float)
    assert years.dropna().tolist() == [64.5, 41, 24.5, 33.5]
    assert years.isna().tolist() == [False, False, True, False, False]
    for wrong in ("69-60", "130-139", "60-", "60-69-70"):
        with pytest.raises(InputError, match=wrong):
            check_traits(pd.DataFrame({"age": ["60-69", wrong]}, ["a", "b"]))
    with pytest.raises(InputError, match="An open end has no middle"):
        check_traits(pd.DataFrame({"age": ["60-69", "90+"]}, ["a", "b"]))
