"""Memories on the disk: what was stored comes back, and what is not that is refused in one paragraph."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from trimtab.config import RunError
from trimtab.memory.store import CARD, TENSORS, Card, Memory, load_memories, load_memory, save_memory
from trimtab.records import tensors_sha256
from trimtab.records.manifest import with_checksum

WIDTH = 6


@pytest.fixture
def memory() -> Memory:
    card = Card(
        pair="p1", question="a", answer="b", question_ids=(5, 2), answer_ids=(7, 2), exact=False, model_fingerprint="f" * 64,
        vectors=3, layout="two_sequences", precision="fp32", seed=0, restart=0, steps=9, margin=1.5,
        loss={"question": 0.1, "answer": 0.2},
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    vectors, question, answer = (torch.randn(rows, WIDTH, generator=generator) for rows in (3, 1, 2))
    return Memory(card, vectors, (question, answer))


def sealed_anew(folder: Path) -> None:
    """Make the card say that the tensors are what was stored."""
    card = json.loads((folder / CARD).read_text())
    del card["checksum"]
    card["tensors_sha256"] = tensors_sha256(safetensors.torch.load_file(folder / TENSORS))
    (folder / CARD).write_text(json.dumps(with_checksum(card)))


def test_what_was_stored_comes_back(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    assert len(json.loads((folder / CARD).read_text())["tensors_sha256"]) == 64
    (found,) = load_memories(tmp_path, "f" * 64)
    assert found.card == memory.card and torch.equal(found.vectors, memory.vectors)
    assert all(torch.equal(own, other) for own, other in zip(found.modes, memory.modes, strict=True))
    assert load_memory(folder, width=WIDTH).card == memory.card


def test_flipped_bytes_are_noticed(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    content = bytearray((folder / TENSORS).read_bytes())
    content[-3] ^= 1
    (folder / TENSORS).write_bytes(content)
    refused(
        folder,
        "is damaged: the tensors in memory.safetensors are not those whose SHA-256 is in memory.json. Restore it",
    )
    sealed_anew(folder)
    load_memory(folder)


def test_a_changed_card_is_noticed(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    (folder / CARD).write_text((folder / CARD).read_text().replace('"margin": 1.5', '"margin": 9.5'))
    refused(folder, "its content is not what was written")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda own: own | {"vectors": own["vectors"] * float("nan")}, "'vectors' has values that are no finite numbers"),
        (lambda own: own | {"answer_mode": own["answer_mode"] / 0}, "'answer_mode' has values that are no finite numbers"),
        (lambda own: own | {"vectors": own["vectors"][:2]}, "it says 3 vectors and holds 2"),
        (lambda own: own | {"question_mode": own["question_mode"][:, :4]}, "'question_mode' has the shape [1, 4]"),
        (lambda own: own | {"answer_mode": own["answer_mode"][0]}, "'answer_mode' has the shape [6]"),
        (lambda own: {"vectors": own["vectors"]}, "should hold vectors, question_mode, answer_mode, and holds vectors"),
    ],
)  # fmt: skip
def test_tensors_that_no_model_can_read_are_damage(
    memory: Memory, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], words: str
) -> None:
    folder = save_memory(tmp_path, memory)
    changed = change(safetensors.torch.load_file(folder / TENSORS))
    safetensors.torch.save_file({name: own.contiguous() for name, own in changed.items()}, folder / TENSORS)
    sealed_anew(folder)
    refused(folder, words)


def test_vectors_of_another_width_than_the_models(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    refused(folder, "its vectors have 6 entries each, and its model reads 8", fingerprint="f" * 64, width=8)
    refused(folder, "was found for another model", fingerprint="0" * 64, width=8)
    save_memory(tmp_path, replace(memory, vectors=memory.vectors * 2))
    assert torch.equal(load_memory(folder).vectors, memory.vectors * 2)


def refused(folder: Path, words: str, fingerprint: str | None = None, width: int | None = None) -> None:
    with pytest.raises(RunError) as caught:
        load_memory(folder, fingerprint, width)
    assert words in str(caught.value) and str(folder) in str(caught.value) and "\n" not in str(caught.value)
