"""Problems as a `TaskDataset`: the tokens of prompt and answer, with the role and digit place of each position."""

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
"""The number of items that are cached (a few kilobytes each)."""


class ProblemDataset:
    """Each item is a prompt, its answer and an end token; only the answer and the end token have labels.

    Prompt and answer are encoded separately, so an answer is generated after exactly the tokens that it was trained after. The
    end token is the tokenizer's own, or a newline if it has none. `template` is the text around each prompt; it contains
    `{prompt}`.

    The `aligned` metadata of an item describes each of its tokens. `role` is a `Role`. `place` is the place of a digit: 0 for
    units, 1 for tens, −2 for tenths, −3 for hundredths; for a token of several digits that of its last digit, and −1 for other
    tokens and for digits that belong to no number of the problem or to one of the role STRUCTURE. `target_ids` and
    `target_weights` give the distribution of each label, given the labels before it: the label itself, or, for a label that is
    drawn from several known answers, the next tokens of the answers that agree with the labels so far.

    Raises ValueError for a template without `{prompt}`.
    """

    def __init__(self, problems: Sequence[Problem], tokenizer: Tokenizer, *, template: str = "{prompt}") -> None:
        before, mark, after = template.partition("{prompt}")
        if not mark:
            raise ValueError(f"a template must contain {{prompt}}, the place of the prompt; {template!r} does not")
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
        """The text that the model continues."""
        return self._before + problem.prompt + self._after

    def prompt_ids(self, problem: Problem) -> Int64[np.ndarray, " prompt"]:
        """The tokens that the model continues."""
        return self.tokenizer.encode(self.prompt_text(problem)).astype(np.int64)

    def answer_ids(self, answer: str) -> Int64[np.ndarray, " answer"]:
        """The tokens of an answer and the end token."""
        return np.append(self.tokenizer.encode(answer).astype(np.int64), self.end)

    def length(self, problem: Problem) -> int:
        """The number of tokens of a problem: prompt, answer and end token."""
        return len(self.prompt_ids(problem)) + len(self.answer_ids(problem.answer))

    def __getitem__(self, index: int) -> Item:
        item = self._items.get(index)
        if item is None:
            item = self._item(self.problems[index])
            if len(self._items) < KEPT_ITEMS:
                self._items[index] = item
        return {**item, "metadata": dict(item["metadata"])}

    def _item(self, problem: Problem) -> Item:
        # Lists are faster than arrays for such short texts.
        prompt, *prompt_marks = self._marks(self.prompt_text(problem), problem.prompt_numbers, len(self._before))
        answer, *answer_marks = self._marks(problem.answer, problem.answer_numbers, 0)
        ids = [*prompt, *answer, self.end]
        roles, places = ([*one, *other] for one, other in zip(prompt_marks, answer_marks, strict=True))
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

    def _marks(self, text: str, numbers: Sequence[Number], shift: int) -> tuple[list[int], list[int], list[int]]:
        """The tokens of a text with the role and digit place of each; the spans of `numbers` move by `shift` characters."""
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
        """For each label, the next tokens of the answers that agree with the labels before it, with their weights."""
        rows: list[dict[int, float]] = [{} for _ in ids]
        for text, weight in answers:
            for row, token, label in zip(rows[start:], self.answer_ids(text).tolist(), ids[start:], strict=False):
                row[token] = row.get(token, 0.0) + weight
                if token != label:
                    break
        width = max(map(len, rows))
        target_ids, weights = [], []
        for row in rows:
            total = sum(row.values())
            tokens = sorted(row)
            target_ids.append(tokens + [0] * (width - len(tokens)))
            weights.append([row[token] / total for token in tokens] + [0.0] * (width - len(tokens)))
        return {"target_ids": torch.tensor(target_ids), "target_weights": torch.tensor(weights)}


def end_token(tokenizer: Tokenizer) -> int:
    """Returns the token that ends an answer: the tokenizer's end token, or its token for a newline.

    Raises ValueError if it has neither.
    """
    if tokenizer.end is not None:
        return tokenizer.end
    ids = tokenizer.encode("\n")
    if len(ids) != 1 or tokenizer.unknown_count(ids):
        raise ValueError(
            f"the tokenizer {tokenizer.name} has neither an end token nor a token for a newline, so no answer can end"
        )
    return int(ids[0])
