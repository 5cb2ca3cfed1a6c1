"""Searches over real training runs."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.searching.searches import SCHEDULERS, SMALL, config, rows, searched
from trimtab.config import ConfigError, RunError, WorkError
from trimtab.experiments import RunOptions
from trimtab.experiments.searching.log import checked
from trimtab.experiments.searching.metrics import metrics_of
from trimtab.experiments.searching.parts import confirmation_seeds, run_config, trial_seed
from trimtab.experiments.searching.run import run_search
from trimtab.records import RunDirectory, to_json
from trimtab.runtime.checkpoint import checkpoint_steps
from trimtab.training.runs.lifecycle import train


def log_of(out: Path) -> bytes:
    return (out / "events.jsonl").read_bytes()


def checkpoints(out: Path) -> list[str]:
    """The checkpoints in a search's folder, each by its run and step."""
    return sorted(
        f"{run.parent.relative_to(out)} {step}" for run in out.rglob("checkpoints") for step in checkpoint_steps(run)
    )


def test_the_best_trial_is_found_and_confirmed_on_seeds_that_no_trial_had(tmp_path: Path) -> None:
    result = searched(tmp_path / "s")
    metrics, log = result["metrics"], rows(tmp_path / "s")
    values = {row["trial"]: row["value"] for row in log if row["kind"] == "result"}
    settings = {row["trial"]: row["settings"] for row in log if row["kind"] == "trial"}
    assert result["status"] == "completed" and len(values) == metrics["trials"] == 6
    best = min(values, key=lambda trial: values[trial])
    assert metrics["best"] == {"trial": best, "runs": 1, "settings": settings[best]}
    assert metrics["found"] == values[best]
    confirmed = [row for row in log if row["kind"] == "confirmation"]
    assert [row["seed"] for row in confirmed] == confirmation_seeds(config())
    assert not {row["seed"] for row in confirmed} & {row["seed"] for row in log if row["kind"] == "trial"}
    again = train(run_config(config(), settings[best], confirmed[0]["seed"], "again"), tmp_path / "again")
    assert again["val_loss"] == confirmed[0]["value"] == metrics["confirmed"]["values"][0]
    mean = sum(row["value"] for row in confirmed) / 2
    assert metrics["confirmed"]["val_loss"] == pytest.approx(mean, abs=1e-12)
    assert metrics["optimism"] == pytest.approx(mean - values[best], abs=1e-12)
    assert metrics["confirmed"]["worst"] == max(row["value"] for row in confirmed)
    assert metrics["steps"] == 6 * 12 and metrics["tokens"] == 6 * 12 * 4 * 32
    summary = RunDirectory(tmp_path / "s").summary()
    assert summary is not None
    best_run = tmp_path / f"s/trials/{best:04d}/seed-{trial_seed(config(), 0, 0)}"
    own = RunDirectory(best_run).summary()
    assert own is not None and summary.weights_sha256 == own.weights_sha256
    assert checkpoints(tmp_path / "s") == [f"{best_run.relative_to(tmp_path / 's')} 12"]


def test_the_mean_of_the_best_so_far_is_over_the_clock(tmp_path: Path) -> None:
    metrics = searched(tmp_path / "s", confirm={"seeds": 0})["metrics"]
    values = [row["value"] for row in rows(tmp_path / "s") if row["kind"] == "result"]
    # One at a time: after the first value, the best so far holds for the length of a run each.
    so_far = [min(values[: n + 1]) for n in range(5)]
    assert metrics["anytime"] == pytest.approx(sum(so_far) / 5, abs=1e-12)
    assert "confirmed" not in metrics


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path, scheduler: str) -> None:
    """With runs that pause, forks and races as well. The worker processes are real."""
    options = {**SCHEDULERS[scheduler], "parallel": 2}
    results = [searched(tmp_path / f"w{workers}", workers=workers, **options) for workers in (0, 2)]
    assert log_of(tmp_path / "w0") == log_of(tmp_path / "w2")
    first, second = ({**one["metrics"], "decision_seconds": 0} for one in results)
    assert first == second
    best = results[0]["metrics"]["best"]["trial"]
    kept = [line.split("/seed-")[0] for line in checkpoints(tmp_path / "w0")]
    assert kept == [f"trials/{best:04d}"] and checkpoints(tmp_path / "w2") == checkpoints(tmp_path / "w0")


