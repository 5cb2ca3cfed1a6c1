"""The model component `trained`: the model of a finished run, to be trained further by another run."""

from typing import Annotated

from pydantic import Field
from torch import nn

from trimtab.config.schema import FILE_PATH
from trimtab.data import Tokenizer
from trimtab.errors import ConfigError
from trimtab.models import Decoder
from trimtab.posttraining.run_model import run_model, snapshot_of
from trimtab.records import tensors_sha256

RunPath = Annotated[
    str,
    Field(
        min_length=1, description="the folder of the run whose model is trained further", json_schema_extra=FILE_PATH
    ),
]
Dropout = Annotated[
    float | None,
    Field(
        ge=0, lt=1, description="dropout of a decoder in this run; null: that of the run it comes from. 0 is usual here"
    ),
]
Step = Annotated[int | None, Field(ge=0, description="the step of the checkpoint; null: the newest")]


def trained(
    *, tokenizer: Tokenizer, context: int, run: RunPath, step: Step = None, dropout: Dropout = None
) -> nn.Module:
    """The model of a run at one of its checkpoints, such as the result of supervised fine-tuning before preferences are learned.

    Optimiser, schedule and data are those of the new run, which needs the folder of the old one to resume. A pretrained model is
    exported first. Raises `ConfigError` for a run with another tokenizer, a shorter context, or a pretrained model.
    """
    loaded = run_model(run, step)
    if loaded.tokenizer.fingerprint != tokenizer.fingerprint:
        raise ConfigError(
            f"model.run: the run in {run} has another tokenizer ({loaded.tokenizer.name}) than this run ({tokenizer.name}). Use "
            "its data.tokenizer."
        )
    if hasattr(loaded.network, "unchanged_weights"):
        raise ConfigError(
            f"model.run: the run in {run} trains a pretrained model. Export it (trimtab models export {run} --out DIR), then use "
            "model={name: pretrained, path: DIR}."
        )
    if context > loaded.context:
        raise ConfigError(
            f"model.run: the model of the run in {run} reads at most {loaded.context} tokens, but data.context is {context}. Set "
            f"data.context to at most {loaded.context}."
        )
    if dropout is not None:
        if not isinstance(loaded.network, Decoder):
            raise ConfigError(
                f"model.dropout: the run in {run} trains a {type(loaded.network).__name__}, whose dropout cannot be "
                "changed here. Leave it out."
            )
        loaded.network.dropout = dropout
    # The run records what it began from, and is not continued from anything else.
    setattr(loaded.network, "fingerprint", loaded.weights)  # noqa: B010 - an attribute of this instance alone
    setattr(loaded.network, "unchanged_weights", frozenset)  # noqa: B010
    return loaded.network.train()


def _fingerprint(*, run: str, step: int | None) -> str:
    """SHA-256 of the weights that the new run begins from."""
    return tensors_sha256(snapshot_of(run, step).model)


trained.base_fingerprint = _fingerprint  # type: ignore[attr-defined]
