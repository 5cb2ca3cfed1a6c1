"""Data of several domains, of streams, and with a limit on the length of examples."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from trimtab.data import DataBundle, Tokenizer
from trimtab.data.problem import Problem, Split, Task
from trimtab.errors import ConfigError
from trimtab.metacognition.data.checks import check_lengths
from trimtab.metacognition.data.cuts import Cuts
from trimtab.metacognition.data.dataset import ThoughtDataset
from trimtab.metacognition.data.domains import MixedTask, Rounds
from trimtab.metacognition.data.evaluation import ThoughtEvaluator
from trimtab.metacognition.data.lengths import TooLong
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.data.report import ThoughtReport
from trimtab.metacognition.data.source import DomainSource, ListPool, Pool


class ProblemStream(Pool, Protocol):
    """The training problems of a streamed task."""

    def opening(self) -> list[ThoughtProblem]:
        """The problems at the beginning, as a sample."""


@runtime_checkable
class StreamedTask(Protocol):
    """A task that may read its training problems during the run."""

    streaming: bool

    def stream(self, validation: Iterable[Problem]) -> ProblemStream:
        """The training problems, without the questions of some `validation` problems."""


def streamed_or_mixed(
    tasks: Sequence[Task],
    weights: Sequence[float],
    *,
    tokenizer: Tokenizer,
    size: int | None,
    validation: int | None,
    seed: int,
    context: int,
    template: str,
    cuts: Cuts,
    max_len: int | None,
    too_long: TooLong,
    fingerprint: str,
) -> DataBundle:
    """The data of one or more tasks whose training examples a `DomainSource` draws.

    Raises ConfigError or DataError if the parameters, the tasks and the tokenizer do not fit together.
    """
    mixed = MixedTask(tasks, weights)
    if size is not None and all(isinstance(task, StreamedTask) and task.streaming for task in tasks):
        raise ConfigError(
            f"data.size is {size}, but a streamed task has no fixed number of problems. Set data.size to null."
        )
    limit = None if too_long == "error" else context
    tokens = Counter[Split]()
    left_out = sum((Counter(getattr(task, "left_out", {})) for task in tasks), Counter[str]())

    def dataset(problems: Sequence[Problem], part: Split) -> ThoughtDataset:
        made = ThoughtDataset(problems, tokenizer, template=template, limit=limit)
        if limit is not None:
            fitting = [problem for problem in problems if _fits(made, problem, limit, too_long)]
            left_out["longer_than_context"] += len(problems) - len(fitting)
            left_out["cut_to_context"] += sum(made.length(problem) > limit + 1 for problem in fitting)
            made.problems = fitting
        tokens[part] += check_lengths(made, mixed.name, part, context)
        return made

    try:
        checking = mixed.parts("validation", validation, seed)
        held_out = dataset([problem for part in checking for problem in part], "validation")
        parts, pools, streamed = [], list[Pool](), list[str]()
        questions = {problem.question for problem in held_out.problems}
        for task, name, part in zip(tasks, mixed.names, mixed.parts("train", size, seed), strict=True):
            if isinstance(task, StreamedTask) and task.streaming:
                stream = task.stream(held_out.problems)
                parts.append(dataset(mixed.named(stream.opening(), name), "train"))
                pools.append(stream)
                streamed.append(name)
                continue
            kept = [problem for problem in part if problem.question not in questions]
            left_out["in_validation"] += len(part) - len(kept)
            parts.append(dataset(kept, "train"))
            pools.append(ListPool(parts[-1]))
        train = ThoughtDataset(
            [problem for part in parts for problem in part.problems], tokenizer, template=template, limit=limit
        )
    except ValueError as error:
        raise ConfigError(f"data: {error}") from error
    empty = [name for name, part in zip(mixed.names, parts, strict=True) if not part.problems]
    if empty or not held_out.problems:
        raise ConfigError(
            f"data: {', '.join(empty) or mixed.name} has no {'training' if empty else 'validation'} problems. Set a larger "
            f"`data.{'size' if empty else 'validation'}`, a larger `data.context`, or `data.too_long: cut`."
        )
    rounds = Rounds(mixed.names, weights)
    levels = Counter(problem.level for problem in train.problems)
    return DataBundle(
        tokenizer=tokenizer,
        train=train,
        validation=held_out,
        name=mixed.name,
        fingerprint=fingerprint,
        report=ThoughtReport(
            mixed.name,
            len(train),
            len(held_out),
            tokens["train"],
            dict(levels),
            0,
            0,
            mixed.skipped,
            left_out=+left_out,
            domains=rounds.shares,
            streamed=tuple(streamed),
        ),
        opening_text=lambda: "\n".join(problem.prompt for problem in train.problems[:10_000]),
        task=tasks[0] if len(tasks) == 1 else mixed,
        train_source=DomainSource(
            train,
            pools,
            rounds,
            cuts,
            seed,
            start=context if max_len is None else max_len,
            context=context,
            leave_out=too_long != "cut",
        ),
        task_evaluator=ThoughtEvaluator,
    )


def _fits(dataset: ThoughtDataset, problem: Problem, limit: int, too_long: TooLong) -> bool:
    """Whether a problem can be used: as it is, or with its thought cut, which leaves a token of it."""
    if not isinstance(problem, ThoughtProblem) or dataset.length(problem) <= limit + 1:
        return True
    return too_long == "cut" and dataset.room(problem, limit) > 0
