"""The data mix over the levels of a task, and a controller that changes it in a run."""

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import trimtab
from tests.data.tasks.shared import write_rows
from trimtab.config import ConfigError, DataMix
from trimtab.data import CharacterTokenizer, TrainLoader
from trimtab.data.loader import Mixer
from trimtab.data.problem import Problem
from trimtab.data.tasks import ProblemDataset
from trimtab.losses.cross_entropy import CrossEntropy
from trimtab.records import read_rows
from trimtab.training.config import RunConfig, load_config
from trimtab.training.runs.assembly import build_data


class SeenLevels:
    """Cross-entropy that records the levels of the examples of each step."""

    seen: ClassVar[dict[int, list[int]]] = {}

    def __init__(self) -> None:
        self.inner = CrossEntropy()

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        if "step" in batch_metadata:
            self.seen.setdefault(batch_metadata["step"], []).extend(batch_metadata["level"])
        return self.inner(logits, labels, batch_metadata)


def dataset(levels: list[int]) -> ProblemDataset:
    problems = [Problem(prompt=f"{number}=", answer="1", truth="1", level=level) for number, level in enumerate(levels)]
    return ProblemDataset(problems, CharacterTokenizer())


def test_a_level_that_spans_two_thirds_is_divided_at_random() -> None:
    levels = [1] * 30 + [2] * 60
    mixer = Mixer(dataset(levels), seed=0)
    easy, middle, hard = ([levels[index] for index in third] for third in mixer.thirds)
    assert (set(easy), set(middle), set(hard)) == ({1}, {2}, {2})
    places = np.sort(mixer.thirds[2])
    assert places.min() < 50
    assert places.max() > 80
    assert sorted(np.concatenate(mixer.thirds)) == list(range(90))
    again, other = Mixer(dataset(levels), seed=0), Mixer(dataset(levels), seed=1)
    assert all((one == two).all() for one, two in zip(mixer.thirds, again.thirds, strict=True))
    assert not (mixer.thirds[2] == other.thirds[2]).all()


def test_shares_of_levels_follow_the_mix() -> None:
    loader = TrainLoader(dataset([1, 2, 3] * 100), 8, seed=0)
    for mix in (DataMix(easy=1.0, hard=0.0), DataMix(easy=0.0, hard=1.0), DataMix(easy=0.6, hard=0.1)):
        drawn = Counter(loader.take(0, 2000, mix).metadata["level"])
        expected = {1: mix.easy, 2: 1 - mix.easy - mix.hard, 3: mix.hard}
        assert {level: drawn[level] / 2000 for level in expected} == pytest.approx(expected, abs=0.03)


def test_a_mix_of_equally_hard_examples_is_refused() -> None:
    with pytest.raises(ConfigError, match="all examples of this data are equally hard"):
        TrainLoader(dataset([2] * 30), 8, seed=0).take(0, 8, DataMix())


def config(path: str, *more: str) -> RunConfig:
    return load_config(
        None,
        [
            f"data={{name: task, task: {{name: jsonl, path: {path}, level_key: level}}, context: 24}}",
            "model={name: decoder, layers: 2, width: 32, heads: 2, ff: 64, dropout: 0.0}",
            "episode.steps=20",
            "episode.batch_size=8",
            "episode.loss={name: 'tests.data.tasks.test_mix:SeenLevels'}",
            "episode.data_mix={easy: 0.1, hard: 0.6}",
            "episode.evaluate_every=20",
            "episode.checkpoint_every=20",
            "episode.sample.tokens=0",
            "monitor={horizon: 2, medium_horizon: 8}",
            "threads=1",
            *more,
        ],
    )


@pytest.fixture
def rows(tmp_path: Path) -> str:
    draw = np.random.default_rng(0)
    easy = [{"prompt": f"copy {number}", "answer": "a", "level": 1} for number in range(100)]
    middle = [{"prompt": f"last of {number}", "answer": str(number % 10), "level": 2} for number in range(100)]
    hard = [{"prompt": f"guess {number}", "answer": str(draw.integers(10**6)), "level": 3} for number in range(100)]
    return write_rows(tmp_path / "rows.jsonl", easy + middle + hard)


def test_the_threshold_controller_makes_the_data_easier_when_the_loss_jumps(rows: str, tmp_path: Path) -> None:
    thresholds = (
        "episode.regime_controller={name: thresholds, volatility: 1.3, mix_shift: 0.5, cooldown: 30, calm: 1000}"
    )
    # Random labels make the loss jump, and the controller reacts.
    run_config = config(rows, thresholds, "episode.optimizer.lr=0.01", "faults=[{name: random_labels, at: [13, 14]}]")
    SeenLevels.seen.clear()
    trimtab.train(run_config, tmp_path / "run")
    seen = dict(SeenLevels.seen)
    (change,) = [row for row in read_rows(tmp_path / "run" / "events.jsonl") if row["kind"] == "decision"]
    assert "the loss varies" in change["reason"]
    assert change["before"]["data_mix"] == {"easy": 0.1, "hard": 0.6}
    assert change["after"]["data_mix"] == pytest.approx({"easy": 0.6, "hard": 0.1})
    # The decision is made after the batch of the step has been drawn, so the next step is the first with the new mix.
    data = build_data(run_config)
    loader = TrainLoader(data.train, 8, run_config.seed)
    assert sorted(seen) == list(range(1, 21))
    for step, levels in seen.items():
        mix = DataMix(**change["before" if step <= change["step"] else "after"]["data_mix"])
        assert levels == loader.take(8 * (step - 1), 8, mix).metadata["level"], step
    before = [level for step, levels in seen.items() if step <= change["step"] for level in levels]
    after = [level for step, levels in seen.items() if step > change["step"] for level in levels]
    assert np.mean(after) < np.mean(before) - 0.4


def test_a_run_on_problems_without_levels_refuses_a_mix(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "flat.jsonl", [{"prompt": f"p{n}", "answer": "1", "level": 4} for n in range(60)])
    with pytest.raises(ConfigError, match="equally hard"):
        trimtab.train(config(path), tmp_path / "run")
