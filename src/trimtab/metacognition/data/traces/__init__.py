"""Reasoning traces that others published: the schemas of their rows, the files, and the task `traces`."""

from trimtab.metacognition.data.traces.task import Traces

__all__ = ["Traces"]
