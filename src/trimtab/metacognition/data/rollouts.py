"""Training on the model's own thoughts and answers."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from trimtab.data import IGNORE, DrawState, Item
from trimtab.data.problem import Problem
from trimtab.errors import WorkError
from trimtab.generation import Completion
from trimtab.metacognition.rules import Budget
from trimtab.metacognition.tags import split_answer, tags_of
from trimtab.rollouts import Rollouts, RolloutSource


class ThoughtRollouts(Rollouts):
    """How thoughts and answers are drawn to be trained on."""

    price: Annotated[
        float,
        Field(ge=0, description="what a thought to the model's last cap costs, as a share of a right answer's worth"),
    ] = 0.1


class ThoughtRolloutSource(RolloutSource):
    """Rollouts of a model that thinks within its budgets. The reward is 1 for a right answer less the price of the thought.

    The metadata has the `cap`, the tokens `used` and whether the thought `ended` by itself, as for a `ThoughtDataset`. A closing
    tag that was forced has no label, because the model did not choose it. The aligned `forbidden` names the tokens that the rules
    exclude at each place, as `ThinkingRules` does.
    """

    config: ThoughtRollouts

    def row(self, problem: Problem, prompt: Tensor, completion: Completion) -> Item:
        """A prompt with a thought and an answer."""
        item = super().row(problem, prompt, completion)
        details = completion.details
        if "think_tokens_used" not in details:
            raise WorkError(
                "data.rollouts needs a model that thinks within budgets: model {name: metacognitive, base: {...}}."
            )
        used, forced = int(details["think_tokens_used"]), bool(details["forced"])
        if forced:
            item["labels"][len(prompt) + used] = IGNORE
        tags = tags_of(self.dataset.tokenizer)
        within, after = [tags.open, *self.dataset.ends], [tags.open, tags.close]
        width = len(within)
        rows = [[-1] * width] * len(prompt) + [within] * (used + 1)
        rows += [[*after, *[-1] * (width - 2)]] * (len(completion.tokens) - used - 1)
        item["metadata"]["aligned"]["forbidden"] = torch.tensor(rows[: len(item["input_ids"])])
        closed = bool((completion.tokens == tags.close).any())
        item["metadata"] |= {"cap": details["cap"], "used": used, "ended": closed and not forced}
        return item

    def reward(self, problem: Problem, completion: Completion, state: DrawState) -> float:
        """1 for a right answer, less `price` times the share of the last cap that was used."""
        budget: Budget = getattr(state.model, "budget")  # noqa: B009 - models are typed as plain modules
        _, answer = split_answer(completion.tokens, tags_of(self.dataset.tokenizer))
        used = int(completion.details["think_tokens_used"]) / budget.caps[-1]
        return self.right(problem, answer) - self.config.price * used
