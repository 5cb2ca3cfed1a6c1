"""The task `word_problems`: problems in the style of GSM8K (Cobbe et al. 2021), generated from templates."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from trimtab.data.problem import Problem, Role
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.data.tasks.numbers import MARK, final_words, same_number
from trimtab.data.tasks.word_problems.stories import DISTRACTORS, STORIES, THINGS, Story
from trimtab.data.tasks.writing import NAMES, Pattern, Writer, pattern

_EQUATION = re.compile(r"\{(\w+)=([^{}]+)\}")
_OPERATORS = "+-*/"


class _Step:
    """One sentence of a solution: some text, an equation `result = operands`, some text."""

    def __init__(self, text: str, story: str) -> None:
        equation = _EQUATION.search(text)
        if equation is None:
            raise ValueError(f"the step {text!r} of the story {story} has no equation such as {{s=a*b}}")
        self.text = text
        self.before, self.after = pattern(text[: equation.start()]), pattern(text[equation.end() :])
        self.result = equation[1]
        first, *others = re.split(f"[{re.escape(_OPERATORS)}]", equation[2])
        self.first: int | str = int(first) if first.isdigit() else first
        self.operators = [character for character in equation[2] if character in _OPERATORS]
        numbers = [int(name) if name.isdigit() else name for name in others]
        self.others: list[tuple[str, int | str]] = list(zip(self.operators, numbers, strict=True))
        if len({operator in "+-" for operator in self.operators}) > 1:
            raise ValueError(f"the step {text!r} of the story {story} mixes + or - with * or /, which is ambiguous")

    def evaluate(self, values: dict[str, Any]) -> None:
        """Adds the result to `values`, computed from left to right. Raises ValueError if a division leaves a remainder."""
        total = values[self.first] if isinstance(self.first, str) else self.first
        for operator, name in self.others:
            other = values[name] if isinstance(name, str) else name
            if operator == "+":
                total += other
            elif operator == "-":
                total -= other
            elif operator == "*":
                total *= other
            else:
                total, remainder = divmod(total, other)
                if remainder:
                    raise ValueError(f"{self.text!r} leaves a remainder with {values}")
        values[self.result] = total

    def write(self, writer: Writer, values: Mapping[str, Any]) -> None:
        """Writes the sentence; its numbers have the role QUANTITY, its operators STRUCTURE."""
        self.before.write(writer, values)
        for sign, name in (("", self.first), *self.others, ("=", self.result)):
            if sign:
                writer.add(" ")
                writer.add(sign, Role.STRUCTURE)
                writer.add(" ")
            writer.add(str(values[name] if isinstance(name, str) else name), Role.QUANTITY)
        self.after.write(writer, values)


class _Template:
    """A story with its sentences and steps parsed."""

    def __init__(self, story: Story) -> None:
        self.name, self.draw = story.name, story.draw
        self.sentences = [pattern(sentence) for sentence in story.text]
        self.steps = [_Step(step, story.name) for step in story.steps]
        slots = [slot for sentence in self.sentences for slot in sentence.slots]
        self.quantities = sorted(
            {slot.name for slot in slots if slot.role is Role.QUANTITY and not slot.name.isdigit()}
        )
        self.words = frozenset(slot.name for slot in slots)


_TEMPLATES: dict[int, list[_Template]] = {}
for _story in STORIES:
    _TEMPLATES.setdefault(_story.level, []).append(_Template(_story))
_DISTRACTORS: list[Pattern] = [pattern(sentence) for sentence in DISTRACTORS]


class WordProblems(GeneratedTask):
    """Short stories that end in a question, with a whole number as the answer.

    | level | operations | content |
    | --- | --- | --- |
    | 1 | one | small numbers; labels and days that do not matter |
    | 2 | two | a comparison or a price; labels and days |
    | 3 | three or four | chains over days, shops, rooms |
    | 4 | three to five | a percentage or fraction without a remainder, and an irrelevant number |

    Each number of the prompt has a role: quantity, category (`bus 12`, `room 3`) or index (`the 2nd day`). With `solution`, the
    answer is one line of sentences, each with an equation, and ends in `#### 18` as in GSM8K; its operators and the mark are
    structure. For the split, names, labels and the irrelevant number are ignored.
    """

    name = "word_problems"

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=4)], ...],
            Field(
                min_length=1,
                description="Levels to draw from, in turn: 1 has one operation, 4 several and an irrelevant number.",
            ),
        ] = (1, 2, 3, 4),
        solution: Annotated[
            bool,
            Field(description="Answer with a worked solution that ends in `#### 18`, instead of the number alone."),
        ] = False,
    ) -> None:
        self.levels: Sequence[int] = levels
        self.solution = solution

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        return {"levels": list(self.levels), "solution": self.solution, "version": 1}

    def problem(self, level: int, rng: random.Random) -> Problem:
        """See `GeneratedTask.problem`."""
        stories = _TEMPLATES[level]
        story = stories[int(rng.random() * len(stories))]
        values: dict[str, Any] = story.draw(rng)
        key = f"{story.name} {[values[name] for name in story.quantities]}"
        for step in story.steps:
            step.evaluate(values)
        _draw_words(story.words, values, rng)
        prompt = Writer()
        sentences = story.sentences
        if level == 4:
            values["distractor"] = 11 + int(rng.random() * 50)
            position = int(rng.random() * len(sentences))
            distractor = _DISTRACTORS[int(rng.random() * len(_DISTRACTORS))]
            sentences = [*sentences[:position], distractor, *sentences[position:]]
        for index, sentence in enumerate(sentences):
            if index:
                prompt.add(" ")
            sentence.write(prompt, values)
        prompt.add("\n")
        answer = Writer()
        if self.solution:
            for step in story.steps:
                step.write(answer, values)
                answer.add(" ")
            answer.add(MARK, Role.STRUCTURE)
            answer.add(" ")
        answer.add(str(values[story.steps[-1].result]), Role.QUANTITY)
        return Problem(
            prompt=prompt.text,
            answer=answer.text,
            truth=answer.text,
            level=level,
            key=key,
            prompt_numbers=tuple(prompt.numbers),
            answer_numbers=tuple(answer.numbers),
            provenance={"story": story.name},
        )

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the final number (see `final_number`) is right."""
        return {"exact_match": float(same_number(response, problem.truth))}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The final number."""
        return final_words(response)


def _draw_words(words: frozenset[str], values: dict[str, Any], rng: random.Random) -> None:
    """Draws the names, things, labels and days that the story uses."""
    if "name" in words:
        first, second = int(rng.random() * len(NAMES)), int(rng.random() * (len(NAMES) - 1))
        values["name"], values["other"] = NAMES[first], NAMES[second + (second >= first)]
    if "things" in words:
        values["things"] = THINGS[int(rng.random() * len(THINGS))]
    if "label" in words:
        label = 2 + int(rng.random() * 97)
        values["label"], values["second"] = label, label + 1 + int(rng.random() * 9)
    if "day" in words:
        values["day"] = 2 + int(rng.random() * 11)
        values["later"] = values["day"] + 1 + int(rng.random() * 9)
