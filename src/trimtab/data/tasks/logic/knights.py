"""Knights and knaves (Smullyan 1978): who tells the truth? Every puzzle has exactly one solution, found by trying all."""

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
"""Numbers of people (one is drawn) and the statements that they choose from."""


class Statement(NamedTuple):
    """Something that a person says: compact, in words, and whether it is true (a bit a choice of who is a knight)."""

    compact: Pattern
    words: Pattern
    true: int


class Puzzle(NamedTuple):
    """What each person says, and who is a knight (a bit a person)."""

    statements: tuple[Statement, ...]
    knights: int

    def write(self, writer: Writer, names: Sequence[str], *, compact: bool) -> None:
        """Write what everybody says."""
        values = dict(zip(LETTERS, names, strict=False))
        for index, (statement, name) in enumerate(zip(self.statements, names, strict=False)):
            if compact:
                writer.add(f"{'; ' if index else ''}{name}:")
                statement.compact.write(writer, values)
            else:
                writer.add(f"{' ' if index else ''}{name} says: ")
                statement.words.write(writer, values)
                writer.add(".")

    @property
    def key(self) -> str:
        """The puzzle without names."""
        writer = Writer()
        self.write(writer, LETTERS, compact=True)
        return writer.text

    def answer(self, names: Sequence[str], *, compact: bool) -> str:
        """Everybody's kind: `KN` compact, else `Ada knight, Ben knave`."""
        kinds = [self.knights >> person & 1 for person in range(len(self.statements))]
        if compact:
            return "".join("NK"[kind] for kind in kinds)
        return ", ".join(f"{name} {KINDS[kind]}" for name, kind in zip(names, kinds, strict=False))


def puzzle(level: int, rng: Random) -> Puzzle:
    """A puzzle of a level. Every solution is equally likely: it is drawn first, then statements until no other one fits."""
    sizes, pool = LEVELS[level]
    people = sizes[int(rng.random() * len(sizes))]
    knights = int(rng.random() * (1 << people))
    choices = _choices(people, pool, knights)
    while True:
        said = [options[int(rng.random() * len(options))] for options in choices]
        fitting = -1
        for _, consistent in said:
            fitting &= consistent
        if fitting == 1 << knights:
            return Puzzle(tuple(statement for statement, _ in said), knights)


@cache
def _choices(people: int, pool: Pool, knights: int) -> list[list[tuple[Statement, int]]]:
    """For each person the statements that a person of that kind can make, with the choices of knights that they fit (bits)."""
    found: list[list[tuple[Statement, int]]] = []
    every = (1 << (1 << people)) - 1
    for speaker in range(people):
        # Who speaks is a knight exactly where what is said is true.
        unlike = every ^ _is_knight(people, speaker)
        found.append(
            [
                (statement, unlike ^ statement.true)
                for statement in _statements(people, pool, speaker)
                if (statement.true >> knights & 1) == (knights >> speaker & 1)
            ]
        )
    return found


@cache
def _statements(people: int, pool: Pool, speaker: int) -> list[Statement]:
    """What a person may say: on one other, on two people, on how many knights there are; mixed: also `and`, `or`, `if`."""
    found: list[Statement] = []
    every = (1 << (1 << people)) - 1

    def add(compact: str, words: str, true: int) -> None:
        found.append(Statement(pattern(compact), pattern(words), true))

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
    return found


def _is_knight(people: int, person: int) -> int:
    """A bit for each choice of knights (a bit a person) that the person is among."""
    return sum((row >> person & 1) << row for row in range(1 << people))
