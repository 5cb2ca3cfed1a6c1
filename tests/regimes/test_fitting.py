from dataclasses import replace

import numpy as np
import pytest

from trimtab.config import ConfigError
from trimtab.regimes.actions import ACTIONS
from trimtab.regimes.features import FEATURES
from trimtab.regimes.fitting import PENALTIES, Point, fit, ridge
from trimtab.regimes.held_out import predictions, split_seeds, value

CARD = {"metric": "val_loss"}
SPIKE, WARMING = FEATURES.index("loss_spike"), FEATURES.index("warming")


def at(**values: float) -> np.ndarray:
    x = np.zeros(len(FEATURES))
    for name, value_of_it in values.items():
        x[FEATURES.index(name)] = value_of_it
    return x


def ledger(seeds: int = 8, each: int = 40, noise: float = 0.02) -> list[Point]:
    """Skipping helps at a spike, lowering the rate helps elsewhere, and all else does harm."""
    rng = np.random.default_rng(3)
    points = []
    for seed in range(seeds):
        for place in range(each):
            x = at(loss_z=rng.normal(), loss_spike=float(rng.random() < 0.5))
            action = ACTIONS[int(rng.integers(len(ACTIONS)))]
            good = {"skip": x[SPIKE], "lower_rate": 1 - x[SPIKE]}.get(action, 0.0)
            effect = 0.1 - 0.3 * good + noise * rng.normal()
            points.append(Point(seed, seed, 2 * place, x, ACTIONS, action, effect))
            points.append(
                Point(seed, seed, 2 * place + 1, at(loss_z=rng.normal(), loss_spike=place % 2), ACTIONS, None, 0.0)
            )
    return points


@pytest.mark.parametrize("method", ["ridge", "q"])
def test_the_best_action_of_a_known_ledger_is_recovered(method) -> None:  # type: ignore[no-untyped-def]
    policy = fit(ledger(), method, CARD).policy
    for spike, action in ((1.0, "skip"), (0.0, "lower_rate")):
        best = policy.best(at(loss_spike=spike), ACTIONS, margin=0.0, caution=1.0)
        assert best is not None and best[0] == action
        assert method == "q" or best[1] == pytest.approx(-0.2, abs=0.03)
    assert policy.card["method"] == method
    harmful = [name for name in ACTIONS if name not in ("skip", "lower_rate")]
    assert policy.best(at(loss_spike=1.0), harmful, margin=0.0, caution=1.0) is None


def test_an_action_that_nobody_took_is_never_chosen() -> None:
    points = [point for point in ledger() if point.action != "skip"]
    policy = fit(points, "ridge", CARD).policy
    assert policy.predict(at(loss_spike=1.0))["skip"] == (0.0, 0.0)
    assert policy.best(at(loss_spike=1.0), ACTIONS, margin=0.0, caution=0.0) is None


def test_fitted_q_prefers_the_action_that_leaves_more_to_gain() -> None:
    """Skipping gains .1 at once, after which nothing helps; clipping gains .05, and the next rewind then gains .5."""
    points = []
    for episode in range(40):
        first, seed = ("skip", "clip")[episode % 2], episode % 8
        wiggle = 0.001 * (episode % 5)
        points.append(
            Point(episode, seed, 10, at(loss_spike=1.0), ("skip", "clip"), first, -0.1 if first == "skip" else -0.05)
        )
        after = at(warming=float(first == "clip"), loss_z=wiggle)
        points.append(Point(episode, seed, 11, after, ("rewind",), "rewind", -0.5 if first == "clip" else 0.2))
        points.append(Point(episode, seed, 12, after, (), None, 0.0))
    names = ("skip", "clip")
    chosen = {}
    for method, discount in (("ridge", 1.0), ("q", 1.0), ("q", 0.0)):
        best = fit(points, method, CARD, discount).policy.best(at(loss_spike=1.0), names, margin=0.0, caution=0.0)
        assert best is not None
        chosen[method, discount] = best[0]
    assert chosen == {("ridge", 1.0): "skip", ("q", 1.0): "clip", ("q", 0.0): "skip"}


def test_fitted_q_without_steps_of_doing_nothing_of_two_seeds_is_refused() -> None:
    for kept in ((), (3,)):
        with pytest.raises(ConfigError, match="needs steps without a decision, of at least two seeds"):
            fit([point for point in ledger() if point.action is not None or point.seed in kept], "q", CARD)


@pytest.mark.parametrize("method", ["ridge", "q"])
def test_an_action_of_one_seed_is_predicted_to_change_nothing(method) -> None:  # type: ignore[no-untyped-def]
    """After doing nothing there is something to gain where `loss_z` is low; the line through these values is above 0 elsewhere."""
    rng, points = np.random.default_rng(5), []
    for episode in range(48):
        seed, z = episode % 6, rng.uniform(-1, 1)
        points.append(Point(episode, seed, 0, at(loss_z=z), ("skip", "clip"), None, 0.0))
        then, effect = at(warming=float(z < 0), plateau=1.0), 0.01 * rng.normal() - 0.3 * (z < 0)
        points.append(Point(episode, seed, 1, then, ("clip",), "clip", effect))
        if seed == 0:
            points.append(Point(episode, seed, 2, then, ("skip",), "skip", 0.5))
        points.append(Point(episode, seed, 3, then, (), None, 0.0))
    fitted = fit(points, method, CARD, 1.0)
    assert not fitted.models["skip"].known and fitted.models["clip"].known
    high = at(loss_z=3.0)
    if fitted.none is not None:
        x = np.append((high - fitted.policy.mean) / fitted.policy.scale, 1.0)
        assert fitted.none.weights @ x > 0.1  # so 0 minus this is not taken for the value of skipping
    predicted = fitted.policy.predict(high)
    assert predicted["skip"] == predicted["rewind"] == (0.0, 0.0)
    assert predicted["clip"][1] > 0
    assert fitted.policy.best(high, ("skip", "rewind"), margin=0.0, caution=0.0) is None


