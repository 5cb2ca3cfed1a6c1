"""Memories on the disk: safetensors and JSON, bound to the model that they were found for."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from jaxtyping import Float
from torch import Tensor

from trimtab.config.errors import RunError
from trimtab.memory.engine.layout import Branch, Layout
from trimtab.records.atomic import atomic_directory, write_json

TENSORS, CARD = "memory.safetensors", "memory.json"


@dataclass(frozen=True)
class Card:
    """What is known of a memory. `question` and `answer` are texts, `question_ids` and `answer_ids` the tokens with the end token
    last; `margin` is the smallest logit margin that was measured on its vectors, `loss` their mean NLL by side."""

    pair: str
    question: str
    answer: str
    question_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    exact: bool
    model_fingerprint: str
    vectors: int
    layout: Layout
    precision: str
    seed: int
    restart: int
    steps: int
    margin: float
    loss: dict[str, float]


@dataclass(frozen=True, eq=False)
class Memory:
    """One set of vectors, and the two modes under which a model says the question and the answer."""

    card: Card
    vectors: Float[Tensor, "k d"]
    modes: tuple[Float[Tensor, "q d"], Float[Tensor, "a d"]]

    @property
    def branches(self) -> tuple[Branch, Branch]:
        """The question and the answer as targets."""
        return Branch(0, self.card.question_ids), Branch(1, self.card.answer_ids)


def save_memory(folder: Path, memory: Memory) -> Path:
    """Write a memory into the folder of its pair below `folder`, whole or not at all; one that is there is replaced.

    Raises `WorkError` when the disk refuses.
    """
    target = folder / memory.card.pair
    with atomic_directory(target, replace=True) as temporary:
        tensors = {"vectors": memory.vectors, "question_mode": memory.modes[0], "answer_mode": memory.modes[1]}
        safetensors.torch.save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary / TENSORS
        )
        write_json(temporary / CARD, asdict(memory.card))
    return target


def load_memory(folder: Path, fingerprint: str | None = None) -> Memory:
    """The memory in the folder of a pair.

    Raises:
        RunError: there is none, it is damaged, or it was found for another model than the one of this `fingerprint`.
    """
    if not (folder / CARD).is_file():
        raise RunError(
            f"{folder} holds no memory: there is no {CARD} in it. `memories/` in a memory run's folder has them."
        )
    try:
        content: dict[str, Any] = json.loads((folder / CARD).read_bytes())
        for name in ("question_ids", "answer_ids"):
            content[name] = tuple(int(token) for token in content[name])
        card = Card(**content)
        tensors = safetensors.torch.load_file(folder / TENSORS)
        memory = Memory(card, tensors["vectors"], (tensors["question_mode"], tensors["answer_mode"]))
        if memory.vectors.shape[0] != card.vectors:
            raise ValueError(f"it says {card.vectors} vectors and holds {memory.vectors.shape[0]}")
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise RunError(
            f"The memory in {folder} is damaged: {error}. Restore it from a copy, or find it anew."
        ) from error
    if fingerprint is not None and card.model_fingerprint != fingerprint:
        raise RunError(
            f"The memory in {folder} was found for another model: its fingerprint is {card.model_fingerprint[:12]}…, this "
            f"model's is {fingerprint[:12]}…. Vectors mean nothing to other weights; open it with its own model."
        )
    return memory


def load_memories(folder: Path, fingerprint: str | None = None) -> Iterator[Memory]:
    """Every memory below `folder`, by the names of their pairs; see `load_memory`."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if (entry / CARD).is_file() and not entry.name.startswith("."):
                yield load_memory(entry, fingerprint)
