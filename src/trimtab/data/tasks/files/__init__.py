"""Tasks whose problems are in files: rows, what their numbers are, and the bases of such tasks."""

from trimtab.data.tasks.files.roles import NumbersOf
from trimtab.data.tasks.files.rows import (
    LONGEST_LINE,
    BadRowError,
    LeftOutRowError,
    Row,
    checked_number,
    checked_text,
    existing_file,
    json_lines,
    json_lines_of,
    question_key,
    text_of,
    value_of,
)
from trimtab.data.tasks.files.task import FileTask, OnBadRow, ValidationPath, json_lines_sources

__all__ = [
    "LONGEST_LINE",
    "BadRowError",
    "FileTask",
    "LeftOutRowError",
    "NumbersOf",
    "OnBadRow",
    "Row",
    "ValidationPath",
    "checked_number",
    "checked_text",
    "existing_file",
    "json_lines",
    "json_lines_of",
    "json_lines_sources",
    "question_key",
    "text_of",
    "value_of",
]
