"""A thinking run in a folder: start it, continue it, or find it finished."""

import time
from pathlib import Path
from typing import Any, Literal

from trimtab.config import RunError, allowing_code
from trimtab.config.permission import dotted_paths, hub_ids
from trimtab.metacognition.calibration import Calibration
from trimtab.metacognition.policies import Outcomes, compared
from trimtab.metacognition.recipe.config import ThinkingConfig
from trimtab.metacognition.recipe.kind import THINKING
from trimtab.metacognition.recipe.metrics import headline
from trimtab.metacognition.recipe.stages import (
    CALIBRATION,
    COMPARED,
    LAYER,
    OBSERVED,
    PRICED,
    THINK,
    first_config,
    layer_config,
    observe,
)
from trimtab.records import (
    RunDirectory,
    Status,
    Summary,
    clean_leftovers,
    peak_rss_mb,
    read_rows,
    refuse_changes,
    to_json,
)
from trimtab.records.hashing import seal_of
from trimtab.records.thinking_rows import OutcomeRow
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import Ended, Nested, OnEvent, Progress, Stage, Started
from trimtab.training.config import changed_keys
from trimtab.training.runs.assembly import on_this_machine
from trimtab.training.runs.conditions import conditions_now
from trimtab.training.runs.forking import fork_as
from trimtab.training.runs.lifecycle import train_or_resume
from trimtab.training.runs.outer import outer_changes, outer_manifest

_PROBLEM = "problem"


def run_thinking(config: ThinkingConfig, out: Path | str, context: RunContext) -> dict[str, Any]:
    """Run a resolved config into `out`, continue the run there, or find it finished; returns status, metrics and folder.

    Each part writes its own records and is not repeated, so a run that was killed ends with the same ones. Raises `RunError`
    where `out` holds something else, or what the run depends on has changed.
    """
    run = RunDirectory(out)
    config = config.model_copy(update={"run": on_this_machine(config.run)})
    named = config.model_dump()
    with allowing_code(names=[*dotted_paths(named), *hub_ids(named)]):
        conditions = conditions_now(first_config(config), context.events)
        new = not run.exists()
        if new:
            run.check_free()
        with run.create() if new else run.lock():
            if new:
                data = config.run.data.name
                outer_manifest(THINKING.name, config, conditions, data, context.command).write(run.manifest_path)
            else:
                clean_leftovers(run.path)
                manifest = run.manifest()
                if manifest.kind != THINKING.name:
                    raise RunError(f"{run.path} holds a run of the kind '{manifest.kind}'. Choose another --out.")
                changes = outer_changes(manifest, config, conditions)
                refuse_changes(run.path, changes, "Its parts would not fit together.", "choose another --out")
            if (summary := run.summary()) is not None and summary.status == "completed":
                return _ended(run, summary.status, summary.metrics, context, reused=True)
            run.clear_summary()
            return _Parts(config, run, context).make()


class _Parts:
    """The parts of a run, one after the other."""

    def __init__(self, config: ThinkingConfig, run: RunDirectory, context: RunContext) -> None:
        self.config, self.run, self.context = config, run, context
        self.began = time.perf_counter()

    def make(self) -> dict[str, Any]:
        """Make what is not made yet."""
        self.context.emit(Started("thinking", str(self.run.path), "part", 4))
        figures: dict[str, Any] = {}
        status: Status = "interrupted"
        if self._think() and self._observe() and self._learn() and self._price() and self._compare():
            status, figures = "completed", self._figures()
        layer = self._place(LAYER).summary() if status == "completed" else None
        records = [
            self.run.manifest_path,
            *(self.run.path / name for name in (OBSERVED, PRICED, COMPARED, CALIBRATION)),
        ]
        made = [s.steps for name in (THINK, LAYER) if (s := self._place(name).summary()) is not None]
        Summary(
            status=status,
            steps=made[-1] if made else 0,  # the second run counts on from the first one's end
            metrics=figures,
            weights_sha256=None if layer is None else layer.weights_sha256,
            tokens_per_second=None,
            seconds=time.perf_counter() - self.began,
            peak_rss_mb=peak_rss_mb(),
            records={path.name: seal_of(path) for path in records if path.exists()},
        ).write(self.run.summary_path)
        return _ended(self.run, status, figures, self.context)

    def _place(self, name: str) -> RunDirectory:
        return RunDirectory(self.run.path / name)

    def _think(self) -> bool:
        """The first run. Whether it has ended."""
        first = self._place(THINK)
        return self._completed(train_or_resume(first_config(self.config), first.path, self._within(THINK)))

    def _learn(self) -> bool:
        """The second run, a fork of the first one's end."""
        first, second = self._place(THINK), self._place(LAYER)
        config = layer_config(self.config, self.run.path)
        if second.exists():
            return self._completed(train_or_resume(config, second.path, self._within(LAYER)))
        changed = changed_keys(first_config(self.config), config)
        at = self.config.run.episode.steps
        return self._completed(fork_as(first, at, second.path, config, changed, context=self._within(LAYER)))

    def _completed(self, result: dict[str, Any]) -> bool:
        if result["status"] in ("diverged", "stopped"):
            raise RunError(
                f"A training run in {self.run.path} ended early ({result['status']}), so there is no model to observe. Lower the "
                "learning rate, or leave early stopping out."
            )
        return bool(result["status"] == "completed")

    def _observe(self) -> bool:
        """The outcomes of training problems under the first run's model. Whether all are there."""
        return self._outcomes(THINK, OBSERVED, self.config.observe.problems, "first")

    def _price(self) -> bool:
        """The outcomes of other training problems under the second run's model, to choose the price of a thought on."""
        return self._outcomes(LAYER, PRICED, self.config.compare.pricing, "last")

    def _compare(self) -> bool:
        """The outcomes of validation problems under the second run's model."""
        return self._outcomes(LAYER, COMPARED, self.config.compare.problems, "validation")

    def _outcomes(self, run: str, table: str, count: int, problems: Literal["first", "last", "validation"]) -> bool:
        name = Path(table).stem
        self.context.emit(Stage(name, _PROBLEM, count))

        def done(number: int) -> None:
            self.context.emit(Progress(name, _PROBLEM, number, count))

        place, stop = self.run.path / table, self.context.stop
        data = first_config(self.config)
        return observe(self._place(run), place, data, count=count, problems=problems, stop=stop, done=done) is None

    def _figures(self) -> dict[str, Any]:
        caps = first_config(self.config).model.spec["caps"]
        training, test = (Outcomes(read_rows(self.run.path / name, OutcomeRow), caps) for name in (PRICED, COMPARED))
        calibration = Calibration.fit(training.confidence, training.right, sure=self.config.compare.sure)
        calibration.write(self.run.path / CALIBRATION)
        reported = test.with_confidence(calibration.apply(test.confidence))
        errors = {f"cap_{cap}": reported.calibration_error(index)[0] for index, cap in enumerate(test.caps.tolist())}
        return compared(test, training, self.config.compare.share) | {"calibrated": errors}

    def _within(self, name: str) -> RunContext:
        """The context of a run within this one."""
        events = self.context.events
        nested: OnEvent | None = None if events is None else lambda event: events(Nested(name, name, event))
        return RunContext(stop=self.context.stop, events=nested, command=self.context.command)


def _ended(
    run: RunDirectory, status: Status, figures: dict[str, Any], context: RunContext, *, reused: bool = False
) -> dict[str, Any]:
    context.emit(Ended(status, headline=headline(figures), reused=reused, figures=to_json(figures)))
    return {"status": status, "reused": reused, "folder": str(run.path), "metrics": figures}
