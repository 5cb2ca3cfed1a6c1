"""Memories on disk: they are loaded as they were saved, and damaged ones are refused with a one-paragraph message."""

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


def update_hash(folder: Path) -> None:
    """Make the card match the present tensors."""
    card = json.loads((folder / CARD).read_text())
    del card["checksum"]
    card["tensors_sha256"] = tensors_sha256(safetensors.torch.load_file(folder / TENSORS))
    (folder / CARD).write_text(json.dumps(with_checksum(card)))


def test_a_saved_memory_is_loaded_unchanged(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    assert len(json.loads((folder / CARD).read_text())["tensors_sha256"]) == 64
    (loaded,) = load_memories(tmp_path, "f" * 64)
    assert loaded.card == memory.card and torch.equal(loaded.vectors, memory.vectors)
    assert all(torch.equal(own, other) for own, other in zip(loaded.modes, memory.modes, strict=True))
    assert load_memory(folder, width=WIDTH).card == memory.card


def test_changed_bytes_are_detected(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    content = bytearray((folder / TENSORS).read_bytes())
    content[-3] ^= 1
    (folder / TENSORS).write_bytes(content)
    expect_refusal(
        folder,
        "is damaged: the tensors in memory.safetensors are not those whose SHA-256 is in memory.json. Restore it",
    )
    update_hash(folder)
    load_memory(folder)


def test_a_changed_card_is_detected(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    (folder / CARD).write_text((folder / CARD).read_text().replace('"margin": 1.5', '"margin": 9.5'))
    expect_refusal(folder, "its content is not what was written")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda own: own | {"vectors": own["vectors"] * float("nan")}, "'vectors' has values that are not finite"),
        (lambda own: own | {"answer_mode": own["answer_mode"] / 0}, "'answer_mode' has values that are not finite"),
        (lambda own: own | {"vectors": own["vectors"][:2]}, "its card says 3 vectors, but it holds 2"),
        (lambda own: own | {"question_mode": own["question_mode"][:, :4]}, "'question_mode' has the shape [1, 4]"),
        (lambda own: own | {"answer_mode": own["answer_mode"][0]}, "'answer_mode' has the shape [6]"),
        (lambda own: {"vectors": own["vectors"]}, "should hold vectors, question_mode, answer_mode, and holds vectors"),
    ],
)  # fmt: skip
def test_tensors_that_no_model_can_read_are_refused(
    memory: Memory, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], words: str
) -> None:
    folder = save_memory(tmp_path, memory)
    changed = change(safetensors.torch.load_file(folder / TENSORS))
    safetensors.torch.save_file({name: own.contiguous() for name, own in changed.items()}, folder / TENSORS)
    update_hash(folder)
    expect_refusal(folder, words)


def test_vectors_for_another_model_or_width_are_refused(memory: Memory, tmp_path: Path) -> None:
    folder = save_memory(tmp_path, memory)
    expect_refusal(folder, "its vectors have 6 entries each, and its model reads 8", fingerprint="f" * 64, width=8)
    expect_refusal(folder, "was found with another model", fingerprint="0" * 64, width=8)
    save_memory(tmp_path, replace(memory, vectors=memory.vectors * 2))
    assert torch.equal(load_memory(folder).vectors, memory.vectors * 2)


def expect_refusal(folder: Path, words: str, fingerprint: str | None = None, width: int | None = None) -> None:
    with pytest.raises(RunError) as caught:
        load_memory(folder, fingerprint, width)
    assert words in str(caught.value) and str(folder) in str(caught.value) and "\n" not in str(caught.value)
