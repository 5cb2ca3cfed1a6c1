"""What decides a run's numbers, and whether it has changed since a run was recorded.

The conditions of a run are its config, the content of its data, the weights that it begins from, the source of Trimtab and of
the user's components, and the numeric environment.
"""

from dataclasses import dataclass
from typing import Any

from trimtab.config import REGISTRIES, nested_components, path_keys, slots_of
from trimtab.random import Streams
from trimtab.records import Manifest, config_delta, environment, numeric_differences, source_hash
from trimtab.runtime.device import set_numerics
from trimtab.runtime.events import OnEvent
from trimtab.runtime.nested import base_fingerprint
from trimtab.training.config import RunConfig
from trimtab.training.loop.hooks import HookSet
from trimtab.training.runs.assembly import (
    Assembly,
    build_data,
    build_model,
    build_task,
    build_tokenizer,
    on_this_machine,
)
from trimtab.version import __version__


@dataclass(frozen=True)
class Conditions:
    """What decides a run's numbers, as a manifest records it.

    `base_fingerprint` is that of the files that the model begins from, None for a model that is initialised at random.
    """

    config: RunConfig
    data_fingerprint: str
    base_fingerprint: str | None
    hooks: list[dict[str, Any]]
    components: list[dict[str, str]]
    environment: dict[str, Any]


def conditions_of(assembly: Assembly) -> Conditions:
    """The conditions of a run that is made of these parts."""
    model = base_fingerprint(assembly.model)
    return _conditions(assembly.config, assembly.data.fingerprint, model, assembly.hooks.listing)


def conditions_now(config: RunConfig, events: OnEvent | None = None) -> Conditions:
    """The conditions of a run that would start from a resolved config now.

    Data and model are not built: their fingerprints come from the content of the files that they are made of. Only a component
    of the user's own that offers no fingerprint is built. Raises `ConfigError` and `DataError`.
    """
    config = on_this_machine(config)
    assert isinstance(config.threads, int)
    set_numerics(config.device, config.threads)
    return _conditions(
        config, _data_fingerprint(config, events), _base_fingerprint(config), HookSet(config.hooks).listing
    )


def _conditions(
    config: RunConfig, data_fingerprint: str, base_fingerprint: str | None, hooks: list[dict[str, Any]]
) -> Conditions:
    assert isinstance(config.threads, int)
    numeric = environment(config.threads, config.episode.precision, config.device)
    return Conditions(config, data_fingerprint, base_fingerprint, hooks, _own_components(config), numeric)


def _data_fingerprint(config: RunConfig, events: OnEvent | None) -> str:
    registry, spec = REGISTRIES["data"], config.data.own_spec
    fingerprint = getattr(registry.load(config.data.name), "fingerprint", None)
    if fingerprint is None:
        return build_data(config, events).fingerprint
    supplied = {"tokenizer": build_tokenizer(config), "task": build_task(config), "events": events}
    return str(registry.call(fingerprint, spec, **supplied))


def _base_fingerprint(config: RunConfig) -> str | None:
    registry = REGISTRIES["model"]
    factory = registry.load(config.model.name)
    if (fingerprint := getattr(factory, "base_fingerprint", None)) is not None:
        found: str | None = registry.call(fingerprint, config.model.spec)
        return found
    if isinstance(factory, type) and not hasattr(factory, "unchanged_weights"):  # see `HasBaseWeights`
        return None
    return base_fingerprint(build_model(config, build_tokenizer(config), Streams(config.seed)))


def _own_components(config: RunConfig) -> list[dict[str, str]]:
    """Kind, name and source hash of every component but hooks that the config names by a dotted path."""
    own = []
    for slot in slots_of(RunConfig):
        here: Any = config
        for part in slot.path:
            here = getattr(here, part)
        for component in here if slot.many else [here]:
            if slot.kind == "hook" or component is None:
                continue
            for kind, spec in [(slot.kind, component.spec), *nested_components(slot.kind, component.spec)]:
                if ":" in (name := spec["name"]):
                    factory = REGISTRIES[kind].load(name)
                    own.append({"kind": kind, "name": name, "source_hash": source_hash(factory)})
    return own


def _is_pinned(config: RunConfig, key: str) -> bool:
    """Whether the component that holds the path `key` also holds the SHA-256 of what is there."""
    here: Any = config.model_dump(mode="json")
    for part in key.split(".")[:-1]:
        here = here[int(part)] if isinstance(here, list) else here[part]
    return here.get("sha256") is not None


_CONFIGURED = ("threads", "precision", "device")
"""What the environment repeats of the config, so a change of it is reported there."""


def differences(manifest: Manifest, now: Conditions) -> list[str]:
    """What differs between the conditions in a run's manifest and those of now, each as one phrase.

    A path that has changed is not a difference if the data, or the pretrained model, has the same content, or if the config
    pins the content by a `sha256` beside the path.
    """
    recorded = manifest.environment
    same_data = manifest.data.fingerprint == now.data_fingerprint
    base_then = manifest.model.fingerprint if manifest.model is not None else None
    same_content = {"data": same_data, "model": base_then is not None and base_then == now.base_fingerprint}
    moved = tuple(
        f"{key}."
        for key in path_keys(now.config)
        if same_content.get(key.partition(".")[0]) or _is_pinned(now.config, key)
    )
    changes = [
        f"config {key}: {before!r} then, {after!r} now"
        for key, before, after in config_delta(manifest.config, now.config.model_dump(mode="json"))
        if not f"{key}.".startswith(moved)
    ]
    if not same_data:
        changes.append(
            f"the corpus: {manifest.data.name} had fingerprint {manifest.data.fingerprint[:12]}… then, "
            f"{now.data_fingerprint[:12]}… now"
        )
    if base_then != now.base_fingerprint:
        short = [fingerprint[:12] + "…" if fingerprint else "none" for fingerprint in (base_then, now.base_fingerprint)]
        changes.append(f"the weights that the model begins from: fingerprint {short[0]} then, {short[1]} now")
    if recorded.get("source_hash") != now.environment["source_hash"]:
        changes.append(f"Trimtab's code: version {manifest.trimtab} then, {__version__} now, and another source hash")
    for before, after in zip(manifest.hooks, now.hooks, strict=False):
        if before.name == after["name"] and before.source_hash != after["source_hash"]:
            changes.append(f"the source of the hook '{before.name}'")
    hashes = {(one.kind, one.name): one.source_hash for one in manifest.components}
    for own in now.components:
        before_hash = hashes.get((own["kind"], own["name"]))
        if before_hash is not None and before_hash != own["source_hash"]:
            changes.append(f"the source of the {own['kind']} '{own['name']}'")
    numeric = [one for one in numeric_differences(recorded, now.environment) if one[0] not in _CONFIGURED]
    return changes + [f"{key}: {a!r} then, {b!r} now" for key, a, b in numeric]
