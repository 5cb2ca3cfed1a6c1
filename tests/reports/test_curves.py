import math
import xml.etree.ElementTree as ET

import pytest

from tests.records.runs import make_run, step
from trimtab.errors import RunError
from trimtab.records import RunDirectory
from trimtab.reports import curves
from trimtab.reports.curves import loss_curve

EVALUATIONS = [{"step": 10, "attempt": 0, "val_loss": 1.5}, {"step": 20, "attempt": 0, "val_loss": 1.75}]


def drawn_text(run):
    """The figure's legend entries, labels, title and notes, and its upper axes."""
    figure = curves._draw(run)
    upper = figure.axes[0]
    legend = upper.get_legend()
    entries = [text.get_text() for text in legend.get_texts()] if legend else []
    return entries, [text.get_text() for text in upper.texts], figure


def test_both_files_are_drawn_and_open(tmp_path):
    run = make_run(tmp_path / "run", [step(n) for n in range(1, 21)], EVALUATIONS)
    svg, png = loss_curve(run)
    assert (svg, png) == (run.path / "plots" / "loss_curve.svg", run.path / "plots" / "loss_curve.png")
    assert ET.parse(svg).getroot().tag.endswith("svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert loss_curve(run, tmp_path / "elsewhere")[0] == tmp_path / "elsewhere" / "loss_curve.svg"


def test_the_same_records_give_the_same_bytes_whatever_the_users_settings(tmp_path):
    import matplotlib as mpl

    run = make_run(tmp_path / "run", [step(n) for n in range(1, 21)], EVALUATIONS)
    first = [path.read_bytes() for path in loss_curve(run)]
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.hashsalt": "other", "lines.linestyle": "--"}):
        assert [path.read_bytes() for path in loss_curve(run)] == first
        assert mpl.rcParams["font.size"] == 30
    assert b"<dc:date>" not in first[0]


def test_the_legend_names_the_lines_and_the_best_evaluation(tmp_path):
    run = make_run(tmp_path / "run", [step(n) for n in range(1, 101)], EVALUATIONS)
    entries, _, figure = drawn_text(run)
    assert entries == ["training (average over up to 10 steps)", "validation", "best validation: 1.5000 at step 10"]
    upper, lower, right = figure.axes
    assert upper.get_title(loc="left") == "decoder (4 layers, width 256) on corpus, 1,000 tokens · seed 0"
    labels = (upper.get_ylabel(), lower.get_xlabel(), lower.get_ylabel(), right.get_ylabel())
    assert labels == ("loss (nats per token)", "step", "memory (MiB)", "tokens/s")


def test_non_finite_losses_are_marked_and_counted(tmp_path):
    rows = [step(n, train_loss=math.nan if n in (5, 6) else math.inf if n == 7 else 2.0) for n in range(1, 31)]
    run = make_run(tmp_path / "run", rows, [{"step": 10, "val_loss": math.nan}])
    entries, _, _ = drawn_text(run)
    assert "non-finite training loss (3 steps)" in entries
    assert not any("validation" in entry for entry in entries)
    loss_curve(run)


def test_a_spike_is_named_and_does_not_flatten_the_curve(tmp_path):
    rows = [step(n, train_loss=900.0 if n == 300 else 2.0 + 1 / n) for n in range(1, 401)]
    _, notes, figure = drawn_text(make_run(tmp_path / "run", rows))
    assert any("900 at step 300" in note for note in notes)
    assert figure.axes[0].get_ylim()[1] < 10


def test_steps_that_a_rewind_discarded_are_shown(tmp_path):
    rows = [step(n) for n in range(1, 31)] + [step(n, attempt=1) for n in range(21, 31)]
    entries, _, figure = drawn_text(make_run(tmp_path / "run", rows))
    assert "discarded by a rewind" in entries
    drawn = [line for axes in figure.axes[1:] for line in axes.get_lines()]
    assert len(drawn) == 3
    for line in drawn:
        assert list(line.get_xdata()) == sorted(set(line.get_xdata())), "the lower panel runs backwards"


@pytest.mark.parametrize(
    "rows", [[], [step(1)], [step(1, train_loss=math.nan)], [{"step": 1}], [step(1), step(2, lr=0.0)]]
)
def test_runs_with_one_row_or_none_are_drawn(tmp_path, rows):
    run = make_run(tmp_path / "run", rows)
    paths = loss_curve(run)
    assert all(path.stat().st_size > 1000 for path in paths)
    _, notes, _ = drawn_text(run)
    assert ("no loss has been recorded" in notes) == (rows in ([], [{"step": 1}]))


def test_a_folder_of_records_without_a_manifest_is_drawn_too(tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "steps.jsonl").write_text('{"step": 1, "train_loss": 2.0}\n{"step": 2, "train_loss": 1.0}\n')
    _, _, figure = drawn_text(RunDirectory(tmp_path / "bare"))
    assert figure.axes[0].get_title(loc="left") == "bare"


def test_the_name_of_a_folder_is_never_a_formula_in_the_title(tmp_path):
    bare = tmp_path / "$x_{^ $"
    bare.mkdir()
    (bare / "steps.jsonl").write_text('{"step": 1, "train_loss": 2.0}\n')
    assert [path.name for path in curves.loss_curve(RunDirectory(bare))] == ["loss_curve.svg", "loss_curve.png"]


def test_damage_and_an_impossible_folder_are_named(tmp_path):
    run = make_run(tmp_path / "run", [step(1)])
    with pytest.raises(RunError, match="Cannot make the folder"):
        loss_curve(run, run.manifest_path)
    with run.steps_path.open("a") as file:
        file.write("{\n")
    with pytest.raises(RunError, match="line 2"):
        loss_curve(run)


def test_a_run_on_another_loss_is_drawn_in_that_loss_alone(tmp_path):
    tested = [row | {"val_objective": row["val_loss"] / 10} for row in EVALUATIONS]
    run = make_run(tmp_path / "run", [step(n) for n in range(1, 21)], tested)
    entries, _, figure = drawn_text(run)
    upper = figure.axes[0]
    assert upper.get_ylabel() == "loss trained on"
    assert "validation (cross-entropy at the end 1.7500 nats per token)" in entries
    assert not any("best validation" in entry for entry in entries)
    drawn = [line.get_ydata().tolist() for line in upper.get_lines() if len(line.get_ydata()) == 2]
    assert [0.15, 0.175] in [[round(value, 6) for value in values] for values in drawn]
