"""What may be said of arms whose runs diverged: never that they did as well as others, or better."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trimtab.evidence import Verdict
from trimtab.evidence.rule import Ruling


@dataclass(frozen=True)
class DivergedRuns:
    """Of a comparison: how many runs each arm has whose runs all diverged (`wrecked`); how many diverged runs of an arm count
    as an untrained model that scores better than trained ones (`flattered`); how many stand at the worst value of any run
    because the untrained model's is not known (`unfounded`)."""

    wrecked: Mapping[str, int]
    flattered: Mapping[str, int]
    unfounded: int


def guarded(verdict: Verdict, lost: DivergedRuns) -> Verdict:
    """The verdict, or *inconclusive* where it rests on the caps of runs that diverged.

    Equal caps are no equal results. An arm that learnt nothing in any run stands at the untrained model's figure: that it is
    no worse than another by that figure says something of the other alone. Where untrained models score better than
    trained ones (calibration), a run must not gain by diverging. And a cap at the worst value of any run is too good for a run
    that diverged, so no arm may win or draw by it.
    """
    word, wrecked = verdict.verdict, lost.wrecked
    if {verdict.baseline, verdict.treatment} <= set(wrecked):
        runs = sum(wrecked.values())
        return _undecided(verdict, f"all {runs} runs diverged and learnt nothing, so nothing was compared")
    for arm, fitting in ((verdict.treatment, "inferior"), (verdict.baseline, "superior")):
        if word not in {"superior", "inferior", "equivalent"} - {fitting}:
            continue
        if arm in lost.flattered and arm not in wrecked:
            return _undecided(
                verdict,
                f"{lost.flattered[arm]} of the runs of {arm} diverged, and their untrained models score better in "
                f"{verdict.metric} than trained ones do; '{word}' cannot rest on that",
            )
        if arm in wrecked:
            return _undecided(
                verdict,
                f"all {wrecked[arm]} runs of {arm} diverged; by the figures the verdict would be '{word}', and an arm that "
                "learnt nothing is neither as good as another nor better",
            )
    if lost.unfounded and word in ("equivalent", "superior"):
        runs_stand = "1 run stands" if lost.unfounded == 1 else f"{lost.unfounded} runs stand"
        return _undecided(
            verdict,
            f"{runs_stand} at the worst value of any run, having none that is finite, and the untrained model's is not known; "
            f"'{word}' cannot rest on that",
        )
    return verdict


def _undecided(verdict: Verdict, reason: str) -> Verdict:
    word: Ruling = (
        "estimate only" if verdict.p_adjusted is None and verdict.verdict == "estimate only" else "inconclusive"
    )
    sentence = f"{verdict.treatment} against {verdict.baseline}, {verdict.metric}: {word}; {reason}."
    return replace(verdict, verdict=word, reason=reason, sentence=sentence)
