"""The data component `task`: the problems of a task, with label noise, as tokens in two splits."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.config.canonical import canonical_json
from trimtab.data.build import DataBundle, with_fingerprint
from trimtab.data.problem import Problem, Split, Task
from trimtab.data.report import UnknownCharacters
from trimtab.data.tasks.dataset import ProblemDataset
from trimtab.data.tasks.noise import LabelNoise, with_noise
from trimtab.data.tokenizers import Tokenizer
from trimtab.errors import ConfigError, DataError
from trimtab.runtime.events import OnEvent

Size = Annotated[
    int | None, Field(ge=1, description="number of training problems; null for all problems of a task from a file")
]
Validation = Annotated[
    int | None, Field(ge=1, description="number of validation problems, all different; null for all from a file")
]
ProblemSeed = Annotated[int, Field(ge=0, description="seed of the problems; they do not depend on the seed of the run")]
Context = Annotated[int, Field(ge=2, description="number of positions in the model's context")]
Template = Annotated[
    str, Field(description="text around each prompt, for example a chat format; `{prompt}` is the prompt")
]


@dataclass(frozen=True)
class TaskReport:
    """Report on the problems of a task.

    `tokens` counts the training split. `noisy` and `ambiguous` count training problems. `left_out` counts sound rows that cannot
    be used, by kind; they are among `skipped`.
    """

    name: str
    train: int
    validation: int
    tokens: int
    levels: dict[int, int]
    noisy: int
    ambiguous: int
    skipped: tuple[str, ...] = ()
    unknown_characters: UnknownCharacters = field(default_factory=UnknownCharacters)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The report for people, one line per fact."""
        levels = ", ".join(f"{count:,} of level {level}" for level, count in sorted(self.levels.items()))
        lines = [
            f"{self.name}: {self.train:,} training problems ({levels}), {self.validation:,} for validation, none shared",
            f"{self.tokens:,} training tokens",
        ]
        if self.noisy or self.ambiguous:
            lines.append(f"noise: {self.noisy:,} noisy answers, {self.ambiguous:,} with several readings")
        if self.skipped:
            lines.append(f"{len(self.skipped):,} rows skipped, the first: {self.skipped[0]}")
        if self.left_out:
            lines.append("left out: " + ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.left_out.items())))
        if self.unknown_characters.total:
            lines.append(self.unknown_characters.line())
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "name": self.name,
            "train": self.train,
            "validation": self.validation,
            "tokens": self.tokens,
            "levels": {str(level): count for level, count in sorted(self.levels.items())},
            "noisy": self.noisy,
            "ambiguous": self.ambiguous,
            "skipped": list(self.skipped),
            "unknown_characters": self.unknown_characters.to_dict(),
            **({"left_out": dict(sorted(self.left_out.items()))} if self.left_out else {}),
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
    """The hash of the source (generator parameters or file content), sizes, seed, noise, template and tokenizer."""
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
    size: Size = None,
    validation: Validation = None,
    seed: ProblemSeed = 0,
    context: Context = 256,
    template: Template = "{prompt}",
    noise: Annotated[
        LabelNoise | None, Field(description="wrong, ambiguous or coarse answers added on purpose, and their tags")
    ] = None,
    events: OnEvent | None = None,
) -> DataBundle:
    """Problems of a task with known answers.

    Raises ConfigError or DataError if the parameters, the task and the tokenizer do not fit together.
    """
    del events
    train_problems, validation_problems = task.split("train", size, seed), task.split("validation", validation, seed)
    if noise is not None:
        train_problems = with_noise(train_problems, noise, task, "train", seed)
        if noise.validation:
            validation_problems = with_noise(validation_problems, noise, task, "validation", seed)
    try:
        train_set, validation_set = (
            ProblemDataset(problems, tokenizer, template=template) for problems in (train_problems, validation_problems)
        )
    except ValueError as error:
        raise ConfigError(f"data: {error}") from error
    tokens, train_unknown = _check(train_set, task.name, "train", context)
    _, validation_unknown = _check(validation_set, task.name, "validation", context)
    report = TaskReport(
        task.name,
        len(train_problems),
        len(validation_problems),
        tokens,
        dict(Counter(problem.level for problem in train_problems)),
        sum(problem.noisy for problem in train_problems),
        sum(problem.ambiguous for problem in train_problems),
        tuple(getattr(task, "skipped", ())),
        UnknownCharacters.of(train_unknown, validation_unknown),
        getattr(task, "left_out", {}),
    )
    return DataBundle(
        tokenizer=tokenizer,
        train=train_set,
        validation=validation_set,
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
        opening_text=lambda: _opening_text(train_problems),
        task=task,
    )


def _check(dataset: ProblemDataset, name: str, part: Split, context: int) -> tuple[int, Counter[str]]:
    """The number of tokens of the problems, and the characters that the tokenizer lacks.

    Raises `DataError` for a problem that does not fit into the context, and for an answer that contains the end token.
    """
    tokens = 0
    unknown: Counter[str] = Counter()
    tokenizer = dataset.tokenizer
    for problem in dataset.problems:
        prompt, answer = dataset.prompt_ids(problem), dataset.answer_ids(problem.answer)
        length = len(prompt) + len(answer)
        tokens += length
        text = dataset.prompt_text(problem) + problem.answer
        if tokenizer.unknown_count(prompt) or tokenizer.unknown_count(answer) or tokenizer.dropped(text):
            unknown.update(tokenizer.unknown_characters(text))
        if length > context + 1:
            raise DataError(
                f"A {part} problem of {name} has {length} tokens, but `data.context` {context} allows at most {context + 1} "
                f"(the last token is only predicted): {problem.prompt[:80]!r}. Set a larger context, or an easier level."
            )
        if np.count_nonzero(answer == dataset.end) > 1:
            raise DataError(
                f"A {part} answer of {name} contains {tokenizer.decode([dataset.end])!r}, with which the tokenizer "
                f"{tokenizer.name} ends answers: {problem.answer[:80]!r}. Use a tokenizer with an end token of its own, or "
                "answers without it."
            )
    return tokens, unknown


def _opening_text(problems: Sequence[Problem], characters: int = 5_000_000) -> str:
    parts: list[str] = []
    length = 0
    for problem in problems:
        parts.append(problem.prompt + problem.answer)
        length += len(parts[-1])
        if length >= characters:
            break
    return "\n".join(parts)[:characters]
