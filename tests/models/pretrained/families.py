"""Every family of causal language models in the installed transformers library, tiny and random, through the probe.

`python -m tests.models.pretrained.families` prints which pass and which lack a property, for docs/pretrained.md; with family
names as arguments, only those.
"""

import contextlib
import io
import sys
import warnings
from typing import Any

import torch

from trimtab.config.offline import offline_import
from trimtab.models.pretrained.probe import probe

_SIZES: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), 160),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "embedding_size"), 32),
    **dict.fromkeys(("input_embedding_size", "output_embedding_size", "attention_hidden_size"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "moe_intermediate_size"), 48),
    **dict.fromkeys(("shared_expert_intermediate_size", "intermediate_size_mlp", "dense_intermediate_size"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), 2),
    **dict.fromkeys(("encoder_layers", "num_decoder_layers", "num_hidden_groups"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "num_kv_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "multi_query_group_num"), 2),
    **dict.fromkeys(("head_dim", "kv_channels", "d_kv", "v_head_dim", "qk_nope_head_dim", "global_head_dim"), 8),
    **dict.fromkeys(("qk_rope_head_dim", "rotary_dim"), 4),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "laurel_rank", "hidden_size_per_layer_input"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_target_positions", "max_seq_len"), 64),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "num_experts_per_token", "moe_k"), 2),
    **dict.fromkeys(("n_group", "topk_group"), 1),
    "first_k_dense_replace": 1,
    "num_kv_shared_layers": 0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "is_decoder": True,
}
_LARGEST = 20_000_000


_HYBRIDS = (
    *("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next", "qwen4_exp_text"),
    *("kimi_linear", "lfm3", "bailing_hybrid", "recurrent_gemma"),
)
"""Families whose first layers have no attention."""

_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {"mamba_n_heads": 8, "mamba_d_head": 8, "num_hidden_layers": 4} for name in ("bamba", "granitemoehybrid")},
    **{name: {"num_hidden_layers": 4} for name in _HYBRIDS},
    "dots1": {"moe_intermediate_size": 32, "n_shared_experts": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "jamba": {"num_hidden_layers": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8},
    "zaya": {"num_experts_per_tok": 1},
}
"""Options that some families need in addition to the sizes."""


def families() -> list[str]:
    """The names of all families."""
    transformers = offline_import("transformers")
    return sorted(transformers.models.auto.modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def tiny(family: str, **options: Any) -> Any:
    """A random network of a family. Raises whatever the library raises, and ValueError for one that stays large."""
    transformers = offline_import("transformers")
    kind = transformers.models.auto.configuration_auto.CONFIG_MAPPING[family]
    config = kind(**_sizes(kind().to_dict()) | _OPTIONS.get(family, {}) | options)
    with torch.device("meta"):
        large = sum(p.numel() for p in transformers.AutoModelForCausalLM.from_config(config).parameters())
    if large > _LARGEST:
        raise ValueError(f"{large:,} parameters")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = transformers.AutoModelForCausalLM.from_config(config)
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape), alpha=0.1)
    return network.eval()


def _sizes(known: dict[str, Any]) -> dict[str, Any]:
    """Small sizes for the keys of a config, in nested configs too."""
    sizes = {name: value for name, value in _SIZES.items() if name in known}
    if "kv_lora_rank" in known:  # multi-head latent attention: a key per head, and head_dim is that of the rotated part
        sizes |= {"num_key_value_heads": 4} | ({"head_dim": 4} if "head_dim" in known else {})
    nested = {
        name: _sizes(value) for name, value in known.items() if name.endswith("_config") and isinstance(value, dict)
    }
    return sizes | nested


def outcome(family: str) -> str:
    """`passes`, `not built: …`, or the properties that a family lacks."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            network = tiny(family)
        except Exception as error:  # noqa: BLE001 - whatever the library raises for sizes that do not fit
            return f"not built: {type(error).__name__}: {' '.join(str(error).split())[:160]}"
        failures = probe(network).failures
    return "; ".join(f"{name}: {sentence}" for name, sentence in failures.items()) or "passes"


if __name__ == "__main__":
    for name in sys.argv[1:] or families():
        print(name, "|", outcome(name), flush=True)
