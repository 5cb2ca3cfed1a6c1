"""`trimtab report`."""

from pathlib import Path

from tests.experiments.specs import GUARDED, spec
from tests.reports.experiment.folders import make_experiment
from tests.reports.memory.folders import make_stopped
from tests.training.small_runs import command
from trimtab.experiments import RunOptions, load_experiment, run_experiment


def test_the_report_of_a_real_experiment_and_the_command_that_repeats_it(tmp_path: Path) -> None:
    out = tmp_path / "e"
    result = run_experiment(spec(**GUARDED), out, RunOptions())
    done = command("report", str(out))
    assert done.returncode == 0, done.stderr
    paths = [Path(line) for line in done.stdout.splitlines()]
    assert paths[:2] == [out / "report.html", out / "report.md"]
    assert all(path.is_file() for path in paths) and len(paths) > 6
    text = (out / "report.html").read_text()
    for verdict in result["verdicts"]:
        if verdict["p_adjusted"] is not None:
            assert verdict["sentence"] in text
    assert "trimtab run experiment.yaml --out again" in text
    assert load_experiment(out / "experiment.yaml") == spec(**GUARDED)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    done = command("report", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not the folder of an experiment or of a memory run" in done.stderr
    assert "Traceback" not in done.stderr
    assert command("report", str(make_experiment(tmp_path / "e"))).returncode == 0


def test_a_memory_runs_folder_gets_the_report_of_a_memory_run(tmp_path: Path) -> None:
    done = command("report", str(make_stopped(tmp_path / "m")))
    assert done.returncode == 0, done.stderr
    assert [Path(line).name for line in done.stdout.splitlines()][:2] == ["report.html", "report.md"]
    assert "Content memory" in (tmp_path / "m" / "report.html").read_text()
