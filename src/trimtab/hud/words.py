"""Numbers, durations and progress in few characters."""

import math
from typing import Any

from trimtab.boundary import printable


def number(value: Any, digits: int = 4) -> str:
    """A number in at most about `digits` significant digits; `–` for none."""
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e6):
        return f"{int(value):,}" if abs(value) < 1e7 else f"{value:.{digits - 1}g}"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        return f"{value:.{max(0, digits - 2)}e}".replace("e-0", "e-").replace("e+0", "e+")
    return f"{value:.{digits}g}" if size < 10 ** (digits - 1) else f"{value:,.0f}"


def count(value: float) -> str:
    """A count with a unit of thousands: 950, 4.1k, 2.3M."""
    for limit, divisor, unit in ((1e3, 1, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "G")):
        if abs(value) < limit:
            scaled = value / divisor
            return f"{scaled:.0f}{unit}" if not unit or abs(scaled) >= 100 else f"{scaled:.1f}{unit}"
    return f"{value:.1e}"


def duration(seconds: float | None) -> str:
    """A duration: 45s, 2m, 1h 20m, 3d 4h."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h {minutes}m"
    return f"{hours // 24}d {hours % 24}h"


def line(text: object, width: int) -> str:
    """A text on one line, without control characters, of at most `width` characters."""
    plain = printable(text)
    return plain if len(plain) <= width else plain[: max(0, width - 1)] + "…"


def fitted(text: str, width: int) -> str:
    """A text cut or padded to exactly `width` characters."""
    return text[: max(0, width - 1)] + "…" if len(text) > width > 0 else text.ljust(width)[: max(0, width)]
