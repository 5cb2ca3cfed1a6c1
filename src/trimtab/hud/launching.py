"""The state of the launch screen, without its widgets: the draft, its changes, the lines that are shown."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trimtab.config.describe import value_text
from trimtab.config.kinds import described_kind
from trimtab.config.yaml_file import load_yaml
from trimtab.errors import TrimtabError
from trimtab.hud.draft import FORK, Draft, History, bases, free_folder, leaf, plain_number, shown_keys
from trimtab.hud.filters import ranked

KINDS = ("training", "thinking", "experiment", "search", "memory", "budgets")


def text_of(one: Mapping[str, Any]) -> str:
    """What a filter looks at: the key, or for a component that may be chosen the key and its name."""
    return f"{one['key'].removesuffix('.name')} {one['value']}" if "value" in one else str(one["key"])


class Launching:
    """A draft of a run in `runs`, and the list of its keys.

    `reply` is the child's answer to the draft: its resolved `config` and `hash`, or the `error`; empty until it comes.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.draft = Draft(out=free_folder(runs, "training"))
        self.catalogue: Mapping[str, Any] | None = None
        self.reply: Mapping[str, Any] = {}
        self.defaults: Mapping[str, Any] = {}
        """The resolved config without changes, once it is known."""
        self.lines: list[dict[str, Any]] = []
        self.found: list[int] = []
        self.filter, self.only_changed = "", False
        self.trial: tuple[Draft, Mapping[str, Any]] | None = None
        """The draft with the value that is being typed, and the child's answer to it."""
        self._undo: list[Draft] = []
        self._recalled = 0

    @property
    def error(self) -> str | None:
        """The error of the draft, with the value that is being typed, in the words of the command line."""
        reply = self.reply if self.trial is None else self.trial[1]
        return str(reply["error"]) if "error" in reply else None

    def answered(self, draft: Draft, reply: Mapping[str, Any]) -> bool:
        """Take the child's answer. Returns `False` for one to an earlier draft."""
        if self.trial is not None and draft == self.trial[0]:
            self.trial = (draft, reply)
            return True
        if draft != self.draft:
            return False
        self.reply = reply
        if "config" in reply and not draft.changes:
            self.defaults = reply["config"]
        return True

    def change(self, draft: Draft) -> bool:
        """Take a new draft, which `undo` takes back. Returns `False` for one that changes nothing."""
        if draft == self.draft:
            return False
        self._undo.append(self.draft)
        self._take(draft)
        return True

    def undo(self) -> bool:
        """Take the last change back. Returns `False` where there is none."""
        if not self._undo:
            return False
        self._take(self._undo.pop())
        return True

    def _take(self, draft: Draft) -> None:
        if (draft.kind, draft.base) != (self.draft.kind, self.draft.base):
            self.defaults = {}
        self.draft, self.reply = draft, {}

    def set_base(self, base: str) -> bool:
        """Start from a config file; empty for the defaults. The kind is what the file describes."""
        kind = kind_described(base, self.draft.kind)
        return self.change(replace(self.draft, base=base or None, kind=kind, out=free_folder(self.runs, kind)))

    def next_base(self) -> str:
        """The config file after the present one."""
        known = ["", *bases(self.runs)]
        now = self.draft.base or ""
        return known[(known.index(now) + 1) % len(known)] if now in known else known[0]

    def next_kind(self) -> bool:
        """The next kind of run, from its defaults."""
        place = KINDS.index(self.draft.kind) if self.draft.kind in KINDS else -1
        kind = KINDS[(place + 1) % len(KINDS)]
        return self.change(Draft(kind, None, None, {}, free_folder(self.runs, kind)))

    def fork(self, run: Path, at: int) -> bool:
        """Draft a fork of a run."""
        return self.change(Draft(FORK, str(run), at, {}, free_folder(self.runs, f"{run.name}-at-{at}")))

    def recall(self) -> str | None:
        """Draft an earlier start again; each call goes one further back. Returns its time, or None where there is none."""
        drafts = History(self.runs).drafts()
        if not drafts:
            return None
        when, draft = drafts[self._recalled % len(drafts)]
        self._recalled += 1
        self.change(replace(draft, out=free_folder(self.runs, draft.kind)))
        return when

    def started(self) -> None:
        """After a start: the same kind and base, every key at its default, another folder, nothing to undo."""
        kind = f"{Path(self.draft.base or '').name}-at-{self.draft.at}" if self.draft.kind == FORK else self.draft.kind
        self._undo, self._recalled = [], 0
        self._take(replace(self.draft, changes={}, out=free_folder(self.runs, kind)))

    # --- the list of keys ---

    def list_keys(self) -> None:
        """Make the lines anew: the keys of the kind, and of them those that the filter finds.

        Components that may be chosen are only listed where a filter looks for them.
        """
        if self.catalogue is not None:
            self.lines = shown_keys(self.catalogue, self.draft.kind, self.config)
        chosen = [i for i, one in enumerate(self.lines) if not self.only_changed or one["key"] in self.draft.changes]
        if self.filter:
            places = ranked(self.filter, [text_of(self.lines[index]) for index in chosen])
            self.found = [chosen[place] for place in places]
        else:
            self.found = [index for index in chosen if "value" not in self.lines[index]]

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config: of the draft, or where that has an error without its changes."""
        config: Mapping[str, Any] = self.reply.get("config") or self.defaults
        return config

    def at(self, place: int) -> dict[str, Any] | None:
        """The line at a place of the list."""
        return self.lines[self.found[place]] if 0 <= place < len(self.found) else None

    def is_changed(self, one: Mapping[str, Any]) -> bool:
        """Whether the draft changes this line's key."""
        name = f"{one['key']}.name" if one["component"] else one["key"]
        return "value" not in one and (name in self.draft.changes or one["key"] in self.draft.changes)

    def value_of(self, one: Mapping[str, Any]) -> str:
        """The value of a line as a config writes it: as typed where it was changed."""
        if "value" in one:
            return str(one["value"])
        name = f"{one['key']}.name" if one["component"] else one["key"]
        for key in (one["key"], name):
            if key in self.draft.changes:
                return plain_number(self.draft.changes[key])
        value = leaf(self.config, one["key"])
        if one["component"] and isinstance(value, Mapping):
            return str(value.get("name"))
        return value_text(value) if value is not None else str(one["default"] or "null")

    def next_choice(self, one: Mapping[str, Any]) -> str | None:
        """The next value of a key that has only a few; None for any other."""
        choices = one["choices"]
        if len(choices) < 2 or one["type"] not in ("true or false", " or ".join(choices)):
            return None
        now = self.value_of(one)
        return str(choices[(choices.index(now) + 1) % len(choices)] if now in choices else choices[0])

    def section_of(self, key: str) -> str:
        """The section of a key: its first two parts where they have keys below them, else its first part."""
        first = ".".join(key.split(".")[:2])
        has_more = first != key or any(one["key"].startswith(f"{first}.") for one in self.lines)
        return first if has_more and key.startswith(("episode.", "run.")) else key.split(".", maxsplit=1)[0]

    def sections(self) -> dict[str, int]:
        """The sections of the keys, and how many keys of each are changed."""
        names: dict[str, int] = {}
        for one in self.lines:
            if "value" not in one:
                name = self.section_of(one["key"])
                names[name] = names.get(name, 0) + self.is_changed(one)
        return names


def kind_described(base: str, otherwise: str) -> str:
    """The kind of run that a config file describes; `otherwise` for one that cannot be read."""
    if not base:
        return "training"
    try:
        data, _ = load_yaml(Path(base))
    except TrimtabError:
        return otherwise
    named = data.get("kind")
    return named if isinstance(named, str) else described_kind(data) or "training"
