"""Problems as a `TaskDataset`: prompt and answer as tokens, with what is known about each position."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from trimtab.data.batch import IGNORE, Item
from trimtab.data.problem import Number, Problem, Role
from trimtab.data.tokenizers import Tokenizer

KEPT_ITEMS = 1 << 14
"""So many items are kept once made (a few kilobytes each)."""


class ProblemDataset:
    """Items of a prompt, its answer and an end token; only the answer and the end are asked.

    Prompt and answer are encoded apart, so that an answer is generated after exactly the tokens that it was trained after.
    The end token is the tokenizer's own, or a newline where it has none. `template` is put around each prompt
    (`{prompt}` stands for it). Each item's `aligned` metadata says what its tokens are: `role` (see `Role`), `place` (the
    digit place: 0 units, 1 tens, −2 tenths; −1 where there is none), and `target_ids` with `target_weights`: the label
    itself, or for a problem whose label is drawn from several known answers the next tokens of those that agree with the
    labels so far, which is the exact distribution of each label given the ones before it.

    Raises ValueError for a template without `{prompt}`.
    """

    def __init__(self, problems: Sequence[Problem], tokenizer: Tokenizer, *, template: str = "{prompt}") -> None:
        before, mark, after = template.partition("{prompt}")
        if not mark:
            raise ValueError(f"a template needs {{prompt}}, where the prompt stands; found {template!r}")
        self.problems = problems
        self.tokenizer = tokenizer
        self.template = template
        self._before, self._after = before, after
        self.end = end_token(tokenizer)
        self.ends = tokenizer.ends or (self.end,)
        self._items: dict[int, Item] = {}

    def __len__(self) -> int:
        return len(self.problems)

    def difficulty(self) -> Float64[np.ndarray, " examples"]:
        """The level of each problem."""
        return np.array([problem.level for problem in self.problems], dtype=np.float64)

    def prompt_text(self, problem: Problem) -> str:
        """The text that a model is asked to continue."""
        return self._before + problem.prompt + self._after

    def prompt_ids(self, problem: Problem) -> Int64[np.ndarray, " prompt"]:
        """The tokens that a model is asked to continue."""
        return self.tokenizer.encode(self.prompt_text(problem)).astype(np.int64)

    def answer_ids(self, answer: str) -> Int64[np.ndarray, " answer"]:
        """An answer's tokens with the end token."""
        return np.append(self.tokenizer.encode(answer).astype(np.int64), self.end)

    def length(self, problem: Problem) -> int:
        """The tokens of a problem, prompt, answer and end."""
        return len(self.prompt_ids(problem)) + len(self.answer_ids(problem.answer))

    def __getitem__(self, index: int) -> Item:
        item = self._items.get(index)
        if item is None:
            item = self._item(self.problems[index])
            if len(self._items) < KEPT_ITEMS:
                self._items[index] = item
        return {**item, "metadata": dict(item["metadata"])}

    def _item(self, problem: Problem) -> Item:
        # Plain lists until the end: for texts so short, each array operation would cost more than the work.
        prompt, *prompt_facts = self._described(self.prompt_text(problem), problem.prompt_numbers, len(self._before))
        answer, *answer_facts = self._described(problem.answer, problem.answer_numbers, 0)
        ids = [*prompt, *answer, self.end]
        roles, places = ([*one, *other] for one, other in zip(prompt_facts, answer_facts, strict=True))
        aligned = {
            "role": torch.tensor([*roles, int(Role.STRUCTURE)]),
            "place": torch.tensor([*places, -1]),
        }
        aligned |= self._targets(problem.answers or ((problem.answer, 1.0),), len(prompt), ids)
        return {
            "input_ids": torch.tensor(ids),
            "labels": torch.tensor([IGNORE] * len(prompt) + ids[len(prompt) :]),
            "metadata": problem.metadata() | {"aligned": aligned},
        }

    def _described(self, text: str, numbers: Sequence[Number], shift: int) -> tuple[list[int], list[int], list[int]]:
        """The tokens of a text, and role and digit place of each; `numbers` stand `shift` characters further in it."""
        ids, spans = self.tokenizer.spans(text)
        starts, ends = spans[:, 0].tolist(), spans[:, 1].tolist()
        roles, places = [int(Role.TEXT)] * len(ids), [-1] * len(ids)
        for start, end, role in numbers:
            point = text.find(".", start + shift, end + shift)
            point = end + shift if point < 0 else point
            for token in range(bisect_right(ends, start + shift), len(ids)):
                first, last = starts[token], ends[token]
                if first >= end + shift:
                    break
                roles[token], places[token] = int(role), -1
                if role != Role.STRUCTURE and text[first:last].strip().isdecimal():
                    places[token] = sum(map(str.isdecimal, text[last:point])) if last <= point else point - last
        return ids.tolist(), roles, places

    def _targets(self, answers: Sequence[tuple[str, float]], start: int, ids: Sequence[int]) -> dict[str, Tensor]:
        """At each position of the labels, the next tokens of the answers that agree with the labels so far."""
        rows: list[dict[int, float]] = [{} for _ in ids]
        for text, weight in answers:
            spelled = self.answer_ids(text).tolist()
            for row, token, label in zip(rows[start:], spelled, ids[start:], strict=False):
                row[token] = row.get(token, 0.0) + weight
                if token != label:
                    break
        width = max(map(len, rows))
        target_ids, weights = [], []
        for row in rows:
            total = sum(row.values())
            filled = sorted(row)
            target_ids.append(filled + [0] * (width - len(filled)))
            weights.append([row[token] / total for token in filled] + [0.0] * (width - len(filled)))
        return {"target_ids": torch.tensor(target_ids), "target_weights": torch.tensor(weights)}


def end_token(tokenizer: Tokenizer) -> int:
    """The token that ends an answer: the tokenizer's own, or the newline's."""
    if tokenizer.end is not None:
        return tokenizer.end
    ids = tokenizer.encode("\n")
    if len(ids) != 1 or tokenizer.unknown_count(ids):
        raise ValueError(
            f"the tokenizer {tokenizer.name} has no end token and no token for a newline to end an answer with"
        )
    return int(ids[0])
