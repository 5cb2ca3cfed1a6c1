"""The data component `thinking`: problems with thoughts."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from trimtab.boundary import read_regular
from trimtab.config.canonical import canonical_json
from trimtab.config.schema import FILE_PATH
from trimtab.data import DataBundle, Tokenizer
from trimtab.data.build import with_fingerprint
from trimtab.data.problem import Task
from trimtab.data.tasks.build import Context, ProblemSeed, Size, TaskReport, Template, Validation
from trimtab.errors import ConfigError, DataError
from trimtab.metacognition.data.checks import check_lengths
from trimtab.metacognition.data.cuts import Cuts
from trimtab.metacognition.data.dataset import ThoughtDataset, ThoughtSource
from trimtab.metacognition.data.domains import Domain
from trimtab.metacognition.data.evaluation import ThoughtEvaluator
from trimtab.metacognition.data.lengths import TooLong
from trimtab.metacognition.data.mixed import streamed_or_mixed
from trimtab.metacognition.data.problem import with_thoughts
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
    mix: tuple[Domain, ...],
    max_len: int | None,
    too_long: TooLong,
    context: int,
) -> str:
    """SHA-256 of everything that determines the examples and their caps."""
    identity = {"task": task.name, **task.identity, "size": size, "validation": validation, "seed": seed}
    made = {**identity, "template": template, "tokenizer": tokenizer.fingerprint, "cuts": cuts.model_dump(mode="json")}
    if rollouts is not None:
        made["rollouts"] = rollouts.model_dump(mode="json")
    if mix:
        made["mix"] = [{"weight": one.weight, "task": one.task.name, **one.built.identity} for one in mix]
    if too_long != "error":
        made |= {"max_len": max_len, "too_long": too_long, "context": context}
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
    mix: Annotated[
        tuple[Domain, ...],
        Field(
            description="further tasks whose problems are mixed in; size and validation are shared out by the weights"
        ),
    ] = (),
    max_len: Annotated[
        int | None,
        Field(
            ge=2,
            description="most tokens of a training example at first; a probe of samples raises it, up to the context. null: the "
            "context. Needs `too_long: cut` or `leave_out`",
        ),
    ] = None,
    too_long: Annotated[
        TooLong,
        Field(
            description="whether an example that is too long is an error, has its thought cut (the closing tag is no label), "
            "or is left out"
        ),
    ] = "error",
    events: OnEvent | None = None,
) -> DataBundle:
    """Problems with thoughts, between tags, each thought under a cap in training and whole in validation.

    Raises ConfigError or DataError if the parameters, the task and the tokenizer do not fit together.
    """
    del events
    fingerprint = thinking_fingerprint(
        tokenizer=tokenizer,
        task=task,
        size=size,
        validation=validation,
        seed=seed,
        template=template,
        cuts=cuts,
        outcomes=outcomes,
        rollouts=rollouts,
        mix=mix,
        max_len=max_len,
        too_long=too_long,
        context=context,
    )
    if mix or too_long != "error" or max_len is not None or getattr(task, "streaming", False):
        if outcomes is not None or rollouts is not None:
            raise ConfigError(
                "data.outcomes and data.rollouts need all problems in memory and whole. Leave them out, or leave out data.mix, "
                "data.max_len, data.too_long and data.task.streaming."
            )
        if max_len is not None and too_long == "error":
            raise ConfigError(
                f"data.max_len is {max_len}, but data.too_long is `error`: say what becomes of longer examples, `cut` or "
                "`leave_out`."
            )
        return streamed_or_mixed(
            [task, *(domain.built for domain in mix)],
            [1.0, *(domain.weight for domain in mix)],
            tokenizer=tokenizer,
            size=size,
            validation=validation,
            seed=seed,
            context=context,
            template=template,
            cuts=cuts,
            max_len=max_len,
            too_long=too_long,
            fingerprint=fingerprint,
        )
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
    tokens = check_lengths(train, task.name, "train", context)
    check_lengths(held_out, task.name, "validation", context)
    return DataBundle(
        tokenizer=tokenizer,
        train=train,
        validation=held_out,
        name=task.name,
        fingerprint=fingerprint,
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
