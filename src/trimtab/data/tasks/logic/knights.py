"""Puzzles of knights and knaves (Smullyan 1978). Exhaustive search ensures that each has exactly one solution."""

from collections.abc import Sequence
from functools import cache
from itertools import combinations, permutations, product
from random import Random
from typing import Literal, NamedTuple

from trimtab.data.tasks.writing import Pattern, Writer, pattern

LETTERS = ("A", "B", "C", "D", "E")
KINDS = ("knave", "knight")

Pool = Literal["simple", "mixed"]

LEVELS: dict[int, tuple[Sequence[int], Pool]] = {
    1: ((2, 3, 3, 3, 3), "simple"),
    2: ((3,), "mixed"),
    3: ((4,), "simple"),
    4: ((4,), "mixed"),
    5: ((5,), "mixed"),
}
"""By level: the possible numbers of people (one is drawn) and the kind of statements that they make."""


class Statement(NamedTuple):
    """A statement: compact, in words, and its truth (one bit per assignment of who is a knight)."""

    compact: Pattern
    words: Pattern
    true: int


class Puzzle(NamedTuple):
    """The statement of each person, and who is a knight (one bit per person)."""

    statements: tuple[Statement, ...]
    knights: int

    def write(self, writer: Writer, names: Sequence[str], *, compact: bool) -> None:
        """Writes the statements of all people."""
        values = dict(zip(LETTERS, names, strict=False))
        for index, (statement, name) in enumerate(zip(self.statements, names, strict=False)):
            if compact:
                writer.add(f"{'; ' if index else ''}{name}:")
                statement.compact.write(writer, values)
            else:
                writer.add(f"{' ' if index else ''}{name} says: ")
                statement.words.write(writer, values)
                writer.add(".")

    def working(self, names: Sequence[str], separator: str) -> str:
        """The assignments tried in turn, from all knaves on, each with the first person whose statement does not fit it.

        The last one is the solution, which fits all statements: `NNB KNA NK`.
        """
        people = len(self.statements)
        tried = []
        for row in range(self.knights + 1):
            kinds = "".join("NK"[row >> person & 1] for person in range(people))
            wrong = (
                names[person]
                for person, statement in enumerate(self.statements)
                if (statement.true >> row & 1) != (row >> person & 1)
            )
            tried.append(kinds + next(wrong, ""))
        return separator.join(tried)

    @property
    def key(self) -> str:
        """The puzzle without names: the identity of the question."""
        writer = Writer()
        self.write(writer, LETTERS, compact=True)
        return writer.text

    def answer(self, names: Sequence[str], *, compact: bool) -> str:
        """The kind of each person: `KN` if compact, otherwise `Ada knight, Ben knave`."""
        kinds = [self.knights >> person & 1 for person in range(len(self.statements))]
        if compact:
            return "".join("NK"[kind] for kind in kinds)
        return ", ".join(f"{name} {KINDS[kind]}" for name, kind in zip(names, kinds, strict=False))


def puzzle(level: int, rng: Random) -> Puzzle:
    """Draws a puzzle of a level.

    All solutions are equally likely: the solution is drawn first, then statements until they have no other solution.
    """
    sizes, pool = LEVELS[level]
    people = sizes[int(rng.random() * len(sizes))]
    knights = int(rng.random() * (1 << people))
    choices = _choices(people, pool, knights)
    while True:
        drawn = [options[int(rng.random() * len(options))] for options in choices]
        solutions = -1
        for _, consistent in drawn:
            solutions &= consistent
        if solutions == 1 << knights:
            return Puzzle(tuple(statement for statement, _ in drawn), knights)


@cache
def _choices(people: int, pool: Pool, knights: int) -> list[list[tuple[Statement, int]]]:
    """For each person, the statements that a person of that kind can make, each with the assignments that fit it (bits)."""
    choices: list[list[tuple[Statement, int]]] = []
    every = (1 << (1 << people)) - 1
    for speaker in range(people):
        # The speaker is a knight exactly if the statement is true.
        unlike = every ^ _is_knight(people, speaker)
        choices.append(
            [
                (statement, unlike ^ statement.true)
                for statement in _statements(people, pool, speaker)
                if (statement.true >> knights & 1) == (knights >> speaker & 1)
            ]
        )
    return choices


@cache
def _statements(people: int, pool: Pool, speaker: int) -> list[Statement]:
    """The statements about another person, about two people and about the number of knights; if mixed, with connectives too."""
    statements: list[Statement] = []
    every = (1 << (1 << people)) - 1

    def add(compact: str, words: str, true: int) -> None:
        statements.append(Statement(pattern(compact), pattern(words), true))

    def literal(person: int, kind: int) -> tuple[str, str, int]:
        letter = LETTERS[person]
        table = _is_knight(people, person)
        return f"{'NK'[kind]}{{{letter}}}", f"{{{letter}}} is a {KINDS[kind]}", table if kind else every ^ table

    for person, kind in product(range(people), (0, 1)):
        if person != speaker:
            add(*literal(person, kind))
    for one, other in combinations(range(people), 2):
        first, second = f"{{{LETTERS[one]}}}", f"{{{LETTERS[other]}}}"
        unlike = _is_knight(people, one) ^ _is_knight(people, other)
        add(f"{first}={second}", f"{first} and {second} are of the same kind", every ^ unlike)
        add(f"{first}/{second}", f"{first} and {second} are of different kinds", unlike)
    for count in range(people + 1):
        exactly = sum((row.bit_count() == count) << row for row in range(1 << people))
        noun = "knight is" if count == 1 else "knights are"
        add(f"#{{{count}:q}}", f"exactly {{{count}:q}} {noun} among us", exactly)
    if pool == "mixed":
        for one, other in permutations(range(people), 2):
            for kind, other_kind in product((0, 1), repeat=2):
                left, left_words, a = literal(one, kind)
                right, right_words, b = literal(other, other_kind)
                add(f"{left}->{right}", f"if {left_words}, {right_words}", every ^ a | b)
                if one < other:
                    add(f"{left}&{right}", f"{left_words} and {right_words}", a & b)
                    add(f"{left}|{right}", f"{left_words} or {right_words}", a | b)
    return statements


def _is_knight(people: int, person: int) -> int:
    """The truth table of "this person is a knight": one bit per assignment of who is a knight."""
    return sum((row >> person & 1) << row for row in range(1 << people))
