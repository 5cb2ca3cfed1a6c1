"""Losses: plain tensors in, a weighted mean out."""

from trimtab.losses.cross_entropy import CrossEntropy
from trimtab.losses.module import IGNORE, Bias, Labels, LossModule, LossOutput, StatedBias, TokenLoss

__all__ = ["IGNORE", "Bias", "CrossEntropy", "Labels", "LossModule", "LossOutput", "StatedBias", "TokenLoss"]
