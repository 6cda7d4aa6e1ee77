"""The model card: what a bundle says of itself, for people and as JSON."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtm.errors import shown
from mtm.models.base import Predictor
from mtm.models.cut import of_the_whole
from mtm.models.header import CardHeader, TargetAccuracy
from mtm.models.reference import FEWEST_SAMPLES
from mtm.settings.model_card import ModelCard
from mtm.vocabulary import HEADLINE, MEAN_OF_TISSUES

# Columns of ``accuracy/by_tissue``, and what they are called here.
OF_TABLE = {
    "mean_rho": "rho",
    "ci_low": "ci_low",
    "ci_high": "ci_high",
    "null_low": "null_low",
    "null_high": "null_high",
}
NOT_STATED = "not stated"
# Mean and sd of two samples are the two samples.
SAFE = 3


def card_of(
    by_tissue: pd.DataFrame,
    covariates: Sequence[pd.DataFrame],
    coverage: pd.DataFrame,
    said: ModelCard,
) -> CardHeader:
    """Make the card of a model from the tables of its cross-validation.

    Parameters
    ----------
    by_tissue
        ``accuracy/by_tissue/{model}.tsv``.
    covariates
        The same table of the covariates-only model, where the run has one.
    coverage
        ``intervals/coverage/{model}.tsv``.
    said
        Licence and citation.
    """
    table = _headline(by_tissue)
    level = float(coverage["level"].max())
    widest = coverage[(coverage["level"] == level) & (coverage["by"] == "all")]
    table["coverage"] = widest.set_index("tissue")["coverage"].reindex(table.index)
    for other in covariates[:1]:
        table["covariates_rho"] = _headline(other)["rho"].reindex(table.index)
    numbers = [name for name in TargetAccuracy.model_fields if name in table]
    counts = ("n_samples", "n_genes")
    rows = [
        TargetAccuracy(
            target=str(tissue),
            **{name: int(row[name]) if name in counts else _number(row[name]) for name in numbers},
        )
        for tissue, row in table[numbers].iterrows()
    ]
    words = {"licence": said.licence or "", "citation": said.citation or ""}
    return CardHeader(**words, level=level, accuracy=tuple(rows))


def _headline(by_tissue: pd.DataFrame) -> pd.DataFrame:
    """Return gene-wise rho of the headline, indexed by tissue."""
    kept = (
        (by_tissue["scale"] == HEADLINE.scale)
        & (by_tissue["level"] == "gene_wise")
        & (by_tissue["convention"] == HEADLINE.convention)
        & (by_tissue["tissue"] != MEAN_OF_TISSUES)
    )
    return by_tissue[kept].set_index("tissue").rename(columns=OF_TABLE)


def _number(value: float) -> float | None:
    """Return a number as JSON can have it."""
    return round(float(value), 6) if np.isfinite(value) else None


def told(model: Predictor, header: dict) -> dict:
    """Return what there is to be told of a bundle, as plain values.

    Parameters
    ----------
    model
        The fitted model.
    header
        Of its bundle.

    Returns
    -------
    dict
        For JSON: identity, cohort and donors, tissues it knows with samples, sources,
        accuracy by target, calibration, what was cut away, checks, licence, citation, versions,
        parameters.
    """
    provenance, known = model.provenance, model.certificate
    counts = None if model.reference is None else model.reference.n_samples.tolist()
    trained = list(model.known_tissues)
    card = model.card or CardHeader()
    sources = trained if model.several_sources else [model.provenance.source]
    return {
        "model": provenance.name or model.name,
        "class": model.name,
        "bundle_version": header["bundle_version"],
        "holds": holds(model),
        "cohort": provenance.cohort or None,
        "fold": provenance.fold or None,
        "for_new_people": provenance.fold in ("", "all"),
        "seed": provenance.seed,
        "n_donors": len(provenance.training_donors),
        "n_genes": len(model.genes),
        "first_genes": list(model.genes.index[:3]),
        "tissues": [
            {"tissue": name, "n_samples": counts[i] if counts else None}
            for i, name in enumerate(model.tissues)
            if model.known[i]
        ],
        "scale": model.scale,
        "sources": sources,
        "several_sources": model.several_sources,
        "certified_sources": None if known is None else list(known.sources),
        "interval_level": card.level,
        "accuracy": [row.model_dump() for row in accuracy_of(model)],
        "reliability": None if known is None else known.in_words(),
        "cut": model.cut or None,
        "expected_false_alarms": model.reference and model.reference.false_alarms,
        "unchecked_sources": _unchecked(model, sources),
        "licence": card.licence or None,
        "citation": card.citation or None,
        "versions": header["versions"],
        "parameters": header["parameters"],
        "notes": provenance.notes,
    }


def _unchecked(model: Predictor, sources: Sequence[str]) -> list[str]:
    """Names of the tissues whose new samples are held against nothing: of few training samples."""
    if model.reference is None:
        return list(sources)
    without = np.isnan(model.reference.limits).all(1)
    return [name for name in sources if without[model.tissues.index(name)]]


def holds(model: Predictor) -> str:
    """Say whether a bundle holds single people's data, and of how many."""
    n_donors = len(model.provenance.training_donors)
    if held := model.individual_arrays():
        return f"individual-level data of {n_donors} donors ({shown(held)})"
    few = model.few_samples(SAFE).sum() if model.reference is not None else 0
    if few:
        return f"individual-level data: mean and sd of {few} tissues with under {SAFE} samples"
    return f"summary statistics only, of {n_donors} donors"


