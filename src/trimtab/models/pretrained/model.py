"""The model component `pretrained`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from trimtab.config.model_paths import AllowHub, ModelPath, ModelPathComponent, check_hub
from trimtab.errors import ConfigError
from trimtab.models.pretrained.adaptation import Adaptation, Full, adapt_network, check_parts
from trimtab.models.pretrained.files import model_files
from trimtab.models.pretrained.forward import HALF, network_logits
from trimtab.models.pretrained.loading import load_network, positions_of
from trimtab.models.pretrained.probe import empty_cache
from trimtab.models.pretrained.properties import checked_probe


class Pretrained(ModelPathComponent, nn.Module):
    """A causal language model of the transformers library, trained in part or in full.

    `network` is the library's own module, `source` the folder or file it came from. `context` is the longest sequence that
    it reads, `vocabulary` the number of tokens that it gives logits for (that of the tokenizer; the embedding may have more
    rows). `fingerprint` is the SHA-256 of the base weights and their config, `lr_multipliers` the learning-rate factor of
    every trained parameter by name; all other parameters are frozen.

    `compute_dtype` is a run-time setting. None: everything in fp32 (16-bit weights are converted). bf16: matrix products run
    under autocast; the residual stream and norms stay fp32; logits are computed in bf16 and returned as fp32; trained parameters
    are fp32, and frozen matrices are converted to bf16, which rounds them permanently.

    Padding may be on either side: positions are counted over real tokens. Dropout is the network's own and draws from
    torch's global generator, as do the initial weights of low-rank additions.
    """

    def __init__(
        self,
        *,
        vocabulary: int | None = None,
        context: int | None = None,
        path: ModelPath,
        adapt: Annotated[
            tuple[Adaptation, ...],
            Field(
                min_length=1,
                description="The parts to train: a list of {name: full}, {name: last_layers, layers: K}, {name: norms}, "
                "{name: embeddings} and {name: lora, rank: 8, alpha: 16, dropout: 0, targets: null}, each with an `lr`, its "
                "learning rate as a multiple of the optimiser's. For a parameter in several parts the last one decides.",
            ),
        ] = (Full(),),
        recompute: Annotated[
            bool,
            Field(description="Recompute activations inside the blocks in the backward pass: less memory, more time."),
        ] = False,
        allow_hub: AllowHub = False,
    ) -> None:
        super().__init__()
        check_hub({"path": path, "allow_hub": allow_hub})
        files = model_files(path)
        self.source, self.fingerprint = files.shown, files.fingerprint()
        self.network = load_network(files)
        self._compute_dtype: torch.dtype | None = None
        self._converted, self._memory_mapped = False, True
        probe_result = checked_probe(self.network, files.shown, self.fingerprint)
        longest, self.drops_rows = probe_result.context, probe_result.drops_rows
        rows = int(self._network.get_input_embeddings().weight.shape[0])
        self.vocabulary = rows if vocabulary is None else vocabulary
        if self.vocabulary > rows:
            raise ConfigError(
                f"model.path: the tokenizer has {self.vocabulary} tokens, but the model in {files.shown} has only {rows}. Use "
                f"the model's own tokenizer: data.tokenizer={{name: pretrained, path: {files.folder}}}."
            )
        if longest is not None and context is not None and context > longest:
            in_config = positions_of(self.network)
            why = (
                f" (its config says {in_config}, but beyond {longest} a row's logits depend on the longest row of its batch)"
                if longest != in_config
                else ""
            )
            raise ConfigError(
                f"data.context is {context} tokens, but the model in {files.shown} reads at most {longest}{why}. "
                f"Set data.context to at most {longest}."
            )
        self.context = longest or context or 1 << 20
        self.lr_multipliers = {f"network.{name}": lr for name, lr in adapt_network(self.network, adapt).items()}
        if recompute:
            # Earlier releases of transformers know only the second name.
            new, old = "activation_checkpointing_enable", "gradient_checkpointing_enable"
            getattr(self.network, new if hasattr(self.network, new) else old)({"use_reentrant": False})
            self._network.disable_input_require_grads()  # a hook that only reentrant recomputation needs

    @staticmethod
    def base_fingerprint(*, path: str) -> str:
        """The `fingerprint` of the model at `path`, which is not loaded. Raises `DataError` as `model_files` does."""
        return model_files(path).fingerprint()

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse parameters that do not fit together.

        Raises:
            ValueError: one sentence that names the key.
        """
        super().check(parameters)
        check_parts([part["name"] for part in parameters["adapt"]])

    @property
    def compute_dtype(self) -> torch.dtype | None:
        """The precision of the matrix products; None is fp32."""
        return self._compute_dtype

    @compute_dtype.setter
    def compute_dtype(self, dtype: torch.dtype | None) -> None:
        self._compute_dtype = dtype
        self._convert_frozen()

    def unchanged_weights(self) -> frozenset[str]:
        """The names of the frozen parameters, whose values are in the model's files."""
        return frozenset(name for name, parameter in self.named_parameters() if not parameter.requires_grad)

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        attention_mask: Bool[Tensor, "batch seq"] | Int[Tensor, "batch seq"] | None = None,
    ) -> Float[Tensor, "batch seq vocab"]:
        """The logits of the token after each position, in fp32; logits at padded positions are meaningless.

        Raises:
            ValueError: the sequence is longer than `context`.
        """
        self._check_length(input_ids.shape[1])
        return self._logits(input_ids, attention_mask, use_cache=False)

    def empty_cache(self, capacity: int | None = None) -> Any:
        """An empty cache for `extend`; it grows as needed, and `capacity` is ignored."""
        del capacity
        return empty_cache(self.network)

    def extend(
        self,
        input_ids: Int[Tensor, "batch new"],
        cache: Any,
        attention_mask: Bool[Tensor, "batch all"] | Int[Tensor, "batch all"] | None = None,
        *,
        last: bool = False,
    ) -> Float[Tensor, "batch some vocab"]:
        """The logits after `input_ids`, which follow the tokens in `cache` and are added to it. Without dropout.

        `attention_mask` covers the cached tokens and `input_ids`, and is true at real tokens. `last` gives the logits of the
        last position only, [batch, 1, vocab].

        Raises:
            ValueError: there are more tokens than `context`.
        """
        if attention_mask is None:
            self._check_length(int(cache.get_seq_length()) + input_ids.shape[1])
        else:
            self._check_length(int(attention_mask.sum(dim=1).max()))
        with self._evaluating():
            return self._logits(input_ids, attention_mask, last=last, use_cache=True, past_key_values=cache)

    def keep_rows(self, cache: Any, rows: Int[Tensor, " kept"]) -> None:
        """Keep only `rows` of a cache. Call only if `drops_rows` is true."""
        cache.batch_select_indices(rows)

    def save(self, folder: str | Path, *, adapter: bool = False) -> None:
        """Write the model to a new folder that transformers loads; see `saving.save_model`."""
        from trimtab.models.pretrained.saving import save_model

        save_model(self, folder, adapter=adapter)

    @property
    def _network(self) -> Any:
        """The network typed as Any, because nn.Module lacks transformers' methods."""
        return self.network

    def _logits(
        self, input_ids: Tensor, attention_mask: Tensor | None, **options: Any
    ) -> Float[Tensor, "batch some vocab"]:
        if not self._converted:
            self._convert_frozen()
        logits = network_logits(self.network, input_ids, attention_mask, dtype=self._compute_dtype, **options)
        logits = logits[..., : self.vocabulary]
        return logits.float() if logits.dtype in HALF else logits

    def _convert_frozen(self) -> None:
        """Convert the frozen parameters to the precision of `compute_dtype`."""
        narrowed = False
        for parameter in self.network.parameters():
            # Norms and biases are small, so they are kept in fp32.
            narrow = self._compute_dtype is not None and parameter.ndim >= 2
            if parameter.requires_grad:
                continue
            if narrow and parameter.dtype != self._compute_dtype:
                parameter.data = parameter.data.to(self._compute_dtype)
                narrowed = True
            elif not narrow and parameter.dtype in HALF:
                parameter.data = parameter.data.float()
        if narrowed and self._memory_mapped:
            # The other parameters are views of the memory-mapped file, and one view keeps the whole file in memory.
            for parameter in self.network.parameters():
                if parameter.dtype != self._compute_dtype:
                    parameter.data = parameter.data.clone()
            self._memory_mapped = False
        self._converted = True

    def _check_length(self, length: int) -> None:
        if length > self.context:
            raise ValueError(f"a sequence of {length} tokens does not fit a context of {self.context}")

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        training = self.training
        if training:
            self.eval()
        try:
            yield
        finally:
            if training:
                self.train()
