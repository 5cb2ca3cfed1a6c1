"""The one training loop."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from trimtab.config import EpisodeConfig, WorkError
from trimtab.data import BatchSource, ValidationSource
from trimtab.losses import CrossEntropy, LossModule
from trimtab.random import Streams
from trimtab.records import rss_mb, tensors_sha256
from trimtab.records.checkpoints import checkpoint_path
from trimtab.records.metrics import Metric
from trimtab.regimes import Decision, Divergence, Monitor, NoController, RegimeController, RegimeState, UpdateSize
from trimtab.runtime.checkpoint import Snapshot, drop_after, prune, write_checkpoint
from trimtab.runtime.device import apply_precision
from trimtab.runtime.logger import Logger, MemoryLogger
from trimtab.runtime.nested import named_tensors
from trimtab.training.config import RunConfig
from trimtab.training.loop.decisions import changes_of
from trimtab.training.loop.evaluated import Evaluated
from trimtab.training.loop.evaluator import Evaluator, Sampler
from trimtab.training.loop.faults import ActiveFaults, FaultSet
from trimtab.training.loop.hooks import HookSet
from trimtab.training.loop.instruments import InstrumentSet
from trimtab.training.loop.passes import Accumulated, MonitoredLoss, Passes
from trimtab.training.loop.ring import Ring
from trimtab.training.loop.state import TrainState
from trimtab.training.loop.task_eval import TaskEvaluator
from trimtab.training.loop.update import Updater
from trimtab.training.metrics import evaluation_metric


class Trainer:
    """Trains a model and records what happened.

    `optimizer` is a torch optimiser or has the same methods; `scheduler` maps a step to a factor on the learning rate; `logger`
    receives the rows and names the folder for checkpoints. By default, `hooks` are built from the config, `streams` come from the
    config's seed, and there are no `faults`. `sampler` (default None) generates a sample at each evaluation; `task_eval` (default
    None) generates and scores answers. `stop` is called after each step, and before the first of a restored run; a reason ends
    the run after a checkpoint.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Callable[[int], float],
        loss_fn: LossModule,
        regime_controller: RegimeController | None = None,
        logger: Logger | None = None,
        config: RunConfig | None = None,
        *,
        hooks: HookSet | None = None,
        faults: FaultSet | None = None,
        streams: Streams | None = None,
        sampler: Sampler | None = None,
        task_eval: TaskEvaluator | None = None,
        stop: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.config = config or RunConfig()
        self.scheduler, self.stop = scheduler, stop
        self.logger: Logger = logger or MemoryLogger()
        self.instruments = InstrumentSet(self.config.monitor.instruments, self.config.episode.steps)
        self.state = TrainState(
            model=model,
            optimizer=optimizer,
            streams=streams or Streams(self.config.seed),
            config=self.config,
            monitor=Monitor(self.config.monitor),
            divergence=Divergence(self.config.episode.diverged_after),
            controller=regime_controller or NoController(),
            hooks=hooks if hooks is not None else HookSet(self.config.hooks),
            episode=self.config.episode,
            ring=Ring(self.config.episode.rewind.keep),
            instruments=self.instruments,
        )
        self.faults = faults if faults is not None else FaultSet()
        self.state.hooks.attach(model, self.state.streams)
        self.updater = Updater(model, optimizer, self.state.hooks)
        self.passes = Passes(model, loss_fn, self.state.hooks, self.state.streams)
        self.evaluator = Evaluator(self.passes, sampler, task_eval)
        self._restored = False

    def train(
        self, train_loader: BatchSource, val_loader: ValidationSource, episode_config: EpisodeConfig | None = None
    ) -> dict[str, Any]:
        """Train until the episode's last step, early stopping, divergence, a controller's stop, or a stop request.

        Continues from `self.state`, which is new or restored from a checkpoint; after a restore, `episode_config` is ignored.
        Returns `status` (completed, diverged, stopped, interrupted), `steps`, the final `val_loss`, `val_accuracy` and
        `val_calibration_error`, `task_eval` (for a task), `train_loss`, `stability`, `weights_sha256` and `folder` with the
        records (None in memory).
        """
        state = self.state
        if episode_config is not None and not self._restored:
            state.episode = episode_config
        for metric in (state.episode.best_metric, state.episode.stopping_metric):
            self._metric(metric)
        self.prepare()
        # A run that was killed at its pause, after the checkpoint and before the summary, makes no further step.
        ending: Sequence[str] | None = state.ended or (self._interruption() if self._restored else None)
        while ending is None and state.step < state.episode.steps:
            attempt = state.attempt
            ending = self.step(train_loader)
            rewound = state.attempt != attempt  # then its step is already recorded and, if due, evaluated
            if not rewound:
                ending = self._evaluate_if_due(val_loader, ending)
            if ending is not None:
                # Kept in the last checkpoint, so that a run killed before its summary is not trained further when resumed.
                state.ended = list(ending)
            else:
                ending = self._interruption()
            if not rewound or ending is not None:
                self._checkpoint_if_due(final=ending is not None)
        status, reason = ending or ("completed", "the last step was made")
        self.logger.event(state.step, state.attempt, "end", reason, after=status)
        result = self._result(status)
        state.hooks.on_end(result)
        return result

    def _interruption(self) -> tuple[str, str] | None:
        """Status and reason if a run with steps left is asked to stop."""
        request = self.stop() if self.state.step < self.state.episode.steps else None
        return None if request is None else ("interrupted", request)

    def prepare(self) -> None:
        """Prepare the model for `step`: its precision and mode. Raises `WorkError` for a hook that the config does not name."""
        state = self.state
        apply_precision(state.model, state.episode.precision)
        state.hooks.refuse_foreign(state.model)
        state.model.train()
        if self.rewinds and not state.ring.entries:
            state.ring.take(state.step, state.model, self.updater.optimizer, state.hooks, self._evaluations())

    # --- one step ----------------------------------------------------------------------------------------------------

    def step(self, loader: BatchSource) -> tuple[str, str] | None:
        """Make one step of a prepared run. Returns status and reason if the run ends with it, else None."""
        state, start = self.state, time.perf_counter()
        state.hooks.refuse_foreign(state.model)
        step = state.step + 1
        drawn = state.episode.batch_size * state.episode.accumulation
        faults = self.faults.active(state.draws + 1, state.streams)
        accumulated = self._gradient(loader, step, faults)
        faults.disturb(self.updater.gradients())
        loss, norm = accumulated.loss, self.updater.norm()
        regime = state.monitor.observe(step, loss, norm, state.hooks.activation_stats())
        self._record_transition(step)
        decision = self._decide(regime)
        skip = self._nonfinite(regime)
        nonfinite = skip is not None
        if skip is None and decision is not None and decision.action in ("skip", "rewind"):
            skip = decision.reason
        lr, update = 0.0, UpdateSize(0.0, 0.0)
        if skip is None:
            clip = state.episode.clip if decision is None or decision.clip is None else decision.clip
            factor = self.scheduler(step) * state.episode.lr_factor * faults.lr_factor()
            noise = state.streams.at("noise", step, state.attempt)
            layers = step % self.config.monitor.every == 0
            lr, update = self.updater.apply(norm, clip, factor, noise, layers=layers)
            if not update.finite:
                skip, nonfinite = "the update would have made a parameter non-finite", True
                update = UpdateSize(0.0, 0.0)
        if skip is not None:
            state.monitor.skipped_steps += 1
            self.logger.event(step, state.attempt, "skip", skip, before={"train_loss": loss, "grad_norm": norm})
        state.monitor.updated(update)
        self.updater.clear()
        state.step, state.cursor, state.draws = step, state.cursor + drawn, state.draws + 1
        state.tokens += accumulated.targets
        diverged = state.divergence.observe(regime, skipped=nonfinite, measured=accumulated.weight > 0)
        elapsed = time.perf_counter() - start
        state.seconds += elapsed
        skipped, names = skip is not None, faults.names
        for one in accumulated.occurrences:
            self.logger.event(step, state.attempt, one["kind"], one["reason"], one["before"], one["after"])
        self.record(regime, lr=lr, skipped=skipped, aux=accumulated.aux, faults=names, seconds=elapsed, loader=loader)
        if diverged is not None:
            before = state.monitor.classifier.regime
            self.logger.event(step, state.attempt, "regime", diverged, before=before, after="diverged")
            return "diverged", diverged
        if decision is not None and decision.action == "stop":
            return "stopped", decision.reason
        if decision is not None and decision.action == "rewind":
            self._rewind(decision)
        elif self.rewinds and not regime.anomaly_flags and step % state.episode.rewind.every == 0:
            state.ring.take(step, state.model, self.updater.optimizer, state.hooks, self._evaluations())
        return None

    def _gradient(self, loader: BatchSource, step: int, faults: ActiveFaults) -> Accumulated:
        """Accumulate a step's gradient. Before the first update the cross-entropy is measured too, whatever the loss is."""
        state = self.state
        needed = state.untrained_loss is None and self.evaluator.objective is not None
        monitored = MonitoredLoss(CrossEntropy()) if needed else None
        accumulated = self.passes.backward(loader, state.cursor, state.episode, step, state.attempt, faults, monitored)
        if state.untrained_loss is None:
            loss = monitored.mean.value(math.nan) if monitored else accumulated.loss if accumulated.weight else math.nan
            state.untrained_loss = loss if math.isfinite(loss) else None
        return accumulated

    @property
    def rewinds(self) -> bool:
        """Whether the controller may rewind; only then are snapshots kept."""
        return bool(getattr(self.state.controller, "rewinds", False))

    def _rewind(self, decision: Decision) -> None:
        """Restore weights, optimiser moments, the learning rule's state and the evaluation results from a snapshot.

        The data cursor and all other state continue.
        """
        state = self.state
        if not self.rewinds:
            raise WorkError("The controller rewinds, but no snapshots are kept. Set `rewinds = True` in its class.")
        if state.attempt >= state.episode.rewind.limit:
            reason = f"this would be rewind {state.attempt + 1} of at most {state.episode.rewind.limit}"
            self.logger.event(state.step, state.attempt, "rewind_refused", reason)
            return
        before, target = state.step, decision.rewind_to if decision.rewind_to is not None else state.step
        step, evaluations = state.ring.rewind(target, state.model, self.updater.optimizer, state.hooks)
        self.logger.event(before, state.attempt, "rewind", decision.reason, before=before, after=step)
        state.step, state.attempt = step, state.attempt + 1
        state.evaluated = Evaluated(**evaluations["evaluated"])
        state.monitor.rewound(evaluations["monitor"])
        self.checkpoint("a rewind")

    def _evaluations(self) -> dict[str, Any]:
        """What a snapshot of the ring keeps of the evaluations so far."""
        return {"evaluated": asdict(self.state.evaluated), "monitor": self.state.monitor.evaluations()}

    def _record_transition(self, step: int) -> None:
        if (change := self.state.monitor.transition) is not None:
            self.logger.event(step, self.state.attempt, "regime", change.reason, change.before, change.after)

    def _decide(self, regime: RegimeState) -> Decision | None:
        """Ask the controller; record an effective decision and apply its config changes. Returns None if it changes nothing."""
        state = self.state
        decision = state.controller.update(regime, state.episode)
        if decision is None or not decision.effective(regime, state.episode):
            return None
        before, after = changes_of(decision, state.episode, regime.step)
        if decision.episode is not None:
            state.episode = decision.episode
        kind = "decision" if decision.action == "update" else f"decision_{decision.action}"
        if decision.clip is not None and decision.action == "update":
            kind = "decision_clip"
            before, after = {**before, "clip": state.episode.clip}, {**after, "clip": decision.clip}
        self.logger.event(regime.step, state.attempt, kind, decision.reason, before or None, after or None)
        return decision

    def _nonfinite(self, regime: RegimeState) -> str | None:
        if not math.isfinite(regime.train_loss):
            return f"the loss is {regime.train_loss}"
        if not math.isfinite(regime.grad_norm):
            return f"the gradient norm is {regime.grad_norm}"
        return None

    def record(
        self,
        regime: RegimeState,
        *,
        lr: float,
        skipped: bool,
        aux: dict[str, float],
        seconds: float,
        faults: Sequence[str] = (),
        loader: BatchSource | None = None,
    ) -> None:
        """Write a step's row, with the figures of observers and instruments; instruments run only if `loader` is given."""
        state = self.state
        row: dict[str, Any] = {
            "step": regime.step,
            "attempt": state.attempt,
            "lr": lr,
            "tokens": state.tokens,
            "seconds": seconds,
            "skipped": skipped,
            **state.monitor.columns(regime),
        }
        if faults:
            row["faults"] = list(faults)
        if aux:
            row["aux"] = aux
        if regime.step % self.config.monitor.every == 0:
            row["rss_mb"] = rss_mb()
        if loader is not None and (measured := self.instruments.measure(self, loader)):
            row["instruments"] = measured
        if state.hooks.measures_activations(regime.step):
            row["activation_stats"] = regime.activation_stats
        if added := state.hooks.on_step(row):
            row["observers"] = added
        self.logger.step(row)

    # --- between steps -----------------------------------------------------------------------------------------------

    def _evaluate_if_due(self, loader: ValidationSource, ending: tuple[str, str] | None) -> tuple[str, str] | None:
        """Evaluate at the cadence and at the end. Returns how the run ends and why: the given `ending`, a new one, or None."""
        state, episode = self.state, self.state.episode
        due = ending is not None or state.step % episode.evaluate_every == 0 or state.step == episode.steps
        if not due:
            return ending
        figures, last = self.evaluate(loader), ending is not None or state.step == episode.steps
        loss, early = float(figures["val_loss"]), episode.early_stopping
        state.monitor.evaluated(loss)
        row: dict[str, Any] = {"step": state.step, "attempt": state.attempt, "tokens": state.tokens, **figures}
        if episode.sample.tokens and (sample := self.evaluator.sample(state.streams.at("sampling", state.step))):
            row["sample"] = dict(sample)
        if last or (episode.task_eval.every is not None and state.step % episode.task_eval.every == 0):
            figures |= self._evaluate_task()
        evaluated = state.evaluated.with_gain(figures, self._metric(episode.stopping_metric), early)
        if ending is None and early is not None and evaluated.without_gain >= early.patience:
            reason = (
                f"early stopping: {evaluated.without_gain} evaluations in a row did not improve {evaluated.stopping_metric} "
                f"({evaluated.reference}) by more than {early.minimum_gain}"
            )
            ending = "stopped", reason
            if not last and "task_eval" not in figures:  # the run ends here, and an end has a task evaluation
                figures |= self._evaluate_task()
            last = True
        if last and figures["val_tokens"] and not math.isfinite(loss) and (ending is None or ending[0] != "diverged"):
            ending = "diverged", f"the validation loss at the end is {loss}"  # whatever else ended the run
        evaluated = evaluated.with_best(state.step, figures, self._metric(episode.best_metric))
        state.evaluated = replace(evaluated, latest=figures)
        state.ring.evaluated(state.step, self._evaluations())
        row |= figures
        self.logger.evaluation(row)
        state.hooks.on_evaluation(row)
        return ending

    def _metric(self, name: str) -> Metric:
        config = self.config.model_copy(update={"episode": self.state.episode})
        return evaluation_metric(config, name, "episode.best_metric and episode.early_stopping.metric: ")

    def _evaluate_task(self) -> dict[str, Any]:
        """The figures of a task evaluation under `task_eval`; nothing for a run without a task."""
        state = self.state
        result = self.evaluator.evaluate_task(state.episode.precision, state.streams.at("evaluation", state.step))
        if result is None:
            return {}
        self.logger.predictions(result.predictions)
        return {"task_eval": result.figures}

    def evaluate(self, loader: ValidationSource) -> dict[str, Any]:
        """The model's figures on the validation batches; changes nothing that training depends on."""
        state = self.state
        return self.evaluator.figures(loader, state.episode.precision, state.step, state.attempt)

    def _checkpoint_if_due(self, *, final: bool) -> None:
        state, episode = self.state, self.state.episode
        reasons = {
            "the end": final or state.step == episode.steps,
            f"the best {episode.best_metric} so far": state.evaluated.best_step == state.step,
            "the cadence": state.step % episode.checkpoint_every == 0,
        }
        if any(reasons.values()):
            self.checkpoint(", ".join(reason for reason, holds in reasons.items() if holds))

    def checkpoint(self, reason: str = "requested") -> None:
        """Write a checkpoint of the current state and prune old ones; without a folder, only call the hooks."""
        state = self.state
        state.hooks.on_checkpoint(state.step)
        if self.logger.folder is None:
            return
        folder = self.logger.folder / "checkpoints"
        # The event is first, so that the checkpoint's record lengths include it and a resumed run has it once.
        name = checkpoint_path(folder, state.step).name
        self.logger.event(state.step, state.attempt, "checkpoint", reason, after=name)
        write_checkpoint(folder, state.snapshot(), self.logger.seals())
        drop_after(folder, state.step)  # those of an attempt that a rewind ended; pruning would keep them as the newest
        best = [state.evaluated.best_step, *(one["evaluated"]["best_step"] for one in state.ring.evaluations)]
        prune(folder, state.episode.keep_checkpoints, {step for step in best if step is not None})

    def restore(self, snapshot: Snapshot, overridden: frozenset[str] = frozenset()) -> bool:
        """Continue from a snapshot. Returns True if this run's loss differs from the snapshot's (see `TrainState.restore`)."""
        self._restored = True
        return self.state.restore(snapshot, overridden)

    def _result(self, status: str) -> dict[str, Any]:
        state = self.state
        return {
            "status": status,
            "steps": state.step,
            **state.evaluated.latest,
            "best_val_loss": None if math.isnan(state.monitor.best_val_loss) else state.monitor.best_val_loss,
            "best_value": state.evaluated.best_value,
            "best_step": state.evaluated.best_step,
            "train_loss": state.monitor.loss_ema,
            "untrained_loss": state.untrained_loss,
            "stability": state.monitor.stability() | {"rewinds": state.attempt},
            **({"instruments": self.instruments.last} if self.instruments.last else {}),
            "tokens": state.tokens,
            "seconds": state.seconds,
            "weights_sha256": tensors_sha256(named_tensors(state.model)),
            "folder": None if self.logger.folder is None else str(self.logger.folder),
        }
