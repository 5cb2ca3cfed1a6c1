"""Saved models give the same logits in transformers and peft, from a self-contained folder."""

import json
from pathlib import Path

import pytest
import torch

from tests.models.pretrained.families import tiny
from tests.models.pretrained.folders import KINDS, edit, ids, load, write
from trimtab.config import ConfigError, WorkError
from trimtab.config.offline import offline_import
from trimtab.models.pretrained.adaptation import Lora
from trimtab.models.pretrained.model import Pretrained
from trimtab.models.pretrained.saving import check_written


def perturbed(model):
    """The model with its trained parameters changed, in evaluation mode."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return model.eval()


def transformers_logits(folder: Path, **options):
    auto = offline_import("transformers").AutoModelForCausalLM
    with torch.no_grad():
        return auto.from_pretrained(folder, **options).eval()(ids()).logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "adapt",
    [[{"name": "full"}], [{"name": "lora", "rank": 3}], [{"name": "lora", "rank": 3}, {"name": "norms"}]],
    ids=["full", "lora", "lora and norms"],
)
def test_transformers_reads_the_saved_model(
    kind: str, adapt: list[dict], folders: dict[str, Path], tmp_path: Path
) -> None:
    model = perturbed(load(folders[kind], *adapt))
    before = model(ids())
    assert not torch.allclose(before, load(folders[kind]).eval()(ids()), atol=1e-2)
    model.save(tmp_path / "saved")
    assert torch.equal(model(ids()), before)
    torch.testing.assert_close(transformers_logits(tmp_path / "saved"), before, rtol=1e-5, atol=1e-5)
    again = load(tmp_path / "saved").eval()
    torch.testing.assert_close(again(ids()), before, rtol=1e-5, atol=1e-5)
    assert {path.suffix for path in (tmp_path / "saved").iterdir()} == {".json", ".safetensors"}


# peft (0.21) uses a name that transformers (5.23) has deprecated.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_peft_reads_the_saved_adapter(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = perturbed(load(folders[kind], {"name": "lora", "rank": 3, "alpha": 5.0}))
    model.save(tmp_path / "adapter", adapter=True)
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    read = offline_import("peft").AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter").eval()
    with torch.no_grad():
        torch.testing.assert_close(read(ids()).logits, model(ids()), rtol=1e-5, atol=1e-5)


def test_a_model_in_bf16_is_saved_with_its_rounded_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    model = perturbed(load(folders["llama"], {"name": "lora", "rank": 3}))
    model.compute_dtype = torch.bfloat16
    model.save(tmp_path / "saved")
    model.compute_dtype = None  # the same rounded weights, in fp32
    torch.testing.assert_close(transformers_logits(tmp_path / "saved"), model(ids()), rtol=1e-5, atol=1e-5)
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "float32"


def test_an_untied_head_and_sharded_files_are_saved_too(tmp_path: Path) -> None:
    folder = write(tmp_path / "base", "llama", tie_word_embeddings=False)
    network = offline_import("transformers").AutoModelForCausalLM.from_pretrained(folder)
    network.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    model = perturbed(load(tmp_path / "sharded", {"name": "embeddings"}))
    assert len(model.lr_multipliers) == 2
    model.save(tmp_path / "saved")
    torch.testing.assert_close(transformers_logits(tmp_path / "saved"), model(ids()), rtol=1e-5, atol=1e-5)


def test_an_untied_head_is_saved_although_the_config_says_that_it_is_tied(tmp_path: Path) -> None:
    folder = write(tmp_path / "base", "llama", tie_word_embeddings=False)
    edit(folder, tie_word_embeddings=True)
    model = load(folder).eval()
    model.save(tmp_path / "saved")
    assert torch.equal(transformers_logits(tmp_path / "saved"), model(ids()))
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["tie_word_embeddings"] is False


def test_a_folder_with_other_logits_does_not_appear(folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders["llama"])
    other = load(write(tmp_path / "other", "llama", seed=1))
    with pytest.raises(WorkError, match=r"out is not written: loaded again, the LlamaForCausalLM gives other logits"):
        check_written(model.network, other.network, tmp_path / "out")
    model.network.config.rms_norm_eps = 0.5  # the weights fit, but the model differs
    with pytest.raises(WorkError, match="gives other logits"):
        model.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_additions_beside_fused_experts_can_be_merged_but_not_saved_as_an_adapter(tmp_path: Path) -> None:
    tiny("glm4_moe").save_pretrained(tmp_path / "moe")
    model = perturbed(Pretrained(path=str(tmp_path / "moe"), adapt=(Lora(rank=2),)))
    model.save(tmp_path / "saved")
    torch.testing.assert_close(transformers_logits(tmp_path / "saved"), model(ids()), rtol=1e-4, atol=1e-4)
    with pytest.raises(WorkError, match=r"applies these additions differently; write the merged model instead"):
        model.save(tmp_path / "adapter", adapter=True)
    assert not (tmp_path / "adapter").exists()


def test_the_tokenizers_files_are_copied(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = write(tmp_path / "base", "llama")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    load(folder).save(tmp_path / "saved")
    assert (tmp_path / "saved" / "tokenizer.json").read_text() == "{}"
    assert (tmp_path / "saved" / "chat_template.jinja").exists()


def test_a_refused_save_leaves_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        load(folders["llama"]).save(tmp_path)
    for adapt in ([{"name": "lora"}, {"name": "norms"}], [{"name": "full"}]):
        with pytest.raises(ConfigError, match="only low-rank additions"):
            load(folders["llama"], *adapt).save(tmp_path / "adapter", adapter=True)
    assert list(tmp_path.iterdir()) == []
