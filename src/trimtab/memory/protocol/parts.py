"""A memory run's parts from its config: hardware, model, tokenizer, pairs, modes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from trimtab.config import REGISTRIES, ConfigError, DataError
from trimtab.config.paths import missing_paths
from trimtab.config.schema import Component
from trimtab.data.tokenizers import Tokenizer
from trimtab.memory.config import MemoryConfig
from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.losses import Modes
from trimtab.memory.engine.network import FrozenNetwork
from trimtab.memory.engine.solve import Settings, SolverTask
from trimtab.memory.pairs import (
    Encoded,
    EncodedPair,
    Pair,
    Reading,
    SkippedPair,
    encode_pairs,
    read_paraphrases,
    target_ids,
)
from trimtab.memory.pairs.targets import UnfitError
from trimtab.memory.protocol.baselines import branches_of
from trimtab.runtime.device import check_threads, keep_freed_memory, resolve_hardware, set_numerics

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
_MOST = {"cpu": 1024, "mps": 4096, "cuda": 16384}
"""Positions after which a step gains no speed: 1,024 run as fast a position as 2,588 on two cores."""
_FEWEST = 128
_MODE_ROWS = 8
"""Positions that are kept for a mode, however many words it is."""


@dataclass(frozen=True)
class Opened:
    """The parts of a memory run. `config` is resolved: nothing in it is `auto`."""

    config: MemoryConfig
    network: FrozenNetwork
    tokenizer: Tokenizer
    end: int
    modes: Modes
    settings: Settings
    pairs: tuple[EncodedPair, ...]
    skipped: tuple[SkippedPair, ...]
    reading: Reading

    def encoded(self, pairs: Iterable[Pair]) -> Encoded:
        """Further pairs as tokens; those that do not fit the model are left out."""
        return _encoded(pairs, self.config, self.network, self.tokenizer)


def resolve(config: MemoryConfig) -> MemoryConfig:
    """The config with `auto` replaced by what this machine has; positions are left for `open_run`."""
    check_threads(config.threads)
    found = resolve_hardware(config.device, config.threads, config.solve.precision)
    solve = config.solve.model_copy(update={"precision": found.precision})
    return config.model_copy(update={"device": found.device, "threads": found.threads, "solve": solve})


def network_of(config: MemoryConfig, precision: str) -> FrozenNetwork:
    """The config's frozen model in a precision."""
    network: FrozenNetwork = REGISTRIES["frozen_model"].build(
        config.model.spec, dtype=_DTYPES[precision], device=config.device
    )
    return network


def tokenizer_of(config: MemoryConfig) -> Tokenizer:
    """The frozen model's own tokenizer."""
    spec = {key: value for key, value in config.model.spec.items() if key in ("path", "allow_hub")}
    tokenizer: Tokenizer = REGISTRIES["tokenizer"].build({"name": "pretrained", "special": True, **spec})
    return tokenizer


def open_run(config: MemoryConfig, positions: int | None = None) -> Opened:
    """Load and prepare everything; `positions` are those that an earlier part of the run resolved `auto` to.

    Raises `ConfigError` and `DataError`; writes nothing.
    """
    config = resolve(config)
    assert isinstance(config.threads, int)
    set_numerics(config.device, config.threads)
    keep_freed_memory()
    source: Any = REGISTRIES["pairs"].build(config.pairs.spec)
    modes: Any = REGISTRIES["modes"].build(config.modes.spec)
    if modes.training_pairs and config.ablations.models:
        raise ConfigError(
            "ablations.models: learned modes are of one model; with other models use modes: {name: random} or {name: words}."
        )
    wanted = None if config.count is None else config.count + modes.training_pairs
    reading = source.read(wanted, config.seed)
    tokenizer = tokenizer_of(config)
    network = network_of(config, config.solve.precision)
    encoded = _encoded(reading.pairs, config, network, tokenizer)
    pairs, training = _shared(encoded.pairs, config, modes.training_pairs)
    if not pairs:
        first = f" The first: {encoded.skipped[0].pair}: {encoded.skipped[0].reason}" if encoded.skipped else ""
        raise DataError(
            f"pairs: of {len(reading.pairs)} pairs of {config.pairs.name} none can be used.{first} Allow longer texts "
            "(longest_question, longest_answer), take fewer vectors, or name other pairs."
        )
    _check_ablations(config, network, pairs)
    if config.solve.positions == "auto":
        found = positions if positions is not None else free_positions(network)
        config = config.model_copy(update={"solve": config.solve.model_copy(update={"positions": found})})
    settings = settings_of(config)
    tasks = [SolverTask(pair.pair.id, branches_of(pair)) for pair in training]
    made = modes.make(network, tokenizer, tasks, settings)
    assert tokenizer.end is not None
    return Opened(config, network, tokenizer, tokenizer.end, made, settings, pairs, encoded.skipped, reading)


def _check_ablations(config: MemoryConfig, network: FrozenNetwork, pairs: Sequence[EncodedPair]) -> None:
    """Find before the first stage what the ablations, hours later, would fail by. Raises `ConfigError`."""
    if "ablations" not in config.stages:
        return
    for key, path in missing_paths(config):
        if key.startswith("ablations."):
            raise ConfigError(f"{key}: there is no file or folder {path}. Name a model that exists, or leave it out.")
    longest = max(len(side) for pair in pairs[: config.ablations.pairs] for side in (pair.question, pair.answer))
    room = network.context - longest - _MODE_ROWS
    if too_many := [count for count in config.ablations.vectors if count > room]:
        raise ConfigError(
            f"ablations.vectors: {too_many[0]} vectors and the longest text of {longest} tokens do not fit into the context of "
            f"{network.context}. Take {room} at most, or shorter texts (longest_question, longest_answer)."
        )


