import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.workflow


def test_run_that_the_disk_cannot_hold_is_refused_before_its_first_job(tmp_path):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["simulation"] = {"n_donors": 20_000, "n_genes": 60_000}
    (tmp_path / "big.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "--configfile", str(tmp_path / "big.yaml")]
    run = subprocess.run([*command, "--cores", "1"], cwd=ROOT, capture_output=True, text=True)
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert f"{tmp_path}: found" in output
    assert "GB free; expected" in output
    assert not (tmp_path / "logs").exists()
    planned = subprocess.run([*command, "-n"], cwd=ROOT, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stdout + planned.stderr
