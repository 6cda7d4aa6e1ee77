"""Which cases and controls are compared, and how."""
# fmt: off

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from mtm.settings.base import Names, Once, Section, key, seed
from mtm.settings.comparison import BASELINE, COMPARED

Kind = Literal["medical_history", "pathology", "hardy", "status"]
KINDS: tuple[str, ...] = get_args(Kind)
# Medical history in GTEx (dbGaP phs000424): column of donors, and its name in figures. He et al.
# 2023 test nine diseases; which they are is partly inferred (docs/decisions.md).
DISEASES = {
    "MHHTN": "Hypertension",
    "MHT2D": "Type 2 diabetes",
    "MHHRTDIS": "Ischemic heart disease",
    "MHHRTATT": "Heart attack",
    "MHCVD": "Cerebrovascular disease",
    "MHCOPD": "COPD",
    "MHASTHMA": "Asthma",
    "MHPNMNIA": "Pneumonia",
    "MHDPRSSN": "Depression",
}
# Shared with the section transfer.
Q_BELOW = key(0.05, "A gene is differentially expressed below this false discovery rate.", gt=0, le=1, unit="Benjamini-Hochberg q-value")
PSEUDO_COUNT = key(1.0, "Added to mean TPM before log2 fold changes.", gt=0, unit="TPM")


class DiseaseSettings(Section):
    """Whether predictions keep the dysregulation of diseases (methods 3, R18-R19, and 6.6)."""

    section: ClassVar = "disease"

    kinds: Annotated[tuple[Kind, ...], Once] | None = key(None, "Where cases come from - columns of medical history (controlled access), terms in the pathology notes of the tissue, classes of death, statuses of your own. null takes statuses, and medical history where the cohort has it, else the other two.")
    statuses: Names = key((), "Columns of donors or samples coded 0 and 1, a case; empty, below 0 and 96 to 99 are unknown, any other value leaves the column out. Own covariates with the use `status` (`columns.covariates`) are added.")
    medical_history: Names | None = key(tuple(DISEASES), "Columns of `cohort/donors.tsv` coded 0 and 1. Of the default, the diseases of He et al. 2023, those that the cohort lacks are listed and left out; of any other list they stop the run. null takes every such column that starts with MH.")
    pathology_terms: Names = key(("atherosclerosis", "steatosis", "hashimoto", "emphysema", "gastritis", "fibrosis"), "A sample is a case when the pathology note of its own tissue has the term, at the start of a word and not negated.")
    hardy_cases: Annotated[tuple[Annotated[int, Field(ge=0, le=4)], ...], Once] = key((0,), "Hardy classes that are cases, against all others; 0 is death on a ventilator.")
    min_cases: int = key(50, "Least number of held-out donors of a tissue with the disease.", ge=5, unit="donors")
    min_controls: int = key(50, "Least number of held-out donors of a tissue without it.", ge=5, unit="donors")
    min_genes: int = key(10, "Least number of predictable genes of a tissue.", ge=3, unit="genes")
    q_below: float = Q_BELOW
    pseudo_count: float = PSEUDO_COUNT
    min_de_genes: int = key(10, "Pairs of tissue and disease with fewer observed differentially expressed genes are counted, not summarised, and status is not told in them.", ge=1, unit="genes")
    models: Names | None = COMPARED
    baseline: str = BASELINE
    volcano_tissue: str = key("Artery - Tibial", "Tissue of the volcano plot; where this pair did not run, the pair with the most differentially expressed genes.")
    volcano_contrast: str = key("MHHRTATT", "Disease of the volcano plot.")
    permutations: int = key(200, "Permutations of labels over donors within folds, for the null.", ge=1, unit="permutations")
    seed: int = seed("Seed of all of these draws.")


def contrast_label(contrast: str) -> str:
    """Name of a contrast in figures: a disease by its name, any other as it is in tables."""
    return DISEASES.get(contrast, contrast.replace("_", " "))
