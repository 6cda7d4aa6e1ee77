import pytest

from mtm.cohort.tissue_names import named_tissue
from mtm.errors import InputError

TISSUES = (
    "Brain - Cortex", "Brain - Spinal cord (cervical c-1)", "Lung",
    "Skin - Not Sun Exposed (Suprapubic)", "Skin - Sun Exposed (Lower leg)", "Whole Blood",
)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Whole Blood", "Whole Blood"),
        ("whole_blood", "Whole Blood"),
        ("WHOLE-BLOOD", "Whole Blood"),
        ("WHLBLD", "Whole Blood"),
        ("whlbld", "Whole Blood"),
        ("Brain_Cortex", "Brain - Cortex"),
        ("Brain_Spinal_cord_cervical_c-1", "Brain - Spinal cord (cervical c-1)"),
        ("Skin_Sun_Exposed_Lower_leg", "Skin - Sun Exposed (Lower leg)"),
        ("SKINS", "Skin - Sun Exposed (Lower leg)"),
        (" lung ", "Lung"),
    ],
)
def test_a_tissue_by_other_names(given, meant):
    assert named_tissue(given, TISSUES) == meant


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("blood", "Did you mean 'Whole Blood'"),
        ("whole blod", "Did you mean 'Whole Blood'"),
        ("skin", "'Skin - Not Sun Exposed (Suprapubic)' or 'Skin - Sun Exposed (Lower leg)'"),
        ("lung,whole blood", "Name each by itself"),
        ("lung,liver", "Did you mean 'Lung'"),
        ("LIVER", "one of Brain - Cortex, "),
        ("", "one of Brain - Cortex, "),
        ("- -", "one of Brain - Cortex, "),
    ],
)
def test_what_is_no_tissue_is_told_of_the_nearest(given, hint):
    with pytest.raises(InputError) as error:
        named_tissue(given, TISSUES)
    assert hint in str(error.value)


def test_an_exact_name_stands_before_one_that_is_alike():
    assert named_tissue("lung", ("Lung", "lung")) == "lung"
    with pytest.raises(InputError, match="Did you mean 'Lung' or 'lung'"):
        named_tissue("LUNG", ("Lung", "lung"))
