"""The child process of the launch screen: it loads torch, validates configs as the command line does, and lists every key.

It reads a request per line of standard input and answers each with a line of JSON.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trimtab.boundary import printable
from trimtab.boundary.own_code import allow_imports_from
from trimtab.config.canonical import config_hash
from trimtab.config.catalogue import all_components, config_keys
from trimtab.config.kinds import kind_named, run_kinds
from trimtab.config.load import load_root, recorded_root, resolve_root
from trimtab.config.overrides import apply_overrides
from trimtab.config.wording import Source
from trimtab.errors import ConfigError, TrimtabError
from trimtab.records.experiment_spec import ExperimentSpec
from trimtab.records.manifest import Manifest

EXPERIMENT, FORK = "experiment", "fork"


def catalogue() -> dict[str, Any]:
    """The keys of every kind of run and of experiments, and every component."""
    keys = {name: [asdict(key) for key in config_keys(kind.schema)] for name, kind in run_kinds().items()}
    keys[EXPERIMENT] = [asdict(key) for key in config_keys(ExperimentSpec) if key.key != "base"]
    return {"keys": keys, "components": [asdict(component) for component in all_components()]}


def checked(request: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved config of a draft, its hash as a run records it; or the words of the error that the command line prints."""
    base = None if request.get("base") is None else Path(request["base"])
    try:
        config, digest = _resolved(str(request["kind"]), base, list(request["overrides"]))
    except TrimtabError as error:
        return {"error": printable(str(error))}
    return {"config": config, "hash": digest}


def _resolved(kind: str, base: Path | None, overrides: Iterable[str]) -> tuple[dict[str, Any], str]:
    if kind == EXPERIMENT:
        from trimtab.experiments import load_experiment

        if base is None:
            raise ConfigError("An experiment needs a config file. Choose one with b.")
        spec = load_experiment(base, overrides).model_dump(mode="json")
        return spec, config_hash(spec)
    if kind == FORK:
        return _forked(base or Path(), overrides)
    chosen = kind_named(kind)
    if base is None and not chosen.steps:
        raise ConfigError(f"For {chosen.noun} a config file is needed. Choose one with b.")
    config = load_root(chosen.schema, base, overrides)
    values = config.model_dump(mode="json")
    if not chosen.steps:
        return values, config_hash(values)
    from trimtab.training.runs.assembly import on_this_machine

    return values, config_hash(on_this_machine(config).model_dump(mode="json"))  # type: ignore[arg-type]


def _forked(run: Path, overrides: Iterable[str]) -> tuple[dict[str, Any], str]:
    manifest = Manifest.read(run / "manifest.json")
    kind = kind_named(manifest.kind, f"{run}: ")
    old = recorded_root(kind.schema, manifest.config, manifest.config_hash, str(run / "manifest.json"))
    data = deepcopy(old.model_dump(mode="json"))
    apply_overrides(data, overrides, kind.schema)
    values = resolve_root(kind.schema, data, Source("--set")).model_dump(mode="json")
    return values, config_hash(values)


def main() -> None:
    """Answer requests until standard input ends, which it does when the screen's process ends."""
    allow_imports_from([Path.cwd()])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing that a component prints comes between the answers
    for text in sys.stdin:
        request = json.loads(text)
        answer = catalogue() if request["ask"] == "catalogue" else checked(request)
        answers.write(json.dumps({"id": request["id"], **answer}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
