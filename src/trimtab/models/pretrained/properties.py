"""Whether a model may be used: what its probe measured, remembered by the model's fingerprint."""

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
from trimtab.models.pretrained.probe import Probe, probe
from trimtab.records.atomic import write_json

VERSION = 1
"""Raised when the probe measures something else, so that what is remembered is measured again."""

_LIMIT = 1 << 16


def checked(network: nn.Module, shown: Path, fingerprint: str) -> Probe:
    """What a model's probe measured, without any failure.

    The network is probed once for every fingerprint, version of the probe, of transformers and of torch; that it passed is
    remembered in the cache folder. Raises ConfigError for a model that lacks a property.
    """
    known = _remembered(_memo(network, fingerprint))
    if known is None:
        known = passed(network, shown)
        remember(network, fingerprint, known)
    return known


def passed(network: nn.Module, shown: Path) -> Probe:
    """What a network's probe measured. Raises ConfigError, with the property's name, for one that lacks any."""
    measured = probe(network)
    if measured.failures:
        lacking = "; ".join(f"{name}: {sentence}" for name, sentence in measured.failures.items())
        raise ConfigError(
            f"model.path: the {type(network).__name__} in {shown} cannot be used. A few random tokens show what it lacks: "
            f"{lacking}. Use another model; docs/pretrained.md lists the families that pass."
        )
    return measured


def remember(network: nn.Module, fingerprint: str, measured: Probe) -> None:
    """Keep that a model passed for the next time that it is opened."""
    memo = _memo(network, fingerprint)
    memo.parent.mkdir(parents=True, exist_ok=True)
    write_json(memo, {"context": measured.context, "drops_rows": measured.drops_rows})


def _memo(network: Any, fingerprint: str) -> Path:
    measured = [
        VERSION,
        fingerprint,
        type(network).__name__,
        network.config._attn_implementation,
        offline_import("transformers").__version__,
        torch.__version__,
    ]
    name = hashlib.sha256(json.dumps(measured).encode()).hexdigest()
    return cache_folder() / "probes" / f"{name}.json"


def _remembered(memo: Path) -> Probe | None:
    """What was measured before; None for a file that is missing or holds anything else."""
    try:
        content = json.loads(read_regular(memo, at_most=_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or set(content) != {"context", "drops_rows"}:
        return None
    context, drops_rows = content["context"], content["drops_rows"]
    if not isinstance(drops_rows, bool) or not (context is None or (type(context) is int and context > 0)):
        return None
    return Probe(context, drops_rows=drops_rows)
