"""Log probabilities of answers under a reference model, computed once and kept in the cache."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float64
from pydantic import Field
from torch import Tensor, nn

from trimtab.boundary import foreign, path_text, read_regular
from trimtab.config.canonical import canonical_json
from trimtab.config.kinds import REGISTRIES
from trimtab.config.model_paths import cache_folder, expanded_path
from trimtab.config.schema import FILE_PATH
from trimtab.data import IGNORE, Tokenizer, collate
from trimtab.data.durable import write_durably
from trimtab.errors import ConfigError, DataError
from trimtab.models import logits_of
from trimtab.posttraining.data.encoding import Encoded
from trimtab.posttraining.log_probs import answer_log_probs
from trimtab.runtime.device import apply_precision, autocast
from trimtab.runtime.events import OnEvent, Progress

ReferencePath = Annotated[
    str | None,
    Field(
        min_length=1,
        description="the reference model of the objective: the folder of a run (its newest checkpoint) or of a pretrained model, "
        "or the name of an imported model. It must have the tokenizer of this run. null: none, for objectives without one",
        json_schema_extra=FILE_PATH,
    ),
]
ReferencePrecision = Annotated[
    Literal["fp32", "bf16"], Field(description="precision of the reference's matrix products")
]

_TOKENS = 4096
"""The most tokens (padding included) of a batch of the reference."""


def expand_reference(parameters: dict[str, Any]) -> dict[str, Any]:
    """The registry's hook: `reference` with an imported model's name replaced by its folder."""
    reference = parameters.get("reference")
    if not isinstance(reference, str):
        return parameters
    return {**parameters, "reference": expanded_path({"path": reference})["path"]}


@dataclass(frozen=True)
class ReferenceLogProbs:
    """The log probability of each row's labels, in nats, and the key under which they are kept."""

    values: Float64[np.ndarray, " rows"]
    key: str
    shown: str


@dataclass(frozen=True)
class _Model:
    """A loaded reference and the identity of its weights."""

    network: nn.Module
    weights: str
    context: int


class Reference:
    """A reference model by its folder; it is loaded when `log_probs` does not find its values in the cache."""

    def __init__(self, path: str, precision: Literal["fp32", "bf16"], tokenizer: Tokenizer, template: str) -> None:
        self.path, self.precision, self.tokenizer, self.template = Path(path), precision, tokenizer, template

    def log_probs(self, rows: Sequence[Encoded], events: OnEvent | None = None) -> ReferenceLogProbs:
        """The log probabilities of rows, from the cache if they are there.

        Raises `ConfigError` if the reference does not exist or has another tokenizer, and `DataError` if a row is longer than
        its context or the cache is damaged.
        """
        if not self.path.exists():
            raise ConfigError(
                f"data.reference: there is no model in {path_text(self.path)}. Name the folder of a run or of a pretrained model."
            )
        model = self._run_model() if (self.path / "manifest.json").is_file() else None
        weights = self._pretrained_fingerprint() if model is None else model.weights
        key = reference_key(
            weights=weights,
            tokenizer=self.tokenizer.fingerprint,
            template=self.template,
            data=rows_fingerprint(rows),
            precision=self.precision,
        )
        file = cache_folder() / "references" / f"{key}.safetensors"
        values = read_cached(file, len(rows)) if file.exists() else None
        if values is None:
            values = compute(model or self._pretrained_model(weights), rows, self.precision, events)
            _write(file, values)
        return ReferenceLogProbs(values, key, path_text(self.path))

    def _run_model(self) -> _Model:
        from trimtab.posttraining.run_model import run_model

        loaded = run_model(self.path)
        if loaded.tokenizer.fingerprint != self.tokenizer.fingerprint:
            raise ConfigError(
                f"data.reference: the run in {path_text(self.path)} has another tokenizer ({loaded.tokenizer.name}) than this "
                f"run ({self.tokenizer.name}), so its log probabilities are of other tokens. Use a reference with this tokenizer."
            )
        return _Model(loaded.network, loaded.weights, loaded.context)

    def _pretrained_fingerprint(self) -> str:
        from trimtab.models.pretrained.model import Pretrained

        return Pretrained.base_fingerprint(path=str(self.path))

    def _pretrained_model(self, weights: str) -> _Model:
        self._check_tokenizer()
        registry = REGISTRIES["model"]
        spec = registry.resolve({"name": "pretrained", "path": str(self.path)})
        model = registry.build(spec, vocabulary=self.tokenizer.vocabulary, context=None)
        return _Model(model, weights, int(model.context))

    def _check_tokenizer(self) -> None:
        """Raise `ConfigError` if the folder of a pretrained reference has a tokenizer with other ids than the run's."""
        if not (self.path / "tokenizer.json").is_file():
            return
        from trimtab.data import PretrainedTokenizer

        own = PretrainedTokenizer(path=str(self.path))
        if own.vocabulary != self.tokenizer.vocabulary or list(own.texts()) != list(self.tokenizer.texts()):
            raise ConfigError(
                f"data.reference: the model in {path_text(self.path)} has another tokenizer than this run "
                f"({self.tokenizer.name}), so its log probabilities are of other tokens. Use a reference with this tokenizer."
            )


