"""The keys that all charts of a screen share: zoom, crosshair, axis, smoothing."""

from dataclasses import replace

from trimtab.hud.chart import Options

AXES = {"step": "tokens", "tokens": "elapsed", "elapsed": "step"}
"""The horizontal axes in turn. `elapsed` is the sum of the steps' seconds, which `trimtab.hud.feed` adds to the rows."""
_SMOOTHING = {0.0: 0.9, 0.9: 0.98, 0.98: 0.0}


def zoomed(options: Options, factor: float) -> Options:
    """The options with `factor` times as much of the axis, around the crosshair or the right end; 0 for all of it."""
    if not factor:
        return replace(options, left=0.0, right=1.0)
    width = options.right - options.left
    wide = min(1.0, max(1e-4, width * factor))
    fixed = 1.0 if options.cross is None else options.cross
    left = options.left + (width - wide) * fixed
    left = min(max(0.0, left), 1.0 - wide)
    return replace(options, left=left, right=left + wide)


def panned(options: Options, direction: int) -> Options:
    """The options with the shown part moved by a quarter."""
    width = options.right - options.left
    left = min(max(0.0, options.left + direction * width / 4), 1.0 - width)
    return replace(options, left=left, right=left + width)


class CurveKeys:
    """The actions of these keys; a screen that has charts derives from it. `curves_changed` draws them again."""

    options = Options()

    def curves_changed(self) -> None:
        """Draw the charts with the new options."""
        raise NotImplementedError

    def place_of_cross(self, least: float, most: float) -> float:
        """Where the crosshair is on an axis from `least` to `most`."""
        options = self.options
        return least + (most - least) * (options.left + (options.right - options.left) * (options.cross or 0.0))

    def _set(self, options: Options) -> None:
        self.options = options
        self.curves_changed()

    def action_zoom(self, factor: float) -> None:
        """Show less or more of the axis; 0 shows all."""
        self._set(zoomed(self.options, factor))

    def action_pan(self, direction: int) -> None:
        """Move the shown part."""
        self._set(panned(self.options, direction))

    def action_cross(self) -> None:
        """The crosshair on or off."""
        self._set(replace(self.options, cross=0.5 if self.options.cross is None else None))

    def action_aside(self, direction: int) -> None:
        """Move the crosshair."""
        if self.options.cross is not None:
            self._set(replace(self.options, cross=min(1.0, max(0.0, self.options.cross + direction * 0.02))))

    def action_log(self) -> None:
        """Linear or logarithmic axis."""
        self._set(replace(self.options, log=not self.options.log))

    def action_smooth(self) -> None:
        """No smoothing, or more."""
        self._set(replace(self.options, smoothing=_SMOOTHING[self.options.smoothing]))

    def action_axis(self) -> None:
        """Steps, tokens or time as the horizontal axis."""
        self._set(replace(self.options, axis=AXES[self.options.axis]))
