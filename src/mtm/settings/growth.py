"""How accuracy grows with training donors."""
# fmt: off

from typing import Annotated, ClassVar

from pydantic import Field

from mtm.settings.base import LARGEST, Names, Once, Section, key, seed

Donors = Annotated[tuple[Annotated[int, Field(ge=2, le=LARGEST)], ...], Once]


class Growth(Section):
    """How accuracy grows with training donors: models are fitted again on some of them, and the same held-out donors are told (methods 6.19). Off where `donors` is empty."""

    section: ClassVar = "growth"

    models: Names | None = key(None, "Models to fit again, each once a fold and number of donors; null takes those whose training takes no epochs.")
    donors: Donors = key((), "Numbers of training donors, drawn at random, the smaller among the larger; those that a fold does not exceed are passed by. Three or more make a curve.", unit="donors")
    promised: Donors = key((500, 1000), "Numbers of training donors that the curve is read at, as far as they are more than there are.", unit="donors")
    seed: int = seed("Seed of the order in which training donors are taken.")
