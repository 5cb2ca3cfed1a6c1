"""The report as a whole: its parts, what it lacks, that nothing in the records can break it, and what a damaged file says."""

import json
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from tests.reports.experiment.test_page import NASTY, Page
from tests.reports.memory.folders import (
    QUESTION,
    baseline,
    candidate,
    gate,
    generation,
    joint,
    make_begun,
    make_memory,
    make_stopped,
    pair,
    write_json,
    write_rows,
)
from tests.reports.memory.measured import ablations, geometry, landscape, leaks, name
from trimtab.boundary import printable
from trimtab.errors import RunError
from trimtab.records import Summary
from trimtab.reports.memory import write_report

PARTS = [
    "summary", "gates", "run", "results", "controls", "convergence", "generation", "ablations", "robustness", "leaks", "bits", "geometry",
    "landscape", "cost", "origin",
]  # fmt: skip


def report(folder):
    write_report(folder)
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = make_memory(tmp_path_factory.mktemp("page") / "m")
    return folder, *report(folder)


def test_every_section_is_there_in_order_under_the_question(full):
    _, html, markdown = full
    page = Page(html)
    assert [about["id"] for _, about in page.named("section")] == PARTS
    assert f"<title>{QUESTION}</title>" in html and f"<h1>{QUESTION}</h1>" in html
    assert '<p class="kind">Content memory</p>' in html and "Paired experiment" not in html
    assert len(re.findall(r"^## ", markdown, re.MULTILINE)) == len(PARTS)
    assert markdown.startswith(f"# {QUESTION}\n\n## Summary\n\n95% (38 of 40) of the pairs are solved")
    assert "\n\n## Gates\n\n- **passed** (question alone): 100% solved" in markdown
    assert html.count('<div class="verdict passed">') == 4


def test_the_list_at_the_top_names_model_pairs_and_settings(full):
    text = " ".join(Page(full[1]).texts)
    for words in (
        "smollm2-135m",
        "squad (path shared/data/squad.json): 40 pairs, 12 skipped",
        "two sequences",
        "1.0 in logits",
    ):
        assert words in text
    assert "dev.json: 12 questions without an answer were skipped" in text
    assert "trimtab memory run memory.yaml --out again" in text


def test_the_page_is_one_file_and_every_reference_has_its_target(full):
    _, html, _ = full
    page = Page(html)
    assert not page.named("script", "link", "img", "image", "iframe", "object")
    references = [about[key] for _, about in page.tags for key in ("href", "src", "xlink:href") if key in about]
    assert references and all(reference.startswith("#") for reference in references)
    ids = [about["id"] for _, about in page.tags if "id" in about]
    assert len(set(ids)) == len(ids)
    used = {about[key][1:] for _, about in page.tags for key in ("href", "xlink:href") if key in about}
    used |= set(re.findall(r"url\(#([^)]+)\)", html))
    used |= {label for _, about in page.tags for label in about.get("aria-labelledby", "").split()}
    assert used <= set(ids)


def test_every_plot_has_a_description_and_its_own_file(full):
    folder, html, markdown = full
    drawn = sorted(path.stem for path in (folder / "plots").glob("*.svg"))
    assert sorted(re.findall(r"\]\(plots/([^)]+)\.svg\)", markdown)) == drawn and len(drawn) == 19
    assert "Share of pairs solved over vectors per memory (K): 1: 0%" in html
    for path in (folder / "plots").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_the_same_records_give_the_same_bytes(full):
    folder, _, _ = full
    before = {path: path.read_bytes() for path in write_report(folder)}
    shutil.rmtree(folder / "plots")
    assert {path: path.read_bytes() for path in write_report(folder)} == before


