"""Small random models of the transformers library in folders, as they would be downloaded."""

import json
from pathlib import Path
from typing import Any

import torch

from trimtab.config.offline import offline_import
from trimtab.models.pretrained.model import Pretrained

KINDS = ("llama", "gpt2")
VOCABULARY = 61
POSITIONS = 64


def config(kind: str, **options: Any) -> Any:
    """The config of a small model: rotary positions and grouped queries, or learned positions."""
    transformers = offline_import("transformers")
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if kind == "llama":
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
        settings = {"num_key_value_heads": 2, "max_position_embeddings": POSITIONS, "tie_word_embeddings": True}
        return transformers.LlamaConfig(**{"vocab_size": VOCABULARY, **sizes, **settings, **ends, **options})
    sizes = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": POSITIONS}
    dropouts = {"resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.1}
    return transformers.GPT2Config(**{"vocab_size": VOCABULARY, **sizes, **dropouts, **ends, **options})


def write(folder: Path, kind: str, *, seed: int = 0, dtype: torch.dtype = torch.float32, **options: Any) -> Path:
    """A folder with a random model of a kind; its weights are large enough for mistakes to show."""
    transformers = offline_import("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = transformers.AutoModelForCausalLM.from_config(config(kind, **options))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn(parameter.shape), alpha=0.15)
    network.to(dtype).save_pretrained(folder)
    return folder


def load(folder: Path, *adapt: dict[str, Any], **options: Any) -> Pretrained:
    """The model of a folder, with the parts of `adapt` validated as a config's are."""
    from trimtab.config import REGISTRIES

    spec = {"name": "pretrained", "path": str(folder), **({"adapt": list(adapt)} if adapt else {})}
    resolved = REGISTRIES["model"].resolve({**spec, **options})
    model: Pretrained = REGISTRIES["model"].build(resolved, vocabulary=VOCABULARY, context=32)
    return model


def ids(batch: int = 3, length: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(seed))


def edit(folder: Path, name: str = "config.json", **changes: Any) -> None:
    """Change keys of a JSON file."""
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, **changes}))
