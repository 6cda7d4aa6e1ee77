import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from in_process import plan
from real_data import SHARED, needs_panel

ROOT = Path(__file__).parents[2]
# Times what Snakemake itself takes, for as many jobs of one rule without anything.
FLOORS = 3.0
BARE = """
rule all:
    input: expand("{{i}}.txt", i=range({n_jobs}))
rule one:
    output: "{{i}}.txt"
    shell: "touch {{output}}"
"""

pytestmark = pytest.mark.workflow


def snakemake(*arguments, directory=ROOT, python=()):
    command = [sys.executable, *python, "-m", "snakemake", *map(str, arguments)]
    if directory != ROOT:
        command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def dry_run(config, directory, *arguments, python=()):
    options = ["-n", *arguments, "--configfile", config]
    return snakemake(*options, directory=directory, python=python)


def read(config):
    """Return a configuration of the project."""
    return yaml.safe_load((ROOT / config).read_text())


def planned(config, folder):
    """Return the jobs of a configuration, and how many there are of each rule."""
    jobs = plan(config, folder)
    return jobs, Counter(job.rule.name for job in jobs)


def inputs_of(jobs, rule, **wildcards):
    """Return the inputs of the one job of a rule that has these wildcards."""
    of_rule = [job for job in jobs if job.rule.name == rule]
    found = [
        job for job in of_rule if all(job.wildcards.get(k) == v for k, v in wildcards.items())
    ]
    assert len(found) == 1
    return " ".join(found[0].input)


def models_of(config):
    """Count the models of a configuration, and those of them with fits of their own."""
    models = read(config)["models"]
    return len(models), sum("of" not in model for model in models.values())


@pytest.mark.parametrize("config", ["config/config.yaml", "config/gtex_v10.yaml"])
def test_gtex_dry_run_lists_every_job(tmp_path, config):
    _, counts = planned(read(config), tmp_path)
    models, fitted = models_of(config)
    # v8 has the external cohort, whose two files are fetched and which three models are taken to.
    external = config == "config/config.yaml"
    assert counts["fetch_dataset"] == (9 if external else 7)
    assert counts["train_all"] == (3 if external else fitted)
    assert counts["predict_differences"] == 3 * external
    assert "transfer_model" not in counts
    trained = counts["train_fold"] + counts["train_passing"]
    assert trained == 5 * fitted < counts["predict_fold"] == 5 * models
    assert counts["score_model"] == models
    assert counts["build_cohort"] == counts["make_folds"] == counts["summarise_accuracy"] == 1
    assert not {"simulate_cohort", "predict_oracle", "score_external"} & set(counts)


def test_dry_run_with_controlled_data_plans_fig_4(tmp_path):
    config = read("config/config.yaml")
    config["inputs"]["controlled_phenotypes"] = "gtex_v8_controlled_phenotypes"
    config["local_files"] = {"gtex_v8_controlled_phenotypes": "phenotypes.txt.gz"}
    (tmp_path / "phenotypes.txt.gz").touch()
    _, counts = planned(config, tmp_path)
    assert (counts["contrast_reference"], counts["transfer_model"]) == (1, 3)
    assert counts["draw_fig4-GSE184050"] == 1


