"""The analysis stage: robustness, information, geometry and loss landscape of solved memories."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from trimtab.config import DataError
from trimtab.memory.analysis.disturbances import disturbance_name
from trimtab.memory.analysis.geometry import geometry
from trimtab.memory.analysis.landscape import landscape
from trimtab.memory.analysis.leaks import leak_matrix
from trimtab.memory.analysis.robustness import robustness
from trimtab.memory.analysis.shared import neighbours
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.pairs import EncodedPair, counterfactuals
from trimtab.memory.protocol import stages
from trimtab.memory.protocol.candidates import LossBounds
from trimtab.memory.protocol.solving import Blocks, check_stop
from trimtab.memory.protocol.stages import StageSetup
from trimtab.memory.store import Memory, load_memories
from trimtab.records import read_rows
from trimtab.records.atomic import write_bytes, write_json
from trimtab.records.jsonl import encode_row
from trimtab.records.memory_measurements import (
    GEOMETRY,
    LANDSCAPE,
    LEAKS,
    GeometryRecord,
    LandscapeRecord,
    LeaksRecord,
)
from trimtab.runtime.events import Message

RESTARTS = "memories_again"
"""The folder of memories of the same pairs from other starting points, for the paths of the landscape."""


def analyse(
    setup: StageSetup,
    memories: Sequence[Memory],
    bounds: Mapping[str, LossBounds],
    load_fp32: Callable[[], FrozenNetwork],
) -> None:
    """Write `robustness.jsonl`, `leaks.json`, `geometry.json` and `landscape.json` if they do not exist yet.

    `load_fp32` loads the fp32 model, which leaks are measured in: in bf16 the bits of a text are off by several.
    """
    config, network, positions = setup.parts.config, setup.parts.network, setup.parts.settings.positions
    fp32_network = cache(lambda: load_fp32() if config.solve.precision == "bf16" else network)
    if not (path := setup.folder / "robustness.jsonl").exists():
        progress = Blocks(setup.context, f"Robustness of {len(memories)} memories")
        bf16_network = network if config.solve.precision == "bf16" else None
        rows = robustness(bf16_network, fp32_network(), memories, config.seed, positions=positions, progress=progress)
        write_bytes(path, b"".join(map(encode_row, rows)))
    if not (path := setup.folder / LEAKS).exists():
        progress = Blocks(setup.context, "Leaks in bits")
        others = {
            memory.card.pair: other.card.answer_ids
            for memory, other in zip(memories, neighbours(memories), strict=True)
            if other is not None
        }
        counterfactual, starts = _counterfactual(setup, memories), _document_starts(setup)
        leaks = leak_matrix(
            fp32_network(), memories, counterfactual, others, starts=starts, positions=positions, progress=progress
        )
        write_json(path, LeaksRecord.model_validate(leaks).model_dump())
    if config.landscape_pairs and not (path := setup.folder / LANDSCAPE).exists():
        restarts = _restarts(setup, memories[: config.landscape_pairs], bounds)
        progress = Blocks(setup.context, "Landscape of the loss")
        losses = landscape(network, memories, restarts, config.seed, positions=positions, progress=progress)
        write_json(path, LandscapeRecord.model_validate(losses).model_dump())
    if not (path := setup.folder / GEOMETRY).exists():
        check_stop(setup.context)
        all_memories = [*memories, *load_memories(setup.folder / RESTARTS, network.fingerprint)]
        measured = geometry(network, all_memories, setup.parts.tokenizer.texts())
        write_json(path, GeometryRecord.model_validate(measured).model_dump())


def _counterfactual(setup: StageSetup, memories: Sequence[Memory]) -> dict[str, tuple[int, ...]]:
    """For every memory, the tokens of another pair's answer; empty if the answers are too similar to be exchanged."""
    names = {memory.card.pair for memory in memories}
    try:
        pairs = counterfactuals(
            [pair.pair for pair in setup.parts.pairs if pair.pair.id in names], setup.parts.config.seed
        )
    except DataError as error:
        setup.context.emit(Message(f"No counterfactual answers: {error}"))
        return {}
    return {
        str(one.pair.metadata["counterfactual_of"]): tuple(one.answer.tolist())
        for one in setup.parts.encode(pairs).pairs
    }


def _document_starts(setup: StageSetup) -> tuple[int, ...]:
    """The token between documents in a base model's training text, if the tokenizer has it; a config may not name it."""
    ids = setup.parts.tokenizer.encode("<|endoftext|>").tolist()
    return tuple(ids) if len(ids) == 1 else ()


def _restarts(
    setup: StageSetup, memories: Sequence[Memory], bounds: Mapping[str, LossBounds]
) -> list[tuple[Memory, Memory]]:
    """Memories, each with another one of its pair that was found from other starting points."""
    names = {memory.card.pair for memory in memories}
    pairs: list[EncodedPair] = [pair for pair in setup.parts.pairs if pair.pair.id in names]
    folder: Path = setup.folder / RESTARTS
    other = setup.with_settings(seed=setup.parts.settings.seed + 1)
    stages.both_sides(other, "joint_again", pairs, bounds, memories=folder)
    second = {memory.card.pair: memory for memory in load_memories(folder, setup.parts.network.fingerprint)}
    both = [(memory, second[memory.card.pair]) for memory in memories if memory.card.pair in second]
    first = setup.parts.settings.restarts  # restarts from the other starting points are numbered after the run's own
    return [(one, replace(two, card=replace(two.card, restart=first + two.card.restart))) for one, two in both]


def robustness_shares(folder: Path) -> dict[str, float]:
    """By disturbance, the share of memories that passed, from `robustness.jsonl`; {} without it."""
    path = folder / "robustness.jsonl"
    passed: dict[str, list[bool]] = {}
    for row in read_rows(path) if path.exists() else []:
        passed.setdefault(disturbance_name(row["disturbance"], row["level"]), []).append(row["passed"])
    return {name: sum(values) / len(values) for name, values in passed.items()}
