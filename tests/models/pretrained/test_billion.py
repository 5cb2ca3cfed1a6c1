"""A sharded model of a billion parameters: memory holds its 16-bit weights only once, and a step of low-rank training runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

WRITE = """
import sys
import torch
from trimtab.config.offline import offline_import

transformers = offline_import("transformers")
sizes = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32}
config = transformers.LlamaConfig(vocab_size=64_000, num_key_value_heads=8, tie_word_embeddings=True, **sizes)
torch.set_default_dtype(torch.bfloat16)
with torch.device("meta"):
    network = transformers.LlamaForCausalLM(config)
network.to_empty(device="cpu")
generator = torch.Generator().manual_seed(0)
with torch.no_grad():
    for parameter in network.parameters():
        parameter.normal_(0, 0.02, generator=generator) if parameter.ndim > 1 else parameter.fill_(1)
network.tie_weights()
network.save_pretrained(sys.argv[1], max_shard_size="500MB")
"""

USE = """
import json, sys, time
from pathlib import Path

import torch
from torch.nn import functional
from trimtab.models.pretrained.model import Pretrained
from trimtab.models.pretrained.adaptation import Lora
import transformers.models.llama.modeling_llama, peft


def peak():
    # VmHWM counts the pages of mapped files too.
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1e6


before, begun = peak(), time.perf_counter()
model = Pretrained(path=sys.argv[1], adapt=(Lora(rank=8),)).train()
seconds = time.perf_counter() - begun
model.compute_dtype = torch.bfloat16
loaded = peak()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
rows = torch.randint(0, 64_000, (1, 9), generator=torch.Generator().manual_seed(0))
losses = []
for _ in range(2):
    loss = functional.cross_entropy(model(rows[:, :-1])[0], rows[0, 1:])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
count = sum(p.numel() for p in model.parameters() if not p.requires_grad)
print(json.dumps({"parameters": count, "seconds": seconds, "before": before, "loaded": loaded, "peak": peak(), "losses": losses}))
"""


@pytest.mark.timeout(1800)  # the probe reads the weights a dozen times; on a busy machine that takes minutes
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_a_sharded_model_of_a_billion_parameters_trains_within_its_memory(tmp_path: Path) -> None:
    folder = tmp_path / "billion"
    subprocess.run([sys.executable, "-c", WRITE, str(folder)], check=True, timeout=600)
    shards = list(folder.glob("model-*.safetensors"))
    size = sum(path.stat().st_size for path in shards) / 1e9
    assert len(shards) > 3
    done = subprocess.run(
        [sys.executable, "-c", USE, str(folder)], capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    print(f"{size:.2f} GB of weights; {result}")
    assert result["parameters"] > 1e9
    embedding = 64_000 * 2_048 * 4 / 1e9  # the largest matrix, widened to fp32 while the model is probed
    assert result["loaded"] - result["before"] < size + embedding + 0.2
    assert result["peak"] - result["before"] < 1.2 * size + 1.0
    assert result["losses"][1] < result["losses"][0]
