"""Word problems in the manner of GSM8K (Cobbe et al. 2021), drawn from stories of the project's own."""

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
    """One sentence of a solution: text, an equation `result = operands`, text."""

    def __init__(self, text: str, story: str) -> None:
        found = _EQUATION.search(text)
        if found is None:
            raise ValueError(f"the step {text!r} of the story {story} has no equation such as {{s=a*b}}")
        self.text = text
        self.before, self.after = pattern(text[: found.start()]), pattern(text[found.end() :])
        self.result = found[1]
        first, *others = re.split(f"[{re.escape(_OPERATORS)}]", found[2])
        self.first: int | str = int(first) if first.isdigit() else first
        self.operators = [character for character in found[2] if character in _OPERATORS]
        numbers = [int(name) if name.isdigit() else name for name in others]
        self.others: list[tuple[str, int | str]] = list(zip(self.operators, numbers, strict=True))
        if len({operator in "+-" for operator in self.operators}) > 1:
            raise ValueError(f"the step {text!r} of the story {story} mixes + or - with * or /, which reads two ways")

    def work_out(self, values: dict[str, Any]) -> None:
        """Add the result to the values, from left to right. Raises ValueError where a division leaves a remainder."""
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
                total, left = divmod(total, other)
                if left:
                    raise ValueError(f"{self.text!r} does not come out whole with {values}")
        values[self.result] = total

    def write(self, writer: Writer, values: Mapping[str, Any]) -> None:
        """Write the sentence, its numbers quantities and its operators structure."""
        self.before.write(writer, values)
        for sign, name in (("", self.first), *self.others, ("=", self.result)):
            if sign:
                writer.add(" ")
                writer.add(sign, Role.STRUCTURE)
                writer.add(" ")
            writer.add(str(values[name] if isinstance(name, str) else name), Role.QUANTITY)
        self.after.write(writer, values)


class _Told:
    """A story made ready for drawing."""

    def __init__(self, story: Story) -> None:
        self.name, self.draw = story.name, story.draw
        self.sentences = [pattern(sentence) for sentence in story.text]
        self.steps = [_Step(step, story.name) for step in story.steps]
        slots = [slot for sentence in self.sentences for slot in sentence.slots]
        self.quantities = sorted(
            {slot.name for slot in slots if slot.role is Role.QUANTITY and not slot.name.isdigit()}
        )
        self.words = frozenset(slot.name for slot in slots)


_TOLD: dict[int, list[_Told]] = {}
for _story in STORIES:
    _TOLD.setdefault(_story.level, []).append(_Told(_story))
_DISTRACTORS: list[Pattern] = [pattern(sentence) for sentence in DISTRACTORS]


class WordProblems(GeneratedTask):
    """Short stories about names, things and units that end in a question with a whole number for an answer.

    | level | operations | what else |
    | --- | --- | --- |
    | 1 | one | small numbers; labels and days as bystanders |
    | 2 | two | a comparison or a price; labels and days |
    | 3 | three or four | chains over days, shops, rooms |
    | 4 | three to five | a percentage or a fraction that comes out whole, and a number that has nothing to do with it |

    Each number of the prompt has its role: quantity, category (`bus 12`, `room 3`) or index (`the 2nd day`). With `solution` the
    answer is one line of sentences, each with an equation, and ends in `#### 18` as in GSM8K; its operators and the mark are
    structure. Two problems that differ in names, labels or the number that does not matter are the same question.
    """

    name = "word_problems"

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=4)], ...],
            Field(
                min_length=1,
                description="Levels to draw from, in turn: 1 is one operation, 4 several with a distractor.",
            ),
        ] = (1, 2, 3, 4),
        solution: Annotated[
            bool,
            Field(description="Answer with the worked solution that ends in `#### 18`, not with the number alone."),
        ] = False,
    ) -> None:
        self.levels: Sequence[int] = levels
        self.solution = solution

    @property
    def identity(self) -> Mapping[str, Any]:
        """Levels, form of the answer and the version of the stories."""
        return {"levels": list(self.levels), "solution": self.solution, "version": 1}

    def problem(self, level: int, rng: random.Random) -> Problem:
        """One story of a level with names and numbers drawn."""
        stories = _TOLD[level]
        story = stories[int(rng.random() * len(stories))]
        values: dict[str, Any] = story.draw(rng)
        key = f"{story.name} {[values[name] for name in story.quantities]}"
        for step in story.steps:
            step.work_out(values)
        _draw_words(story.words, values, rng)
        prompt = Writer()
        sentences = story.sentences
        if level == 4:
            values["distractor"] = 11 + int(rng.random() * 50)
            place = int(rng.random() * len(sentences))
            distractor = _DISTRACTORS[int(rng.random() * len(_DISTRACTORS))]
            sentences = [*sentences[:place], distractor, *sentences[place:]]
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
            done={"story": story.name},
        )

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the final number is right (after `####`, else the last one; see `final_number`)."""
        return {"exact_match": float(same_number(response, problem.truth))}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The final number."""
        return final_words(response)


def _draw_words(words: frozenset[str], values: dict[str, Any], rng: random.Random) -> None:
    """Names, things and labels, as far as the story has them."""
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