def cpu_seconds(run):
    """Return what a command says and the CPU time it takes; other work stretches the clock's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_gtex_dry_run_is_fast_and_imports_nothing_heavy(tmp_path):
    _, counts = planned(read("config/config.yaml"), tmp_path)
    bare = tmp_path / "Snakefile"
    bare.write_text(BARE.format(n_jobs=sum(counts.values()) - 1))
    floors, seconds = [], []
    # In turn, as machines change their speed; again where other work got into a try.
    while len(seconds) < 5 and (not seconds or min(seconds) >= FLOORS * min(floors)):
        done, floor = cpu_seconds(
            lambda: snakemake("-n", "--snakefile", bare, "--directory", tmp_path)
        )
        assert done.stdout.count("rule one:") == sum(counts.values()) - 1
        floors.append(floor)
        seconds.append(cpu_seconds(lambda: dry_run(ROOT / "config/config.yaml", tmp_path))[1])
    print(f"{min(seconds):.2f} s of CPU, {min(seconds) / min(floors):.2f} of Snakemake's own")
    assert min(seconds) < FLOORS * min(floors)

    imports = dry_run(ROOT / "config/config.yaml", tmp_path, python=["-X", "importtime"]).stderr
    imported = {line.split("|")[-1].strip().split(".")[0] for line in imports.splitlines()}
    assert "pandas" in imported
    assert not imported & {"torch", "anndata", "sklearn", "scipy", "matplotlib", "h5py"}


def test_demo_dry_run_simulates_and_scores_the_oracle(tmp_path):
    _, counts = planned(read("config/demo.yaml"), tmp_path)
    models, fitted = models_of("config/demo.yaml")
    assert counts["simulate_cohort"] == 1
    assert counts["predict_oracle"] == 3
    assert (counts["train_fold"], counts["predict_fold"]) == (3 * fitted, 3 * models)
    assert counts["score_model"] == models + 1
    assert counts["draw_fig2a"] == counts["draw_fig2b"] == counts["draw_sources"] == 1
    assert counts["score_sources"] == 2
    # Three methods, a chosen and a random panel.
    assert (counts["choose_landmarks"], counts["score_landmarks"]) == (1, 6)
    assert counts["draw_landmarks"] == 1
    assert (counts["fit_rank_encoder"], counts["score_ranks"], counts["perturb_genes"]) == (
        3,
        1,
        1,
    )
    assert counts["complete_profiles"] == counts["draw_profiles"] == 1
    assert counts["impute_genes"] == counts["probe_codes"] == 1
    assert "fetch_dataset" not in counts


def test_every_seed_is_trained_and_their_average_waits_for_them(tmp_path):
    config = read("config/demo.yaml")
    models = {"net": config["models"]["mtm_log2"] | {"seeds": [4, 5]}}
    config |= {"models": models, "final_bundle": True, "any_sources": {}}
    config["transfer"] = {"models": ["net_average"]}
    config["evaluation"]["models"] = ["net_average"]
    jobs, counts = planned(config, tmp_path)
    assert counts["train_fold"] == counts["predict_fold"] == 3 * 3
    assert counts["train_all"] == counts["train_external"] == 3
    members = inputs_of(jobs, "train_fold", model="net_average", fold="0")
    assert "net_seed5/fold0.safetensors" in members


def test_nothing_is_trained_for_a_model_that_shares_the_fits_of_another(tmp_path):
    config = read("config/demo.yaml")
    config["models"] = {
        "joint": {"class": "joint", "sources": "others"},
        "from_blood": {"of": "joint"},
        "ridge": {"class": "ridge"},
        "both": {"class": "average", "parameters": {"models": ["from_blood", "ridge"]}},
    }
    config |= {"transfer": {"models": ["from_blood"]}}
    config["evaluation"]["models"] = ["from_blood"]
    config["any_sources"] = {"models": ["from_blood", "ridge"]}
    config["storage"] = {"drop_fold_bundles": ["ridge"]}
    jobs, counts = planned(config, tmp_path)
    # Those of one model go once they are read; all else is trained as before.
    assert (counts["train_fold"], counts["train_passing"]) == (3 * 2, 3)
    assert counts["predict_fold"] == 3 * 4
    assert counts["train_all"] == counts["train_external"] == 1
    assert counts["score_external"] == counts["score_sources"] == 1
    assert counts["transfer_model"] == counts["predict_differences"] == 2
    files = " ".join(file for job in jobs for file in (*job.input, *job.output))
    assert "models/joint/" in files
    assert "models/from_blood/" not in files
    members = inputs_of(jobs, "train_fold", model="both", fold="0")
    assert "models/joint/fold0.safetensors" in members


@needs_panel
def test_panel_dry_run(tmp_path):
    (tmp_path / "shared").symlink_to(SHARED)
    directory = tmp_path / "run"
    directory.mkdir()
    _, counts = planned(read("tests/real/panel.yaml"), directory)
    _, fitted = models_of("tests/real/panel.yaml")
    assert counts["train_fold"] + counts["train_passing"] == 5 * fitted
    # Three models, four numbers of donors, five folds.
    assert counts["train_growth"] == counts["predict_growth"] == 60
    assert counts["score_growth"] == 3
    assert counts["score_landmarks"] == 12
    assert "fetch_dataset" not in counts


def test_config_file_on_the_command_line_stands_alone(tmp_path):
    config = {
        "cohort": "mine",
        "inputs": {
            "expression": "expression.gct",
            "sample_attributes": "gtex_v8_sample_attributes",
            "subject_phenotypes": "subjects.tsv",
        },
        "local_files": {"gtex_v8_sample_attributes": "samples.tsv"},
        "filters": {"gene_biotypes": None},
        "folds": {"scheme": "holdout", "n_folds": 1},
        "models": {"mean": {"class": "train_mean"}},
        "final_bundle": True,
    }
    for name in ("expression.gct", "samples.tsv", "subjects.tsv"):
        (tmp_path / name).touch()
    _, counts = planned(config, tmp_path)
    assert counts["train_fold"] == counts["train_all"] == counts["predict_fold"] == 1
    # The training mean is the same from whatever tissue.
    assert "score_sources" not in counts
    assert "fetch_dataset" not in counts


def test_people_from_elsewhere_are_planned_where_they_are_named(tmp_path):
    config = read("config/demo.yaml")
    files = {f"{role}.tsv": tmp_path / f"{role}.tsv" for role in "esp"}
    for path in files.values():
        path.touch()
    names = ("expression", "sample_attributes", "subject_phenotypes")
    config["evaluation"] = {
        "external": {
            "lab": dict(zip(names, map(str, files.values()), strict=True)),
            "site": {"hold_out": "center", "values": ["C1"]},
        }
    }
    _, counts = planned(config, tmp_path)
    # All but those that see other tissues.
    models = sum(model.get("sources") != "others" for model in config["models"].values())
    assert counts["build_external"] == 1
    assert counts["join_external"] == 2
    assert counts["train_external"] == counts["train_all"] == models
    assert counts["score_external"] == 2 * models
    assert counts["summarise_external"] == counts["draw_external"] == 1


def test_default_config_and_profile_need_no_arguments():
    run = snakemake("-n")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "profiles/default" in run.stdout + run.stderr


def test_unknown_key_stops_the_run_and_names_the_nearest(tmp_path):
    run = dry_run(ROOT / "config/demo.yaml", tmp_path, "--config", "modles=1")
    assert run.returncode != 0
    assert "config key modles: found an unknown key" in run.stdout + run.stderr
    assert "Did you mean 'models'?" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("inputs", "expression", "gtex_v8_gene_tpn"),
        ("local_files", "gtex_v8_gene_tpn", "expression.gct"),
    ],
)
def test_unknown_dataset_names_the_nearest(tmp_path, section, key, value):
    config = read("config/config.yaml")
    config[section][key] = value
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    run = dry_run(tmp_path / "config.yaml", tmp_path)
    assert run.returncode != 0
    assert f"config key {section}.{key}" in run.stdout + run.stderr
    assert "Did you mean 'gtex_v8_gene_tpm'?" in run.stdout + run.stderr


def test_controlled_data_is_never_fetched(tmp_path):
    config = read("config/config.yaml")
    config["inputs"]["controlled_phenotypes"] = "gtex_v8_controlled_phenotypes"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    run = dry_run(tmp_path / "config.yaml", tmp_path)
    assert run.returncode != 0
    assert "local_files.gtex_v8_controlled_phenotypes" in run.stdout + run.stderr


@pytest.mark.parametrize("config", ["config/config.yaml", "config/demo.yaml"])
def test_workflow_is_lint_free(config):
    run = snakemake("--lint", "--configfile", ROOT / config)
    assert run.returncode == 0, run.stdout + run.stderr
