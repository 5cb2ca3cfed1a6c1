"""Decides syllogisms by checking all models; Reasoning Gym's own labels are sometimes wrong."""

import itertools
import re
from functools import cache
from typing import Literal, NamedTuple

Quantity = Literal["All", "No", "Some", "Some not"]


class Statement(NamedTuple):
    """A categorical statement: `quantity` `subject` are `predicate`."""

    quantity: Quantity
    subject: str
    predicate: str


class Syllogism(NamedTuple):
    """Two premises and a conclusion."""

    first: Statement
    second: Statement
    conclusion: Statement

    @property
    def form(self) -> "Syllogism":
        """The syllogism with its terms named 0, 1, 2 in order of appearance; the form alone determines validity."""
        terms = {term: str(number) for number, term in enumerate(dict.fromkeys(self.terms))}
        return Syllogism(
            *(Statement(quantity, terms[subject], terms[predicate]) for quantity, subject, predicate in self)
        )

    @property
    def terms(self) -> list[str]:
        """Subjects and predicates in order of appearance, with repetitions."""
        return [term for statement in self for term in (statement.subject, statement.predicate)]


_STATEMENT = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)")
_QUESTION = re.compile(r"1\. ([^\n]*)\n2\. ([^\n]*)\n\nDoes it logically follow that:\n([^\n]*)\?")


def read_statement(text: str) -> Statement:
    """Parses a statement such as `All dogs are animals` or `Some dogs are not cats`. Raises ValueError for any other text."""
    match = _STATEMENT.fullmatch(text)
    if match is None or (match[3] and match[1] != "Some"):
        raise ValueError(f"{text!r} is not a categorical statement")
    quantity: Quantity = "Some not" if match[3] else match[1]  # type: ignore[assignment]
    return Statement(quantity, match[2], match[4])


def read_question(text: str) -> Syllogism:
    """Parses the syllogism in a question of Reasoning Gym. Raises ValueError for any other text."""
    match = _QUESTION.search(text)
    if match is None:
        raise ValueError(f"{text!r} is not a question about a syllogism")
    return Syllogism(*(read_statement(part) for part in match.groups()))


@cache
def follows(syllogism: Syllogism) -> bool:
    """Returns whether the conclusion is true in every model of the premises. Terms are not empty (Aristotle's reading).

    Each thing has or lacks each of the three terms, so there are 8 kinds of things. A model is determined by the kinds that exist
    in it, so there are 256 models, 218 of them without an empty term; those are tried. Raises ValueError for more than three
    terms.
    """
    terms = sorted(set(syllogism.terms))
    if len(terms) > 3:
        raise ValueError(f"a syllogism has three terms, not {len(terms)}: {', '.join(terms)}")
    kinds = [frozenset(itertools.compress(terms, bits)) for bits in itertools.product((0, 1), repeat=len(terms))]
    for present in itertools.product((False, True), repeat=len(kinds)):
        model = list(itertools.compress(kinds, present))
        if any(all(term not in thing for thing in model) for term in terms):
            continue
        if (
            _holds(syllogism.first, model)
            and _holds(syllogism.second, model)
            and not _holds(syllogism.conclusion, model)
        ):
            return False
    return True


def _holds(statement: Statement, model: list[frozenset[str]]) -> bool:
    quantity, subject, predicate = statement
    inside = [predicate in thing for thing in model if subject in thing]
    match quantity:
        case "All":
            return all(inside)
        case "No":
            return not any(inside)
        case "Some":
            return any(inside)
        case "Some not":
            return not all(inside)
