"""Whether a model has the required properties: runs the probe, and caches results by the model's fingerprint."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trimtab.boundary import read_regular
from trimtab.config.model_paths import cache_folder
from trimtab.config.offline import offline_import
from trimtab.errors import ConfigError
from trimtab.models.pretrained.probe import ProbeResult, probe
from trimtab.records.atomic import write_json

VERSION = 1
"""Increased when the probe changes, so that cached results are not used."""

_LIMIT = 1 << 16


def checked_probe(network: nn.Module, shown: Path, fingerprint: str) -> ProbeResult:
    """The probe result of a model, from the cache folder or a new probe.

    The cache key contains the fingerprint and the versions of the probe, transformers and torch; only passes are cached. Raises
    ConfigError for a model that lacks a property.
    """
    known = _read_cached(_cache_file(network, fingerprint))
    if known is None:
        known = probed(network, shown)
        remember(network, fingerprint, known)
    return known


def probed(network: nn.Module, shown: Path) -> ProbeResult:
    """The result of probing a network. Raises ConfigError with the names of the properties that it lacks."""
    result = probe(network)
    if result.failures:
        lacking = "; ".join(f"{name}: {sentence}" for name, sentence in result.failures.items())
        raise ConfigError(
            f"model.path: the {type(network).__name__} in {shown} cannot be used. Tests with a few random tokens failed: "
            f"{lacking}. Use another model; docs/pretrained.md lists the families that pass."
        )
    return result


def remember(network: nn.Module, fingerprint: str, result: ProbeResult) -> None:
    """Cache the result of a model that passed."""
    file = _cache_file(network, fingerprint)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"context": result.context, "drops_rows": result.drops_rows})


def _cache_file(network: Any, fingerprint: str) -> Path:
    key = [
        VERSION,
        fingerprint,
        type(network).__name__,
        network.config._attn_implementation,
        offline_import("transformers").__version__,
        torch.__version__,
    ]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    return cache_folder() / "probes" / f"{name}.json"


def _read_cached(file: Path) -> ProbeResult | None:
    """A cached result; None if the file is missing or invalid."""
    try:
        content = json.loads(read_regular(file, at_most=_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or set(content) != {"context", "drops_rows"}:
        return None
    context, drops_rows = content["context"], content["drops_rows"]
    if not isinstance(drops_rows, bool) or not (context is None or (type(context) is int and context > 0)):
        return None
    return ProbeResult(context, drops_rows=drops_rows)