def test_a_finished_search_is_not_run_again(tmp_path: Path) -> None:
    first = searched(tmp_path / "s")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*.json*")}
    second = searched(tmp_path / "s")
    assert second == {**first, "reused": True}
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "s").rglob("*.json*")}


def interrupted(out: Path, after: int, **changes: Any) -> dict[str, Any]:
    """A search that is asked to stop when its log has so many rows."""
    return run_search(
        config(**changes),
        out,
        RunOptions(stop=lambda: "enough" if (out / "events.jsonl").exists() and len(rows(out)) >= after else None),
    )


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_an_interrupted_search_continues_as_if_it_had_never_stopped(tmp_path: Path, scheduler: str) -> None:
    whole = searched(tmp_path / "whole", **SCHEDULERS[scheduler])
    for after in (3, 8, 13):
        assert interrupted(tmp_path / "s", after, **SCHEDULERS[scheduler])["status"] == "interrupted"
    result = searched(tmp_path / "s", **SCHEDULERS[scheduler])
    assert log_of(tmp_path / "s") == log_of(tmp_path / "whole")
    ignored = {"decision_seconds": 0}
    assert result["metrics"] | ignored == whole["metrics"] | ignored


@pytest.mark.parametrize("optimizer", ["random", "grid", "pso", "annealing", "climb", "cma", "optuna"])
def test_a_search_by_any_optimiser_continues_as_if_it_had_never_stopped(tmp_path: Path, optimizer: str) -> None:
    options = {
        "name": optimizer,
        **{"grid": {"levels": 2}, "cma": {"population": 4}, "optuna": {"start": 3}}.get(optimizer, {}),
    }
    changes: dict[str, Any] = {"optimizer": options, "trials": 10, "parallel": 2, "confirm": {"seeds": 1}}
    searched(tmp_path / "whole", **changes)
    for after in (5, 12):
        assert interrupted(tmp_path / "s", after, **changes)["status"] == "interrupted"
    searched(tmp_path / "s", **changes)
    assert log_of(tmp_path / "s") == log_of(tmp_path / "whole")


def test_a_promoted_run_is_the_run_that_was_never_paused(tmp_path: Path) -> None:
    searched(tmp_path / "s", **SCHEDULERS["rungs"])
    log = rows(tmp_path / "s")
    last = [row for row in log if row["kind"] == "trial" and row["start"] == 8]
    assert len(last) >= 2
    for row in last:
        run = train(run_config(config(), row["settings"], row["seed"], "whole"), tmp_path / f"whole-{row['trial']}")
        paused = RunDirectory(tmp_path / f"s/trials/{row['trial']:04d}/seed-{row['seed']}")
        summary = paused.summary()
        assert summary is not None
        assert summary.weights_sha256 == run["weights_sha256"]
        whole = RunDirectory(tmp_path / f"whole-{row['trial']}").steps()
        for one, other in zip(paused.steps(), whole, strict=True):
            assert one["train_loss"] == other["train_loss"]
    values = {(row["trial"], row["status"]) for row in log if row["kind"] == "result"}
    assert {status for _, status in values} == {"paused", "completed"}


def test_a_fork_of_a_population_continues_from_its_parents_weights(tmp_path: Path) -> None:
    searched(tmp_path / "s", **SCHEDULERS["population"])
    log = rows(tmp_path / "s")
    forks = [row for row in log if row["kind"] == "trial" and row["parent"] is not None]
    assert forks
    for row in forks:
        run = RunDirectory(tmp_path / f"s/trials/{row['trial']:04d}/seed-{row['seed']}")
        parent = run.manifest().parent
        assert parent is not None and parent.step == row["start"]
        assert f"trials/{row['parent']:04d}/" in parent.path
        assert run.steps()[0]["step"] == row["start"] + 1


