"""The report's figures, recomputed by hand from the records."""

import json
import math
import re
import shutil

import numpy as np
import pytest
import yaml

from tests.reports.experiment.folders import FORKED, LOSSES, add_optional, ended, make_experiment, make_factors
from trimtab.records.places import place
from trimtab.reports.blocks import Plots, Table
from trimtab.reports.drawing import POINTS, drawable, file_name, looks, thinned
from trimtab.reports.experiment import write_report
from trimtab.reports.experiment.budgets import compared, difference
from trimtab.reports.experiment.cost import cost
from trimtab.reports.experiment.differences import differences
from trimtab.reports.experiment.effects import detection
from trimtab.reports.experiment.factors import best, curves, factors, medians, onset
from trimtab.reports.experiment.losses import example_cell, losses, median_over
from trimtab.reports.experiment.records import ExperimentRecords, read_records
from trimtab.reports.experiment.regimes import _example
from trimtab.reports.experiment.stability import final_values, instability, sd_interval
from trimtab.reports.series import Series


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> ExperimentRecords:
    return read_records(make_experiment(tmp_path_factory.mktemp("figures") / "e"))


def table(section, caption):
    (result,) = [block for block in section.blocks if isinstance(block, Table) and block.caption == caption]
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def series(values, first=1):
    return Series(np.arange(first, first + len(values)), np.array(values, dtype=float))


def test_the_differences_are_those_of_the_summaries(records):
    (claimed,) = table(differences(records), "The claim, by treatment")
    by_hand = [b - a for a, b in zip(LOSSES["plain"], LOSSES["guard"], strict=True)]
    assert claimed["mean difference"] == f"{np.mean(by_hand):+.4g}" == "-0.1667"
    assert claimed["SD"] == f"{np.std(by_hand, ddof=1):.3g}"
    assert (claimed["pairs"], claimed["exactly 0"], claimed["pairs better"]) == ("6", "1", "5.5")
    shown = table(differences(records), "All pairs")
    assert [row["difference"] for row in shown] == ["-0.1", "0", "-0.3", "-0.2", "-0.15", "-0.25"]


def test_a_forks_series_begins_with_its_parents_rows(records):
    fork = records.of("guard")[0]
    assert fork.trace.series["train_loss"].steps.tolist() == list(range(1, 21))
    assert fork.trace.series["train_loss"].values[FORKED - 1] == pytest.approx(3.2)  # the parent's
    assert fork.trace.series["train_loss"].values[FORKED] == 1.0  # its own
    assert (fork.trace.own_steps, fork.trace.own_tokens, fork.trace.own_seconds) == (12, 1200.0, 12.0)
    assert fork.trace.spent[-1].tolist() == [2000.0, FORKED * 0.5 + 12.0, 1.5]
    assert [(span.first, span.last, span.name) for span in fork.trace.faults] == [(10, 11, "random_labels")]
    assert [(s.first, s.last, s.name) for s in fork.trace.regimes] == [
        (1, 10, "warming"),
        (11, 14, "unstable"),
        (15, 20, "stable"),
    ]


def test_a_fork_of_another_run_does_not_begin_with_the_baselines_rows(tmp_path):
    folder = make_experiment(tmp_path / "e")
    manifest = folder / "episodes/plain/seed-0/manifest.json"
    manifest.write_text(manifest.read_text().replace('"run-0"', '"another"'))
    assert read_records(folder).of("guard")[0].trace.series["train_loss"].steps[0] == FORKED + 1


def test_the_cost_counts_what_was_run(records):
    plain, guard = table(cost(records), "Cost by arm")
    assert (plain["steps run"], plain["steps saved"], plain["seconds"]) == ("120", "0", "60")
    assert (guard["episodes run"], guard["same as the baseline"]) == ("5", "1")
    assert (guard["steps run"], guard["steps saved"], guard["tokens"]) == ("60", "60", "6,000")


def test_equal_tokens_and_equal_seconds_by_hand(records):
    base, treated = records.of("plain")[0], records.of("guard")[0]
    assert difference(base, treated, "val_loss", "steps") == pytest.approx(-0.1)
    assert difference(base, treated, "val_loss", "tokens") == pytest.approx(-0.1)
    # The baseline spent 10 s in all; the guard has then made its 8 shared steps (4 s) and 6 of its own, up to step 14: on the
    # line from 2.5 at 6 s (step 10) to 1.9 at 16 s (step 20).
    assert difference(base, treated, "val_loss", "seconds") == pytest.approx(2.5 - 0.6 * 4 / 10 - 2.0)
    assert difference(base, treated, "train_loss", "seconds") == pytest.approx(1.5 - 2.5)
    assert difference(records.of("plain")[1], records.of("guard")[1], "train_loss", "seconds") == 0.0  # never acted
    result = {(one.figure, one.resource): one for one in compared(records)}
    assert result["val_loss", "steps"].mean == pytest.approx(np.mean(LOSSES["guard"]) - np.mean(LOSSES["plain"]))
    assert result["val_loss", "seconds"].n == 6


