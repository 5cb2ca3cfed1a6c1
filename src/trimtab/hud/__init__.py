"""The terminal screen for runs. It reads the records that runs leave, and loads no torch."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names

if TYPE_CHECKING:
    from trimtab.hud.plain import print_state
    from trimtab.hud.start import demo, start

__getattr__ = lazy_names(
    __name__,
    {
        "demo": "trimtab.hud.start",
        "print_state": "trimtab.hud.plain",
        "start": "trimtab.hud.start",
    },
)

__all__ = ["demo", "print_state", "start"]
