"""Verdicts on arms whose runs diverged: such an arm is never called equivalent or better."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trimtab.evidence import Verdict
from trimtab.evidence.rule import Ruling


@dataclass(frozen=True)
class DivergedRuns:
    """The diverged runs of a comparison.

    `wrecked` has the number of runs of each arm whose runs all diverged. `better_untrained` has, by arm, the number of diverged
    runs whose untrained models score better than trained ones. `unfounded` is the number of runs whose value was replaced by the
    worst of any run, because the untrained model's is not known.
    """

    wrecked: Mapping[str, int]
    better_untrained: Mapping[str, int]
    unfounded: int


def guarded(verdict: Verdict, diverged: DivergedRuns) -> Verdict:
    """The verdict, or *inconclusive* where it depends on capped values in favour of a diverged run.

    Equal caps are not equal results: an arm that learnt nothing has the untrained model's metric, which is not evidence about the
    arm. Where untrained models score better than trained ones (calibration), a run must not gain by diverging. A cap at the worst
    value of any run is too good for a diverged run, so an arm can be neither equivalent nor superior by it.
    """
    word, wrecked = verdict.verdict, diverged.wrecked
    if {verdict.baseline, verdict.treatment} <= set(wrecked):
        runs = sum(wrecked.values())
        return _undecided(verdict, f"all {runs} runs diverged and learnt nothing, so nothing was compared")
    for arm, fitting in ((verdict.treatment, "inferior"), (verdict.baseline, "superior")):
        if word not in {"superior", "inferior", "equivalent"} - {fitting}:
            continue
        if arm in diverged.better_untrained and arm not in wrecked:
            return _undecided(
                verdict,
                f"{diverged.better_untrained[arm]} of the runs of {arm} diverged, and their untrained models score better in "
                f"{verdict.metric} than trained ones do; '{word}' cannot rest on that",
            )
        if arm in wrecked:
            return _undecided(
                verdict,
                f"all {wrecked[arm]} runs of {arm} diverged; by the figures the verdict would be '{word}', and an arm that "
                "learnt nothing is neither as good as another nor better",
            )
    if diverged.unfounded and word in ("equivalent", "superior"):
        runs_have = "1 run has" if diverged.unfounded == 1 else f"{diverged.unfounded} runs have"
        return _undecided(
            verdict,
            f"{runs_have} no finite value and count as the worst of any run, because the untrained model's is not known; "
            f"'{word}' cannot rest on that",
        )
    return verdict


def _undecided(verdict: Verdict, reason: str) -> Verdict:
    word: Ruling = (
        "estimate only" if verdict.p_adjusted is None and verdict.verdict == "estimate only" else "inconclusive"
    )
    sentence = f"{verdict.treatment} against {verdict.baseline}, {verdict.metric}: {word}; {reason}."
    return replace(verdict, verdict=word, reason=reason, sentence=sentence)
