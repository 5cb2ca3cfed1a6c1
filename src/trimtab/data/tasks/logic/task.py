"""The task `logic`: propositional entailment and knights and knaves, with answers proven by exhaustive search."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.data.problem import Problem, Working
from trimtab.data.tasks.generated import GeneratedTask
from trimtab.data.tasks.logic import entailment, knights
from trimtab.data.tasks.writing import NAMES, Writer

Kind = Literal["entailment", "knights", "both"]
Style = Literal["compact", "words"]

ANSWERS = ("no", "yes")

_WORD = re.compile(r"\w+")
_PERSON_KIND = re.compile(r"\b(\w++)\s++(?:is\s++)?+(?:a\s++)?+(knight|knave)\b", re.IGNORECASE)


@dataclass(frozen=True)
class LogicProblem(Problem):
    """A problem with what it was written from, and the names of its variables or people."""

    source: entailment.Argument | knights.Puzzle | None = field(default=None, repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)


class Logic(GeneratedTask):
    """Entailment (does a sentence follow, yes or no?) and knights and knaves (who tells the truth?).

    | level | entailment: variables, premises | knights and knaves: people, statements |
    | --- | --- | --- |
    | 1 | 3, 2 or 3 with one connective | 2 or 3, about a person, a pair or the number of knights |
    | 2 | 4, 3 or 4 | 3, also with `and`, `or`, `if` |
    | 3 | 5, 5 | 4, as at level 1 |
    | 4 | 4, 4 with up to two connectives | 4, as at level 2 |
    | 5 | 5, 5 with up to two connectives | 5, as at level 2 |

    Compact: `p->q; q->r |- p->r? ` is answered by `yes` or `no` (`~` not, `&` and, `|` inclusive or, `->`, `<->`), and
    `A:NB; B:A=B who? ` by `KN`, one letter per person (`KB`: B is a knight, `NB`: a knave, `A=B`: of the same kind, `A/B`: of
    different kinds, `#2`: exactly two knights). In words, the entailments are about who comes and the puzzles about who says
    what; the answer to a puzzle is `Ada knight, Ben knave`. Half of the entailments follow, independently of their length and
    tokens (see `entailment.argument`). For the split, letters and names are ignored.
    """

    name = "logic"
    metrics = ("exact_match", "parts")

    def __init__(
        self,
        *,
        levels: Annotated[
            tuple[Annotated[int, Field(ge=1, le=5)], ...],
            Field(
                min_length=1,
                description="Levels to draw from, in turn; higher ones have more variables, people and connectives.",
            ),
        ] = (1, 2, 3, 4, 5),
        kind: Annotated[
            Kind, Field(description="Entailments (yes or no), knights and knaves, or both in equal shares.")
        ] = "both",
        style: Annotated[Style, Field(description="Formulas and single letters, or English sentences.")] = "compact",
    ) -> None:
        self.levels: Sequence[int] = levels
        self.kind = kind
        self.style = style

    @property
    def identity(self) -> Mapping[str, Any]:
        """See `Task.identity`."""
        return {"levels": list(self.levels), "kind": self.kind, "style": self.style, "version": 1}

    def problem(self, level: int, rng: random.Random) -> Problem:
        """See `GeneratedTask.problem`."""
        kind = self.kind if self.kind != "both" else ("knights", "entailment")[rng.random() < 0.5]
        return self._entailment(level, rng) if kind == "entailment" else self._knights(level, rng)

    def _entailment(self, level: int, rng: random.Random) -> Problem:
        argument = entailment.argument(level, rng)
        if self.style == "compact":
            names = rng.sample(entailment.LETTERS, 5)
            premises = "; ".join(premise.formula(names) for premise in argument.premises)
            prompt = f"{premises} |- {argument.conclusion.formula(names)}? "
        else:
            names = rng.sample(NAMES, 5)
            sentences = [_sentence(premise.words(names)) for premise in argument.premises]
            prompt = f"{' '.join(sentences)} Does it follow that {argument.conclusion.words(names)}?\n"
        answer = ANSWERS[argument.follows]
        return LogicProblem(
            prompt=prompt,
            answer=answer,
            truth=answer,
            level=level,
            key=argument.key,
            options=ANSWERS,
            option_probabilities=(0.0, 1.0) if argument.follows else (1.0, 0.0),
            provenance={"kind": "entailment"},
            source=argument,
            names=tuple(names),
        )

    def _knights(self, level: int, rng: random.Random) -> Problem:
        puzzle = knights.puzzle(level, rng)
        compact = self.style == "compact"
        names = knights.LETTERS if compact else rng.sample(NAMES, 5)
        writer = Writer()
        if not compact:
            writer.add("Knights always tell the truth, and knaves always lie. ")
        puzzle.write(writer, names, compact=compact)
        writer.add(" who? " if compact else " Who is what?\n")
        answer = puzzle.answer(names, compact=compact)
        return LogicProblem(
            prompt=writer.text,
            answer=answer,
            truth=answer,
            level=level,
            key=puzzle.key,
            prompt_numbers=tuple(writer.numbers),
            provenance={"kind": "knights"},
            source=puzzle,
            names=tuple(names),
        )

    def working(self, problem: Problem) -> Working:
        """All cases in turn, up to the one that decides; the method is 0 for knights and knaves, 1 for entailment."""
        assert isinstance(problem, LogicProblem)
        if isinstance(problem.source, knights.Puzzle):
            return Working(problem.source.working(problem.names, " " if self.style == "compact" else ", "), 0)
        assert problem.source is not None
        return Working(problem.source.working(problem.names), 1)

    def score(self, problem: Problem, response: str) -> Mapping[str, float]:
        """`exact_match`: the answer is right; `parts`: the share of people whose kind is right (for yes or no, the same).

        The first word of the response counts; in a puzzle with `style: words`, the first kind given to each person.
        """
        truth = problem.truth
        solution = _PERSON_KIND.findall(truth)
        if solution:
            kinds = _kinds(response)
            right = [kinds.get(name.casefold()) == kind for name, kind in solution]
            return {"exact_match": float(all(right)), "parts": sum(right) / len(right)}
        word = _first_word(response)
        if truth in ANSWERS:
            same = float(word.lower() == truth)
            return {"exact_match": same, "parts": same}
        if len(word) != len(truth):
            return {"exact_match": 0.0, "parts": 0.0}
        same = sum(a == b for a, b in zip(word.upper(), truth, strict=False)) / len(truth)
        return {"exact_match": float(same == 1), "parts": same}

    def final_answer(self, problem: Problem, response: str) -> str:
        """The first word; in a puzzle with `style: words`, the first kind given to each person, in the order of the truth."""
        solution = _PERSON_KIND.findall(problem.truth)
        if not solution:
            return _first_word(response).casefold()
        kinds = _kinds(response)
        return ", ".join(f"{name} {kinds.get(name.casefold(), '?')}" for name, _ in solution)


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _kinds(response: str) -> dict[str, str]:
    """The first kind that a response gives each name."""
    kinds: dict[str, str] = {}
    for name, kind in _PERSON_KIND.findall(response):
        kinds.setdefault(name.casefold(), kind.lower())
    return kinds


def _first_word(response: str) -> str:
    match = _WORD.search(response)
    return "" if match is None else match[0]
