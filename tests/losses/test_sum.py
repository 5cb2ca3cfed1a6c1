"""Sums of losses: their figures, their denominators, terms of the user's own."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.losses.setting import labels_of, logits_of, loss_of, metadata_of
from trimtab.config import ConfigError, nested_components
from trimtab.losses.module import IGNORE
from trimtab.losses.total import Sum
from trimtab.training.components import LOSSES
from trimtab.training.config import resolve_config

TERMS: list[dict[str, Any]] = [
    {"name": "cross_entropy"},
    {"name": "number_token", "weight": 0.3},
    {"name": "number_token", "distance": "mse", "weight": 0.1},
    {"name": "soft_tokens", "weight": 0.0},
]


def test_a_sum_is_the_sum_of_its_terms() -> None:
    logits, labels = logits_of(), labels_of()
    output = loss_of({"name": "sum", "terms": TERMS})(logits, labels, {})
    parts = [loss_of({k: v for k, v in term.items() if k != "weight"})(logits, labels, {}) for term in TERMS]
    expected = sum(term.get("weight", 1.0) * part["loss"] for term, part in zip(TERMS, parts, strict=True))
    torch.testing.assert_close(output["loss"], expected)
    assert float(output["weight"]) == float(parts[0]["weight"]) == int((labels != IGNORE).sum())


def test_every_term_is_logged_unweighted_with_its_own_figures() -> None:
    logits, labels = logits_of(), labels_of()
    aux = loss_of({"name": "sum", "terms": TERMS})(logits, labels, {})["aux"]
    assert list(aux) == ["cross_entropy", "number_token", "number_token_2", "soft_tokens", "soft_tokens.softened"]
    assert aux["number_token"] == pytest.approx(float(loss_of("number_token")(logits, labels, {})["loss"].detach()))
    assert aux["number_token_2"] == pytest.approx(
        float(loss_of("number_token mse")(logits, labels, {})["loss"].detach())
    )
    numbers = int(((labels >= 0) & (labels < 10)).sum())
    assert aux["soft_tokens.softened"] == pytest.approx(numbers / int((labels != IGNORE).sum()))


def test_a_sum_has_the_denominators_of_its_terms() -> None:
    labels, metadata = labels_of(), metadata_of()
    loss = loss_of("sum")
    numbers = int(((labels >= 0) & (labels < 10)).sum())
    result = loss.denominators(labels, metadata)
    assert result[:3].tolist() == [int((labels != IGNORE).sum()), numbers, numbers]
    assert float(result[3]) == pytest.approx(float(loss_of("weighted").denominators(labels, metadata)))


def test_a_sum_within_a_sum_is_flattened() -> None:
    loss = loss_of("sum within a sum")
    assert [(part.name, part.weight) for part in loss.terms] == [
        ("entropy", 1.0),
        ("sum.cross_entropy", 0.5),
        ("sum.number_token", 0.15),
        ("sum.ranked_probability", 0.1),
        ("sum.weighted", 0.25),
    ]
    logits, labels, metadata = logits_of(), labels_of(), metadata_of()
    expected = (
        loss_of("entropy")(logits, labels, metadata)["loss"] + 0.5 * loss_of("sum")(logits, labels, metadata)["loss"]
    )
    torch.testing.assert_close(loss(logits, labels, metadata)["loss"], expected)


def test_a_micro_batch_without_targets_adds_nothing_to_its_step() -> None:
    loss, metadata = loss_of("sum"), metadata_of()
    nothing = torch.full_like(labels_of(), IGNORE)
    totals = loss.denominators(labels_of(), metadata)
    output = loss(logits_of(), nothing, metadata | {"denominators": totals, "micro_batches": 2})
    assert (float(output["loss"].detach()), float(output["weight"])) == (0.0, 1.0)
    assert set(output["aux"].values()) == {0.0}


def test_a_step_without_numbers_has_no_number_term() -> None:
    loss = loss_of({"name": "sum", "terms": TERMS})
    labels = torch.full_like(labels_of(), 12)
    totals = loss.denominators(labels, {}) * 2
    output = loss(logits_of(), labels, {"denominators": totals, "micro_batches": 2})
    assert totals[1] == 0
    assert output["aux"]["number_token"] == 0.0
    torch.testing.assert_close(float(output["loss"].detach()), output["aux"]["cross_entropy"])


def test_a_step_needs_one_denominator_per_term() -> None:
    with pytest.raises(ValueError, match="has 2 denominators, but the sum has 4 terms"):
        loss_of("sum")(
            logits_of(), labels_of(), metadata_of() | {"denominators": torch.ones(2).double(), "micro_batches": 2}
        )


def test_evaluation_batches_use_their_own_denominators() -> None:
    # An evaluation has no step, so its metadata has none of the keys that a step adds.
    output = loss_of("sum")(logits_of(), labels_of(), metadata_of())
    assert float(output["weight"]) == int((labels_of() != IGNORE).sum())


OWN = '''
from torch.nn import functional
from trimtab.losses import TokenLoss


class Squared(TokenLoss):
    """The mean squared logit of the labels."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    def __call__(self, logits, labels, batch_metadata):
        mask = labels != -100
        values = self.scale * logits[mask].gather(-1, labels[mask][:, None]) ** 2
        weight = mask.sum().to(logits.dtype)
        return {"loss": values.sum() / weight.clamp(min=1), "weight": weight, "aux": {"scale": self.scale}}


