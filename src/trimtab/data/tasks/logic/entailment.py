"""Propositional entailment. Arguments are drawn in matched pairs of the same length, form and tokens."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from random import Random
from typing import NamedTuple

LETTERS = ("p", "q", "r", "s", "t", "u", "v", "w")
_ATTEMPTS = 24


class Form(NamedTuple):
    """The form of a sentence over `slots` literals: as a formula, in words, and as a function from truth tables to a truth table.

    A truth table is an integer with one bit per assignment of the variables; `every` has all bits set.
    """

    slots: int
    formula: str
    words: str
    table: Callable[..., int]


LITERAL = Form(1, "{0}", "{0}", lambda every, a: a)
IF = Form(2, "{0}->{1}", "if {0}, {1}", lambda every, a, b: every ^ a | b)
AND = Form(2, "{0}&{1}", "{0} and {1}", lambda every, a, b: a & b)
OR = Form(2, "{0}|{1}", "{0} or {1}", lambda every, a, b: a | b)
IFF = Form(2, "{0}<->{1}", "{0} exactly if {1}", lambda every, a, b: every ^ a ^ b)
BOTH_IF = Form(3, "({0}&{1})->{2}", "if {0} and {1}, {2}", lambda every, a, b, c: every ^ (a & b) | c)
EITHER_IF = Form(3, "({0}|{1})->{2}", "if {0} or {1}, {2}", lambda every, a, b, c: every ^ (a | b) | c)
IF_BOTH = Form(3, "{0}->({1}&{2})", "if {0}, {1} and {2}", lambda every, a, b, c: every ^ a | b & c)
IF_EITHER = Form(3, "{0}->({1}|{2})", "if {0}, {1} or {2}", lambda every, a, b, c: every ^ a | b | c)

_SIMPLE = (LITERAL, IF, IF, OR, OR, AND, IFF)
_NESTED = (LITERAL, IF, OR, IFF, BOTH_IF, EITHER_IF, IF_BOTH, IF_EITHER)
_CONCLUSIONS = (LITERAL, LITERAL, IF, OR, AND)

LEVELS: dict[int, tuple[int, Sequence[int], Sequence[Form]]] = {
    1: (3, (2, 3), _SIMPLE),
    2: (4, (3, 4), _SIMPLE),
    3: (5, (5,), _SIMPLE),
    4: (4, (4,), _NESTED),
    5: (5, (5,), _NESTED),
}
"""By level: the number of variables, the possible numbers of premises, and the forms of the premises."""


class Sentence(NamedTuple):
    """A form with its literals: the number of each literal's variable, and whether the literal is negated."""

    form: Form
    variables: tuple[int, ...]
    negated: tuple[bool, ...]

    def formula(self, names: Sequence[str]) -> str:
        """The sentence as a formula with `~`, `&`, `|`, `->` and `<->`."""
        literals = zip(self.variables, self.negated, strict=True)
        return self.form.formula.format(*("~" * negated + names[variable] for variable, negated in literals))

    def words(self, names: Sequence[str]) -> str:
        """The sentence in words, about who comes."""
        literals = zip(self.variables, self.negated, strict=True)
        return self.form.words.format(
            *(names[variable] + (" does not come" if negated else " comes") for variable, negated in literals)
        )

    def holds(self, row: int) -> bool:
        """Whether the sentence is true under an assignment, which has one bit for each variable."""
        literals = zip(self.variables, self.negated, strict=True)
        return bool(self.form.table(1, *((row >> variable & 1) ^ negated for variable, negated in literals)))


class Argument(NamedTuple):
    """Premises, a conclusion, and whether the conclusion follows."""

    premises: tuple[Sentence, ...]
    conclusion: Sentence
    follows: bool

    @property
    def key(self) -> str:
        """The forms and negations without variables, the premises sorted: the identity of the question.

        An argument that follows and its counterpart that does not have the same key, so they are in one split. A validation
        split has each key once, so yes and no are equally likely in it.
        """
        blank = "_" * len(LETTERS)
        return "; ".join([*sorted(premise.formula(blank) for premise in self.premises), self.conclusion.formula(blank)])

    def working(self, names: Sequence[str]) -> str:
        """The assignments of the variables, each with the first premise that is false, or with the conclusion's truth.

        The variables come in the order of their names.
        `p,q: FF1 TF2 FTy TTn`: the variables; under F F the first premise is false, under T F the second; under F T all premises
        and the conclusion are true; under T T all premises are true and the conclusion is not, so it does not follow.
        """
        sentences = (*self.premises, self.conclusion)
        variables = sorted({variable for one in sentences for variable in one.variables}, key=names.__getitem__)
        tried = [f"{','.join(names[variable] for variable in variables)}:"]
        for number in range(1 << len(variables)):
            row = sum((number >> place & 1) << variable for place, variable in enumerate(variables))
            values = "".join("FT"[number >> place & 1] for place in range(len(variables)))
            false = (place for place, premise in enumerate(self.premises, 1) if not premise.holds(row))
            result = next(map(str, false), None) or ("y" if self.conclusion.holds(row) else "n")
            tried.append(values + result)
            if result == "n":
                break
        return " ".join(tried)


