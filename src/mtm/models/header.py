"""The header of a bundle: every key of it, checked before anything is made of it."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from mtm.cohort.genes import gene_key
from mtm.errors import InputError, shown
from mtm.models.donors import DIGEST_LENGTH
from mtm.settings.base import Once, Section
from mtm.settings.models.base import declared
from mtm.vocabulary import RELIABILITY, SCALES_OF, Measure, Scale


def _plain(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        found = InputError("", shown(name), "printable text without blank ends")
        raise PydanticCustomError("disagreement", "{problems}", {"problems": [found]})
    return name


Name = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_plain)]
Text = Annotated[str, StringConstraints(max_length=300)]
Digest = Annotated[str, StringConstraints(pattern=f"^[0-9a-f]{{{DIGEST_LENGTH}}}$")]
Prose = Annotated[str, StringConstraints(max_length=2000)]
Share = Annotated[float, Field(gt=0, lt=1)]
Correlation = Annotated[float, Field(ge=-1, le=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]


class _Part(Section):
    """A part of a header; keys that it does not know mean nothing to it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class ProvenanceHeader(_Part):
    """Where a fitted model comes from."""

    name: Text = ""
    cohort: Text = ""
    fold: Text = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    source: Name
    n_training_donors: Annotated[int, Field(ge=0, lt=2**31)]
    training_donors: Annotated[tuple[Digest, ...], Once]
    donors_key: Digest | Literal[""]
    notes: dict[str, Any] = {}

    def disagreements(self) -> Iterator[InputError]:
        """Demand a digest of every donor, or of none where no key made them."""
        expected = self.n_training_donors if self.donors_key else 0
        if len(self.training_donors) != expected:
            found = f"{len(self.training_donors)} digests"
            yield InputError("training_donors", found, f"{expected}")


class CertificateHeader(_Part):
    """What intervals and reliability are of."""

    sources: Annotated[tuple[Name, ...], Once, Field(min_length=1)]
    levels: Annotated[tuple[Share, ...], Once, Field(min_length=1, max_length=9)]
    own_sd: bool
    thresholds: dict[Literal[RELIABILITY], Correlation]

    def disagreements(self) -> Iterator[InputError]:
        """Demand rising levels."""
        if list(self.levels) != sorted(self.levels):
            yield InputError("levels", str(list(self.levels)), "shares from the smallest on")


class ReferenceHeader(_Part):
    """What limits of new samples are."""

    false_alarms: Share


class TargetAccuracy(_Part):
    """How well held-out donors' samples of a tissue were told: gene-wise rho, mean over genes."""

    target: Name
    n_samples: Annotated[int, Field(ge=0)]
    n_genes: Annotated[int, Field(ge=0)]
    rho: Correlation | None = None
    ci_low: Correlation | None = None
    ci_high: Correlation | None = None
    null_low: Correlation | None = None
    null_high: Correlation | None = None
    covariates_rho: Correlation | None = None
    coverage: Annotated[float, Field(ge=0, le=1)] | None = None


class CardHeader(_Part):
    """What cross-validation and whoever trained a model say of it."""

    licence: Prose = ""
    citation: Prose = ""
    level: Share | None = None
    accuracy: tuple[TargetAccuracy, ...] = ()

    def without(self, tissues: Iterable[str]) -> Self:
        """Return it without what it says of some tissues."""
        told = tuple(row for row in self.accuracy if row.target not in set(tissues))
        return self.model_copy(update={"accuracy": told})

    def disagreements(self) -> Iterator[InputError]:
        """Demand the level of intervals whose coverage is told."""
        if self.level is None and any(row.coverage is not None for row in self.accuracy):
            yield InputError("level", "nothing beside coverage", "what intervals should hold")


