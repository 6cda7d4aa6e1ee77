"""What all settings share: one line a key, strict checks, errors that say what to do."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mtm.errors import InputError, shown

# No number is larger: what is asks for memory or time that nobody has.
LARGEST = 10**9
# Where that is known of a unit: at a second for each a run would take weeks, or the least that
# each takes fills the largest machines.
MOST = {
    "permutations": 100_000,
    "bootstrap samples": 100_000,
    "splits": 10_000,
    "repeats": 10_000,
    "halvings": 10_000,
    "folds": 1000,
    "penalties": 10_000,
    "components": 10_000,
    "factors": 1000,
    "epochs": 1_000_000,
    "iterations": 1_000_000,
    "passes": 1_000_000,
    "optimiser steps": 100_000_000,
    "donors": 1_000_000,
    "pairs": 10_000_000,
    "genes": 1_000_000,
    "MiB": 16_777_216,
}
# What every library takes that draws random numbers.
LARGEST_SEED = 2**32 - 1


def key(default: Any, meaning: str, *, unit: str = "", **rules: Any) -> Any:
    """Declare one key of a section.

    Parameters
    ----------
    default
        ``...`` where the key is required.
    meaning
        A sentence for the manual.
    unit
        Of its values, where they have one.
    rules
        Bounds, as `pydantic.Field` takes them; numbers are at most what `MOST` says of their
        unit, else `LARGEST`.
    """
    if type(default) in (int, float) and "lt" not in rules:
        rules = {"le": MOST.get(unit, LARGEST)} | rules
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **rules)


def seed(meaning: str, default: int = 0) -> Any:
    """Declare a key that starts random numbers."""
    return key(default, meaning, ge=0, le=LARGEST_SEED)


def _once(values: tuple) -> tuple:
    # Of a bundle's training donors there may be many.
    counts = Counter(values)
    repeated = next((value for value in values if counts[value] > 1), None)
    if repeated is not None:
        found = InputError("", f"{repeated!r} twice", "every one once")
        raise PydanticCustomError("disagreement", "{problems}", {"problems": [found]})
    return values


# What the pages' markup would act on: signs of emphasis, references and links.
_MARKUP = re.compile(r"[`*|<>\\]|_(?!\w)|\b[A-Za-z][A-Za-z0-9+.-]*:(?=\S)")


def _without_markup(text: str) -> str:
    if _MARKUP.search(text):
        found = InputError(
            "", shown(text), "a name without signs of markup (` * | < > \\) or links"
        )
        raise PydanticCustomError("disagreement", "{problems}", {"problems": [found]})
    return text


def _spelt(text: str) -> str:
    # As tables are read: programs differ in how they store an accent.
    return unicodedata.normalize("NFC", text)


# A name that stands in captions of the report.
Label = Annotated[str, AfterValidator(_without_markup), AfterValidator(_spelt)]


def _switch(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


# Snakemake's `--config` makes text of true and false.
Switch = Annotated[bool, BeforeValidator(_switch)]
Once = AfterValidator(_once)
Names = Annotated[tuple[Annotated[str, AfterValidator(_spelt)], ...], Once]
Labels = Annotated[tuple[Label, ...], Once]


def _tuples(value: object) -> object:
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


class _Refusing(type(BaseModel)):
    """Makes a section that is built in Python say what is wrong as a config file's does."""

    def __call__(cls, **values: Any):
        try:
            return super().__call__(**values)
        except ValidationError as error:
            from mtm.settings.wording import problems_of

            raise InputError.together(problems_of(error, cls, values, f"{cls.section}.")) from None


class Section(BaseModel, metaclass=_Refusing):
    """A section of the configuration: frozen, strict, without unknown keys.

    Lists become tuples; a whole number may stand for a decimal one, and nothing else for what it
    is not. Its docstring is the section's sentence in the manual.

    Raises
    ------
    InputError
        A key is unknown or a value is not allowed; every problem is named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    section: ClassVar[str] = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Build from a section of a configuration."""
        return cls(**values)

    def with_(self, **changes: Any) -> Self:
        """Return the same settings with some changed, checked again."""
        return type(self)(**dict(self) | changes)

    def disagreements(self) -> Iterator[InputError]:
        """Yield what keys demand of each other and do not get; `where` is the key."""
        yield from ()

    @model_validator(mode="before")
    @classmethod
    def _with_tuples(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {name: _tuples(value) for name, value in values.items()}

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if found := list(self.disagreements()):
            raise PydanticCustomError("disagreement", "{problems}", {"problems": found})
        return self
