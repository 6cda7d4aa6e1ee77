"""Predict gene expression in one tissue from another: MTM, its rivals, their analyses.

>>> import mtm
>>> model = mtm.load("bundles/joint.safetensors")
>>> lung = model.predict(blood, source="Whole Blood", target="Lung")  # AnnData in and out
"""

from pathlib import Path

# In a file of its own, so that a release changes no digest of code and reruns nothing.
__version__ = Path(__file__).with_name("version.txt").read_text(encoding="utf-8").strip()


def __getattr__(name):
    """Return `Model`, of what `load` returns, imported when it is asked for."""
    if name == "Model":
        from importlib import import_module

        return import_module("mtm.api").Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load(path):
    """Load a bundle, as `mtm.api.load`; nothing is imported before, so that `mtm` is quick."""
    from importlib import import_module

    return import_module("mtm.api").load(path)