def reference_key(*, weights: str, tokenizer: str, template: str, data: str, precision: str) -> str:
    """The key of cached log probabilities: a hash of all that determines them."""
    known = {"weights": weights, "tokenizer": tokenizer, "template": template, "data": data, "precision": precision}
    return hashlib.sha256(f"reference 1 {canonical_json(known)}".encode()).hexdigest()


def rows_fingerprint(rows: Sequence[Encoded]) -> str:
    """SHA-256 of the tokens and labels of rows, in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(len(row.ids).to_bytes(8, "big") + row.ids.tobytes() + row.labels.tobytes())
    return digest.hexdigest()


@torch.no_grad()
def compute(
    model: _Model, rows: Sequence[Encoded], precision: str, events: OnEvent | None = None
) -> Float64[np.ndarray, " rows"]:
    """The log probability of each row's labels, in batches of rows of similar length."""
    network = model.network.eval()
    apply_precision(network, precision)
    longest = max(len(row.ids) for row in rows)
    if longest > model.context:
        raise DataError(
            f"data.reference: a row has {longest} tokens, and the reference reads at most {model.context}. Set a smaller "
            "data.context, or use another reference."
        )
    values = np.zeros(len(rows), dtype=np.float64)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    done = 0
    while done < len(order):
        size = max(1, _TOKENS // len(rows[order[done]].ids))
        while size > 1 and size * len(rows[order[min(done + size, len(order)) - 1]].ids) > _TOKENS:
            size -= 1
        part = order[done : done + size]
        values[part] = _of_batch(network, [rows[index] for index in part], precision)
        done += size
        if events is not None:
            events(Progress("reference log probabilities", "row", done, len(order)))
    return values


def _of_batch(network: nn.Module, rows: Sequence[Encoded], precision: str) -> Float64[np.ndarray, " rows"]:
    tensors = [row.tensors() for row in rows]
    batch = collate([{"input_ids": ids, "labels": labels, "metadata": {}} for ids, labels in tensors])
    shifted = batch.shifted()
    device = next(network.parameters()).device
    mask = None if shifted.attention_mask is None else shifted.attention_mask.to(device)
    with autocast(network, device.type, precision):
        logits = logits_of(network(shifted.input_ids.to(device), mask))
    labels = shifted.labels.to(device)
    assert bool((labels != IGNORE).any())
    found, _ = answer_log_probs("reference", logits, labels)
    result: Float64[np.ndarray, " rows"] = found.total.double().cpu().numpy()
    return result


def read_cached(file: Path, rows: int) -> Float64[np.ndarray, " rows"]:
    """Cached log probabilities. Raises `DataError` for a file that is damaged."""
    from safetensors.torch import load

    def message(reason: str) -> str:
        return f"The cached log probabilities in {path_text(file)} are damaged ({reason}). Delete the file; it is made again."

    with foreign(DataError, message):
        tensors: dict[str, Tensor] = load(read_regular(file))
    found = tensors.get("log_probs")
    if found is None or found.shape != (rows,) or found.dtype != torch.float64:
        raise DataError(message(f"it does not have {rows} numbers"))
    result: Float64[np.ndarray, " rows"] = found.numpy()
    return result


def _write(file: Path, values: Float64[np.ndarray, " rows"]) -> None:
    from safetensors.torch import save

    write_durably(file, save({"log_probs": torch.from_numpy(values)}))