def test_paused_runs_are_evaluated_by_a_fork_with_a_falling_rate(tmp_path: Path) -> None:
    options = {**SCHEDULERS["rungs"], "probe": {"steps": 4}}
    metrics = searched(tmp_path / "s", **options)["metrics"]
    log = rows(tmp_path / "s")
    paused = [row for row in log if row["kind"] == "result" and row["status"] == "paused"]
    works = {row["work"]: row for row in log if row["kind"] == "trial"}
    for row in paused:
        work = works[row["work"]]
        place = tmp_path / f"s/trials/{work['trial']:04d}/seed-{work['seed']}"
        probe = RunDirectory(place.with_name(f"{place.name}-probe-{work['end']}"))
        summary, steps = probe.summary(), probe.steps()
        assert summary is not None and summary.metrics["val_loss"] == row["value"]
        assert [one["step"] for one in steps] == list(range(work["end"] + 1, work["end"] + 5))
        rates = [one["lr"] for one in steps]
        assert rates == pytest.approx(
            [work["settings"]["episode.optimizer.lr"] * share for share in (0.75, 0.5, 0.25, 0)]
        )
        assert row["steps"] == work["end"] - work["start"] + 4
    assert metrics["steps"] == sum(row["steps"] for row in log if row["kind"] == "result")


def test_a_diverged_trial_counts_as_the_untrained_model(tmp_path: Path) -> None:
    space = {"episode.optimizer.lr": {"values": [0.003, 1e6]}}
    run = {**SMALL["run"], "episode": {**SMALL["run"]["episode"], "diverged_after": 2}}
    metrics = searched(tmp_path / "s", space=space, run=run, confirm={"seeds": 1})["metrics"]
    log = rows(tmp_path / "s")
    settings = {row["work"]: row["settings"]["episode.optimizer.lr"] for row in log if row["kind"] == "trial"}
    diverged = [row for row in log if row["kind"] == "result" and settings[row["work"]] == 1e6]
    assert diverged and {row["status"] for row in diverged} == {"diverged"}
    assert all(row["value"] == pytest.approx(math.log(94), abs=0.2) for row in diverged)
    assert metrics["best"]["settings"] == {"episode.optimizer.lr": 0.003}


DIVERGING: dict[str, Any] = {
    "space": {"episode.optimizer.lr": {"values": [0.003, 1e6, 2e6, 3e6, 0.004]}},
    "run": {**SMALL["run"], "episode": {**SMALL["run"]["episode"], "diverged_after": 2}},
}


@pytest.mark.parametrize("probe", [None, {"steps": 4}])
@pytest.mark.parametrize("scheduler", ["rungs", "population", "race"])
def test_runs_that_diverge_before_a_pause_do_not_stop_the_search(
    tmp_path: Path, scheduler: str, probe: dict[str, Any] | None
) -> None:
    changes = {**DIVERGING, **SCHEDULERS[scheduler], "probe": probe if scheduler != "race" else None}
    metrics = searched(tmp_path / "s", **changes)["metrics"]
    log = rows(tmp_path / "s")
    assert any(row["kind"] == "result" and row["status"] == "diverged" for row in log)
    assert metrics["best"]["settings"]["episode.optimizer.lr"] < 1
    assert 0 < metrics["diverged"] < metrics["runs"]


def test_a_member_that_diverged_is_replaced_in_the_next_round(tmp_path: Path) -> None:
    searched(tmp_path / "s", **{**DIVERGING, **SCHEDULERS["population"]})
    log = rows(tmp_path / "s")
    diverged = {row["trial"] for row in log if row["kind"] == "result" and row["status"] == "diverged"}
    assert diverged
    for trial in diverged:
        own = [row for row in log if row["kind"] == "trial" and row["trial"] == trial]
        assert len(own) == 1
        assert not [row for row in log if row["kind"] == "trial" and row["parent"] == trial]


def test_early_stopping_before_a_rung_ends_a_run_and_not_the_search(tmp_path: Path) -> None:
    episode = {**SMALL["run"]["episode"], "evaluate_every": 2, "early_stopping": {"patience": 1, "minimum_gain": 10.0}}
    changes: dict[str, Any] = {"run": {**SMALL["run"], "episode": episode}, "trials": 4}
    searched(tmp_path / "s", scheduler={"name": "rungs", "at": [8], "factor": 2}, **changes)
    assert {row["status"] for row in rows(tmp_path / "s") if row["kind"] == "result"} == {"stopped"}
    with pytest.raises(ConfigError, match=r"run.episode.early_stopping: the members of a population train together"):
        searched(tmp_path / "p", scheduler={"name": "population", "every": 4}, **changes)


