"""The average of other models: of the seeds of one, or of any (methods 6.10)."""

import numpy as np
import pandas as pd

from mtm.cohort.cohort import Cohort
from mtm.cohort.scaling import TissueScaler
from mtm.errors import InputError
from mtm.models.base import Predictor, Requests, Training
from mtm.models.layout import Layout, below
from mtm.models.registry import described, load, register
from mtm.settings.models.average import AverageParameters


@register("average")
class Average(Predictor):
    """Predict the mean of what the members predict; its bundle holds theirs."""

    Parameters = AverageParameters
    members: dict[str, Predictor]

    def _fit(self, training: Training) -> pd.DataFrame:
        self.members = {name: load(training.members[name]) for name in self.parameters.members}
        for name, member in self.members.items():
            if member.provenance.training_donors != self.provenance.training_donors:
                raise InputError(
                    training.members[name],
                    f"a model fitted on {len(member.provenance.training_donors)} donors",
                    f"the {len(self.provenance.training_donors)} donors of the other members",
                    "Train the members of an average on the same fold.",
                )
        return pd.DataFrame({"epoch": [0]})

    def predict(self, inputs: Cohort, requests: Requests) -> np.ndarray:
        """Return the mean over members, those of another scale brought to this one."""
        total = np.zeros((len(requests), len(self.genes)), np.float32)
        for member in self.members.values():
            expr_z = member.predict(inputs, requests)
            total += self._rescaled(member, self.scaler, expr_z, requests.target)
        return total / len(self.members)

    def _rescaled(
        self, member: Predictor, scaler: TissueScaler, expr_z: np.ndarray, target: np.ndarray
    ) -> np.ndarray:
        """Bring what a member predicts to the scale of `scaler`, through TPM where it differs."""
        if member.scale == self.scale:
            return expr_z
        return scaler.transform(member.scaler.inverse(expr_z, target), target)

    def header(self) -> dict:
        """As every model's, and the members'."""
        members = {name: member.header() for name, member in self.members.items()}
        return super().header() | {"members": members}

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

    def describe(self, header: dict) -> None:
        """Take over what a header says of the model and its members."""
        super().describe(header)
        members = header["members"]
        self.members = {name: described(members[name]) for name in self.parameters.members}

    def take_over(self, header: dict, arrays: dict[str, np.ndarray]) -> None:
        """Become the model that gave `header` and `arrays`, with its members."""
        super().take_over(header, arrays)
        for name, member in self.members.items():
            prefix = f"members/{name}/"
            mine = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            member.take_over(header["members"][name], mine)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Nothing to take over beside the members."""
