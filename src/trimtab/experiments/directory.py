"""The files of one experiment."""

import json
from pathlib import Path
from typing import Any

from trimtab import __version__
from trimtab.config import RunError, config_hash
from trimtab.config.yaml_file import dump_yaml
from trimtab.experiments.spec import Experiment
from trimtab.records import git_state, now
from trimtab.records.atomic import write_json, write_text


class ExperimentDirectory:
    """The files of one experiment under `path`. Constructing one touches nothing."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.spec_path = self.path / "experiment.yaml"
        self.progress_path = self.path / "experiment.json"
        self.verdicts_path = self.path / "verdicts.json"
        self.log_path = self.path / "workers.log"

    def episode(self, arm: str, seed: int, cell: dict[str, Any]) -> Path:
        """The folder of an episode."""
        return self.path.joinpath("episodes", arm, f"seed-{seed}", *_parts(cell))

    def noise(self, seed: int, cell: dict[str, Any]) -> Path:
        """The folder of the baseline's copy under another dropout draw."""
        return self.path.joinpath("noise", f"seed-{seed}", *_parts(cell))

    def twins(self, arm: str, seed: int, cell: dict[str, Any]) -> Path:
        """The folder of what an episode's interventions did."""
        return self.path.joinpath("twins", arm, f"seed-{seed}", *_parts(cell))

    def progress(self) -> dict[str, Any]:
        """The manifest and progress. Raises `RunError` when it is damaged."""
        try:
            found: Any = json.loads(self.progress_path.read_bytes())
            if not isinstance(found, dict) or not {"spec_hash", "question", "episodes", "events"} <= set(found):
                raise ValueError("it is no progress of an experiment")
        except (OSError, ValueError) as error:
            raise RunError(f"{self.progress_path} cannot be read ({error}). Is {self.path} an experiment?") from error
        return dict(found)


def _parts(cell: dict[str, Any]) -> list[str]:
    return [f"{key.rsplit('.', 1)[-1]}-{value}" for key, value in cell.items()]


def reserve(folder: ExperimentDirectory, experiment: Experiment, command: tuple[str, ...]) -> None:
    """Begin the experiment's folder, or find it begun. Raises `RunError` when it holds anything else."""
    spec = experiment.model_dump(mode="json")
    if folder.progress_path.exists():
        then = folder.progress()
        if then["spec_hash"] != config_hash(spec):
            raise RunError(
                f"{folder.path} holds another experiment ('{then['question']}', or this one with another spec). Choose "
                f"another --out, or run the spec that is in {folder.spec_path}."
            )
    else:
        _begin(folder, experiment, spec, command)
    # The progress was written first: a kill in between leaves a folder that can be gone on with.
    if not folder.spec_path.exists():
        plain = {key: value for key, value in spec.items() if key != "base"} | spec["base"]
        write_text(folder.spec_path, dump_yaml(plain))


def _begin(folder: ExperimentDirectory, experiment: Experiment, spec: dict[str, Any], command: tuple[str, ...]) -> None:
    if folder.path.exists() and not folder.path.is_dir():
        raise RunError(f"{folder.path} is a file, and an experiment needs a folder of its own. Choose another --out.")
    if folder.path.exists() and any(entry.name != ".lock" for entry in folder.path.iterdir()):
        raise RunError(
            f"{folder.path} is not empty, and an experiment needs a folder of its own. Choose another --out."
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    commit, dirty = git_state(Path(__file__).parent)
    write_json(
        folder.progress_path,
        {
            "question": experiment.question,
            "spec_hash": config_hash(spec),
            "created_at": now(),
            "trimtab": __version__,
            "git_commit": commit,
            "git_dirty": dirty,
            "command": list(command),
            "status": "running",
            "episodes": {},
            "events": [],
        },
    )
