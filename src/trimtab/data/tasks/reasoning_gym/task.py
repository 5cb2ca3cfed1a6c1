"""The task `reasoning_gym`: problems of Reasoning Gym, with its known defects corrected or refused."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.files import NumbersOf, question_key
from trimtab.data.tasks.generated import count_needed, is_validation
from trimtab.data.tasks.reasoning_gym import syllogisms
from trimtab.data.tasks.reasoning_gym.generators import check_usable, generator, quiet, wrong_yes_share
from trimtab.data.tasks.reasoning_gym.known import is_safe, own_score
from trimtab.errors import ConfigError, DataError, WorkError
from trimtab.random import derive_seed

_CHUNK = 256
_PATIENCE = 2000


@dataclass(frozen=True)
class _Drawn:
    """An entry of Reasoning Gym, and the data set that generated it and scores it."""

    entry: Mapping[str, Any]
    data_set: Any


class ReasoningGym:
    """A generator of Reasoning Gym (Stojanovski et al. 2025, 2505.24760), selected by name, with its own config and scorer.

    *Splits.* Reasoning Gym draws item i of a data set with the seed `seed + i`, so data sets with nearby seeds share items. Here
    the seeds of the two splits are derived from the data seed and lie far apart (below and above 2^31). The hash of a question
    decides its split (a fifth is for validation), as for all generated tasks.

    *Levels.* Without `levels`, all problems have level 1 and use `config`. With `levels`, problems take them in turn and use the
    generator's own curriculum at that level (1 is its easiest); `config` overrides the curriculum.

    *Scores.* `exact_match` is 1 if the generator's scorer returns 1, and `score` is what it returns, from 0 to 1. A response that
    makes the scorer fail, or that it would run as a program (see `is_safe`), scores 0. For scorers that accept wrong responses,
    see `own_score`. Validation problems whose own answer scores less than 1 are left out and listed in `skipped`.

    *syllogism* has natural label noise. Its generator does not check that the middle term is distributed, so a quarter of the
    `Yes` among its two-premise problems are wrong (12.25% of all labels by default); no `No` is wrong. `truth` and `noisy` come
    from a check over all models, `tags` selects the uncertainty that a loss sees, and scores compare with the truth.
    """

    metrics: tuple[str, ...] = ("exact_match", "score")

    def __init__(
        self,
        *,
        dataset: Annotated[
            str, Field(min_length=1, description="the name of the generator in reasoning-gym, for example chain_sum")
        ],
        config: Annotated[
            dict[str, Any] | None, Field(description="parameters of the generator, except seed and size")
        ] = None,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=20)], ...],
            Field(description="levels of the generator's curriculum, in turn; if empty, `config` alone and level 1"),
        ] = (),
        tags: Annotated[
            Literal["none", "exact", "oracle"],
            Field(
                description="the `uncertainty` of a syllogism: none is 0, exact the probability that such a label is wrong, "
                "oracle 1 if the label is wrong (which no real tag could know)"
            ),
        ] = "none",
    ) -> None:
        self.dataset, self.config, self.levels, self.tags = dataset, dict(config or {}), tuple(levels), tags
        self.name = f"reasoning_gym {dataset}"
        self.skipped: tuple[str, ...] = ()
        self._drawn: dict[str, _Drawn] = {}
        try:
            check_usable(dataset, self.config, tags)
        except ValueError as error:
            raise ConfigError(f"data.task: {error}.") from error
        self._generators = {level: generator(dataset, self.config, level) for level in self.levels or (0,)}

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raises ValueError for a generator that cannot be used."""
        check_usable(parameters["dataset"], parameters["config"] or {}, parameters["tags"])

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`; includes the version of the package."""
        parameters = {"dataset": self.dataset, "config": self.config, "levels": list(self.levels), "tags": self.tags}
        return {**parameters, "version": version("reasoning-gym")}

    def split(self, split: Split, count: int | None, seed: int) -> Sequence[Problem]:
        """Returns `count` problems with the levels in turn. Training problems may repeat; validation problems are all different.

        Raises `DataError` if there are too few different questions, and `WorkError` if the generator fails.
        """
        if count is None:
            raise count_needed(self.name)
        validates = split == "validation"
        sources = {level: self._items(level, split, seed) for level in self._generators}
        problems: list[Problem] = []
        seen: set[str] = set()
        left_out: list[str] = []
        for level in itertools.cycle(sources):
            for source, drawn in itertools.islice(sources[level], _PATIENCE):
                problem = self._problem(drawn, max(level, 1), source)
                if is_validation(problem.question) != validates or problem.question in seen:
                    continue
                if validates:
                    seen.add(problem.question)
                    if (score := self._score(drawn, problem.truth)) < 1:
                        left_out.append(f"{source}: the scorer gives the generator's own answer {score:g}")
                        continue
                if not problem.answer:
                    left_out.append(f"{source}: the answer is empty")
                    continue
                self._drawn[problem.question] = drawn
                problems.append(problem)
                break
            else:
                raise DataError(
                    f"The task {self.name} has too few different questions for {count} {split} problems: after "
                    f"{len(problems)} problems, {_PATIENCE:,} draws in a row were repetitions, unusable or of the other split. "
                    "Ask for fewer problems (`data.validation`), or set a `config` or `levels` with more questions."
                )
            if len(problems) == count:
                break
        self.skipped = tuple(dict.fromkeys([*self.skipped, *left_out]))
        return problems

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """The score that the generator's scorer gives a response to one of the problems drawn here. Never raises."""
        score = self._score(self._drawn[problem.question], response.strip())
        return {"exact_match": float(score >= 1), "score": score}

    def _score(self, drawn: _Drawn, response: str) -> float:
        if self.dataset == "syllogism":
            return float(response.rstrip(".!").casefold() == _truth(drawn.entry).casefold())
        if not is_safe(self.dataset, response, drawn.entry):
            return 0.0
        if (own := own_score(self.dataset, response, drawn.entry)) is not None:
            return own
        try:
            with quiet():
                score = float(drawn.data_set.score_answer(response, drawn.entry))
        except Exception:  # noqa: BLE001 - the scorers raise all kinds of errors
            return 0.0
        return min(max(score, 0.0), 1.0) if math.isfinite(score) else 0.0

    def _items(self, level: int, split: Split, seed: int) -> Iterator[tuple[str, _Drawn]]:
        """Yields entries of a level endlessly, each with a description of its source, from data sets with successive seeds."""
        first = derive_seed(seed, "task", "reasoning_gym", self.dataset, split, level) % (1 << 30)
        first += (1 << 31) * (split == "validation")
        factory, config = self._generators[level]
        for begin in itertools.count(first, _CHUNK):
            data_set = None
            for index in range(_CHUNK):
                source = f"{self.dataset}, seed {begin}, item {index}"
                try:
                    with quiet():
                        data_set = data_set or factory(replace(config, seed=begin, size=_CHUNK))
                        entry = data_set[index]
                except Exception as error:
                    raise WorkError(
                        f"The generator failed at {source} ({type(error).__name__}: {error}). Set another `config`, or another "
                        "`data.seed`."
                    ) from error
                if not isinstance(entry["answer"], str):
                    raise WorkError(
                        f"{source} has the answer {entry['answer']!r}, which is not text. Use another generator."
                    )
                yield source, _Drawn(entry, data_set)

    def _problem(self, drawn: _Drawn, level: int, source: str) -> Problem:
        question, answer = drawn.entry["question"].strip(), drawn.entry["answer"].strip()
        truth, uncertainty = answer, 0.0
        if self.dataset == "syllogism":
            truth = _truth(drawn.entry)
            uncertainty = {
                "none": 0.0,
                "exact": self._wrong_probability(drawn.entry),
                "oracle": float(truth != answer),
            }[self.tags]
        return Problem(
            prompt=f"{question}\n",
            answer=answer,
            truth=truth,
            level=level,
            key=question_key(question),
            uncertainty=uncertainty,
            noisy=truth != answer,
            prompt_numbers=NumbersOf(question),
            answer_numbers=NumbersOf(answer),
            provenance={"entry": source},
        )

    def _wrong_probability(self, entry: Mapping[str, Any]) -> float:
        """The probability that the label of a syllogism of the same type, with the same label, is wrong."""
        if entry["metadata"]["type"] != "syllogism" or entry["answer"] != "Yes":
            return 0.0
        return self._wrong_yes_share

    @cached_property
    def _wrong_yes_share(self) -> float:
        _, config = next(iter(self._generators.values()))
        return wrong_yes_share(config)


def _truth(entry: Mapping[str, Any]) -> str:
    return "Yes" if syllogisms.follows(syllogisms.read_question(entry["question"]).form) else "No"
