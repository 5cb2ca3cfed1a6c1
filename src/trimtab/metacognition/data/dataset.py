"""Thoughts as examples: whole or cut at a cap, as generation would cut them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from trimtab.config import DataMix
from trimtab.data import IGNORE, Batch, DrawState, Item, TrainLoader, collate
from trimtab.data.problem import Problem
from trimtab.data.tasks import ProblemDataset
from trimtab.data.tokenizers import Tokenizer
from trimtab.metacognition.data.cuts import Cuts
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.tags import tags_of


class ThoughtDataset(ProblemDataset):
    """Each item is a prompt, the opening tag, a thought, the closing tag, an answer and an end token.

    The prompt ends with the opening tag, so a model that continues it thinks first. All that follows has labels, except for a
    closing tag that was forced: that one says nothing of the model. The metadata of an item has the `cap` on its thought, the
    tokens that the thought `used` of it, and whether it `ended` by itself. With `outcomes`, one for each problem, these are of
    the model's own thought, and `right` says under which caps its answer is. With a `limit` the thought of
    a longer item is cut, so that it has at most that many tokens, not counting the last one.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        tokenizer: Tokenizer,
        *,
        template: str = "{prompt}",
        outcomes: Sequence[Mapping[str, Any]] = (),
        limit: int | None = None,
    ) -> None:
        super().__init__(problems, tokenizer, template=template)
        self.tags = tags_of(tokenizer)
        self.limit = limit
        self._encoded: tuple[str, Int64[np.ndarray, " thought"]] | None = None
        self._outcomes = {id(problem): row for problem, row in zip(problems, outcomes, strict=bool(outcomes))}

    def prompt_ids(self, problem: Problem) -> Int64[np.ndarray, " prompt"]:
        """The tokens that the model continues: the prompt and the opening tag."""
        return np.append(super().prompt_ids(problem), self.tags.open)

    def thought_ids(self, problem: Problem) -> Int64[np.ndarray, " thought"]:
        """The tokens of a problem's thought."""
        assert isinstance(problem, ThoughtProblem)
        # Length, room and item of a problem are computed in turn, and its thought may be long.
        if self._encoded is None or self._encoded[0] is not problem.thought:
            self._encoded = problem.thought, self.tokenizer.encode(problem.thought).astype(np.int64)
        return self._encoded[1]

    def length(self, problem: Problem) -> int:
        """The number of tokens of a problem with its whole thought."""
        thought = len(self.thought_ids(problem))
        if isinstance(problem, ThoughtProblem) and not problem.closed:
            return len(self.prompt_ids(problem)) + thought
        return super().length(problem) + thought + 1

    def room(self, problem: Problem, limit: int) -> int:
        """The most tokens of a thought with which a problem has `limit` tokens, not counting the last one."""
        return limit + 1 - self.length(problem) + len(self.thought_ids(problem))

    def _item(self, problem: Problem) -> Item:
        return self.cut(problem, None, None if self.limit is None else self.room(problem, self.limit))

    def cut(self, problem: Problem, cap: int | None, room: int | None = None) -> Item:
        """A problem whose thought is kept to a cap (None: whole), and to `room` tokens where it is longer than that.

        A thought that is not closed has used up its cap, its own length; neither closing tag nor answer follow it.
        """
        assert isinstance(problem, ThoughtProblem)
        prompt, thought = self.prompt_ids(problem).tolist(), self.thought_ids(problem).tolist()
        if room is not None and len(thought) > room:
            cap = room if cap is None else min(cap, room)
        if not problem.closed:
            thought = thought[:room]
            return {
                "input_ids": torch.tensor([*prompt, *thought]),
                "labels": torch.tensor([*[IGNORE] * len(prompt), *thought]),
                "metadata": problem.metadata() | {"cap": len(thought), "used": len(thought), "ended": False},
            }
        answer = self.answer_ids(problem.answer).tolist()
        ended = cap is None or len(thought) < cap
        used = thought if cap is None else thought[:cap]
        ids = [*prompt, *used, self.tags.close, *answer]
        labels = [*[IGNORE] * len(prompt), *used, self.tags.close if ended else IGNORE, *answer]
        return {
            "input_ids": torch.tensor(ids),
            "labels": torch.tensor(labels),
            "metadata": problem.metadata()
            | {"cap": cap, "used": len(used), "ended": ended}
            | self._outcome(problem, cap),
        }

    def _outcome(self, problem: Problem, cap: int | None) -> dict[str, Any]:
        """What is known of the model's own thought about a problem; empty where nothing is."""
        row = self._outcomes.get(id(problem))
        if row is None:
            return {}
        used = row["used"] if cap is None else min(row["used"], cap)
        return {"used": used, "ended": row["ended"] and (cap is None or row["used"] < cap), "right": row["right"]}


class ThoughtSource:
    """A run's training batches: the examples in the order of a `TrainLoader`, each thought under a cap drawn for its position."""

    def __init__(self, dataset: ThoughtDataset, cuts: Cuts, seed: int) -> None:
        self.dataset, self.cuts, self.seed = dataset, cuts, seed
        self._loader: TrainLoader | None = None

    def take(self, position: int, count: int, mix: DataMix | None = None, state: DrawState | None = None) -> Batch:
        """Examples `position` to `position + count - 1`. Order and caps depend on the seed of the run."""
        seed = self.seed if state is None else state.streams.seed
        if self._loader is None or self._loader.seed != seed:
            self._loader = TrainLoader(self.dataset, 1, seed)
        indices = self._loader.chosen(position, count, mix)
        items = [
            self.dataset.cut(self.dataset.problems[index], self.cuts.draw(seed, position + place))
            for place, index in enumerate(indices)
        ]
        batch: Batch = collate(items)
        metadata: dict[str, Any] = {**batch.metadata, "index": indices}
        return Batch(batch.input_ids, batch.labels, batch.attention_mask, metadata, batch.aligned)
