"""Handling of untrusted input and output: files, names and text that others wrote, and the libraries that parse them."""

from trimtab.boundary.files import (
    RECORD_LIMIT,
    NotRegularFileError,
    TooLargeError,
    folders_above,
    inside,
    kind_of_file,
    leads_outside,
    open_regular,
    open_to_write,
    read_regular,
    refuse_links,
)
from trimtab.boundary.foreign import foreign
from trimtab.boundary.json_stream import json_items
from trimtab.boundary.limited import LimitedError, run_limited
from trimtab.boundary.names import folder_name, is_plain_name
from trimtab.boundary.parent import exit_with_parent, identity
from trimtab.boundary.paths import path_text, user_path
from trimtab.boundary.strict_json import StrictJsonError, WrittenFloat, json_type_name, strict_json
from trimtab.boundary.tables import line_fault, table_fault
from trimtab.boundary.text import counted, csv_cell, is_unicode, listed, printable, shortened

__all__ = [
    "RECORD_LIMIT",
    "LimitedError",
    "NotRegularFileError",
    "StrictJsonError",
    "TooLargeError",
    "WrittenFloat",
    "counted",
    "csv_cell",
    "exit_with_parent",
    "folder_name",
    "folders_above",
    "foreign",
    "identity",
    "inside",
    "is_plain_name",
    "is_unicode",
    "json_items",
    "json_type_name",
    "kind_of_file",
    "leads_outside",
    "line_fault",
    "listed",
    "open_regular",
    "open_to_write",
    "path_text",
    "printable",
    "read_regular",
    "refuse_links",
    "run_limited",
    "shortened",
    "strict_json",
    "table_fault",
    "user_path",
]