class Bare:
    def __call__(self, logits, labels, batch_metadata):
        return {"loss": logits.sum(), "weight": logits.sum(), "aux": {}}


class Heavy(TokenLoss):
    def __init__(self, *, weight: float = 1.0) -> None:
        self.weight = weight
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "own_terms.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_terms"
    sys.modules.pop("own_terms", None)


def test_a_users_own_term_is_summed(own: str) -> None:
    spec = {
        "name": "sum",
        "terms": [{"name": "cross_entropy"}, {"name": f"{own}:Squared", "scale": 2.0, "weight": 0.5}],
    }
    output = loss_of(spec)(logits_of(), labels_of(), {})
    assert list(output["aux"]) == ["cross_entropy", "Squared", "Squared.scale"]
    assert output["aux"]["Squared.scale"] == 2.0
    mask = labels_of() != IGNORE
    squares = 2 * logits_of()[mask].gather(-1, labels_of()[mask][:, None]) ** 2
    assert output["aux"]["Squared"] == pytest.approx(float(squares.mean().detach()))


def test_a_term_without_denominators_is_refused(own: str) -> None:
    with pytest.raises(ConfigError, match=r"own_terms:Bare' cannot be a term of a sum.*TokenLoss"):
        loss_of({"name": "sum", "terms": [{"name": f"{own}:Bare"}]})


def resolved(terms: list[Any]) -> Any:
    return resolve_config({"episode": {"loss": {"name": "sum", "terms": terms}}}, source="run.yaml").episode.loss


def test_the_defaults_of_terms_are_filled_in() -> None:
    loss = resolved([{"name": "cross_entropy"}, {"name": "number_token", "weight": 0.3}])
    assert loss.spec == {
        "name": "sum",
        "terms": [
            {"name": "cross_entropy", "weight": 1.0},
            {"name": "number_token", "distance": "wasserstein", "roles": None, "weight": 0.3},
        ],
    }
    again = resolve_config({"episode": {"loss": loss.spec}}).episode.loss
    assert again == loss
    assert [(kind, spec["name"]) for kind, spec in nested_components("loss", loss.spec)] == [
        ("loss", "cross_entropy"),
        ("loss", "number_token"),
    ]
    assert isinstance(LOSSES.build(loss.spec, token_values=torch.arange(3).double()), Sum)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ([], ["run.yaml: episode.loss.terms:", "at least 1 item"]),
        (["cross_entropy"], ["episode.loss.terms[0]: it should be a component, written {name: NAME"]),
        ([{"weight": 1.0}], ["episode.loss.terms[0].name: the key 'name' is missing"]),
        ([{"name": "focal", "gama": 1.0}], ["episode.loss.terms[0].gama:", "Did you mean 'gamma'?", "name, weight, gamma"]),
        ([{"name": "focal", "gamma": -1.0}], ["episode.loss.terms[0].gamma: it should be greater than or equal to 0"]),
        ([{"name": "focal", "weight": "x"}], ["episode.loss.terms[0].weight: it should be a number", '"x"']),
        ([{"name": "focal", "weight": -0.1}], ["terms[0].weight: it should be greater than or equal to 0"]),
        ([{"name": "cross_entropy"}, {"name": "focl"}], ["episode.loss.terms[1]: there is no loss 'focl'", "'focal'?"]),
        (
            [{"name": "sum", "terms": [{"name": "cross_entropy"}, {"name": "mmce", "widht": 1.0}]}],
            ["episode.loss.terms[0].terms[1].widht:", "'width'?"],
        ),
        ([{"name": "soft_tokens", "targets": "classes"}], ["terms[0]: soft_tokens: targets: classes and a list of classes"]),
    ],
)  # fmt: skip
def test_the_error_of_a_wrong_term_names_its_position(terms: list[Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(terms)
    for word in words:
        assert word in str(caught.value)


def test_a_term_with_a_weight_of_its_own_is_refused(own: str) -> None:
    with pytest.raises(ConfigError, match=r"terms\[0\]: 'own_terms:Heavy' has a parameter 'weight' of its own"):
        resolved([{"name": f"{own}:Heavy"}])


def test_the_example_in_the_documentation_resolves() -> None:
    import re

    import yaml

    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    loss = resolve_config(yaml.safe_load(block)).episode.loss
    assert loss.name == "sum" and len(loss.spec["terms"]) > 1
    for name in (entry.name for entry in LOSSES):
        assert f"| `{name}` |" in page, name
