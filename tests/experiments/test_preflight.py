"""The preflight check refuses an arm that cannot be trained."""

from pathlib import Path
from typing import Any

import pytest

from tests.experiments.specs import spec
from tests.regimes.parts import policy
from trimtab.config import ConfigError
from trimtab.experiments import RunOptions, run_experiment
from trimtab.regimes.policy import save_policy
from trimtab.runtime.events import RunEvent


class Raising:
    """A loss with a mistake in it."""

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        raise ValueError("my loss")


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"name": "weighted", "tag": "conf"}, "needs the tag 'conf'"),
        (
            {"name": "tests.experiments.test_preflight:Raising"},
            r"raised ValueError: my loss \(.*test_preflight.py, line \d+\)\.$",
        ),
    ],
)
def test_an_arm_whose_loss_lacks_something_is_refused_before_anything_is_run(
    tmp_path: Path, loss: dict[str, Any], words: str
) -> None:
    seen: list[RunEvent] = []
    arms = {"plain": {}, "bad": {"episode.loss": loss}}
    with pytest.raises(ConfigError, match=words) as caught:
        run_experiment(spec(arms=arms), tmp_path / "e", RunOptions(events=seen.append))
    assert "The arm 'bad' cannot be trained" in str(caught.value) and "\n" not in str(caught.value)
    assert not seen and not (tmp_path / "e").exists()


def test_an_arm_whose_policy_is_missing_or_another_one_is_refused_by_arm_and_key(tmp_path: Path) -> None:
    learned = {"name": "learned", "path": str(tmp_path / "policy")}
    arms = {"plain": {}, "bad": {"episode.regime_controller": learned}}
    with pytest.raises(ConfigError, match=r"arm 'bad'.* episode\.regime_controller: learned: path: There is no policy"):
        run_experiment(spec(arms=arms), tmp_path / "e", RunOptions())
    save_policy(policy({"skip": -0.1}), tmp_path / "policy")
    learned["sha256"] = "0" * 64
    with pytest.raises(ConfigError, match=r"The arm 'bad' cannot .* by `episode\.regime_controller\.sha256`: "):
        run_experiment(spec(arms=arms), tmp_path / "e", RunOptions())
    assert not (tmp_path / "e").exists()
