"""Which report belongs to a folder."""

from pathlib import Path

from trimtab.errors import RunError
from trimtab.records import MEMORY_CONFIG


def write_report(folder: Path) -> list[Path]:
    """Draw the report of whatever the folder holds and return its paths.

    Raises `RunError` for a folder of nothing that has a report, and for a damaged one; `WorkError` when the disk refuses.
    """
    if (folder / MEMORY_CONFIG).exists():
        from trimtab.reports import memory

        return memory.write_report(folder)
    if (folder / "experiment.yaml").exists():
        from trimtab.reports import experiment

        return experiment.write_report(folder)
    raise RunError(
        f"{folder} is not the folder of an experiment or of a memory run: it has neither an experiment.yaml nor a "
        f"{MEMORY_CONFIG}. Give the folder that `trimtab run` or `trimtab memory run` was given as --out."
    )
