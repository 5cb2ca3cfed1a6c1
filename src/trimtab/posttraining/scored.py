"""The model component `scored`: a base model with a scalar head, for rewards and values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from trimtab.config import REGISTRIES, ConfigError, NestedComponent
from trimtab.config.registry import accepts
from trimtab.data import Tokenizer
from trimtab.models import Decoder, ModelOutput, logits_of
from trimtab.random import global_stream


class ScoredBase(NestedComponent):
    """The model that the head reads."""

    kind: ClassVar[str] = "model"

    name: Annotated[str, Field(min_length=1, description="the base model: decoder, trained or pretrained")] = "decoder"


class Scored(nn.Module):
    """A base model with a linear head on its last hidden states, which are those that its language-model head reads.

    `forward` returns the base's logits and `reward`, one number per token: entry t is computed from the tokens up to t. The
    head begins at 0, so every reward does. The base and the head are trained together; the logits are as good as the base's.
    """

    named_outputs = ("reward",)

    def __init__(
        self,
        *,
        vocabulary: int,
        context: int,
        tokenizer: Tokenizer,
        base: Annotated[ScoredBase, Field(description="the model that the head reads")] = ScoredBase(),  # noqa: B008 - frozen
        head_lr: Annotated[
            float, Field(gt=0, description="learning rate of the head as a multiple of the optimiser's")
        ] = 1.0,
    ) -> None:
        super().__init__()
        supplied = {"vocabulary": vocabulary, "context": context, "tokenizer": tokenizer}
        self.base: Any = REGISTRIES["model"].build(base.spec, **supplied)
        if base.name != "trained" and hasattr(self.base, "initialise"):  # from torch's global stream
            self.base.initialise(torch.Generator().manual_seed(int(torch.randint(1 << 62, ()))))
        self.head = nn.Linear(_width(self.base), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.context, self.vocabulary = int(self.base.context), vocabulary
        if (fingerprint := getattr(self.base, "fingerprint", None)) is not None:
            self.fingerprint = fingerprint
        self.lr_multipliers = {f"base.{name}": lr for name, lr in getattr(self.base, "lr_multipliers", {}).items()}
        if head_lr != 1:
            self.lr_multipliers |= {f"head.{name}": head_lr for name, _ in self.head.named_parameters()}
        self._takes_generator = accepts(self.base.forward, "generator")

    @staticmethod
    def base_fingerprint(*, base: ScoredBase) -> str | None:
        """The fingerprint of the files that the base model begins from; None where there are none."""
        registry = REGISTRIES["model"]
        fingerprint = getattr(registry.load(base.name), "base_fingerprint", None)
        found: str | None = None if fingerprint is None else registry.call(fingerprint, base.spec)
        return found

    def unchanged_weights(self) -> frozenset[str]:
        """The names of the parameters that are in the base model's files and are not trained."""
        names = self.base.unchanged_weights() if hasattr(self.base, "unchanged_weights") else ()
        return frozenset(f"base.{name}" for name in names)

    @property
    def compute_dtype(self) -> torch.dtype | None:
        """The precision of the base model's matrix products; the head computes in that of its parameters."""
        dtype: torch.dtype | None = self.base.compute_dtype
        return dtype

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype | None) -> None:
        self.base.compute_dtype = dtype

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> ModelOutput:
        """Logits and the reward after each token; both are meaningless at padded positions."""
        seen: list[Float[Tensor, "batch seq width"]] = []
        with _hidden(self.base, seen):
            if self._takes_generator:
                result = self.base(input_ids, attention_mask, generator=generator)
            elif generator is None:
                result = self.base(input_ids, attention_mask)
            else:
                with global_stream(torch.Generator().manual_seed(generator.initial_seed())):
                    result = self.base(input_ids, attention_mask)
        hidden = seen[-1].to(self.head.weight.dtype)
        return ModelOutput(logits_of(result), {"reward": self.head(hidden)[..., 0]})


def _width(base: Any) -> int:
    if isinstance(base, Decoder):
        return base.width
    if hasattr(base, "network"):
        return int(base.network.get_input_embeddings().weight.shape[1])
    raise ConfigError(
        f"model.base: a {type(base).__name__} has no hidden states that a head can read. Use decoder, trained or pretrained."
    )


@contextmanager
def _hidden(base: Any, seen: list[Tensor]) -> Iterator[None]:
    """While the context lasts, what the base's language-model head reads is added to `seen`."""
    if isinstance(base, Decoder):
        handle = base.final_norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    else:
        handle = base.network.get_output_embeddings().register_forward_pre_hook(
            lambda _module, inputs: seen.append(inputs[0])
        )
    try:
        yield
    finally:
        handle.remove()
