"""Instruments that ship: what `monitor.instruments` may name. docs/instruments.md says what each costs."""

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

    By power iteration on Hessian-vector products, which are finite differences of fp32 gradients: the models' own attention
    and dropout can be differentiated once only. `value` is in units of the loss over squared parameters (gradient descent
    is stable below 2 / learning rate; Cohen et al. 2021), `residual` and `converged` say how far to trust it.
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
        """The eigenvalue, its residual, whether it converged and the products it took."""
        gradient = probe.gradient(probe.first_sequences(self.sequences))
        found = extreme_eigenvalue(
            hessian_vector_product(gradient, probe.parameters, "finite_difference"),
            random_vector(probe.parameters, probe.generator),
            which=self.which,
            iterations=self.iterations,
            tolerance=self.tolerance,
        )
        return {
            "value": found.value,
            "residual": found.residual,
            "converged": found.converged,
            "products": found.iterations,
        }


class CriticalLearningRate(Instrument):
    """How far the next step's update could be stretched before that step's loss would rise (Kalra & Barkeshli 2024).

    `value` is in units of the update, so that 1 is the step that will be made; `rate` is that times its learning rate, and
    `upper` the smallest stretch known to raise the loss, `loss` what it is before any. The update is the real one, momentum,
    clipping and weight decay included; batch and dropout masks are its own. `value`, `rate` and `upper` are NaN where the
    next step would be skipped.
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
        """The stretch and the learning rate, the bound above, and the forward passes it took."""
        update = probe.next_update()
        if update.lr == 0 or norm(update.change) == 0:
            return {"value": math.nan, "rate": math.nan, "upper": math.nan}
        found = critical_learning_rate(
            probe.next_loss(),
            probe.parameters,
            update.change,
            tolerance=self.tolerance,
            evaluations=self.evaluations,
        )
        return {
            "value": found.value,
            "rate": found.value * update.lr,
            "upper": found.upper,
            "loss": found.loss,
            "converged": found.converged,
            "evaluations": found.evaluations,
        }


class GradientNoiseScale(Instrument):
    """The batch size, in sequences, at which the gradient's noise is as large as the gradient (McCandlish et al. 2018).

    From the gradients of micro-batches of the sequences that come next, without dropout. `value` is the ratio of averages
    over the last measurements, `now` that of this one alone (NaN where it does not resolve it); `noise` and
    `squared_gradient` are the averages.
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
        """Refuse a single micro-batch, which says nothing of noise."""
        if parameters["micro_batch"] >= parameters["sequences"]:
            raise ValueError(
                f"micro_batch: {parameters['sequences']} sequences in micro-batches of {parameters['micro_batch']} are a "
                "single one; it takes two at least"
            )

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """This measurement's scale, and the averages with theirs."""
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
        """Take the averages back."""
        self.average.load_state_dict(state)


class LargestExponent(Instrument):
    """The largest Lyapunov exponent of training from here on, over `steps` steps, in nats a step.

    A twin whose parameters and optimiser moments differ by a relative `epsilon` makes the run's next steps in fp32 beside
    the run itself, on the same batches and dropout masks, and is pulled back again and again (Benettin et al. 1980).
    `value` above 0: nearby runs part. `low` and `high` are a 95% interval from batch means (null below 50 measurements):
    this trajectory's fluctuations, not other starts. Not measured where fewer than `steps` + `discard` steps are left.
    """

    def __init__(
        self,
        *,
        every: Every = 500,
        steps: Annotated[int, Field(ge=1, description="steps that are counted")] = 100,
        discard: Annotated[
            int, Field(ge=0, description="steps before them, for the difference to find its direction")
        ] = 20,
        epsilon: Annotated[
            float, Field(ge=1e-6, lt=1, description="relative distance of the twin; fp32 drowns less")
        ] = 1e-5,
        renormalise_every: Annotated[int, Field(ge=1, description="steps after which the twin is pulled back")] = 1,
    ) -> None:
        self.every, self.steps, self.discard = every, steps, discard
        self.epsilon, self.renormalise_every = epsilon, renormalise_every

    @classmethod
    def check(cls, parameters: dict[str, Any]) -> None:
        """Refuse stretches that are not whole measurements."""
        for key in ("steps", "discard"):
            if parameters[key] % parameters["renormalise_every"]:
                raise ValueError(
                    f"{key}: {parameters[key]} is no multiple of renormalise_every ({parameters['renormalise_every']})"
                )

    def due(self, step: int, last: int) -> bool:
        """At the cadence, while the horizon still ends within the run."""
        return step % self.every == 0 and step + self.discard + self.steps <= last

    def measure(self, probe: Probe) -> Mapping[str, Any]:
        """The exponent, its interval and the steps that it stands for."""
        futures = probe.futures()
        coordinates = Coordinates(futures.begin, list(probe.trainer.updater.parameters))
        found = exponent(
            futures,
            coordinates,
            coordinates.direction(futures.begin, probe.generator),
            steps=self.steps,
            epsilon=self.epsilon,
            every=self.renormalise_every,
            discard=self.discard,
        )
        low, high = found.interval or (None, None)
        return {"value": found.exponent, "low": low, "high": high, "steps": found.steps}
