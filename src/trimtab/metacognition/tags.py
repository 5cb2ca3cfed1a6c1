"""The two tags around a thought, and what a sequence of tokens says about thinking."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from trimtab.data import Tokenizer
from trimtab.errors import ConfigError


@dataclass(frozen=True)
class Tags:
    """The token ids that open and close a thought. Training and generation take them from the tokenizer, and only from there."""

    open: int
    close: int


def tags_of(tokenizer: Tokenizer) -> Tags:
    """The tags of a tokenizer. Raises `ConfigError` for a tokenizer that has none."""
    tags = getattr(tokenizer, "tags", None)
    if not isinstance(tags, Tags):
        raise ConfigError(
            f"data.tokenizer: the tokenizer '{tokenizer.name}' has no tags for thoughts. Wrap it: {{name: tagged, base: "
            "{name: ...}}."
        )
    return tags


def thinking(
    ids: Int[Tensor, "batch time"],
    real: Bool[Tensor, "batch time"],
    tags: Tags,
    opened: Int[Tensor, " batch"] | int = 0,
    closed: Int[Tensor, " batch"] | int = 0,
) -> Bool[Tensor, "batch time"]:
    """Which tokens are part of a thought; neither tag is, nor padding.

    A token is, if more tags before it open a thought than tags up to it close one. So it depends on no later token. `opened` and
    `closed` count the tags of each row before `ids`.
    """
    opens, closes = (ids == tags.open) & real, (ids == tags.close) & real
    before = torch.as_tensor(opened, device=ids.device).view(-1, 1) + opens.cumsum(1) - opens.long()
    up_to = torch.as_tensor(closed, device=ids.device).view(-1, 1) + closes.cumsum(1)
    return (before > up_to) & real


def split_answer(tokens: Int[Tensor, " tokens"], tags: Tags) -> tuple[Tensor, Tensor]:
    """The tokens of a thought, and those after its closing tag, by token id. Without a closing tag all are thought."""
    (closed,) = (tokens == tags.close).nonzero(as_tuple=True)
    at = int(closed[0]) if len(closed) else len(tokens)
    return tokens[:at], tokens[at + 1 :]


def decision_places(
    ids: Int[Tensor, "batch time"], real: Bool[Tensor, "batch time"], tags: Tags
) -> Int[Tensor, " batch"]:
    """The position of the last opening tag of each row, after which the model decides how to think; -1 where there is none."""
    places = torch.arange(ids.shape[1], device=ids.device)
    return torch.where((ids == tags.open) & real, places, -1).amax(dim=1)