def accuracy_of(model: Predictor) -> tuple[TargetAccuracy, ...]:
    """Return accuracy by target: the card's, else the mean over genes of the certificate's."""
    if model.card is not None:
        return model.card.accuracy
    known = model.certificate
    if known is None:
        return ()
    return tuple(
        TargetAccuracy(
            target=name,
            n_samples=int(known.n_donors[i]),
            n_genes=int(np.isfinite(known.rho[i]).sum()),
            rho=_number(np.nanmean(known.rho[i])) if np.isfinite(known.rho[i]).any() else None,
        )
        for i, name in enumerate(model.tissues)
        if known.n_donors[i] > 0
    )


def in_words(card: dict) -> dict[str, list[str]]:
    """Return what `told` gives as lines under headings, for people."""
    made_of = f" (class {card['class']})" if card["class"] != card["model"] else ""
    fold = card["fold"] or "not recorded"
    if not card["for_new_people"]:
        fold += (
            " held out: made to measure accuracy; give new people the bundle of all donors "
            "(all.safetensors)"
        )
    sizes = [
        t["tissue"] + ("" if t["n_samples"] is None else f" {t['n_samples']}")
        for t in card["tissues"]
    ]
    several = "any, several at once: " if card["several_sources"] else ""
    known = card["reliability"] or {"certificate": "none"}
    whole = [of_the_whole(card["cut"])] if card["cut"] else []
    return {
        "model": [f"{card['model']}{made_of}"],
        "cohort": [card["cohort"] or "not recorded"],
        "fold": [fold],
        "training donors": [str(card["n_donors"])],
        "tissues": [f"{len(sizes)} (samples): {'; '.join(sizes)}"],
        "genes": [f"{card['n_genes']} ({', '.join(card['first_genes'])}, ...)"],
        "scale": [card["scale"]],
        "sources": [several + "; ".join(card["sources"])],
        "accuracy": whole * bool(card["accuracy"]) + _accuracy_words(card),
        **{name: [text, *whole * bool(card["reliability"])] for name, text in known.items()},
        "checks": [_check_words(card)],
        "licence": [card["licence"] or NOT_STATED],
        "citation": [card["citation"] or NOT_STATED],
    }


def _check_words(card: dict) -> str:
    """Say which new samples are held against the training donors'."""
    false_alarms, without = card["expected_false_alarms"], card["unchecked_sources"]
    if false_alarms is None:
        return "none: train it again for limits of new samples"
    if len(without) == len(card["sources"]):
        return f"none: no tissue it predicts from has {FEWEST_SAMPLES} training samples"
    of = f"new samples but those of {'; '.join(without)}" if without else "every new sample"
    return f"of {of}; {false_alarms:.0%} of samples like the training donors' are warned of"


def _accuracy_words(card: dict) -> list[str]:
    """Return a line a target."""
    if not card["accuracy"]:
        return ["not recorded"]
    source = "; ".join(card["certified_sources"] or card["sources"])
    lines = [f"of held-out donors told from {source}: correlation over people, mean over genes"]
    for row in sorted(card["accuracy"], key=lambda r: -(r["rho"] if r["rho"] is not None else -2)):
        lines.append(f"{row['target']}: {_of_target(row, card['interval_level'])}")
    return lines


def _of_target(row: dict, level: float | None) -> str:
    """Return the figures of a target."""
    if row["rho"] is None:
        return f"not known ({row['n_samples']} samples)"

    def between(name: str) -> str:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return "" if low is None or high is None else f"{low:z.3f} to {high:z.3f}"

    parts = [f"{row['rho']:z.3f}" + (f" ({between('ci')})" if between("ci") else "")]
    if row["covariates_rho"] is not None:
        parts.append(f"covariates alone {row['covariates_rho']:z.3f}")
    if between("null"):
        parts.append(f"permuted donors {between('null')}")
    if row["coverage"] is not None:
        parts.append(f"{level:.0%} intervals hold {row['coverage']:.1%}")
    return f"{', '.join(parts)}; {row['n_samples']} samples, {row['n_genes']} genes"
