"""Batches of a model's own answers: what they depend on, their labels, rewards and advantages."""

from typing import Any

import pytest
import torch

from trimtab.config import ConfigError
from trimtab.data import IGNORE, Batch, CharacterTokenizer, DrawState
from trimtab.data.tasks import ProblemDataset
from trimtab.data.tasks.arithmetic import Arithmetic
from trimtab.models import Decoder
from trimtab.random import Streams
from trimtab.rollouts import Rollouts, RolloutSource

TASK = Arithmetic(levels=(1,), operations=("sum",))
TOKENIZER = CharacterTokenizer()
GROUP = 4


def source(**options: Any) -> RolloutSource:
    problems = TASK.split("train", 20, 0)
    return RolloutSource(ProblemDataset(problems, TOKENIZER), TASK, Rollouts(group=GROUP, tokens=5, **options), 0)


def model(seed: int = 0) -> Decoder:
    made = Decoder(vocabulary=TOKENIZER.vocabulary, context=32, layers=1, width=16, heads=2, dropout=0.1)
    made.initialise(torch.Generator().manual_seed(seed))
    return made


def state(*, step: int = 1, attempt: int = 0, index: int = 0, seed: int = 0, of: Decoder | None = None) -> DrawState:
    return DrawState(of or model(), Streams(seed), "training", step, attempt, index)


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.input_ids, other.input_ids) and one.metadata == other.metadata


def test_a_step_draws_the_same_answers_however_it_is_cut() -> None:
    whole = source().take(0, 12, None, state())
    parts = [source().take(first, GROUP, None, state(index=index)) for index, first in enumerate(range(0, 12, GROUP))]
    for row in range(12):
        part, place = parts[row // GROUP], row % GROUP
        own = whole.labels[row][whole.labels[row] != IGNORE].tolist()
        assert own == part.labels[place][part.labels[place] != IGNORE].tolist()
        assert whole.metadata["prompt"][row] == part.metadata["prompt"][place]
        assert whole.metadata["advantage"][row] == part.metadata["advantage"][place]


def test_answers_depend_on_seed_step_attempt_and_weights() -> None:
    first = source().take(0, 8, None, state())
    assert same(first, source().take(0, 8, None, state()))
    for other in (state(step=2), state(attempt=1), state(seed=1), state(of=model(1))):
        assert not torch.equal(first.input_ids, source().take(0, 8, None, other).input_ids)


def test_drawing_leaves_the_model_as_it_is() -> None:
    drawn = model().train()
    before = {name: value.clone() for name, value in drawn.state_dict().items()}
    source().take(0, 8, None, state(of=drawn))
    assert drawn.training and all(parameter.grad is None for parameter in drawn.parameters())
    assert all(torch.equal(value, before[name]) for name, value in drawn.state_dict().items())


def test_labels_rewards_and_advantages_of_a_batch() -> None:
    batch = source().take(0, 8, None, state())
    for row in range(8):
        prompt = len(batch.metadata["prompt"][row])
        labels = batch.labels[row]
        assert set(labels[:prompt].tolist()) == {IGNORE}
        chosen = labels[labels != IGNORE]
        assert chosen.tolist() == batch.input_ids[row, prompt : prompt + len(chosen)].tolist()
        text = TOKENIZER.decode(chosen.numpy()).partition("\n")[0]
        assert batch.metadata["reward"][row] == float(text == batch.metadata["answer"][row])
        assert bool((batch.aligned["sampled"][row][prompt : prompt + len(chosen)] < 0).all())
    assert [batch.metadata["prompt"][row] for row in range(8)] == [batch.metadata["prompt"][0]] * 4 + [
        batch.metadata["prompt"][4]
    ] * 4


def test_a_right_answer_has_a_reward_and_the_others_a_disadvantage() -> None:
    class Cheating(RolloutSource):
        def reward(self, problem: Any, completion: Any, state: DrawState) -> float:
            return self.right(problem, torch.from_numpy(self.dataset.answer_ids(problem.answer))) * float(
                completion.tokens[0] % 2
            )

    chosen = Cheating(source().dataset, TASK, Rollouts(group=GROUP, tokens=5), 0)
    batch = chosen.take(0, GROUP, None, state())
    rewards, advantages = batch.metadata["reward"], batch.metadata["advantage"]
    assert set(rewards) == {0.0, 1.0}
    for row in range(GROUP):
        others = [reward for place, reward in enumerate(rewards) if place != row]
        assert advantages[row] == pytest.approx(rewards[row] - sum(others) / 3)


def test_a_batch_that_cuts_a_group_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="episode.batch_size is 6, but data.rollouts.group is 4.*multiple of the group"
    ):
        source().take(0, 6, None, state())
