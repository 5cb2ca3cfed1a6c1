"""A source of batches that are the model's own answers to problems, each compared with other answers to the same problem."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from trimtab.config import DataMix, Frozen
from trimtab.data import IGNORE, Batch, DrawState, Item, TrainLoader, collate
from trimtab.data.problem import Problem, Task
from trimtab.data.tasks import ProblemDataset
from trimtab.errors import ConfigError
from trimtab.generation import Completion, complete


class Rollouts(Frozen):
    """How answers are drawn to be trained on."""

    group: Annotated[
        int,
        Field(ge=2, description="answers to each problem; a batch has whole groups, so its size is a multiple of this"),
    ] = 8
    tokens: Annotated[int, Field(ge=1, description="tokens of an answer, at most")] = 48
    temperature: Annotated[float, Field(gt=0, description="temperature at which answers are drawn")] = 1.0


class RolloutSource:
    """Training batches of groups of answers that the model gives in its present state, with their rewards.

    The rows at positions k · group to (k + 1) · group - 1 answer the k-th problem in the order of a `TrainLoader`. The random
    numbers of an answer depend on the run's seed, the step, the attempt and its position, so a step draws the same answers
    however it is cut into micro-batches, and a resumed or replayed run draws them again.

    The metadata of a row has its `reward`; its `advantage`, which is the reward less the mean reward of the other rows of its
    group (leave-one-out); and the `temperature`. The aligned `sampled` has the log probability with which each token was drawn,
    at temperature 1. A subclass may make other rows and rewards.
    """

    def __init__(self, dataset: ProblemDataset, task: Task, config: Rollouts, seed: int) -> None:
        self.dataset, self.task, self.config, self.seed = dataset, task, config, seed
        self._loader: TrainLoader | None = None

    def take(self, position: int, count: int, mix: DataMix | None = None, state: DrawState | None = None) -> Batch:
        """Rows `position` to `position + count - 1`. Raises `ConfigError` for a batch that cuts a group."""
        group = self.config.group
        if count % group or position % group:
            raise ConfigError(
                f"episode.batch_size is {count}, but data.rollouts.group is {group}: a batch has whole groups of answers. Set "
                "the batch size to a multiple of the group."
            )
        if state is None:
            raise ValueError("rollouts need the state of the run that they are drawn for")
        if self._loader is None or self._loader.seed != state.streams.seed:
            self._loader = TrainLoader(self.dataset, 1, state.streams.seed)
        first = position // group
        indices = self._loader.chosen(first, count // group, mix)
        problems = [self.dataset.problems[index] for index in indices for _ in range(group)]
        prompts = [torch.from_numpy(self.dataset.prompt_ids(problem)) for problem in problems]
        completions = complete(
            state.model,
            prompts,
            self.config.tokens,
            generator=state.generator(),
            uniform=self._uniform(state, first, len(indices)),
            temperature=self.config.temperature,
            stop=self.dataset.ends,
            batch_size=count,
        )
        items, rewards = [], []
        for problem, prompt, completion in zip(problems, prompts, completions, strict=True):
            items.append(self.row(problem, prompt, completion))
            rewards.append(self.reward(problem, completion, state))
        for item, reward, advantage in zip(items, rewards, _advantages(rewards, group), strict=True):
            item["metadata"] |= {"reward": reward, "advantage": advantage, "temperature": self.config.temperature}
        batch = collate(items)
        metadata = {**batch.metadata, "index": [index for index in indices for _ in range(group)]}
        return Batch(batch.input_ids, batch.labels, batch.attention_mask, metadata, batch.aligned)

    def _uniform(self, state: DrawState, first: int, problems: int) -> Tensor:
        """Random numbers for each token of each answer, from a generator for each problem."""
        shape = (self.config.group, self.config.tokens)
        return torch.cat(
            [
                torch.rand(
                    shape,
                    dtype=torch.float64,
                    generator=state.streams.at("sampling", "rollout", state.step, state.attempt, number),
                )
                for number in range(first, first + problems)
            ]
        )

    def row(self, problem: Problem, prompt: Tensor, completion: Completion) -> Item:
        """A prompt with an answer to it; what the model chose has labels."""
        before = len(prompt)
        sampled = torch.cat((torch.zeros(before), completion.log_probabilities.float()))
        return {
            "input_ids": torch.cat((prompt, completion.tokens)),
            "labels": torch.cat((torch.full((before,), IGNORE), completion.tokens)),
            "metadata": problem.metadata() | {"aligned": {"sampled": sampled}},
        }

    def reward(self, problem: Problem, completion: Completion, state: DrawState) -> float:
        """1 for a right answer, 0 for another."""
        del state
        return self.right(problem, completion.tokens)

    def right(self, problem: Problem, tokens: Tensor) -> float:
        """Whether the text of some tokens, up to the one that ends it, is the right answer."""
        ends = torch.isin(tokens, torch.tensor(self.dataset.ends)).nonzero()
        text = self.dataset.tokenizer.decode(tokens[: int(ends[0]) if len(ends) else len(tokens)].numpy())
        return float(self.task.score(problem, text)["exact_match"] >= 1.0)


def _advantages(rewards: Sequence[float], group: int) -> list[float]:
    """Each reward less the mean of the others of its group."""
    groups = torch.tensor(rewards, dtype=torch.float64).view(-1, group)
    others = (groups.sum(1, keepdim=True) - groups) / (group - 1)
    advantages: list[Any] = (groups - others).flatten().tolist()
    return advantages
