"""Reading and changing what blocks return during one pass, for every kind of base model."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from trimtab.errors import ConfigError
from trimtab.metacognition.tags import Tags
from trimtab.models import Decoder
from trimtab.models.pretrained.loading import blocks_of

Change = Callable[[Tensor], Tensor]
"""From a block's output to what the next block reads."""


def blocks_in(base: nn.Module) -> nn.ModuleList:
    """The blocks of a base model, the first one reading the embeddings. Raises `ConfigError` for a model of another kind."""
    if isinstance(base, Decoder):
        return base.blocks
    if isinstance(network := getattr(base, "network", None), nn.Module):
        return blocks_of(network)[1]
    raise ConfigError(
        f"model.base: a {type(base).__name__} has no blocks that the metacognitive layer knows. Use decoder or pretrained."
    )


def check_tags(base: nn.Module, tags: Tags) -> None:
    """Refuse tags that a pretrained model cannot tell from other tokens. Raises `ConfigError`.

    Tokens that were never trained may all have one embedding, and with it one probability, unless the embeddings are trained.
    """
    network = getattr(base, "network", None)
    if network is None or (weight := network.get_input_embeddings().weight).requires_grad:
        return
    for name, tag in (("open", tags.open), ("close", tags.close)):
        same = [token for token in (weight == weight[tag]).all(dim=1).nonzero()[:, 0].tolist() if token != tag]
        if same:
            more = f" and {len(same) - 1} more" if len(same) > 1 else ""
            raise ConfigError(
                f"data.tokenizer.{name}: in the base model the tag (token {tag}) has the embedding of the token {same[0]}{more}, "
                "so the model cannot tell them apart. Name a token that the model was trained with, or train the embeddings: "
                "model.base.adapt: [..., {name: embeddings}]."
            )


@contextmanager
def changed(blocks: nn.ModuleList, changes: Mapping[int, Change]) -> Iterator[None]:
    """While the context lasts, the outputs of some blocks pass through functions.

    Blocks are replaced by wrappers instead of being given hooks: where activations are recomputed in the backward pass, a hook
    would run within the recomputation, after it was removed. A wrapper is outside of it.
    """
    own = {index: blocks[index] for index in changes}
    try:
        for index, change in changes.items():
            blocks[index] = _Around(own[index], change)
        yield
    finally:
        for index, block in own.items():
            blocks[index] = block


class _Around(nn.Module):
    """A block whose output passes through a function."""

    def __init__(self, block: nn.Module, change: Change) -> None:
        super().__init__()
        self.block, self._change = block, change

    def __getattr__(self, name: str) -> Any:
        if name == "block":
            return super().__getattr__(name)
        return getattr(self.block, name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.block(*args, **kwargs)
        if isinstance(output, tuple):  # blocks of earlier releases of transformers return more than the hidden state
            return (self._change(output[0]), *output[1:])
        return self._change(output)
