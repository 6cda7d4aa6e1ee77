"""Predict gene expression in one tissue from another: MTM, its rivals, their analyses."""

from pathlib import Path

# In a file of its own, so that a release changes no digest of code and reruns nothing.
__version__ = Path(__file__).with_name("version.txt").read_text(encoding="utf-8").strip()
