"""Frozen, typed configs; components by name; one hash for one config. Imports no torch."""

from trimtab.config.canonical import canonical_json, config_hash
from trimtab.config.changes import changed_keys
from trimtab.config.components import REGISTRIES
from trimtab.config.load import load_config, resolve_config
from trimtab.config.nested import nested_components, resolve_component
from trimtab.config.overrides import apply_overrides, set_key
from trimtab.config.paths import absolute_paths, missing_paths, path_keys
from trimtab.config.permission import allowing_code
from trimtab.config.registry import Registry
from trimtab.config.schema import (
    FILE_PATH,
    Component,
    DataMix,
    EarlyStopping,
    EpisodeConfig,
    ExamConfig,
    HookComponent,
    MonitorConfig,
    NestedComponent,
    RewindConfig,
    RunConfig,
    SampleConfig,
)
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
    "ExamConfig",
    "HookComponent",
    "MonitorConfig",
    "NestedComponent",
    "Registry",
    "RewindConfig",
    "RunConfig",
    "RunError",
    "SampleConfig",
    "TrimtabError",
    "WorkError",
    "absolute_paths",
    "allowing_code",
    "apply_overrides",
    "canonical_json",
    "changed_keys",
    "config_hash",
    "load_config",
    "missing_paths",
    "nested_components",
    "path_keys",
    "resolve_component",
    "resolve_config",
    "set_key",
    "slots_of",
]
