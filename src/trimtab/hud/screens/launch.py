"""Starting a run: every key with a filter, validation while one types, the equivalent command, the history."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from trimtab.errors import TrimtabError
from trimtab.hud import control
from trimtab.hud.draft import FORK, Draft, History
from trimtab.hud.launching import Launching, text_of
from trimtab.hud.screens.base import HudScreen, bindings
from trimtab.hud.validator import Validator, cached_catalogue, keep_catalogue
from trimtab.hud.widgets import LineList, Words, columns_text
from trimtab.hud.words import line


class LaunchScreen(HudScreen):
    """The screen that starts runs. Nothing is kept between two starts but the history: each begins from the defaults."""

    place = "launch"
    BINDINGS: ClassVar[list[BindingType]] = bindings("launch")

    class Answered(Message):
        """The child process answered a question about a draft, or about the catalogue (no draft)."""

        def __init__(self, reply: Mapping[str, Any], draft: Draft | None = None) -> None:
            super().__init__()
            self.reply, self.draft = reply, draft

    def __init__(self, runs: Path) -> None:
        super().__init__()
        self.state = Launching(runs)
        self.validator = Validator()
        self._editing = ""

    # --- parts ---

    def body(self) -> ComposeResult:
        """Sections, keys, details; the command; the line for typing."""
        with Horizontal(id="launch-body"):
            yield Words(self._sections, id="sections")
            yield LineList(self._line, look=self.hud.look, id="keys")
            yield Words(self._detail, id="detail")
        yield Words(self._command, id="command")
        yield Input(id="edit", compact=True)

    def on_mount(self) -> None:
        """Load the keys, from the cache or from the child."""
        keys = self._keys
        self.query_one("#sections").border_title = "SECTIONS"
        keys.border_title, keys.empty = "KEY · VALUE", "The keys are being read."
        self.query_one("#detail").border_title = "DETAIL"
        self.query_one("#edit").display = False
        keys.focus()
        self.state.catalogue = cached_catalogue()
        if self.state.catalogue is None:
            self.validator.catalogue(self._post)
        self._check()

    @property
    def _keys(self) -> LineList:
        return self.query_one("#keys", LineList)

    def _post(self, reply: Mapping[str, Any], draft: Draft | None = None) -> None:
        if self.is_attached:
            self.post_message(self.Answered(reply, draft))

    def on_launch_screen_answered(self, event: "LaunchScreen.Answered") -> None:
        """Use an answer of the child."""
        if event.draft is not None:
            self.state.answered(event.draft, event.reply)
        elif "error" in event.reply:
            self.hud.say(str(event.reply["error"]))
        else:
            self.state.catalogue = event.reply
            keep_catalogue(event.reply)
        self._list()

    def _check(self) -> None:
        """Validate the draft in the child, and draw."""
        self._ask(self.state.draft)
        self._list()

    def _ask(self, draft: Draft) -> None:
        self.validator.check(draft.kind, draft.base, draft.overrides, lambda reply: self._post(reply, draft))

    def _do(self, change: Callable[[], bool]) -> None:
        """Change the draft; a change is validated."""
        if change() and self.is_mounted:
            self._check()

    def _list(self) -> None:
        self.state.list_keys()
        with self.quietly():
            self._keys.set_count(len(self.state.found))
            for words in self.query(Words):
                words.refresh()

    def title_text(self) -> Text:
        """The kind, the changes and whether there is an error."""
        palette, state, draft = self.hud.look.palette, self.state, self.state.draft
        text = Text(f"kind {draft.kind}", style=f"bold {palette.text}", end="")
        text.append(f"  base {Path(draft.base).name if draft.base else 'the defaults'}", palette.dim)
        if draft.kind == FORK:
            text.append(f" at step {draft.at}", palette.warning)
        text.append(f"  {len(draft.changes)} changed", palette.warning if draft.changes else palette.dim)
        if state.error is not None:
            return text.append(f"  {self.hud.look.state('failed')[0]} error", palette.bad)
        if "hash" in state.reply:
            return text.append(f"  {self.hud.look.state('completed')[0]} valid", palette.good)
        return text.append("  checking", palette.dim)

    def _current(self) -> dict[str, Any] | None:
        return self.state.at(self._keys.cursor)

    def _line(self, index: int, width: int, chosen: bool) -> Text:
        one, palette = self.state.at(index), self.hud.look.palette
        if one is None:
            return Text("")
        if "value" in one:
            words = f"{one['key'].removesuffix('.name')} = {one['value']}"
            return columns_text([(" ", 1, ""), (words, max(10, width - 2), palette.dim)])
        changed = self.state.is_changed(one)
        key = max(18, min(44, width * 11 // 20))
        value = line(self.state.value_of(one), 200)
        colour = palette.warning if changed else palette.dim
        mark = ("*" if changed else " ", 1, palette.warning)
        return columns_text([mark, (one["key"], key, palette.text), (value, max(6, width - key - 3), colour)])

    def _sections(self, width: int, height: int) -> Text:
        palette, here = self.hud.look.palette, self._current()
        now = "" if here is None else self.state.section_of(here["key"])
        names = list(self.state.sections().items())
        start = max(
            0, min(len(names) - height, next((i for i, (n, _) in enumerate(names) if n == now), 0) - height // 2)
        )
        text = Text(no_wrap=True, end="")
        for name, changed in names[start : start + height]:
            text.append(
                (">" if name == now else " ") + line(name, width - 4), palette.accent if name == now else palette.text
            )
            text.append(f" *{changed}\n" if changed else "\n", palette.warning)
        return text

    def _detail(self, width: int, height: int) -> Text:
        palette, one, error = self.hud.look.palette, self._current(), self.state.error
        text = Text(end="")
        if error is not None:
            text.append(f"{error}\n\n", palette.bad)
        if one is None:
            return text
        text.append(f"{text_of(one)}\n", f"bold {palette.text}")
        if "value" not in one:
            text.append(f"{one['type']}\n", palette.accent)
            text.append(f"default {one['default'] or 'none'}\n" if not one["required"] else "required\n", palette.dim)
        text.append(f"{one['description']}\n", palette.text)
        if one["choices"]:
            text.append(f"choices: {', '.join(one['choices'])}\n", palette.dim)
        if one.get("changeable"):
            text.append("A controller may change it during the run.\n", palette.dim)
        return text

    def _command(self, width: int, height: int) -> Text:
        palette, state = self.hud.look.palette, self.state
        text = Text(f"$ {line(state.draft.written, width * 2 - 4)}\n", style=palette.text, end="")
        if state.error is not None:
            return text.append(line(state.error, width), palette.bad)
        digest = str(state.reply.get("hash", ""))[:16]
        return text.append(f"config hash {digest}" if digest else "checking", palette.dim)

    # --- moving ---

    def on_line_list_moved(self) -> None:
        """Show the details of the line at the cursor."""
        with self.quietly():
            self.query_one("#detail", Words).refresh()
            self.query_one("#sections", Words).refresh()

    def on_line_list_chosen(self) -> None:
        """A click on the cursor's line edits it."""
        self.action_open()

    def action_down(self) -> None:
        """The next key."""
        self._keys.move(1)

    def action_up(self) -> None:
        """The key before."""
        self._keys.move(-1)

    def action_first(self) -> None:
        """The first key."""
        self._keys.go(0)

    def action_last(self) -> None:
        """The last key."""
        self._keys.go(len(self.state.found))

    def action_page(self, direction: int) -> None:
        """A page of keys."""
        self._keys.page(direction)

    # --- typing ---

    def _type(self, what: str, value: str, hint: str) -> None:
        box = self.query_one("#edit", Input)
        self._editing = what
        box.display = True
        box.placeholder = hint
        with box.prevent(Input.Changed):
            box.value = value
        box.cursor_position = len(value)
        self.set_focus(box)

    def action_open(self) -> None:
        """Edit the value at the cursor. A component that may be chosen is chosen; of few values the next is taken."""
        one = self._current()
        if one is None:
            return
        if "value" in one:
            self._set(one["key"], str(one["value"]))
        elif one["component"] and "list" not in one["type"]:
            self._type(f"{one['key']}.name", self.state.value_of(one), "the name of the component")
        elif (choice := self.state.next_choice(one)) is not None:
            self._set(one["key"], choice)
        else:
            self.set_class(True, "detailed")
            self._type(one["key"], self.state.value_of(one), "the value, as in a config")

    def _set(self, key: str, value: str) -> None:
        self._do(lambda: self.state.change(self.state.draft.with_change(key, value)))

    def action_filter(self) -> None:
        """Filter the keys and components."""
        self._type("filter", self.state.filter, "letters of a key or a component")

    def action_base(self) -> None:
        """Choose the next config file as base, or type one."""
        self._type("base", self.state.next_base(), "a config file; empty for the defaults")

    def action_folder(self) -> None:
        """Type the folder of the run."""
        self._type("out", self.state.draft.out, "the folder of the new run")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while typing."""
        if self._editing == "filter":
            self.state.filter = event.value
            self._keys.go(0)
            self._list()
        elif self._editing not in ("", "base", "out"):
            draft = self.state.draft.with_change(self._editing, event.value)
            self.state.trial = (draft, {})
            self._ask(draft)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        what, value = self._editing, event.value
        if not what:  # Enter was pressed again before the list had the focus
            self.action_open()
            return
        self._stop_typing()
        if what == "base":
            self._do(lambda: self.state.set_base(value))
        elif what == "out":
            self._do(lambda: self.state.change(replace(self.state.draft, out=value)))
        elif what != "filter":
            self._set(what, value)

    def _stop_typing(self) -> None:
        self._editing, self.state.trial = "", None
        self.set_class(False, "detailed")
        self.query_one("#edit").display = False
        self._keys.focus()

    def action_leave(self) -> None:
        """Leave the line for typing, then the filter, then the screen."""
        if self._editing:
            if self._editing == "filter":
                self.state.filter = ""
            self._stop_typing()
            self._list()
        elif self.state.filter or self.state.only_changed:
            self.state.filter, self.state.only_changed = "", False
            self._list()
        else:
            self.hud.go("fleet")

    # --- the draft ---

    def fork(self, run: Path, at: int) -> None:
        """Draft a fork of a run."""
        self._do(lambda: self.state.fork(run, at))

    def action_next_kind(self) -> None:
        """The next kind of run, from its defaults."""
        self._do(self.state.next_kind)

    def action_default(self) -> None:
        """The key at the cursor back to its default."""
        one = self._current()
        if one is not None:
            self._do(lambda: self.state.change(self.state.draft.without(one["key"])))

    def action_defaults(self) -> None:
        """Every key back to its default."""
        self._do(lambda: self.state.change(replace(self.state.draft, changes={})))

    def action_undo(self) -> None:
        """Undo the last change."""
        self._do(self.state.undo)

    def action_changed(self) -> None:
        """Only the changed keys, or all."""
        self.state.only_changed = not self.state.only_changed
        self._list()

    def action_history(self) -> None:
        """Recall the start before; again for the one before that."""
        when = self.state.recall()
        self.hud.say("Nothing was started from this screen yet." if when is None else f"Recalled the start of {when}.")
        self._check()

    def action_copy(self) -> None:
        """Copy the command."""
        self.hud.copy(["trimtab", *self.state.draft.command()])

    def action_start(self) -> None:
        """Start the run, in a process of its own; then every key is at its default again."""
        state, runs = self.state, self.hud.fleet.folder
        draft = state.draft
        if state.error is not None:
            self.hud.say("The config has an error, so it cannot be started.")
        elif "hash" not in state.reply:
            self.hud.say("The config is still being checked. Press s again in a moment.")
        elif Path(draft.out).exists():
            self.hud.say(f"{draft.out} exists. Press o and name another folder.")
        else:
            try:
                log = control.start(draft.command(), runs, Path(draft.out).name)
                History(runs).add(draft, str(state.reply["hash"]))
            except TrimtabError as error:
                self.hud.say(str(error))
                return
            state.started()
            self._check()
            self.hud.say(f"Started: {draft.written}. Its output is in {log}.")
            self.hud.poller.hurry()
