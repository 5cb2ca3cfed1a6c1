"""The stages that run the solver: single sides, both sides, counterfactual pairs, paraphrases, ablations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.solve import FinishedCandidate, PairTargets, Solver
from trimtab.memory.pairs import EncodedPair
from trimtab.memory.protocol.baselines import branches_of
from trimtab.memory.protocol.candidates import SIDES, LossBounds
from trimtab.memory.protocol.gates import Gate, GateName, gate, joint_hints
from trimtab.memory.protocol.parts import RunParts
from trimtab.memory.protocol.solving import run_stage
from trimtab.memory.store import Card, Memory, load_memories, load_memory, save_memory
from trimtab.runtime.context import RunContext

MEMORIES, UNSOLVED = "memories", "unsolved"
"""Folders in a run's folder: memories, and for each pair with a failed candidate the failed vectors with the lowest loss."""


@dataclass(frozen=True)
class StageSetup:
    """What every stage needs: the run's folder and parts, and the context of its caller."""

    folder: Path
    parts: RunParts
    context: RunContext

    def with_settings(self, **settings: Any) -> "StageSetup":
        """The same with other settings of the solver."""
        parts = replace(self.parts, settings=replace(self.parts.settings, **settings))
        return replace(self, parts=parts)


def single(setup: StageSetup, bounds: Mapping[str, LossBounds]) -> list[Gate]:
    """The question alone, then the answer alone, on the first pairs; the gates of both."""
    pairs, gates = setup.parts.pairs[: setup.parts.config.single_pairs], []
    for index, side in enumerate(SIDES):
        targets = [
            PairTargets(pair.pair.id, (branches_of(pair)[index],), _ceilings(bounds.get(pair.pair.id), (side,)))
            for pair in pairs
        ]
        rows = _run(setup, f"single_{side}", targets, bounds, sides=(side,))
        name: GateName = "single_question" if index == 0 else "single_answer"
        gates.append(gate(name, len(solved_pairs(rows)), len(pairs), setup.parts.config.gates.single))
    return gates


def joint(setup: StageSetup, bounds: Mapping[str, LossBounds], warn: Callable[[Gate], None]) -> Gate:
    """Both sides of every pair; solved pairs are stored as they finish. `warn` is called with the early gate if too few pairs are
    solved.
    """
    gates = setup.parts.config.gates

    def check_early(before: int, tried: int, solved: int) -> None:
        if before < gates.early_after <= tried:  # true at one step only, also in a resumed stage
            early = gate("early", solved, tried, gates.early)
            if not early.passed:
                warn(early)

    keep = _keeper(setup, setup.parts.pairs, setup.folder / MEMORIES, setup.folder / UNSOLVED)
    rows = _run(setup, "joint", _pair_targets(setup.parts.pairs, bounds), bounds, keep=keep, on_finished=check_early)
    return gate("joint", len(solved_pairs(rows)), len(setup.parts.pairs), gates.joint, joint_hints(rows))


def both_sides(
    setup: StageSetup,
    stage: str,
    pairs: Sequence[EncodedPair],
    bounds: Mapping[str, LossBounds],
    memories: Path | None = None,
) -> list[dict[str, Any]]:
    """Both sides of other pairs, or from other starting points; solved pairs are stored below `memories`, if given."""
    return _run(setup, stage, _pair_targets(pairs, bounds), bounds, keep=_keeper(setup, pairs, memories))


def with_paraphrases(
    setup: StageSetup, paraphrases: Mapping[str, tuple[Branch, ...]], bounds: Mapping[str, LossBounds]
) -> list[dict[str, Any]]:
    """Both sides of the pairs that have paraphrases, whose losses are part of the objective too."""
    pairs = [pair for pair in setup.parts.pairs if pair.pair.id in paraphrases]
    targets = [replace(one, branches=(*one.branches, *paraphrases[one.id])) for one in _pair_targets(pairs, bounds)]
    return _run(setup, "joint_paraphrases", targets, bounds)


def ablation(setup: StageSetup, name: str, bounds: Mapping[str, LossBounds], **changed: Any) -> list[dict[str, Any]]:
    """Both sides of the first pairs under other settings."""
    pairs = setup.parts.pairs[: setup.parts.config.ablations.pairs]
    return _run(setup.with_settings(**changed), f"ablation/{name}", _pair_targets(pairs, bounds), bounds)


def solved_pairs(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of the solved pairs."""
    return {row["pair"] for row in rows if row["status"] == "solved"}


def memory_of(setup: StageSetup, pair: EncodedPair, finished: FinishedCandidate) -> Memory:
    """The memory of a solved candidate."""
    losses = finished.losses[-1]
    question, answer = branches_of(pair)
    card = Card(
        pair=pair.pair.id,
        question=pair.pair.question,
        answer=pair.pair.answer,
        question_ids=question.ids,
        answer_ids=answer.ids,
        exact=pair.pair.exact,
        model_fingerprint=setup.parts.network.fingerprint,
        vectors=setup.parts.settings.vectors,
        layout=setup.parts.settings.layout,
        precision=setup.parts.config.solve.precision,
        seed=setup.parts.config.seed,
        restart=finished.restart,
        steps=finished.steps,
        margin=finished.margin,
        loss={side: float(losses[index]) for index, side in enumerate(SIDES)},
    )
    return Memory(card, finished.vectors, setup.parts.modes)


def _keeper(
    setup: StageSetup, pairs: Sequence[EncodedPair], memories: Path | None, unsolved: Path | None = None
) -> Callable[[FinishedCandidate], None]:
    """A function that stores solved candidates in `memories`, and each pair's unsolved candidate of lowest loss in `unsolved`."""
    by_id = {pair.pair.id: pair for pair in pairs}

    def keep(finished: FinishedCandidate) -> None:
        folder = memories if finished.status == "solved" else unsolved
        if folder is None:
            return
        memory = memory_of(setup, by_id[finished.pair], finished)
        stored = folder / finished.pair
        if finished.status == "solved" or not stored.exists() or _total(memory) < _total(load_memory(stored)):
            save_memory(folder, memory)

    return keep


def _total(memory: Memory) -> float:
    return sum(memory.card.loss.values())


def best_unsolved(folder: Path, fingerprint: str) -> list[Memory]:
    """The best vectors of the pairs that no candidate solved; they are decoded too, although they are not memories."""
    return [
        one for one in load_memories(folder / UNSOLVED, fingerprint) if not (folder / MEMORIES / one.card.pair).exists()
    ]


def _run(
    setup: StageSetup, stage: str, targets: list[PairTargets], bounds: Mapping[str, LossBounds], **options: Any
) -> list[dict[str, Any]]:
    solver = Solver(setup.parts.network, setup.parts.modes, targets, setup.parts.settings)
    every = setup.parts.config.solve.checkpoint_every
    return run_stage(setup.folder / "stages" / stage, solver, bounds, setup.context, checkpoint_every=every, **options)


def _pair_targets(pairs: Sequence[EncodedPair], bounds: Mapping[str, LossBounds]) -> list[PairTargets]:
    return [PairTargets(pair.pair.id, branches_of(pair), _ceilings(bounds.get(pair.pair.id), SIDES)) for pair in pairs]


def _ceilings(bounds: LossBounds | None, sides: Sequence[str]) -> tuple[float, ...]:
    return () if bounds is None else tuple(bounds.ceiling(side) for side in sides)
