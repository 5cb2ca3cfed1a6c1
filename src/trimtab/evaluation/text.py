"""Figures of generated text: the share of dictionary words, the entropy and the repetition."""

import math
import re
from collections import Counter

DICTIONARY_CHARACTERS = 5_000_000
"""The most characters of the training text that a dictionary is made from."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def words(text: str) -> list[str]:
    """The words of a text in order, in lower case: runs of letters, with apostrophes inside."""
    return _WORD.findall(text.casefold())


def word_set(text: str, minimum_count: int = 2) -> frozenset[str]:
    """A dictionary: the words that occur `minimum_count` times or more in the first 5 million characters of a text.

    One occurrence is often a name or a slip; two make a word of the training text.
    """
    counts = Counter(words(text[:DICTIONARY_CHARACTERS]))
    return frozenset(word for word, count in counts.items() if count >= minimum_count)


def dictionary_share(text: str, dictionary: frozenset[str]) -> float | None:
    """The share of a text's words that are in `dictionary`; None for a text without words."""
    tokens = words(text)
    return sum(word in dictionary for word in tokens) / len(tokens) if tokens else None


def dictionary_letters(text: str, dictionary: frozenset[str]) -> float | None:
    """The share of a text's letters that belong to words of `dictionary`; None for a text without words.

    Chance hits the short words: early in training this is far below the share of words, and it rises with longer ones.
    """
    tokens = words(text)
    letters = sum(len(word) for word in tokens)
    return sum(len(word) for word in tokens if word in dictionary) / letters if letters else None


def character_entropy(text: str) -> float | None:
    """The entropy of a text's character frequencies in bits per character (Shannon 1948, the plug-in estimate).

    Python's own documentation, the built-in corpus, has 4.7; one character for ever gives 0. None for an empty text.
    """
    if not text:
        return None
    shares = [count / len(text) for count in Counter(text).values()]
    return max(0.0, -math.fsum(share * math.log2(share) for share in shares))


def repetition(text: str, n: int = 4) -> float | None:
    """1 - distinct / all n-grams of the whitespace-separated words: 0 when none occurs twice.

    This is seq-rep-n of Welleck et al. 2020 (Neural Text Generation with Unlikelihood Training), on words.
    None for a text of fewer than n words.
    """
    tokens = text.split()
    grams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else None


def sample_figures(text: str, dictionary: frozenset[str]) -> dict[str, float | None]:
    """The figures recorded with a generated sample.

    `dictionary_word_share` (share of its words that the training text has), `dictionary_letter_share` (the same, each word
    counting with its length), `character_entropy` (bits per character) and
    `repetition_4` (share of word 4-grams that are repeats); None where the text is too short for one.
    """
    return {
        "dictionary_word_share": dictionary_share(text, dictionary),
        "dictionary_letter_share": dictionary_letters(text, dictionary),
        "character_entropy": character_entropy(text),
        "repetition_4": repetition(text, 4),
    }
