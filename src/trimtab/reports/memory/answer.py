"""What came out, in a few sentences at the head of the page; the sections below have what they rest on."""

from trimtab.reports.blocks import Section, Text
from trimtab.reports.memory.controls import exact
from trimtab.reports.memory.records import Records
from trimtab.reports.memory.results import verdicts, why_no_joint
from trimtab.reports.memory.robustness import MARGIN_AT, Passing
from trimtab.reports.memory.words import absent, percent, share_of, wilson

KEY, TITLE = "answer", "In short"


def answer(records: Records) -> Section:
    """Pairs solved and said, beside their controls; what memories withstand; how many vectors are enough."""
    joint = records.joint
    if joint is None:
        return absent(KEY, TITLE, f"What came out is not known: of the joint stage {why_no_joint(records)}.")
    between = wilson(joint.solved, joint.trials)
    so_far = " so far" if joint.trials > len(joint.pairs) else ""
    told = [f"Solved{so_far} are {share_of(joint.solved, joint.trials)} of the pairs (95% interval {between})."]
    for precision, words in verdicts(records.generation).items():
        said = sum(words.get(pair) == "pass" for pair, solving in joint.pairs.items() if solving.solved)
        told.append(f"Greedy decoding in {precision} says both texts of {said:,} of these {joint.solved:,}.")
    other = exact([one.other for one in records.controls if one.other is not None])
    swapped = exact([one.swapped for one in records.controls if one.swapped is not None])
    if other and swapped:
        told.append(
            f"Controls: another pair's vectors say {sum(other):,} of {len(other):,}, the pair's own with the modes exchanged "
            f"{sum(swapped):,} of {len(swapped):,}."
        )
    return Section(KEY, TITLE, (Text(" ".join([*told, *_withstood(records), *_enough(records)])),))


def _withstood(records: Records) -> list[str]:
    kinds = {
        f"noise of {percent(MARGIN_AT)}": [row for row in records.robustness if row.level == MARGIN_AT],
        "int8 rounding": [row for row in records.robustness if row.disturbance == "int8"],
    }
    found = [f"{percent(Passing(rows).share)} withstand {name}" for name, rows in kinds.items() if rows]
    return [f"Of the memories {' and '.join(found)}."] if found else []


def _enough(records: Records) -> list[str]:
    known = records.ablations.k_thresholds if records.ablations is not None else {}
    found = [f"{percent(float(share))} with {least}" for share, least in known.items() if least is not None]
    return (
        [f"The fewest vectors, of those tried, that solve a share of the pairs: {', '.join(found)}."] if found else []
    )
