"""Tokenizers: the interface, one of characters, those kept in a file, a pretrained model's, and training a BPE."""

from trimtab.data.tokenizers.bpe import train_bpe
from trimtab.data.tokenizers.character import UNK, CharacterTokenizer
from trimtab.data.tokenizers.file import FileTokenizer
from trimtab.data.tokenizers.interface import PAD, Ids, Tokenizer, token_values
from trimtab.data.tokenizers.pretrained import PretrainedTokenizer

__all__ = [
    "PAD",
    "UNK",
    "CharacterTokenizer",
    "FileTokenizer",
    "Ids",
    "PretrainedTokenizer",
    "Tokenizer",
    "token_values",
    "train_bpe",
]
