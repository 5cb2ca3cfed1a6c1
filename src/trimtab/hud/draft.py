"""What a person is about to start: a kind of run, a base, changed keys and a folder; and the history of starts."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimtab.boundary import read_regular
from trimtab.errors import WorkError
from trimtab.hud.control import HOME, written

EXPERIMENT, FORK = "experiment", "fork"

COMMANDS = {
    "training": ("train",),
    "thinking": ("train",),
    "budgets": ("train",),
    "experiment": ("run",),
    "search": ("search", "run"),
    "memory": ("memory", "run"),
}
"""The command that starts a kind of run; a kind of another package is started by `trimtab train`."""

_NUMBER = re.compile(r"[-+]?[0-9]+(_[0-9]+)+(\.[0-9]*)?([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Draft:
    """A run that is not started yet. `base` is a config file, for a fork the folder of the run; `changes` are values as typed."""

    kind: str = "training"
    base: str | None = None
    at: int | None = None
    changes: Mapping[str, str] = field(default_factory=dict)
    out: str = ""

    @property
    def overrides(self) -> list[str]:
        """The changes as `--set` takes them. Naming another component comes before its parameters."""
        keys = sorted(self.changes, key=lambda key: (not key.endswith(".name"), list(self.changes).index(key)))
        return [f"{key}={plain_number(self.changes[key])}" for key in keys]

    def command(self) -> list[str]:
        """The arguments of `trimtab` that start this run."""
        if self.kind == FORK:
            words = ["fork", str(self.base), "--at", str(self.at or 0)]
        else:
            words = [*COMMANDS.get(self.kind, ("train",)), *([self.base] if self.base else [])]
        for change in self.overrides:
            words += ["--set", change]
        return [*words, "--out", self.out]

    @property
    def written(self) -> str:
        """The command as one types it."""
        return written(self.command())

    def with_change(self, key: str, value: str) -> "Draft":
        """The draft with a key set. Naming another component drops the changes of the old one's parameters."""
        changes = {one: text for one, text in self.changes.items() if one != key}
        if key.endswith(".name"):
            within = key.removesuffix("name")
            changes = {one: text for one, text in changes.items() if not one.startswith(within)}
        return replace(self, changes={**changes, key: value})

    def without(self, key: str) -> "Draft":
        """The draft with a key, and all below it, at its default."""
        kept = {one: text for one, text in self.changes.items() if one != key and not one.startswith(f"{key}.")}
        return replace(self, changes=kept)


def plain_number(text: str) -> str:
    """A number without the `_` between its digits, which a config does not take; any other text as it is."""
    stripped = text.strip()
    return stripped.replace("_", "") if _NUMBER.fullmatch(stripped) else text


def free_folder(runs: Path, kind: str) -> str:
    """A folder for the next run of a kind that does not exist yet."""
    number = 1
    while (folder := runs / f"{kind}-{number}").exists():
        number += 1
    return str(folder)


def bases(runs: Path) -> list[str]:
    """Config files that are near: in the working folder, in `configs` there, and in the folder of the runs."""
    found: dict[str, None] = {}
    for folder in (Path("configs"), Path(), runs):
        for path in sorted(folder.glob("*.yaml")):
            found[str(path)] = None
    return list(found)


class History:
    """The starts from this screen, in a file of the screen's own folder, the latest last."""

    def __init__(self, runs: Path) -> None:
        self.path = runs / HOME / "history.jsonl"

    def add(self, draft: Draft, digest: str) -> None:
        """Add a start. Raises `WorkError` where the file cannot be written."""
        row = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "hash": digest, **asdict(draft)}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise WorkError(
                f"Cannot write {self.path}: {error.strerror}. The run was started; free some space."
            ) from error

    def drafts(self) -> list[tuple[str, Draft]]:
        """The starts, latest first: their time, and the draft."""
        try:
            lines = read_regular(self.path).decode(errors="replace").splitlines()
        except OSError:
            return []
        drafts = []
        for text in lines:
            row = _object(text)
            if row is None or not isinstance(row.get("changes"), dict):
                continue
            changes = {str(key): str(value) for key, value in row["changes"].items()}
            base, at = row.get("base"), row.get("at")
            draft = Draft(
                kind=str(row.get("kind", "training")),
                base=None if base is None else str(base),
                at=at if isinstance(at, int) else None,
                changes=changes,
                out=str(row.get("out", "")),
            )
            drafts.append((str(row.get("time", ""))[:16], draft))
        return drafts[::-1]


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def leaf(config: Any, key: str) -> Any:
    """The value of a dotted key in a resolved config; None where it has none."""
    value = config
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def shown_keys(catalogue: Mapping[str, Any], kind: str, config: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The lines of the launch screen: each key of the kind; after a component its parameters, and the others it may be.

    A line has `key`, `type`, `default`, `description`, `choices` and, for a component that may be chosen, its `value`.
    """
    name = "training" if kind == FORK else kind
    keys: Sequence[dict[str, Any]] = catalogue["keys"].get(name, [])
    lines: list[dict[str, Any]] = []
    for key in keys:
        if (
            "[]" in key["key"]
            or ".KEY" in key["key"]
            or (key["key"].endswith(".name") and _is_component(keys, key["key"]))
        ):
            continue
        if key["group"]:
            continue
        lines.append(key)
        if key["component"] and "list" not in key["type"]:
            lines += _component_lines(catalogue, key, leaf(config or {}, key["key"]))
    return lines


def _is_component(keys: Sequence[dict[str, Any]], key: str) -> bool:
    above = key.rpartition(".")[0]
    return any(one["key"] == above and one["component"] for one in keys)


def _component_lines(catalogue: Mapping[str, Any], key: dict[str, Any], value: Any) -> list[dict[str, Any]]:
    chosen = value.get("name") if isinstance(value, Mapping) else None
    lines = []
    for component in catalogue["components"]:
        if component["kind"] != key["component"]:
            continue
        if component["name"] == chosen:
            lines += [{**one, "key": f"{key['key']}.{one['key']}", "of": chosen} for one in component["parameters"]]
        lines.append(
            {
                "key": f"{key['key']}.name",
                "value": component["name"],
                "type": f"{key['component']}",
                "default": "",
                "description": component["about"],
                "choices": [],
                "required": False,
                "changeable": False,
                "component": None,
                "group": False,
            }
        )
    return lines
