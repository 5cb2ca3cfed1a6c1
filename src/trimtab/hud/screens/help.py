"""The keys, from their table."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from trimtab.hud.keys import help_rows


class HelpScreen(ModalScreen[None]):
    """The keys of a screen; any of Esc, ? and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", show=False)]

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def compose(self) -> ComposeResult:
        """The table."""
        text = Text(f"Keys on the screen {self.place.upper()}\n", style="bold")
        for written, words in help_rows(self.place):
            text.append(f"\n{written:>8}  ", "bold").append(words, "not bold")
        with VerticalScroll(id="help-box"):
            yield Static(text)
