"""The analysis stage: what solved memories withstand, what they hold, where they lie."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from trimtab.config import DataError
from trimtab.memory.analysis.disturbing import named
from trimtab.memory.analysis.geometry import geometry
from trimtab.memory.analysis.landscape import landscape
from trimtab.memory.analysis.leaks import leak_matrix
from trimtab.memory.analysis.robustness import robustness
from trimtab.memory.analysis.shared import neighbours
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.pairs import EncodedPair, counterfactuals
from trimtab.memory.protocol import stages
from trimtab.memory.protocol.solving import Bounds, Pace, heed
from trimtab.memory.protocol.stages import Bench
from trimtab.memory.store import Memory, load_memories
from trimtab.records import read_rows, to_json
from trimtab.records.atomic import write_bytes, write_json
from trimtab.records.jsonl import encode_row

AGAIN = "memories_again"
"""The folder of memories of the same pairs from other starting points, to which the landscape's paths lead."""


def analyse(
    bench: Bench,
    memories: Sequence[Memory],
    bounds: Mapping[str, Bounds],
    exact: Callable[[], FrozenNetwork],
) -> None:
    """Write `robustness.jsonl`, `leaks.json`, `geometry.json` and `landscape.json`, each once.

    `exact` loads the fp32 model, in which leaks are measured: bf16 shifts the bits of a text by several.
    """
    config, network, positions = bench.opened.config, bench.opened.network, bench.opened.settings.positions
    wide = cache(lambda: exact() if config.solve.precision == "bf16" else network)
    if not (path := bench.folder / "robustness.jsonl").exists():
        look = Pace(bench.watcher, f"Robustness of {len(memories)} memories")
        narrow = network if config.solve.precision == "bf16" else None
        rows = robustness(narrow, wide(), memories, config.seed, positions=positions, look=look)
        write_bytes(path, b"".join(map(encode_row, rows)))
    if not (path := bench.folder / "leaks.json").exists():
        look = Pace(bench.watcher, "Leaks in bits")
        others = {
            memory.card.pair: other.card.answer_ids
            for memory, other in zip(memories, neighbours(memories), strict=True)
            if other is not None
        }
        counterfactual, starts = _counterfactual(bench, memories), _document_starts(bench)
        found = leak_matrix(wide(), memories, counterfactual, others, starts=starts, positions=positions, look=look)
        write_json(path, to_json(found))
    if config.landscape_pairs and not (path := bench.folder / "landscape.json").exists():
        couples = _couples(bench, memories[: config.landscape_pairs], bounds)
        look = Pace(bench.watcher, "Landscape of the loss")
        write_json(path, to_json(landscape(network, memories, couples, config.seed, positions=positions, look=look)))
    if not (path := bench.folder / "geometry.json").exists():
        heed(bench.watcher)
        every = [*memories, *load_memories(bench.folder / AGAIN, network.fingerprint)]
        write_json(path, to_json(geometry(network, every, bench.opened.tokenizer.texts())))


def _counterfactual(bench: Bench, memories: Sequence[Memory]) -> dict[str, tuple[int, ...]]:
    """The tokens of another pair's answer for every memory; none where the answers are too alike to be exchanged."""
    names = {memory.card.pair for memory in memories}
    try:
        made = counterfactuals(
            [pair.pair for pair in bench.opened.pairs if pair.pair.id in names], bench.opened.config.seed
        )
    except DataError as error:
        bench.watcher.say(f"No counterfactual answers: {error}")
        return {}
    return {
        str(one.pair.metadata["counterfactual_of"]): tuple(one.answer.tolist())
        for one in bench.opened.encoded(made).pairs
    }


def _document_starts(bench: Bench) -> tuple[int, ...]:
    """The token that stands between a base model's documents, where the tokenizer has it, though the config may not name it."""
    ids = bench.opened.tokenizer.encode("<|endoftext|>").tolist()
    return tuple(ids) if len(ids) == 1 else ()


def _couples(bench: Bench, memories: Sequence[Memory], bounds: Mapping[str, Bounds]) -> list[tuple[Memory, Memory]]:
    """Memories with another one of their pair, found from other starting points."""
    names = {memory.card.pair for memory in memories}
    pairs: list[EncodedPair] = [pair for pair in bench.opened.pairs if pair.pair.id in names]
    again: Path = bench.folder / AGAIN
    other = bench.under(seed=bench.opened.settings.seed + 1)
    stages.further(other, "joint_again", pairs, bounds, stored=again)
    found = {memory.card.pair: memory for memory in load_memories(again, bench.opened.network.fingerprint)}
    couples = [(memory, found[memory.card.pair]) for memory in memories if memory.card.pair in found]
    first = bench.opened.settings.restarts  # the restarts from other starting points are counted after the run's own
    return [(one, replace(two, card=replace(two.card, restart=first + two.card.restart))) for one, two in couples]


def analysed(folder: Path) -> dict[str, float]:
    """The shares of memories that withstood each disturbance, from `robustness.jsonl`; {} without it."""
    path = folder / "robustness.jsonl"
    found: dict[str, list[bool]] = {}
    for row in read_rows(path) if path.exists() else []:
        found.setdefault(named(row["disturbance"], row["level"]), []).append(row["passed"])
    return {name: sum(values) / len(values) for name, values in found.items()}
