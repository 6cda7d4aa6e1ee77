"""Order, colour, marker and title of a model, by its name alone: the same in every figure.

Adding a model to a configuration changes nobody else's looks.
"""

from collections.abc import Iterable
from zlib import crc32

from mtm.figures.style import PALETTE

BLUE, VERMILION, GREEN, ORANGE, SKY, PINK, INDIGO, BROWN, GREY = PALETTE
# Title, colour and marker, in the order of figures. Models whose lines may stand in one panel
# (those trained by steps, the paper's) have colours of their own; others may share one, not both.
MODELS = {
    "mtm": ("MTM", BLUE, "o"),
    "mtm_z": ("MTM that sees z-scores", INDIGO, "o"),
    "mtm_log2": ("MTM log2", VERMILION, "s"),
    "mtm_log2_sources": ("MTM log2, all other tissues", SKY, "s"),
    "mtm_log2_covariates": ("MTM log2 + covariates", INDIGO, "s"),
    "joint": ("Joint model", BROWN, "^"),
    "joint_others": ("Joint model, all other tissues", GREEN, "^"),
    "ensemble": ("Ensemble", GREY, "v"),
    "ensemble_others": ("Ensemble, all other tissues", GREEN, "v"),
    "bgex": ("S1 B-GEx", ORANGE, "D"),
    "teebot": ("S2 TEEBoT", SKY, "^"),
    "teebot_covariates": ("S2 TEEBoT + covariates", SKY, "v"),
    "mlp": ("S3 per-tissue network", GREEN, "s"),
    "ridge": ("Ridge", PINK, "o"),
    "ridge_covariates": ("Ridge + covariates", PINK, ">"),
    "reduced_rank": ("Reduced rank", SKY, "<"),
    "reduced_rank_tpm": ("Reduced rank TPM", ORANGE, "<"),
    "nearest_donors": ("Nearest donors", BLUE, ">"),
    "tissue_average": ("Average of other tissues", BLUE, "s"),
    "same_gene": ("Same gene", ORANGE, "v"),
    "covariates": ("Covariates alone", INDIGO, "D"),
    "train_mean": ("Training mean", GREY, "o"),
    "oracle": ("Oracle", BROWN, "s"),
}
# How landmarks are made whole, from what knows least to what knows most.
LANDMARK_METHODS = {
    "nearest": "Nearest samples",
    "one_ridge": "One ridge",
    "dgex": "D-GEX",
    "pcr": "Principal components",
    "ridge": "Ridge per tissue",
    "mlp_on_ridge": "Network on ridge",
}
# How profiles of genes are told, from what knows least to what knows most.
PROFILE_METHODS = {
    "tissue_mean": "Tissue mean",
    "own_mean": "Own mean",
    "nearest": "Nearest gene",
    "tissues": "Own tissues",
    "neighbours": "+ neighbours",
    "promoter": "+ promoter",
    "conservation": "+ conservation",
    "family": "+ family",
    "trees": "+ trees",
    "hybrid": "Hybrid network",
    "stack": "All parts",
}
# What imputes failed genes, and codes of samples.
IMPUTERS = {
    "tissue_mean": "Tissue mean",
    "zinb": "Autoencoder, ZINB",
    "nb": "Autoencoder, NB",
    "vae": "Autoencoder, Gaussian",
    "gaussian": "Gaussian conditional",
    "average": "Mean of conditional and autoencoder",
}
CODE_KINDS = {
    "pca": "Principal components",
    "vae": "Autoencoder",
    "vae_penalty": "Autoencoder + penalty",
    "minus_means": "Minus tissue means",
    "tissue_z": "z-scores within tissue",
    "joint": "Joint model's factors",
}
RANK = {name: rank for rank, name in enumerate(MODELS)}
# Those of no model above, so that a name unknown here never looks like a known one.
OTHER_STYLES = [(color, marker) for color in PALETTE for marker in "phd*PX"]


def family(model: str) -> str:
    """Longest known name that `model` is a variant of, as ``mtm_wide`` is of ``mtm``, or none."""
    while model and model not in MODELS:
        model = model.rpartition("_")[0]
    return model


def ordered(models: Iterable[str]) -> list[str]:
    """Each model once: known ones first, each followed by its variants, others alphabetically."""
    return sorted(set(models), key=lambda name: (RANK.get(family(name), len(RANK)), name))


def title(model: str) -> str:
    """Name of a model in words; that of a variant begins with its family's."""
    known = family(model)
    rest = model.removeprefix(known).replace("_", " ")
    return MODELS[known][0] + rest if known else model


def style(model: str) -> dict[str, str]:
    """Colour and marker of a model; ready as keyword arguments."""
    if model in MODELS:
        _, color, marker = MODELS[model]
    else:
        color, marker = OTHER_STYLES[crc32(model.encode()) % len(OTHER_STYLES)]
    return {"color": color, "marker": marker}
