"""Tables of recorded runs: made from a search over real runs, and searched."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.experiments.searching.searches import SMALL, config, rows, searched
from trimtab.cli.commands import app
from trimtab.config import ConfigError, RunError
from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.experiments import RunOptions
from trimtab.experiments.searching.config import SearchConfig
from trimtab.experiments.searching.recording import recorded_table
from trimtab.experiments.searching.run import run_search
from trimtab.records import RunDirectory
from trimtab.search.table import read_table

RECORDED: dict[str, Any] = {"scheduler": {"name": "whole", "seeds": 4}, "confirm": {"seeds": 0}, "trials": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recorded") / "s"
    searched(out, workers=2, **RECORDED)
    return out


@pytest.fixture(scope="module")
def table(folder: Path) -> Path:
    out = folder.parent / "t.json.gz"
    done = CliRunner().invoke(app, ["search", "table", str(folder), "--out", str(out)])
    assert done.exit_code == 0 and "5 settings, 4 seeds each, val_loss at the steps 4, 8, 12" in done.stdout
    return out


def on_table(file: Path, out: Path, /, **changes: Any) -> dict[str, Any]:
    bare = {key: value for key, value in SMALL.items() if key not in ("run", "space")}
    made = resolve_root(SearchConfig, {**bare, "table": str(file), **changes}, Source("search.yaml"))
    return run_search(made, out, RunOptions())


def test_a_table_has_the_values_of_its_runs_at_every_evaluation(folder: Path, table: Path) -> None:
    made, _ = read_table(table)
    assert (made.steps, made.metric, len(made.rows), made.seeds) == ([4, 8, 12], "val_loss", 5, 4)
    for trial, row in enumerate(made.rows):
        runs = sorted((folder / "trials" / f"{trial:04d}").iterdir(), key=lambda run: run.name)
        ours = {tuple(run.values) for run in row.runs}
        theirs = {tuple(e["val_loss"] for e in RunDirectory(run).evaluations() if e["step"]) for run in runs}
        assert ours == theirs
        assert [run.tokens for run in row.runs] == [[512, 1024, 1536]] * 4
    logged = [row["settings"] for row in rows(folder) if row["kind"] == "trial" and row["trial"] == 3]
    assert made.rows[3].settings == logged[0]


def test_a_search_on_a_table_takes_its_values_and_confirms_on_seeds_that_it_did_not_use(
    table: Path, tmp_path: Path
) -> None:
    result = on_table(table, tmp_path / "s", trials=8, scheduler={"name": "race", "seeds": 2})
    made, sha256 = read_table(table)
    log = rows(tmp_path / "s")
    settings = {row["trial"]: row["settings"] for row in log if row["kind"] == "trial"}
    seeds = {row["work"]: row["seed"] for row in log if row["kind"] == "trial"}
    by_settings = [row.settings for row in made.rows]
    for row in log:
        if row["kind"] == "result":
            recorded = made.rows[by_settings.index(settings[row["trial"]])]
            assert row["value"] == recorded.runs[seeds[row["work"]]].values[-1]
    fresh = {row["seed"] for row in log if row["kind"] == "confirmation"}
    assert len(fresh) == 2 and not fresh & set(seeds.values())
    best = made.rows[by_settings.index(result["metrics"]["best"]["settings"])]
    assert result["metrics"]["confirmed"]["val_loss"] == pytest.approx(
        sum(best.runs[s].values[-1] for s in fresh) / 2, abs=1e-12
    )
    manifest = RunDirectory(tmp_path / "s").manifest()
    assert (manifest.data.name, manifest.data.fingerprint) == ("table", sha256)
    assert not (tmp_path / "s/trials").exists()
    # A setting that is suggested again is not paid for again.
    assert result["metrics"]["steps"] <= 5 * 2 * 12


@pytest.mark.parametrize("scheduler", [{"name": "rungs", "at": [4, 8], "factor": 2}, {"name": "cfa", "pause": 8}, {"name": "vfa"}, {"name": "dla"}, {"name": "pfa"}], ids=lambda one: one["name"])  # fmt: skip
def test_schedulers_of_real_searches_work_on_a_table_and_continue_there(
    scheduler: dict[str, Any], table: Path, tmp_path: Path
) -> None:
    changes = {"scheduler": scheduler, "trials": 4, "parallel": 2}
    result = on_table(table, tmp_path / "s", **changes)
    whole = (tmp_path / "s/events.jsonl").read_bytes()
    (tmp_path / "s/summary.json").unlink()
    (tmp_path / "s/events.jsonl").write_bytes(b"\n".join(whole.split(b"\n")[:5]) + b'\n{"kind": "res')
    again = on_table(table, tmp_path / "s", **changes)
    assert (tmp_path / "s/events.jsonl").read_bytes() == whole
    assert {**again["metrics"], "decision_seconds": 0} == {**result["metrics"], "decision_seconds": 0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"episode.clip": {"low": 0.1, "high": 1.0}}}, "space: it is that of the table, .* Leave it out"),
        ({"run": {"threads": 7}}, "run: it is that of the table, .* Leave it out"),
        ({"metric": "val_accuracy"}, "metric: the table .* has 'val_loss', not 'val_accuracy'"),
        ({"confirm": {"seeds": 4}}, "the search uses up to 1 seeds of a setting and 4 fresh ones, but the table has 4"),
        ({"scheduler": {"name": "population", "every": 4}}, "the forks of a population change their settings during a run"),
        ({"scheduler": {"name": "rungs", "at": [5], "factor": 2}}, "runs pause at step 5, but the table has values at the steps 4, 8, 12"),
        ({"fresh_seeds": True}, "fresh_seeds: a table has no such runs"),
        ({"scheduler": {"name": "cfa"}, "optimizer": {"name": "pso", "swarm": 1}}, "optimizer: swarm"),
        ({"scheduler": {"name": "cfa"}, "optimizer": {"name": "climb"}}, "the policy 'cfa' chooses the settings itself"),
        ({"table": "none.json.gz"}, "table: the table .*none.json.gz cannot be read: No such file"),
        ({"table": __file__}, "test_tables.py is no table of recorded runs: it is not compressed with gzip, or damaged"),
    ],
)  # fmt: skip
def test_what_a_table_does_not_have_is_refused(
    changes: dict[str, Any], message: str, table: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        on_table(table, tmp_path / "s", **changes)
    assert "\n" not in str(refused.value) and not (tmp_path / "s").exists()


def test_a_table_that_has_changed_does_not_continue_a_search(table: Path, tmp_path: Path) -> None:
    copy = tmp_path / "t.json.gz"
    copy.write_bytes(table.read_bytes())
    on_table(copy, tmp_path / "s")
    made, _ = read_table(copy)
    made.model_copy(update={"source": {"other": 1}}).write(copy)
    with pytest.raises(RunError, match="the data"):
        on_table(copy, tmp_path / "s")


def test_a_setting_that_came_twice_is_one_row(tmp_path: Path) -> None:
    space = {"episode.clip": {"values": [None, 3.0]}}
    searched(tmp_path / "s", **{**RECORDED, "scheduler": {"name": "whole", "seeds": 2}}, space=space)
    made = recorded_table(tmp_path / "s")
    assert len(made.rows) == 2 and made.seeds == 2


def test_searches_that_give_no_table_are_refused(table: Path, tmp_path: Path) -> None:
    on_table(table, tmp_path / "t")
    with pytest.raises(RunError, match="it needs the scheduler 'whole', runs that were trained"):
        recorded_table(tmp_path / "t")
    searched(tmp_path / "s", trials=2, confirm={"seeds": 0}, metric="train_loss")
    with pytest.raises(RunError, match="it needs a metric that every evaluation measures"):
        recorded_table(tmp_path / "s")
    (tmp_path / "s/summary.json").unlink()
    with pytest.raises(RunError, match="has not ended. Run its command again"):
        recorded_table(tmp_path / "s")
    with pytest.raises(RunError):
        recorded_table(tmp_path)


def test_files_are_not_replaced_unasked(folder: Path, table: Path) -> None:
    done = CliRunner().invoke(app, ["search", "table", str(folder), "--out", str(table)])
    assert done.exit_code == 2 or "already exists" in str(done.exception)
    done = CliRunner().invoke(app, ["search", "train", "cfa", "--table", str(table), "--out", str(folder)])
    assert "is a folder" in str(done.exception)


def test_policies_are_trained_from_the_command_line(table: Path, tmp_path: Path) -> None:
    arguments = ["search", "train", "cfa", "--table", str(table), "--out", str(tmp_path / "cfa.json")]
    done = CliRunner().invoke(app, [*arguments, "--trials", "3", "--searches", "1"])
    assert done.exit_code == 0 and "Trained cfa on 8 simulated searches" in done.stdout
    result = on_table(table, tmp_path / "s", scheduler={"name": "cfa", "file": str(tmp_path / "cfa.json")}, trials=3)
    assert result["status"] == "completed"


def test_the_word_run_may_be_left_out() -> None:
    for arguments in (["search", "none.yaml", "--out", "x"], ["search", "run", "none.yaml", "--out", "x"]):
        done = CliRunner().invoke(app, arguments)
        assert "The config none.yaml cannot be read" in str(done.exception)
    assert config().table is None


def test_the_runs_inside_a_search_are_listed_on_demand(folder: Path) -> None:
    def paths(*arguments: str) -> list[str]:
        done = CliRunner().invoke(app, ["list", *arguments, "--json"])
        return [row["path"] for row in json.loads(done.stdout)]

    above = str(folder.parent)
    assert paths(above) == ["s"]
    assert len(paths(above, "--all")) == 1 + 5 * 4
    assert len(paths(str(folder))) == 1 + 5 * 4
    assert "Runs inside s are not listed. `--all` lists them." in CliRunner().invoke(app, ["list", above]).stdout
