"""Where components stand in a config."""

from dataclasses import dataclass

from pydantic import BaseModel

from trimtab.config.memory import MemoryConfig
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


MEMORY_SLOTS = (
    Slot(("model",), "frozen_model"),
    Slot(("pairs",), "pairs"),
    Slot(("modes",), "modes"),
    Slot(("ablations", "models"), "frozen_model", many=True),
)

ROOTS: dict[type[BaseModel], tuple[Slot, ...]] = {RunConfig: SLOTS, MemoryConfig: MEMORY_SLOTS}
"""The kinds of config, and the slots of each."""


def slot_of(path: Path) -> Slot | None:
    """The slot whose component stands at `path`, if there is one."""
    for slot in dict.fromkeys(slot for slots in ROOTS.values() for slot in slots):
        if slot.many and path[:-1] == slot.path and isinstance(path[-1], int):
            return slot
        if not slot.many and path == slot.path:
            return slot
    return None


def default_name(slot: Slot, root: type[BaseModel] = RunConfig) -> str | None:
    """The name of the component that stands in a slot of a `root` when the config does not name one; None without one."""
    first, *rest = slot.path
    field = root.model_fields.get(first)
    here: object = None if field is None or field.is_required() else field.get_default(call_default_factory=True)
    for part in rest:
        here = getattr(here, part, None)
    return here.name if isinstance(here, Component) else None
