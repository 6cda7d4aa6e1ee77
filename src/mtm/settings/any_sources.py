"""From which tissues of a person, and how many, others are told."""
# fmt: off

from typing import Annotated, ClassVar

from pydantic import Field

from mtm.settings.base import Names, Once, Section, key, seed

Counts = Annotated[tuple[Annotated[int, Field(ge=1, le=1000)], ...], Once]


class AnySources(Section):
    """How well models that take several tissues of a donor tell others from which of them, and from how many (methods 8.1)."""

    section: ClassVar = "any_sources"

    models: Names | None = key(None, "Models to ask; null takes every one with fits of its own that can take several tissues and does without covariates.")
    accessible: Names = key(("Skin - Sun Exposed (Lower leg)", "Adipose - Subcutaneous", "Muscle - Skeletal"), "Tissues (SMTSD) that a living person can give beside the source, the easiest first - by default what a punch, an aspiration and a needle reach under local anaesthesia. The first is added to the source, then the first two, and so on; names that the cohort lacks, and the source, are passed by.")
    random: Counts = key((1, 2, 5, 10), "How many other tissues to draw at random for each donor and target.")
    min_donors: int = key(20, "A target is scored from a choice of tissues where so many held-out donors have all of them, and the source.", ge=5, unit="donors")
    seed: int = seed("Seed of the tissues that are drawn.")
