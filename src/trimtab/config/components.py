"""Every component that ships, by kind. One line here makes a component nameable in a config; nothing is imported yet."""

from trimtab.config.registry import Registry

DATA = Registry(
    "data",
    {"corpus": "trimtab.data.build:corpus", "task": "trimtab.data.tasks.build:task_data"},
    supplied=("tokenizer", "task", "progress"),
)

TASKS = Registry(
    "task",
    {
        "gsm8k": "trimtab.data.tasks.gsm8k:GSM8K",
        "hub": "trimtab.data.tasks.hub:Hub",
        "jsonl": "trimtab.data.tasks.jsonl:JsonLines",
        "reasoning_gym": "trimtab.data.tasks.reasoning_gym:ReasoningGym",
    },
)

TOKENIZERS = Registry(
    "tokenizer",
    {"character": "trimtab.data.tokenizers:CharacterTokenizer", "file": "trimtab.data.tokenizers:FileTokenizer"},
)

MODELS = Registry("model", {"decoder": "trimtab.models.decoder:Decoder"}, supplied=("vocabulary", "context"))

LOSSES = Registry("loss", {"cross_entropy": "trimtab.losses.cross_entropy:CrossEntropy"})

OPTIMIZERS = Registry(
    "optimizer",
    {
        "adamw": "trimtab.training.optimizers:adamw",
        "sgd": "trimtab.training.optimizers:sgd",
        "adafactor": "trimtab.training.optimizers:adafactor",
        "muon": "trimtab.training.optimizers:muon",
    },
    supplied=("parameters",),
)

SCHEDULES = Registry(
    "schedule",
    {
        "constant": "trimtab.training.schedules:constant",
        "cosine": "trimtab.training.schedules:cosine",
        "linear": "trimtab.training.schedules:linear",
        "wsd": "trimtab.training.schedules:wsd",
    },
    supplied=("steps",),
)

CONTROLLERS = Registry(
    "regime_controller",
    {
        "none": "trimtab.regimes.controller:NoController",
        "rules": "trimtab.regimes.rules:Rules",
        "spike_guard": "trimtab.regimes.spike_guard:SpikeGuard",
        "zclip": "trimtab.regimes.clipping:ZClip",
        "autoclip": "trimtab.regimes.clipping:AutoClip",
    },
)

HOOKS = Registry(
    "hook",
    {
        "activation_stats": "trimtab.training.observers:ActivationStats",
        "adagc": "trimtab.training.gradients:AdaGC",
        "gradient_clip": "trimtab.training.gradients:Clip",
        "gradient_identity": "trimtab.training.gradients:Identity",
        "gradient_noise": "trimtab.training.gradients:Noise",
        "gradient_projection": "trimtab.training.gradients:SubspaceProjection",
        "sign_descent": "trimtab.training.rules:SignDescent",
        "random_feedback": "trimtab.training.rules:RandomFeedback",
    },
)

INSTRUMENTS = Registry(
    "instrument",
    {
        "sharpness": "trimtab.training.measuring:Sharpness",
        "critical_learning_rate": "trimtab.training.measuring:CriticalLearningRate",
        "noise_scale": "trimtab.training.measuring:GradientNoiseScale",
        "largest_exponent": "trimtab.training.measuring:LargestExponent",
    },
)

FAULTS = Registry(
    "fault",
    {
        "random_labels": "trimtab.training.faults:RandomLabels",
        "corrupted_data": "trimtab.training.faults:CorruptedData",
        "lr_jump": "trimtab.training.faults:LearningRateJump",
        "gradient_noise": "trimtab.training.faults:GradientNoise",
    },
    supplied=("vocabulary",),
)

REGISTRIES = {
    registry.kind: registry
    for registry in (
        DATA,
        TASKS,
        TOKENIZERS,
        MODELS,
        LOSSES,
        OPTIMIZERS,
        SCHEDULES,
        CONTROLLERS,
        HOOKS,
        INSTRUMENTS,
        FAULTS,
    )
}
