"""The components of memory runs, by kind."""

from trimtab.config.registry import Registry

PAIRS = Registry(
    "pairs",
    {
        "squad": "trimtab.memory.pairs.squad:Squad",
        "triviaqa": "trimtab.memory.pairs.triviaqa:TriviaQA",
        "hotpotqa": "trimtab.memory.pairs.hotpotqa:HotpotQA",
        "nq_open": "trimtab.memory.pairs.jsonl:NaturalQuestions",
        "jsonl": "trimtab.memory.pairs.jsonl:JsonLines",
        "arithmetic": "trimtab.memory.pairs.arithmetic:ArithmeticPairs",
        "sudoku": "trimtab.memory.pairs.sudoku:Sudoku",
        "arc": "trimtab.memory.pairs.arc:Arc",
    },
)

FROZEN_MODELS = Registry(
    "frozen_model",
    {
        "pretrained": "trimtab.memory.engine.network:FrozenNetwork",
        "untrained": "trimtab.memory.engine.untrained:UntrainedNetwork",
    },
    supplied=("dtype", "device"),
)

MODES = Registry(
    "modes",
    {
        "random": "trimtab.memory.modes:RandomModes",
        "words": "trimtab.memory.modes:WordModes",
        "learned": "trimtab.memory.modes:LearnedModes",
    },
)

REGISTRIES = (FROZEN_MODELS, PAIRS, MODES)
