"""The data component `task`: problems drawn, made noisy on purpose, tokenised and split."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.config.canonical import canonical_json
from trimtab.data.build import DataBundle, with_fingerprint
from trimtab.data.problem import Problem, Task
from trimtab.data.report import UnknownCharacter
from trimtab.data.tasks.dataset import ProblemDataset
from trimtab.data.tasks.noise import LabelNoise, with_noise
from trimtab.data.tokenizers import Tokenizer
from trimtab.errors import ConfigError, DataError
from trimtab.runtime.events import OnEvent


@dataclass(frozen=True)
class TaskReport:
    """The account of a task's problems; `tokens` are those of the training split, `noisy` its answers that are noisy.

    `unknown` are the characters of both splits that the tokenizer does not have, each with its count.
    """

    name: str
    train: int
    validation: int
    tokens: int
    levels: dict[int, int]
    noisy: int
    ambiguous: int
    skipped: tuple[str, ...] = ()
    unknown: tuple[UnknownCharacter, ...] = ()

    def lines(self) -> list[str]:
        """The report in sentences."""
        levels = ", ".join(f"{count:,} of level {level}" for level, count in sorted(self.levels.items()))
        told = [
            f"{self.name}: {self.train:,} training problems ({levels}), {self.validation:,} for validation, none shared",
            f"{self.tokens:,} training tokens",
        ]
        if self.noisy or self.ambiguous:
            told.append(f"noise: {self.noisy:,} noisy answers, {self.ambiguous:,} with several readings")
        if self.skipped:
            told.append(f"{len(self.skipped):,} rows skipped, the first: {self.skipped[0]}")
        if self.unknown:
            most = ", ".join(f"{entry.character!a} x{entry.occurrences:,}" for entry in self.unknown[:10])
            told.append(
                f"{sum(entry.occurrences for entry in self.unknown):,} characters that the tokenizer does not have, most often: "
                f"{most}"
            )
        return told

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {
            "name": self.name,
            "train": self.train,
            "validation": self.validation,
            "tokens": self.tokens,
            "levels": {str(level): count for level, count in sorted(self.levels.items())},
            "noisy": self.noisy,
            "ambiguous": self.ambiguous,
            "skipped": list(self.skipped),
            "unknown": [[f"U+{ord(entry.character):04X}", entry.occurrences] for entry in self.unknown],
        }


def task_fingerprint(
    *,
    tokenizer: Tokenizer,
    task: Task,
    size: int | None,
    validation: int | None,
    seed: int,
    template: str,
    noise: LabelNoise | None,
) -> str:
    """The fingerprint of a task's problems: of what they are drawn or read from, their number and how they are encoded."""
    identity = {"task": task.name, **task.identity, "size": size, "validation": validation, "seed": seed}
    if noise is not None:
        identity["noise"] = noise.model_dump(mode="json")
    content = canonical_json({**identity, "template": template, "tokenizer": tokenizer.fingerprint})
    return hashlib.sha256(content.encode()).hexdigest()


@with_fingerprint(task_fingerprint)
def task_data(
    *,
    tokenizer: Tokenizer,
    task: Task,
    size: Annotated[
        int | None, Field(ge=1, description="training problems; null for all that a task from a file has")
    ] = None,
    validation: Annotated[
        int | None, Field(ge=1, description="validation problems, all different; null for all that a file has")
    ] = None,
    seed: Annotated[
        int, Field(ge=0, description="the seed of the problems; they are the same for every seed of the run")
    ] = 0,
    context: Annotated[int, Field(ge=2, description="positions that the model sees at once")] = 256,
    template: Annotated[
        str, Field(description="the text around each prompt, which stands for `{prompt}`; a chat format, for one")
    ] = "{prompt}",
    noise: Annotated[
        LabelNoise | None,
        Field(description="what is made wrong, ambiguous or coarse on purpose, and which tags tell of it"),
    ] = None,
    events: OnEvent | None = None,
) -> DataBundle:
    """Problems of a task with known answers.

    Raises ConfigError and DataError for what does not fit together.
    """
    del events
    train_problems, validation_problems = task.split("train", size, seed), task.split("validation", validation, seed)
    if noise is not None:
        train_problems = with_noise(train_problems, noise, task, "train", seed)
        if noise.validation:
            validation_problems = with_noise(validation_problems, noise, task, "validation", seed)
    try:
        train, held = (
            ProblemDataset(problems, tokenizer, template=template) for problems in (train_problems, validation_problems)
        )
    except ValueError as error:
        raise ConfigError(f"data: {error}") from error
    unknown: Counter[str] = Counter()
    tokens = sum(_lengths(train, task.name, "training", context, unknown))
    _lengths(held, task.name, "validation", context, unknown)
    report = TaskReport(
        task.name,
        len(train_problems),
        len(validation_problems),
        tokens,
        dict(Counter(problem.level for problem in train_problems)),
        sum(problem.noisy for problem in train_problems),
        sum(problem.ambiguous for problem in train_problems),
        tuple(getattr(task, "skipped", ())),
        tuple(UnknownCharacter(character, count) for character, count in unknown.most_common()),
    )
    return DataBundle(
        tokenizer=tokenizer,
        train=train,
        validation=held,
        name=task.name,
        fingerprint=task_fingerprint(
            tokenizer=tokenizer,
            task=task,
            size=size,
            validation=validation,
            seed=seed,
            template=template,
            noise=noise,
        ),
        report=report,
        opening_text=lambda: _text(train_problems),
        task=task,
    )


def _lengths(dataset: ProblemDataset, name: str, part: str, context: int, unknown: Counter[str]) -> list[int]:
    """The tokens of each problem; `unknown` is told of the characters that the tokenizer does not have.

    Raises `DataError` for a problem that does not fit, or whose end cannot be told.
    """
    lengths = []
    tokenizer = dataset.tokenizer
    for problem in dataset.problems:
        prompt, answer = dataset.prompt_ids(problem), dataset.answer_ids(problem.answer)
        lengths.append(length := len(prompt) + len(answer))
        text = dataset.prompt_text(problem) + problem.answer
        if tokenizer.unknown_count(prompt) or tokenizer.unknown_count(answer) or tokenizer.dropped(text):
            unknown.update(tokenizer.unknown_characters(text))
        if length > context + 1:
            raise DataError(
                f"A {part} problem of {name} has {length} tokens, and `data.context` {context} holds {context + 1}: "
                f"{problem.prompt[:80]!r}. Set a larger context, or an easier level."
            )
        if np.count_nonzero(answer == dataset.end) > 1:
            raise DataError(
                f"A {part} answer of {name} contains {dataset.tokenizer.decode([dataset.end])!r}, with which the tokenizer "
                f"{dataset.tokenizer.name} ends answers: {problem.answer[:80]!r}. Use a tokenizer with an end token of its own, "
                "or answers without it."
            )
    return lengths


def _text(problems: Sequence[Problem], characters: int = 5_000_000) -> str:
    parts: list[str] = []
    length = 0
    for problem in problems:
        parts.append(problem.prompt + problem.answer)
        length += len(parts[-1])
        if length >= characters:
            break
    return "\n".join(parts)[:characters]
