"""The built-in observers."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor

from trimtab.training.loop.hook import Observer


class CollectActivations(Observer):
    """Gives the outputs of modules to the loss, as `batch_metadata["activations"]`, for terms such as sparsity or norms."""

    collects = True

    def __init__(
        self,
        *,
        layers: Annotated[str, Field(description="regular expression of the modules to collect")] = r"blocks\.\d+",
    ) -> None:
        self.layers = layers


class ActivationStats(Observer):
    """Logs each layer's mean, standard deviation and share of values outside ±`bound`, at a cadence."""

    def __init__(
        self,
        *,
        every: Annotated[int, Field(ge=1, description="steps between measurements")] = 50,
        layers: Annotated[str, Field(description="regular expression of the modules to measure")] = r"blocks\.\d+",
        bound: Annotated[float, Field(gt=0, description="values beyond ± this count as out of range")] = 10.0,
    ) -> None:
        self.every = every
        self.layers = layers
        self.bound = bound
        self.latest: dict[str, dict[str, float]] = {}

    def on_activation(self, layer: str, activation: Tensor) -> None:
        """Measure one layer's output."""
        values = activation.float()
        self.latest[layer] = {
            "mean": float(values.mean()),
            "std": float(values.std()),
            "out_of_range": float((values.abs() > self.bound).float().mean()),
        }

    def activation_stats(self) -> Mapping[str, Mapping[str, float]]:
        """The last measurement of each layer."""
        return self.latest

    def state_dict(self) -> dict[str, Any]:
        """The last measurement, saved because a regime controller may depend on it after a resume."""
        return {"latest": self.latest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the last measurement to what `state_dict` returned."""
        self.latest = state["latest"]
