"""The snapshots that a regime controller may rewind to."""

from typing import Any

import torch
from torch import nn

from trimtab.runtime.nested import load_named_tensors, named_tensors
from trimtab.training.loop.hooks import HookSet
from trimtab.training.loop.optimizer import load_moments, moments


class Ring:
    """The newest `keep` snapshots of a run, in memory and in every checkpoint.

    A snapshot holds copies of the parameters, the optimiser's moments and a learning rule's state, and under `evaluations` what
    the evaluations until then say of these weights, as plain values.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.entries: list[dict[str, Any]] = []

    def take(
        self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, hooks: HookSet, evaluations: dict[str, Any]
    ) -> None:
        """Keep the state after `step`; the oldest snapshot beyond `keep` is dropped."""
        rule = None if hooks.rule is None else hooks.rule.state_dict()
        content = {
            "model": named_tensors(model),
            "optimizer": moments(optimizer),
            "rule": rule,
            "evaluations": evaluations,
        }
        self.entries = [*self.entries, {"step": step, **_copied(content)}][-self.keep :]

    def evaluated(self, step: int, evaluations: dict[str, Any]) -> None:
        """Update the snapshot of `step`, if there is one, after its weights were evaluated."""
        if self.entries and self.entries[-1]["step"] == step:
            self.entries[-1] = {**self.entries[-1], "evaluations": evaluations}

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The `evaluations` of each snapshot, oldest first."""
        return [entry["evaluations"] for entry in self.entries]

    def rewind(
        self, to: int, model: nn.Module, optimizer: torch.optim.Optimizer, hooks: HookSet
    ) -> tuple[int, dict[str, Any]]:
        """Set model, optimiser and rule to the newest snapshot of step `to` or before, or to the oldest if there is none.

        Newer snapshots are dropped. Returns the snapshot's step and its `evaluations`.
        """
        self.entries = [entry for entry in self.entries if entry["step"] <= to] or self.entries[:1]
        entry = self.entries[-1]
        load_named_tensors(model, entry["model"])
        load_moments(optimizer, _copied(entry["optimizer"]))
        if hooks.rule is not None:
            hooks.rule.load_state_dict(_copied(entry["rule"]))
        return int(entry["step"]), _copied(entry["evaluations"])

    def state_dict(self) -> list[dict[str, Any]]:
        """The snapshots, oldest first."""
        return self.entries

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Set the snapshots to what `state_dict` returned."""
        self.entries = [_copied(entry) for entry in state]


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return value
