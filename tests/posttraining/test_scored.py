"""The scalar head: what it reads, and that it leaves the logits as they are."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.models.pretrained.folders import VOCABULARY, ids, write
from trimtab.config import REGISTRIES, ConfigError
from trimtab.data import CharacterTokenizer
from trimtab.posttraining.scored import Scored


@pytest.fixture(scope="module", params=["decoder", "pretrained"])
def scored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """A model with a head that is no longer 0."""
    bases: dict[str, dict[str, Any]] = {
        "decoder": {"name": "decoder", "layers": 2, "width": 32, "heads": 2, "dropout": 0.0},
        "pretrained": {"name": "pretrained"},
    }
    base = bases[request.param]
    if request.param == "pretrained":
        base["path"] = str(write(tmp_path_factory.mktemp("scored") / "llama", "llama"))
        base["adapt"] = [{"name": "lora", "rank": 2}]
    registry = REGISTRIES["model"]
    spec = registry.resolve({"name": "scored", "base": base})
    inner = registry.resolve(base)
    made: Scored = registry.build(
        {**spec, "base": inner}, vocabulary=VOCABULARY, context=32, tokenizer=CharacterTokenizer()
    )
    assert not made(ids(1, 5), None).outputs["reward"].any()
    nn.init.normal_(made.head.weight, generator=torch.Generator().manual_seed(0))
    return made.eval()


def test_the_logits_are_the_bases_and_rewards_do_not_depend_on_later_tokens(scored: Scored) -> None:
    tokens = ids(2, 12)
    with torch.no_grad():
        whole, part = scored(tokens, None), scored(tokens[:, :7], None)
        assert torch.equal(whole.logits, scored.base(tokens, None))
    assert whole.outputs["reward"].shape == (2, 12)
    torch.testing.assert_close(whole.outputs["reward"][:, :7], part.outputs["reward"], atol=1e-5, rtol=1e-5)
    assert whole.outputs["reward"].std() > 0


def test_rewards_do_not_depend_on_the_side_of_the_padding_or_on_other_rows(scored: Scored) -> None:
    row = ids(1, 9)
    pad = torch.zeros(1, 3, dtype=torch.int64)
    real, none = torch.ones(1, 9, dtype=torch.bool), torch.zeros(1, 3, dtype=torch.bool)
    with torch.no_grad():
        alone = scored(row, None).outputs["reward"][0]
        both = scored(
            torch.cat((torch.cat((row, pad), 1), torch.cat((pad, row), 1))),
            torch.cat((torch.cat((real, none), 1), torch.cat((none, real), 1))),
        ).outputs["reward"]
    torch.testing.assert_close(both[0, :9], alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[1, 3:], alone, atol=1e-5, rtol=1e-5)


def test_gradients_reach_the_head_and_the_base(scored: Scored) -> None:
    scored.zero_grad()
    scored(ids(2, 6), None).outputs["reward"].sum().backward()
    assert scored.head.weight.grad is not None
    trained = [p for p in scored.base.parameters() if p.requires_grad]
    assert any(p.grad is not None and bool(p.grad.any()) for p in trained)


def test_frozen_weights_stay_in_their_files_and_a_base_without_hidden_states_is_refused(scored: Scored) -> None:
    names = {name for name, parameter in scored.named_parameters() if not parameter.requires_grad}
    assert scored.unchanged_weights() == names
    with pytest.raises(ConfigError, match="has no hidden states that a head can read"):
        Scored(
            vocabulary=9,
            context=8,
            tokenizer=CharacterTokenizer(),
            base=type(Scored.__init__.__kwdefaults__["base"])(name="tests.tiny:TinyModel"),
        )
