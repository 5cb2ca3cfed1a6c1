import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.regimes.parts import policy
from trimtab.config import ConfigError
from trimtab.records.manifest import with_checksum
from trimtab.regimes.actions import ACTIONS
from trimtab.regimes.features import FEATURES
from trimtab.regimes.policy import LinearPolicy, load_policy, policy_sha256, save_policy

SPIKE = np.array([float(name == "loss_spike") for name in FEATURES])


def test_a_prediction_and_its_error_by_hand() -> None:
    rng = np.random.default_rng(0)
    count = len(FEATURES)
    root = rng.normal(size=(len(ACTIONS), count + 1, count + 1))
    made = LinearPolicy(
        mean=rng.normal(size=count),
        scale=rng.uniform(0.5, 2, size=count),
        weights=rng.normal(size=(len(ACTIONS), count + 1)),
        covariance=root @ root.transpose(0, 2, 1),
        card={},
    )
    x = rng.normal(size=count)
    z = [*((x - made.mean) / made.scale), 1.0]
    effect, error = made.predict(x)["rewind"]
    place = ACTIONS.index("rewind")
    assert effect == pytest.approx(sum(w * value for w, value in zip(made.weights[place], z, strict=True)))
    assert error == pytest.approx(np.linalg.norm(root[place].T @ z))


def test_the_action_with_the_lowest_bound_is_chosen_if_it_is_below_the_margin() -> None:
    made = policy({"skip": -0.1, "rewind": -0.3, "clip": 0.2}, error=0.05)
    assert made.best(SPIKE, ACTIONS, margin=0.0, caution=1.0) == ("rewind", pytest.approx(-0.3), pytest.approx(0.05))
    assert made.best(SPIKE, ("skip", "clip"), margin=0.0, caution=1.0) == (
        "skip",
        pytest.approx(-0.1),
        pytest.approx(0.05),
    )
    assert made.best(SPIKE, ("skip", "clip"), margin=0.06, caution=1.0) is None
    assert made.best(SPIKE, ("skip", "clip"), margin=0.0, caution=2.0) is None
    assert made.best(np.zeros(len(FEATURES)), ACTIONS, margin=0.0, caution=0.0) is None  # 0 is not below 0


def test_a_policy_is_the_same_byte_for_byte_after_a_round_trip(tmp_path: Path) -> None:
    save_policy(policy({"skip": -0.1}, error=0.05), tmp_path / "a")
    save_policy(load_policy(tmp_path / "a"), tmp_path / "b")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert set(files) == {"policy.json", "policy.safetensors"}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert load_policy(tmp_path / "b", policy_sha256(tmp_path / "a")).card["metric"] == "val_loss"


def rewrite(folder: Path, **changes: object) -> None:
    """Change a policy's card and give it a fitting checksum."""
    content = json.loads((folder / "policy.json").read_text()) | changes
    del content["checksum"]
    (folder / "policy.json").write_text(json.dumps(with_checksum(content)))


