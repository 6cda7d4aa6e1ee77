"""Forms for others that lack a part of the model that they were made from (methods 6.7).

What cross-validation found of that model stays with the form: accuracy, intervals, reliability.
Whoever shows it says so.
"""

from collections.abc import Mapping

# Key of a provenance's notes.
SHAREABLE = "shareable"
# By how much predictions change, at most, where all axes are kept: rounding.
ROUNDING_Z = 1e-4


def what_is_cut(notes: Mapping[str, object]) -> str:
    """Say what a form lacks, from the notes of its bundle; empty where nothing."""
    told = notes.get(SHAREABLE)
    if not isinstance(told, dict):
        return ""
    axes, of_axes, error = (told.get(name) for name in ("axes", "of_axes", "rms_error_z"))
    if type(axes) is int and type(of_axes) is int:
        return f"{axes} of {of_axes} axes are left" if axes < of_axes else ""
    # Of before bundles said of how many.
    lacks = isinstance(error, float) and error > ROUNDING_Z
    return "not all axes are left" if lacks else ""


def of_the_whole(cut: str) -> str:
    """Say whose figures those of a form are; empty where nothing is cut."""
    return f"of the model that this form was made from ({cut}), not measured again" if cut else ""
