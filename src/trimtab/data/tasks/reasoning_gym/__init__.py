"""The task `reasoning_gym`: generators of the package reasoning-gym."""

from trimtab.data.tasks.reasoning_gym.task import ReasoningGym

__all__ = ["ReasoningGym"]
