"""A frozen network with random weights: a control that shows how much content memory depends on trained weights."""

from typing import Annotated, Any

import torch
from pydantic import Field

from trimtab.boundary import foreign
from trimtab.config.model_paths import AllowHub, ModelPath
from trimtab.errors import ConfigError
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.models.pretrained.model import Pretrained
from trimtab.records.hashing import tensors_sha256


class UntrainedNetwork(FrozenNetwork):
    """A pretrained model's architecture and tokenizer with random weights, as the library initialises them.

    A control. `seed` decides the weights, which are the same on every machine with the same torch; the fingerprint is that of
    the random weights.
    """

    def __init__(
        self,
        *,
        path: ModelPath,
        seed: Annotated[int, Field(ge=0, description="the seed of the weights")] = 0,
        allow_hub: AllowHub = False,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self.seed = seed
        super().__init__(path=path, allow_hub=allow_hub, dtype=dtype, device=device)

    def network_and_fingerprint(self, loaded: Pretrained) -> tuple[Any, str]:
        """A network of the same class with random weights, and their fingerprint."""
        network: Any = loaded.network
        with (
            torch.random.fork_rng(devices=[]),
            foreign(
                ConfigError,
                lambda reason: (
                    f"model: a {type(network).__name__} with random weights cannot be built from the config in "
                    f"{loaded.source}: {reason}. Use another model."
                ),
            ),
        ):
            torch.manual_seed(self.seed)
            drawn = type(network)(network.config)
        return drawn, tensors_sha256(dict(drawn.named_parameters()))
