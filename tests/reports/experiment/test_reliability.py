"""The report's part on calibration: there when predictions are, with the figures of the records."""

import json
import re
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from tests.reports.experiment.answers import OVER, add_predictions, answers, write_answers
from tests.reports.experiment.folders import make_experiment
from tests.reports.experiment.test_browser import BROWSER, CONTRASTS, FLAGS, OVERFLOW, OVERLAPS
from tests.reports.experiment.test_page import PARTS, Page
from trimtab.errors import RunError
from trimtab.evaluation.calibration import calibration_report, reliability_diagram
from trimtab.reports.experiment import write_report
from trimtab.reports.experiment.records import read_records
from trimtab.reports.experiment.reliability import reliability
from trimtab.reports.reliability import largest_gap


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = add_predictions(make_experiment(tmp_path_factory.mktemp("calibration") / "e"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def section(full):
    return reliability(read_records(full))


def table_of(section, caption="Calibration by arm"):
    (table,) = (block for block in section.blocks if getattr(block, "caption", None) == caption)
    return {(row[0], row[1]): row[2:] for row in table.rows}


def texts_of(section):
    return " ".join(block.text for block in section.blocks if hasattr(block, "text"))


def test_calibration_comes_between_the_spread_and_the_factors(full):
    page = Page((full / "report.html").read_text())
    result = [about["id"] for _, about in page.named("section")]
    assert result == [*PARTS[: PARTS.index("factors")], "calibration", *PARTS[PARTS.index("factors") :]]
    assert "## Calibration" in (full / "report.md").read_text()


def test_without_predictions_there_is_no_calibration_section(tmp_path):
    folder = make_experiment(tmp_path / "e")
    assert reliability(read_records(folder)) is None


def test_the_table_holds_the_figures_of_the_pooled_answers(section):
    result = table_of(section)
    rows = [(seed, row) for seed in range(6) for row in answers(seed, 0.0)]
    groups = np.array([(seed, row["item"]) for seed, row in rows])
    correct = [row["correct"] for _, row in rows]
    expected = calibration_report([row["confidence"] for _, row in rows], correct, groups=groups, seed=0)
    for words, figure in (("ECE", expected.ece), ("Brier score", expected.brier), ("AURC", expected.aurc)):
        value, between, floor, mark = result[words, "plain"]
        assert (value, floor, mark) == tuple(f"{x:.3g}" for x in (figure.value, figure.null_floor, figure.null_high))
        assert between == f"{figure.low:.3g} to {figure.high:.3g}"
    agreed = calibration_report([row["agreement"] for _, row in rows], correct, groups=groups, seed=0)
    assert result["ECE of agreement", "plain"][0] == f"{agreed.ece.value:.3g}"


def test_scores_against_the_exact_distribution_recover_the_bias_that_was_put_in(section):
    result = table_of(section)
    assert result["KL to the truth (nats)", "plain"] == ("0", "0 to 0", "0", "0")
    # The treatment never acted in seed 1: there its answers are the baseline's, and confidence is true.
    rows = [row for seed in (0, 2, 3, 4, 5) for row in answers(seed, OVER) if row["true_probabilities"]]
    bias = sum(row["confidence"] - row["true_probabilities"][0] for row in rows) / (len(rows) * 6 / 5)
    assert result["confidence − truth", "guard"][0] == f"{bias:.3g}"
    assert result["accuracy", "guard"][0] == result["accuracy", "plain"][0]  # the same draws decide both


def test_each_arm_has_its_diagram_and_all_share_one_risk_curve(full, section):
    plots = [plot for block in section.blocks for plot in getattr(block, "plots", ())]
    assert [plot.name for plot in plots] == ["reliability-1-plain", "reliability-2-guard", "risk-coverage"]
    assert "360 answers" in plots[0].description and "below confidence" in plots[1].description
    for plot in plots:
        assert ET.fromstring(plot.svg).tag.endswith("svg") and (full / f"plots/{plot.name}.svg").exists()
    assert "plain: 360 answers of 6 episodes, 6 seeds;" in texts_of(section) and "one seed" not in texts_of(section)


def test_the_same_records_give_the_same_bytes(full):
    before = {path: path.read_bytes() for path in [*full.glob("report.*"), *full.glob("plots/*.svg")]}
    assert len(before) == 2 + 6 + 3  # page and Markdown; the plots without optional files, and this part's
    assert {path: path.read_bytes() for path in write_report(full)} == before


def test_the_largest_gap_weighs_bins_by_their_counts():
    diagram = reliability_diagram([0.9] * 30 + [0.1] * 5, [0] * 10 + [1] * 20 + [1] * 5, bootstrap=5, null=5, seed=0)
    gap, ends = largest_gap(diagram)
    assert gap == pytest.approx(2 / 3 - 0.9) and ends == pytest.approx([13 / 15, 14 / 15])


def test_one_arm_one_seed_and_no_distributions(tmp_path):
    folder = make_experiment(tmp_path / "e")
    place = folder / "episodes/plain/seed-0"
    bare = {"agreement": None, "options": None, "option_probabilities": None, "true_probabilities": None}
    write_answers(place, answers(0, 0.0, 12, **bare))
    section = reliability(read_records(folder))
    result = table_of(section)
    assert {arm for _, arm in result} == {"plain"}
    assert not any("truth" in words or "agreement" in words for words, _ in result)
    assert "With one seed" in texts_of(section) and "No episode of guard has predictions." in texts_of(section)
    (place / "predictions.jsonl").write_text("")
    assert reliability(read_records(folder)) is None


def test_an_episode_that_has_not_ended_does_not_count(tmp_path):
    folder = add_predictions(make_experiment(tmp_path / "e"), items=5)
    for seed in range(5):
        (folder / f"episodes/plain/seed-{seed}/summary.json").unlink()
        shutil.rmtree(folder / f"episodes/guard/seed-{seed}")
    assert "plain: 5 answers of 1 episode, 1 seed;" in texts_of(reliability(read_records(folder)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"confidence": 1.5}, "confidence holds 1.5 where a number of at most 1"),
        ({"item": "x"}, 'item holds "x" where a whole number belongs'),
        ({"option_probabilities": [0.5, 0.4, 0.0]}, "option_probabilities should sum to 1; they sum to 0.9"),
        ({"true_probabilities": [0.5, 0.5]}, "should have one length"),
    ],
)
def test_a_damaged_file_is_refused_in_one_paragraph(tmp_path, changes, words):
    folder = make_experiment(tmp_path / "e")
    rows = answers(0, 0.0, 3)
    rows[1] |= {"true_probabilities": [1.0, 0.0, 0.0]} | changes
    write_answers(folder / "episodes/plain/seed-0", rows)
    with pytest.raises(RunError, match=re.escape(words)) as caught:
        reliability(read_records(folder))
    assert "predictions.jsonl is damaged at line 2" in str(caught.value) and "\n" not in str(caught.value)


