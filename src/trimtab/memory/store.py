"""Memories on the disk: safetensors and JSON, bound to the model that they were found for."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from jaxtyping import Float
from torch import Tensor

from trimtab.errors import RunError
from trimtab.memory.engine.layout import Branch, Layout
from trimtab.records.atomic import atomic_directory, write_json
from trimtab.records.hashing import tensors_sha256
from trimtab.records.manifest import read_object, with_checksum, without_checksum

TENSORS, CARD = "memory.safetensors", "memory.json"
NAMES = ("vectors", "question_mode", "answer_mode")
"""The tensors of a memory."""
DIGEST = "tensors_sha256"
"""The field of the card's file that has the SHA-256 of the tensors."""


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
        own = (memory.vectors, *memory.modes)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in zip(NAMES, own, strict=True)}
        safetensors.torch.save_file(tensors, temporary / TENSORS)
        write_json(temporary / CARD, with_checksum({**asdict(memory.card), DIGEST: tensors_sha256(tensors)}))
    return target


def load_memory(folder: Path, fingerprint: str | None = None, width: int | None = None) -> Memory:
    """The memory in the folder of a pair.

    Raises:
        RunError: there is none, it is damaged (its vectors are not those that were stored, or not of this `width`), or it was
            found for another model than the one of this `fingerprint`.
    """
    if not (folder / CARD).is_file():
        raise RunError(
            f"{folder} holds no memory: there is no {CARD} in it. `memories/` in a memory run's folder has them."
        )
    try:
        content = without_checksum(
            read_object(folder / CARD, "memory", "nothing was stored"), f"The memory in {folder}"
        )
        for name in ("question_ids", "answer_ids"):
            content[name] = tuple(int(token) for token in content[name])
        digest = content.pop(DIGEST)
        card = Card(**content)
        tensors = safetensors.torch.load_file(folder / TENSORS)
        _check(tensors, card.vectors, digest)
        vectors, *modes = (tensors[name] for name in NAMES)
        memory = Memory(card, vectors, (modes[0], modes[1]))
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise RunError(
            f"The memory in {folder} is damaged: {error}. Restore it from a copy, or find it anew."
        ) from error
    if fingerprint is not None and card.model_fingerprint != fingerprint:
        raise RunError(
            f"The memory in {folder} was found for another model: its fingerprint is {card.model_fingerprint[:12]}…, this "
            f"model's is {fingerprint[:12]}…. Vectors mean nothing to other weights; open it with its own model."
        )
    if width is not None and memory.vectors.shape[1] != width:
        raise RunError(
            f"The memory in {folder} is damaged: its vectors have {memory.vectors.shape[1]} entries each, and its model reads "
            f"{width}. Restore it from a copy, or find it anew."
        )
    return memory


def _check(tensors: dict[str, Tensor], vectors: int, digest: str) -> None:
    """Raise `ValueError` where tensors are not what was stored, or nothing that a model could read."""
    if tensors_sha256(tensors) != digest:
        raise ValueError(f"the tensors in {TENSORS} are not those whose SHA-256 is in {CARD}")
    if set(tensors) != set(NAMES):
        raise ValueError(
            f"{TENSORS} should hold {', '.join(NAMES)}, and holds {', '.join(sorted(tensors)) or 'nothing'}"
        )
    if len(tensors["vectors"]) != vectors:
        raise ValueError(f"it says {vectors} vectors and holds {len(tensors['vectors'])}")
    for name in NAMES:
        if tensors[name].ndim != 2 or tensors[name].shape[1] != tensors["vectors"].shape[1]:
            raise ValueError(
                f"'{name}' has the shape {list(tensors[name].shape)}, which is not rows of the vectors' width"
            )
        if not tensors[name].isfinite().all():
            raise ValueError(f"'{name}' has values that are no finite numbers")


def load_memories(folder: Path, fingerprint: str | None = None) -> Iterator[Memory]:
    """Every memory below `folder`, by the names of their pairs; see `load_memory`."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if (entry / CARD).is_file() and not entry.name.startswith("."):
                yield load_memory(entry, fingerprint)
