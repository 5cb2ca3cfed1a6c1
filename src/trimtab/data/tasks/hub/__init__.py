"""The task `hub`: data sets of the Hugging Face `datasets` library."""

from trimtab.data.tasks.hub.task import Hub

__all__ = ["Hub"]
