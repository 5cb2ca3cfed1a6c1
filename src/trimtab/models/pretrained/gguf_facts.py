"""What a GGUF file says of itself. The function runs in a process with limits, so this module imports nothing of Trimtab."""

import math
from typing import Any


def gguf_facts(path: str) -> dict[str, Any]:
    """The parts that a file was split into, its counts of blocks, and the number and size of its tensors."""
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
