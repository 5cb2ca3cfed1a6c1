"""The widgets of all screens: lists with a cursor, panels, and lines of text."""

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from trimtab.hud.chart import Options
from trimtab.hud.feed import View
from trimtab.hud.look import Look
from trimtab.hud.panels import Canvas, Panel


class Words(Widget):
    """Text that a function makes for the size of the widget."""

    def __init__(self, make: Callable[[int, int], Text], *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._make = make

    def render(self) -> Text:
        """The text."""
        width, height = self.size
        return self._make(width, height) if width > 0 and height > 0 else Text("")


class PanelBox(Widget):
    """A panel in a frame with its title."""

    can_focus = True

    def __init__(
        self, panel: Panel, view: Callable[[], View | None], look: Look, options: Callable[[], Options]
    ) -> None:
        super().__init__(id=f"panel-{panel.name}", classes="panel")
        self.panel, self._view, self._look, self._options = panel, view, look, options
        self.border_title = panel.title
        self._drawn: object = None

    def render(self) -> Text:
        """The panel's content."""
        view = self._view()
        width, height = self.size
        if view is None or width < 1 or height < 1:
            return Text("")
        self._drawn = self._state(view)
        with view.locked():
            self.panel.follow(view)
            return self.panel.text(view, Canvas(width, height, self._look, self._options()))

    def refresh_if_changed(self) -> None:
        """Draw again, if the panel is shown and what it shows has changed."""
        view = self._view()
        if self.display and view is not None and self._state(view) != self._drawn:
            self.refresh()

    def _state(self, view: View) -> object:
        return (view.version, self.size, self._options())

    def on_focus(self, event: events.Focus) -> None:
        """Show the focus also without colours: by a sign before the title."""
        sign = ">" if self._look.ascii else "▸"
        self.border_title = f"{sign} {self.panel.title}"

    def on_blur(self, event: events.Blur) -> None:
        """Take the sign away."""
        self.border_title = self.panel.title


class LineList(Widget):
    """A list of lines with a cursor, of which only those in view are made."""

    can_focus = True
    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor is on another line."""

    class Chosen(Message):
        """A line was opened by a click or a key."""

    def __init__(self, make: Callable[[int, int, bool], Text], *, look: Look, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make = make
        self.count = 0
        self.top = 0
        self.empty = "nothing here"
        self._look = look

    def set_count(self, count: int) -> None:
        """The list has so many lines now; their content may have changed."""
        self.count = count
        self.cursor = min(self.cursor, max(0, count - 1))
        self.refresh()

    def move(self, by: int) -> None:
        """Move the cursor by lines."""
        self.go(self.cursor + by)

    def go(self, line: int) -> None:
        """Move the cursor to a line."""
        self.cursor = min(max(0, line), max(0, self.count - 1))

    def page(self, direction: int) -> None:
        """Move the cursor by a page."""
        self.move(direction * max(1, self.size.height - 1))

    def watch_cursor(self) -> None:
        """Draw the cursor's new line."""
        self.post_message(self.Moved())
        self.refresh()

    def render(self) -> Text:
        """The lines in view."""
        width, height = self.size
        if not self.count or height < 1:
            return Text(self.empty, style="dim")
        self.top = min(max(0, self.count - height), max(self.cursor - height + 1, min(self.top, self.cursor)))
        text = Text(no_wrap=True, end="")
        for index in range(self.top, min(self.count, self.top + height)):
            here = index == self.cursor
            line = Text((">" if self._look.ascii else "▸") if here else " ", end="")
            line.append_text(self._make(index, width - 1, here))
            line.truncate(width, overflow="ellipsis", pad=True)
            if here:
                line.stylize(f"bold on {self._look.palette.border}")
            text.append("\n" if index > self.top else "").append_text(line)
        return text

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the cursor's line it opens."""
        line = self.top + event.y - (1 if self.styles.border_top[0] else 0)
        if line == self.cursor:
            self.post_message(self.Chosen())
        elif 0 <= line < self.count:
            self.go(line)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        self.move(-3)


def columns_text(cells: Sequence[tuple[str, int, str]], gap: str = " ") -> Text:
    """Cells of fixed widths in a line: (text, width, colour); a negative width aligns to the right."""
    text = Text(no_wrap=True, end="")
    for index, (value, width, colour) in enumerate(cells):
        room = abs(width)
        shown = value if len(value) <= room else value[: room - 1] + "…"
        text.append(gap if index else "").append(shown.rjust(room) if width < 0 else shown.ljust(room), colour)
    return text
