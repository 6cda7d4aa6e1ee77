"""The error of input that cannot be used, and what an analysis says that cannot be done."""

import copyreg
from collections.abc import Callable, Sequence
from typing import Self

# Longer values are cut where a message shows them.
SHOWN = 200


def printable(text: object) -> str:
    """Return text from outside as it may be printed: what is no letter or sign is escaped.

    Of a terminal's control sequences, line ends and half characters nothing is left to act.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def shown(value: object) -> str:
    """Return a value as a message shows it: its `repr`, printable and not too long."""
    if isinstance(value, str | bytes | list | tuple) and len(value) > SHOWN:
        return f"{printable(repr(value[:SHOWN]))[:SHOWN]}... ({len(value)} in all)"
    text = printable(repr(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def numbered(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 sample, 2 samples, 0 people.

    Parameters
    ----------
    n
        How many.
    one, many
        The noun; its plural, where that is not with an s.
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


class _OfParts(Exception):
    """An error whose message is put together from its parts, whole on either side of a process."""

    def __reduce__(self):
        # An exception's own way calls its class with the message in place of the parts.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)


class InputError(_OfParts, ValueError):
    """Input from outside the project (a file, a config value, a bundle) that cannot be used.

    Parameters
    ----------
    where
        File, with row or column where known, or config key.
    found
        What stands there.
    expected
        What should stand there.
    hint
        What the user can do about it.
    """

    def __init__(self, where: object, found: str, expected: str, hint: str = ""):
        self.where, self.found, self.expected, self.hint = str(where), found, expected, hint
        message = f"{where}: found {found}; expected {expected}."
        super().__init__(printable(f"{message} {hint}".rstrip()))

    @property
    def parts(self) -> tuple[Self, ...]:
        """The problems that an error of several tells of; of any other, itself."""
        fields = vars(self).get("several", ())
        return tuple(type(self)(*given) for given in fields) or (self,)

    @classmethod
    def together(cls, problems: Sequence[Self]) -> Self:
        """Return one error that tells of all `problems`, each on its line, the first in full."""
        first = problems[0]
        error = cls(first.where, first.found, first.expected, first.hint)
        parts = [part for problem in problems for part in problem.parts]
        error.several = tuple((p.where, p.found, p.expected, p.hint) for p in parts)
        if len(parts) > 1:
            error.args = ("\n".join([f"{len(parts)} problems:", *map(str, parts)]),)
        return error

    def within(self, place: object) -> Self:
        """Return the same error of what is a part of `place`, a file."""
        return self.together(
            [type(self)(f"{place}, {p.where}", p.found, p.expected, p.hint) for p in self.parts]
        )

    def reworded(self, word: Callable[[str], str]) -> Self:
        """Return the same error in other words: what `word` makes of each text of its parts."""
        return self.together(
            [type(self)(*map(word, (p.where, p.found, p.expected, p.hint))) for p in self.parts]
        )


# Packages that come with an extra of the distribution, and with which; others with `workflow`.
DISTRIBUTION = "tissue-from-blood"
EXTRAS = {"torch": "torch"}


def not_installed(error: ModuleNotFoundError, where: object) -> InputError:
    """Return, for a package that is missing, the error that says which extra brings it.

    Of a module of this package, the file that a new model or analysis was to have.
    """
    package = (error.name or "").partition(".")[0]
    if package == "mtm":
        path = error.name.replace(".", "/")
        hint = "It takes two files (docs/extending.md)."
        return InputError(where, f"no module {error.name}", f"the file src/{path}.py", hint)
    extra = EXTRAS.get(package, "workflow")
    return InputError(
        where,
        f"no package {package} in this environment",
        f"the extra {extra}",
        f"pip install '{DISTRIBUTION}[{extra}]', or '.[{extra}]' in a clone.",
    )


class CannotDo(_OfParts):
    """Sound input that gives an analysis too little to work on: it is left out, the run goes on.

    `mtm.pipeline.scripting.run` writes it in place of the tables that are not made, whoever reads
    one of them raises it again, and ``tables/skipped.tsv`` lists it.

    Parameters
    ----------
    analysis
        What is left out.
    reason
        What was found, and what it would need.
    remedy
        What would bring it back.
    """

    def __init__(self, analysis: str, reason: str, remedy: str):
        self.analysis, self.reason, self.remedy = analysis, reason, remedy
        super().__init__(printable(f"{analysis} left out: {reason}. To have it, {remedy}."))


# Why, and what would bring back, what is made of TPM.
NO_TPM = (
    "expression on a scale of its own (inputs.units), which has no TPM",
    "give expression in TPM or counts",
)
