"""Does a sentence follow from others? Drawn in matched pairs, so that nothing but the logic tells yes from no."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import product
from random import Random
from typing import NamedTuple

LETTERS = ("p", "q", "r", "s", "t", "u", "v", "w")
_ATTEMPTS = 24


class Form(NamedTuple):
    """A shape of a sentence over `slots` literals: as formula, in words, and its truth table from those of the literals."""

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
"""Variables, numbers of premises and the forms of the premises of each level."""


class Sentence(NamedTuple):
    """A form with its literals: a variable's number each, and whether it is denied."""

    form: Form
    variables: tuple[int, ...]
    denied: tuple[bool, ...]

    def formula(self, names: Sequence[str]) -> str:
        """As a formula: `~` not, `&`, `|`, `->`, `<->`."""
        found = zip(self.variables, self.denied, strict=True)
        return self.form.formula.format(*("~" * no + names[variable] for variable, no in found))

    def words(self, names: Sequence[str]) -> str:
        """In words, about who comes."""
        found = zip(self.variables, self.denied, strict=True)
        return self.form.words.format(
            *(names[variable] + (" does not come" if no else " comes") for variable, no in found)
        )


class Argument(NamedTuple):
    """Premises, a conclusion and whether it follows."""

    premises: tuple[Sentence, ...]
    conclusion: Sentence
    follows: bool

    @property
    def key(self) -> str:
        """The same for all arguments of the same forms and denials, whatever their variables and the order of the premises.

        So the one that follows and the one that does not stay in one split, and a validation split, which has each key
        once, has yes and no by a fair coin.
        """
        blank = "_" * len(LETTERS)
        return "; ".join([*sorted(premise.formula(blank) for premise in self.premises), self.conclusion.formula(blank)])


def argument(level: int, rng: Random) -> Argument:
    """An argument of a level; yes and no are equally likely whatever its tokens are.

    The forms, the denials and how often each variable stands in it are drawn first. Then variables change places until one
    arrangement that follows and one that does not are found, and a fair coin chooses between the two: they have the same
    length, the same connectives in the same places and the same tokens. Every arrangement has consistent premises that are all
    different and speak of all the conclusion's variables; where it follows, it does not follow from one premise alone.
    """
    variables, counts, forms = LEVELS[level]
    known = _known(variables)
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
            plan.append((known[form.formula], start, form.slots))
            start += form.slots
        bits = rng.getrandbits(size)
        places = [slot % variables for slot in range(size)]
        rng.shuffle(places)
        # A literal's number is twice its variable's, and one more where it is denied; the denials stay where they are.
        literals = [2 * variable + (bits >> slot & 1) for slot, variable in enumerate(places)]
        found: dict[bool, list[int]] = {}
        for _ in range(_ATTEMPTS):
            follows = _judge(plan, literals, 2 * variables)
            if follows is not None and follows not in found:
                found[follows] = literals.copy()
                if len(found) == 2:
                    chosen = rng.random() < 0.5
                    sentences = _sentences(shape, found[chosen])
                    return Argument(sentences[:-1], sentences[-1], chosen)
            while True:
                one, other = int(rng.random() * size), int(rng.random() * size)
                a, b = literals[one], literals[other]
                if a >> 1 != b >> 1:
                    break
            literals[one], literals[other] = (b & ~1) | (a & 1), (a & ~1) | (b & 1)


_Choices = Sequence[tuple[int, int] | None]


@cache
def _known(variables: int) -> Mapping[str, _Choices]:
    """For each form (by its formula) the truth table and the variables, as bits, of each choice of literals.

    The choice `a, b, c` stands at `(a * size + b) * size + c`; it is None where a variable occurs twice. A table has a bit an
    assignment of all variables.
    """
    rows = range(1 << variables)
    every = (1 << len(rows)) - 1
    tables: list[int] = []
    for variable in range(variables):
        holds = sum((row >> variable & 1) << row for row in rows)
        tables += [holds, every ^ holds]
    known: dict[str, list[tuple[int, int] | None]] = {}
    for form in {*_SIMPLE, *_NESTED, *_CONCLUSIONS}:
        choices: list[tuple[int, int] | None] = []
        for literals in product(range(2 * variables), repeat=form.slots):
            inside = {literal // 2 for literal in literals}
            table = form.table(every, *(tables[literal] for literal in literals))
            choices.append((table, sum(1 << variable for variable in inside)) if len(inside) == form.slots else None)
        known[form.formula] = choices
    return known


def _judge(plan: Sequence[tuple[_Choices, int, int]], literals: Sequence[int], size: int) -> bool | None:
    """Whether the last sentence follows from the others; None for an arrangement that is not used.

    `plan` has for each sentence its choices (see `_known`), its first slot and the number of its slots.
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
    found: list[Sentence] = []
    start = 0
    for form in shape:
        inside = literals[start : start + form.slots]
        found.append(Sentence(form, tuple(i // 2 for i in inside), tuple(bool(i % 2) for i in inside)))
        start += form.slots
    return tuple(found)
