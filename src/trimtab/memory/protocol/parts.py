"""Loads the parts of a memory run from its config: hardware, model, tokenizer, pairs, modes."""

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
from trimtab.memory.engine.solve import PairTargets, SolverSettings
from trimtab.memory.pairs import (
    EncodedPair,
    EncodedPairs,
    LoadedPairs,
    Pair,
    SkippedPair,
    encode_pairs,
    read_paraphrases,
    target_ids,
)
from trimtab.memory.pairs.targets import UnusableTextError
from trimtab.memory.protocol.baselines import branches_of
from trimtab.runtime.device import check_threads, keep_freed_memory, resolve_hardware, set_numerics

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
_MOST_POSITIONS = {"cpu": 1024, "mps": 4096, "cuda": 16384}
"""By device, the most positions of a step. On two cores, 2,588 positions gained no speed over 1,024; the others are estimates."""
_FEWEST_POSITIONS = 128
_MODE_ROWS = 8
"""Positions reserved for a mode, however many tokens it has."""


@dataclass(frozen=True)
class RunParts:
    """The parts of a memory run. `config` is resolved: nothing in it is `auto`."""

    config: MemoryConfig
    network: FrozenNetwork
    tokenizer: Tokenizer
    end: int
    modes: Modes
    settings: SolverSettings
    pairs: tuple[EncodedPair, ...]
    skipped: tuple[SkippedPair, ...]
    source: LoadedPairs

    def encode(self, pairs: Iterable[Pair]) -> EncodedPairs:
        """Further pairs as tokens; pairs that do not fit the model are left out."""
        return _encode(pairs, self.config, self.network, self.tokenizer)


def resolve(config: MemoryConfig) -> MemoryConfig:
    """The config with `auto` resolved for this machine, except for `positions` (see `load_parts`)."""
    check_threads(config.threads)
    hardware = resolve_hardware(config.device, config.threads, config.solve.precision)
    solve = config.solve.model_copy(update={"precision": hardware.precision})
    return config.model_copy(update={"device": hardware.device, "threads": hardware.threads, "solve": solve})


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


def load_parts(config: MemoryConfig, positions: int | None = None) -> RunParts:
    """Load everything. `positions` is the value that `auto` was resolved to when the run was started, if it was.

    Raises `ConfigError` and `DataError`; writes nothing.
    """
    config = resolve(config)
    assert isinstance(config.threads, int)
    set_numerics(config.device, config.threads)
    keep_freed_memory()
    pair_source: Any = REGISTRIES["pairs"].build(config.pairs.spec)
    modes: Any = REGISTRIES["modes"].build(config.modes.spec)
    if modes.training_pairs and config.ablations.models:
        raise ConfigError(
            "ablations.models: learned modes belong to one model. With other models use modes: {name: random} or {name: words}."
        )
    count = None if config.count is None else config.count + modes.training_pairs
    source = pair_source.read(count, config.seed)
    tokenizer = tokenizer_of(config)
    network = network_of(config, config.solve.precision)
    encoded = _encode(source.pairs, config, network, tokenizer)
    pairs, training = _split(encoded.pairs, config, modes.training_pairs)
    if not pairs:
        first = f" The first one: {encoded.skipped[0].pair}: {encoded.skipped[0].reason}" if encoded.skipped else ""
        raise DataError(
            f"pairs: none of the {len(source.pairs)} pairs of {config.pairs.name} can be used.{first} Allow longer texts "
            "(longest_question, longest_answer), use fewer vectors, or use other pairs."
        )
    _check_ablations(config, network, pairs)
    if config.solve.positions == "auto":
        resolved = positions if positions is not None else free_positions(network)
        config = config.model_copy(update={"solve": config.solve.model_copy(update={"positions": resolved})})
    settings = solver_settings(config)
    targets = [PairTargets(pair.pair.id, branches_of(pair)) for pair in training]
    mode_vectors = modes.make(network, tokenizer, targets, settings)
    assert tokenizer.end is not None
    return RunParts(config, network, tokenizer, tokenizer.end, mode_vectors, settings, pairs, encoded.skipped, source)


def _check_ablations(config: MemoryConfig, network: FrozenNetwork, pairs: Sequence[EncodedPair]) -> None:
    """Check before the first stage what would make the ablations fail hours later. Raises `ConfigError`."""
    if "ablations" not in config.stages:
        return
    for key, path in missing_paths(config):
        if key.startswith("ablations."):
            raise ConfigError(
                f"{key}: there is no file or folder {path}. Name an existing model, or remove this entry."
            )
    longest = max(len(side) for pair in pairs[: config.ablations.pairs] for side in (pair.question, pair.answer))
    room = network.context - longest - _MODE_ROWS
    if too_many := [count for count in config.ablations.vectors if count > room]:
        raise ConfigError(
            f"ablations.vectors: {too_many[0]} vectors and the longest text, {longest} tokens, do not fit into the context of "
            f"{network.context}. Use at most {room} vectors, or shorter texts (longest_question, longest_answer)."
        )


