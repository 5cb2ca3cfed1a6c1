"""What happens under every cap: the length of a model's thoughts, and whether the answers are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trimtab.data.problem import Problem, Task
from trimtab.generation import complete
from trimtab.generation.rules import NewRows
from trimtab.metacognition.data.dataset import ThoughtDataset
from trimtab.metacognition.model import Metacognitive
from trimtab.metacognition.rules import ThinkingRules


@dataclass(frozen=True)
class Observer:
    """Generates greedy thoughts, cuts them at every cap, and answers from what is left."""

    model: Metacognitive
    dataset: ThoughtDataset
    task: Task
    batch_size: int

    def rows(self, items: Sequence[int]) -> list[dict[str, Any]]:
        """A row for each problem: the tokens `used` by its free thought, whether it `ended`, and what is `right` under each cap.

        Under a cap the same thought is cut, because it is greedy and the gate does not depend on the cap. So one thought gives
        the outcomes under all caps. A thought is free up to the last cap.
        """
        problems = [self.dataset.problems[item] for item in items]
        prompts = [torch.from_numpy(self.dataset.prompt_ids(problem)) for problem in problems]
        caps = self.model.budget.caps
        room = self.model.budget.answer_room
        free = self._complete(prompts, caps[-1] + room + 1, caps[-1])
        thoughts = [one.tokens[: one.details["think_tokens_used"]] for one in free]
        ended = [not one.details["forced"] for one in free]
        lengths = [sorted({min(cap, len(thought)) for cap in caps}) for thought in thoughts]
        closed = torch.tensor([self.dataset.tags.close])
        cut = [
            torch.cat((prompt, thought[:length], closed))
            for prompt, thought, own in zip(prompts, thoughts, lengths, strict=True)
            for length in own
        ]
        answers = iter(self._complete(cut, room, None))
        rows = []
        for item, problem, thought, own, end, one in zip(items, problems, thoughts, lengths, ended, free, strict=True):
            right = {length: self._right(problem, next(answers).tokens) for length in own}
            rows.append(
                {
                    "item": item,
                    "level": problem.level,
                    "plan": problem.metadata().get("plan"),
                    "prompt_tokens": len(self.dataset.prompt_ids(problem)),
                    "thought": self.dataset.tokenizer.decode(thought.numpy()),
                    "used": len(thought),
                    "ended": end,
                    "right": [right[min(cap, len(thought))] for cap in caps],
                    **_decided(one.details),
                }
            )
        return rows

    def _complete(self, prompts: list[Tensor], tokens: int, limit: int | None) -> Any:
        def rules(rows: NewRows) -> ThinkingRules:
            return ThinkingRules(self.model, rows, limit)

        return complete(
            self.model,
            prompts,
            tokens,
            generator=torch.Generator().manual_seed(0),  # nothing is drawn at temperature 0
            temperature=0.0,
            stop=self.dataset.ends,
            batch_size=self.batch_size,
            rules=rules,
        )

    def _right(self, problem: Problem, tokens: Tensor) -> bool:
        ends = torch.isin(tokens, torch.tensor(self.dataset.ends)).nonzero()
        text = self.dataset.tokenizer.decode(tokens[: int(ends[0]) if len(ends) else len(tokens)].numpy())
        return self.task.score(problem, text)["exact_match"] >= 1.0


def _decided(details: Any) -> dict[str, Any]:
    return {
        "confidence_by_cap": details["confidence_by_cap"],
        "use_by_cap": details["use_by_cap"],
        "predicted_plan": int(max(range(len(details["plan"])), key=details["plan"].__getitem__)),
        "alpha": details["alpha"],
        "gate_norm": details["gate_norm"],
    }
