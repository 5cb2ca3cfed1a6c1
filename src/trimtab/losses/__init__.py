"""Losses: plain tensors in, a weighted mean out."""

from trimtab.losses.claims import Bias, Claim
from trimtab.losses.cross_entropy import CrossEntropy
from trimtab.losses.module import IGNORE, Labels, LossModule, LossOutput, TokenLoss

__all__ = ["IGNORE", "Bias", "Claim", "CrossEntropy", "Labels", "LossModule", "LossOutput", "TokenLoss"]
