"""Search spaces: every point has settings within bounds, and settings come back unchanged."""

import math

import numpy as np
import pytest

from trimtab.search import Choice, Number, Space

SPACE = Space(
    {
        "lr": Number(1e-5, 1e-1, log=True),
        "dropout": Number(0.0, 0.5),
        "layers": Number(1, 6, whole=True),
        "width": Number(16, 1024, log=True, whole=True),
        "clip": Choice((None, 0.5, 1.0)),
        "optimizer": Choice(("adamw", "muon")),
        "muon_lr": Number(1e-3, 1e-1, log=True, when={"optimizer": ["muon"]}),
        "nesterov": Choice((True, False), when={"optimizer": ["muon"], "clip": [0.5, 1.0]}),
    }
)


def test_ten_thousand_round_trips_stay_in_bounds_and_are_idempotent() -> None:
    random = np.random.default_rng(0)
    points = np.concatenate((random.random((10_000, len(SPACE))), np.zeros((1, len(SPACE))), np.ones((1, len(SPACE)))))
    for point in points:
        settings = SPACE.settings(point)
        for key, value in settings.items():
            assert SPACE.parameters[key].refusal(value) is None, (key, value)
        assert ("muon_lr" in settings) == (settings["optimizer"] == "muon")
        assert ("nesterov" in settings) == (settings["optimizer"] == "muon" and settings["clip"] is not None)
        back = SPACE.point(settings)
        assert ((back >= 0) & (back <= 1)).all()
        assert SPACE.settings(back) == settings


@pytest.mark.parametrize(("parameter", "values"), [(Number(3, 7, whole=True), 5), (Choice(("a", "b", "c", "d")), 4)])
def test_whole_numbers_and_choices_have_equal_parts_of_the_scale(parameter: Number | Choice, values: int) -> None:
    seen = [parameter.value(u) for u in (np.arange(1000 * values) + 0.5) / (1000 * values)]
    counts = [seen.count(value) for value in sorted(set(seen))]
    assert len(counts) == values and max(counts) - min(counts) <= 2


def test_a_logarithmic_scale_gives_each_decade_the_same_part() -> None:
    lr = SPACE.parameters["lr"]
    assert [lr.value(u) for u in (0, 0.25, 0.5, 1)] == pytest.approx([1e-5, 1e-4, 1e-3, 1e-1])
    whole = Number(1, 1000, log=True, whole=True)
    shares = [sum(low <= whole.value(u) < 10 * low for u in np.linspace(0, 1, 30_001)) / 30_001 for low in (1, 10, 100)]
    assert max(shares) - min(shares) < 0.1


def test_numbers_have_few_digits() -> None:
    assert len(repr(Number(0.0, 1.0).value(math.pi / 4))) <= 12


def test_true_and_one_are_different_choices() -> None:
    choice = Choice((1, True, 0.5))
    assert [choice.coordinate(value) for value in (1, True, 0.5)] == pytest.approx([1 / 6, 3 / 6, 5 / 6])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Number(1, 1), "low must be below high, but they are 1 and 1"),
        (lambda: Number(2, 1), "low must be below high, but they are 2 and 1"),
        (lambda: Number(0, 1, log=True), "a logarithmic scale needs a low above 0, but it is 0"),
        (lambda: Number(0, math.inf), "the bounds must be finite"),
        (lambda: Number(0.5, 2, whole=True), "the bounds of whole numbers must be whole"),
        (lambda: Choice(()), "there must be at least one value"),
        (lambda: Choice((1, 2, 1.0)), "the value 1.0 is there twice"),
        (lambda: Space({}), "a search space needs at least one key"),
        (
            lambda: Space({"a": Number(0, 1, when={"b": [1]})}),
            "a: its `when` names b, which is no choice listed before",
        ),
        (
            lambda: Space({"b": Choice((1, 2)), "a": Number(0, 1, when={"b": [3]})}),
            r"a: its `when` names a value of b that it cannot have: 3 is none of \[1, 2\]",
        ),
        (lambda: SPACE.point({"lr": 1e-3, "rate": 1}), "rate: this key is not in the search space"),
        (lambda: SPACE.point({"lr": 1.0}), "lr: 1.0 is not between 1e-05 and 0.1"),
        (lambda: SPACE.point({"lr": 1e-3, "dropout": True}), "dropout: True is not a number"),
        (lambda: SPACE.point({"lr": 1e-3, "dropout": 0.1, "layers": 2.5}), "layers: 2.5 is not whole"),
        (lambda: SPACE.point({"lr": 1e-3}), "dropout: this key is missing"),
        (
            lambda: SPACE.point(SPACE.settings(np.zeros(len(SPACE))) | {"muon_lr": 0.01}),
            "muon_lr: other settings make this key void",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_key(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
