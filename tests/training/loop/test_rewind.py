"""Rewinds restore weights and moments while data and memories continue; such runs resume and replay exactly."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small_runs import DECODER, config, weights
from trimtab.config import WorkError
from trimtab.records import RunDirectory, rows_difference
from trimtab.regimes import Controller, Decision
from trimtab.runtime.context import RunContext
from trimtab.training import MemoryLogger, fork, replay, resume, train
from trimtab.training.runs.assembly import assemble


class Rewinder(Controller):
    """Rewinds to step 10 the first two times that it sees step 15."""

    remembered = ("times",)
    rewinds = True

    def __init__(self) -> None:
        self.times = 0

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        if state.step != 15 or self.times == 2:
            return None
        self.times += 1
        return Decision("step 15", action="rewind", rewind_to=12)


class Undeclared(Rewinder):
    rewinds = False


class Endless(Rewinder):
    def update(self, state: Any, episode_config: Any) -> Decision | None:
        return Decision("again", action="rewind") if state.step == 15 else None


BACK = [
    "episode.regime_controller={name: 'tests.training.loop.test_rewind:Rewinder'}",
    "episode.rewind={every: 5}",
    "episode.evaluate_every=4",
    "episode.early_stopping={patience: 50}",
]


@pytest.fixture(scope="module")
def rewound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rewound") / "run"
    train(config(*BACK), out)
    return out


def test_both_passages_are_recorded_and_the_step_goes_back(rewound: Path) -> None:
    rows = RunDirectory(rewound).steps()
    assert [(row["attempt"], row["step"]) for row in rows] == (
        [(0, step) for step in range(1, 16)]
        + [(1, step) for step in range(11, 16)]
        + [(2, step) for step in range(11, 25)]
    )
    events = [row for row in RunDirectory(rewound).events() if row["kind"] == "rewind"]
    assert [(row["step"], row["before"], row["after"], row["reason"]) for row in events] == [
        (15, 15, 10, "step 15")
    ] * 2
    assert rows[14]["skipped"] and rows[14]["param_update_norm"] == 0.0
    tokens = [row["tokens"] for row in rows]
    assert tokens == sorted(tokens) and len(set(tokens)) == len(tokens)  # the compute of both passages is charged
    summary = RunDirectory(rewound).summary()
    assert summary is not None
    assert (summary.steps, summary.status) == (24, "completed")


def test_a_rewind_restores_the_weights_and_draws_new_data(rewound: Path) -> None:
    rows = RunDirectory(rewound).steps()
    again = [row["train_loss"] for row in rows if (row["attempt"], row["step"]) in {(1, 11), (2, 11)}]
    assert rows[10]["train_loss"] not in again and again[0] != again[1]


def test_a_rewind_restores_weights_and_moments_of_the_snapshot() -> None:
    parts = assemble(config(*BACK))
    log = MemoryLogger()
    trainer = parts.trainer(log)
    trainer.prepare()
    kept: dict[str, Any] = {}
    for _ in range(15):
        trainer.step(parts.train_loader)
        if trainer.state.step == 10 and not kept:
            kept = {name: p.detach().clone() for name, p in trainer.state.model.named_parameters()}
            moments = [value.clone() for s in trainer.updater.optimizer.state.values() for value in s.values()]
    assert (trainer.state.step, trainer.state.attempt) == (10, 1)
    assert all(torch.equal(p, kept[name]) for name, p in trainer.state.model.named_parameters())
    now = [value for s in trainer.updater.optimizer.state.values() for value in s.values()]
    assert all(torch.equal(a, b) for a, b in zip(moments, now, strict=True))


@pytest.mark.parametrize("stop", [9, 13, 15, 17, 22, 28])
def test_a_run_that_rewinds_resumes_exactly(tmp_path: Path, rewound: Path, stop: int) -> None:
    stops = iter([None] * stop + ["test"] * 99)
    train(config(*BACK), tmp_path / "run", RunContext(stop=lambda: next(stops)))
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(rewound)
    one, other = RunDirectory(tmp_path / "run").steps(), RunDirectory(rewound).steps()
    assert [(row["attempt"], row["step"]) for row in one] == [(row["attempt"], row["step"]) for row in other]
    assert rows_difference(one, other) is None
    ends = [RunDirectory(path).summary() for path in (tmp_path / "run", rewound)]
    best = [[end.metrics[key] for key in ("best_step", "best_val_loss", "val_loss")] for end in ends if end is not None]
    assert len(best) == 2 and best[0] == best[1]


def test_a_run_that_rewinds_replays_and_forks(tmp_path: Path, rewound: Path) -> None:
    replayed = replay(rewound)
    assert replayed.identical and replayed.difference is None
    for at in (8, 13, 20):
        fork(rewound, at, tmp_path / f"child-{at}")
        assert weights(tmp_path / f"child-{at}") == weights(rewound)


def test_a_rewind_removes_the_checkpoints_of_the_abandoned_passage(tmp_path: Path) -> None:
    stops = iter([None] * 15 + ["test"] * 99)
    train(config(*BACK, "episode.checkpoint_every=1", "episode.keep_checkpoints=50"), tmp_path / "run",
          RunContext(stop=lambda: next(stops)))  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names[-1] == "step-00000011"  # in the second attempt, in which the run was stopped


def test_a_deep_rewind_leaves_a_checkpoint_to_resume_from(tmp_path: Path, rewound: Path) -> None:
    frequent = [*BACK, "episode.checkpoint_every=1", "episode.keep_checkpoints=2"]
    stops = iter([None] * 14 + ["test"] * 99)  # stops right after the first rewind
    train(config(*frequent), tmp_path / "run", RunContext(stop=lambda: next(stops)))
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())[-1] == "step-00000010"
    resume(tmp_path / "run")
    assert weights(tmp_path / "run") == weights(rewound)


def test_a_fork_at_a_step_that_was_rewound_to_starts_after_the_rewind(tmp_path: Path, rewound: Path) -> None:
    fork(rewound, 10, tmp_path / "child")
    rows = RunDirectory(tmp_path / "child").steps()
    assert (rows[0]["attempt"], rows[0]["step"]) == (2, 11)
    assert weights(tmp_path / "child") == weights(rewound)


def test_a_rewind_restores_the_best_evaluation_with_the_weights(tmp_path: Path) -> None:
    stops = iter([None] * 14 + ["test"] * 99)  # stops right after the rewind from 15 to 10
    train(config(*BACK, "episode.keep_checkpoints=1"), tmp_path / "run", RunContext(stop=lambda: next(stops)))
    run = RunDirectory(tmp_path / "run")
    losses = {row["step"]: row["val_loss"] for row in run.evaluations()}
    assert min(losses, key=lambda step: losses[step]) == 12  # the best one was in the attempt that the rewind ended
    summary = run.summary()
    assert summary is not None
    figures = [summary.metrics[key] for key in ("best_step", "best_val_loss", "val_loss")]
    assert figures == [8, losses[8], losses[8]]
    names = sorted(path.name for path in run.checkpoints_path.iterdir())
    # 4 and 8 were the best at the snapshots of 5 and 10, to which a rewind may go back; 12 was the best for a while.
    assert names == ["step-00000004", "step-00000008", "step-00000010"]


def test_early_stopping_and_the_monitor_forget_the_abandoned_passage() -> None:
    parts = assemble(config(*BACK, "episode.early_stopping={patience: 50, minimum_gain: 0.001}"))
    trainer = parts.trainer(MemoryLogger())
    trainer.prepare()
    kept: list[Any] = []
    while trainer.state.attempt == 0:
        trainer.step(parts.train_loader)
        state = trainer.state
        if state.attempt == 0 and state.step in (4, 8, 10, 12, 14):
            trainer._evaluate_if_due(parts.val_loader, ("stopped", "test") if state.step == 10 else None)
        if state.attempt == 0 and state.step == 10:
            kept = [state.evaluated, state.monitor.evaluations(), state.monitor.loss_ema]
            lowest = state.evaluated.best_value
    assert trainer.state.step == 10 and lowest is not None
    assert trainer.state.evaluated == kept[0] and trainer.state.evaluated.reference == lowest
    assert trainer.state.monitor.evaluations() == kept[1]
    assert trainer.state.monitor.loss_ema != kept[2]  # the memory of the steps has moved on
    trainer.step(parts.train_loader)
    assert trainer.logger.steps[-1]["best_val_loss"] == lowest  # type: ignore[attr-defined]


def test_the_number_of_rewinds_is_limited(tmp_path: Path) -> None:
    endless = "episode.regime_controller={name: 'tests.training.loop.test_rewind:Endless'}"
    train(config(endless, "episode.rewind={every: 5, limit: 3}"), tmp_path / "run")
    kinds = [row["kind"] for row in RunDirectory(tmp_path / "run").events()]
    assert kinds.count("rewind") == 3
    assert kinds.count("rewind_refused") == 1
    assert RunDirectory(tmp_path / "run").status() == "completed"


def test_a_rewind_by_a_controller_that_does_not_declare_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="rewinds = True"):
        train(
            config("episode.regime_controller={name: 'tests.training.loop.test_rewind:Undeclared'}"), tmp_path / "run"
        )


def test_a_rewind_skips_the_snapshot_of_damaged_weights(tmp_path: Path) -> None:
    guard = "{name: spike_guard, window: 12, lasting: 2, threshold: 4.0}"
    jump = ["faults=[{name: lr_jump, start: 20, length: 1, factor: 1000.0}]", f"episode.regime_controller={guard}"]
    train(config(*jump, "episode.rewind.every=5", "monitor.robust_window=12", base=DECODER), tmp_path / "run")
    rewinds = [row for row in RunDirectory(tmp_path / "run").events() if row["kind"] == "rewind"]
    assert (rewinds[0]["before"], rewinds[0]["after"]) == (22, 15)  # the snapshot of step 20 holds the broken weights
