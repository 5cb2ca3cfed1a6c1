"""Where components stand in a config."""

from dataclasses import dataclass

from trimtab.config.schema import Component, RunConfig
from trimtab.config.yaml_file import Path


@dataclass(frozen=True)
class Slot:
    """A key of the config that holds a component of a kind, or (`many`) a list of them."""

    path: tuple[str, ...]
    kind: str
    many: bool = False


SLOTS = (
    Slot(("data",), "data"),
    Slot(("data", "task"), "task"),
    Slot(("data", "tokenizer"), "tokenizer"),
    Slot(("model",), "model"),
    Slot(("episode", "optimizer"), "optimizer"),
    Slot(("episode", "schedule"), "schedule"),
    Slot(("episode", "loss"), "loss"),
    Slot(("episode", "regime_controller"), "regime_controller"),
    Slot(("monitor", "instruments"), "instrument", many=True),
    Slot(("faults",), "fault", many=True),
    Slot(("hooks",), "hook", many=True),
)

BESIDE: dict[str, tuple[str, ...]] = {"data": ("tokenizer", "task"), "hook": ("enabled",)}
"""Keys of a component that the schema validates itself, beside the component's own parameters."""


def slot_of(path: Path) -> Slot | None:
    """The slot whose component stands at `path`, if there is one."""
    for slot in SLOTS:
        if slot.many and path[:-1] == slot.path and isinstance(path[-1], int):
            return slot
        if not slot.many and path == slot.path:
            return slot
    return None


def default_name(slot: Slot) -> str | None:
    """The name of the component that stands in a slot when the config does not name one; None if there is none."""
    here: object = RunConfig()
    for part in slot.path:
        here = getattr(here, part)
    return here.name if isinstance(here, Component) else None