def test_texts_of_the_records_never_become_markup(tmp_path):
    folder = make_memory(tmp_path / "m", question=NASTY, model={"name": NASTY})
    write_rows(folder / "generation.jsonl", [row | {"decoded": NASTY, "expected": NASTY} for row in generation()])
    write_rows(folder / "stages/joint/candidates.jsonl", [row | {"shape": NASTY, "pair": NASTY} for row in joint()])
    write_rows(folder / "events.jsonl", [{"kind": "pair_skipped", "reason": NASTY}, {"kind": NASTY, "reason": NASTY}])
    write_json(folder / "gates.json", [gate("joint", 38, 0.3, NASTY), gate(NASTY, 0, 0.5, NASTY)])
    actual = ablations()
    write_json(
        folder / "ablations.json",
        actual | {"cells": [cell | {"ablation": "_x$\\y{$ <i>|b"} for cell in actual["cells"]]},
    )
    shown = geometry()
    shown["nearest"][0]["token"] = NASTY
    write_json(folder / "geometry.json", shown)
    around = landscape()
    around["plane"]["pair"] = NASTY
    write_json(folder / "landscape.json", around)
    hidden = leaks()
    hidden["bits"] = {NASTY: {NASTY: {"mean": 1.0}}} | hidden["bits"]
    write_json(folder / "leaks.json", hidden)
    html, markdown = report(folder)
    page = Page(html)
    assert not page.named("script", "i", "b")
    assert "".join(page.texts).count(printable(NASTY)) > 20
    prose = re.sub(
        r"^(`{3,})\w*\n.*?\n\1$", "", markdown, flags=re.DOTALL | re.MULTILINE
    )  # in a code block all is text
    assert len(prose) < len(markdown) and "<script" not in prose and "<b>" not in prose and "<i>" not in prose
    rows = [line for line in markdown.splitlines() if line.startswith("| ") and "alert" in line]
    assert rows and all("\\| \\`b\\`" in line for line in rows)
    for path in (folder / "plots").glob("*.svg"):
        ET.parse(path)


def test_after_a_gate_stopped_the_run_every_missing_section_says_why(tmp_path):
    html, markdown = report(make_stopped(tmp_path / "m"))
    assert '<div class="verdict stopped">' in html and '<strong class="badge">stopped</strong>' in html
    assert "0% solved (95% interval 0% to 8.76%), at least 70% required. Look at the learning rate" in html
    for words in (
        "The joint stage has no result: the gate &#39;single question&#39; stopped the run before the joint stage.",
        "The generation check was not run: the gate",
        "No pair was solved, so there is no curve over steps.",
        "No ablation has ended", "Robustness was not measured", "Leaks were not measured", "Bits were not measured",
        "The geometry was not measured", "The loss around the memories was not measured", "Counterfactual pairs were not tried",
    ):  # fmt: skip
        assert words in html
    assert "Page" not in markdown and markdown.count("\n## ") == len(PARTS)


def test_the_command_of_a_run_that_ignored_its_gates_has_no_gates(tmp_path):
    folder = make_stopped(tmp_path / "m")
    ended = Summary.read(folder / "summary.json")
    assert "trimtab memory run memory.yaml --out again\n" in report(folder)[1]
    ended.model_copy(update={"status": "completed"}).write(folder / "summary.json")
    html, markdown = report(folder)
    assert '<div class="verdict stopped">' not in html and "- **not passed** (question alone): 0% solved" in markdown
    assert "The joint stage has no result: the joint stage was not run." in html
    assert "trimtab memory run memory.yaml --out again --no-gates\n" in markdown
    ended.model_copy(update={"status": "interrupted"}).write(folder / "summary.json")
    assert "The joint stage has no result: no candidate of the joint stage has ended." in report(folder)[0]
    (folder / "gates.json").unlink()
    assert "--out again\n" in report(folder)[1]
    begun = json.loads((folder / "manifest.json").read_text())
    write_json(folder / "manifest.json", begun | {"command": [*begun["command"], "--no-gates"]})
    assert "--out again --no-gates\n" in report(folder)[1]


def test_a_run_that_has_just_begun_has_a_report(tmp_path):
    html, _ = report(make_begun(tmp_path / "m"))
    assert '<strong class="badge">not judged yet</strong>' in html
    assert "The run has not reached a gate yet. No candidate has ended." in html
    assert "no candidate of the joint stage has ended" in html and "not ended: running, or killed" in html
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "memory.yaml").write_text("seed: 0\n")
    html, _ = report(bare)
    assert "<h1>Content memory: " in html and "there is no manifest.json" in html and "not recorded" in html


@pytest.mark.parametrize(
    "names",
    [
        ("manifest.json", "gates.json", "controls.jsonl", "geometry.json", "stages/ablation", "memories"),
        (
            "pairs.jsonl",
            "baselines.jsonl",
            "summary.json",
            "events.jsonl",
            "landscape.json",
            "stages/joint/steps.jsonl",
        ),
        ("stages/joint/candidates.jsonl", "ablations.json", "robustness.jsonl", "leaks.json"),
        ("generation.jsonl", "stages"),
    ],
)
def test_files_may_be_missing(tmp_path, full, names):
    folder = tmp_path / "m"
    shutil.copytree(full[0], folder)
    for gone in (folder / lost for lost in names):
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    html, _ = report(folder)
    assert [about["id"] for _, about in Page(html).named("section")] == PARTS
    assert 'class="missing"' in html