def test_answers_with_non_finite_probabilities_are_counted_and_named(tmp_path):
    """As a run that diverged leaves them: the report is made all the same, and says so."""
    folder = add_predictions(make_experiment(tmp_path / "e"), items=24)
    place = folder / "episodes/guard/seed-2"
    write_answers(place, answers(2, OVER, 24, confidence="nan", option_probabilities=["nan", "nan", "nan"]))
    rows = answers(3, OVER, 24)
    rows[5]["option_probabilities"] = ["nan", 0.5, 0.5]
    write_answers(folder / "episodes/guard/seed-3", rows)
    said = texts_of(reliability(read_records(folder)))
    assert "guard: 24 of 24 of seed 2, 1 of 24 of seed 3" in said
    assert "guard: 119 answers of 5 episodes" in said  # seed 1 is the baseline's
    write_report(folder)
    for seed in range(6):
        if seed != 1:
            write_answers(folder / f"episodes/guard/seed-{seed}", answers(seed, OVER, 24, confidence="nan"))
    assert "guard: 24 of 24 of seed 0" in texts_of(reliability(read_records(folder)))


def test_confidence_is_compared_with_the_drawn_outcome(tmp_path):
    folder = make_experiment(tmp_path / "e")
    rows = [row | {"hit": row["correct"], "correct": True, "outcome": "a"} for row in answers(0, 0.0)]
    write_answers(folder / "episodes/plain/seed-0", rows)
    section = reliability(read_records(folder))
    accuracy = sum(row["hit"] for row in rows) / len(rows)
    assert table_of(section)["accuracy", "plain"][0] == f"{accuracy:.3g}" != "1"
    assert "an outcome was drawn from the distribution" in texts_of(section)


