"""The probe: which networks pass, the names of missing properties, and that probing changes nothing."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.models.pretrained.families import tiny
from trimtab.config import ConfigError
from trimtab.config.offline import offline_import
from trimtab.generation.completion import complete
from trimtab.models.pretrained.logit_comparison import distance, logits_in_fp32, typical_distance
from trimtab.models.pretrained.model import Pretrained
from trimtab.models.pretrained.probe import probe

ROPE = {"rope_theta": 10000.0, "original_max_position_embeddings": 16}
LONG = {**ROPE, "rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
DYNAMIC = {**ROPE, "rope_type": "dynamic", "factor": 4.0}


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "opt", "qwen2_moe", "gemma3n_text", "gpt_oss", "bert"])
def test_causal_models_with_all_properties_pass(family: str) -> None:
    assert probe(tiny(family)).failures == {}


@pytest.mark.parametrize(
    ("family", "options", "names", "sentence"),
    [
        ("bert", {"is_decoder": False}, {"causality"}, "change with the tokens after it"),
        ("electra", {"is_decoder": False}, {"causality"}, "change with the tokens after it"),
        (
            "roberta",
            {},
            {"positions", "right padding", "left padding", "cache"},
            "when other rows are at other positions",
        ),
        ("bart", {}, {"left padding", "cache"}, "padded on the left"),
        ("roformer", {}, {"left padding", "cache"}, "padded on the left"),
        ("openai-gpt", {}, {"cache"}, "in parts with a key-value cache"),
        ("xmod", {}, {"reading"}, "Input language unknown"),
    ],
)
def test_a_missing_property_is_named(family: str, options: dict[str, Any], names: set[str], sentence: str) -> None:
    failures = probe(tiny(family, **options)).failures
    assert set(failures) & names, failures
    assert set(failures) <= names | {"right padding", "left padding", "padding", "cache"}
    assert sentence in " ".join(failures.values())


def test_an_encoder_cannot_be_opened_as_a_causal_model(tmp_path: Path) -> None:
    tiny("bert", is_decoder=False).save_pretrained(tmp_path / "bert")
    with pytest.raises(
        ConfigError, match=r"BertLMHeadModel in .*bert cannot be used.* causality: .*docs/pretrained\.md"
    ):
        Pretrained(path=str(tmp_path / "bert"))


def test_positions_that_depend_on_the_longest_row_limit_the_context(tmp_path: Path) -> None:
    tiny("phi3", rope_parameters=LONG, original_max_position_embeddings=16).save_pretrained(tmp_path / "phi3")
    model = Pretrained(path=str(tmp_path / "phi3")).eval()
    assert model.context == 16
    ids, real = torch.arange(3, 35).view(2, 16), torch.ones(2, 16, dtype=torch.bool)
    real[1, 9:] = False
    with torch.no_grad():
        torch.testing.assert_close(model(ids, real)[1, :9], model(ids[1:, :9])[0], rtol=0, atol=1e-4)
    with pytest.raises(ConfigError, match=r"reads at most 16 \(its config says 64, but beyond 16"):
        Pretrained(path=str(tmp_path / "phi3"), context=17)


def test_positions_that_change_only_beyond_the_context_do_not_limit_it(tmp_path: Path) -> None:
    tiny("llama", rope_parameters=DYNAMIC).save_pretrained(tmp_path / "llama")
    assert Pretrained(path=str(tmp_path / "llama")).context == 64


def test_bf16_is_close_to_fp32_for_a_model_that_uses_its_tokens_twice(tmp_path: Path) -> None:
    tiny("gemma3n_text").save_pretrained(tmp_path / "gemma")
    model, ids = Pretrained(path=str(tmp_path / "gemma"), adapt=()).eval(), torch.arange(3, 27)[None]
    with torch.no_grad():
        exact = model(ids)
        by_embeddings = model.network(inputs_embeds=model.network.get_input_embeddings()(ids)).logits
        model.compute_dtype = torch.bfloat16
        rounded = model(ids)
    assert typical_distance(rounded[0], exact[0]) < 0.03
    assert typical_distance(by_embeddings[0], exact[0]) > 0.1


def test_a_model_that_is_wrong_only_in_bf16_is_refused() -> None:
    network = tiny("llama")

    def disturb(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        return output + 0.5 * output.std() * output.roll(1, -1) if torch.is_autocast_enabled("cpu") else output

    network.model.norm.register_forward_hook(disturb)
    assert set(probe(network).failures) == {"bf16"}


def test_a_config_that_would_tie_an_untied_head_is_refused() -> None:
    network = tiny("llama", tie_word_embeddings=False)
    network.config.tie_word_embeddings = True
    assert set(probe(network).failures) == {"export"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["gpt2", "phi3"])
def test_the_probe_changes_nothing(family: str, dtype: torch.dtype) -> None:
    options = {"rope_parameters": LONG, "original_max_position_embeddings": 16} if family == "phi3" else {}
    network = tiny(family, **options).to(dtype).train()

    def state() -> dict[str, Any]:
        tensors = [*network.named_parameters(), *network.named_buffers()]
        return {
            "tensors": {name: (value.dtype, value.data_ptr(), sha256(value)) for name, value in tensors},
            "training": [module.training for module in network.modules()],
            "hooks": sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()),
            "gradients": [parameter.requires_grad for parameter in network.parameters()],
            "config": network.config.to_dict(),
            "random": sha256(torch.get_rng_state()),
        }

    before = state()
    assert probe(network).failures == {}
    assert state() == before


def sha256(value: torch.Tensor) -> str:
    return hashlib.sha256(value.detach().contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def test_16_bit_weights_are_probed_in_fp32() -> None:
    network = tiny("llama").bfloat16()
    wide = tiny("llama").bfloat16().float()
    assert torch.equal(logits_in_fp32(network), logits_in_fp32(wide))
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}


def test_logits_that_are_not_finite_have_infinite_distance() -> None:
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    broken = logits.clone()
    broken[2, 3] = torch.nan
    assert distance(broken, logits) == distance(logits, broken) == float("inf")
    masked = torch.cat((logits, torch.full((4, 1), torch.finfo(torch.float32).min)), dim=1)
    assert distance(masked, masked) == 0 and distance(masked + 1, masked) > 0.1


def test_a_model_without_position_ids_generates_the_same_in_a_batch_and_alone(tmp_path: Path) -> None:
    tiny("bloom").save_pretrained(tmp_path / "bloom")
    model = Pretrained(path=str(tmp_path / "bloom"), adapt=()).eval()
    prompts = [torch.arange(3, 3 + length) for length in (2, 9, 5)]
    settings = {"generator": torch.Generator(), "temperature": 0}
    together = complete(model, prompts, 6, **settings)
    for prompt, row in zip(prompts, together, strict=True):
        (alone,) = complete(model, [prompt], 6, **settings, cached=False)
        assert alone.tokens.tolist() == row.tokens.tolist()


def test_a_model_with_an_attention_window_passes() -> None:
    network = offline_import("transformers").MistralForCausalLM
    assert isinstance(tiny("mistral", sliding_window=50), network)
    assert probe(tiny("mistral", sliding_window=50)).failures == {}
