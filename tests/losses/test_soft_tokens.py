"""Soft targets: which labels are softened, by how much, and when."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tests.losses.setting import BATCH, TIME, VOCABULARY, labels_of, logits_of, loss_of, metadata_of
from trimtab.config import ConfigError
from trimtab.losses.module import IGNORE
from trimtab.losses.propriety import TEXTS, token_values
from trimtab.losses.soft_targets import NumberNeighbours, TokenClasses
from trimtab.losses.soft_tokens import SoftTokens, remaining
from trimtab.training.components import LOSSES

GAUSSIAN: dict[str, Any] = {"name": "soft_tokens"}


def hard(labels: torch.Tensor) -> float:
    return float(functional.cross_entropy(logits_of().flatten(0, 1), labels.flatten(), ignore_index=IGNORE).detach())


def test_only_quantities_are_softened_where_the_batch_has_roles() -> None:
    labels, role = labels_of(), metadata_of()["role"]
    output = loss_of(GAUSSIAN)(logits_of(), labels, {"role": role})
    mask = labels != IGNORE
    quantities = mask & (labels < 10) & (role == 1)
    assert 0 < int(quantities.sum()) < int(mask.sum())
    assert output["aux"]["softened"] == pytest.approx(int(quantities.sum()) / int(mask.sum()))
    none = loss_of(GAUSSIAN)(logits_of(), labels, {"role": torch.full_like(role, 3)})
    assert float(none["loss"].detach()) == pytest.approx(hard(labels))
    assert none["aux"]["softened"] == 0.0


@pytest.mark.parametrize("targets", ["set", "classes"])
def test_labels_and_indices_stay_hard_under_sets_and_classes_too(targets: str) -> None:
    spec: dict[str, Any] = {"name": "soft_tokens", "targets": targets}
    if targets == "classes":
        spec["classes"] = [list("0123456789")]
    labels, metadata = labels_of(), metadata_of()
    metadata["role"] = torch.full_like(metadata["role"], 2)
    assert float(loss_of(spec)(logits_of(), labels, metadata)["loss"].detach()) == pytest.approx(hard(labels))
    every = loss_of(spec | {"roles": None})(logits_of(), labels, metadata)
    assert every["aux"]["softened"] > 0


def test_a_batch_without_roles_softens_every_number() -> None:
    labels = labels_of()
    share = loss_of(GAUSSIAN)(logits_of(), labels, {})["aux"]["softened"]
    assert share == pytest.approx(float(((labels >= 0) & (labels < 10)).sum() / (labels != IGNORE).sum()))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [1, 1, 1]), ("linear", [1, 0.5, 0]), ("cosine", [1, 0.5, 0])],
)
def test_schedules_go_from_the_soft_to_the_hard_target(schedule: Any, expected: list[float]) -> None:
    result = [remaining(schedule, {"step": step, "steps": 101}) for step in (1, 51, 101)]
    assert result == pytest.approx(expected)
    if schedule == "cosine":
        assert remaining(schedule, {"step": 26, "steps": 101}) == pytest.approx(0.5 + math.sqrt(2) / 4)


@given(st.sampled_from(["linear", "cosine"]), st.integers(1, 500))
def test_schedules_fall_within_0_and_1(schedule: Any, steps: int) -> None:
    shares = [remaining(schedule, {"step": step, "steps": steps}) for step in range(1, steps + 1)]
    assert all(0 <= b <= a <= 1 for a, b in zip(shares, shares[1:], strict=False))
    assert shares[0] == 1


def test_annealing_ends_at_cross_entropy_and_so_does_an_evaluation() -> None:
    labels, loss = labels_of(), loss_of(GAUSSIAN | {"annealing": "linear"})
    first = loss(logits_of(), labels, {"step": 1, "steps": 10})
    assert first["aux"]["share"] == 1.0
    torch.testing.assert_close(first["loss"], loss_of(GAUSSIAN)(logits_of(), labels, {})["loss"])
    for metadata in ({"step": 10, "steps": 10}, {}):
        output = loss(logits_of(), labels, metadata)
        assert float(output["loss"].detach()) == pytest.approx(hard(labels))
        assert output["aux"] == {"softened": 0.0, "share": 0.0}


def test_a_tag_scales_the_width_of_the_kernel() -> None:
    labels = labels_of()
    certain = loss_of(GAUSSIAN | {"tag": "uncertainty"})(logits_of(), labels, {"uncertainty": [0.0] * BATCH})
    assert float(certain["loss"].detach()) == pytest.approx(hard(labels))
    half = loss_of(GAUSSIAN | {"tag": "uncertainty", "width": 2.0})(logits_of(), labels, {"uncertainty": [0.5] * BATCH})
    torch.testing.assert_close(half["loss"], loss_of(GAUSSIAN)(logits_of(), labels, {})["loss"])


def test_the_loss_is_0_where_the_model_is_the_target() -> None:
    labels = torch.tensor([[4, 11]])
    kernel = torch.exp(-0.5 * (torch.arange(10.0) - 4) ** 2)
    logits = torch.full((1, 2, VOCABULARY), -torch.inf)
    logits[0, 0, :10] = kernel.log()
    logits[0, 1, 11] = 0.0
    output = loss_of(GAUSSIAN)(logits.requires_grad_(), labels, {})
    assert float(output["loss"].detach()) == pytest.approx(0, abs=1e-6)
    output["loss"].backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())


def test_neighbours_are_ordered_by_distance_from_the_label() -> None:
    values = torch.tensor([7.0, math.nan, 7.0, 1.0, 2.0, 100.0], dtype=torch.float64)
    result = NumberNeighbours(values, 3, "soft_tokens")
    rows = dict(zip(result.numbers.ids.tolist(), result.ids.tolist(), strict=True))
    assert rows[2][0] == 2 and set(rows[2][:2]) == {0, 2}
    assert rows[5] == [5, 0, 2]
    assert rows[3][:2] == [3, 4]
    assert result.distances[result.numbers.index_of(torch.tensor(2))].tolist() == [0, 0, 5]


def test_neighbours_are_at_most_all_numbers() -> None:
    assert NumberNeighbours(token_values(), 1000, "soft_tokens").ids.shape == (10, 10)


def test_the_tokens_of_a_class_have_equal_targets() -> None:
    classes = TokenClasses([["a", "b"], ["1", "2", "3"]], TEXTS, "soft_tokens")
    assert classes.class_of.tolist() == [-1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0]
    torch.testing.assert_close(classes.weights.sum(-1), torch.ones(2).double())


def test_tokens_with_the_same_text_are_in_the_same_class() -> None:
    classes = TokenClasses([["yes", "no"]], ["yes", "x", "no", "yes"], "soft_tokens")
    assert sorted(classes.ids[0].tolist()) == [0, 2, 3]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([["a", "z"]], "names 'z', but this tokenizer has no such token"),
        ([["a", "b"], ["b", "1"]], "'b' is in `classes` more than once"),
    ],
)
def test_classes_with_unknown_or_repeated_texts_are_refused(classes: list[list[str]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loss_of({"name": "soft_tokens", "targets": "classes", "classes": classes})


def test_parameters_without_an_effect_are_refused() -> None:
    for wrong, words in (
        ({"targets": "classes"}, "belong together"),
        ({"classes": [["a", "b"]]}, "belong together"),
        ({"targets": "set", "tag": "uncertainty"}, "targets: set has none"),
    ):
        with pytest.raises(ConfigError, match=words):
            LOSSES.resolve({"name": "soft_tokens", **wrong})


def test_missing_target_sets_and_token_tables_are_named() -> None:
    loss = loss_of({"name": "soft_tokens", "targets": "set"})
    with pytest.raises(ConfigError, match="needs target_weights in the batch"):
        loss(logits_of(), labels_of(), {"target_ids": metadata_of()["target_ids"]})
    with pytest.raises(ConfigError, match="token_values"):
        SoftTokens()
    with pytest.raises(ConfigError, match="token_texts"):
        SoftTokens(targets="classes", classes=(("a", "b"),))
    with pytest.raises(ConfigError, match="this tokenizer has none"):
        SoftTokens(token_values=torch.full((4,), math.nan, dtype=torch.float64))


def test_target_sets_that_are_no_distributions_are_refused() -> None:
    metadata, labels = metadata_of(), torch.zeros(BATCH, TIME, dtype=torch.int64)
    loss = loss_of({"name": "soft_tokens", "targets": "set", "roles": None})
    for wrong in ([0.5, 0.2, 0.1], [1.5, -0.5, 0.0]):
        metadata["target_weights"][0, 0] = torch.tensor(wrong)
        with pytest.raises(ConfigError, match="a row of target_weights is"):
            loss(logits_of(), labels, metadata)


def test_only_the_logits_have_the_size_of_the_vocabulary() -> None:
    vocabulary = 5000
    values = torch.full((vocabulary,), math.nan, dtype=torch.float64)
    values[:10] = torch.arange(10)
    logits = torch.randn(2, 8, vocabulary, generator=torch.Generator().manual_seed(0)).requires_grad_()
    kept: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.numel() >= logits.numel() and tensor.data_ptr() != logits.data_ptr():
            kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        SoftTokens(token_values=values)(logits, torch.randint(10, (2, 8)), {})
    assert kept == []
