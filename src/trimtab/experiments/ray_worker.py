"""The work of a worker process on a node of a Ray cluster: jobs, and a probe of what the node computes."""

import hashlib
from typing import Any

from trimtab.experiments.worker import run_task
from trimtab.records import environment, numeric_differences
from trimtab.runtime.events import OnEvent

PROBE: dict[str, Any] = {"probe": True}
"""The task that returns the conditions of a node."""


def run_or_probe(task: dict[str, Any], on_event: OnEvent | None) -> dict[str, Any]:
    """Run a job, or return the node's conditions."""
    return conditions() if task == PROBE else run_task(task, on_event)


def conditions() -> dict[str, Any]:
    """The numeric environment of this process, the hash of Trimtab's code, and a hash of results that depend on both."""
    import torch

    draw = torch.Generator().manual_seed(0)
    x = torch.randn(64, 96, generator=draw)
    for _ in range(4):
        x = torch.softmax(x @ x.T, dim=-1) @ torch.nn.functional.gelu(x)
    return {"environment": environment(1, "fp32", "cpu"), "bits": hashlib.sha256(x.numpy().tobytes()).hexdigest()}


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """In what a node differs from this machine so that its results would; one phrase each."""
    here, there = ours["environment"], theirs["environment"]
    found = [f"{key}: {a!r} here, {b!r} there" for key, a, b in numeric_differences(here, there)]
    if here["source_hash"] != there["source_hash"]:
        found.append("Trimtab's code")
    if ours["bits"] != theirs["bits"]:
        found.append("the results of the same products")
    return found
