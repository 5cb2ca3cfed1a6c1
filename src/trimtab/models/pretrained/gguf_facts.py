"""The size of a GGUF file's content. Runs in a process with limits, so this module imports nothing from Trimtab."""

import math
from typing import Any


def gguf_facts(path: str) -> dict[str, Any]:
    """The number of parts that the file was split into, its block counts, and the number and size of its tensors."""
    from gguf import GGUFReader

    reader = GGUFReader(path)
    counts = {
        key: int(field.contents())
        for key, field in reader.fields.items()
        if key.endswith((".block_count", "split.count"))
    }
    return {
        "parts": counts.pop("split.count", 1),
        "counts": {key.rpartition(".")[2]: value for key, value in counts.items()},
        "tensors": len(reader.tensors),
        "numbers": sum(math.prod(map(int, tensor.shape)) for tensor in reader.tensors),
    }
