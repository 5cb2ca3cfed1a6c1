"""`trimtab train --dry-run`: everything up to the first step, and no folder."""

import json
from typing import Any

from pydantic import BaseModel

from trimtab.cli.output import deliver, say


def check_training(config: Any, *, allow_code: bool, as_json: bool) -> None:
    """Build the parts of a training run, data and model included, and say what they are. Writes no run."""
    from trimtab.config import allowing_code
    from trimtab.training.runs.assembly import assemble

    with allowing_code(allow_code):
        assembly = assemble(config)
    parameters = sum(parameter.numel() for parameter in assembly.model.parameters())
    trained = sum(parameter.numel() for parameter in assembly.model.parameters() if parameter.requires_grad)
    episode = assembly.config.episode
    facts = {"parameters": parameters, "trained": trained, "steps": episode.steps, "data": assembly.data.name}
    words = (
        f"{parameters:,} parameters"
        + ("" if trained == parameters else f", {trained:,} of them trained")
        + f"; {episode.steps:,} steps of {episode.batch_size * episode.accumulation} examples from {assembly.data.name}"
    )
    for line in assembly.data.report.lines():
        say(line, err=as_json)
    _valid(config, facts, words, as_json=as_json)


def check_kind(config: BaseModel, noun: str, *, as_json: bool) -> None:
    """Say that the config of another kind is valid; its parts are built when the run begins."""
    _valid(config, {"kind": noun}, f"a config of {noun}", as_json=as_json)


def _valid(config: Any, facts: dict[str, Any], words: str, *, as_json: bool) -> None:
    from trimtab.config import config_hash

    digest = config_hash(config)
    if as_json:
        deliver(json.dumps({"valid": True, "config_hash": digest, **facts}))
    else:
        say(f"valid: {words}. Config {digest[:12]}. Nothing was written.")
