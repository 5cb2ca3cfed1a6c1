"""The data component `task`: problems drawn, made noisy on purpose, tokenised and split."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from trimtab.config.canonical import canonical_json
from trimtab.config.errors import ConfigError, DataError
from trimtab.data.build import DataBundle
from trimtab.data.files import Progress
from trimtab.data.tasks.dataset import ProblemDataset
from trimtab.data.tasks.problem import Problem, Task
from trimtab.data.tokenizers import Tokenizer


@dataclass(frozen=True)
class TaskReport:
    """The account of a task's problems; `tokens` are those of the training split, `noisy` its problems changed on purpose."""

    name: str
    train: int
    validation: int
    tokens: int
    levels: dict[int, int]
    noisy: int
    ambiguous: int
    skipped: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The report in sentences."""
        levels = ", ".join(f"{count:,} of level {level}" for level, count in sorted(self.levels.items()))
        told = [
            f"{self.name}: {self.train:,} training problems ({levels}), {self.validation:,} for validation, none shared",
            f"{self.tokens:,} training tokens",
        ]
        if self.noisy or self.ambiguous:
            told.append(f"noise by design: {self.noisy:,} answers changed, {self.ambiguous:,} with several readings")
        if self.skipped:
            told.append(f"{len(self.skipped):,} rows skipped, the first: {self.skipped[0]}")
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
        }


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
    progress: Progress | None = None,
) -> DataBundle:
    """Problems of a task with known answers. Raises ConfigError and DataError for what does not fit together."""
    del progress
    train_problems, validation_problems = task.split("train", size, seed), task.split("validation", validation, seed)
    try:
        train, held = (
            ProblemDataset(problems, tokenizer, template=template) for problems in (train_problems, validation_problems)
        )
    except ValueError as error:
        raise ConfigError(f"data: {error}") from error
    tokens = 0
    for part, dataset in (("training", train), ("validation", held)):
        lengths = [dataset.length(problem) for problem in dataset.problems]
        if (longest := max(lengths)) > context + 1:
            problem = dataset.problems[lengths.index(longest)]
            raise DataError(
                f"A {part} problem of {task.name} has {longest} tokens, and `data.context` {context} holds {context + 1}: "
                f"{problem.prompt[:80]!r}. Set a larger context, or an easier level."
            )
        tokens = tokens or sum(lengths)
    identity = {"task": task.name, **task.identity, "size": size, "validation": validation, "seed": seed}
    content = canonical_json({**identity, "template": template, "tokenizer": tokenizer.fingerprint})
    report = TaskReport(
        task.name,
        len(train_problems),
        len(validation_problems),
        tokens,
        dict(Counter(problem.level for problem in train_problems)),
        sum(problem.noisy for problem in train_problems),
        sum(problem.ambiguous for problem in train_problems),
        tuple(getattr(task, "skipped", ())),
    )
    return DataBundle(
        tokenizer=tokenizer,
        train=train,
        validation=held,
        name=task.name,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        report=report,
        opening_text=lambda: _text(train_problems),
        task=task,
    )


def _text(problems: Sequence[Problem], characters: int = 5_000_000) -> str:
    parts: list[str] = []
    length = 0
    for problem in problems:
        parts.append(problem.prompt + problem.answer)
        length += len(parts[-1])
        if length >= characters:
            break
    return "\n".join(parts)[:characters]
