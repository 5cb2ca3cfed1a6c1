"""Components of a user's own, named in test configs by their dotted path."""

import os
import signal
from typing import Any

import torch

from trimtab.regimes import Decision
from trimtab.training import Instrument, LearningRule, Modulator, Observer, Probe


class Brake:
    """Lowers the learning rate at every fifth step; its memory is the number of steps."""

    def __init__(self) -> None:
        self.seen = 0

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        self.seen += 1
        if self.seen % 5:
            return None
        lower = episode_config.model_copy(update={"lr_factor": episode_config.lr_factor * 0.9})
        return Decision(f"step {state.step}", episode=lower)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


class Skipper(Brake):
    """Skips every third step and stops at the tenth."""

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        if state.step == 10:
            return Decision("enough", action="stop")
        return Decision("every third", action="skip") if state.step % 3 == 0 else None


class RewindsEverySecondCall(Brake):
    """Rewinds at every second call after step 4, counted over all runs: of two runs in turn, only one rewinds."""

    rewinds = True
    calls = 0

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        RewindsEverySecondCall.calls += 1
        return Decision("its turn", action="rewind") if state.step > 4 and RewindsEverySecondCall.calls % 2 else None


class ChangesBatchSize(Brake):
    """Tries to change a key that is not changeable."""

    def update(self, state: Any, episode_config: Any) -> Decision | None:
        return Decision("wrong", episode=episode_config.model_copy(update={"batch_size": 1}))


class KillsItsProcess(Observer):
    """Kills its own process with SIGKILL at a step, once: a file marks that it did."""

    def __init__(self, *, at: int, flag: str) -> None:
        self.at, self.flag = at, flag

    def on_step(self, row: Any) -> None:
        if row["step"] == self.at and not os.path.exists(self.flag):
            with open(self.flag, "w"):
                os.kill(os.getpid(), signal.SIGKILL)


class ReturnsTrainerColumns(Observer):
    """Returns columns with the names of the trainer's own."""

    def on_step(self, row: Any) -> dict[str, Any]:
        return {"train_loss": -1.0, "regime": "diverged", "val_loss": 0.0, "faults": ["none"], "activation_stats": {}}


class WritesActivation(Observer):
    """An observer that writes to an activation, in one of several ways."""

    def __init__(self, *, way: str) -> None:
        self.way = way

    def on_activation(self, layer: str, activation: torch.Tensor) -> Any:
        if self.way == "in place":
            activation.mul_(2)
        elif self.way == "data":
            activation.data[0, 0, 0] += 1
        elif self.way == "negated":
            activation.data.neg_()
        elif self.way == "numpy":
            activation.float().numpy() if activation.dtype == torch.bfloat16 else None
            activation.view(torch.int16 if activation.itemsize == 2 else torch.int32).numpy()[0, 0, 0] ^= 1
        elif self.way == "return":
            return activation * 2
        return None


class WritesParameter(Observer):
    """An observer that writes to a parameter of the model, in one of its methods."""

    layers = "blocks.0"

    def __init__(self, *, moment: str, way: str = "in place") -> None:
        self.moment, self.way = moment, way

    def setup(self, model: torch.nn.Module, streams: Any) -> None:
        self.model = model
        self._write("setup")

    def _write(self, moment: str) -> None:
        if moment != self.moment:
            return
        parameter = next(self.model.parameters())
        if self.way == "in place":
            with torch.no_grad():
                parameter.mul_(1.5)
        elif self.way == "data":
            parameter.data[0, 0] += 0.25
        elif self.way == "numpy":
            parameter.detach().numpy()[1, 1] = 3.0
        elif self.way == "swapped":
            parameter.data = parameter.data.clone()

    def on_activation(self, layer: str, activation: torch.Tensor) -> None:
        self._write("activation")

    def on_step(self, row: Any) -> None:
        self._write("step")

    def on_evaluation(self, row: Any) -> None:
        self._write("evaluation")

    def on_checkpoint(self, step: int) -> None:
        self._write("checkpoint")

    def on_end(self, summary: Any) -> None:
        self._write("end")


