"""A trial of a tokenizer.json on many short texts. It runs in a process with limits, so it imports nothing from Trimtab."""

import json
import os
from pathlib import Path
from typing import Any

_TEXT = (
    'The 1st line\n\n  two = [3, "x9"]\n\tthree: it\'s 12345\r\nfour,  five;\n\n});\n\nÄrger — naïve 7½ é ﬁ ǅ İ \u200b\u00ad\n'
    "中文字符 العربية हिन्दी ภาษาไทย 한국어 👩‍👩‍👧 \U0001d54f\n"
)
_RUNS = "aA1 -_\n\t.é中"
_LONGEST, _LONGEST_EACH = 20_000, 500
_GROWTH = 100
_TOGETHER = 16
_SUSPICIOUS = 6
"""Tokens per character. `_TOGETHER` characters that exceed this are tried one by one."""
_MOST_IDS = 1 << 24


def trial(path: str) -> dict[str, int]:
    """Loads a tokenizer, encodes every character of the first two planes of Unicode, and encodes and decodes long runs of
    characters and the texts in the file.

    Returns the number of ids, and the number of tokens of the long text. Raises ValueError for too many ids or too long results,
    and the exceptions of the tokenizers library.
    """
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import tokenizers

    content = Path(path).read_bytes()
    tokenizer = tokenizers.Tokenizer.from_buffer(content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.post_processor = None
    count = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if count > _MOST_IDS:
        raise ValueError(f"it has the id {count - 1:,}, but at most {_MOST_IDS:,} ids are allowed")
    _try_characters(tokenizer)
    from_file = "".join(text[:_LONGEST_EACH] for text in _texts_in(json.loads(content)))[:_LONGEST]
    text = _TEXT + "".join(map(chr, range(32, 127))) + "".join(char * 300 for char in _RUNS) + from_file
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    if len(ids) > _GROWTH * len(text):
        raise ValueError(f"it makes {len(ids):,} tokens of {len(text):,} characters")
    if len(decoded := tokenizer.decode(ids, skip_special_tokens=False)) > _GROWTH * len(text):
        raise ValueError(f"it decodes {len(text):,} characters to {len(decoded):,}")
    tokenizer.decode_batch([[index] for index in range(count)], skip_special_tokens=False)
    return {"ids": count, "tokens": len(ids)}


def _try_characters(tokenizer: Any) -> None:
    """Raises ValueError for a character that becomes more than `_GROWTH` tokens."""
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    for place in range(0, len(characters), _TOGETHER):
        some = characters[place : place + _TOGETHER]
        if len(tokenizer.encode("".join(some), add_special_tokens=False).ids) <= _SUSPICIOUS * len(some):
            continue
        for char in some:
            if (tokens := len(tokenizer.encode(char, add_special_tokens=False).ids)) > _GROWTH:
                raise ValueError(f"it makes {tokens:,} tokens of the character {char!r}")


def _texts_in(content: Any) -> list[str]:
    """The texts in the parts of the file that change texts: patterns, replacements, and last the added tokens."""
    pending = [content.get(part) for part in ("added_tokens", "decoder", "pre_tokenizer", "normalizer")]
    texts: list[str] = []
    while pending and len(texts) < _LONGEST:
        part = pending.pop()
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return texts
