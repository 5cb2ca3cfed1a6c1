import json
from pathlib import Path

import pytest

from tests.regimes.parts import EPISODE, SPIKES, policy, state
from tests.training.small_runs import config
from trimtab.config import ConfigError
from trimtab.config.kinds import REGISTRIES
from trimtab.regimes import Decision
from trimtab.regimes.learned import Learned
from trimtab.regimes.policy import policy_sha256, save_policy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_policy(policy({"skip": -0.2, "rewind": -0.1}, error=0.05), tmp_path / "policy")
    return tmp_path / "policy"


def test_it_takes_the_best_action_where_its_prediction_is_low_enough(folder: Path) -> None:
    learned = Learned(path=str(folder))
    assert learned.update(state(1), EPISODE) is None
    decision = learned.update(state(2, anomaly_flags=SPIKES), EPISODE)
    assert decision == Decision("skip: predicted effect on val_loss -0.2000, standard error 0.0500", action="skip")
    assert Learned(path=str(folder), margin=0.11).update(state(2, anomaly_flags=SPIKES), EPISODE) is None
    assert Learned(path=str(folder), caution=4.0).update(state(2, anomaly_flags=SPIKES), EPISODE) is None
    assert learned.rewinds


def test_the_hash_of_the_policy_becomes_part_of_the_config(folder: Path) -> None:
    registry = REGISTRIES["regime_controller"]
    spec = registry.resolve({"name": "learned", "path": str(folder)})
    assert spec == {
        "name": "learned",
        "path": str(folder),
        "sha256": policy_sha256(folder),
        "margin": 0.02,
        "caution": 2.0,
    }
    assert registry.resolve(spec) == spec
    save_policy(policy({"skip": -0.3}), folder)
    with pytest.raises(ConfigError, match="The policy in .* is not the one that this config names"):
        registry.build(spec)
    with pytest.raises(ConfigError, match="no policy at"):
        registry.resolve({"name": "learned", "path": str(folder.parent)})


def test_an_error_about_the_policy_names_the_place_of_the_key(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set: episode\.regime_controller: learned: path: There is no policy at"):
        config(f"episode.regime_controller={{name: learned, path: '{folder.parent}'}}")
    with pytest.raises(ConfigError, match=r"--set: episode\.regime_controller\.sha256: .*\^\[0-9a-f\]\{64\}\$"):
        config(f"episode.regime_controller={{name: learned, path: '{folder}', sha256: '{'0' * 63}'}}")


def test_its_state_survives_a_checkpoint(folder: Path) -> None:
    first, second = Learned(path=str(folder)), Learned(path=str(folder))
    for step in range(1, 30):
        first.update(state(step, norm=1 + step % 3, update_ratio=0.01), EPISODE)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.state_dict() == first.state_dict()