def test_a_population_whose_runs_rewind_does_not_depend_on_workers(tmp_path: Path) -> None:
    """A source that rewinds below its pause must not do so before its forks have started."""
    episode = {
        **SMALL["run"]["episode"],
        "steps": 24,
        "regime_controller": {"name": "tests.training.loop.test_rewind:Rewinder"},
        "rewind": {"every": 5},
    }
    changes: dict[str, Any] = {
        "run": {**SMALL["run"], "episode": episode},
        "scheduler": {"name": "population", "every": 12},
        "trials": 4,
        "parallel": 4,
    }
    logs = []
    for workers in (0, 3):
        searched(tmp_path / f"w{workers}", workers=workers, **changes)
        logs.append(log_of(tmp_path / f"w{workers}"))
    assert logs[0] == logs[1]


def test_a_race_between_few_choices_keeps_the_checkpoint_of_its_best_run(tmp_path: Path) -> None:
    space = {"episode.clip": {"values": [None, 0.3]}}
    metrics = searched(tmp_path / "s", space=space, scheduler={"name": "race", "seeds": 3}, trials=8)["metrics"]
    assert [line.split("/seed-")[0] for line in checkpoints(tmp_path / "s")] == [
        f"trials/{metrics['best']['trial']:04d}"
    ]


def test_the_checkpoints_of_a_population_stay_few(tmp_path: Path) -> None:
    """At every result: at most two for each live member and the best."""
    episode = {**SMALL["run"]["episode"], "steps": 32, "checkpoint_every": 1}
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, len(checkpoints(tmp_path / "s")))

    run_search(
        config(
            run={**SMALL["run"], "episode": episode},
            scheduler={"name": "population", "every": 4, "share": 0.5},
            trials=4,
        ),
        tmp_path / "s",
        RunOptions(stop=look),
    )
    assert 0 < most <= 2 * (4 + 1)


def test_settings_that_do_not_fit_together_say_so_and_leave_no_row(tmp_path: Path) -> None:
    space = {"model.width": {"values": [24, 16]}, "model.heads": {"values": [2, 3, 4]}}
    with pytest.raises(
        ConfigError, match=r"a width of 16 is not divisible by 3 heads.*add a `when` to one of the keys"
    ):
        searched(tmp_path / "s", space=space, trials=12)


def test_one_fresh_seed_has_no_standard_deviation(tmp_path: Path) -> None:
    names = [metric.name for metric in metrics_of(config(confirm={"seeds": 1})).always]
    assert "confirmed.val_loss" in names and "confirmed.sd" not in names


def test_the_same_settings_and_seed_are_run_once(tmp_path: Path) -> None:
    space = {"episode.clip": {"values": [None, 0.3]}}
    metrics = searched(tmp_path / "s", space=space, parallel=2)["metrics"]
    log = rows(tmp_path / "s")
    works = {row["work"]: row for row in log if row["kind"] == "trial"}
    values = {row["work"]: row["value"] for row in log if row["kind"] == "result"}
    same = {number: row["same_as"] for number, row in works.items() if row["same_as"] is not None}
    assert len(same) == 4 and metrics["runs"] == 2 and metrics["trials"] == 6
    for number, earlier in same.items():
        assert works[number]["settings"] == works[earlier]["settings"] and values[number] == values[earlier]
    assert metrics["steps"] == 2 * 12
    searched(tmp_path / "fresh", space=space, fresh_seeds=True)
    assert all(row["same_as"] is None for row in rows(tmp_path / "fresh") if row["kind"] == "trial")


def test_searches_with_one_seed_share_their_random_start_and_their_seeds(tmp_path: Path) -> None:
    starts = []
    for optimizer in ("random", "climb", "pso"):
        searched(tmp_path / optimizer, optimizer={"name": optimizer}, random_start=3, trials=12, confirm={"seeds": 0})
        starts.append([(row["settings"], row["seed"]) for row in rows(tmp_path / optimizer) if row["kind"] == "trial"])
    assert starts[0][:3] == starts[1][:3] == starts[2][:3]
    assert starts[0][3:] != starts[1][3:] != starts[2][3:]