def test_parts_of_a_file_may_be_missing(tmp_path, full):
    folder = tmp_path / "m"
    shutil.copytree(full[0], folder)
    write_json(folder / "geometry.json", {})
    write_json(folder / "landscape.json", {"lines": landscape()["lines"]})
    assert "Not measured: a plane, paths between restarts, the width of the basin" in report(folder)[0]
    write_json(folder / "landscape.json", {"widths": landscape()["widths"]})
    write_json(
        folder / "leaks.json",
        {"bits": {"question": {"question": {"mean": -3.0}}}, "per_vector": {"bits_per_vector": {"mean": 2.0}}},
    )
    rows = [json.loads(line) for line in (folder / "robustness.jsonl").read_text().splitlines()]
    write_rows(folder / "robustness.jsonl", [row for row in rows if row["disturbance"] == "int8"])
    html, _ = report(folder)
    for words in (
        "Norms were not measured.", "Nearest tokens were not looked up.", "Memories were not compared.",
        "by a threshold that was not recorded", "Not measured: the answer, a counterfactual answer",
        "The bits of single memories were not recorded", "Noise was not measured.", "Not measured: fp32, bf16, int4.",
    ):  # fmt: skip
        assert words in html


def test_a_half_written_last_line_is_left_out(tmp_path):
    folder = make_memory(tmp_path / "m")
    path = folder / "stages/joint/candidates.jsonl"
    path.write_text(path.read_text() + '{"pair": "squad-0')
    report(folder)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("memory.yaml", None, "is not the folder of a memory run: there is no memory.yaml"),
        ("memory.yaml", "a: [", "memory.yaml is damaged"),
        ("manifest.json", "{", "manifest.json"),
        ("summary.json", "[]", "summary.json"),
        ("gates.json", "{", "gates.json is damaged"),
        ("gates.json", [gate("joint", 38, 0.3, share=1.5)], "gates.json is damaged: 0.share"),
        ("ablations.json", [], "ablations.json is damaged"),
        ("leaks.json", {"bits": {"question": 1}}, "leaks.json is damaged: bits.question"),
        ("geometry.json", {"norms": {"vectors": [1.0], "vocabulary": [1.0]}}, "geometry.json is damaged: norms.vectors"),
        ("geometry.json", {"between": {"distances": [[0.0, 1.0]], "order": ["a"]}}, "a square table"),
        ("landscape.json", {"plane": {"pair": "a", "offsets": [0.0, 1.0], "loss": [[1.0]]}}, "landscape.json is damaged: plane"),
        ("landscape.json", {"paths": [{"pair": "a", "restarts": [0, 1], "positions": [0.0], "loss": []}]}, "one length"),
        ("pairs.jsonl", [pair(0), pair(0)], "pairs.jsonl is damaged at line 2: pair 'squad-000' occurs twice"),
        ("pairs.jsonl", [pair(0, question_tokens=-1)], "pairs.jsonl is damaged at line 1: question_tokens"),
        ("baselines.jsonl", [baseline(0), {"pair": "x"}], "baselines.jsonl is damaged at line 2: random is missing"),
        ("baselines.jsonl", "{\n", "baselines.jsonl is damaged at line 1"),
        ("generation.jsonl", [{"pair": "x"}], "generation.jsonl is damaged at line 1: side is missing"),
        ("robustness.jsonl", [{"pair": "x"}], "robustness.jsonl is damaged at line 1"),
        ("stages/joint/candidates.jsonl", [candidate(0, 0, "solved", "flat"), candidate(1, 0, "perhaps", "flat")],
         "joint/candidates.jsonl is damaged at line 2: status"),
        ("stages/joint/steps.jsonl", [{"step": 1}], "joint/steps.jsonl is damaged at line 1"),
        ("plots", "a file", "Cannot make the folder"),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_folder_is_refused_in_one_paragraph(tmp_path, file, content, words):
    folder = make_memory(tmp_path / "m")
    if content is None:
        (folder / file).unlink()
    elif isinstance(content, str):
        (folder / file).write_text(content)
    elif file.endswith("jsonl"):
        write_rows(folder / file, content)
    else:
        write_json(folder / file, content)
    with pytest.raises(RunError, match=re.escape(words)) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert not (folder / "report.html").exists()


def test_baselines_of_pairs_outside_the_stage_are_ignored(tmp_path):
    folder = make_memory(tmp_path / "m")
    write_rows(folder / "stages/joint/candidates.jsonl", [candidate(3, 0, "solved", "healthy")])
    html, _ = report(folder)
    assert "100% (1 of 1)" in html and name(3) in html
