"""How the screen looks: colours with a contrast of at least 4.5 on the background, and characters that also tell states apart."""

import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.hud.raster import Glyphs


@dataclass(frozen=True)
class Palette:
    """The colours of a theme, as #rrggbb. `curves` are those of the curves of a chart, in order."""

    background: str
    surface: str
    text: str
    dim: str
    border: str
    accent: str
    good: str
    warning: str
    bad: str
    curves: tuple[str, ...]


PALETTES: Mapping[str, Palette] = {
    "dark": Palette(
        background="#0d1117",
        surface="#151b23",
        text="#dbe2ea",
        dim="#93a1b0",
        border="#3a4654",
        accent="#58c4f6",
        good="#7ee2a0",
        warning="#f5cf6b",
        bad="#ff8d8d",
        curves=("#58c4f6", "#f5cf6b", "#7ee2a0", "#d6a2ff", "#ffab73", "#ff8d8d"),
    ),
    "contrast": Palette(
        background="#000000",
        surface="#000000",
        text="#ffffff",
        dim="#e0e0e0",
        border="#ffffff",
        accent="#00ffff",
        good="#00ff7f",
        warning="#ffff00",
        bad="#ff9f9f",
        curves=("#00ffff", "#ffff00", "#00ff7f", "#ff9fff", "#ffbf7f", "#ffffff"),
    ),
}

_STATES = {
    "running": ("●", "*", "good"),
    "completed": ("✓", "+", "accent"),
    "interrupted": ("◐", "~", "warning"),
    "stopped": ("■", "#", "warning"),
    "diverged": ("✗", "x", "bad"),
    "failed": ("✗", "x", "bad"),
    "damaged": ("!", "!", "bad"),
    "starting": ("◌", ":", "warning"),
    "waiting": ("○", "o", "dim"),
}
"""Each state's character, its character in ASCII, and the name of its colour."""


@dataclass(frozen=True)
class Look:
    """Everything about the appearance: a theme and the characters that the terminal has."""

    palette: Palette = PALETTES["dark"]
    glyphs: Glyphs = "braille"

    @property
    def ascii(self) -> bool:
        """Whether only ASCII characters may be used."""
        return self.glyphs == "ascii"

    def state(self, status: str) -> tuple[str, str]:
        """The character of a state and its colour."""
        glyph, plain, colour = _STATES.get(status, _STATES["waiting"])
        return (plain if self.ascii else glyph), getattr(self.palette, colour)

    def curve(self, index: int) -> str:
        """The colour of a chart's curve."""
        return self.palette.curves[index % len(self.palette.curves)]


def look_for(theme: str, glyphs: str) -> Look:
    """The look of a theme; glyphs `auto` are braille where the terminal takes UTF-8, and ASCII elsewhere."""
    chosen: Glyphs
    if glyphs == "auto":
        utf8 = "UTF-8" in (os.environ.get("PYTHONIOENCODING") or locale.getpreferredencoding(False)).upper()
        chosen = "braille" if utf8 else "ascii"
    else:
        chosen = {"block": "block", "ascii": "ascii"}.get(glyphs, "braille")  # type: ignore[assignment]
    return Look(PALETTES[theme], chosen)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2), between 1 and 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
