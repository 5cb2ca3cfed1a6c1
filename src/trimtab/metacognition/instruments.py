"""The instrument `puzzles`: a small evaluation on logic puzzles while a model trains, with the thoughts that it had."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from trimtab.data.problem import Task
from trimtab.data.tasks.logic import Logic
from trimtab.errors import ConfigError, WorkError
from trimtab.generation import complete
from trimtab.metacognition.data.dataset import ThoughtDataset
from trimtab.metacognition.data.problem import with_thoughts
from trimtab.metacognition.tags import split_answer
from trimtab.training.loop.instruments import Instrument
from trimtab.training.loop.probe import Probe


class Puzzles(Instrument):
    """Lets a metacognitive model think about logic puzzles that are never trained on, the same ones at every measurement.

    `accuracy` is the share of right answers, `think_tokens` the mean tokens of a thought, `forced` the share of thoughts
    that their budgets ended. `thoughts` are the first `kept` puzzles with thought, answer, truth and cap.
    """

    def __init__(
        self,
        *,
        every: Annotated[int, Field(ge=1, description="steps between measurements")] = 100,
        problems: Annotated[int, Field(ge=1, description="number of puzzles")] = 16,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1, description="levels, used in turn")
        ] = (1,),
        puzzles: Annotated[
            Literal["entailment", "knights", "both"], Field(description="the kind of puzzles, as for the task logic")
        ] = "both",
        style: Annotated[Literal["compact", "words"], Field(description="formulas, or English sentences")] = "compact",
        template: Annotated[
            str, Field(description="text around a puzzle; {prompt} is its place. Use that of the data")
        ] = "{prompt}",
        tokens: Annotated[int, Field(ge=1, description="tokens of thought and answer together, at most")] = 96,
        kept: Annotated[int, Field(ge=0, description="puzzles whose thoughts are recorded")] = 3,
    ) -> None:
        self.every, self.count, self.tokens, self.kept = every, problems, tokens, kept
        self.task: Task = Logic(levels=levels, kind=puzzles, style=style)
        self.template = template
        self._dataset: ThoughtDataset | None = None

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """Returns the figures. Raises `WorkError` for a model that is not metacognitive, and where a puzzle does not fit."""
        model = probe.trainer.state.model
        dataset = self._problems(model)
        prompts = [torch.from_numpy(dataset.prompt_ids(problem)) for problem in dataset.problems]
        completions = complete(
            model, prompts, self.tokens, generator=probe.generator, temperature=0.0, stop=dataset.ends
        )
        rows, forced, used = list[dict[str, Any]](), 0, 0
        for problem, completion in zip(dataset.problems, completions, strict=True):
            thought, answer = split_answer(completion.tokens, dataset.tags)
            answer = answer[: len(answer) - (completion.ended == "stop")]
            text = dataset.tokenizer.decode(answer.numpy())
            forced += bool(completion.details["forced"])
            used += int(completion.details["think_tokens_used"])
            rows.append(
                {
                    "prompt": problem.prompt,
                    "thought": dataset.tokenizer.decode(thought.numpy()),
                    "answer": text,
                    "truth": problem.truth,
                    "cap": completion.details["cap"],
                    "right": self.task.score(problem, text)["exact_match"] >= 1.0,
                }
            )
        return {
            "accuracy": sum(row["right"] for row in rows) / len(rows),
            "think_tokens": used / len(rows),
            "forced": forced / len(rows),
            "thoughts": rows[: self.kept],
        }

    def _problems(self, model: Any) -> ThoughtDataset:
        if self._dataset is not None:
            return self._dataset
        if not hasattr(model, "row_rules"):
            raise WorkError(
                "monitor.instruments: puzzles needs a model that thinks: model {name: metacognitive, base: {...}}."
            )
        problems = with_thoughts(self.task, self.task.split("validation", self.count, 0))
        try:
            self._dataset = ThoughtDataset(problems, model.tokenizer, template=self.template)
        except ValueError as error:
            raise ConfigError(f"monitor.instruments: puzzles: {error}") from error
        longest = max(len(self._dataset.prompt_ids(problem)) for problem in problems)
        if longest + 1 + model.budget.answer_room > model.context:
            raise ConfigError(
                f"monitor.instruments: puzzles: a puzzle has {longest} tokens with the opening tag, and the model's context of "
                f"{model.context} leaves no room for an answer of {model.budget.answer_room} tokens. Set a larger data.context, "
                "or lower `levels`."
            )
        return self._dataset
