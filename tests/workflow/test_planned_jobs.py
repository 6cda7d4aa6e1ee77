"""What jobs are told: memory, code, what a model learns, whose trainings are listed."""

from pathlib import Path

import pytest
import yaml
from in_process import plan

from mtm.pipeline import code_digest

ROOT = Path(__file__).parents[2]
FILES = ("expression", "sample_attributes", "subject_phenotypes")

pytestmark = pytest.mark.workflow


def average(*models):
    return {"class": "average", "parameters": {"models": list(models)}}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Plan the demo with averages, a wide network, another cohort and a site."""
    folder = tmp_path_factory.mktemp("planned")
    for name in FILES:
        (folder / name).touch()
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    classes = ("mtm", "mlp", "same_gene", "train_mean", "ridge")
    config["models"] = {name: {"class": name} for name in classes} | {
        "fixed": average("same_gene", "train_mean"),
        "nets": average("mlp", "mtm"),
        "fitted": average("fixed", "ridge"),
    }
    wide = {"encoder_widths": [8192, 2048], "decoder_widths": [2048, 8192]}
    config["models"]["mlp"]["parameters"] = wide
    config["evaluation"] = {
        "external": {
            "lab": {name: str(folder / name) for name in FILES},
            "site": {"hold_out": "center", "values": ["C1"]},
        }
    }
    config["transfer"]["models"] = ["nets", "ridge"]
    config["any_sources"] = {}
    return plan(config, folder)


def of_rule(jobs, *rules):
    """Return jobs by rule and model, those of external people at a site alone."""
    return {
        (job.rule.name, job.wildcards.model): job
        for job in jobs
        if job.rule.name in rules and job.wildcards.get("evaluation", "site") == "site"
    }


def test_who_loads_a_model_has_room_to_predict_with_it(jobs):
    found = of_rule(jobs, "predict_fold", "score_external", "transfer_model")
    for (rule, model), job in found.items():
        needed = found["predict_fold", model].resources["mem_mb"]
        assert job.resources["mem_mb"] >= needed, (rule, model)
    assert len({job.resources["mem_mb"] for job in found.values()}) > 3


def test_an_average_learns_if_a_member_does(jobs):
    found = of_rule(jobs, "score_model", "score_partial", "score_external")
    learned = {key: job.params["learned"] for key, job in found.items()}
    for rule in ("score_model", "score_partial", "score_external"):
        told = {model: learned[rule, model] for model in ("fixed", "fitted", "nets", "ridge")}
        assert told == {"fixed": False, "fitted": True, "nets": True, "ridge": True}, rule


def test_code_of_members_is_code_of_who_loads_them(jobs):
    found = of_rule(jobs, "predict_fold", "score_external", "transfer_model", "train_fold")
    for rule, models in (
        ("train_fold", ("fixed", "fitted", "nets")),
        ("predict_fold", ("fixed", "fitted", "nets")),
        ("score_external", ("fixed", "fitted", "nets")),
        ("transfer_model", ("nets", "ridge")),
    ):
        assert len({found[rule, model].params["code"] for model in models}) == len(models), rule


def trained_and_listed(jobs):
    """Return the training tables of networks that jobs write, and those that are listed."""
    trainings = {
        str(job.output.training)
        for job in jobs
        if job.rule.name.startswith("train_") and job.wildcards.model in ("mtm", "mlp")
    }
    (listing,) = (job for job in jobs if job.rule.name == "list_trainings")
    return sorted(trainings), sorted(map(str, listing.input.tables))


def test_every_training_of_a_network_is_listed(jobs):
    trainings, listed = trained_and_listed(jobs)
    assert listed == trainings
    for place in ("models/mtm/fold0", "models/mlp/all", "external/site/models/mtm/fold0"):
        assert f"results/demo/{place}.training.tsv" in trainings


def test_shared_fits_of_a_network_are_listed_where_they_are_made(tmp_path):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["models"] = {
        "mtm": {"class": "mtm", "sources": "others"},
        "mtm_blood": {"of": "mtm", "sources": "source"},
    }
    config["evaluation"] = {"external": {"site": {"hold_out": "center", "values": ["C1"]}}}
    config |= {"any_sources": {}, "transfer": {"models": ["mtm_blood"]}}
    trainings, listed = trained_and_listed(plan(config, tmp_path))
    assert "results/demo/external/site/models/mtm/fold0.training.tsv" in trainings
    assert listed == trainings


def test_bundles_of_all_single_folds_pass_where_the_settings_say_so(tmp_path):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["models"] = {name: {"class": name} for name in ("ridge", "same_gene")}
    config["evaluation"] = {"external": {"site": {"hold_out": "center", "values": ["C1"]}}}
    config |= {"any_sources": {}, "transfer": {"models": ["ridge"]}}
    config |= {"growth": {"donors": [20]}, "storage": {"drop_fold_bundles": ["ridge"]}}
    bundles = {
        str(job.output.bundle): job.output.bundle in job.temp_output
        for job in plan(config, tmp_path)
        if job.rule.name.startswith("train_")
    }
    places = ("models", "growth/20/models", "external/site/models")
    for model, passes in (("ridge", True), ("same_gene", False)):
        folds = [f"results/demo/{place}/{model}/fold0.safetensors" for place in places]
        assert [bundles[name] for name in folds] == [passes] * 3
    assert not bundles["results/demo/models/ridge/all.safetensors"]


def test_what_a_plan_or_a_figure_alone_takes_of_a_section_reruns_no_job(tmp_path):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config["models"] = {name: {"class": name} for name in ("tissue_average", "ridge", "same_gene")}
    config["models"]["tissue_average"]["sources"] = "others"
    config |= {"evaluation": {}, "growth": {"donors": [20]}, "landmarks": {"n": 5}}
    config["landmarks"]["methods"] = ["ridge"]
    sections = ("traits", "disease", "disease_status", "growth", "transfer")
    config |= {name: config.get(name, {}) | {"models": ["ridge"]} for name in sections}
    config["any_sources"] = {"models": ["tissue_average"]}
    more = {name: config[name] | {"models": ["ridge", "same_gene"]} for name in sections}
    more["disease"] |= {"volcano_tissue": "Lung"}
    more["disease_status"] |= {"tissue": "Thyroid", "contrast": "MHHTN"}
    more["any_sources"] = {"models": None}
    more["landmarks"] = config["landmarks"] | {"methods": ["ridge", "pcr"]}
    config |= {"ranks": {"epochs": 1}, "imputation": {"methods": ["gaussian"]}}
    more["ranks"] = {"epochs": 1, "perturbation": {"genes": ["XIST"]}}
    more["imputation"] = {"methods": ["gaussian"], "probe_genes": 100}
    rules = {
        "find_contrasts", "compare_dysregulation", "predict_status", "associate_traits",
        "score_growth", "score_sources", "predict_differences", "contrast_reference",
        "transfer_model", "choose_landmarks", "score_landmarks", "fit_rank_encoder",
        "score_ranks", "impute_genes",
    }  # fmt: skip
    before, after = (
        {
            (job.rule.name, *job.wildcards): dict(job.params.items())
            for job in plan(settings, tmp_path)
            if job.rule.name in rules
        }
        for settings in (config, config | more)
    )
    assert {rule for rule, *_ in before} == rules
    assert {key for key, params in before.items() if after[key] != params} == set()


def test_a_reference_predicts_nothing_anew(tmp_path):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config |= {"models": {"ridge": {"class": "ridge"}}, "evaluation": {}, "any_sources": {}}
    config["transfer"]["models"] = ["ridge"]
    (tmp_path / "mine.tsv").write_text("tissue\tgene\tlog2fc\tq\n")
    other = {"reference": "mine.tsv", "contrast": "MHHTN", "min_de_genes": 3}
    more = {
        "external": {k: v | {"contrast": "MHCOPD"} for k, v in config["external"].items()},
        "transfer": config["transfer"] | other,
        "disease": config["disease"] | {"min_cases": 11},
    }
    before, after = (
        {
            (job.rule.name, job.wildcards.external): dict(job.params.items())
            for job in plan(settings, tmp_path)
            if job.rule.name in ("read_external", "predict_differences", "contrast_reference")
        }
        for settings in (config, config | more)
    )
    assert len(before) == 3 * len(config["external"])
    for job, params in before.items():
        assert (after[job] == params) == (job[0] != "contrast_reference"), job


def test_one_model_tells_what_the_paper_lacks_and_lists_its_training_on_all(tmp_path):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    config |= {"models": {"mlp": {"class": "mlp"}}, "evaluation": {}, "any_sources": {}}
    config |= {"transfer": {"models": ["mlp"]}}
    jobs = plan(config, tmp_path)
    trainings, listed = trained_and_listed(jobs)
    assert "results/demo/models/mlp/all.training.tsv" in listed
    assert listed == trainings
    (table,) = (job for job in jobs if job.rule.name == "compare_with_paper")
    for name in ("codes", "decoding"):
        assert table.params.absent[name] == "no model of class mtm"
    assert table.params.absent["pair_counts"] == "one model"
    assert "see tables/skipped.tsv" not in table.params.absent.values()


@pytest.mark.slow
def test_a_list_of_the_source_alone_is_one_sample(tmp_path):
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    ridge = {"class": "ridge", "sources": ["Whole Blood"]}
    config |= {"models": {"ridge": ridge}, "evaluation": {}, "any_sources": {}, "transfer": {}}
    jobs = plan(config, tmp_path, ["tables"])
    assert "predict_differences" in {job.rule.name for job in jobs}


def test_the_page_alone_takes_figures_and_does_not_know_how_they_are_drawn(jobs):
    takers = {job.rule.name for job in jobs if any("/figures/" in str(path) for path in job.input)}
    assert takers == {"build_page"}
    (page,) = (job for job in jobs if job.rule.name == "build_page")
    drawn = {Path(path).stem for path in page.input if path.endswith(".png")}
    assert {"fig2a", "fig4", "transfer", "external"} <= drawn
    modules = code_digest._closure({"mtm.page.build"}, set(), ROOT / "src")
    assert {name for name in modules if name.startswith("mtm.figures.")} == {
        "mtm.figures.names", "mtm.figures.style",
    }  # fmt: skip
