"""Model folders with random changes in their JSON files: each loads, or is refused with a short message."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.models.pretrained.folders import KINDS, write
from trimtab.data import PretrainedTokenizer
from trimtab.errors import TrimtabError
from trimtab.models.pretrained.files import model_files
from trimtab.models.pretrained.loading import load_network

VALUES = [
    *(0, -1, 1, 3, 1000, 10**6, 10**9, 2**31, 2**63, 10**30, 1.5, -1.0, 1e308, float("nan"), float("inf")),
    *("", "x", "32", "x" * 5000, "\ud800", None, True, False, [], {}, [1], [[1]], {"a": 1}, [0] * 1000),
]
NEW = ["text_config", "head_dim", "rope_scaling", "layer_types", "quantization_config", "sliding_window", "num_labels"]
NEW += ["eos_token_id", "eos_token", "attn_implementation", "hidden_act", "n_inner", "auto_map", "pad_token_id"]


def places(content: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield (*before, key)
        yield from places(value, (*before, key))


def mutated(content: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(content))
    for _ in range(rng.choice([1, 1, 2, 3])):
        value = json.loads(json.dumps(rng.choice(VALUES)))
        *path, key = rng.choice([*places(changed), (rng.choice(NEW),)])
        part: Any = changed
        for step in path:
            part = part[step]
        if rng.random() < 0.1 and key in part:
            del part[key]
        else:
            part[key] = value
    return changed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_500_changed_folders_load_or_are_refused(tmp_path: Path) -> None:
    rng, counts = random.Random(0), Counter[str]()
    words = {f"w{number}": number for number in range(61)}
    model = {"type": "WordLevel", "vocab": words, "unk_token": "w0"}
    parts = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    for kind in KINDS:
        write(tmp_path / kind, kind)
        tokenizer = {"version": "1.0", "added_tokens": [], "model": model, **dict.fromkeys(parts)}
        (tmp_path / kind / "tokenizer.json").write_text(json.dumps(tokenizer))
        (tmp_path / kind / "tokenizer_config.json").write_text('{"eos_token": {"content": "w2"}, "bos_token": "w1"}')
        whole = tmp_path / kind / "model.safetensors"
        whole.rename(tmp_path / kind / "one.safetensors")
        (tmp_path / kind / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors"}}')
    files = ["config.json"] * 6 + ["generation_config.json", "tokenizer_config.json", "model.safetensors.index.json"]
    for _ in range(500):
        folder = tmp_path / "changed"
        shutil.copytree(tmp_path / rng.choice(KINDS), folder)
        file = folder / rng.choice(files)
        file.write_text(json.dumps(mutated(json.loads(file.read_text()), rng)))
        try:
            PretrainedTokenizer(path=str(folder))
            load_network(model_files(str(folder)))
            counts["loaded"] += 1
        except TrimtabError as error:
            assert len(str(error)) < 1000, str(error)
            counts["refused"] += 1
        shutil.rmtree(folder)
    print(dict(counts))
    assert counts["loaded"] > 50
    assert counts["refused"] > 100
