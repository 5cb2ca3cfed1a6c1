"""Writes the report of an experiment or of any kind of run."""

from pathlib import Path

from trimtab.boundary import listed
from trimtab.config import kind_named, run_kinds
from trimtab.errors import RunError
from trimtab.records import RunDirectory


def write_report(folder: Path) -> list[Path]:
    """Write the report of the experiment or the run in a folder and return the paths of its files.

    Raises `RunError` for a folder that holds neither, for a kind of run without a report, and for damaged records; `WorkError`
    when the disk refuses.
    """
    if (folder / "experiment.yaml").exists():
        from trimtab.reports import experiment

        return experiment.write_report(folder)
    run = RunDirectory(folder)
    reported = [kind for kind in run_kinds().values() if kind.report_path is not None]
    nouns, commands = " or of ".join(k.noun for k in reported), "` or `".join(k.command for k in reported)
    if not run.exists():
        raise RunError(
            f"{folder} is not the folder of an experiment or of {nouns}. Give the folder that `trimtab run` or `{commands}` was "
            "given as --out."
        )
    names = [name for name, kind in run_kinds().items() if kind in reported]
    kind = kind_named(run.manifest().kind, f"{run.manifest_path}: ")
    if kind not in reported:
        raise RunError(
            f"{folder} holds {kind.noun}, for which there is no report. Only experiments and runs of these kinds have one: "
            f"{listed(names)}. `trimtab show {folder}` shows what a run's records say."
        )
    paths: list[Path] = kind.load("report")(folder)
    return paths
