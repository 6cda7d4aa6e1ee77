"""A configuration with `warm_start`: its jobs start where the libraries are loaded."""

import pandas as pd
import pytest
import yaml

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

KEY = "results/small/models/donors.key"
# Of a process that has PyTorch; that of a fresh Python which makes a key is under 200.
LOADED_MB = 300


def test_jobs_start_where_libraries_are_loaded_and_fail_with_their_reason(
    tmp_path, small_config, small_snakemake
):
    config = small_config | {"warm_start": True}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
    one_thread = ("--cores", "2", "--max-threads", "1")
    run = small_snakemake(tmp_path, *one_thread, KEY)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / KEY).stat().st_size
    taken = pd.read_csv(tmp_path / "benchmarks/small/make_donors_key.tsv", sep="\t")
    assert taken["max_rss"][0] > LOADED_MB
    # What bundles elsewhere are told by outlives whatever makes the rule run again.
    key = (tmp_path / KEY).read_text()
    run = small_snakemake(tmp_path, *one_thread, "--forcerun", "make_donors_key", "--", KEY)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / KEY).read_text() == key
    (tmp_path / KEY).unlink()
    (tmp_path / KEY).mkdir()
    run = small_snakemake(tmp_path, *one_thread, "--forcerun", "make_donors_key", "--", KEY)
    assert run.returncode != 0
    assert "mtm: make_donors_key failed: " in run.stdout + run.stderr
