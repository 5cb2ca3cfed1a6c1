"""The style of all plots, and rendering a figure."""

import io
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# One mid-grey ink and mid-tone colours, at least 3:1 against white and against black: the background is transparent in the SVG.
INK = "#757575"
BLUE = "#2b7bba"
ORANGE = "#d1601f"
VIOLET = "#8a63c9"
GREEN = "#3a8f5c"
RED = "#c43c3c"
TEAL = "#1b9e77"
MAGENTA = "#c2478f"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "trimtab",
    "svg.fonttype": "path",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def load_matplotlib() -> None:
    """Import matplotlib without reading the `matplotlibrc` of the working folder, which may belong to somebody else.

    Call it before any other import of matplotlib. During the import the working folder of the process is another one.
    """
    if "matplotlib" in sys.modules:
        return
    here = os.open(".", os.O_RDONLY | os.O_CLOEXEC)  # a descriptor also leads back to a folder that was removed
    try:
        os.chdir(Path(__file__).parent)
        import matplotlib  # noqa: F401
    finally:
        os.fchdir(here)
        os.close(here)


def style() -> AbstractContextManager[None]:
    """The style of the plots on top of matplotlib's defaults; the user's own settings would change the bytes."""
    load_matplotlib()
    from matplotlib import style

    return style.context(["default", _STYLE])


def rendered(figure: "Figure", suffix: str) -> bytes:
    """The figure as `svg` (transparent) or `png` (white, 160 dpi); the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": "Trimtab"} if suffix == "svg" else {"Software": "Trimtab"}
    # Viewers show a PNG on any background, so it has its own.
    background = {"transparent": True} if suffix == "svg" else {"facecolor": "white"}
    with style():
        if (layout := figure.get_layout_engine()) is not None:
            # `savefig` lays a figure out by drawing it once more, for every file.
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(buffer, format=suffix, dpi=160, metadata=metadata, **background)
    return buffer.getvalue()
