"""Losses: plain tensors in, a weighted mean out."""

from trimtab.losses.cross_entropy import CrossEntropy
from trimtab.losses.module import Labels, LossModule, LossOutput

__all__ = ["CrossEntropy", "Labels", "LossModule", "LossOutput"]
