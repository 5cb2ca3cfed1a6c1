"""Trains a byte-level BPE tokenizer on a corpus."""

import sys
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from trimtab.boundary import user_path
from trimtab.data.corpus import open_corpus
from trimtab.data.durable import write_durably
from trimtab.data.pieces import pieces
from trimtab.data.tokenizers.file import FileTokenizer
from trimtab.errors import ConfigError

SPECIAL_TOKENS = ("<PAD>",)
SMALLEST = 256 + len(SPECIAL_TOKENS)
"""The smallest vocabulary: the bytes and the special tokens, without any merges."""

_PIECE = 1 << 16


def train_bpe(
    files: str | list[str] | None,
    vocabulary: int,
    out: str | Path,
    *,
    minimum_frequency: int = 2,
    overwrite: bool = False,
    progress: bool | None = None,
) -> FileTokenizer:
    """Trains a byte-level BPE (Sennrich et al. 2016; on bytes as in GPT-2, Radford et al. 2019) and saves it as `out`.

    `files` is read like `data.path`, as a stream: only the distinct words and their counts are in memory. Every byte has an id,
    so no character is unknown; `<PAD>` is 0. The same text gives the same file, byte for byte. The result has fewer ids than
    `vocabulary` if no further pair occurs `minimum_frequency` times. With `progress` None, a bar appears only on a terminal.

    Raises ConfigError for a vocabulary below 257 and for an `out` that exists (unless `overwrite`), DataError for text that
    cannot be read, and WorkError if `out` cannot be written.
    """
    target = user_path(out)
    if vocabulary < SMALLEST:
        raise ConfigError(
            f"A byte-level vocabulary of {vocabulary} is too small: the 256 bytes and {', '.join(SPECIAL_TOKENS)} need "
            f"{SMALLEST} ids. Set at least {SMALLEST}; 512 to 8192 suit small models."
        )
    if minimum_frequency < 1:
        raise ConfigError(f"The minimum frequency of a pair must be at least 1, not {minimum_frequency}.")
    if target.is_dir():
        raise ConfigError(f"{target} is a folder. Name the file to write, for example {target / 'tokenizer.json'}.")
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} already exists. Name another file, or allow this one to be overwritten.")
    corpus = open_corpus(files)
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=minimum_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=sys.stderr.isatty() if progress is None else progress,
    )
    stream = (piece.text for piece in pieces(corpus.blocks(), "lines", size=_PIECE, longest=_PIECE))
    tokenizer.train_from_iterator(stream, trainer)
    write_durably(target, tokenizer.to_str(pretty=True).encode())
    return FileTokenizer(path=str(target))
