"""What a bundle says of itself beside numbers."""
# fmt: off

from typing import ClassVar

from mtm.settings.base import Section, key


class ModelCard(Section):
    """What whoever is given a bundle is told by `mtm info`; needs `final_bundle`."""

    section: ClassVar = "model_card"

    licence: str | None = key(None, "Terms under which the bundle, and the data it was fitted on, may be used.", max_length=2000)
    citation: str | None = key(None, "What to cite where predictions of the bundle are used: the cohort's own paper.", max_length=2000)
