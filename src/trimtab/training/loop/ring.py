"""Snapshots that a regime controller may rewind to: weights, optimiser moments, and what is known of these weights."""

from typing import Any

import torch
from torch import nn

from trimtab.runtime.nested import named_tensors
from trimtab.training.loop.hooks import HookSet
from trimtab.training.loop.optimizer import load_moments, moments


class Ring:
    """The newest `keep` snapshots of a run, in memory; `state_dict` puts them into the checkpoint.

    A snapshot holds copies of the parameters, of the optimiser's moments and of a learning rule's state, and what
    evaluations had found (see `Evaluated`): `found`, as plain values.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.entries: list[dict[str, Any]] = []

    def take(
        self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, hooks: HookSet, found: dict[str, Any]
    ) -> None:
        """Keep the state after `step`; the oldest snapshot beyond `keep` is dropped."""
        rule = None if hooks.rule is None else hooks.rule.state_dict()
        content = {"model": named_tensors(model), "optimizer": moments(optimizer), "rule": rule, "found": found}
        self.entries = [*self.entries, {"step": step, **_copied(content)}][-self.keep :]

    def note(self, step: int, found: dict[str, Any]) -> None:
        """The weights after `step` were evaluated: a snapshot of them, if there is one, holds what was found."""
        if self.entries and self.entries[-1]["step"] == step:
            self.entries[-1] = {**self.entries[-1], "found": found}

    @property
    def found(self) -> list[dict[str, Any]]:
        """What evaluations had found at each snapshot, oldest first."""
        return [entry["found"] for entry in self.entries]

    def rewind(
        self, to: int, model: nn.Module, optimizer: torch.optim.Optimizer, hooks: HookSet
    ) -> tuple[int, dict[str, Any]]:
        """Set model, optimiser and rule to the newest snapshot of step `to` or before (the oldest one if there is none).

        Newer snapshots are dropped. Returns the snapshot's step and what evaluations had found at it.
        """
        early = [entry for entry in self.entries if entry["step"] <= to] or self.entries[:1]
        entry = early[-1]
        self.entries = early
        with torch.no_grad():
            for name, tensor in named_tensors(model).items():
                tensor.copy_(entry["model"][name])
        load_moments(optimizer, _copied(entry["optimizer"]))
        if hooks.rule is not None:
            hooks.rule.load_state_dict(_copied(entry["rule"]))
        return int(entry["step"]), _copied(entry["found"])

    def state_dict(self) -> list[dict[str, Any]]:
        """The snapshots, oldest first."""
        return self.entries

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Take the snapshots back."""
        self.entries = [_copied(entry) for entry in state]


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return value
