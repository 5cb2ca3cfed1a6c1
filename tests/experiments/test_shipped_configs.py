"""The experiments in `configs/` are sound, and can show what they claim."""

from pathlib import Path

import pytest

from trimtab.experiments import load_experiment, planned

SHIPPED = sorted(
    path for path in (Path(__file__).parents[2] / "configs").glob("*.yaml") if "\nclaim:" in path.read_text()
)


def test_there_are_some() -> None:
    assert {"regime_controller.yaml", "lr_sensitivity.yaml", "chaos.yaml"} <= {path.name for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_experiment(path: Path) -> None:
    experiment = load_experiment(path)
    assert "Chance of 'superior'" in planned(experiment)
    metric = experiment.claim.metric.split(".")
    if metric[0] == "instruments":
        config = experiment.config(experiment.baseline_arm, 0, experiment.cells[0])
        assert metric[1] in {instrument.name for instrument in config.monitor.instruments}
