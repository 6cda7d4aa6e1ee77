"""Predict gene expression in one tissue from another: MTM, its rivals, their analyses.

>>> import mtm
>>> model = mtm.load("bundles/joint.safetensors")
>>> lung = model.predict(blood, source="Whole Blood", target="Lung")  # AnnData in and out
"""


def load(path):
    """Load a bundle, as `mtm.api.load`; nothing is imported before, so that `mtm` is quick."""
    from importlib import import_module

    return import_module("mtm.api").load(path)


def __getattr__(name: str):
    if name != "__version__":
        raise AttributeError(f"module 'mtm' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mtm")
    except PackageNotFoundError:  # run from a checkout through PYTHONPATH, as on a cluster
        return "0+checkout"
