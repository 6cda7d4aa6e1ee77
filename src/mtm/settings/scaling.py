"""How z-scores are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SdRule = Literal["unit_below_one", "plain"]


@dataclass(frozen=True)
class Scaling:
    """How z-scores are made; the scaling section of the config.

    Parameters
    ----------
    sd_rule
        - ``"unit_below_one"``: sd is 1 where mean TPM < 1, the published code's rule; for
          ``"log2_z"`` no such rule exists and this means ``"plain"``
        - ``"plain"``: the sd (ddof 0); 1 where it is 0
    log2_clip
        z-scores of ``"log2_z"`` are limited to ``[-log2_clip, log2_clip]``; None leaves them.
    """

    sd_rule: SdRule = "unit_below_one"
    log2_clip: float | None = 5.0

    @classmethod
    def of(cls, values: Mapping) -> "Scaling":
        """Build from the config's section."""
        return cls(**values)
