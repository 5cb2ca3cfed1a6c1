"""Frozen, typed configs; components by name; one hash for one config. Imports no torch."""

from trimtab.config.canonical import canonical_json, config_hash
from trimtab.config.episode import (
    DataMix,
    EarlyStopping,
    EpisodeConfig,
    MonitorConfig,
    RewindConfig,
    SampleConfig,
    TaskEvalConfig,
)
from trimtab.config.kinds import REGISTRIES, RunKind, kind_named, kinds
from trimtab.config.load import load_root, recorded_root, resolve_root
from trimtab.config.nested import nested_components, resolve_component
from trimtab.config.overrides import apply_overrides, set_key
from trimtab.config.paths import missing_paths, path_keys
from trimtab.config.permission import allowing_code
from trimtab.config.registry import Registry
from trimtab.config.schema import FILE_PATH, Component, Frozen, NestedComponent, component
from trimtab.config.slots import slots_of
from trimtab.errors import ConfigError, DataError, RunError, TrimtabError, WorkError

__all__ = [
    "FILE_PATH",
    "REGISTRIES",
    "Component",
    "ConfigError",
    "DataError",
    "DataMix",
    "EarlyStopping",
    "EpisodeConfig",
    "Frozen",
    "MonitorConfig",
    "NestedComponent",
    "Registry",
    "RewindConfig",
    "RunError",
    "RunKind",
    "SampleConfig",
    "TaskEvalConfig",
    "TrimtabError",
    "WorkError",
    "allowing_code",
    "apply_overrides",
    "canonical_json",
    "component",
    "config_hash",
    "kind_named",
    "kinds",
    "load_root",
    "missing_paths",
    "nested_components",
    "path_keys",
    "recorded_root",
    "resolve_component",
    "resolve_root",
    "set_key",
    "slots_of",
]