def test_a_shorter_run_is_compared_at_its_own_last_step(tmp_path):
    folder = make_experiment(tmp_path / "e")
    steps = folder / "episodes/plain/seed-0/steps.jsonl"
    steps.write_text("".join(steps.read_text().splitlines(keepends=True)[:15]))
    result = read_records(folder)
    assert difference(result.of("plain")[0], result.of("guard")[0], "train_loss", "steps") == pytest.approx(1.5 - 3.0)


def test_a_diverged_run_is_compared_by_the_untrained_models_value_of_the_same_loss(tmp_path):
    folder = make_experiment(tmp_path / "e")
    diverged = ended(9.0, status="diverged", untrained={"train_loss": 0.7})
    diverged.write(folder / "episodes/guard/seed-0/summary.json")
    base, treated = read_records(folder).of("plain")[0], read_records(folder).of("guard")[0]
    assert difference(base, treated, "train_loss", "steps") == pytest.approx(0.7 - 2.5)
    assert difference(base, treated, "val_loss", "steps") == pytest.approx(4.5 - 2.0)


def test_the_median_counts_a_diverged_run_as_infinitely_high():
    runs = [series([4.0, 3.0, 2.0]), series([5.0, 4.0, 3.0]), series([6.0])]
    assert median_over(runs, [False, False, False]).values.tolist() == [5.0, 3.5, 2.5]
    assert median_over(runs, [False, False, True]).values.tolist() == [5.0, 4.0, 3.0]
    two = median_over(runs, [False, True, True])
    assert two.values.tolist() == [5.0, 4.0, 3.0]
    mostly = median_over([series([1.0, 1.0]), series([2.0]), series([3.0])], [False, True, True])
    assert mostly.steps.tolist() == [1]


def test_a_long_line_is_drawn_with_its_spikes():
    values = np.sin(np.arange(10_000) / 500)
    values[[1234, 8001]] = 9.0, -9.0
    drawn = thinned(series(values))
    assert len(drawn) <= POINTS and np.all(np.diff(drawn.steps) > 0)
    assert {1235: 9.0, 8002: -9.0}.items() <= dict(
        zip(drawn.steps.tolist(), drawn.values.tolist(), strict=True)
    ).items()
    assert thinned(series([1.0, math.nan, 2.0])).steps.tolist() == [1, 3]


def test_texts_from_the_records_are_neither_formulas_nor_hidden_labels_in_plots():
    assert drawable("$x$") == r"\$x\$" and drawable("_a") == " _a" and drawable("a\nb\u4e2d") == "a?b?"
    assert drawable("x" * 40) == "x" * 25 + "…"
    assert file_name("A b/c", 1, "日本") == "a-b-c-1"


def test_the_spread_over_seeds(records):
    sd, low, high = sd_interval([0.0, math.sqrt(2.0)])
    assert (sd, low, high) == pytest.approx(
        (1.0, 0.4461, 31.91), rel=1e-3
    )  # one degree of freedom: 1/√5.0239, 1/√0.000982
    assert all(map(math.isnan, sd_interval([1.0])))
    assert [value for _, value in final_values(records)["guard"]] == LOSSES["guard"]


def test_eight_arms_are_drawn_in_eight_ways():
    result = looks([f"arm-{n}" for n in range(9)])
    assert len({(look.colour, look.marker, str(look.dash)) for look in result.values()}) == 9
    assert len({(look.colour, str(look.dash)) for look in result.values()}) == 9  # as lines, too


def test_the_instability_of_an_arm(records):
    plain, _ = table(instability(records), "Instability by arm")
    assert (plain["unstable steps"], plain["skipped steps"], plain["diverged runs"]) == ("4", "1", "0 of 6")


def test_the_example_pair_is_the_median_one(records):
    # Sorted: -0.3 (seed 2), -0.25 (5), -0.2 (3), -0.15 (4), -0.1 (0), 0 (1); the lower of the two middle ones is seed 3.
    base, treated, why = _example(records)
    assert (base.arm, treated.arm, treated.seed) == ("plain", "guard", 3)
    assert "Seed 3" in why and "-0.2)" in why and "lower of the two middle ones of 6" in why


def test_detection_averages_leave_out_nan(tmp_path):
    folder = make_experiment(tmp_path / "e")
    add_optional(folder)
    (guard,) = table(detection(read_records(folder)), "Detection by arm")
    assert (guard["recall"], guard["false alarms per run"], guard["delay (steps)"]) == ("0.5 ± 0.55", "2 ± 0", "3 ± 0")
    assert guard["excess-loss area (nats · steps)"] == "12.5 ± 1.9"