def test_damaged_edited_and_foreign_policies_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "policy"

    def refused(words: str, sha256: str | None = None) -> None:
        with pytest.raises(ConfigError, match=words):
            load_policy(folder, sha256)
        shutil.rmtree(folder, ignore_errors=True)
        save_policy(policy({"skip": -0.1}), folder)

    refused("no policy at .*policy.json: .* `--set episode.regime_controller.path=FOLDER`")
    refused("names by `episode.regime_controller.sha256`: .* `--set episode.regime_controller.sha256=null`", "0" * 64)
    card = folder / "policy.json"
    card.write_text(card.read_text().replace("val_loss", "train_loss"))
    refused("its checksum differs")
    card.write_text("{")
    refused("is damaged")
    tensors = folder / "policy.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x01")
    refused("the content of policy.safetensors does not have the SHA-256")
    tensors.unlink()
    refused("policy.safetensors: No such file")
    rewrite(folder, format=2)
    refused("is of format 2; this Trimtab reads format 1")
    for version in (1.0, True, None):
        rewrite(folder, format=version)
        refused("is of format .*; this Trimtab reads format 1")
    rewrite(folder, features=[*FEATURES[:-1], "weather"])
    refused("was fitted for other features")
    rewrite(folder, actions=["skip"])
    refused("was fitted for other actions")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": None}, "metric holds null where 'val_loss' or 'train_loss' belongs"),
        ({"method": "guess"}, "method holds \"guess\" where 'ridge' or 'q' belongs"),
        ({"horizons": 30}, "horizons holds 30 where a list belongs"),
        ({"horizons": []}, "horizons holds a list"),
        ({"ledger": "mine"}, 'ledger holds "mine" where an object belongs'),
    ],
)
def test_a_card_that_no_fit_writes_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    save_policy(policy({"skip": -0.1}), tmp_path / "policy")
    rewrite(tmp_path / "policy", **changes)
    for read in (load_policy, policy_sha256):
        with pytest.raises(ConfigError, match=f"is damaged: in policy.json, {words}"):
            read(tmp_path / "policy")


def test_a_policy_with_a_value_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    sound = policy({"skip": -0.1})
    for name, wrong in (("weights", sound.weights + np.inf), ("covariance", sound.covariance + np.nan)):
        with pytest.raises(ConfigError, match=f"not written, because its {name} has a"):
            save_policy(LinearPolicy(**{**vars(sound), name: wrong}), tmp_path / "policy")
    assert not any(tmp_path.iterdir())


def test_a_policy_replaces_a_policy_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    save_policy(policy({"skip": -0.1}), folder)
    rewrite(folder, format=2)
    save_policy(policy({"skip": -0.2}), folder)  # one that cannot be loaded, too
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds more than a policy: notes.txt"):
        save_policy(policy({"skip": -0.3}), folder)
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    (folder / "policy.safetensors").unlink()
    (folder / "policy.safetensors").mkdir()
    with pytest.raises(ConfigError, match="holds more than a policy: policy.safetensors"):
        save_policy(policy({"skip": -0.3}), folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "policy.json").write_text('{"rules": []}')
    with pytest.raises(ConfigError, match="holds no policy that can be read"):
        save_policy(policy({"skip": -0.3}), other)
    with pytest.raises(ConfigError, match="is not a folder"):
        save_policy(policy({"skip": -0.3}), other / "policy.json")


def test_a_policy_is_written_where_a_symbolic_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("policy")
    for effect in (-0.1, -0.2):
        save_policy(policy({"skip": effect}), tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert load_policy(tmp_path / "policy").predict(SPIKE)["skip"][0] == effect
    (tmp_path / "policy/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds more than a policy: notes.txt"):
        save_policy(policy({"skip": -0.3}), tmp_path / "link")


def test_tensors_that_no_fit_writes_are_refused(tmp_path: Path) -> None:
    folder, sound = tmp_path / "policy", policy({"skip": -0.1})
    save_policy(sound, folder)
    tensors = safetensors.numpy.load_file(folder / "policy.safetensors")
    assert set(tensors) == {"mean", "scale", "weights", "covariance"}
    for wrong, words in (
        ({**tensors, "mean": sound.mean + np.nan}, "in policy.safetensors, its mean has a value that is not finite"),
        ({**tensors, "scale": sound.scale * 0}, "in policy.safetensors, its scale has a value that is not positive"),
        ({**tensors, "weights": tensors["weights"][:, :-1].copy()}, "policy.safetensors holds"),
        ({"mean": tensors["mean"]}, "policy.safetensors holds"),
        ({}, "policy.safetensors holds nothing"),
    ):
        data = safetensors.numpy.save(wrong)
        (folder / "policy.safetensors").write_bytes(data)
        rewrite(folder, tensors_sha256=hashlib.sha256(data).hexdigest())
        with pytest.raises(ConfigError, match=f"is damaged: {words}"):
            load_policy(folder)
