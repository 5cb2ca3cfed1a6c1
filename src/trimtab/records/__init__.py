"""What a run leaves behind: manifests, JSONL, the lock, the index, exports and comparisons. Imports no torch before it must."""

from trimtab.records.atomic import (
    atomic_directory,
    clean_leftovers,
    remove_tree_atomically,
    write_bytes,
    write_json,
    write_text,
)
from trimtab.records.compare import (
    ABSENT,
    VOLATILE,
    Difference,
    config_delta,
    first_difference,
    refuse_changes,
    rows_difference,
)
from trimtab.records.environment import (
    NUMERIC_KEYS,
    code_state,
    environment,
    environment_differences,
    numeric_differences,
    peak_rss_mb,
    rss_mb,
)
from trimtab.records.export import export_csv, export_tensorboard
from trimtab.records.hashing import file_sha256, package_source_hash, source_hash, tensors_sha256
from trimtab.records.jsonl import HalfLine, JsonlReader, JsonlWriter, last_row, read_rows, truncate
from trimtab.records.ledger import RunRow, find, runs
from trimtab.records.lock import RunLock
from trimtab.records.manifest import DataRecord, HookRecord, Manifest, Parent, Status, Summary, new_run_id, now
from trimtab.records.run_directory import RunDirectory, RunStatus
from trimtab.records.values import flatten, to_json

__all__ = [
    "ABSENT",
    "NUMERIC_KEYS",
    "VOLATILE",
    "DataRecord",
    "Difference",
    "HalfLine",
    "HookRecord",
    "JsonlReader",
    "JsonlWriter",
    "Manifest",
    "Parent",
    "RunDirectory",
    "RunLock",
    "RunRow",
    "RunStatus",
    "Status",
    "Summary",
    "atomic_directory",
    "clean_leftovers",
    "code_state",
    "config_delta",
    "environment",
    "environment_differences",
    "export_csv",
    "export_tensorboard",
    "file_sha256",
    "find",
    "first_difference",
    "flatten",
    "last_row",
    "new_run_id",
    "now",
    "numeric_differences",
    "package_source_hash",
    "peak_rss_mb",
    "read_rows",
    "refuse_changes",
    "remove_tree_atomically",
    "rows_difference",
    "rss_mb",
    "runs",
    "source_hash",
    "tensors_sha256",
    "to_json",
    "truncate",
    "write_bytes",
    "write_json",
    "write_text",
]
