"""A bad spec is one clear paragraph."""

from pathlib import Path
from typing import Any

import pytest

from tests.experiments.specs import GUARDED, SMALL, spec
from trimtab.config import ConfigError
from trimtab.experiments import load_experiment, planned

_GUARD: dict[str, Any] = {"episode.regime_controller": {"name": "spike_guard"}}


def test_arms_seeds_and_cells_become_configs() -> None:
    result = spec(factors={"episode.optimizer.lr": [0.001, 0.01]}, arms={"a": {}, "b": {"model.width": 32}})
    assert result.cells == [{"episode.optimizer.lr": 0.001}, {"episode.optimizer.lr": 0.01}]
    config = result.config("b", 7, result.cells[1])
    assert (config.seed, config.model.spec["width"], config.episode.optimizer.spec["lr"]) == (7, 32, 0.01)
    assert (result.baseline_arm, result.treatments, result.seed_list) == ("a", ["b"], [0, 1])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"arms": {"plain": {}, "hot": {"episode.optimizer.lrr": 1.0}}}, ("arm 'hot'", "lrr", "lr")),
        ({"arms": {"plain": {}, "same": {}}}, ("'same'", "'plain'", "the same config")),
        ({"arms": {"plain": {}}}, ("arms",)),
        ({"arms": {"plain": {}, "": {"seed": 1}}}, ("not a name for an arm",)),
        ({"seeds": 1}, ("two different seeds",)),
        ({"seeds": [3, 3]}, ("two different seeds",)),
        ({"claim": {"metric": "val_loss", "higher_is_better": False}}, ("claim.margin",)),
        ({"claim": {"metric": "val_loss", "higher_is_better": False, "margin": 0.0}}, ("claim.margin",)),
        ({"baseline": "cold"}, ("no arm 'cold'", "plain, hot")),
        ({"pairing": {"name": "fork"}}, ("pairing.at",)),
        ({"pairing": {"name": "seed", "at": 3}}, ("pairing.at",)),
        ({"pairing": {"name": "fork", "at": 40}}, ("not before the last step",)),
        ({"pairing": {"name": "lazy_fork"}}, ("no arm has a regime controller",)),
        (
            {**GUARDED, "arms": {"plain": {}, "hot": {"episode.steps": 9, **_GUARD}}},
            ("arm 'hot'", "more than its regime controller"),
        ),
        ({"tune": {"cold": {"over": {"episode.clip": [1.0]}}}}, ("'cold' is not a treatment", "hot")),
        ({"tune": {"hot": {"over": {"episode.clip": [1.0], "episode.optimizer.lr": [0.1, 0.2, 0.3]}}}}, ("3 runs",)),
        ({"tune": {"hot": {"over": {"episode.clip": [1.0]}, "seeds": [1]}}}, ("[1]", "seeds of the experiment")),
        ({"tune": {"hot": {"over": {"episode.clipp": [1.0]}}}}, ("clipp", "clip")),
        (
            {"tune": {"hot": {"over": {"episode.regime_controller": [{"name": "thresholds"}]}}}},
            ("a tuned arm cannot have",),
        ),
        ({"tune": {"hot": {"over": {"seed": [1]}}}, "factors": {"episode.clip": [1.0]}}, ("factors",)),
        ({"intervention_effects": {"steps": 1}}, ("intervention_effects.steps",)),
        ({"intervention_effects": True}, ("no arm has a regime controller",)),
        ({"claim": {"metric": "val_los", "higher_is_better": False, "margin": 0.1}}, ("'val_los'", "'val_loss'")),
        ({"claim": {"metric": "sensitivity", "higher_is_better": False, "margin": 0.1}}, ("derived",)),
        (
            {"claim": {"metric": "instruments.sharpness.value", "higher_is_better": False, "margin": 0.1}},
            ("no episode of the arm", "sharpness"),
        ),
        ({"claim": {"metric": "val_loss", "higher_is_better": False, "margin": 0.1, "alpha": 0.6}}, ("claim.alpha",)),
        ({"factors": {"episode.clip": []}}, ("at least one value",)),
        ({"factors": {"episode.clip": [0.1, 0.1]}}, ("listed twice",)),
        ({"factors": {"episode.optimizer.lr": [0.1, 0.2]}}, ("arms.hot", "episode.optimizer.lr")),
        ({"arms": {"plain": {}, "x": {"seed": 3}}}, ("arms.x", "seed")),
        ({"arms": {"plain": {}, "x" * 301: {"episode.clip": 0.5}}}, ("300 printable characters",)),
        ({"arms": {"plain": {}, "a\0b": {"episode.clip": 0.5}}}, ("'a\\x00b'", "printable")),
        ({"arms": {"plain": {}, "\x1b[2J": {"episode.clip": 0.5}}}, ("'\\x1b[2J'", "printable")),
        ({"arms": {"plain": {}, " ": {"episode.clip": 0.5}}}, ("not a name for an arm",)),
        ({"arms": {"plain": {}, "Plain": {"episode.clip": 0.5}}}, ("'plain' and 'Plain'", "ignores case")),
        ({"seeds": 10**9}, ("1,000,000,000 seeds", "at most")),
        ({"factors": {f"episode.x{i}": list(range(10)) for i in range(9)}}, ("1,000,000,000 cells", "at most")),
        ({"seeds": [0, -1]}, ("seed", "found -1")),
        ({"tune": {"hot": {"over": {"episode.clip": []}}}}, ("tune.hot", "at least one value")),
        ({"tune": {"hot": {"over": {"seed": [1]}}}}, ("tune.hot", "none may be 'seed'")),
        (
            {"tune": {"hot": {"over": {f"episode.x{i}": list(range(10)) for i in range(30)}}}},
            ("candidates", "Use fewer"),
        ),
        (
            {"pairing": {"name": "fork", "at": 30}, "arms": {"plain": {}, "short": {"episode.steps": 20}}},
            ("pairing.at", "arm 'short'", "20"),
        ),
        (
            {
                "arms": {"plain": {}, "blind": {"episode.task_eval.problems": 0}},
                "data": {"name": "task", "task": {"name": "arithmetic"}},
                "claim": {"metric": "task_eval.exact_match", "higher_is_better": True, "margin": 0.1},
            },
            ("arm 'blind'", "task_eval.exact_match"),
        ),
        (
            {
                "derived": {"name": "sensitivity", "over": "episode.clip", "metric": "val_los"},
                "factors": {"episode.clip": [0.1, 0.2]},
                "claim": {"metric": "sensitivity", "higher_is_better": False, "margin": 0.1},
            },
            ("derived.metric", "'val_loss'"),
        ),
        ({"claim": {**SMALL["claim"], "metric": "stability.rewinds", "scale": "log"}}, ("claim.scale", "often 0")),
        ({"claim": {**SMALL["claim"], "alpha": 1e-300}}, ("claim.alpha",)),
        ({"claim": {**SMALL["claim"], "margin": float("inf")}}, ("claim.margin",)),
        ({"budget": {"pairs": 2}}, ("budget.pairs", "only a sequential experiment")),
        ({"sequential": True, "seeds": 8, "budget": {"pairs": 9}}, ("budget.pairs: it is 9", "number of seeds, 8")),
        ({"sequential": True, "seeds": 5}, ("at least 6 pairs",)),
        (
            {"sequential": True, "seeds": 8, "claim": {**SMALL["claim"], "scale": "trimmed"}},
            ("judged sequentially",),
        ),
        ({"noise_floor": 1}, ("noise_floor", "from 2 to")),
        ({"noise_floor": 3}, ("noise_floor", "2 seeds")),
        (
            {"pairing": {"name": "fork", "at": 5}, "arms": {"plain": {}, "wide": {"model.width": 32}}},
            ("a fork shares model, data",),
        ),
        ({"pairing": {"name": "interventions"}}, ("pairing.name",)),
        ({"derived": {"name": "sensitivity", "over": "episode.clip"}}, ("derived.over",)),
        ({"data": {"path": "no/such.txt"}}, ("data.path", "no/such.txt")),
        ({"arms": {"plain": {}, "other": {"data.path": "no/such.txt"}}}, ("data.path", "arm 'other'")),
        (
            {"claim": {"metric": "task_eval.exact_match", "higher_is_better": True, "margin": 0.1}},
            ("task_eval.exact_match",),
        ),
        (
            {
                "claim": {"metric": "task_eval.exact_macth", "higher_is_better": True, "margin": 0.1},
                "data": {"name": "task", "task": {"name": "arithmetic"}},
            },
            ("task_eval.exact_macth", "Did you mean 'task_eval.exact_match'"),
        ),
        ({"epsiode": {"steps": 3}}, ("epsiode", "episode")),
        ({"episode": {"steps": -1}}, ("steps",)),
    ],
    ids=str,
)
def test_the_error_for_a_bad_design_names_its_key(changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as refused:
        spec(**changes)
    assert "\n" not in str(refused.value)
    for part in parts:
        assert part in str(refused.value)


def test_a_lazy_forks_baseline_has_no_controller() -> None:
    arms = {
        "a": {"episode.regime_controller": {"name": "thresholds"}},
        "b": {"episode.regime_controller": {"name": "zclip"}},
    }
    with pytest.raises(ConfigError, match="must not have a regime controller"):
        spec(**{**GUARDED, "arms": arms})


def test_a_plan_with_too_few_pairs_for_its_claims_is_refused() -> None:
    with pytest.raises(ConfigError, match="pairs"):
        planned(spec(seeds=5))
    with pytest.raises(ConfigError, match="2 claims"):
        planned(spec(seeds=6, arms={"a": {}, "b": {"episode.clip": 0.5}, "c": {"episode.clip": 0.2}}))
    assert "6 pairs" in planned(spec(seeds=6))


def test_a_file_with_overrides(tmp_path: Path) -> None:
    import yaml

    (tmp_path / "e.yaml").write_text(yaml.safe_dump(SMALL))
    assert (
        load_experiment(tmp_path / "e.yaml", ["seeds=9", "episode.steps=50"]).config("plain", 0, {}).episode.steps == 50
    )