def argument(level: int, rng: Random) -> Argument:
    """Draws an argument of a level; yes and no are equally likely, whatever its tokens.

    First the forms and the negations are drawn; every variable occurs about equally often. Then variables are swapped until one
    arrangement that follows and one that does not have been found, and a fair coin picks one of the two. Both have the same
    length, the same connectives in the same places and the same tokens. In every arrangement the premises are consistent and all
    different, and contain all variables of the conclusion. A conclusion that follows does not follow from one premise alone.
    """
    variables, counts, forms = LEVELS[level]
    tables = _tables(variables)
    while True:
        count = counts[int(rng.random() * len(counts))]
        shape = [forms[int(rng.random() * len(forms))] for _ in range(count)]
        shape.append(_CONCLUSIONS[int(rng.random() * len(_CONCLUSIONS))])
        size = sum(form.slots for form in shape)
        if size < 2 * variables - 1:
            continue
        plan: list[tuple[_Choices, int, int]] = []
        start = 0
        for form in shape:
            plan.append((tables[form.formula], start, form.slots))
            start += form.slots
        bits = rng.getrandbits(size)
        places = [slot % variables for slot in range(size)]
        rng.shuffle(places)
        # A literal is twice the number of its variable, plus 1 if it is negated. Swaps leave the negations in place.
        literals = [2 * variable + (bits >> slot & 1) for slot, variable in enumerate(places)]
        arrangements: dict[bool, list[int]] = {}
        for _ in range(_ATTEMPTS):
            follows = _follows(plan, literals, 2 * variables)
            if follows is not None and follows not in arrangements:
                arrangements[follows] = literals.copy()
                if len(arrangements) == 2:
                    chosen = rng.random() < 0.5
                    sentences = _sentences(shape, arrangements[chosen])
                    return Argument(sentences[:-1], sentences[-1], chosen)
            while True:
                one, other = int(rng.random() * size), int(rng.random() * size)
                a, b = literals[one], literals[other]
                if a >> 1 != b >> 1:
                    break
            literals[one], literals[other] = (b & ~1) | (a & 1), (a & ~1) | (b & 1)


_Choices = Sequence[tuple[int, int] | None]


@cache
def _tables(variables: int) -> Mapping[str, _Choices]:
    """For each form (by its formula), a list over all choices of literals: (truth table, bit mask of variables).

    The choice `a, b, c` has the index `(a * size + b) * size + c`, where `size` is the number of literals, 2 × variables. An
    entry is None if a variable occurs twice.
    """
    rows = range(1 << variables)
    every = (1 << len(rows)) - 1
    literal_tables: list[int] = []
    for variable in range(variables):
        holds = sum((row >> variable & 1) << row for row in rows)
        literal_tables += [holds, every ^ holds]
    by_form: dict[str, list[tuple[int, int] | None]] = {}
    for form in {*_SIMPLE, *_NESTED, *_CONCLUSIONS}:
        choices: list[tuple[int, int] | None] = []
        for literals in product(range(2 * variables), repeat=form.slots):
            inside = {literal // 2 for literal in literals}
            table = form.table(every, *(literal_tables[literal] for literal in literals))
            choices.append((table, sum(1 << variable for variable in inside)) if len(inside) == form.slots else None)
        by_form[form.formula] = choices
    return by_form


def _follows(plan: Sequence[tuple[_Choices, int, int]], literals: Sequence[int], size: int) -> bool | None:
    """Whether the last sentence follows from the others; None if the arrangement breaks a rule of `argument`.

    For each sentence, `plan` has its choices (see `_tables`), its first slot and its number of slots.
    """
    together, used = -1, 0
    premises: list[int] = []
    last = len(plan) - 1
    for position, (choices, start, slots) in enumerate(plan):
        place = literals[start]
        if slots > 1:
            place = place * size + literals[start + 1]
            if slots > 2:
                place = place * size + literals[start + 2]
        choice = choices[place]
        if choice is None:
            return None
        table, inside = choice
        if position < last:
            if table in premises:
                return None
            premises.append(table)
            together &= table
            if not together:
                return None
            used |= inside
        elif inside & ~used:
            return None
        elif together & ~table:
            return False
    return None if any(premise & ~table == 0 for premise in premises) else True


def _sentences(shape: Sequence[Form], literals: Sequence[int]) -> tuple[Sentence, ...]:
    sentences: list[Sentence] = []
    start = 0
    for form in shape:
        inside = literals[start : start + form.slots]
        sentences.append(Sentence(form, tuple(i // 2 for i in inside), tuple(bool(i % 2) for i in inside)))
        start += form.slots
    return tuple(sentences)
