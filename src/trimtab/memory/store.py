"""Memories on disk: safetensors and JSON, tied to the model they were found with."""

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
"""The field of the card with the SHA-256 of the tensors."""


@dataclass(frozen=True)
class Card:
    """The description of a memory.

    `question` and `answer` are texts, `question_ids` and `answer_ids` their tokens with the end token last. `margin` is the
    smallest logit margin measured on the vectors, `loss` the mean NLL by side.
    """

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
    """One set of vectors, and the two modes with which a model gives the question and the answer."""

    card: Card
    vectors: Float[Tensor, "k d"]
    modes: tuple[Float[Tensor, "q d"], Float[Tensor, "a d"]]

    @property
    def branches(self) -> tuple[Branch, Branch]:
        """The question and the answer as branches."""
        return Branch(0, self.card.question_ids), Branch(1, self.card.answer_ids)


def save_memory(folder: Path, memory: Memory) -> Path:
    """Write a memory to `folder`/PAIR in one atomic step; an existing one is replaced.

    Raises `WorkError` if the disk write fails.
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
        RunError: there is none; it is damaged (its tensors do not match the stored hash, or do not have this `width`); or it
            was found with another model than that of `fingerprint`.
    """
    if not (folder / CARD).is_file():
        raise RunError(
            f"{folder} holds no memory: it has no {CARD}. Memories are in `memories/` of a memory run's folder."
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
            f"The memory in {folder} is damaged: {error}. Restore it from a copy, or solve the pair again."
        ) from error
    if fingerprint is not None and card.model_fingerprint != fingerprint:
        raise RunError(
            f"The memory in {folder} was found with another model: its fingerprint is {card.model_fingerprint[:12]}…, this "
            f"model's is {fingerprint[:12]}…. Vectors only work with the weights they were found with; use that model."
        )
    if width is not None and memory.vectors.shape[1] != width:
        raise RunError(
            f"The memory in {folder} is damaged: its vectors have {memory.vectors.shape[1]} entries each, and its model reads "
            f"{width}. Restore it from a copy, or solve the pair again."
        )
    return memory


def _check(tensors: dict[str, Tensor], vectors: int, digest: str) -> None:
    """Raise `ValueError` if tensors do not match the stored hash, or cannot be read by a model."""
    if tensors_sha256(tensors) != digest:
        raise ValueError(f"the tensors in {TENSORS} are not those whose SHA-256 is in {CARD}")
    if set(tensors) != set(NAMES):
        raise ValueError(
            f"{TENSORS} should hold {', '.join(NAMES)}, and holds {', '.join(sorted(tensors)) or 'nothing'}"
        )
    if len(tensors["vectors"]) != vectors:
        raise ValueError(f"its card says {vectors} vectors, but it holds {len(tensors['vectors'])}")
    for name in NAMES:
        if tensors[name].ndim != 2 or tensors[name].shape[1] != tensors["vectors"].shape[1]:
            raise ValueError(f"'{name}' has the shape {list(tensors[name].shape)}, not rows of the vectors' width")
        if not tensors[name].isfinite().all():
            raise ValueError(f"'{name}' has values that are not finite")


def load_memories(folder: Path, fingerprint: str | None = None) -> Iterator[Memory]:
    """All memories in `folder`, sorted by pair; see `load_memory`."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if (entry / CARD).is_file() and not entry.name.startswith("."):
                yield load_memory(entry, fingerprint)
