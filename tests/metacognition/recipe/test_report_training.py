"""The report's sections on how the layer learned and where the gate acts."""

import json
from pathlib import Path

import pytest

from tests.metacognition.recipe.test_run import config
from trimtab.metacognition.recipe.report import write_report
from trimtab.metacognition.recipe.report_training import _curve, gate, learning
from trimtab.metacognition.recipe.run import run_thinking
from trimtab.metacognition.recipe.stages import LAYER
from trimtab.reports.blocks import Plots
from trimtab.runtime.context import RunContext


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "run"
    run_thinking(config(), out, RunContext())
    return out


def test_the_shares_of_the_blocks_are_drawn_over_both_runs(whole: Path) -> None:
    section = learning(whole)
    assert section is not None
    (plots,) = [block for block in section.blocks if isinstance(block, Plots)]
    assert [one.name for one in plots.plots] == ["alpha", "agreement", "gate_size"]
    page = (write_report(whole)[0]).read_text()
    assert "block 1" in page and "block 2" in page and "How the layer learned" in page


def test_many_blocks_are_drawn_as_a_heat_map(tmp_path: Path) -> None:
    folder = tmp_path / LAYER
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    aux = {f"model.layer.{block}.alpha": 1 / 30 for block in range(1, 31)}
    aux |= {f"model.{name}": 0.5 for name in ("alpha_entropy", "plan_agreement", "gate_norm", "budget_variance")}
    rows = "".join(json.dumps({"step": step, "aux": aux}) + "\n" for step in range(1, 41))
    (folder / "steps.jsonl").write_text(rows)
    section = learning(tmp_path)  # a legend of thirty lines would leave no room, which is a warning
    assert section is not None
    (plots,) = [block for block in section.blocks if isinstance(block, Plots)]
    assert plots.plots[0].name == "alpha" and "block 30" not in plots.plots[0].svg


def test_a_folder_without_steps_has_no_curves(tmp_path: Path) -> None:
    assert learning(tmp_path) is None


def test_curves_are_means_of_what_is_known() -> None:
    rows = [{"step": step, "aux": {"a": float(step)} if step != 3 else {}} for step in range(1, 42)]
    steps, values = _curve(rows, "a")
    assert steps == [21.0, 41.0] and values == pytest.approx([sum(set(range(1, 22)) - {3}) / 20, 31.5])


def test_the_gate_is_drawn_where_there_was_a_thought() -> None:
    rows = [{"item": item, "used": item % 4, "gate_norm": 0.1 * item} for item in range(12)]
    section = gate(rows)
    assert section is not None
    assert gate([{**row, "used": 0} for row in rows]) is None
    assert gate([{**row, "gate_norm": 0.0} for row in rows]) is None
    assert gate([{"item": 0, "used": 3}]) is None  # a table of an earlier version
