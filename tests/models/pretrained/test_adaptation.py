"""What is trained: each part's parameters, their learning rates, and what is refused."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tests.models.pretrained.families import tiny
from tests.models.pretrained.folders import KINDS, ids, load
from trimtab.config import REGISTRIES, ConfigError
from trimtab.models.pretrained.adaptation import Lora, adapt_network, linear_maps
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
def test_last_layers_are_the_last_blocks(kind: str, prefix: str, folders: dict[str, Path]) -> None:
    found = names(load(folders[kind], {"name": "last_layers", "layers": 2}))
    assert found == {
        name for name, _ in load(folders[kind]).named_parameters() if name.startswith((f"{prefix}1.", f"{prefix}2."))
    }


@pytest.mark.parametrize(("kind", "count"), [("llama", 7), ("gpt2", 14)])
def test_norms_are_all_norms(kind: str, count: int, folders: dict[str, Path]) -> None:
    model = load(folders[kind], {"name": "norms", "lr": 0.1})
    assert len(names(model)) == count
    assert set(model.lr_multipliers.values()) == {0.1}
    assert {p.ndim for p in model.parameters() if p.requires_grad} == {1}


def test_embeddings_are_tables_and_head(folders: dict[str, Path]) -> None:
    assert names(load(folders["llama"], {"name": "embeddings"})) == {"network.model.embed_tokens.weight"}
    assert names(load(folders["gpt2"], {"name": "embeddings"})) == {
        "network.transformer.wte.weight",
        "network.transformer.wpe.weight",
    }


@pytest.mark.parametrize(("kind", "maps"), [("llama", 7), ("gpt2", 4)])
def test_lora_stands_at_every_map_of_the_blocks_and_starts_as_nothing(
    kind: str, maps: int, folders: dict[str, Path]
) -> None:
    model = load(folders[kind], {"name": "lora", "rank": 3, "alpha": 6.0}).eval()
    found = names(model)
    assert len(found) == 3 * maps * 2
    assert all(".lora_" in name for name in found)
    assert torch.equal(model(ids()), load(folders[kind]).eval()(ids()))
    assert {min(p.shape) for p in model.parameters() if p.requires_grad} == {3}


def test_lora_draws_from_the_global_stream_and_its_targets_can_be_named(folders: dict[str, Path]) -> None:
    made = []
    for seed in (0, 0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = load(folders["llama"], {"name": "lora", "targets": ["q_proj", "v_proj"]})
        made.append({name: p for name, p in model.named_parameters() if "lora_A" in name})
    assert len(made[0]) == 6
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not any(torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_the_last_part_that_names_a_parameter_decides(folders: dict[str, Path]) -> None:
    parts = [{"name": "full", "lr": 0.5}, {"name": "norms", "lr": 0.1}, {"name": "lora", "rank": 2, "lr": 2.0}]
    model = load(folders["llama"], *parts)
    rates = {name: 2.0 if ".lora_" in name else 0.1 if "norm" in name else 0.5 for name, _ in model.named_parameters()}
    assert model.lr_multipliers == rates


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "adapt", [{"name": "last_layers", "layers": 1}, {"name": "norms"}, {"name": "lora"}], ids=lambda part: part["name"]
)
def test_a_step_changes_what_is_trained_and_nothing_else(kind: str, adapt: dict, folders: dict[str, Path]) -> None:
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
        ([{"name": "last_layers", "layers": 4}], "the last 4 layers were asked for, and the model has 3"),
        ([{"name": "lora", "targets": ["q_proj", "qproj"]}], "no linear map of the blocks is called so.*q_proj"),
        ([{"name": "norms"}, {"name": "norms", "lr": 0.5}], "'norms' is listed twice"),
    ],
)
def test_what_the_model_does_not_have_is_refused(adapt: list[dict], message: str, folders: dict[str, Path]) -> None:
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
def test_wrong_parts_are_named_by_their_place(adapt: list[dict], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_config({"model": {"name": "pretrained", "path": "x", "adapt": adapt}}, source="run.yaml")
    assert message in str(caught.value)


def test_the_defaults_of_a_part_stand_in_the_resolved_config() -> None:
    spec = REGISTRIES["model"].resolve({"name": "pretrained", "path": "x", "adapt": [{"name": "lora"}]})
    assert spec["adapt"] == [{"name": "lora", "rank": 8, "alpha": 16.0, "dropout": 0.0, "targets": None, "lr": 1.0}]


@pytest.mark.parametrize("targets", [None, ("q_proj", "gate_proj")])
def test_additions_are_on_the_named_maps_and_never_on_fused_experts(targets: tuple[str, ...] | None) -> None:
    network = tiny("glm4_moe")
    wanted = {name for name in linear_maps(network) if targets is None or name.rpartition(".")[2] in targets}
    trained = adapt_network(network, (Lora(rank=2, targets=targets),))
    assert {name.partition(".lora_")[0] for name in trained} == wanted
    assert any("shared_experts.gate_proj" in name for name in wanted)
