"""`adapt`: the parameters that each part trains, their learning rates, and refusals."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.models.pretrained.families import tiny
from tests.models.pretrained.folders import KINDS, ids, load
from trimtab.config import REGISTRIES, ConfigError
from trimtab.models.pretrained.adaptation import Lora, adapt_network, linear_layers
from trimtab.training.config import resolve_config


def names(model) -> set[str]:
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == set(model.lr_multipliers)
    return trained


def test_full_is_the_default_and_trains_everything(folders: dict[str, Path]) -> None:
    model = load(folders["llama"])
    assert names(model) == {name for name, _ in model.named_parameters()}
    assert set(model.lr_multipliers.values()) == {1.0}


@pytest.mark.parametrize(("kind", "prefix"), [("llama", "network.model.layers."), ("gpt2", "network.transformer.h.")])
def test_last_layers_trains_the_last_blocks(kind: str, prefix: str, folders: dict[str, Path]) -> None:
    trained = names(load(folders[kind], {"name": "last_layers", "layers": 2}))
    assert trained == {
        name for name, _ in load(folders[kind]).named_parameters() if name.startswith((f"{prefix}1.", f"{prefix}2."))
    }


@pytest.mark.parametrize(("kind", "count"), [("llama", 7), ("gpt2", 14)])
def test_norms_trains_every_norm(kind: str, count: int, folders: dict[str, Path]) -> None:
    model = load(folders[kind], {"name": "norms", "lr": 0.1})
    assert len(names(model)) == count
    assert set(model.lr_multipliers.values()) == {0.1}
    assert {p.ndim for p in model.parameters() if p.requires_grad} == {1}


def test_embeddings_trains_embeddings_and_head(folders: dict[str, Path]) -> None:
    assert names(load(folders["llama"], {"name": "embeddings"})) == {"network.model.embed_tokens.weight"}
    assert names(load(folders["gpt2"], {"name": "embeddings"})) == {
        "network.transformer.wte.weight",
        "network.transformer.wpe.weight",
    }


@pytest.mark.parametrize(("kind", "layers"), [("llama", 7), ("gpt2", 4)])
def test_lora_adapts_every_linear_layer_of_the_blocks_and_starts_at_zero(
    kind: str, layers: int, folders: dict[str, Path]
) -> None:
    model = load(folders[kind], {"name": "lora", "rank": 3, "alpha": 6.0}).eval()
    trained = names(model)
    assert len(trained) == 3 * layers * 2
    assert all(".lora_" in name for name in trained)
    assert torch.equal(model(ids()), load(folders[kind]).eval()(ids()))
    assert {min(p.shape) for p in model.parameters() if p.requires_grad} == {3}


def test_lora_draws_from_the_global_stream_and_adapts_named_targets_only(folders: dict[str, Path]) -> None:
    drawn = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = load(folders["llama"], {"name": "lora", "targets": ["q_proj", "v_proj"]})
        drawn.append({name: p for name, p in model.named_parameters() if "lora_A" in name})
    assert len(drawn[0]) == 6
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert not any(torch.equal(drawn[0][name], drawn[2][name]) for name in drawn[0])


def test_the_last_part_with_a_parameter_decides_its_learning_rate(folders: dict[str, Path]) -> None:
    parts = [{"name": "full", "lr": 0.5}, {"name": "norms", "lr": 0.1}, {"name": "lora", "rank": 2, "lr": 2.0}]
    model = load(folders["llama"], *parts)
    rates = {name: 2.0 if ".lora_" in name else 0.1 if "norm" in name else 0.5 for name, _ in model.named_parameters()}
    assert model.lr_multipliers == rates


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "adapt", [{"name": "last_layers", "layers": 1}, {"name": "norms"}, {"name": "lora"}], ids=lambda part: part["name"]
)
def test_a_step_changes_only_trained_parameters(kind: str, adapt: dict, folders: dict[str, Path]) -> None:
    model = load(folders[kind], adapt)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
    for _ in range(2):  # the first step moves only B of a low-rank addition
        optimizer.zero_grad()
        functional.cross_entropy(model(ids()).flatten(0, 1), ids().flatten()).backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != (name in model.lr_multipliers), name


@pytest.mark.parametrize(
    ("adapt", "message"),
    [
        ([{"name": "last_layers", "layers": 4}], "last_layers has layers 4, but the model has only 3 blocks"),
        ([{"name": "lora", "targets": ["q_proj", "qproj"]}], "no linear layer of the blocks has that name.*q_proj"),
        ([{"name": "norms"}, {"name": "norms", "lr": 0.5}], "'norms' is listed twice"),
    ],
)
def test_parts_that_the_model_lacks_are_refused(adapt: list[dict], message: str, folders: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match=message):
        load(folders["llama"], *adapt)


@pytest.mark.parametrize(
    ("adapt", "message"),
    [
        ([], "run.yaml: model.adapt: "),
        (
            [{"name": "lora", "rang": 8}],
            "model.adapt[0].rang: there is no key 'rang' here. Did you mean 'rank'? Known keys: lr, ",
        ),
        (
            [{"name": "full"}, {"name": "last_layer"}],
            "model.adapt[1]: there is no 'last_layer' here. Did you mean 'last_layers'?",
        ),
        ([{"name": "norms", "lr": 0}], "model.adapt[0].lr: it should be greater than 0"),
        (
            [{"lr": 1.0}],
            "model.adapt[0]: the key 'name' is missing. Known names: full, last_layers, norms, embeddings, lora.",
        ),
        ([{"name": "last_layers"}], "model.adapt[0].layers: the key 'layers' is missing"),
    ],
)
def test_invalid_parts_are_named_by_their_place(adapt: list[dict], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_config({"model": {"name": "pretrained", "path": "x", "adapt": adapt}}, source="run.yaml")
    assert message in str(caught.value)


def test_a_resolved_config_has_the_defaults_of_a_part() -> None:
    spec = REGISTRIES["model"].resolve({"name": "pretrained", "path": "x", "adapt": [{"name": "lora"}]})
    assert spec["adapt"] == [{"name": "lora", "rank": 8, "alpha": 16.0, "dropout": 0.0, "targets": None, "lr": 1.0}]


@pytest.mark.parametrize("targets", [None, ("q_proj", "gate_proj")])
def test_lora_adapts_the_named_layers_and_never_fused_experts(targets: tuple[str, ...] | None) -> None:
    network = tiny("glm4_moe")
    expected = {name for name in linear_layers(network) if targets is None or name.rpartition(".")[2] in targets}
    trained = adapt_network(network, (Lora(rank=2, targets=targets),))
    assert {name.partition(".lora_")[0] for name in trained} == expected
    assert any("shared_experts.gate_proj" in name for name in expected)
