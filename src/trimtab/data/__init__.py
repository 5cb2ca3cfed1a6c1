"""Text to batches: tokenizers, corpora, the token cache, windows and loaders."""

from trimtab.config.model_paths import cache_folder
from trimtab.data.batch import (
    IGNORE,
    Batch,
    BatchedDataset,
    BatchSource,
    DrawState,
    GradedDataset,
    Item,
    TaskDataset,
    ValidationSource,
)
from trimtab.data.build import DataBundle, build_corpus, corpus, opening_text, text_bundle
from trimtab.data.corpus import Corpus, Document, embedded_corpus, open_corpus
from trimtab.data.loader import EvaluationLoader, TrainLoader, collate
from trimtab.data.report import CorpusReport, FileEntry, SkippedFile, UnknownCharacter
from trimtab.data.tokenizers import (
    PAD,
    UNK,
    CharacterTokenizer,
    FileTokenizer,
    PretrainedTokenizer,
    Tokenizer,
    token_values,
    train_bpe,
)
from trimtab.data.windows import WindowDataset

__all__ = [
    "IGNORE",
    "PAD",
    "UNK",
    "Batch",
    "BatchSource",
    "BatchedDataset",
    "CharacterTokenizer",
    "Corpus",
    "CorpusReport",
    "DataBundle",
    "Document",
    "DrawState",
    "EvaluationLoader",
    "FileEntry",
    "FileTokenizer",
    "GradedDataset",
    "Item",
    "PretrainedTokenizer",
    "SkippedFile",
    "TaskDataset",
    "Tokenizer",
    "TrainLoader",
    "UnknownCharacter",
    "ValidationSource",
    "WindowDataset",
    "build_corpus",
    "cache_folder",
    "collate",
    "corpus",
    "embedded_corpus",
    "open_corpus",
    "opening_text",
    "text_bundle",
    "token_values",
    "train_bpe",
]
