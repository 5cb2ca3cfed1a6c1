"""Problems of Reasoning Gym, with what is known to be wrong there put right or refused."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.data.problem import Problem, Split
from trimtab.data.tasks.files import question_key
from trimtab.data.tasks.files.roles import NumbersOf
from trimtab.data.tasks.generated import is_validation
from trimtab.data.tasks.reasoning_gym import syllogisms
from trimtab.data.tasks.reasoning_gym.generators import generator, quiet, refuse, wrong_yes
from trimtab.data.tasks.reasoning_gym.known import own_score, readable
from trimtab.errors import ConfigError, DataError, WorkError
from trimtab.random import derive_seed

_CHUNK = 256
_PATIENCE = 2000


@dataclass(frozen=True)
class _Drawn:
    """A problem as it was drawn: its entry, and the data set that drew and scores it."""

    entry: Mapping[str, Any]
    source: Any


class ReasoningGym:
    """A generator of Reasoning Gym (Stojanovski et al. 2025, 2505.24760) by name, with its own config and scorer.

    *Splits*: item i of a data set there is drawn with the seed `seed + i`, so data sets with seeds near each other share
    items. Here the seeds of the two splits are derived from the data seed and lie apart (below and above 2^31), and a
    question belongs to one split for good by its hash (a fifth validates), as for generated tasks.
    *Levels*: without `levels` all problems are of level 1, drawn with `config`; with them, in turn, with the generator's own
    curriculum at each level (1 is its easiest; `config` has the last word).
    *Scores*: `exact_match` is 1 where their scorer gives 1, and `score` is what it gives, from 0 to 1. A response that it
    fails on, or that it would run as a program (see `readable`), is worth 0. Where their scorer takes wrong responses for
    right, ours stands in its place: see `own_score`. A validation problem whose own answer gets less than 1 is left out and
    named in `skipped`.
    *syllogism* is a task with natural label noise: its generator does not ask for a distributed middle term, so that a
    quarter of the `Yes` among its two-premise problems are wrong (12.25% of all labels, by default), and no `No` is. `truth`
    and `noisy` come from a check over all models; `tags` decides what a loss is told. Its scores are against the truth.
    """

    figures: tuple[str, ...] = ("exact_match", "score")

    def __init__(
        self,
        *,
        dataset: Annotated[
            str, Field(min_length=1, description="the generator's name in reasoning-gym, chain_sum say")
        ],
        config: Annotated[
            dict[str, Any] | None, Field(description="the generator's own parameters; seed and size are not among them")
        ] = None,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=20)], ...],
            Field(description="levels of the generator's own curriculum, in turn; none: `config` alone, level 1"),
        ] = (),
        tags: Annotated[
            Literal["none", "exact", "oracle"],
            Field(
                description="the uncertainty told of a syllogism: none, the exact probability that a label like it is wrong, or "
                "1 where the label is wrong (which no real tag knows)"
            ),
        ] = "none",
    ) -> None:
        self.dataset, self.config, self.levels, self.tags = dataset, dict(config or {}), tuple(levels), tags
        self.name = f"reasoning_gym {dataset}"
        self.skipped: tuple[str, ...] = ()
        self._drawn: dict[str, _Drawn] = {}
        try:
            refuse(dataset, self.config, tags)
        except ValueError as error:
            raise ConfigError(f"data.task: {error}.") from error
        self._generators = {level: generator(dataset, self.config, level) for level in self.levels or (0,)}

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """A generator that cannot be used is refused before a run begins."""
        refuse(parameters["dataset"], parameters["config"] or {}, parameters["tags"])

    @property
    def identity(self) -> Mapping[str, Any]:
        """The generator, its parameters and the package's version."""
        parameters = {"dataset": self.dataset, "config": self.config, "levels": list(self.levels), "tags": self.tags}
        return {**parameters, "version": version("reasoning-gym")}

    def split(self, split: Split, count: int | None, seed: int) -> Sequence[Problem]:
        """`count` problems, the levels in turn; training ones may repeat, validation ones are all different.

        Raises `DataError` where there are too few different questions, and `WorkError` where the generator fails.
        """
        if count is None:
            raise DataError(
                f"The task {self.name} makes as many problems as it is asked for. Say how many (`data.size`)."
            )
        held = split == "validation"
        sources = {level: self._items(level, split, seed) for level in self._generators}
        found: list[Problem] = []
        seen: set[str] = set()
        left_out: list[str] = []
        for level in itertools.cycle(sources):
            for place, drawn in itertools.islice(sources[level], _PATIENCE):
                problem = self._problem(drawn, max(level, 1), place)
                if is_validation(problem.question) != held or problem.question in seen:
                    continue
                if held:
                    seen.add(problem.question)
                    if (worth := self._worth(drawn, problem.truth)) < 1:
                        left_out.append(f"{place}: its scorer gives its own answer {worth:g}")
                        continue
                if not problem.answer:
                    left_out.append(f"{place}: its answer is empty")
                    continue
                self._drawn[problem.question] = drawn
                found.append(problem)
                break
            else:
                raise DataError(
                    f"The task {self.name} has too few different questions for {count} {split} problems: after {len(found)} "
                    f"the next {_PATIENCE:,} draws were of no use: seen before, or of the other split. Ask for fewer "
                    "(`data.validation`), or set a `config` or `levels` with more questions."
                )
            if len(found) == count:
                break
        self.skipped = tuple(dict.fromkeys([*self.skipped, *left_out]))
        return found

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """What the generator's scorer gives a response to one of the problems drawn here. Never raises on text."""
        worth = self._worth(self._drawn[problem.question], response.strip())
        return {"exact_match": float(worth >= 1), "score": worth}

    def _worth(self, drawn: _Drawn, response: str) -> float:
        if self.dataset == "syllogism":
            return float(response.rstrip(".!").casefold() == _truth(drawn.entry).casefold())
        if not readable(self.dataset, response, drawn.entry):
            return 0.0
        if (own := own_score(self.dataset, response, drawn.entry)) is not None:
            return own
        try:
            with quiet():
                worth = float(drawn.source.score_answer(response, drawn.entry))
        except Exception:  # noqa: BLE001 - theirs raise all kinds of errors on a response that they cannot read
            return 0.0
        return min(max(worth, 0.0), 1.0) if math.isfinite(worth) else 0.0

    def _items(self, level: int, split: Split, seed: int) -> Iterator[tuple[str, _Drawn]]:
        """Entries of a level without end, in chunks of data sets whose seeds go on where the last one's ended."""
        first = derive_seed(seed, "task", "reasoning_gym", self.dataset, split, level) % (1 << 30)
        first += (1 << 31) * (split == "validation")
        factory, config = self._generators[level]
        for begin in itertools.count(first, _CHUNK):
            source = None
            for index in range(_CHUNK):
                place = f"{self.dataset}, seed {begin}, item {index}"
                try:
                    with quiet():
                        source = source or factory(replace(config, seed=begin, size=_CHUNK))
                        entry = source[index]
                except Exception as error:
                    raise WorkError(
                        f"The generator of {place} failed ({type(error).__name__}: {error}). Set another `config`, or another "
                        "`data.seed`."
                    ) from error
                if not isinstance(entry["answer"], str):
                    raise WorkError(
                        f"{place} has the answer {entry['answer']!r}, which is no text. Use another generator."
                    )
                yield place, _Drawn(entry, source)

    def _problem(self, drawn: _Drawn, level: int, place: str) -> Problem:
        question, answer = drawn.entry["question"].strip(), drawn.entry["answer"].strip()
        truth, uncertainty = answer, 0.0
        if self.dataset == "syllogism":
            truth = _truth(drawn.entry)
            uncertainty = {"none": 0.0, "exact": self._doubt(drawn.entry), "oracle": float(truth != answer)}[self.tags]
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
            done={"entry": place},
        )

    def _doubt(self, entry: Mapping[str, Any]) -> float:
        """The probability that the label of a syllogism of an entry's kind, with its label, is wrong."""
        if entry["metadata"]["type"] != "syllogism" or entry["answer"] != "Yes":
            return 0.0
        return self._wrong_yes

    @cached_property
    def _wrong_yes(self) -> float:
        _, config = next(iter(self._generators.values()))
        return wrong_yes(config)


def _truth(entry: Mapping[str, Any]) -> str:
    return "Yes" if syllogisms.follows(syllogisms.read_question(entry["question"]).form) else "No"
