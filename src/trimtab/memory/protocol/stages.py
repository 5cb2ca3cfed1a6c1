"""The stages in which candidates are solved: single sides, both sides, counterfactual pairs, other wordings, ablations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.memory.engine.layout import Branch
from trimtab.memory.engine.solve import Finished, Solver, SolverTask
from trimtab.memory.pairs import EncodedPair
from trimtab.memory.protocol.baselines import branches_of
from trimtab.memory.protocol.gates import Gate, GateName, gate, hints
from trimtab.memory.protocol.parts import Opened
from trimtab.memory.protocol.solving import SIDES, Bounds, Watcher, run_stage
from trimtab.memory.store import Card, Memory, load_memories, load_memory, save_memory

MEMORIES, UNSOLVED = "memories", "unsolved"
"""The folders, within a run's, of the memories, and of the best vectors of pairs that no candidate solved."""


@dataclass(frozen=True)
class Bench:
    """What every stage works with: the run's parts, its folder, and who watches."""

    folder: Path
    opened: Opened
    watcher: Watcher

    def under(self, **settings: Any) -> "Bench":
        """The same under other settings of the solver."""
        opened = replace(self.opened, settings=replace(self.opened.settings, **settings))
        return replace(self, opened=opened)


def single(bench: Bench, bounds: Mapping[str, Bounds]) -> list[Gate]:
    """The question alone, then the answer alone, on the first pairs; the gates of both."""
    pairs, gates = bench.opened.pairs[: bench.opened.config.single_pairs], []
    for index, side in enumerate(SIDES):
        tasks = [
            SolverTask(pair.pair.id, (branches_of(pair)[index],), _ceilings(bounds.get(pair.pair.id), (side,)))
            for pair in pairs
        ]
        rows = _run(bench, f"single_{side}", tasks, bounds, sides=(side,))
        name: GateName = "single_question" if index == 0 else "single_answer"
        gates.append(gate(name, len(solved(rows)), len(pairs), bench.opened.config.gates.single))
    return gates


def joint(bench: Bench, bounds: Mapping[str, Bounds], warn: Callable[[Gate], None]) -> Gate:
    """Both sides of every pair; solved ones are stored as they end."""
    early = bench.opened.config.gates

    def look(before: int, ended: int, good: int) -> None:
        if before < early.early_after <= ended:  # at the same step whether or not the stage was gone on with
            found = gate("early", good, ended, early.early)
            if not found.passed:
                warn(found)

    keep = _keeper(bench, bench.opened.pairs, bench.folder / MEMORIES, bench.folder / UNSOLVED)
    rows = _run(bench, "joint", _tasks(bench.opened.pairs, bounds), bounds, keep=keep, look=look)
    return gate("joint", len(solved(rows)), len(bench.opened.pairs), early.joint, hints(rows))


def further(
    bench: Bench,
    stage: str,
    pairs: Sequence[EncodedPair],
    bounds: Mapping[str, Bounds],
    stored: Path | None = None,
) -> list[dict[str, Any]]:
    """Both sides of other pairs, or from other starting points; solved ones are stored below `stored`, if that is given."""
    return _run(bench, stage, _tasks(pairs, bounds), bounds, keep=_keeper(bench, pairs, stored))


def with_wordings(
    bench: Bench, wordings: Mapping[str, tuple[Branch, ...]], bounds: Mapping[str, Bounds]
) -> list[dict[str, Any]]:
    """The pairs that have other wordings, which pull on the vectors too."""
    pairs = [pair for pair in bench.opened.pairs if pair.pair.id in wordings]
    tasks = [replace(task, branches=(*task.branches, *wordings[task.pair])) for task in _tasks(pairs, bounds)]
    return _run(bench, "joint_paraphrases", tasks, bounds)


def ablation(bench: Bench, name: str, bounds: Mapping[str, Bounds], **changed: Any) -> list[dict[str, Any]]:
    """Both sides of the first pairs under other settings."""
    pairs = bench.opened.pairs[: bench.opened.config.ablations.pairs]
    return _run(bench.under(**changed), f"ablation/{name}", _tasks(pairs, bounds), bounds)


def solved(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """The pairs that a candidate solved."""
    return {row["pair"] for row in rows if row["status"] == "solved"}


def memory_of(bench: Bench, pair: EncodedPair, finished: Finished) -> Memory:
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
        model_fingerprint=bench.opened.network.fingerprint,
        vectors=bench.opened.settings.vectors,
        layout=bench.opened.settings.layout,
        precision=bench.opened.config.solve.precision,
        seed=bench.opened.config.seed,
        restart=finished.restart,
        steps=finished.steps,
        margin=finished.margin,
        loss={side: float(losses[index]) for index, side in enumerate(SIDES)},
    )
    return Memory(card, finished.vectors, bench.opened.modes)


def _keeper(
    bench: Bench, pairs: Sequence[EncodedPair], stored: Path | None, unsolved: Path | None = None
) -> Callable[[Finished], None]:
    """Stores what a solved candidate found, and of unsolved candidates of a pair the vectors of the lowest loss."""
    by_name = {pair.pair.id: pair for pair in pairs}

    def keep(finished: Finished) -> None:
        folder = stored if finished.status == "solved" else unsolved
        if folder is None:
            return
        found = memory_of(bench, by_name[finished.pair], finished)
        before = folder / finished.pair
        if finished.status == "solved" or not before.exists() or _total(found) < _total(load_memory(before)):
            save_memory(folder, found)

    return keep


def _total(memory: Memory) -> float:
    return sum(memory.card.loss.values())


def best_unsolved(folder: Path, fingerprint: str) -> list[Memory]:
    """The best vectors of the pairs in a run's folder that no candidate solved: no memories, and decoded all the same."""
    return [
        one for one in load_memories(folder / UNSOLVED, fingerprint) if not (folder / MEMORIES / one.card.pair).exists()
    ]


def _run(
    bench: Bench, stage: str, tasks: list[SolverTask], bounds: Mapping[str, Bounds], **options: Any
) -> list[dict[str, Any]]:
    solver = Solver(bench.opened.network, bench.opened.modes, tasks, bench.opened.settings)
    every = bench.opened.config.solve.checkpoint_every
    return run_stage(bench.folder / "stages" / stage, solver, bounds, bench.watcher, checkpoint_every=every, **options)


def _tasks(pairs: Sequence[EncodedPair], bounds: Mapping[str, Bounds]) -> list[SolverTask]:
    return [SolverTask(pair.pair.id, branches_of(pair), _ceilings(bounds.get(pair.pair.id), SIDES)) for pair in pairs]


def _ceilings(bounds: Bounds | None, sides: Sequence[str]) -> tuple[float, ...]:
    return () if bounds is None else tuple(bounds.ceiling(side) for side in sides)
