"""What keys do to the selected run: stop, kill, resume, fork."""

from collections.abc import Callable
from pathlib import Path

from trimtab.config.yaml_file import dump_yaml
from trimtab.errors import TrimtabError
from trimtab.hud import control
from trimtab.hud.host import Host
from trimtab.records.atomic import write_text
from trimtab.records.manifest import Manifest


def resume_command(folder: Path, runs: Path) -> list[str]:
    """The arguments of `trimtab` that continue a run.

    A training run is resumed from its folder. Other kinds continue by the command that started them: its config is in the
    folder, or is written into the screen's own folder. Raises `RunError` for a folder that holds no run.
    """
    if (folder / "experiment.json").exists():
        return ["run", str(folder / "experiment.yaml"), "--out", str(folder)]
    manifest = Manifest.read(folder / "manifest.json")
    from trimtab.config.kinds import kind_named

    kind = kind_named(manifest.kind, f"{folder}: ")
    if kind.steps:
        return ["resume", str(folder)]
    words = kind.command.split()[1:]
    if kind.config_file is not None:
        return [*words, str(folder / kind.config_file), "--out", str(folder)]
    return [*words, str(_written_config(manifest, runs)), "--out", str(folder)]


def _written_config(manifest: Manifest, runs: Path) -> Path:
    place = control.hud_folder(runs) / "configs"
    place.mkdir(exist_ok=True)
    path = place / f"{manifest.run_id}.yaml"
    write_text(path, dump_yaml(manifest.config))
    return path


class RunActions:
    """Actions on the app's selected run. What goes wrong is said in the last line; nothing is raised."""

    def __init__(self, app: Host) -> None:
        self.app = app

    def stop(self) -> None:
        """Stop the selected run after a checkpoint."""
        self._do(control.stop, "It stops after this step, with a checkpoint.")

    def kill(self) -> None:
        """Kill the selected run, after a question."""
        folder = self.app.selected
        if folder is None or self.app.entry(folder) is None:
            return
        question = f"Kill {folder.name} at once? What its last checkpoint has is kept."
        self.app.ask(question, lambda: self._do(control.kill, "Killed. Press r to resume it from its last checkpoint."))

    def _do(self, act: Callable[[Path], None], done: str) -> None:
        folder = self.app.selected
        if folder is None:
            self.app.say("No run is selected.")
            return
        try:
            act(folder)
        except TrimtabError as error:
            self.app.say(str(error))
            return
        self.app.say(done)
        self.app.poller.hurry()

    def resume(self) -> None:
        """Resume the selected run in a process of its own."""
        folder, runs = self.app.selected, self.app.fleet.folder
        if folder is None:
            self.app.say("No run is selected.")
            return
        if control.holder(folder) is not None:
            self.app.say(f"{folder.name} is running.")
            return
        try:
            command = resume_command(folder, runs)
            log = control.start(command, runs, folder.name)
        except TrimtabError as error:
            self.app.say(str(error))
            return
        self.app.say(f"Started: {control.written(command)}. Its output is in {log}.")
        self.app.poller.hurry()

    def fork(self, step: int | None) -> None:
        """Open the launch screen with a fork of the selected run at a step; without one, at its last checkpoint."""
        entry = self.app.entry(self.app.selected)
        if entry is None or entry.kind != "training":
            self.app.say("Only training runs can be forked. Select one.")
            return
        self.app.draft_fork(entry.folder, entry.done if step is None else step)
