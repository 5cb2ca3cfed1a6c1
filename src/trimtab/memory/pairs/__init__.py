"""Question and answer pairs: where they come from, as tokens, with other answers or wordings, and how they are graded."""

from trimtab.memory.pairs.counterfactual import counterfactuals
from trimtab.memory.pairs.pair import Pair, PairSource, Reading
from trimtab.memory.pairs.paraphrases import Paraphrases, read_paraphrases
from trimtab.memory.pairs.scoring import Grade, grade, squad_normalise, token_f1
from trimtab.memory.pairs.targets import Encoded, EncodedPair, SkippedPair, encode_pairs, target_ids

__all__ = [
    "Encoded",
    "EncodedPair",
    "Grade",
    "Pair",
    "PairSource",
    "Paraphrases",
    "Reading",
    "SkippedPair",
    "counterfactuals",
    "encode_pairs",
    "grade",
    "read_paraphrases",
    "squad_normalise",
    "target_ids",
    "token_f1",
]
