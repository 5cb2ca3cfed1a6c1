"""Which tokens are thoughts."""

import torch

from tests.metacognition.models import CLOSE, OPEN
from trimtab.metacognition.tags import Tags, decision_places, thinking

TAGS = Tags(OPEN, CLOSE)


def marks(*tokens: int, real: list[int] | None = None) -> list[int]:
    ids = torch.tensor([tokens])
    return thinking(ids, torch.ones_like(ids) > 0 if real is None else torch.tensor([real]) > 0, TAGS)[0].int().tolist()


def test_a_thought_is_what_stands_between_the_tags() -> None:
    assert marks(5, OPEN, 6, 7, CLOSE, 8) == [0, 0, 1, 1, 0, 0]
    assert marks(5, 6) == [0, 0]
    assert marks(OPEN, 5, 6) == [0, 1, 1]
    assert marks(CLOSE, OPEN, 5, CLOSE) == [0, 0, 0, 0]  # a stray closing tag is not forgotten
    assert marks(OPEN, 5, CLOSE, 6, OPEN, 7, CLOSE) == [0, 1, 0, 0, 0, 1, 0]


def test_padding_is_no_thought_and_its_tags_do_not_count() -> None:
    assert marks(OPEN, OPEN, 5, CLOSE, 6, real=[0, 1, 1, 1, 1]) == [0, 0, 1, 0, 0]
    assert marks(OPEN, 5, 6, 7, real=[1, 1, 0, 0]) == [0, 1, 0, 0]


def test_no_token_depends_on_later_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    choices = torch.tensor([OPEN, CLOSE, 5, 6])
    ids = choices[torch.randint(4, (500, 20), generator=generator)]
    real = torch.rand(500, 20, generator=generator) < 0.9
    whole = thinking(ids, real, TAGS)
    for length in range(1, 20):
        assert torch.equal(thinking(ids[:, :length], real[:, :length], TAGS), whole[:, :length])


def test_the_decision_token_is_the_last_real_opening_tag() -> None:
    ids = torch.tensor([[5, OPEN, 6, OPEN], [OPEN, 5, 6, 7], [5, 5, 5, 5]])
    real = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]]) > 0
    assert decision_places(ids, real, TAGS).tolist() == [1, 0, -1]
