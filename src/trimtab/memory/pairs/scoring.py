"""Grades of decoded texts: exact tokens, and the comparison of SQuAD's evaluation."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, SupportsIndex

Verdict = Literal["pass", "partial", "fail"]

PARTIAL_F1 = 0.5
"""The lowest token F1 of the verdict `partial`."""

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = frozenset(string.punctuation)


@dataclass(frozen=True)
class Grade:
    """The grade of a decoded text.

    `tokens_exact`: the ids are the expected ones, end token included. `normalised`: the texts are equal after SQuAD's
    normalisation. `f1`: the token F1, in [0, 1]. `verdict`: see `grade`.
    """

    tokens_exact: bool
    normalised: bool
    f1: float
    verdict: Verdict


def squad_normalise(text: str) -> str:
    """A text as SQuAD's official evaluation compares it: lower case, no ASCII punctuation, no a/an/the, single spaces."""
    plain = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def token_f1(expected: str, decoded: str) -> float:
    """The harmonic mean of precision and recall over the words of normalised texts, as in SQuAD's official evaluation.

    If one text has no words, the score is 1 if the other has none either, else 0.
    """
    return _f1(squad_normalise(expected).split(), squad_normalise(decoded).split())


def normalised_text(text: str, *, exact: bool = False) -> str:
    """The form in which texts are compared: with `exact`, the text without surrounding white space, else SQuAD's normalisation.

    If the normalisation leaves nothing ("?", "The"), the text in lower case with single spaces.
    """
    return text.strip() if exact else squad_normalise(text) or " ".join(text.lower().split())


def grade(
    expected_ids: Iterable[SupportsIndex],
    decoded_ids: Iterable[SupportsIndex],
    expected_texts: str | Sequence[str],
    decoded_text: str,
    *,
    exact: bool = False,
) -> Grade:
    """The grade of a decoded text; ids with the end token, texts without it.

    *pass*: the ids are the expected ones, or the text equals an expected text after SQuAD's normalisation. *partial*: the best
    token F1 with an expected text is at least 0.5. Texts of which the normalisation leaves nothing are compared as they are, so
    an empty text does not pass for "?". With `exact` (see `Pair.exact`) only exact ids pass.
    """
    tokens_exact = [int(token) for token in expected_ids] == [int(token) for token in decoded_ids]
    texts = [expected_texts] if isinstance(expected_texts, str) else list(expected_texts)
    decoded, expected = (
        normalised_text(decoded_text, exact=exact),
        [normalised_text(text, exact=exact) for text in texts],
    )
    f1 = max(_f1(text.split(), decoded.split()) for text in expected)
    passed = tokens_exact or (decoded in expected and not exact)
    verdict: Verdict = "pass" if passed else "partial" if f1 >= PARTIAL_F1 else "fail"
    return Grade(tokens_exact, decoded in expected, f1, verdict)


def _f1(expected: Sequence[str], decoded: Sequence[str]) -> float:
    if not expected or not decoded:
        return float(not expected and not decoded)
    same = sum((Counter(expected) & Counter(decoded)).values())
    if not same:
        return 0.0
    precision, recall = same / len(decoded), same / len(expected)
    return 2 * precision * recall / (precision + recall)
