"""The terminal screen for runs. It reads the records that runs leave, and loads no torch."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names

if TYPE_CHECKING:
    from trimtab.hud.plain import print_state
    from trimtab.hud.start import start_demo, start_hud

__getattr__ = lazy_names(
    __name__,
    {
        "start_demo": "trimtab.hud.start",
        "print_state": "trimtab.hud.plain",
        "start_hud": "trimtab.hud.start",
    },
)

__all__ = ["print_state", "start_demo", "start_hud"]
