"""A model's figures: loss, accuracy, calibration, and what its texts are like."""

from trimtab.evaluation.evaluate import evaluate
from trimtab.evaluation.text import sample_figures, word_set

__all__ = ["evaluate", "sample_figures", "word_set"]
