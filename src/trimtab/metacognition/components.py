"""What metacognition adds to the components of training runs. One line makes a component nameable; nothing is imported yet."""

COMPONENTS = {
    "data": {"thinking": "trimtab.metacognition.data.build:thinking_data"},
    "task": {
        "routes": "trimtab.metacognition.data.routes:Routes",
        "traces": "trimtab.metacognition.data.traces:Traces",
    },
    "tokenizer": {"tagged": "trimtab.metacognition.tokenizer:TaggedTokenizer"},
    "loss": {
        "plan": "trimtab.metacognition.losses:Plan",
        "thinking_length": "trimtab.metacognition.losses:ThinkingLength",
        "thinking_budget": "trimtab.metacognition.losses:ThinkingBudget",
        "cap_confidence": "trimtab.metacognition.losses:CapConfidence",
        "layer_variance": "trimtab.metacognition.losses:LayerVariance",
    },
    "instrument": {"puzzles": "trimtab.metacognition.instruments:Puzzles"},
    "model": {"metacognitive": "trimtab.metacognition.model:Metacognitive"},
}
