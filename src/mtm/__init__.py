"""Predict gene expression in one tissue from another: MTM, its rivals, their analyses.

>>> import mtm
>>> model = mtm.load("bundles/joint.safetensors")
>>> lung = model.predict(blood, source="Whole Blood", target="Lung")  # AnnData in and out
"""

# Made where they are first asked for, so that ``import mtm`` is quick.
_OF_API = ("Model", "load")


def __getattr__(name: str):
    from importlib import import_module

    if name in _OF_API:
        return getattr(import_module("mtm.api"), name)
    if name != "__version__":
        raise AttributeError(f"module 'mtm' has no attribute {name!r}")
    metadata = import_module("importlib.metadata")
    try:
        return metadata.version("mtm")
    except metadata.PackageNotFoundError:  # run from a checkout through PYTHONPATH
        return "0+checkout"


def __dir__() -> list[str]:
    return [*globals(), *_OF_API, "__version__"]
