"""The average of other models: of the seeds of one, or of any (methods 6.10)."""

from collections.abc import Iterator
from copy import copy
from typing import Self

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests, Training
from mtm.models.donors import DonorsKey
from mtm.models.layout import Layout, below
from mtm.models.registry import described, load, register
from mtm.models.requests import without_missing
from mtm.settings.models.average import AverageParameters


@register("average")
class Average(Predictor):
    """Predict the mean of what the members predict; its bundle holds theirs."""

    Parameters = AverageParameters

    def __init__(self, parameters=None):
        super().__init__(parameters)
        self.members: dict[str, Predictor] = {}

    def _fit(self, training: Training) -> pd.DataFrame:
        mine = self.provenance.training_donors
        self.members = {}
        for name in self.parameters.members:
            path = training.members[name]
            self.members[name] = load(path, training.donors_key)
            theirs = self.members[name].provenance.training_donors
            if len(theirs) != len(mine) or not theirs.among(mine.names).all():
                raise InputError(
                    path,
                    f"a model fitted on {len(theirs)} donors",
                    f"the {len(mine)} donors of the other members",
                    "Train the members of an average on the same fold.",
                )
        return pd.DataFrame({"epoch": [0]})

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return the mean over members, those of another scale brought to this one."""
        total = np.zeros((len(requests), len(self.genes)), np.float32)
        for expr_z in self._told(inputs, requests):
            total += expr_z
        return total / len(self.members)

    @property
    def used_covariates(self) -> tuple[str, ...]:
        """Those of all members."""
        names = (name for member in self.members.values() for name in member.used_covariates)
        return tuple(dict.fromkeys(names))

    @property
    def cut(self) -> str:
        """What was cut away of the members."""
        parts = {name: member.cut for name, member in self.members.items()}
        return "; ".join(f"of member {name} {part}" for name, part in parts.items() if part)

    @property
    def several_sources(self) -> bool:
        """Whether every member takes several samples of a donor."""
        return all(member.several_sources for member in self.members.values())

    @property
    def takes_missing(self) -> bool:
        """Whether a member leaves out genes that inputs lack, or ranks those there are.

        Members of two scales have each a training mean of its own to put there.
        """
        members = self.members.values()
        scales = {member.scale for member in members}
        return len(scales) > 1 or any(member.given_missing for member in members)

    @property
    def completed(self) -> tuple[str, ...]:
        """Members that do not, and are given the training mean."""
        names: list[str] = []
        for name, member in self.members.items():
            names += member.completed if member.given_missing else [name]
        return tuple(names)

    def _told(self, inputs: Cohort, requests: Requests) -> Iterator[np.ndarray]:
        """Yield what each member predicts, on this scale."""
        for member in self.members.values():
            asked = (inputs, requests)
            if not member.given_missing:
                asked = without_missing(member, *asked)
            expr_z = member.predict(*asked)
            yield self._rescaled(member, self.scaler, expr_z, requests.target)

    def _rescaled(
        self, member: Predictor, scaler: TissueScaler, expr_z: np.ndarray, target: np.ndarray
    ) -> np.ndarray:
        """Bring what a member predicts to the scale of `scaler`, through TPM where it differs."""
        if member.scale == self.scale:
            return expr_z
        return scaler.transform(member.scaler.inverse(expr_z, target), target)

    def header(self, key: DonorsKey | None = None) -> dict:
        """As every model's, and the members'."""
        members = {name: member.header(key) for name, member in self.members.items()}
        return super().header(key) | {"members": members}

    def state(self) -> dict[str, np.ndarray]:
        """All arrays of the members."""
        return {
            f"members/{name}/{key}": array
            for name, member in self.members.items()
            for key, array in member.arrays().items()
        }

    def layout(self) -> Layout:
        """All arrays of the members."""
        return {
            key: array
            for name, member in self.members.items()
            for key, array in below(f"members/{name}/", member.whole_layout()).items()
        }

    def shareable(self, rank: int, fewest: int) -> Self:
        """Return the average of the members' shareable forms."""
        model = copy(self)
        model.members = {
            name: member.shareable(rank, fewest) for name, member in self.members.items()
        }
        return super(Average, model).shareable(rank, fewest)

    def describe(self, header: dict, key: DonorsKey | None = None) -> None:
        """Take over what a header says of the model and its members."""
        super().describe(header, key)
        members = header["members"]
        self.members = {name: described(members[name], key) for name in self.parameters.members}

    def take_over(self, header: dict, arrays: dict[str, np.ndarray]) -> None:
        """Become the model that gave `header` and `arrays`, with its members."""
        super().take_over(header, arrays)
        for name, member in self.members.items():
            prefix = f"members/{name}/"
            mine = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            member.take_over(header["members"][name], mine)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing to take over beside the members."""
