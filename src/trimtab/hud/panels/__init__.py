"""The panels of the run screen. Each file here defines `PANELS`; a new kind of run adds a file and changes no other."""

from trimtab.hud.panels.panel import Canvas, Panel, all_panels, panels_for

__all__ = ["Canvas", "Panel", "all_panels", "panels_for"]
