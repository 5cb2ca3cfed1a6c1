"""Question and answer pairs: sources, tokens, counterfactual answers, paraphrases, and grading."""

from trimtab.memory.pairs.counterfactual import counterfactuals
from trimtab.memory.pairs.pair import LoadedPairs, Pair, PairSource
from trimtab.memory.pairs.paraphrases import Paraphrases, read_paraphrases
from trimtab.memory.pairs.scoring import Grade, grade, squad_normalise, token_f1
from trimtab.memory.pairs.targets import EncodedPair, EncodedPairs, SkippedPair, encode_pairs, target_ids

__all__ = [
    "EncodedPair",
    "EncodedPairs",
    "Grade",
    "LoadedPairs",
    "Pair",
    "PairSource",
    "Paraphrases",
    "SkippedPair",
    "counterfactuals",
    "encode_pairs",
    "grade",
    "read_paraphrases",
    "squad_normalise",
    "target_ids",
    "token_f1",
]
