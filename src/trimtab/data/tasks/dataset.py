"""Problems as a `TaskDataset`: prompt and answer as tokens, with what is known about each position."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from trimtab.data.batch import IGNORE, Item
from trimtab.data.tasks.problem import Number, Problem, Role
from trimtab.data.tokenizers import Tokenizer


class ProblemDataset:
    """Items of a prompt, its answer and an end token; only the answer and the end are asked.

    Prompt and answer are encoded apart, so that an answer is generated after exactly the tokens that it was trained after.
    The end token is the tokenizer's own, or a newline where it has none. `template` is put around each prompt
    (`{prompt}` stands for it). Each item's `aligned` metadata says what its tokens are: `role` (see `Role`), `place` (the
    digit place: 0 units, 1 tens, −2 tenths; −1 where there is none), and for problems with several accepted answers
    `target_ids` and `target_weights`: the next tokens of those answers that agree with the labels so far.

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
        problem = self.problems[index]
        prompt, prompt_facts = self._described(self.prompt_text(problem), problem.prompt_numbers, len(self._before))
        answer, answer_facts = self._described(problem.answer, problem.answer_numbers, 0)
        ids = torch.from_numpy(np.concatenate([prompt, answer, [self.end]]).astype(np.int64))
        labels = ids.clone()
        labels[: len(prompt)] = IGNORE
        facts = np.concatenate([prompt_facts, answer_facts, [[Role.STRUCTURE, -1]]])
        aligned: dict[str, Tensor] = {"role": torch.from_numpy(facts[:, 0]), "place": torch.from_numpy(facts[:, 1])}
        if len(problem.accepted) > 1:
            aligned |= self._targets(problem, len(prompt), ids)
        return {"input_ids": ids, "labels": labels, "metadata": problem.metadata() | {"aligned": aligned}}

    def _described(
        self, text: str, numbers: Sequence[Number], shift: int
    ) -> tuple[Int64[np.ndarray, " tokens"], Int64[np.ndarray, "tokens 2"]]:
        """The tokens of a text, and role and digit place of each; `numbers` stand `shift` characters further in it."""
        ids, spans = self.tokenizer.spans(text)
        facts = np.full((len(ids), 2), (Role.TEXT, -1), dtype=np.int64)
        for start, end, role in numbers:
            inside = (spans[:, 0] < end + shift) & (spans[:, 1] > start + shift)
            facts[inside, 0] = role
            whole, _, _ = text[start + shift : end + shift].partition(".")
            point = start + shift + len(whole)
            for token in np.flatnonzero(inside):
                first, last = spans[token]
                if text[first:last].strip().isdigit():
                    after = sum(character.isdigit() for character in text[last:point])
                    facts[token, 1] = after if last <= point else -1 - (last - point - 1)
        return ids.astype(np.int64), facts

    def _targets(self, problem: Problem, start: int, ids: Tensor) -> dict[str, Tensor]:
        """At each position of the labels, the next tokens of the accepted answers that agree with them so far."""
        accepted = [(self.answer_ids(text).tolist(), weight) for text, weight in problem.accepted]
        labelled = ids[start:].tolist()
        rows: list[dict[int, float]] = [{} for _ in range(len(ids))]
        for tokens, weight in accepted:
            for place, token in enumerate(tokens[: len(labelled)]):
                row = rows[start + place]
                row[token] = row.get(token, 0.0) + weight
                if token != labelled[place]:
                    break
        width = max(len(row) for row in rows)
        target_ids = torch.zeros(len(ids), width, dtype=torch.int64)
        weights = torch.zeros(len(ids), width, dtype=torch.float32)
        for place, row in enumerate(rows):
            total = sum(row.values())
            for column, (token, weight) in enumerate(sorted(row.items())):
                target_ids[place, column], weights[place, column] = token, weight / total
        return {"target_ids": target_ids, "target_weights": weights}


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
