"""From an accession, at the addresses of GEO, to Fig 4; and a captcha on the way."""

import shutil

import pandas as pd
import pytest
from geo_server import captcha, geo_server, packed
from in_process import plan, run_all

from mtm.settings.simulation import SimulationSettings
from mtm.simulation.annotation import write_annotation
from mtm.simulation.external import write_external
from mtm.simulation.files import simulate_cohort
from mtm.simulation.population import simulate_population
from mtm.simulation.series import SeriesFiles, write_series

pytestmark = [pytest.mark.workflow]
ACCESSION, PLACE = "GSE123456", "results/small/transfer"
SETTINGS = SimulationSettings(
    n_donors=60, n_genes=40, n_noncoding=4, n_par_y=0, n_rare_samples=3, n_external_donors=24,
    tissues=("Lung", "Thyroid", "Whole Blood"), min_availability_share=0.9,
)  # fmt: skip
FILES = {
    "expression": "expression.gct.gz",
    "sample_attributes": "sample_attributes.tsv",
    "subject_phenotypes": "subject_phenotypes.tsv",
    "controlled_phenotypes": "controlled_phenotypes.tsv",
    "gene_model": "gene_model.gtf",
    "gene_identifiers": "gene_identifiers.tsv",
}
CONFIG = {
    "cohort": "small",
    "inputs": FILES,
    "filters": {"min_samples_per_tissue": 15},
    "folds": {"scheme": "holdout", "n_folds": 1},
    "training": {"device": "cpu"},
    "models": {"ridge": {"class": "ridge"}},
    "accuracy": {"permutations": 20, "bootstraps": 20},
    "disease": {"min_cases": 10, "min_controls": 10},
    "transfer": {"permutations": 50, "models": ["ridge"], "min_gene_overlap": 0.5},
    "external": {
        "files": {"expression": "external_expression.tsv", "samples": "external_samples.tsv"},
        "series": {
            "geo": ACCESSION,
            "group": {"field": "disease state", "case": "T2D", "control": "control"},
            "keep": {"timepoint": ["baseline"]},
            "follow_up": {"timepoint": "follow-up"},
            "donor": "individual",
        },
    },
}
FIGURES = [f"{PLACE}/series/figures/{figure}.png" for figure in ("fig4", "fig4_predicted")]


@pytest.fixture
def folder(tmp_path):
    """Files of a cohort, and of an external one beside it."""
    simulate_cohort(
        SETTINGS, truth=tmp_path / "truth.h5ad",
        **{role: tmp_path / name for role, name in FILES.items() if role != "gene_identifiers"},
    )  # fmt: skip
    write_annotation(
        simulate_population(SETTINGS), conservation=tmp_path / "c.bw",
        interactions=tmp_path / "i.tsv", gene_identifiers=tmp_path / "gene_identifiers.tsv",
        gene_truth=tmp_path / "t.tsv",
    )  # fmt: skip
    write_external(
        SETTINGS, expression=tmp_path / "external_expression.tsv",
        samples=tmp_path / "external_samples.tsv", truth=tmp_path / "e.h5ad",
    )  # fmt: skip
    return tmp_path


def serve(server, folder, with_table):
    """Serve the external cohort as a series."""
    genes = pd.read_csv(folder / "external_expression.tsv", sep="\t", usecols=["gene_id"])
    known = pd.read_csv(folder / "gene_identifiers.tsv", sep="\t")
    entrez = known.set_index("ensembl_gene_id")["entrez_id"].reindex(genes["gene_id"])
    missing = entrez.isna()
    entrez[missing] = 5_000_000 + pd.RangeIndex(missing.sum()).to_numpy()
    made = SeriesFiles.below(folder / "served", ACCESSION)
    write_series(
        folder / "external_expression.tsv", folder / "external_samples.tsv",
        entrez.astype(int), made, ACCESSION,
    )  # fmt: skip
    for path in (made.matrix, made.tpm, made.counts, made.gene_table):
        server.files[path.name] = packed(path.read_bytes())
    if not with_table:
        server.files[made.gene_table.name] = captcha()
    shutil.rmtree(folder / "served")


def agreement(folder, name):
    return pd.read_csv(folder / PLACE / name / "agreement/ridge.tsv", sep="\t")


def test_one_command_from_the_accession_to_fig_4(folder, monkeypatch):
    with geo_server(monkeypatch) as server:
        serve(server, folder, with_table=True)
        run_all(CONFIG, folder, [*FIGURES, f"{PLACE}/files/agreement/ridge.tsv"])
        assert all((folder / figure).stat().st_size > 10_000 for figure in FIGURES)
        # The same people as files and as a series: the same tables.
        pd.testing.assert_frame_equal(
            agreement(folder, "series"), agreement(folder, "files"), rtol=1e-6, atol=1e-6
        )
        differences = pd.read_csv(folder / PLACE / "series/predicted/ridge.tsv", sep="\t")
        assert set(differences["comparison"]) == {"kept", "follow-up", "change"}
        names = pd.read_csv(folder / PLACE / "gene_names.tsv", sep="\t")
        assert "NCBI" in set(names["source"])


def test_a_captcha_in_place_of_the_gene_table_leaves_hgnc(folder, monkeypatch):
    with geo_server(monkeypatch) as server:
        serve(server, folder, with_table=False)
        run_all(CONFIG, folder, [f"{PLACE}/series/reading.tsv"])
        names = pd.read_csv(folder / PLACE / "gene_names.tsv", sep="\t")
        assert set(names["source"]) == {"HGNC"}
        report = pd.read_csv(folder / PLACE / "series/reading.tsv", sep="\t").set_index("step")
        assert report.loc["samples compared", "n"] == 48
        assert not (folder / "resources/Human.GRCh38.p13.annot.tsv.gz").exists()


def test_what_is_planned_with_a_reference_and_without(folder):
    def planned(**changes):
        jobs = plan(CONFIG | changes, folder)
        return {(job.rule.name, job.wildcards.get("external")) for job in jobs}, jobs

    without = {role: name for role, name in FILES.items() if role != "controlled_phenotypes"}
    rules, jobs = planned(inputs=without)
    assert ("predict_differences", "series") in rules
    assert ("draw_fig4_predicted-series", None) in rules
    assert not {rule for rule, _ in rules} & {"transfer_model", "draw_fig4-series"}
    (skipped,) = (job for job in jobs if job.rule.name == "list_skipped_analyses")
    reasons = {row["analysis"]: row["remedy"] for row in skipped.params.skipped}
    assert "transfer.reference" in reasons["agreement of series with a reference (Fig 4)"]
    (folder / "mine.tsv").write_text("tissue\tgene\tlog2fc\tq\nLung\tG1\t1\t0.1\n")
    transfer = CONFIG["transfer"] | {"reference": "mine.tsv"}
    rules, _ = planned(inputs=without, transfer=transfer)
    assert ("transfer_model", "series") in rules
    rules, jobs = planned(external=None)
    assert not {rule for rule, _ in rules} & {"read_external", "name_genes", "fetch_dataset"}
