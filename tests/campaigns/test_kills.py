"""Signals at random moments: what is killed and started again gives the result of the uninterrupted command."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.experiments.specs import GUARDED, SMALL
from tests.fork_server import Command
from tests.training.small_runs import DECODER, EVERYTHING, command, options, started, weights
from trimtab.experiments.loading import load_experiment
from trimtab.records import RunDirectory, first_difference

pytestmark = pytest.mark.slow

TRIALS = {"train": 6, "fork": 3, "experiment": 2, "memory": 2, "export": 2}
SIGNALS = [signal.SIGKILL] * 3 + [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
PLAIN = [
    *DECODER, *(item for item in EVERYTHING if "Brake" not in item),
    "episode.steps=160", "episode.evaluate_every=40", "episode.checkpoint_every=20",
]  # fmt: skip


class Campaign:
    """Runs commands, sends them signals, and counts."""

    def __init__(self) -> None:
        self.draw = random.Random(31)
        self.trials = 0
        self.meant = 0
        self.signals: Counter[str] = Counter()

    def until_done(self, next_command: Callable[[], list[str]], seconds: float, kills: int) -> None:
        """Start `next_command()` until it completes; the first `kills` times, send it a signal within `seconds`."""
        self.trials += 1
        for attempt in range(kills + 3):
            process = started(*next_command(), merged=True)
            if attempt < kills:
                self.meant += 1
                time.sleep(self.draw.uniform(0.02, 0.9) * seconds)
                self._signal(process)
            done = process.finish(240)
            assert "Traceback (most recent call last)" not in done.stdout, done.stdout
            if done.returncode == 0:
                return
            assert attempt < kills or done.returncode in (0, 130), done.stdout
        pytest.fail(f"not done after {kills + 3} starts: {next_command()}\n{done.stdout}")

    def _signal(self, process: Command) -> None:
        number = self.draw.choice(SIGNALS)
        if process.poll() is None:
            process.send_signal(number)
            self.signals[number.name] += 1


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return Campaign()


def again(out: Path, first: list[str]) -> Callable[[], list[str]]:
    """The command that continues a run: `first` until the run has a manifest, then `resume`."""
    return lambda: ["resume", str(out)] if (out / "manifest.json").exists() else first


def timed(arguments: list[str]) -> float:
    begin = time.monotonic()
    done = command(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - begin


def same(one: Path, other: Path) -> None:
    assert weights(one) == weights(other)
    assert first_difference(RunDirectory(one), RunDirectory(other)) is None
    steps = [[row["step"] for row in RunDirectory(out).steps()] for out in (one, other)]
    assert steps[0] == steps[1]
    decisions = [
        [row for row in RunDirectory(out).events() if row["kind"] in ("fork", "regime")] for out in (one, other)
    ]
    assert [row["kind"] for row in decisions[0]] == [row["kind"] for row in decisions[1]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """An uninterrupted run, and how many seconds it took."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, timed(["train", *options(PLAIN), "--out", str(out)])


def test_a_killed_training_run_ends_like_the_uninterrupted_one(
    whole: tuple[Path, float], tmp_path: Path, campaign: Campaign
) -> None:
    for trial in range(TRIALS["train"]):
        out = tmp_path / f"run-{trial}"
        campaign.until_done(again(out, ["train", *options(PLAIN), "--out", str(out)]), whole[1], kills=1 + trial % 2)
        same(whole[0], out)


def test_a_killed_fork_ends_like_the_uninterrupted_one(
    whole: tuple[Path, float], tmp_path: Path, campaign: Campaign
) -> None:
    fork = ["fork", str(whole[0]), "--at", "90", "--set", "episode.optimizer.lr=1e-3", "--out"]
    seconds = timed([*fork, str(tmp_path / "fork")])
    for trial in range(TRIALS["fork"]):
        out = tmp_path / f"fork-{trial}"
        campaign.until_done(again(out, [*fork, str(out)]), seconds, kills=1 + trial % 2)
        same(tmp_path / "fork", out)


def test_a_killed_experiment_ends_with_the_same_verdicts(tmp_path: Path, campaign: Campaign) -> None:
    spec: dict[str, Any] = {**SMALL, **GUARDED}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    load_experiment(tmp_path / "e.yaml")
    run = ["run", str(tmp_path / "e.yaml"), "--pilot", "--workers", "2", "--out"]
    seconds = timed([*run, str(tmp_path / "whole")])
    for trial in range(TRIALS["experiment"]):
        out = tmp_path / f"e-{trial}"
        campaign.until_done(lambda out=out: [*run, str(out)], seconds, kills=1 + trial % 2)  # type: ignore[misc]
        for name in ("verdicts.json",):
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_killed_export_ends_with_the_same_files(
    whole: tuple[Path, float], tmp_path: Path, campaign: Campaign
) -> None:
    seconds = timed(["export", str(whole[0]), "--to", "csv"])
    reference = {path.name: path.read_bytes() for path in (whole[0] / "exports").rglob("*.csv")}
    assert reference
    for _ in range(TRIALS["export"]):
        campaign.until_done(lambda: ["export", str(whole[0]), "--to", "csv"], seconds, kills=1)
        assert {path.name: path.read_bytes() for path in (whole[0] / "exports").rglob("*.csv")} == reference


def test_a_killed_memory_run_ends_with_the_same_vectors(model_folder: Path, tmp_path: Path, campaign: Campaign) -> None:
    rows = "".join(f'{{"question": "{chr(97 + index)}", "answer": "{chr(110 + index)}"}}\n' for index in range(5))
    (tmp_path / "pairs.jsonl").write_text(rows)
    solve = {
        "steps": 40,
        "restarts": 2,
        "margin": 0.2,
        "lr": 0.5,
        "precision": "fp32",
        "checkpoint_every": 3,
        "positions": 60,
    }
    config = {
        "threads": 1, "model": {"name": "pretrained", "path": str(model_folder)}, "pairs": {"name": "jsonl", "path": str(tmp_path / "pairs.jsonl")},
        "count": 5, "vectors": 12, "solve": solve, "gates": {"single": 0.0, "joint": 0.0}, "single_pairs": 2, "stages": ["baselines", "single", "joint"],
    }  # fmt: skip
    (tmp_path / "memory.yaml").write_text(yaml.safe_dump(config))
    run = ["memory", "run", str(tmp_path / "memory.yaml"), "--out"]
    seconds = timed([*run, str(tmp_path / "whole")])
    for trial in range(TRIALS["memory"]):
        out = tmp_path / f"m-{trial}"
        campaign.until_done(lambda out=out: [*run, str(out)], seconds, kills=1 + trial % 2)  # type: ignore[misc]
        vectors = [sorted((folder / "memories").rglob("*.safetensors")) for folder in (out, tmp_path / "whole")]
        assert [path.read_bytes() for path in vectors[0]] == [path.read_bytes() for path in vectors[1]]
        assert vectors[0]


def test_every_trial_was_made_and_most_signals_reached_a_running_process(
    campaign: Campaign, capsys: pytest.CaptureFixture[str]
) -> None:
    """Last in the file, because it counts the trials above. A command may end before its signal."""
    with capsys.disabled():
        sent = ", ".join(f"{name} {count}" for name, count in sorted(campaign.signals.items()))
        print(
            f"\nkills: {campaign.trials} trials, {campaign.signals.total()} of {campaign.meant} signals ({sent}), 0 faults"
        )
    assert campaign.trials == sum(TRIALS.values())
    assert campaign.signals.total() > campaign.meant / 2
