"""The model of docs/extending.md, made as the page says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
USE = """
import sys
import numpy as np
from cohorts import SOURCE, simulated_cohort
from mtm.errors import InputError
from mtm.models.base import Training
from mtm.models.registry import build, load
from mtm.models.requests import held_out_requests
from mtm.settings.models.base import declared

assert "torch" not in sys.modules
cohort = simulated_cohort()
predictions = []
for kept in (0.3, 0.6):
    model = build("shrunk_gene", {"kept": kept})
    model.fit(Training(cohort, source=cohort.tissue_index(SOURCE), device="cpu"))
    model.save("bundle.safetensors")
    requests, _ = held_out_requests(cohort, cohort.donors.index, SOURCE)
    predictions.append(load("bundle.safetensors").predict(cohort, requests))
assert np.abs(predictions[0]).max() > 0.1
np.testing.assert_allclose(2 * predictions[0], predictions[1], rtol=1e-6)
try:
    declared("shrunk_gene").of({"kept": 1.5})
except InputError as error:
    assert "parameters[shrunk_gene].kept" in str(error), error
else:
    raise AssertionError("a share of 1.5 was taken")
"""


@pytest.mark.slow
def test_the_model_of_the_page_trains_predicts_and_is_planned(tmp_path):
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    for name in ("src", "scripts", "workflow", "config"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", tmp_path)
    files = re.findall(r"`(src/\S+\.py)`:\n\n```python\n(.*?)```", page, re.DOTALL)
    assert len(files) == 2
    for path, text in files:
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(text)
    command = [sys.executable, "-c", USE]
    environment = {"PYTHONPATH": f"{tmp_path / 'src'}:{ROOT / 'tests'}", "PATH": "/usr/bin:/bin"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr

    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    entry = re.search(r"```yaml\n(models:.*?)```", page, re.DOTALL).group(1)
    config["models"] |= yaml.safe_load(entry)["models"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--configfile", "mine.yaml"]
    plan = subprocess.run(
        [*command, "--cores", "1", "-n"], cwd=tmp_path, capture_output=True, text=True
    )
    assert plan.returncode == 0, plan.stdout + plan.stderr
    assert "predictions/shrunk_gene/fold0.h5ad" in plan.stdout
