"""Recall: decode one memory of a finished run with its model."""

from collections.abc import Sequence
from pathlib import Path

from trimtab.config import RunError, allowing_code
from trimtab.config.load import recorded_root
from trimtab.memory.config import MemoryConfig
from trimtab.memory.engine.decoding import greedy_decode, prompt_vectors
from trimtab.memory.protocol.candidates import SIDES
from trimtab.memory.protocol.parts import network_of, tokenizer_of
from trimtab.memory.store import Memory, load_memory
from trimtab.records import RunDirectory
from trimtab.records.memory_rows import MEMORY_CONFIG
from trimtab.runtime.device import set_numerics

LONGEST = 1024
"""The number of tokens after which the text of a memory without an end token is cut off."""


def recall(
    folder: Path, pair: str, modes: Sequence[str], precision: str = "fp32", *, allow_code: bool = False
) -> tuple[Memory, dict[str, str]]:
    """A pair's memory in a run's folder, and what the model says under each of the `modes`.

    Raises:
        RunError: the folder is not a memory run, or has no memory of that pair; the memory is damaged or belongs to another
        model;
            the config does not match its recorded hash, or names code (a dotted path) without `allow_code`.
    """
    if not (folder / MEMORY_CONFIG).is_file():
        raise RunError(f"{folder} is not the folder of a memory run: it has no {MEMORY_CONFIG}.")
    run = RunDirectory(folder)
    manifest = run.manifest()
    with allowing_code(allow_code):
        config = recorded_root(MemoryConfig, manifest.config, manifest.config_hash, str(run.manifest_path))
    memory_folder = folder / "memories" / pair
    if memory_folder.parent != folder / "memories" or not memory_folder.is_dir():
        raise RunError(
            f"There is no memory of a pair '{pair}' in {folder}: the pair was not solved, or is not in this run. "
            f"{_available(folder)}"
        )
    assert isinstance(config.threads, int)
    set_numerics(config.device, config.threads)
    network = network_of(config, precision)
    memory = load_memory(memory_folder, network.fingerprint, network.width)
    tokenizer = tokenizer_of(config)
    prompts = [prompt_vectors(memory.modes[SIDES.index(mode)], memory.vectors, memory.card.layout) for mode in modes]
    room = network.context - max(len(one) for one in prompts)
    outputs = greedy_decode(network, prompts, min(LONGEST, room), tokenizer.ends)
    texts = [tokenizer.decode([token for token in tokens if token not in tokenizer.ends]) for tokens in outputs]
    return memory, dict(zip(modes, texts, strict=True))


def _available(folder: Path) -> str:
    names = sorted(entry.name for entry in (folder / "memories").glob("[!.]*"))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (
        f"Memories: {', '.join(names[:5])}{more}; {folder / 'pairs.jsonl'} lists all pairs."
        if names
        else "The run has no memories."
    )
