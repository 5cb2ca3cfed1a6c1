"""Frozen, typed configs; components by name; one hash for one config. Imports no torch."""

from typing import TYPE_CHECKING

from trimtab.lazy import lazy_names

if TYPE_CHECKING:
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
    from trimtab.config.kinds import REGISTRIES, RunKind, kind_named, run_kinds
    from trimtab.config.load import load_root, recorded_root, resolve_root
    from trimtab.config.nested import nested_components, resolve_component
    from trimtab.config.overrides import apply_overrides, set_key
    from trimtab.config.paths import missing_paths, path_keys
    from trimtab.config.permission import allowing_code
    from trimtab.config.registry import Registry
    from trimtab.config.schema import FILE_PATH, Component, Frozen, NestedComponent, component
    from trimtab.config.slots import slots_of
    from trimtab.errors import ConfigError, DataError, RunError, TrimtabError, WorkError

# Late, so that commands that only show records do not build the configs' schemas.
__getattr__ = lazy_names(
    __name__,
    {
        "allowing_code": "trimtab.config.permission",
        "apply_overrides": "trimtab.config.overrides",
        "canonical_json": "trimtab.config.canonical",
        "Component": "trimtab.config.schema",
        "component": "trimtab.config.schema",
        "config_hash": "trimtab.config.canonical",
        "ConfigError": "trimtab.errors",
        "DataError": "trimtab.errors",
        "DataMix": "trimtab.config.episode",
        "EarlyStopping": "trimtab.config.episode",
        "EpisodeConfig": "trimtab.config.episode",
        "FILE_PATH": "trimtab.config.schema",
        "Frozen": "trimtab.config.schema",
        "kind_named": "trimtab.config.kinds",
        "run_kinds": "trimtab.config.kinds",
        "load_root": "trimtab.config.load",
        "missing_paths": "trimtab.config.paths",
        "MonitorConfig": "trimtab.config.episode",
        "nested_components": "trimtab.config.nested",
        "NestedComponent": "trimtab.config.schema",
        "path_keys": "trimtab.config.paths",
        "recorded_root": "trimtab.config.load",
        "REGISTRIES": "trimtab.config.kinds",
        "Registry": "trimtab.config.registry",
        "resolve_component": "trimtab.config.nested",
        "resolve_root": "trimtab.config.load",
        "RewindConfig": "trimtab.config.episode",
        "RunError": "trimtab.errors",
        "RunKind": "trimtab.config.kinds",
        "SampleConfig": "trimtab.config.episode",
        "set_key": "trimtab.config.overrides",
        "slots_of": "trimtab.config.slots",
        "TaskEvalConfig": "trimtab.config.episode",
        "TrimtabError": "trimtab.errors",
        "WorkError": "trimtab.errors",
    },
)

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
    "load_root",
    "missing_paths",
    "nested_components",
    "path_keys",
    "recorded_root",
    "resolve_component",
    "resolve_root",
    "run_kinds",
    "set_key",
    "slots_of",
]
