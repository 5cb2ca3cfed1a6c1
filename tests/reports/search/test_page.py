"""The report of a search: what it says is what the records say, whatever is in them."""

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.experiments.searching.searches import rows
from tests.reports.experiment.test_page import Page
from tests.reports.search.folders import made
from trimtab.errors import RunError
from trimtab.reports.kinds import write_report
from trimtab.training.runs.lifecycle import train

PARTS = {
    "whole": ["result", "confirmation", "course", "importance", "keys", "trials", "origin"],
    "rungs": ["result", "confirmation", "course", "importance", "keys", "rungs", "trials", "origin"],
    "population": ["result", "confirmation", "course", "importance", "keys", "lineages", "trials", "origin"],
    "interrupted": ["result", "course", "importance", "keys", "trials", "origin"],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return made(tmp_path_factory.mktemp("searches"))


@pytest.mark.parametrize("name", PARTS)
def test_every_section_is_there_in_order_and_every_plot_is_sound(folders: dict[str, Path], name: str) -> None:
    html = (folders[name] / "report.html").read_text()
    parts = [about["id"] for _, about in Page(html).named("section")]
    assert [part for part in PARTS[name] if part in parts] == parts
    assert set(parts) >= set(PARTS[name]) - {"keys"}
    for plot in (folders[name] / "plots").glob("*.svg"):
        ET.parse(plot)
    assert html.count("<svg") == len(list((folders[name] / "plots").glob("*.svg")))


def test_the_figures_are_those_of_the_summary_and_the_log(folders: dict[str, Path]) -> None:
    text = (folders["whole"] / "report.md").read_text().replace("\\.", ".")
    metrics = json.loads((folders["whole"] / "summary.json").read_text())["metrics"]
    best = metrics["best"]
    assert (
        f"Of 16 trials, trial {best['trial']} is the best: val\\_loss {metrics['found']:.4f} in the search"
        in text.replace("val_loss", "val\\_loss")
    )
    assert f"{metrics['confirmed']['val_loss']:.4f} on 3 fresh seeds" in text
    assert f"{metrics['steps']:,} steps and {metrics['tokens']:,} tokens" in text
    results = [row for row in rows(folders["whole"]) if row["kind"] == "result"]
    for row in results:
        assert f"{row['value']:.6g}" in text


def test_no_text_of_a_setting_is_read_as_markup(folders: dict[str, Path]) -> None:
    html = (folders["whole"] / "report.html").read_text()
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "49" not in [text.strip() for text in Page(html).texts]


def test_rungs_and_lineages_are_told(folders: dict[str, Path]) -> None:
    text = (folders["rungs"] / "report.md").read_text()
    assert "Runs that were evaluated at each rung: 8 at step 4" in text
    assert "a fork whose rate falls to 0 within 4 steps" in text
    log = rows(folders["population"])
    forks = [row for row in log if row["kind"] == "trial" and row["parent"] is not None]
    text = (folders["population"] / "report.md").read_text()
    assert f"{len(forks)} forks replaced members" in text and "How the best was trained" in text


def test_an_interrupted_search_says_so(folders: dict[str, Path]) -> None:
    text = (folders["interrupted"] / "report.md").read_text()
    assert "The search has no result yet: it is interrupted" in text


def test_the_same_records_give_the_same_bytes_and_a_damaged_log_one_paragraph(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folders["population"], copy)
    before = (copy / "report.html").read_bytes()
    write_report(copy)
    assert (copy / "report.html").read_bytes() == before
    path = copy / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"kind": "result"', b'"kind": "rezult"', 1))
    with pytest.raises(RunError, match=r"events.jsonl is damaged at line \d+"):
        write_report(copy)


def test_another_kind_of_run_has_no_such_report(tmp_path: Path) -> None:
    from tests.experiments.searching.searches import config

    train(config().run, tmp_path / "run")
    with pytest.raises(RunError, match="a training run, for which there is no report"):
        write_report(tmp_path / "run")
