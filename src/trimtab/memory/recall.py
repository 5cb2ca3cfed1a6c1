"""One memory of a finished run, said by its model in a process of its own."""

from collections.abc import Sequence
from pathlib import Path

from trimtab.config import RunError, allowing_code
from trimtab.config.load import recorded_root
from trimtab.memory.config import MemoryConfig
from trimtab.memory.engine.decoding import opening, say
from trimtab.memory.protocol.parts import network_of, tokenizer_of
from trimtab.memory.protocol.solving import SIDES
from trimtab.memory.store import Memory, load_memory
from trimtab.records import RunDirectory
from trimtab.records.memory_rows import MEMORY_CONFIG
from trimtab.runtime.device import set_numerics

LONGEST = 1024
"""Tokens after which a memory that does not end is cut off."""


def recall(
    folder: Path, pair: str, modes: Sequence[str], precision: str = "fp32", *, allow_code: bool = False
) -> tuple[Memory, dict[str, str]]:
    """A pair's memory in a run's folder, and what the model says under each of the `modes`.

    Raises:
        RunError: no memory run, no memory of that pair, a damaged one, or one of another model; a config that does not have
            its recorded hash, or that names code (a dotted path) unless `allow_code`.
    """
    if not (folder / MEMORY_CONFIG).is_file():
        raise RunError(f"{folder} is not the folder of a memory run: there is no {MEMORY_CONFIG} in it.")
    run = RunDirectory(folder)
    manifest = run.manifest()
    with allowing_code(allow_code):
        config = recorded_root(MemoryConfig, manifest.config, manifest.config_hash, str(run.manifest_path))
    place = folder / "memories" / pair
    if place.parent != folder / "memories" or not place.is_dir():
        raise RunError(
            f"There is no memory of a pair '{pair}' in {folder}: it was not solved, or is no pair of this run. "
            f"{_there(folder)}"
        )
    assert isinstance(config.threads, int)
    set_numerics(config.device, config.threads)
    network = network_of(config, precision)
    memory = load_memory(place, network.fingerprint, network.width)
    tokenizer = tokenizer_of(config)
    asked = [opening(memory.modes[SIDES.index(mode)], memory.vectors, memory.card.layout) for mode in modes]
    room = network.context - max(len(one) for one in asked)
    said = say(network, asked, min(LONGEST, room), tokenizer.ends)
    texts = [tokenizer.decode([token for token in tokens if token not in tokenizer.ends]) for tokens in said]
    return memory, dict(zip(modes, texts, strict=True))


def _there(folder: Path) -> str:
    known = sorted(entry.name for entry in (folder / "memories").glob("[!.]*"))
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return (
        f"There are {', '.join(known[:5])}{more}; {folder / 'pairs.jsonl'} has all pairs."
        if known
        else "There is none."
    )
