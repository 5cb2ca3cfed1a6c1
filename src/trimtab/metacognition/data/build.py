"""The data component `thinking`: problems with thoughts."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from trimtab.boundary import read_regular
from trimtab.config.canonical import canonical_json
from trimtab.config.schema import FILE_PATH
from trimtab.data import DataBundle, Tokenizer
from trimtab.data.build import with_fingerprint
from trimtab.data.problem import Split, Task
from trimtab.data.tasks.build import Context, ProblemSeed, Size, TaskReport, Template, Validation
from trimtab.errors import ConfigError, DataError
from trimtab.metacognition.data.cuts import Cuts
from trimtab.metacognition.data.dataset import ThoughtDataset, ThoughtSource
from trimtab.metacognition.data.evaluation import ThoughtEvaluator
from trimtab.metacognition.data.problem import ThoughtProblem, with_thoughts
from trimtab.metacognition.data.rollouts import ThoughtRollouts, ThoughtRolloutSource
from trimtab.records import read_rows
from trimtab.records.thinking_rows import OutcomeRow
from trimtab.runtime.events import OnEvent


def thinking_fingerprint(
    *,
    tokenizer: Tokenizer,
    task: Task,
    size: int | None,
    validation: int | None,
    seed: int,
    template: str,
    cuts: Cuts,
    outcomes: str | None,
    rollouts: ThoughtRollouts | None,
) -> str:
    """SHA-256 of everything that determines the examples and their caps."""
    identity = {"task": task.name, **task.identity, "size": size, "validation": validation, "seed": seed}
    made = {**identity, "template": template, "tokenizer": tokenizer.fingerprint, "cuts": cuts.model_dump(mode="json")}
    if rollouts is not None:
        made["rollouts"] = rollouts.model_dump(mode="json")
    made["outcomes"] = None if outcomes is None else hashlib.sha256(read_regular(Path(outcomes))).hexdigest()
    return hashlib.sha256(f"thinking 1 {canonical_json(made)}".encode()).hexdigest()


@with_fingerprint(thinking_fingerprint)
def thinking_data(
    *,
    tokenizer: Tokenizer,
    task: Task,
    size: Size = None,
    validation: Validation = None,
    seed: ProblemSeed = 0,
    context: Context = 256,
    template: Template = "{prompt}",
    cuts: Annotated[Cuts, Field(description="which caps the thoughts of training examples get")] = Cuts(),  # noqa: B008
    outcomes: Annotated[
        str | None,
        Field(
            description="outcomes of training problems under every cap, as a thinking run observes them; only these problems are "
            "trained on. null: all problems",
            json_schema_extra=FILE_PATH,
        ),
    ] = None,
    rollouts: Annotated[
        ThoughtRollouts | None,
        Field(
            description="training on the model's own thoughts and answers (loss: policy_gradient) instead of those of the task"
        ),
    ] = None,
    events: OnEvent | None = None,
) -> DataBundle:
    """Problems with thoughts, between tags, each thought under a cap in training and whole in validation.

    Raises ConfigError or DataError if the parameters, the task and the tokenizer do not fit together.
    """
    del events
    train_problems = with_thoughts(task, task.split("train", size, seed))
    validation_problems = with_thoughts(task, task.split("validation", validation, seed))
    rows = [] if outcomes is None else _read_outcomes(Path(outcomes), len(train_problems))
    if rows:
        train_problems = [train_problems[row["item"]] for row in rows]
    try:
        train = ThoughtDataset(train_problems, tokenizer, template=template, outcomes=rows)
        held_out = ThoughtDataset(validation_problems, tokenizer, template=template)
    except ValueError as error:
        raise ConfigError(f"data: {error}") from error
    tokens = _check(train, task.name, "train", context)
    _check(held_out, task.name, "validation", context)
    return DataBundle(
        tokenizer=tokenizer,
        train=train,
        validation=held_out,
        name=task.name,
        fingerprint=thinking_fingerprint(
            tokenizer=tokenizer,
            task=task,
            size=size,
            validation=validation,
            seed=seed,
            template=template,
            cuts=cuts,
            outcomes=outcomes,
            rollouts=rollouts,
        ),
        report=TaskReport(
            task.name,
            len(train_problems),
            len(validation_problems),
            tokens,
            dict(Counter(problem.level for problem in train_problems)),
            0,
            0,
            tuple(getattr(task, "skipped", ())),
            left_out=getattr(task, "left_out", {}),
        ),
        opening_text=lambda: "\n".join(problem.prompt for problem in train_problems[:10_000]),
        task=task,
        train_source=ThoughtSource(train, cuts, seed)
        if rollouts is None
        else ThoughtRolloutSource(train, task, rollouts, seed),
        task_evaluator=ThoughtEvaluator,
    )


def _read_outcomes(path: Path, problems: int) -> list[dict[str, Any]]:
    """The rows of a table of outcomes. Raises `DataError` for one that is empty or of other problems."""
    rows = read_rows(path, OutcomeRow)
    if not rows or max(row["item"] for row in rows) >= problems:
        raise DataError(
            f"{path} has outcomes of {len(rows)} problems, which are not among the {problems} training problems of this data. "
            "Name the table that a thinking run with the same task, size and seed wrote."
        )
    return rows


def _check(dataset: ThoughtDataset, name: str, part: Split, context: int) -> int:
    """The number of tokens of the problems. Raises `DataError` for one without a thought, or that does not fit the context."""
    tokens = 0
    for problem in dataset.problems:
        if not isinstance(problem, ThoughtProblem):
            raise DataError(
                f"The problems of the task {name} have no thoughts. Use a task with thoughts (routes, arithmetic, logic), or "
                "`data: {name: task, ...}`."
            )
        length = dataset.length(problem)
        tokens += length
        if np.count_nonzero(dataset.answer_ids(problem.answer) == dataset.end) > 1:
            raise DataError(
                f"A {part} answer of {name} contains {dataset.tokenizer.decode([dataset.end])!r}, with which the tokenizer "
                f"{dataset.tokenizer.name} ends answers: {problem.answer[:80]!r}. Use a tokenizer with an end token of its own, "
                "or answers without it (the task traces has `line_break`)."
            )
        if length > context + 1:
            raise DataError(
                f"A {part} problem of {name} has {length} tokens with its thought, but `data.context` {context} allows at most "
                f"{context + 1}: {problem.prompt[:80]!r}. Set a larger context, or an easier level."
            )
    return tokens
