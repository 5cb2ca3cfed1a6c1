"""The components of training runs, by kind. One line here makes a component nameable in a config; nothing is imported yet."""

from trimtab.config.registry import Registry

DATA = Registry(
    "data",
    {"corpus": "trimtab.data.build:corpus", "task": "trimtab.data.tasks.build:task_data"},
    supplied=("tokenizer", "task", "events"),
)

TASKS = Registry(
    "task",
    {
        "arithmetic": "trimtab.data.tasks.arithmetic:Arithmetic",
        "urns": "trimtab.data.tasks.urns:Urns",
        "logic": "trimtab.data.tasks.logic:Logic",
        "spec": "trimtab.data.tasks.spec:Spec",
        "word_problems": "trimtab.data.tasks.word_problems:WordProblems",
        "gsm8k": "trimtab.data.tasks.gsm8k:GSM8K",
        "hub": "trimtab.data.tasks.hub:Hub",
        "jsonl": "trimtab.data.tasks.jsonl:JsonLines",
        "reasoning_gym": "trimtab.data.tasks.reasoning_gym:ReasoningGym",
    },
)

TOKENIZERS = Registry(
    "tokenizer",
    {
        "character": "trimtab.data.tokenizers:CharacterTokenizer",
        "file": "trimtab.data.tokenizers:FileTokenizer",
        "pretrained": "trimtab.data.tokenizers:PretrainedTokenizer",
    },
)

MODELS = Registry(
    "model",
    {
        "decoder": "trimtab.models.decoder:Decoder",
        "pretrained": "trimtab.models.pretrained.model:Pretrained",
    },
    supplied=("vocabulary", "context", "tokenizer"),
)

LOSSES = Registry(
    "loss",
    {
        "cross_entropy": "trimtab.losses.cross_entropy:CrossEntropy",
        "label_smoothing": "trimtab.losses.smoothing:LabelSmoothing",
        "uncertainty_smoothing": "trimtab.losses.smoothing:UncertaintySmoothing",
        "focal": "trimtab.losses.focal:Focal",
        "generalized_cross_entropy": "trimtab.losses.generalized:GeneralizedCrossEntropy",
        "weighted": "trimtab.losses.weighted:Weighted",
        "soft_tokens": "trimtab.losses.soft_tokens:SoftTokens",
        "number_token": "trimtab.losses.number_token:NumberToken",
        "ranked_probability": "trimtab.losses.ranked_probability:RankedProbability",
        "entropy": "trimtab.losses.entropy:Entropy",
        "confidence_penalty": "trimtab.losses.entropy:ConfidencePenalty",
        "mmce": "trimtab.losses.calibration:MaximumMeanCalibrationError",
        "soft_binned_ece": "trimtab.losses.calibration:SoftBinnedCalibrationError",
        "activation_sparsity": "trimtab.losses.activations:ActivationSparsity",
        "activation_norm": "trimtab.losses.activations:ActivationNorm",
        "sum": "trimtab.losses.total:Sum",
    },
    supplied=("token_values", "token_texts"),
)

OPTIMIZERS = Registry(
    "optimizer",
    {
        "adamw": "trimtab.training.builtins.optimizers:adamw",
        "sgd": "trimtab.training.builtins.optimizers:sgd",
        "adafactor": "trimtab.training.builtins.optimizers:adafactor",
        "muon": "trimtab.training.builtins.optimizers:muon",
    },
    supplied=("parameters",),
)

SCHEDULES = Registry(
    "schedule",
    {
        "constant": "trimtab.training.builtins.schedules:constant",
        "cosine": "trimtab.training.builtins.schedules:cosine",
        "linear": "trimtab.training.builtins.schedules:linear",
        "wsd": "trimtab.training.builtins.schedules:wsd",
    },
    supplied=("steps",),
)

CONTROLLERS = Registry(
    "regime_controller",
    {
        "none": "trimtab.regimes.controller:NoController",
        "thresholds": "trimtab.regimes.threshold_controller:ThresholdController",
        "spike_guard": "trimtab.regimes.spike_guard:SpikeGuard",
        "zclip": "trimtab.regimes.clipping:ZClip",
        "autoclip": "trimtab.regimes.clipping:AutoClip",
        "exploring": "trimtab.regimes.exploring:Exploring",
        "learned": "trimtab.regimes.learned:Learned",
    },
)

HOOKS = Registry(
    "hook",
    {
        "activation_stats": "trimtab.training.builtins.observers:ActivationStats",
        "collect_activations": "trimtab.training.builtins.observers:CollectActivations",
        "adagc": "trimtab.training.builtins.gradients:AdaGC",
        "gradient_clip": "trimtab.training.builtins.gradients:Clip",
        "gradient_identity": "trimtab.training.builtins.gradients:Identity",
        "gradient_noise": "trimtab.training.builtins.gradients:GradientNoiseInjection",
        "gradient_projection": "trimtab.training.builtins.gradients:SubspaceProjection",
        "sign_descent": "trimtab.training.builtins.learning_rules:SignDescent",
        "random_feedback": "trimtab.training.builtins.learning_rules:RandomFeedback",
    },
)

INSTRUMENTS = Registry(
    "instrument",
    {
        "sharpness": "trimtab.training.builtins.instruments:Sharpness",
        "critical_learning_rate": "trimtab.training.builtins.instruments:CriticalLearningRate",
        "noise_scale": "trimtab.training.builtins.instruments:GradientNoiseScale",
        "largest_exponent": "trimtab.training.builtins.instruments:LargestExponent",
    },
)

FAULTS = Registry(
    "fault",
    {
        "random_labels": "trimtab.training.builtins.faults:RandomLabels",
        "corrupted_data": "trimtab.training.builtins.faults:CorruptedData",
        "lr_jump": "trimtab.training.builtins.faults:LearningRateJump",
        "gradient_noise": "trimtab.training.builtins.faults:GradientNoise",
    },
    supplied=("vocabulary",),
)

REGISTRIES = (
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