def with_other_model(parts: RunParts, model: Component, count: int) -> RunParts:
    """The parts for the first `count` pairs under another frozen model, with its own tokenizer, modes and scale.

    Pairs that do not fit the model are in `skipped`. Raises `ConfigError` and `DataError`.
    """
    config = parts.config.model_copy(update={"model": model})
    tokenizer, network = tokenizer_of(config), network_of(config, config.solve.precision)
    encoded = _encode([pair.pair for pair in parts.pairs[:count]], config, network, tokenizer)
    modes: Any = REGISTRIES["modes"].build(config.modes.spec)
    mode_vectors = modes.make(network, tokenizer, [], parts.settings)
    assert tokenizer.end is not None
    return replace(
        parts,
        config=config,
        network=network,
        tokenizer=tokenizer,
        end=tokenizer.end,
        modes=mode_vectors,
        pairs=encoded.pairs,
        skipped=encoded.skipped,
    )


def paraphrase_branches(parts: RunParts) -> tuple[dict[str, tuple[Branch, ...]], list[str]]:
    """The paraphrases of the run's pairs as branches, by pair; `paraphrases.weight` is divided equally among those of a side.

    Also returns a sentence for every paraphrase that cannot be used, and one on paraphrases of pairs that the run does not have.
    Raises `DataError` if no paraphrase can be used.
    """
    settings = parts.config.paraphrases
    assert settings.path is not None
    texts, known = read_paraphrases(settings.path), {pair.pair.id for pair in parts.pairs}
    by_pair: dict[str, tuple[Branch, ...]] = {}
    left_out: list[str] = []
    for name, one in texts.items():
        if name not in known:
            continue
        branches: list[Branch] = []
        for mode, (side, side_texts) in enumerate((("question", one.questions), ("answer", one.answers))):
            targets = []
            for text in side_texts:
                try:
                    targets.append(_paraphrase_ids(text, parts))
                except UnusableTextError as error:
                    left_out.append(f"{name}: a {side} {text[:40]!r} is left out. {error}")
            weight = settings.weight * one.weight / max(1, len(targets))
            branches += [Branch(mode, ids, weight, judged=False) for ids in targets]
        if branches:
            by_pair[name] = tuple(branches)
    if unknown := [name for name in texts if name not in known]:
        left_out.append(f"{len(unknown):,} left out, the first {unknown[0]!r}: the run has no such pair")
    if not by_pair:
        raise DataError(
            f"paraphrases.path: {settings.path} has no paraphrase that can be used for any of the run's {len(known)} pairs. "
            f"{' '.join(left_out[:2])} Check its ids (as in pairs.jsonl) and its texts, or remove the stage."
        )
    return by_pair, left_out


def _paraphrase_ids(text: str, parts: RunParts) -> tuple[int, ...]:
    overhead = parts.config.vectors + _MODE_ROWS
    ids = target_ids(
        text, parts.tokenizer, name="paraphrase", longest=None, context=parts.network.context, overhead=overhead
    )
    return tuple(ids.tolist())


def _encode(pairs: Iterable[Pair], config: MemoryConfig, network: FrozenNetwork, tokenizer: Tokenizer) -> EncodedPairs:
    return encode_pairs(
        pairs,
        tokenizer,
        longest_question=config.longest_question,
        longest_answer=config.longest_answer,
        context=network.context,
        overhead=config.vectors + _MODE_ROWS,
    )


def solver_settings(config: MemoryConfig) -> SolverSettings:
    """The solver's settings from a config with resolved positions."""
    solve = config.solve
    assert isinstance(solve.positions, int)
    return SolverSettings(
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
    """The number of positions whose gradient needs half of the free memory, between `_FEWEST_POSITIONS` and `_MOST_POSITIONS`."""
    kind = network.device.type
    free = torch.cuda.mem_get_info()[0] if kind == "cuda" else psutil.virtual_memory().available
    text: Any = network.network.config.get_text_config()
    inner = getattr(text, "intermediate_size", None) or 4 * network.width
    each = text.num_hidden_layers * (14 * network.width + 4 * inner) * network.embedding.element_size()
    return int(max(_FEWEST_POSITIONS, min(_MOST_POSITIONS[kind], free // 2 // each)))


def _split(
    pairs: tuple[EncodedPair, ...], config: MemoryConfig, training: int
) -> tuple[tuple[EncodedPair, ...], tuple[EncodedPair, ...]]:
    """The run's pairs, and those after them, which modes are learned from."""
    if not training:
        return pairs, ()
    count = min(config.count or len(pairs), len(pairs)) - (0 if config.count is not None else training)
    if len(pairs) - count < training or count < 1:
        raise ConfigError(
            f"modes: {training} pairs to learn from are needed besides the run's own, but there are only {len(pairs)} pairs. "
            "Use fewer pairs (count), or learn from fewer (modes.pairs)."
        )
    return pairs[:count], pairs[count : count + training]