class CallCounter(Observer):
    """Counts the calls of its methods; the number of steps is in the checkpoint."""

    totals: dict[str, int] = {}

    def __init__(self) -> None:
        self.count = 0

    def on_activation(self, layer: str, activation: torch.Tensor) -> None:
        self._add("activations")

    def on_step(self, row: Any) -> dict[str, int]:
        self.count += 1
        self._add("steps")
        return {"seen": self.count}

    def on_evaluation(self, row: Any) -> None:
        self._add("evaluations")

    def on_checkpoint(self, step: int) -> None:
        self._add("checkpoints")

    def on_end(self, summary: Any) -> None:
        self._add("ends")

    def _add(self, name: str) -> None:
        CallCounter.totals[name] = CallCounter.totals.get(name, 0) + 1

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


class Double(Modulator):
    """Scales activations."""

    def __init__(self, *, factor: float = 2.0) -> None:
        self.factor = factor

    def modulate(self, layer: str, activation: torch.Tensor) -> torch.Tensor:
        return activation * self.factor


class Explode(LearningRule):
    """A rule that makes a parameter infinite at its third update."""

    def __init__(self) -> None:
        self.calls = 0

    def update(self, parameters: dict[str, Any], lr: float, optimizer: Any) -> None:
        self.calls += 1
        for parameter in parameters.values():
            parameter.add_(float("inf") if self.calls == 3 else 0.001)


class NoMeasure(Instrument):
    """An instrument without the method that measures."""

    def __init__(self, *, every: int) -> None:
        self.every = every


class ChangesTheRun(Instrument):
    """Changes everything of the run that it can reach."""

    def __init__(self, *, every: int) -> None:
        self.every = every

    def measure(self, probe: Probe) -> dict[str, float]:
        trainer, state = probe.trainer, probe.trainer.state
        for _ in range(2):
            trainer.step(probe.loader)
        with torch.no_grad():
            for parameter in probe.parameters:
                parameter.zero_()
        state.model.eval()
        state.optimizer.state.clear()
        state.step = state.cursor = state.tokens = 3
        torch.rand(1, generator=state.streams["noise"])
        state.monitor.loss_ema = state.seconds = 7.0
        state.controller.load_state_dict(type(state.controller)().state_dict())
        return {"draw": float(torch.rand((), generator=probe.generator))}


class Bowl(torch.nn.Module):
    """A model whose parameters are a point; under the loss `Quadratic`, training is a linear map of the point."""

    def __init__(self, *, vocabulary: int, context: int, start: float = 1.0, size: int = 3) -> None:
        super().__init__()
        self.point = torch.nn.Parameter(torch.full((size,), start))
        self.vocabulary = vocabulary

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        logits = torch.nn.functional.pad(self.point, (0, self.vocabulary - len(self.point)))
        return logits.expand(*input_ids.shape, -1)


class Quadratic:
    """½ Σ aᵢ θᵢ², whatever the data."""

    def __init__(self, *, curvatures: list[float]) -> None:
        self.curvatures = torch.tensor(curvatures)

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        loss = 0.5 * (self.curvatures * logits[0, 0, : len(self.curvatures)] ** 2).sum()
        return {"loss": loss, "weight": torch.ones(()), "aux": {}}


class PoisonLoss:
    """Cross-entropy that is NaN at some calls."""

    def __init__(self, *, at: list[int]) -> None:
        from trimtab.losses import CrossEntropy

        self.at, self.calls, self.inner = at, 0, CrossEntropy()

    def __call__(self, logits: Any, labels: Any, batch_metadata: Any) -> Any:
        output = self.inner(logits, labels, batch_metadata)
        if torch.is_grad_enabled():
            self.calls += 1
            if self.calls in self.at:
                output["loss"] = output["loss"] * float("nan")
        return output
