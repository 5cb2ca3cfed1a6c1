"""Timing that is fair to every variant: they take turns, so a slow moment of the machine hits all of them."""

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int, *, warmup: int = 2, settle: int = 0
) -> dict[str, list[float]]:
    """Seconds of each call, a list of `rounds` figures a variant, taken in turn.

    Each variant first runs `warmup` times untimed (allocators, kernel caches). Round i of one variant and round i of
    another are a pair: they ran next to each other. The order within a round is reversed every other round. `settle` calls
    go untimed before each timed one, for variants that leave the process in a state (caches, heap) the next one pays for.
    """
    for call in variants.values():
        for _ in range(warmup):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants.items())
    for index in range(rounds):
        for name, call in order if index % 2 == 0 else reversed(order):
            for _ in range(settle):
                call()
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratio(slower: list[float], faster: list[float]) -> float:
    """The median over pairs of how many times faster the second is."""
    return statistics.median(a / b for a, b in zip(slower, faster, strict=True))
