"""How well a controller's decisions met the injected faults, whose truth is known."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
GRACE = 10
"""Steps after a fault's last one in which a decision still counts as an answer to it."""


@dataclass(frozen=True)
class Detection:
    """A score of decisions against injected faults.

    `faults` stretches of steps with a fault, `recall` the share of them that a decision answered, `false_alarms` decisions that
    answer none, `delay` the mean steps from a stretch's first step to the first decision on it (NaN without one), `excess` the
    mean excess-loss area of a stretch in nats · steps (see `excess_areas`).
    """

    faults: int
    recall: float
    false_alarms: int
    delay: float
    excess: float


def score(rows: Sequence[Row], events: Sequence[Row], grace: int = GRACE) -> Detection:
    """Score a run's decisions by its rows (in the order of their passages) and its events.

    A decision that only relaxes (a higher learning rate, a wider clipping bound, harder data: the way back once calm) answers no
    fault and is not an alarm.
    """
    stretches = _stretches(rows)
    decided = {
        (row["attempt"], row["step"]) for row in events if row["kind"].startswith("decision") and not _relaxes(row)
    }
    places = [index for index, row in enumerate(rows) if (row.get("attempt", 0), row["step"]) in decided]
    answered = [[place for place in places if start <= place <= end + grace] for start, end in stretches]
    met = {place for answers in answered for place in answers}
    delays = [answers[0] - start for answers, (start, _) in zip(answered, stretches, strict=True) if answers]
    areas = excess_areas(rows)
    return Detection(
        faults=len(stretches),
        recall=len(delays) / len(stretches) if stretches else math.nan,
        false_alarms=len(places) - len(met),
        delay=statistics.fmean(delays) if delays else math.nan,
        excess=statistics.fmean(areas) if areas else math.nan,
    )


def excess_areas(rows: Sequence[Row], window: int = 20) -> list[float]:
    """For every fault: the sum, over the steps from its first one until recovery, of the loss above its level before.

    The level is the median of the `window` finite losses before the fault; recovery is the end of the first five steps in a
    row, after the fault, whose losses are no higher than it, or the run's end. A loss that is not finite counts as the highest
    finite one of the run.
    """
    losses = [float(row["train_loss"]) for row in rows]
    highest = max((loss for loss in losses if math.isfinite(loss)), default=math.nan)
    areas = []
    for start, end in _stretches(rows):
        before = [loss for loss in losses[max(0, start - window) : start] if math.isfinite(loss)]
        if not before:
            continue
        level, area, calm = statistics.median(before), 0.0, 0
        for place in range(start, len(losses)):
            loss = losses[place] if math.isfinite(losses[place]) else highest
            area += max(0.0, loss - level)
            calm = calm + 1 if place > end and loss <= level else 0
            if calm == 5:
                break
        areas.append(area)
    return areas


def _relaxes(event: Row) -> bool:
    """Whether a decision changed settings, and none of them towards caution."""
    before, after = event.get("before"), event.get("after")
    if event["kind"] != "decision" or not before or not after:
        return False
    return not any(_caution(key, after[key]) > _caution(key, before[key]) for key in after)


def _caution(key: str, value: Any) -> float:
    """How cautious a setting is, on a scale of its own."""
    if key == "data_mix":
        return 0.0 if value is None else float(value["easy"]) - float(value["hard"])
    return -math.inf if value is None else -float(value)


def _stretches(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """First and last index of every stretch of rows with a fault."""
    stretches: list[tuple[int, int]] = []
    for index, row in enumerate(rows):
        if not row.get("faults"):
            continue
        if stretches and stretches[-1][1] == index - 1:
            stretches[-1] = (stretches[-1][0], index)
        else:
            stretches.append((index, index))
    return stretches
