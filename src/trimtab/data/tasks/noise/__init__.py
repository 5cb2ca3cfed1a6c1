"""Label noise added on purpose: wrong answers, ambiguous questions and coarse answers in known shares."""

from trimtab.data.tasks.noise.apply import TwoReadings, with_noise
from trimtab.data.tasks.noise.label_noise import LabelNoise

__all__ = ["LabelNoise", "TwoReadings", "with_noise"]