class TestRecords:
    def test_a_log_that_is_cut_in_the_middle_of_a_line_continues(self, tmp_path: Path) -> None:
        searched(tmp_path / "s")
        whole = log_of(tmp_path / "s")
        for length in (len(whole) // 2, whole.index(b"\n") + 1, 5, 0):
            (tmp_path / "s/events.jsonl").write_bytes(whole[:length])
            (tmp_path / "s/summary.json").unlink()
            searched(tmp_path / "s")
            assert log_of(tmp_path / "s") == whole

    @pytest.mark.parametrize("line", [0, 5, 11])
    def test_a_log_that_was_edited_is_refused_with_the_line(self, tmp_path: Path, line: int) -> None:
        searched(tmp_path / "s")
        (tmp_path / "s/summary.json").unlink()
        path = tmp_path / "s/events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        lines[line] = lines[line].replace(b'"clock": ', b'"clock": 1')
        path.write_bytes(b"".join(lines))
        with pytest.raises(RunError, match=rf"events.jsonl, line {line + 1}: this row, or one before it"):
            searched(tmp_path / "s")
        assert path.read_bytes() == b"".join(lines)

    def test_a_row_that_is_missing_is_noticed(self, tmp_path: Path) -> None:
        searched(tmp_path / "s")
        (tmp_path / "s/summary.json").unlink()
        path = tmp_path / "s/events.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:4] + lines[5:]))
        with pytest.raises(RunError, match=r"events.jsonl, line 5: this row, or one before it that is missing"):
            searched(tmp_path / "s")

    def test_suggestions_that_changed_are_refused_with_the_line(self, tmp_path: Path) -> None:
        """As after an update of an optimiser's package."""
        searched(tmp_path / "s")
        (tmp_path / "s/summary.json").unlink()
        path = tmp_path / "s/events.jsonl"
        changed, check = [], ""
        for number, line in enumerate(path.read_bytes().splitlines()):
            row = json.loads(line)
            del row["check"]
            if number == 4:
                row["settings"]["episode.optimizer.lr"] = 0.01
            check = checked(row, check)
            changed.append(json.dumps(to_json({**row, "check": check})))
        path.write_text("\n".join(changed) + "\n")
        with pytest.raises(
            RunError, match=r"line 5: the search would now do something else than it did then: settings was"
        ):
            searched(tmp_path / "s")

    def test_another_config_or_another_run_in_the_folder_is_refused(self, tmp_path: Path) -> None:
        searched(tmp_path / "s")
        with pytest.raises(RunError, match="was recorded under other conditions: the config"):
            searched(tmp_path / "s", trials=7)
        train(config().run, tmp_path / "run")
        with pytest.raises(RunError, match="holds a run of the kind 'training', not a search"):
            searched(tmp_path / "run")
        (tmp_path / "full").mkdir()
        (tmp_path / "full/notes.txt").write_text("mine")
        with pytest.raises(RunError, match="is not empty"):
            searched(tmp_path / "full")

    def test_a_run_that_fails_stops_the_search_and_is_tried_again(self, tmp_path: Path) -> None:
        place = tmp_path / f"s/trials/0002/seed-{trial_seed(config(), 2, 0)}"
        place.mkdir(parents=True)
        (tmp_path / "s").rename(tmp_path / "kept")
        done = run_search(
            config(),
            tmp_path / "s",
            RunOptions(stop=lambda: "enough" if len(rows(tmp_path / "s")) >= 3 else None),
        )
        assert done["status"] == "interrupted"
        place.mkdir(parents=True)
        (place / "in-the-way").write_text("")
        with pytest.raises(
            WorkError, match=r"stopped, because trial 2, seed \d+ failed: .*is not empty.*the same command continues it"
        ):
            searched(tmp_path / "s")
        (place / "in-the-way").unlink()
        assert searched(tmp_path / "s")["status"] == "completed"
        searched(tmp_path / "whole")
        assert log_of(tmp_path / "s") == log_of(tmp_path / "whole")
