"""Where a fitted model comes from: cohort, fold, seed, source, and whom it was fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from mtm.models.donors import DonorsKey, TrainingDonors


@dataclass
class Provenance:
    """Where a fitted model comes from; travels in its bundle."""

    name: str = ""
    cohort: str = ""
    fold: str = ""
    seed: int = 0
    source: str = ""
    training_donors: TrainingDonors = TrainingDonors()
    notes: dict = field(default_factory=dict)

    def header(self, key: DonorsKey | None) -> dict:
        """Return what a bundle holds of it; digests of ids are made with `key`."""
        return vars(self) | self.training_donors.header(key)

    @classmethod
    def of(cls, header: Mapping, key: DonorsKey | None) -> "Provenance":
        """Take it from a bundle's header, checked."""
        known = {item.name for item in fields(cls)} & set(header) - {"training_donors"}
        donors = TrainingDonors.from_header(header, key)
        return cls(**{name: header[name] for name in known}, training_donors=donors)
