"""Memory and disk that each rule of the workflow asks for, from the size of the cohort.

Bounds rather than means: files are as `docs/contracts.md` describes them, memory is what was
measured (`tests/pipeline/test_resources.py` holds the figures), rounded up. Nothing heavy is
imported: the workflow reads this before it plans a run.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtm.errors import InputError
from mtm.settings.models.base import CohortSize, ModelParameters, ModelSize

# What a script holds before it reads anything, interpreter and libraries; measured 0.6 GB.
BASE_MB = 1000
# Of NVIDIA, of AMD, of either under WSL.
CARD_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


# Rules that read tables and nothing as large as the cohort.
OF_TABLES = (
    "summarise_accuracy", "summarise_external", "summarise_intervals", "compare_with_paper",
    "join_gene_contrasts", "combine_status", "summarise_traits", "summarise_dysregulation",
    "draw_figure", "list_skipped_analyses", "list_trainings", "make_donors_key",
)  # fmt: skip
# Rules that read predictions and write rows of tissues alone.
OF_TISSUES = ("score_partial", "contrast_genes")
# The release before any filter; its protein-coding genes.
GTEX_V8 = CohortSize(n_samples=17_382, n_genes=19_291, n_tissues=54)


def cohort_size(simulation: Mapping[str, Any] | None, filtering: str | Path) -> CohortSize:
    """Return the largest size that a configuration's cohort can have.

    Parameters
    ----------
    simulation
        The configuration's section `simulation`; None for a cohort from files.
    filtering
        ``cohort/filtering.tsv``, which has the size of a cohort from files once it is built;
        before, it is taken to be as large as GTEx v8.
    """
    if simulation is None:
        if not Path(filtering).exists():
            return GTEX_V8
        with open(filtering, encoding="utf-8", newline="") as handle:
            *_, last = csv.DictReader(handle, delimiter="\t")
        return CohortSize(*(int(last[key]) for key in ("n_samples", "n_genes", "n_tissues")))
    tissues = len(simulation["tissues"])
    rare = len(simulation["rare_tissues"])
    return CohortSize(
        n_samples=simulation["n_donors"] * tissues + rare * simulation["n_rare_samples"],
        n_genes=simulation["n_genes"] + simulation["n_noncoding"],
        n_tissues=tissues + rare,
    )


def training_resources(parts: Sequence[ModelParameters], size: CohortSize) -> dict[str, int]:
    """Return ``mem_mb`` and ``disk_mb`` of fitting a model to a cohort of this size.

    Disk holds the bundle, a training state and the one that replaces it.

    Parameters
    ----------
    parts
        Hyper-parameters of the model, then of the fitted models that it is made of.
    size
        Of the cohort.
    """
    model = _with_bundles(parts, size)
    return _asked(8 * size.matrix_mb + model.working_mb, model.bundle_mb + 2 * model.checkpoint_mb)


def prediction_resources(
    parts: Sequence[ModelParameters], size: CohortSize, kind: str = "float32"
) -> dict[str, int]:
    """Return ``mem_mb`` and ``disk_mb`` of predicting a fold; `parts` as in training.

    `kind` is the type of the numbers written, ``"float32"`` or ``"float16"``.
    """
    model = _with_bundles(parts, size)
    matrices = (2 if parts[0].own_sd else 1) / (2 if kind == "float16" else 1)
    return _asked(4 * size.matrix_mb + 3 * model.bundle_mb, matrices * size.matrix_mb)


def certificate_resources(parts: Sequence[ModelParameters], size: CohortSize) -> dict[str, int]:
    """Return ``mem_mb`` and ``disk_mb`` of certifying a bundle; `parts` as in training.

    Six numbers and two classes a tissue and gene are added to it.
    """
    values_mb = size.n_tissues * size.n_genes / 1e6
    bundle_mb = _with_bundles(parts, size).bundle_mb + 26 * values_mb
    return _asked(2 * bundle_mb + 500 * values_mb, bundle_mb)


def sources_resources(
    parts: Sequence[ModelParameters], size: CohortSize, n_folds: int
) -> dict[str, int]:
    """Return ``mem_mb`` and ``disk_mb`` of scoring a model from any tissues, all folds at once."""
    bundle_mb = _with_bundles(parts, size).bundle_mb
    # A few kinds of choices, each of two tissues at most in one field, and two levels.
    table_mb = 4 * 2 * 300 * size.n_tissues**2 / 1e6
    return _asked(4 * size.matrix_mb + (n_folds + 2) * bundle_mb + table_mb, 2 * table_mb)


def _with_bundles(parts: Sequence[ModelParameters], size: CohortSize) -> ModelSize:
    """Size of a model whose bundle holds those of others, which it reads to be fitted."""
    model, *others = (part.size(size) for part in parts)
    held_mb = sum(other.bundle_mb for other in others)
    return replace(
        model, bundle_mb=model.bundle_mb + held_mb, working_mb=model.working_mb + 3 * held_mb
    )


# Rules of external cohorts, of as many samples as there are of a tissue: without the cohort's
# expression, and with it.
LOOKED_UP = ("name_genes", "simulate_series")
# Sentences and codes; samples that are worked on hold logits of all genes.
ENCODED = ("fit_rank_encoder", "score_ranks", "perturb_genes")
TRANSFERRED = ("read_external", "transfer_model", "predict_differences")


def rule_resources(size: CohortSize, n_models: int) -> Mapping[str, dict[str, int]]:
    """Return ``mem_mb`` and ``disk_mb`` of every other rule, by its name.

    A rule without an entry gets what one model's predictions and accuracy take.

    Parameters
    ----------
    size
        Of the cohort.
    n_models
        Models compared.
    """
    matrix = size.matrix_mb
    # A row for each tissue, gene and scale; up to 60 bytes as parquet (measured 45).
    genes_mb = 60 * 2 * size.n_tissues * size.n_genes / 1e6
    # A field of text for each two tissues, up to 100 bytes, by measure and layer.
    pairs_mb = 20 * 100 * size.n_tissues**2 / 1e6
    table = _asked(1000 + n_models * pairs_mb, 20 + n_models * pairs_mb)
    one_model = _asked(4 * matrix + 10 * genes_mb, genes_mb)
    special = {
        # Text and truth: up to 16 bytes a value.
        "simulate_cohort": _asked(2 * matrix, 4 * matrix),
        "build_cohort": _asked(3 * matrix, matrix + 2e-3 * size.n_samples),
        "make_folds": _asked(matrix, 1),
        "predict_oracle": _asked(6 * matrix, matrix),
        # The other cohort is taken to be no larger than this one; three alignments.
        "join_external": _asked(matrix, 2 * matrix),
        "score_external": _asked(10 * matrix + 30 * genes_mb, 3 * matrix + 4 * genes_mb),
        **_of_genes(size, genes_mb),
        # z-scores of two tissues and of all others together, with their squares.
        "estimate_ceiling": _asked(6 * matrix, 10),
        "compare_models": _asked(4 * matrix + 10 * n_models * genes_mb, n_models**2 * pairs_mb),
        **dict.fromkeys(OF_TISSUES, _asked(4 * matrix + 10 * genes_mb, 20)),
        "measure_expression_level": _asked(2 * matrix, genes_mb),
        # The gene model's size is not the cohort's.
        **dict.fromkeys(("check_inputs", "measure_conservation"), _asked(3000, 10)),
        **dict.fromkeys(("measure_connectivity", *LOOKED_UP), _asked(1000, 50)),
        "compare_tissue_similarity": _asked(
            2 * matrix + 10 * n_models * genes_mb, n_models * pairs_mb
        ),
        # A trained and an untrained network beside the samples.
        "compare_codes": _asked(4 * matrix + 4000, n_models * pairs_mb + 20),
        "compare_decoding": _asked(4 * matrix + 4000, n_models * pairs_mb + 20),
        "associate_traits": _asked(6 * matrix + 10 * genes_mb, 4 * genes_mb),
        "find_contrasts": _asked(2 * matrix, 20),
        # Two definitions and two choices of genes, some contrasts a tissue.
        "compare_dysregulation": _asked(6 * matrix + 40 * genes_mb, 10 * genes_mb),
        # Each process has one tissue's samples; together they are no more than a few matrices.
        "predict_status": _asked(10 * matrix + 8000, 20),
        "contrast_reference": _asked(3 * matrix + 10 * genes_mb, genes_mb),
        **dict.fromkeys(TRANSFERRED, _asked(4 * matrix + 10 * genes_mb + 2000, 4 * genes_mb)),
        **dict.fromkeys(OF_TABLES, table),
    }  # fmt: skip
    return defaultdict(lambda: one_model, special)


def _of_genes(size: CohortSize, genes_mb: float) -> dict[str, dict[str, int]]:
    """Return entries of what genes tell of one another: landmarks, ranks, imputation, profiles."""
    return {
        # z-scores, and what is left or told of them; for networks what ridge says, too.
        **dict.fromkeys(
            ("choose_landmarks", "score_landmarks"), _asked(14 * size.matrix_mb + 2000, 10)
        ),
        **dict.fromkeys(ENCODED, _asked(8 * size.matrix_mb + 4000, 200)),
        # What each method says of all samples, counts, and products of genes or of samples.
        "impute_genes": _asked(
            24 * size.matrix_mb + 24e-6 * min(size.n_genes, size.n_samples) ** 2 + 2000, 100
        ),
        # Features of genes, some of them twice, profiles with sds; networks and libraries.
        "complete_profiles": _asked(2 * size.matrix_mb + 0.15 * size.n_genes + 2000, 2 * genes_mb),
        # Three scales of all samples, and one as a network has it.
        "probe_codes": _asked(16 * size.matrix_mb + 4000, 500),
    }


def _asked(mem_mb: float, disk_mb: float) -> dict[str, int]:
    """Round up to 100 MB, memory with what every script takes."""
    return {
        "mem_mb": 100 * math.ceil((BASE_MB + mem_mb) / 100),
        "disk_mb": 100 * math.ceil(disk_mb / 100),
    }


def graphics_cards(device: str, local: bool) -> int:
    """Return how many graphics cards a job asks for.

    Jobs of a machine without a card need not queue for one.

    Parameters
    ----------
    device
        ``training.device`` of the configuration: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    local
        Whether jobs run on this machine; what those of a cluster have cannot be seen from here.
    """
    if device == "auto" and local:
        return int(any(Path(path).exists() for path in CARD_DRIVERS))
    return int(device != "cpu")


def require_disk(folder: str | Path, needed_mb: float, free_mb: float) -> None:
    """Refuse to start what the disk cannot hold.

    Parameters
    ----------
    folder
        Where the files would go.
    needed_mb
        What they may take together.
    free_mb
        What is free there.

    Raises
    ------
    InputError
        There is less free than needed.
    """
    if free_mb < needed_mb:
        raise InputError(
            folder,
            f"{free_mb / 1000:.1f} GB free",
            f"{needed_mb / 1000:.1f} GB, which the jobs of this run may write",
            "Free space, run from a folder on a larger disk (--directory), or ask for less: "
            "fewer models, or --config with smaller ones.",
        )
