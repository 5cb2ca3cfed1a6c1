"""The instruments at their cadence, compared with known values on runs that have some."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.training.small_runs import DECODER, SMALL, config
from trimtab.config import ConfigError
from trimtab.experiments.reading import figures_of
from trimtab.records import RunDirectory, Summary, first_difference
from trimtab.records.checkpoints import checkpoint_path
from trimtab.regimes.instruments import sharpness
from trimtab.runtime.checkpoint import read_checkpoint
from trimtab.training import RunContext, resume, train
from trimtab.training.runs.assembly import assemble

CURVATURES = [0.2, 1.0, 3.0]
BOWL = [
    *(item for item in SMALL if not item.startswith("model=")),
    "model={name: 'tests.training.parts:Bowl'}",
    "episode.clip=null",
    "episode.precision=fp32",
    f"episode.loss={{name: 'tests.training.parts:Quadratic', curvatures: {CURVATURES}}}",
    "episode.optimizer={name: sgd, lr: 0.05, momentum: 0.0}",
    "episode.steps=200",
    "episode.evaluate_every=1000",
    "episode.checkpoint_every=1000",
]


def measured(tmp_path: Path, instrument: str, *changes: str, base: list[str] = BOWL) -> dict[int, dict[str, Any]]:
    """The figures of one instrument by step."""
    train(config(f"monitor.instruments=[{instrument}]", *changes, base=base), tmp_path / "run")
    rows = RunDirectory(tmp_path / "run").steps()
    return {row["step"]: next(iter(row["instruments"].values())) for row in rows if "instruments" in row}


def test_sharpness_of_a_bowl(tmp_path: Path) -> None:
    measurements = measured(tmp_path, "{name: sharpness, every: 50, tolerance: 0.001}")
    assert list(measurements) == [50, 100, 150, 200]
    for figures in measurements.values():
        assert figures["value"] == pytest.approx(3.0, rel=1e-3) and figures["converged"] is True


def test_sharpness_equals_the_exact_eigenvalue_on_the_first_sequences(tmp_path: Path) -> None:
    changes = ["episode.checkpoint_every=6", "episode.keep_checkpoints=100"]
    instrument = "{name: sharpness, every: 6, sequences: 6, iterations: 200, tolerance: 0.001}"
    measurements = measured(tmp_path, instrument, *changes, base=SMALL)
    model, assembly = at_step(tmp_path / "run", 12)
    batch = assembly.train_loader.take(0, 6)
    model.eval()

    def loss() -> torch.Tensor:
        logits = model(batch.input_ids[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), batch.labels[:, 1:].flatten())

    exact = sharpness(
        loss,
        list(model.parameters()),
        torch.Generator().manual_seed(1),
        which="algebraic",
        iterations=200,
        tolerance=1e-3,
    )
    assert measurements[12]["value"] == pytest.approx(exact.value, rel=5e-3)


def at_step(run: Path, step: int) -> tuple[torch.nn.Module, Any]:
    """The model of a checkpoint, and the parts of its run."""
    assembly = assemble(config(base=SMALL))
    snapshot, _ = read_checkpoint(checkpoint_path(run / "checkpoints", step))
    with torch.no_grad():
        for name, parameter in assembly.model.named_parameters():
            parameter.copy_(snapshot.model[name])
    return assembly.model, assembly


def test_the_critical_learning_rate_of_a_bowl(tmp_path: Path) -> None:
    # Along the sharpest direction alone it is 2 / curvature, in the learning rate's own units.
    lonely = "episode.loss.curvatures=[0.0, 0.0, 3.0]"
    measurements = measured(
        tmp_path, "{name: critical_learning_rate, every: 10, tolerance: 0.001, evaluations: 60}", lonely
    )
    assert measurements[10]["rate"] == pytest.approx(2 / 3, rel=2e-3)
    assert measurements[10]["value"] == pytest.approx(2 / 3 / 0.05, rel=2e-3)


def test_the_critical_learning_rate_is_that_of_the_next_update(tmp_path: Path) -> None:
    changes = ["episode.checkpoint_every=1", "episode.keep_checkpoints=100", "model.dropout=0.0"]
    changes += ["episode.optimizer={name: adamw, lr: 0.05}", "episode.accumulation=2"]
    measurements = measured(tmp_path, "{name: critical_learning_rate, every: 6}", *changes, base=SMALL)[12]
    (now, assembly), (after, _) = at_step(tmp_path / "run", 12), at_step(tmp_path / "run", 13)
    batch = assembly.train_loader.take(12 * 8, 8)
    start = [parameter.detach().clone() for parameter in now.parameters()]
    change = [b.detach() - a for a, b in zip(start, after.parameters(), strict=True)]

    @torch.no_grad()
    def loss(stretch: float) -> float:
        for parameter, origin, piece in zip(now.parameters(), start, change, strict=True):
            parameter.copy_(origin + stretch * piece)
        now.eval()
        return float(
            functional.cross_entropy(now(batch.input_ids[:, :-1]).flatten(0, 1), batch.labels[:, 1:].flatten())
        )

    assert 0 < measurements["value"] < measurements["upper"] < math.inf
    assert loss(measurements["value"]) <= loss(0.0) < loss(measurements["upper"])
    assert measurements["rate"] == pytest.approx(0.05 * measurements["value"])


def test_the_critical_learning_rate_uses_the_next_steps_dropout_masks(tmp_path: Path) -> None:
    measurements = measured(
        tmp_path, "{name: critical_learning_rate, every: 6}", "episode.precision=fp32", base=DECODER
    )
    losses = {row["step"]: row["train_loss"] for row in RunDirectory(tmp_path / "run").steps()}
    assert measurements[12]["loss"] == pytest.approx(losses[13], abs=1e-6)


def test_a_step_that_would_be_skipped_has_no_critical_learning_rate(tmp_path: Path) -> None:
    skipper = "episode.regime_controller={name: 'tests.training.parts:Skipper'}"
    measurements = measured(tmp_path, "{name: critical_learning_rate, every: 1}", skipper, base=SMALL)
    assert [step for step, figures in measurements.items() if math.isnan(figures["value"])] == [2, 5, 8]


def test_the_noise_scale_is_that_of_the_next_sequences(tmp_path: Path) -> None:
    changes = ["episode.checkpoint_every=6", "episode.keep_checkpoints=100"]
    measurements = measured(
        tmp_path, "{name: noise_scale, every: 6, sequences: 8, micro_batch: 2}", *changes, base=SMALL
    )
    model, assembly = at_step(tmp_path / "run", 6)
    model.eval()
    batch = assembly.train_loader.take(6 * 4, 8)
    gradients = []
    for start in range(0, 8, 2):
        logits = model(batch.input_ids[start : start + 2, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), batch.labels[start : start + 2, 1:].flatten())
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))]).double())
    small = sum(float(g @ g) for g in gradients) / 4
    big = float((sum(gradients) / 4).square().sum())
    squared, noise = (8 * big - 2 * small) / 6, (small - big) / (1 / 2 - 1 / 8)
    assert measurements[6]["squared_gradient"] == pytest.approx(squared, rel=1e-4)
    assert measurements[6]["noise"] == pytest.approx(noise, rel=1e-4)
    assert (
        measurements[6]["now"] == pytest.approx(noise / squared, rel=1e-3)
        and measurements[6]["value"] == measurements[6]["now"]
    )
    assert measurements[12]["value"] != measurements[12]["now"]  # an average from the second on


@pytest.mark.parametrize(("momentum", "curvatures"), [(0.0, CURVATURES), (0.9, CURVATURES), (0.9, [-0.02, 0.5, 1.0])])
def test_the_largest_exponent_of_a_bowl(tmp_path: Path, momentum: float, curvatures: list[float]) -> None:
    """Training is a linear map: the exponent is the log of its spectral radius, the momentum being part of the state."""
    lr = 0.05
    radius = max(
        abs(
            torch.linalg.eigvals(torch.tensor([[1 - lr * a, -lr * momentum], [a, momentum]], dtype=torch.float64))
        ).max()
        for a in curvatures
    )
    measurements = measured(
        tmp_path,
        "{name: largest_exponent, every: 20, steps: 60, discard: 80, epsilon: 0.001}",
        f"episode.optimizer.momentum={momentum}",
        f"episode.loss.curvatures={curvatures}",
    )
    assert list(measurements) == [20, 40, 60]  # a horizon of 140 steps ends within 200
    # With complex multipliers single steps grow and shrink in turn, so that a finite time's mean is rough.
    assert measurements[20]["value"] == pytest.approx(math.log(float(radius)), abs=0.002 if momentum == 0 else 0.01)
    assert (
        measurements[20]["low"] <= measurements[20]["value"] <= measurements[20]["high"]
        and measurements[20]["steps"] == 60
    )


def test_an_interrupted_and_resumed_run_has_the_same_measurements(tmp_path: Path) -> None:
    changes = [
        "monitor.instruments=[{name: noise_scale, every: 4}, {name: largest_exponent, every: 5, steps: 4, discard: 0}]"
    ]
    whole = train(config(*changes, base=DECODER), tmp_path / "whole")
    steps = iter(range(24))
    stop = RunContext(stop=lambda: "enough" if next(steps) == 12 else None)
    assert train(config(*changes, base=DECODER), tmp_path / "run", stop)["status"] == "interrupted"
    again = resume(tmp_path / "run")
    assert first_difference(RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "run")) is None
    assert again["instruments"] == whole["instruments"]
    assert again["instruments"]["largest_exponent"]["step"] == 20


def test_the_last_figures_are_metrics_of_the_summary(tmp_path: Path) -> None:
    measurements = measured(tmp_path, "{name: sharpness, every: 60}")
    summary = RunDirectory(tmp_path / "run").summary()
    assert isinstance(summary, Summary)
    assert figures_of(summary)["instruments.sharpness.value"] == measurements[180]["value"]
    assert figures_of(summary)["instruments.sharpness.step"] == 180


@pytest.mark.parametrize(
    ("instruments", "words"),
    [
        ("[{name: sharpnes}]", ["monitor.instruments[0]", "'sharpness'"]),
        ("[{name: sharpness, each: 3}]", ["monitor.instruments[0].each", "every"]),
        ("[{name: sharpness, every: 0}]", ["monitor.instruments[0].every"]),
        ("[{name: 'tests.training.parts:CallCounter'}]", ["monitor.instruments[0]", "not an instrument"]),
        ("[{name: 'tests.training.parts:NoMeasure', every: 5}]", ["monitor.instruments[0]", "no method `measure`"]),
        ("[{name: sharpness, every: 5}, {name: sharpness, every: 6}]", ["monitor.instruments[1]", "listed twice"]),
        ("[{name: sharpness, every: 25}]", ["monitor.instruments[0]", "never measure", "24 steps"]),
        ("[{name: largest_exponent, every: 1, steps: 24, discard: 0}]", ["never measure", "horizon"]),
        ("[{name: largest_exponent, steps: 5, renormalise_every: 2}]", ["monitor.instruments[0]", "steps: 5"]),
        ("[{name: largest_exponent, epsilon: 1.0e-7}]", ["monitor.instruments[0].epsilon", "1e-07"]),
        ("[{name: noise_scale, sequences: 4, micro_batch: 4}]", ["monitor.instruments[0]", "micro_batch"]),
    ],
)
def test_invalid_instruments_are_refused_before_anything_is_written(
    tmp_path: Path, instruments: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as refusal:
        train(config(f"monitor.instruments={instruments}"), tmp_path / "run")
    for word in words:
        assert word in str(refusal.value)
    assert not (tmp_path / "run").exists()
