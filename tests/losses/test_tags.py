"""Losses that an example's uncertainty drives: what the tag does, and what is said when it is missing or wrong."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.losses.setting import BATCH, TIME, labels_of, logits_of, loss_of, metadata_of
from trimtab.config import ConfigError
from trimtab.losses.module import IGNORE

TAGGED: list[dict[str, Any]] = [
    {"name": "weighted"},
    {"name": "uncertainty_smoothing"},
    {"name": "generalized_cross_entropy", "tag": "uncertainty"},
    {"name": "soft_tokens", "tag": "uncertainty"},
]
tagged = pytest.mark.parametrize("spec", TAGGED, ids=[spec["name"] for spec in TAGGED])


def test_an_example_of_uncertainty_1_has_weight_0() -> None:
    labels, tags = labels_of(), [0.0] * BATCH
    tags[-1] = 1.0
    logits = logits_of()
    output = loss_of({"name": "weighted"})(logits, labels, {"uncertainty": tags})
    without = labels.clone()
    without[-1] = IGNORE
    torch.testing.assert_close(output["loss"], loss_of("cross_entropy")(logits, without, {})["loss"])
    assert float(output["weight"]) == int((without != IGNORE).sum())


def test_a_batch_of_weight_0_has_loss_0_and_not_nan() -> None:
    logits = logits_of()
    output = loss_of({"name": "weighted"})(logits, labels_of(), {"uncertainty": [1.0] * BATCH})
    assert (float(output["loss"].detach()), float(output["weight"])) == (0.0, 0.0)
    output["loss"].backward()
    assert logits.grad is not None and bool((logits.grad == 0).all())


def test_a_strength_above_1_never_gives_a_negative_weight() -> None:
    loss = loss_of({"name": "weighted", "strength": 5.0})
    assert float(loss.denominators(labels_of(), {"uncertainty": [0.5] * BATCH})) == 0.0


@tagged
def test_without_uncertainty_the_loss_is_cross_entropy(spec: dict[str, Any]) -> None:
    logits, labels = logits_of(), labels_of()
    certain = loss_of(spec)(logits, labels, {"uncertainty": [0.0] * BATCH})
    torch.testing.assert_close(certain["loss"], loss_of("cross_entropy")(logits, labels, {})["loss"])


@tagged
def test_a_tag_may_have_one_value_per_position(spec: dict[str, Any]) -> None:
    logits, labels = logits_of(), labels_of()
    metadata = {"uncertainty": metadata_of()["uncertainty"]}
    tags = torch.tensor(metadata["uncertainty"])[:, None].expand(BATCH, TIME)
    one = loss_of(spec)(logits, labels, metadata)["loss"]
    torch.testing.assert_close(loss_of(spec)(logits, labels, {"uncertainty": tags})["loss"], one, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        loss_of(spec)(logits, labels, {"uncertainty": tags[:, 0]})["loss"], one, rtol=1e-6, atol=1e-6
    )


def test_a_tag_may_be_any_real_number() -> None:
    tags = [np.float32(0.5), np.float64(0.5), 0.5, 0, 1, 0.5, 0.5, 0.5]
    plain = loss_of({"name": "weighted"}).denominators(labels_of(), {"uncertainty": [float(tag) for tag in tags]})
    assert torch.equal(loss_of({"name": "weighted"}).denominators(labels_of(), {"uncertainty": tags}), plain)


@tagged
def test_the_tag_may_have_another_key(spec: dict[str, Any]) -> None:
    metadata = {"uncertainty": metadata_of()["uncertainty"]}
    renamed = {"doubt": metadata["uncertainty"]}
    one = loss_of(spec)(logits_of(), labels_of(), metadata)["loss"]
    torch.testing.assert_close(loss_of(spec | {"tag": "doubt"})(logits_of(), labels_of(), renamed)["loss"], one)


@tagged
@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({}, ["needs the tag 'uncertainty'", "metadata has nothing"]),
        ({"level": [1], "noisy": [True]}, ["metadata has level, noisy", "to another key"]),
        ({"uncertainty": [0.5, None] * 4}, ["example 1 of the batch", "None"]),
        ({"uncertainty": [True] * BATCH}, ["example 0", "True"]),
        ({"uncertainty": [0.5] * 7 + [1.5]}, ["between 0 and 1; found 1.5"]),
        ({"uncertainty": [0.5] * 7 + [math.nan]}, ["between 0 and 1; found nan"]),
        ({"uncertainty": [0.5] * 3}, ["has the shape (3,)", "one number per example (8)", "(8, 5)"]),
    ],
)
def test_a_missing_or_wrong_tag_is_refused(spec: dict[str, Any], metadata: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        loss_of(spec)(logits_of(), labels_of(), metadata)
    for word in (f"The loss '{spec['name']}'", *words):
        assert word in str(caught.value)


def test_tags_at_positions_without_target_are_ignored() -> None:
    tags = metadata_of()["token_uncertainty"]
    labels = labels_of()
    loss = loss_of("weighted tokens")
    plain = loss(logits_of(), labels, {"token_uncertainty": tags})["loss"]
    tags = torch.where(labels == IGNORE, math.nan, tags)
    torch.testing.assert_close(loss(logits_of(), labels, {"token_uncertainty": tags})["loss"], plain)


@pytest.mark.parametrize("name", ["activation_sparsity", "activation_norm"])
@pytest.mark.parametrize(
    ("metadata", "layers", "words"),
    [
        ({}, ".*", "batch_metadata has no 'activations'.*name: collect_activations"),
        ({"activations": {}}, ".*", "has no 'activations'"),
        ({"activations": {"blocks.0": torch.zeros(8, 5, 2)}}, "head", "no collected layer matches 'head'.*blocks.0"),
        ({"activations": {"blocks.0": torch.zeros(8, 4, 2)}}, ".*", r"have the shape \(8, 4, 2\)"),
    ],
)
def test_missing_activations_are_refused(name: str, metadata: dict[str, Any], layers: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loss_of({"name": name, "layers": layers})(logits_of(), labels_of(), metadata)


def test_a_wrong_regular_expression_for_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match="should be a regular expression"):
        loss_of({"name": "activation_norm", "layers": "("})


def test_a_model_with_too_few_tokens_is_refused() -> None:
    from trimtab.losses.number_token import NumberToken

    table = torch.full((20,), math.nan, dtype=torch.float64)
    table[0] = table[19] = 1.0
    with pytest.raises(ConfigError, match="token 19 is a number, but the model has only 14 tokens"):
        NumberToken(token_values=table)(logits_of(), torch.zeros(BATCH, TIME, dtype=torch.int64), {})


def test_a_label_beyond_the_tokenizers_vocabulary_is_no_number() -> None:
    from trimtab.losses.number_token import NumberToken

    loss = NumberToken(token_values=torch.arange(3).double())  # a model may have more tokens than its tokenizer
    labels = torch.full((BATCH, TIME), 13)
    labels[0, 0] = 2
    assert loss.denominators(labels, {}).tolist() == [1.0]
    assert float(loss(logits_of(), labels, {})["weight"]) == 1.0
