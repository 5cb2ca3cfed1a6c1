"""The keys: one table, from which the bindings, the help and the page in docs/hud.md come."""

from collections.abc import Iterable
from dataclasses import dataclass

EVERYWHERE = "everywhere"
SCREENS = ("fleet", "run", "launch", "compare", "study")


@dataclass(frozen=True)
class Key:
    """A key: its names in Textual, how it is written, the action it calls, what it does and on which screens."""

    keys: str
    written: str
    action: str
    help: str
    screens: tuple[str, ...] = (EVERYWHERE,)


_LISTS = ("fleet", "launch", "compare", "study")
_CURVES = ("run", "compare")
_RUNS = ("fleet", "run")

KEYS: tuple[Key, ...] = (
    Key("1", "1", "go('fleet')", "all runs"),
    Key("2", "2", "go('run')", "the selected run"),
    Key("3", "3", "go('launch')", "start a run"),
    Key("4", "4", "go('compare')", "compare the marked runs"),
    Key("5", "5", "go('study')", "an experiment, a search or a memory run as a whole"),
    Key("question_mark", "?", "help", "these keys"),
    Key("ctrl+p", "Ctrl+P", "command_palette", "every command by name"),
    Key("q,ctrl+c", "q", "quit", "quit; runs go on"),
    Key("S", "S", "snapshot", "write the screen as an SVG picture"),
    Key("escape", "Esc", "leave", "leave the filter, or go back to all runs"),
    Key("j,down", "j ↓", "down", "the next line or panel", (*_LISTS, "run")),
    Key("k,up", "k ↑", "up", "the line or panel before", (*_LISTS, "run")),
    Key("g,home", "g", "first", "the first line", _LISTS),
    Key("G,end", "G", "last", "the last line", _LISTS),
    Key("pagedown", "PgDn", "page(1)", "a page down", _LISTS),
    Key("pageup", "PgUp", "page(-1)", "a page up", _LISTS),
    Key("slash", "/", "filter", "filter: words, key:text, key>number", ("fleet", "launch")),
    Key("enter", "Enter", "open", "open the run, or edit the value", _LISTS),
    Key("space", "Space", "mark", "mark for comparison", _RUNS),
    Key("c", "c", "go('compare')", "compare the marked runs", _RUNS),
    Key("n", "n", "go('launch')", "a new run", ("fleet", "run", "study")),
    Key("x", "x", "stop", "stop the run after a checkpoint", _RUNS),
    Key("X", "X", "kill", "kill the run (asks)", _RUNS),
    Key("r", "r", "resume", "resume the run", _RUNS),
    Key("F", "F", "fork", "fork at the crosshair, or at the last checkpoint", _RUNS),
    Key("plus,equals_sign", "+", "zoom(0.5)", "zoom in", _CURVES),
    Key("minus", "-", "zoom(2)", "zoom out", _CURVES),
    Key("0", "0", "zoom(0)", "the whole course", _CURVES),
    Key("left_square_bracket", "[", "pan(-1)", "to the left", _CURVES),
    Key("right_square_bracket", "]", "pan(1)", "to the right", _CURVES),
    Key("v", "v", "cross", "crosshair on or off", _CURVES),
    Key("h,left", "h ←", "aside(-1)", "the crosshair to the left", _CURVES),
    Key("l,right", "l →", "aside(1)", "the crosshair to the right", _CURVES),
    Key("L", "L", "log", "logarithmic axis", _CURVES),
    Key("e", "e", "smooth", "smoothing: none, 0.9, 0.98", _CURVES),
    Key("a", "a", "axis", "horizontal axis: steps, tokens, time", _CURVES),
    Key("z", "z", "maximise", "the panel in all of the screen, and back", ("run",)),
    Key("tab", "Tab", "next_panel", "the next panel", ("run",)),
    Key("p", "p", "next_part", "the next part of the run", ("run",)),
    Key("s", "s", "start", "start the run", ("launch",)),
    Key("K", "K", "next_kind", "the next kind of run", ("launch",)),
    Key("b", "b", "base", "the config that the run starts from", ("launch",)),
    Key("o", "o", "folder", "the folder of the run", ("launch",)),
    Key("d", "d", "default", "this key back to its default", ("launch",)),
    Key("D", "D", "defaults", "every key back to its default", ("launch",)),
    Key("u", "u", "undo", "undo the last change", ("launch",)),
    Key("m", "m", "changed", "only the changed keys", ("launch",)),
    Key("H", "H", "history", "recall an earlier launch", ("launch",)),
    Key("y", "y", "copy", "copy the command to the clipboard", ("launch", "run")),
)


def keys_of(screen: str) -> list[Key]:
    """The keys that work on a screen, those of all screens last."""
    own = [key for key in KEYS if screen in key.screens]
    return own + [key for key in KEYS if EVERYWHERE in key.screens]


def help_rows(screen: str | None = None) -> list[tuple[str, str]]:
    """What the help shows: how a key is written, and what it does. Without a screen, of all of them."""
    shown: Iterable[Key] = KEYS if screen is None else keys_of(screen)
    return [(key.written, key.help) for key in shown]


def footer(screen: str) -> list[tuple[str, str]]:
    """The keys that a screen's last line names."""
    chosen = {
        "fleet": ("/", "Enter", "Space", "n", "x", "r", "?", "q"),
        "run": ("+", "v", "L", "e", "z", "Tab", "x", "F", "?", "q"),
        "launch": ("/", "Enter", "K", "b", "o", "s", "d", "m", "?", "q"),
        "compare": ("+", "v", "L", "e", "a", "?", "q"),
        "study": ("Enter", "?", "q"),
    }[screen]
    short = {
        "/": "filter",
        "Enter": "open",
        "Space": "mark",
        "n": "new",
        "x": "stop",
        "r": "resume",
        "?": "keys",
        "q": "quit",
    }
    short |= {"+": "zoom", "v": "crosshair", "L": "log", "e": "smooth", "z": "maximise", "Tab": "panel", "F": "fork"}
    short |= {"K": "kind", "b": "base", "o": "folder", "s": "start", "d": "default", "m": "changed", "a": "axis"}
    return [(key, short[key]) for key in chosen]


def table() -> str:
    """The keys as a Markdown table."""
    lines = ["| key | what it does | screens |", "| --- | --- | --- |"]
    for key in KEYS:
        written = key.written.replace("|", "\\|")
        lines.append(f"| `{written}` | {key.help} | {', '.join(key.screens)} |")
    return "\n".join(lines) + "\n"
