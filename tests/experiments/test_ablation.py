"""One change at a time."""

from typing import Any

import pytest

from tests.experiments.specs import SMALL
from trimtab.config import ConfigError
from trimtab.evidence import parse_claim
from trimtab.experiments.ablation import ablation

BASE: dict[str, Any] = {key: SMALL[key] for key in ("threads", "data", "model", "episode")}
CLAIM = parse_claim("val_accuracy higher 0.01")


def test_every_change_is_an_arm_of_its_own() -> None:
    over = ["model.dropout=0.3,episode.optimizer={name: sgd, lr: 0.1}", "episode.clip=null"]
    result = ablation(BASE, over, CLAIM, 7)
    assert result.treatments == ["dropout=0.3", "optimizer={name: sgd, lr: 0.1}", "clip=null"]
    config = result.config("clip=null", 3, {})
    assert config.episode.clip is None and config.model.spec["dropout"] == 0.1
    assert result.config("optimizer={name: sgd, lr: 0.1}", 0, {}).episode.optimizer.spec["lr"] == 0.1
    assert (result.baseline_arm, len(result.seed_list), result.claim.metric) == ("base", 7, "val_accuracy")


@pytest.mark.parametrize(
    ("over", "part"),
    [
        (["model.dropout"], "KEY=VALUE"),
        ([], "no change"),
        (["model.dropout=0.2,model.dropout=0.2"], "listed twice"),
        (["model.dropout=0.1"], "the same config"),
        (["model.dropuot=0.2"], "dropout"),
    ],
    ids=str,
)
def test_the_error_says_what_is_wrong_with_a_change(over: list[str], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        ablation(BASE, over, CLAIM, 6)