def test_factors_their_best_value_and_the_onset_of_chaos(tmp_path):
    result = read_records(make_factors(tmp_path / "e"))
    curve = curves(result, "plain", "episode.optimizer.lr", "val_loss")
    assert curve[0] == {0.001: 2.5, 0.01: 2.0, 0.1: 4.5}  # the diverged run's loss is the untrained model's
    assert medians(curve)[0.01] == pytest.approx(2.05) and best(medians(curve), higher_is_better=False) == 0.01
    assert best(medians(curve), higher_is_better=True) == 0.1
    exponents = curves(result, "plain", "episode.optimizer.lr", "instruments.largest_exponent.value")
    assert onset(exponents) == 0.1
    assert onset({seed: {0.1: 0.01} for seed in range(4)}) is None  # equal values say nothing of other seeds
    parted = {seed: {0.001: 0.3, 0.01: sign * 0.01, 0.1: 0.1 + sign * 0.01} for seed, sign in enumerate((-1, 1, -1, 1))}
    assert onset(parted) == 0.1  # at 0.01 the sign changes with the seed; what lies below that does not count
    assert onset(parted, above=0.2) is None
    assert onset({seed: {**points, 0.01: points[0.1]} for seed, points in parted.items()}) == 0.01
    plain, _ = table(factors(result), "Median val_loss over episode.optimizer.lr")
    assert (plain["best lr"], plain["onset of chaos"]) == ("0.01", "0.1")
    assert example_cell(result) == (0.01,)


def test_losses_of_different_objectives_are_neither_compared_nor_drawn_on_one_axis(tmp_path):
    """What is trained on has a scale of its own; the validation loss is the cross-entropy in every arm."""
    folder = make_experiment(tmp_path / "e")
    for seed in (0, 2, 3, 4, 5):
        place = folder / f"episodes/guard/seed-{seed}"
        manifest = json.loads((place / "manifest.json").read_text())
        manifest["config"]["episode"] = {"loss": {"name": "focal", "gamma": 2.0}}
        (place / "manifest.json").write_text(json.dumps(manifest))
        rows = [json.loads(line) for line in (place / "evaluations.jsonl").read_text().splitlines()]
        (place / "evaluations.jsonl").write_text(
            "".join(json.dumps(row | {"val_objective": row["val_loss"] / 10}) + "\n" for row in rows)
        )
    records = read_records(folder)
    section = cost(records)
    assert {row["loss"] for row in table(section, "At equal steps, tokens and seconds")} == {
        "smoothed training loss",  # of seed 1, which is the baseline's
        "validation loss",
    }
    assert {one.n for one in compared(records) if one.figure == "train_loss"} == {1}
    shutil.rmtree(folder / "episodes/guard/seed-1")
    records = read_records(folder)
    assert {one.figure for one in compared(records)} == {"val_loss"}
    assert "guard: trained on another objective than the baseline" in str(cost(records))
    drawn = losses(records)
    plots = {one.name: one for block in drawn.blocks if isinstance(block, Plots) for one in block.plots}
    assert list(plots) == ["losses-1-plain", "losses-2-guard", "losses-cross-entropy"]
    assert "loss trained on, own scale" in labels(plots["losses-2-guard"].svg)
    assert "loss (nats per token)" in labels(plots["losses-1-plain"].svg)
    assert "validation value of the loss trained on at the end 0.19" in plots["losses-2-guard"].description
    assert "plain 2.125; guard 1.9" in plots["losses-cross-entropy"].description


def labels(svg):
    """The texts of a plot, which matplotlib leaves as comments beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", svg) + re.findall(r"<text[^>]*>([^<]*)", svg)


def test_a_factor_may_have_lists_as_values(tmp_path):
    folder = make_factors(tmp_path / "e")
    lists = {"faults": [[{"name": "lr_jump", "start": 3}], []]}
    design = yaml.safe_load((folder / "experiment.yaml").read_text()) | {"factors": lists, "derived": None}
    (folder / "experiment.yaml").write_text(yaml.safe_dump(design))
    for arm in ("plain", "other"):
        for seed in (0, 1):
            for rate, value in ((0.001, lists["faults"][0]), (0.01, [])):
                own = folder / f"episodes/{arm}/seed-{seed}"
                (own / f"lr-{rate}").rename(folder / place("episodes", arm, seed, {"faults": value}))
    result = read_records(folder)
    assert result.cells == [('[{"name":"lr_jump","start":3}]',), ("[]",)]
    assert [len(result.of("plain", cell)) for cell in result.cells] == [2, 2]
    assert all(episode.finished for episode in result.episodes)
    write_report(folder)
    assert "faults is not numeric" in (folder / "report.md").read_text()
