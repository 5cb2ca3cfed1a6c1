"""Known defects of the generators and scorers of Reasoning Gym, and how they are handled."""

import ast
import re
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from trimtab.data.tasks.numbers import same_number

VERSION = "0.1.25"
"""The version of reasoning-gym for which `REFUSED` was determined, on 2026-11-21, by running every generator with its default
config under two hash seeds (up to 1,000 problems each). A test marked slow repeats this."""

_NO_ANSWER = "its problems have no answer (None) to train on"
_VARIES = "its problems depend on Python's hash seed, so two processes would train on different data"

REFUSED: Mapping[str, str] = {
    "boxnet": _NO_ANSWER,
    "codeio": "it runs bundled programs, some of which write files into the working folder and some of which draw from "
    "Python's global random generator, so their answers are not reproducible",
    "composite": "it mixes other generators; name one of those instead",
    "graph_color": _NO_ANSWER,
    "intermediate_integration": _VARIES,
    "isomorphic_strings": _VARIES,
    "knight_swap": _VARIES,
    "list_functions": _VARIES,
    "polynomial_multiplication": _VARIES,
    "propositional_logic": _NO_ANSWER,
    "ransom_note": _VARIES,
    "rubiks_cube": _NO_ANSWER,
    "rush_hour": _NO_ANSWER,
    "word_ladder": _VARIES,
}
"""The generators that are refused, with the reason."""

LONGEST_RESPONSE = 20_000
"""The most characters of a response; longer ones score 0, because some scorers take more than linear time."""

_ARITHMETIC = re.compile(r"(?:[0-9]{1,9}(?![0-9])|(?<!\*)\*(?!\*)|(?<!/)/(?!/)|[-+() ]){1,400}")
_NUMBER = re.compile(r"\s*[-+]?[0-9.,]{1,60}(?:/[0-9.,]{1,60}|[eE][-+]?[0-9]{1,3})?\s*")
_POLYNOMIAL = re.compile(
    r"(?:[0-9]{1,9}(?![0-9])|(?<![A-Za-z0-9])[A-Za-z](?![A-Za-z0-9(])|\*\* ?[0-9]{1,2}(?![0-9])(?! ?\*\*)"
    r"|(?<!\*)\*(?!\*)|[-+/() ]){1,400}"
)
_POWER_OF_A_BRACKET = re.compile(r"\) ?\*\*")


def is_safe(dataset: str, response: str, entry: Mapping[str, Any]) -> bool:
    """Returns whether a response may be passed to the generator's own scorer; a response that may not scores 0.

    Several scorers pass the response to Python's `eval` or to SymPy's parser, which run it as a program, or to an exact number
    type that would exhaust the memory for `1e999999999`. They only get harmless responses: for `eval`, a literal or the text of a
    right answer; for the parser, numbers, operators and brackets; for a number type, a number of ordinary size.
    """
    if len(response) > LONGEST_RESPONSE:
        return False
    check = _CHECKS.get(dataset)
    return check is None or response == entry["answer"] or check(response, entry)


def own_score(dataset: str, response: str, entry: Mapping[str, Any]) -> float | None:
    """Returns our score of a safe response for generators whose own scorer accepts wrong responses; None for all others.

    - `coin_flip`: the scorer gives `0` full marks for `0.3125`, because the answer starts with it; here the values must agree to
      a relative 1e-4, as numbers or fractions.
    - `game_of_life_halting`: the scorer accepts any text for `True`; here the texts are compared, ignoring case.
    - `gsm_symbolic`: the scorer compares the first number of a response; here the final one counts (`final_number`).
    - `puzzle24`: the scorer accepts any four numbers that make 24; here a response that does not use the given numbers scores 0.
    """
    answer = str(entry["answer"])
    match dataset:
        case "coin_flip":
            return float(_close(response, answer))
        case "game_of_life_halting":
            return float(response.casefold() == answer.casefold())
        case "gsm_symbolic":
            return float(same_number(response, answer))
        case "puzzle24":
            used = Counter(int(number) for number in re.findall(r"[0-9]{1,9}", response))
            return None if used == Counter(entry["metadata"]["numbers"]) else 0.0
    return None


def _close(response: str, answer: str) -> bool:
    try:
        value, right = (Fraction(text.replace(",", "")) for text in (response, answer))
    except (ValueError, ZeroDivisionError):
        return False
    return abs(value - right) <= abs(right) / 10_000


def _literal(response: str, entry: Mapping[str, Any]) -> bool:
    if response in entry["metadata"].get("valid_answers", ()):
        return True
    try:
        ast.literal_eval(response)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _arithmetic(response: str, entry: Mapping[str, Any]) -> bool:
    return _ARITHMETIC.fullmatch(response) is not None


def _number(response: str, entry: Mapping[str, Any]) -> bool:
    return _NUMBER.fullmatch(response) is not None


def _polynomial(response: str, entry: Mapping[str, Any]) -> bool:
    return _POLYNOMIAL.fullmatch(response) is not None and _POWER_OF_A_BRACKET.search(response) is None


_CHECKS: Mapping[str, Callable[[str, Mapping[str, Any]], bool]] = {
    "binary_matrix": _literal,
    "coin_flip": _number,
    "countdown": _arithmetic,
    "n_queens": _literal,
    "puzzle24": _arithmetic,
    "simple_integration": _polynomial,
    "spiral_matrix": _literal,
    "string_insertion": _literal,
}
