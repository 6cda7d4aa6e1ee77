"""Where real GTEx data lie, beside the project; tests that want them are skipped without."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
PANEL = SHARED / "data" / "gtex_v8_panel"
ANNOTATION = SHARED / "data" / "annotation"

needs_panel = pytest.mark.skipif(not PANEL.exists(), reason=f"no real panel at {PANEL}")
needs_annotation = pytest.mark.skipif(not ANNOTATION.exists(), reason=f"none at {ANNOTATION}")