def sharpened(seed, power):
    """Answers to 200 items by a model whose option probabilities are the true ones to a power."""
    generator = np.random.default_rng(seed)
    rows = []
    for row in answers(seed, 0.0, 200):
        own = np.array(row["option_probabilities"])
        outcome = ["a", "b", "c"][generator.choice(3, p=own)]
        sharp = own**power / (own**power).sum()
        hit = outcome == "a"
        rows.append(
            row | {"option_probabilities": sharp.tolist(), "confidence": sharp[0], "outcome": outcome, "hit": hit}
        )
    return rows


def test_temperature_scaling_recovers_the_temperature_that_was_put_in(tmp_path):
    folder = make_experiment(tmp_path / "e")
    for seed in range(6):
        write_answers(folder / f"episodes/plain/seed-{seed}", sharpened(seed, 2.0))
    section = reliability(read_records(folder))
    result = table_of(section, "After temperature scaling")
    assert float(result["temperature", "plain"][0]) == pytest.approx(2.0, rel=0.15)
    before, after = (float(result[f"NLL {when} (nats)", "plain"][0]) for when in ("before", "after"))
    assert after < before
    for when, beyond in (("before", True), ("after", False)):
        value, between, floor, mark = result[f"ECE {when}", "plain"]
        assert (float(value) > float(mark)) == beyond and between != "–" and float(floor) > 0
    assert ("classwise ECE after", "plain") in result
    assert "600 answers to fit, 600 answers to judge" in texts_of(section)


def test_without_options_the_probability_of_being_right_is_scaled(tmp_path):
    folder = make_experiment(tmp_path / "e")
    bare = {"options": None, "option_probabilities": None, "true_probabilities": None}
    for seed in range(6):
        rows = [row | bare for row in answers(seed, 0.0, 200)]
        for row in rows:
            odds = (row["confidence"] / (1 - row["confidence"])) ** 2
            row["confidence"] = odds / (1 + odds)
        write_answers(folder / f"episodes/plain/seed-{seed}", rows)
    section = reliability(read_records(folder))
    result = table_of(section, "After temperature scaling")
    assert float(result["temperature", "plain"][0]) == pytest.approx(2.0, rel=0.2)
    assert "the probability of being right" in texts_of(section)


def test_a_prediction_without_confidence_is_refused_as_damaged(tmp_path):
    folder = make_experiment(tmp_path / "e")
    (folder / "episodes/plain/seed-0/predictions.jsonl").write_text(json.dumps({"item": 0, "correct": True}) + "\n")
    with pytest.raises(RunError, match="line 1: confidence is missing"):
        write_report(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to open the page in")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_calibration_section_fits_and_can_be_read(full, width, scheme):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
        page.goto((full / "report.html").as_uri())
        assert page.evaluate(OVERFLOW) <= 0
        assert page.evaluate(OVERLAPS)[1] == []
        assert min(page.evaluate(CONTRASTS))[0] >= 4.5
        for svg in page.query_selector_all("#calibration figure svg"):
            box = svg.bounding_box()
            assert box["width"] > 300 and box["height"] > 150
        browser.close()
