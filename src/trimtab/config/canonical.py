"""A canonical JSON serialisation of a config, and its hash."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and shortest round-trip numbers; whole floats are written as floats."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def config_hash(config: Any) -> str:
    """SHA-256 over the canonical JSON of a resolved config (every default filled in)."""
    return hashlib.sha256(canonical_json(config).encode()).hexdigest()