def test_fitted_q_does_not_count_on_an_action_that_it_cannot_predict() -> None:
    """Every known action does harm, so after an action nothing is left to gain, and its value is its effect."""
    rng = np.random.default_rng(6)
    points = []
    for episode in range(24):
        seed = episode % 6
        x = [at(loss_z=rng.normal()) for _ in range(3)]
        points.append(Point(episode, seed, 0, x[0], ("clip",), "clip" if episode % 2 else None, 0.2 * (episode % 2)))
        points.append(Point(episode, seed, 1, x[1], ("skip",), "skip" if seed == 0 else None, 0.0))
        points.append(Point(episode, seed, 2, x[2], (), None, 0.7))  # doing nothing is made to cost something
    none = fit(points, "q", CARD, 1.0).none
    assert none is not None and none.weights[-1] > 0.5


def test_effects_that_overflow_are_refused() -> None:
    points = [replace(point, effect=1e308) if point.action == "clip" else point for point in ledger()]
    for method in ("ridge", "q"):
        with pytest.raises(
            ConfigError, match=r"effects are too large .* The largest is 1e\+308, of a clip under the seed"
        ):
            fit(points, method, CARD)  # type: ignore[arg-type]


def test_a_ridge_regression_by_hand() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(60, 2)), np.ones(60)])
    y = x @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=60)
    groups = np.repeat(np.arange(6), 10)
    model = ridge(x, y, groups)
    penalty = np.diag([model.penalty, model.penalty, 1e-6])
    assert model.weights == pytest.approx(np.linalg.solve(x.T @ x + penalty, x.T @ y))
    errors = {}
    for one in PENALTIES:
        rest = [(x[groups != group], y[groups != group], x[groups == group], y[groups == group]) for group in range(6)]
        errors[one] = np.mean(
            [
                (y_out - x_out @ np.linalg.solve(x_in.T @ x_in + np.diag([one, one, 1e-6]), x_in.T @ y_in)) ** 2
                for x_in, y_in, x_out, y_out in rest
            ]
        )
    assert model.penalty == min(errors, key=errors.__getitem__)
    assert model.error**2 == pytest.approx(errors[model.penalty])
    assert model.covariance == pytest.approx(model.error**2 * np.linalg.inv(x.T @ x + penalty))


def test_a_pure_noise_effect_gets_the_largest_penalty_and_no_action() -> None:
    rng = np.random.default_rng(1)
    points = [
        Point(seed, seed, place, at(loss_z=rng.normal(), loss_spike=place % 2), ACTIONS, "skip", rng.normal())
        for seed in range(8)
        for place in range(20)
    ]
    fitted = fit(points, "ridge", CARD)
    assert fitted.models["skip"].penalty >= 300
    assert fitted.policy.best(at(loss_spike=1.0), ACTIONS, margin=0.0, caution=2.0) is None


def test_seeds_to_hold_out_are_spread_and_leave_two() -> None:
    assert split_seeds(list(range(16)), 0.25) == [2, 6, 10, 14]
    assert split_seeds([7, 3, 5], 0.25) == [5]
    assert split_seeds([3, 5], 0.25) == []


def test_predictions_for_held_out_seeds_by_hand() -> None:
    policy = fit(ledger(), "ridge", CARD).policy
    x, y = at(loss_spike=1.0), at(loss_spike=0.0)
    points = [
        Point(0, 0, place, features, ACTIONS, "skip", effect)
        for place, (features, effect) in enumerate([(x, -0.3), (x, -0.1), (y, 0.2), (y, -0.1)])
    ]
    points.append(Point(0, 0, 4, x, ACTIONS, None, 0.0))
    (row,) = predictions(policy, points)
    effects, predicted = [-0.3, -0.1, 0.2, -0.1], [policy.predict(one.features)["skip"][0] for one in points[:4]]
    errors = sum((a - b) ** 2 for a, b in zip(effects, predicted, strict=True))
    assert (row.action, row.decisions, row.mean_effect) == ("skip", 4, pytest.approx(-0.075))
    assert row.r_squared == pytest.approx(1 - errors / sum((effect + 0.075) ** 2 for effect in effects))
    assert (row.right_signs, row.never_right) == (0.75, 0.25)
    kept = value(policy, points)  # skip is the policy's choice at the two spikes
    assert (kept.agreeing, kept.mean_effect, kept.decisions) == (2, pytest.approx(-0.2), 4)
    assert kept.mean_of_all == pytest.approx(-0.075)
    points[0] = replace(points[0], possible=("skip",))  # it was drawn with probability 1, and the other one with 1/5
    assert value(policy, points).mean_effect == pytest.approx((1 * -0.3 + 5 * -0.1) / 6)


def test_the_value_is_that_of_the_policy_and_not_of_what_was_drawn_most() -> None:
    """Where only one action is possible it is drawn five times as often; the policy acts at both kinds of steps alike."""
    policy = fit(ledger(), "ridge", CARD).policy
    rng, points, truth = np.random.default_rng(7), [], []
    for place in range(4000):
        names = ("skip",) if place % 2 else ACTIONS
        effects = {name: -0.4 if len(names) == 1 else -0.1 if name == "skip" else 0.3 for name in names}
        drawn = names[int(rng.integers(len(names)))]
        points.append(Point(0, 0, place, at(loss_spike=1.0), names, drawn, effects[drawn]))
        truth.append(effects["skip"])
    assert value(policy, points).mean_effect == pytest.approx(np.mean(truth), abs=0.02)
