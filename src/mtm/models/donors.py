"""Whom a model was fitted on, told by keyed digests: a bundle names nobody (methods 6.7)."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from mtm.errors import InputError
from mtm.io import atomic_path, require_file

DIGEST_LENGTH = 32
_SECRET_LENGTH = 64
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, repr=False)
class DonorsKey:
    """The secret that turns donors' ids into digests, and no digest back into an id.

    It stays with the results that it was made for. Who has it and a list of ids can tell which of
    them a model was fitted on; who has it not cannot, as ids are too few to be safe by a plain
    digest.
    """

    secret: bytes

    @classmethod
    def write(cls, path: str | Path) -> Self:
        """Make a new key and write it, for its owner alone to read."""
        key = cls(secrets.token_bytes(_SECRET_LENGTH // 2))
        with atomic_path(path) as temporary:
            temporary.touch(0o600)
            temporary.write_text(key.secret.hex() + "\n")
        return key

    @classmethod
    def kept(cls, path: str | Path) -> Self:
        """Return the key that stands at a path; make it where nothing does.

        In place of one that is damaged none is made: what bundles were told by would be lost.
        """
        return cls.read(path) if os.path.lexists(path) else cls.write(path)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a key.

        Raises
        ------
        InputError
            The file is missing or no key.
        """
        with require_file(path, "the key of training donors (donors.key)").open("rb") as file:
            text = file.read(_SECRET_LENGTH + 3).decode("ascii", "replace").strip()
        if len(text) != _SECRET_LENGTH or not _HEX.issuperset(text):
            expected = f"{_SECRET_LENGTH} hexadecimal digits in one line, as a run writes them"
            raise InputError(path, "a file that is no key of training donors", expected)
        return cls(bytes.fromhex(text))

    @property
    def name(self) -> str:
        """What tells this key from others: the digest of no donor."""
        return self.digest("")

    def digest(self, donor: str) -> str:
        """Return the digest of one id: HMAC-SHA256, its first half in hexadecimal digits."""
        return hmac.new(self.secret, donor.encode(), hashlib.sha256).hexdigest()[:DIGEST_LENGTH]

    def digests(self, donors: Iterable[str]) -> list[str]:
        """Return the digests of ids, sorted: their order tells nothing."""
        return sorted(map(self.digest, donors))


@dataclass(frozen=True)
class TrainingDonors:
    """The people whom a model was fitted on.

    Parameters
    ----------
    count
        How many they are.
    names
        Their ids, known to the process that fitted the model; a bundle never holds them.
    digests
        Digests of their ids, from a bundle; none where it was saved without a key.
    made_with
        Name of the key that made the digests; "" where there are none.
    key
        The key that was given to tell them; None for none.
    """

    count: int = 0
    names: tuple[str, ...] = ()
    digests: frozenset[str] = frozenset()
    made_with: str = ""
    key: DonorsKey | None = field(default=None, compare=False)

    @classmethod
    def of(cls, names: Sequence[str]) -> Self:
        """Return people whose ids are known."""
        return cls(len(names), tuple(names))

    def __len__(self) -> int:
        return self.count

    @property
    def known(self) -> bool:
        """Whether it can be told who is among them."""
        has_key = self.key is not None and self.key.name == self.made_with
        return has_key or len(self.names) == self.count

    def among(self, donors: Iterable[str]) -> np.ndarray:
        """Return which of `donors` are among them, shape ``(n_donors,)``, bool.

        Raises
        ------
        InputError
            It cannot be told.
        """
        if not self.known:
            found = "digests made with another key" if self.key else "no key"
            raise InputError(
                "training donors",
                found if self.made_with else "no digests",
                f"digests of all {self.count} and the key that made them (donors.key)",
                "The key stands beside the results that the bundle is of.",
            )
        if len(self.names) == self.count:
            everyone = set(self.names)
            return np.array([donor in everyone for donor in donors], bool)
        return np.array([self.key.digest(donor) in self.digests for donor in donors], bool)

    def header(self, key: DonorsKey | None) -> dict:
        """Return what a bundle holds of them: how many they are, and digests made with `key`."""
        digests, made_with = sorted(self.digests), self.made_with
        if key is not None and self.names:
            digests, made_with = key.digests(self.names), key.name
        return {
            "n_training_donors": self.count,
            "training_donors": digests,
            "donors_key": made_with,
        }

    @classmethod
    def from_header(cls, header: Mapping, key: DonorsKey | None) -> Self:
        """Take them from the provenance of a bundle's header, checked."""
        digests = frozenset(header["training_donors"])
        return cls(header["n_training_donors"], (), digests, header["donors_key"], key)
