"""How z-scores are made."""
# fmt: off

from typing import ClassVar, Literal

from mtm.settings.base import Section, key

SdRule = Literal["unit_below_one", "plain"]


class Scaling(Section):
    """How TPM becomes z-scores, per tissue and gene, with statistics of training donors."""

    section: ClassVar = "scaling"

    # On the log2_z scale the published rule does not exist, and means `plain` (ddof 0; 1 where it is 0).
    sd_rule: SdRule = key("unit_below_one", "Standard deviation on the tpm_z scale. `unit_below_one` - 1 where the mean TPM is below 1, the published code's rule; `plain` - the standard deviation of every gene.")
    log2_clip: float | None = key(5.0, "z-scores of log2(1+TPM) are limited to plus and minus this; null leaves them.", gt=0, unit="sd")