def under_model(opened: Opened, model: Component, count: int) -> Opened:
    """The first `count` pairs of a run under another frozen model: its own tokens, modes and scale.

    Pairs that do not fit it are among `skipped`. Raises `ConfigError` and `DataError`.
    """
    config = opened.config.model_copy(update={"model": model})
    tokenizer, network = tokenizer_of(config), network_of(config, config.solve.precision)
    encoded = _encoded([pair.pair for pair in opened.pairs[:count]], config, network, tokenizer)
    modes: Any = REGISTRIES["modes"].build(config.modes.spec)
    made = modes.make(network, tokenizer, [], opened.settings)
    assert tokenizer.end is not None
    return replace(
        opened,
        config=config,
        network=network,
        tokenizer=tokenizer,
        end=tokenizer.end,
        modes=made,
        pairs=encoded.pairs,
        skipped=encoded.skipped,
    )


def wordings(opened: Opened) -> tuple[dict[str, tuple[Branch, ...]], list[str]]:
    """Of every pair that has any, the other wordings as branches; a side's share `paraphrases.weight` equally among them.

    The second part says of every wording that cannot be used which and why, and how many are of pairs that the run does not
    have. Raises `DataError` for a file without a wording that can be used.
    """
    asked = opened.config.paraphrases
    assert asked.path is not None
    texts, known = read_paraphrases(asked.path), {pair.pair.id for pair in opened.pairs}
    found: dict[str, tuple[Branch, ...]] = {}
    left_out: list[str] = []
    for name, one in texts.items():
        if name not in known:
            continue
        branches: list[Branch] = []
        for mode, (side, wanted) in enumerate((("question", one.questions), ("answer", one.answers))):
            targets = []
            for text in wanted:
                try:
                    targets.append(_wording(text, opened))
                except UnfitError as error:
                    left_out.append(f"{name}: a {side} {text[:40]!r} is left out. {error}")
            weight = asked.weight * one.weight / max(1, len(targets))
            branches += [Branch(mode, ids, weight, judged=False) for ids in targets]
        if branches:
            found[name] = tuple(branches)
    if strangers := [name for name in texts if name not in known]:
        left_out.append(f"{len(strangers):,} left out, the first {strangers[0]!r}: the run has no such pair")
    if not found:
        raise DataError(
            f"paraphrases.path: {asked.path} has no wording that can be used for any of the run's {len(known)} pairs. "
            f"{' '.join(left_out[:2])} Check its ids (as in pairs.jsonl) and its texts, or leave the stage out."
        )
    return found, left_out


def _wording(text: str, opened: Opened) -> tuple[int, ...]:
    overhead = opened.config.vectors + _MODE_ROWS
    ids = target_ids(
        text, opened.tokenizer, called="wording", longest=None, context=opened.network.context, overhead=overhead
    )
    return tuple(ids.tolist())


def _encoded(pairs: Iterable[Pair], config: MemoryConfig, network: FrozenNetwork, tokenizer: Tokenizer) -> Encoded:
    return encode_pairs(
        pairs,
        tokenizer,
        longest_question=config.longest_question,
        longest_answer=config.longest_answer,
        context=network.context,
        overhead=config.vectors + _MODE_ROWS,
    )


def settings_of(config: MemoryConfig) -> Settings:
    """The solver's settings of a config whose positions are resolved."""
    solve = config.solve
    assert isinstance(solve.positions, int)
    return Settings(
        vectors=config.vectors,
        layout=config.layout,
        steps=solve.steps,
        restarts=solve.restarts,
        margin=solve.margin,
        lr=solve.lr,
        betas=solve.betas,
        positions=solve.positions,
        seed=config.seed,
    )


def free_positions(network: FrozenNetwork) -> int:
    """How many positions half of the free memory holds with all that their gradient needs, within what gains speed."""
    kind = network.device.type
    free = torch.cuda.mem_get_info()[0] if kind == "cuda" else psutil.virtual_memory().available
    text: Any = network.network.config.get_text_config()
    inner = getattr(text, "intermediate_size", None) or 4 * network.width
    each = text.num_hidden_layers * (14 * network.width + 4 * inner) * network.embedding.element_size()
    return int(max(_FEWEST, min(_MOST[kind], free // 2 // each)))


def _shared(
    pairs: tuple[EncodedPair, ...], config: MemoryConfig, training: int
) -> tuple[tuple[EncodedPair, ...], tuple[EncodedPair, ...]]:
    """The run's pairs, and after them those that modes are learned from."""
    if not training:
        return pairs, ()
    count = min(config.count or len(pairs), len(pairs)) - (0 if config.count is not None else training)
    if len(pairs) - count < training or count < 1:
        raise ConfigError(
            f"modes: {training} pairs to learn from were asked for, beside the run's own, and there are {len(pairs)} in all. "
            "Take fewer pairs (count), or learn from fewer (modes.pairs)."
        )
    return pairs[:count], pairs[count : count + training]
