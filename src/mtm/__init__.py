"""Predict gene expression in one tissue from another: MTM, its rivals, their analyses."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("mtm")
except PackageNotFoundError:  # run from a checkout through PYTHONPATH, as on a cluster
    __version__ = "0+checkout"
