"""Text from models: sampling, and batched completion of prompts of different lengths."""

from trimtab.generation.completion import Completion, complete, continuation
from trimtab.generation.sampling import generate

__all__ = ["Completion", "complete", "continuation", "generate"]
