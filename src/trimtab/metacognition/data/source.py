"""Training batches from several domains or from streams, with a limit on the length of examples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from trimtab.config import DataMix
from trimtab.data import Batch, DrawState, Item, TrainLoader, collate
from trimtab.errors import ConfigError, DataError
from trimtab.metacognition.data.cuts import Cuts
from trimtab.metacognition.data.dataset import ThoughtDataset
from trimtab.metacognition.data.domains import Rounds
from trimtab.metacognition.data.lengths import LengthLimit
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.random import derive_seed

_TRIES = 100
"""Other problems that are tried for one that is too long."""


class Pool(Protocol):
    """The training problems of a domain."""

    def problem(self, seed: int, place: int, again: int = 0) -> ThoughtProblem:
        """The problem at a place, a function of the arguments; with `again` > 0 another one, to be used instead."""

    def left_out(self, place: int) -> float:
        """The share of the records around a place that are left out."""


class ListPool:
    """Problems in memory, in the order of a `TrainLoader`."""

    def __init__(self, dataset: ThoughtDataset) -> None:
        self.dataset = dataset
        self._loader: TrainLoader | None = None

    def problem(self, seed: int, place: int, again: int = 0) -> ThoughtProblem:
        """See `Pool.problem`."""
        if self._loader is None or self._loader.seed != seed:
            self._loader = TrainLoader(self.dataset, 1, seed)
        (index,) = self._loader.indices(place, 1)
        if again:
            index = derive_seed(seed, "data", "instead", place, again) % len(self.dataset)
        problem = self.dataset.problems[index]
        assert isinstance(problem, ThoughtProblem)
        return problem

    def left_out(self, place: int) -> float:
        """What cannot be used was left out when the problems were read."""
        del place
        return 0.0


@dataclass(frozen=True)
class Drawn:
    """The example at a position: the item, its tokens before it was cut, and whether it was cut or replaced for its length."""

    item: Item
    length: int
    cut: bool
    left_out: float


class DomainSource:
    """A run's training batches: each example from the domain that `rounds` gives its position.

    Cuts, limits and orders depend on the run's seed and the position alone, so nothing has to be saved. `dataset` encodes the
    problems. Examples longer than the limit have their thoughts cut, or with `leave_out` others of their domain take their place
    (if none of a hundred fits, the first is cut). Others also replace those whose prompt and answer alone are too long.

    The figures of a batch are `max_len`, the limit at its first example; `longest`, the tokens of its longest example before it
    was cut, not counting the last one; `too_long`, its examples that were cut or replaced; and `left_out`, the mean share of left
    out records around its examples. A raised limit is an occurrence.
    """

    def __init__(
        self,
        dataset: ThoughtDataset,
        pools: Sequence[Pool],
        rounds: Rounds,
        cuts: Cuts,
        seed: int,
        *,
        start: int,
        context: int,
        leave_out: bool,
    ) -> None:
        self.dataset, self.pools, self.rounds, self.cuts, self.seed = dataset, pools, rounds, cuts, seed
        self.leave_out = leave_out
        self.limit = LengthLimit(start, context, self._measured)

    def take(self, position: int, count: int, mix: DataMix | None = None, state: DrawState | None = None) -> Batch:
        """Examples `position` to `position + count - 1`. Raises `ConfigError` for a mix by difficulty."""
        if mix is not None:
            raise ConfigError(
                "episode.data_mix chooses among easier and harder problems, which is not possible with data.mix, data.max_len, "
                "data.too_long or a streamed task. Set episode.data_mix to null."
            )
        seed = self.seed if state is None else state.streams.seed
        places = range(position, position + count)
        limits = [self.limit.at(seed, place) for place in places]
        drawn = [self.draw(seed, place, limit) for place, limit in zip(places, limits, strict=True)]
        batch: Batch = collate([one.item for one in drawn])
        figures = {
            "max_len": float(limits[0]),
            "longest": float(max(one.length for one in drawn)),
            "too_long": float(sum(one.cut for one in drawn)),
            "left_out": sum(one.left_out for one in drawn) / count,
        }
        before = [self.limit.at(seed, position - 1) if position else limits[0], *limits[:-1]]
        occurrences = [
            {
                "kind": "max_len",
                "reason": f"a probe at sample {place:,} found longer examples",
                "before": earlier,
                "after": limit,
            }
            for place, earlier, limit in zip(places, before, limits, strict=True)
            if limit > earlier
        ]
        metadata: dict[str, Any] = {**batch.metadata, "figures": figures, "occurrences": occurrences}
        return Batch(batch.input_ids, batch.labels, batch.attention_mask, metadata, batch.aligned)

    def draw(self, seed: int, position: int, limit: int) -> Drawn:
        """The example at a position. Raises `DataError` if no problem that is tried instead fits."""
        domain, place = self.rounds.place(seed, position)
        pool, cap = self.pools[domain], self.cuts.draw(seed, position)
        length, chosen = 0, None
        for again in range(_TRIES):
            problem = pool.problem(seed, place, again)
            tokens, room = self.dataset.length(problem) - 1, self.dataset.room(problem, limit)
            length = length or tokens
            if (tokens > limit and room <= 0) or (
                self.dataset.answer_ids(problem.answer) == self.dataset.end
            ).sum() > 1:
                continue
            if tokens <= limit or not self.leave_out:
                chosen = problem
                break
            chosen = chosen or problem
        if chosen is None:
            raise DataError(
                f"data.max_len: none of {_TRIES} problems of {self.rounds.names[domain]} fits in {limit} tokens, even with its "
                "thought cut. Set a larger max_len or a larger context."
            )
        problem = replace(chosen, domain=self.rounds.names[domain])
        item = self.dataset.cut(problem, cap, self.dataset.room(problem, limit))
        return Drawn(item, length, length > limit, pool.left_out(place))

    def _measured(self, seed: int, position: int) -> int:
        domain, place = self.rounds.place(seed, position)
        return self.dataset.length(self.pools[domain].problem(seed, place)) - 1
