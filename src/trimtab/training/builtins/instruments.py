"""The built-in instruments, for `monitor.instruments`. docs/instruments.md says what each costs."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.regimes.instruments import (
    NoiseScale,
    critical_learning_rate,
    extreme_eigenvalue,
    hessian_vector_product,
    micro_batch_estimate,
)
from trimtab.regimes.instruments.vectors import norm, random_vector
from trimtab.training.builtins.perturbed import Coordinates, exponent
from trimtab.training.loop.instruments import Instrument
from trimtab.training.loop.probe import Probe

Every = Annotated[int, Field(ge=1, description="steps between measurements")]


class Sharpness(Instrument):
    """The largest eigenvalue of the loss's Hessian on the run's first sequences, without dropout.

    It is found by power iteration on Hessian-vector products. These are finite differences of fp32 gradients, because the models'
    attention and dropout can be differentiated only once. `value` is in units of the loss over squared parameters: gradient
    descent is stable below 2 / learning rate (Cohen et al. 2021). `residual` and `converged` say how exact it is.
    """

    def __init__(
        self,
        *,
        every: Every = 100,
        sequences: Annotated[int, Field(ge=1, description="sequences in the loss, the run's first ones")] = 16,
        which: Annotated[
            Literal["algebraic", "absolute"],
            Field(description="the largest eigenvalue, or the one of largest absolute value"),
        ] = "algebraic",
        iterations: Annotated[
            int, Field(ge=1, description="products at most in each of the two power iterations")
        ] = 30,
        tolerance: Annotated[float, Field(gt=0, description="relative residual at which the iteration ends")] = 0.05,
    ) -> None:
        self.every, self.sequences, self.which = every, sequences, which
        self.iterations, self.tolerance = iterations, tolerance

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """Returns the eigenvalue, its residual, whether it converged, and the number of products."""
        gradient = probe.gradient(probe.first_sequences(self.sequences))
        eigenvalue = extreme_eigenvalue(
            hessian_vector_product(gradient, probe.parameters, "finite_difference"),
            random_vector(probe.parameters, probe.generator),
            which=self.which,
            iterations=self.iterations,
            tolerance=self.tolerance,
        )
        return {
            "value": eigenvalue.value,
            "residual": eigenvalue.residual,
            "converged": eigenvalue.converged,
            "products": eigenvalue.iterations,
        }


class CriticalLearningRate(Instrument):
    """The factor by which the next step's update could be multiplied before that step's loss rises (Kalra & Barkeshli 2024).

    `value` is that factor, 1 for the update itself; `rate` is the factor times the step's learning rate. `upper` is the smallest
    factor known to raise the loss, and `loss` the loss before the update. The update is the real one, with momentum, clipping and
    weight decay, and so are the batch and the dropout masks. `value`, `rate` and `upper` are NaN where the next step would be
    skipped.
    """

    def __init__(
        self,
        *,
        every: Every = 100,
        tolerance: Annotated[float, Field(gt=0, description="relative width at which the search ends")] = 0.05,
        evaluations: Annotated[int, Field(ge=2, description="forward passes at most")] = 20,
    ) -> None:
        self.every, self.tolerance, self.evaluations = every, tolerance, evaluations

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """Returns the factor, its learning rate, the upper bound, and the number of forward passes."""
        update = probe.next_update()
        if update.lr == 0 or norm(update.change) == 0:
            return {"value": math.nan, "rate": math.nan, "upper": math.nan}
        critical = critical_learning_rate(
            probe.next_loss(),
            probe.parameters,
            update.change,
            tolerance=self.tolerance,
            evaluations=self.evaluations,
        )
        return {
            "value": critical.value,
            "rate": critical.value * update.lr,
            "upper": critical.upper,
            "loss": critical.loss,
            "converged": critical.converged,
            "evaluations": critical.evaluations,
        }


class GradientNoiseScale(Instrument):
    """The batch size, in sequences, at which the gradient's noise is as large as the gradient (McCandlish et al. 2018).

    It is estimated from gradients of micro-batches of the next sequences, without dropout. `noise` and `squared_gradient` are
    averages over the last measurements, and `value` is their ratio. `now` is the ratio of this measurement alone, NaN where its
    estimates are too noisy to be positive.
    """

    def __init__(
        self,
        *,
        every: Every = 20,
        sequences: Annotated[int, Field(ge=2, description="sequences in all")] = 32,
        micro_batch: Annotated[int, Field(ge=1, description="sequences in a micro-batch")] = 4,
        horizon: Annotated[int, Field(ge=1, description="measurements over which the averages look back")] = 10,
    ) -> None:
        self.every, self.sequences, self.micro_batch = every, sequences, micro_batch
        self.average = NoiseScale(horizon)

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raise ValueError for a single micro-batch, which cannot show noise."""
        if parameters["micro_batch"] >= parameters["sequences"]:
            raise ValueError(
                f"micro_batch: {parameters['sequences']} sequences are a single micro-batch of {parameters['micro_batch']}; "
                "there must be two or more"
            )

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """Returns the scale of this measurement, the averages, and the scale from them."""
        batches = probe.next_sequences(self.sequences, self.micro_batch)
        sizes = [batch.input_ids.shape[0] for batch in batches]
        small = [probe.gradient([batch])() for batch in batches]
        whole = [
            sum(size * piece for size, piece in zip(sizes, pieces, strict=True)) / sum(sizes)
            for pieces in zip(*small, strict=True)
        ]
        now = micro_batch_estimate(sizes, [norm(gradient) ** 2 for gradient in small], norm(whole) ** 2)
        average = self.average.observe(now)
        return {
            "value": average.scale,
            "now": now.scale,
            "noise": average.noise,
            "squared_gradient": average.squared_gradient,
        }

    def state_dict(self) -> dict[str, Any]:
        """The averages."""
        return self.average.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the averages to what `state_dict` returned."""
        self.average.load_state_dict(state)


class LargestExponent(Instrument):
    """The largest Lyapunov exponent of training from here on, over `steps` steps, in nats per step.

    A copy of the run whose parameters and optimiser moments differ by a relative `epsilon` makes the same next steps in fp32, on
    the same batches and dropout masks. Every few steps the difference is scaled back to `epsilon` (Benettin et al. 1980). A
    `value` above 0 means that nearby runs separate. `low` and `high` are a 95% interval from batch means (null
    below 50 measurements), which covers the fluctuations of this trajectory, not other starts. It is not measured where fewer
    than `steps` + `discard` steps are left.
    """

    def __init__(
        self,
        *,
        every: Every = 500,
        steps: Annotated[int, Field(ge=1, description="steps that are counted")] = 100,
        discard: Annotated[
            int, Field(ge=0, description="steps before them, in which the difference turns into its fastest direction")
        ] = 20,
        epsilon: Annotated[
            float,
            Field(ge=1e-6, lt=1, description="relative size of the difference; below 1e-6 it is lost in rounding"),
        ] = 1e-5,
        renormalise_every: Annotated[
            int, Field(ge=1, description="steps after which the difference is scaled back")
        ] = 1,
    ) -> None:
        self.every, self.steps, self.discard = every, steps, discard
        self.epsilon, self.renormalise_every = epsilon, renormalise_every

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Raise ValueError for a number of steps that is not a multiple of `renormalise_every`."""
        for key in ("steps", "discard"):
            if parameters[key] % parameters["renormalise_every"]:
                raise ValueError(
                    f"{key}: {parameters[key]} is not a multiple of renormalise_every ({parameters['renormalise_every']})"
                )

    def due(self, step: int, last: int) -> bool:
        """Whether `step` is at the cadence and the measured steps end within the run."""
        return step % self.every == 0 and step + self.discard + self.steps <= last

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """Returns the exponent, its interval and the number of steps measured."""
        futures = probe.futures()
        coordinates = Coordinates(futures.start, list(probe.trainer.updater.parameters))
        measured = exponent(
            futures,
            coordinates,
            coordinates.direction(futures.start, probe.generator),
            steps=self.steps,
            epsilon=self.epsilon,
            every=self.renormalise_every,
            discard=self.discard,
        )
        low, high = measured.interval or (None, None)
        return {"value": measured.exponent, "low": low, "high": high, "steps": measured.steps}
