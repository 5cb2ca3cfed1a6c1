"""How well a text was said: token by token, and as SQuAD's evaluation compares answers."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, SupportsIndex

Verdict = Literal["pass", "partial", "fail"]

PARTIAL_F1 = 0.5
"""The token F1 from which on a text that does not pass is partly right."""

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_PUNCTUATION = frozenset(string.punctuation)


@dataclass(frozen=True)
class Grade:
    """What a said text is worth.

    `tokens_exact`: the ids are the expected ones, end token included. `normalised`: the texts are equal after SQuAD's
    normalisation. `f1`: the token F1, in [0, 1]. `verdict`: see `grade`.
    """

    tokens_exact: bool
    normalised: bool
    f1: float
    verdict: Verdict


def squad_normalise(text: str) -> str:
    """A text as SQuAD's official evaluation compares it: small letters, no ASCII punctuation, no a/an/the, single spaces."""
    plain = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def token_f1(expected: str, said: str) -> float:
    """The harmonic mean of precision and recall over the words of normalised texts, as SQuAD's official evaluation has it.

    Where one of them has no words the score is 1 if the other has none either, else 0.
    """
    return _f1(squad_normalise(expected).split(), squad_normalise(said).split())


def comparable(text: str, *, exact: bool = False) -> str:
    """What two texts have in common that count as the same: the normalised text.

    The text itself, but for capitals and white space, where nothing would be left ("?", "The"); all of it but for white space
    at its ends with `exact`.
    """
    return text.strip() if exact else squad_normalise(text) or " ".join(text.lower().split())


def grade(
    expected_ids: Iterable[SupportsIndex],
    said_ids: Iterable[SupportsIndex],
    expected_texts: str | Sequence[str],
    said_text: str,
    *,
    exact: bool = False,
) -> Grade:
    """The grade of what was said; ids with the end token, texts without it.

    *pass*: the ids are the expected ones, or the text equals one of the expected texts after SQuAD's normalisation. *partial*:
    the best token F1 with one of them is 0.5 at least. Texts of which the normalisation leaves nothing are compared as they
    are, so that silence is no right answer to "?". With `exact` (`Pair.exact`: sums, grids) nothing is normalised but the
    white space at a text's ends, and only the ids pass.
    """
    tokens_exact = [int(token) for token in expected_ids] == [int(token) for token in said_ids]
    texts = [expected_texts] if isinstance(expected_texts, str) else list(expected_texts)
    said, wanted = comparable(said_text, exact=exact), [comparable(text, exact=exact) for text in texts]
    f1 = max(_f1(text.split(), said.split()) for text in wanted)
    passed = tokens_exact or (said in wanted and not exact)
    verdict: Verdict = "pass" if passed else "partial" if f1 >= PARTIAL_F1 else "fail"
    return Grade(tokens_exact, said in wanted, f1, verdict)


def _f1(right: Sequence[str], found: Sequence[str]) -> float:
    if not right or not found:
        return float(not right and not found)
    same = sum((Counter(right) & Counter(found)).values())
    if not same:
        return 0.0
    precision, recall = same / len(found), same / len(right)
    return 2 * precision * recall / (precision + recall)