class ModelHeader(_Part):
    """What a bundle holds of a model beside its arrays."""

    section: ClassVar = "header"

    model: Name
    scale: Scale
    clip: Annotated[float, Field(gt=0)] | None
    measure: Measure = "tpm"
    parameters: dict[str, Any]
    tissues: Names
    gene_ids: Names
    symbols: tuple[Text, ...]
    provenance: ProvenanceHeader
    certificate: CertificateHeader | None = None
    reference: ReferenceHeader | None = None
    card: CardHeader | None = None
    members: dict[Name, "ModelHeader"] = {}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Check a header's values.

        Raises
        ------
        InputError
            A key is missing or a value not allowed; every problem is named.
        """
        return cls(**{name: value for name, value in values.items() if name in cls.model_fields})

    def disagreements(self) -> Iterator[InputError]:
        """Yield what keys demand of each other, and of the class of model."""
        # Two versions of one gene are one gene to whoever brings data.
        genes = map(gene_key, self.gene_ids)
        for key, kind, names in (("tissues", "tissue", self.tissues), ("gene_ids", "gene", genes)):
            if (place := _repeated(names)) is not None:
                name = shown(getattr(self, key)[place])
                yield InputError(key, f"the {kind} {name} a second time", "every one once")
        if len(self.symbols) != len(self.gene_ids):
            counts = f"{len(self.symbols)} symbols", f"one for each of {len(self.gene_ids)} genes"
            yield InputError("symbols", *counts)
        if self.provenance.source not in self.tissues:
            source = shown(self.provenance.source)
            yield InputError("provenance.source", source, "one of the tissues")
        known = set(self.tissues)
        for name in self.certificate.sources if self.certificate else ():
            if name not in known:
                yield InputError("certificate.sources", shown(name), "tissues of the bundle")
        told = [row.target for row in self.card.accuracy] if self.card else []
        for name in told:
            if name not in known:
                yield InputError("card.accuracy", shown(name), "tissues of the bundle")
        if (place := _repeated(told)) is not None:
            yield InputError("card.accuracy", f"{shown(told[place])} twice", "every target once")
        if self.scale == "tpm_z" and self.clip is not None:
            yield InputError("clip", f"{self.clip:g}", "nothing (null) on the scale tpm_z")
        if self.scale not in SCALES_OF[self.measure]:
            yield InputError("scale", self.scale, f"log2_z, as its measure is {self.measure}")
        try:
            parameters = declared(self.model).of(self.parameters)
        except (InputError, TypeError) as error:
            where = f"model {shown(self.model)}"
            yield InputError(
                where, f"parameters that cannot be used ({error})", "those of a model"
            )
            return
        if parameters.scale != self.scale:
            yield InputError("scale", self.scale, f"{parameters.scale}, as its parameters say")
        if self.certificate and self.certificate.own_sd and not parameters.own_sd:
            yield InputError("certificate.own_sd", "true", f"false, as a {self.model} gives no sd")
        yield from self._of_members(parameters.members)

    def _of_members(self, names: tuple[str, ...]) -> Iterator[InputError]:
        if set(names) != set(self.members):
            yield InputError("members", shown(sorted(self.members)), shown(sorted(names)))
        for name, member in self.members.items():
            # Arrays of a member stand below its name.
            if "/" in name:
                yield InputError("members", shown(name), "names without /")
            if (member.tissues, member.gene_ids) != (self.tissues, self.gene_ids):
                found = "other tissues or genes"
                yield InputError(f"members.{name}", found, "those of the model that it belongs to")
            if member.measure != self.measure:
                yield InputError(f"members.{name}.measure", member.measure, self.measure)


class BundleHeader(ModelHeader):
    """The header of a file: that of its model, and what wrote it."""

    bundle_version: Annotated[int, Field(ge=1)]
    versions: dict[Name, Name]


def _repeated(names: Iterable[Hashable]) -> int | None:
    """Return the first place at which something stands that stood before."""
    seen: set[Hashable] = set()
    return next((i for i, name in enumerate(names) if name in seen or seen.add(name)), None)
