"""The task `word_problems`."""

from trimtab.data.tasks.word_problems.task import WordProblems

__all__ = ["WordProblems"]
