"""The report as a whole: what it says, that it is one page, and that nothing in the records can break it."""

import json
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from tests.reports.experiment.folders import (
    QUESTION,
    add_optional,
    make_experiment,
    make_factors,
    write_json,
    write_progress,
)
from trimtab.boundary import printable
from trimtab.errors import RunError
from trimtab.records.experiment_files import VerdictRecord
from trimtab.records.hashing import seal_of
from trimtab.reports.blocks import Code
from trimtab.reports.experiment import write_report
from trimtab.reports.experiment.origin import origin
from trimtab.reports.experiment.records import read_records
from trimtab.reports.reading import read_list

PARTS = [
    "claim", "verdict", "differences", "losses", "regimes", "interventions", "detection", "instability", "variance", "factors",
    "cost", "comparisons", "origin",
]  # fmt: skip
NASTY = "<script>alert(1)</script> & \"q\" 'a' | `b` $x_1$ *c* [d](e) \u202e"


class Page(HTMLParser):
    """Tags with their attributes, and text, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, *names):
        return [(tag, about) for tag, about in self.tags if tag in names]


def report(folder):
    write_report(folder)
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = make_experiment(tmp_path_factory.mktemp("page") / "e")
    add_optional(folder)
    return folder, *report(folder)


def test_every_section_is_there_in_order(full):
    _, html, markdown = full
    page = Page(html)
    assert [about["id"] for _, about in page.named("section")] == PARTS
    links = [about["href"] for _, about in page.named("a")]
    assert links == ["#content", *(f"#{part}" for part in PARTS)]
    headings = [int(tag[1]) for tag, _ in page.named("h1", "h2", "h3", "h4")]
    assert headings == [1] + [2] * len(PARTS)
    titles = re.findall(r"^## (.+)$", markdown, re.MULTILINE)
    assert titles[:2] == ["Claim", "Verdict"] and len(titles) == len(PARTS)


def test_the_verdict_shows_the_word_and_the_sentence_of_the_records(full):
    folder, html, markdown = full
    (claimed, _) = read_list(VerdictRecord, folder / "verdicts.json", "an experiment")
    assert claimed.verdict == "inconclusive" and '<strong class="badge">inconclusive</strong>' in html
    assert claimed.sentence in "".join(Page(html).texts)
    assert (
        f"**{claimed.verdict}** (guard): guard against plain, val_loss: {claimed.verdict}; difference -0.1667"
        in markdown
    )


def test_the_page_is_one_file_without_scripts_or_external_references(full):
    _, html, _ = full
    page = Page(html)
    assert page.tags[0] == ("html", {"lang": "en"})
    assert not page.named("script", "link", "img", "iframe", "object")
    policy = [
        about["content"] for _, about in page.named("meta") if about.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    references = [about[name] for _, about in page.tags for name in ("href", "src", "xlink:href") if name in about]
    assert references and all(reference.startswith("#") for reference in references)
    assert "@import" not in html and not re.search(r"url\((?!#)", html)


def test_ids_are_unique_and_every_reference_has_its_target(full):
    _, html, _ = full
    page = Page(html)
    ids = [about["id"] for _, about in page.tags if "id" in about]
    assert len(ids) > 100 and len(set(ids)) == len(ids)
    used = {about[name][1:] for _, about in page.tags for name in ("href", "xlink:href") if name in about}
    used |= set(re.findall(r"url\(#([^)]+)\)", html))
    used |= {name for _, about in page.tags for name in about.get("aria-labelledby", "").split()}
    assert used <= set(ids)


def test_every_plot_has_a_description_with_its_key_number(full):
    folder, html, markdown = full
    drawn = sorted(path.stem for path in (folder / "plots").glob("*.svg"))
    page = Page(html)
    labelled = [
        about["aria-labelledby"].split()[0].removesuffix("-title")
        for tag, about in page.named("svg")
        if about["role"] == "img"
    ]
    assert sorted(labelled) == drawn and len(drawn) == 7
    assert "Paired differences in val_loss, guard against plain: mean -0.1667, 95% interval" in html
    assert "6 pairs, 1 exactly 0, margin plus or minus 0.02." in html
    assert sorted(re.findall(r"\]\(plots/([^)]+)\.svg\)", markdown)) == drawn
    for path in (folder / "plots").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_the_same_records_give_the_same_bytes(full):
    folder, _, _ = full
    before = {path: path.read_bytes() for path in write_report(folder)}
    assert len(before) == 9
    shutil.rmtree(folder / "plots")
    assert {path: path.read_bytes() for path in write_report(folder)} == before


def test_texts_of_the_records_never_become_markup(tmp_path):
    folder = make_experiment(tmp_path / "e", question=NASTY, treatment="_x$\\y{$ <i>|b")
    add_optional(folder)
    html, markdown = report(folder)
    page = Page(html)
    assert not page.named("script", "i", "b")
    assert printable(NASTY) in "".join(page.texts)
    assert "<script" not in markdown and "<b>" not in markdown
    assert markdown.startswith(
        "# &lt;script&gt;alert(1)&lt;/script&gt; &amp; \"q\" 'a' \\| \\`b\\` \\$x_1\\$ \\*c\\* \\[d\\](e)"
    )
    rows = [line for line in markdown.splitlines() if line.startswith("| \\_x")]
    assert rows and all("\\|b" in line for line in rows)
    for path in (folder / "plots").glob("*.svg"):
        ET.parse(path)


def test_changed_records_are_reported_above_the_verdict(tmp_path):
    folder = make_experiment(tmp_path / "e")
    progress = json.loads((folder / "experiment.json").read_text())
    names = ["verdicts.json", *(path.relative_to(folder).as_posix() for path in folder.rglob("summary.json"))]
    records = {name: seal_of(folder / name).model_dump() for name in names}
    write_progress(folder, progress | {"records": records})
    assert "were changed after" not in "".join(report(folder))
    (folder / "verdicts.json").write_text((folder / "verdicts.json").read_text() + "\n")
    (folder / "episodes/plain/seed-0/summary.json").unlink()
    for text in report(folder):
        assert "The records in this folder were changed after the run wrote them: verdicts" in text.replace("\\", "")
        assert "seed-0/summary.json is missing" in text.replace("\\", "")


def test_a_section_without_records_says_so(tmp_path):
    html, markdown = report(make_experiment(tmp_path / "e"))
    for words in (
        "The noise floor is not known",
        "The effects of single interventions were not measured.",
        "No detection was scored",
        "The experiment has no factors.",
        "No settings were tuned",
    ):
        assert words in html and words in markdown


def test_an_interrupted_experiment_is_not_judged(tmp_path):
    folder = make_experiment(tmp_path / "e", status="interrupted")
    progress = json.loads((folder / "experiment.json").read_text())
    for seed in (3, 4, 5):
        shutil.rmtree(folder / f"episodes/guard/seed-{seed}")
        if seed > 3:
            del progress["episodes"][f"episodes/guard/seed-{seed}"]
    write_progress(folder, progress)
    (folder / "episodes/guard/seed-2/summary.json").unlink()
    html, markdown = report(folder)
    assert '<strong class="badge">not judged yet</strong>' in html
    assert "was interrupted: 8 of 12 episodes have ended" in html
    assert "No comparison has been made yet." in markdown
    assert "Of 12 episodes planned: 8 completed, 1 interrupted, 1 missing, 2 not started." in html
    assert "its worker process died; it is tried once more" in html


def test_verdicts_of_a_running_experiment_are_not_shown(tmp_path):
    folder = make_experiment(tmp_path / "e")
    progress = json.loads((folder / "experiment.json").read_text())
    write_progress(folder, progress | {"status": "running"})
    html, _ = report(folder)
    assert "not judged yet" in html and "No comparison has been made yet." in html


def test_an_experiment_that_has_just_begun_has_a_report(tmp_path):
    folder = make_experiment(tmp_path / "e", status="running")
    shutil.rmtree(folder / "episodes")
    html, _ = report(folder)
    assert "0 of 12 episodes have ended" in html and "No episode has recorded a step yet." in html


def test_factors_are_drawn_with_the_exponent(tmp_path):
    html, _ = report(make_factors(tmp_path / "e"))
    assert "val_loss over lr" in html and "largest exponent over lr" in html
    assert "plain chaotic from 0.1 on" in html


def test_a_failed_episode_is_reported_beside_the_verdict(tmp_path):
    folder = make_experiment(tmp_path / "e")
    progress = json.loads((folder / "experiment.json").read_text())
    progress["status"] = progress["episodes"]["episodes/guard/seed-5"]["status"] = "failed"
    write_progress(folder, progress)
    html, _ = report(folder)
    assert "1 of 12 episodes failed (1 of guard). Their pairs are missing from the verdict" in html
    assert "Of 12 episodes planned: 11 completed, 1 failed." in html


def test_a_sequential_verdict_without_adjusted_p_still_counts_as_claimed(tmp_path):
    folder = make_experiment(tmp_path / "e")
    result = json.loads((folder / "verdicts.json").read_text())
    result[0] |= {
        "p_adjusted": None,
        "n": 4,
        "verdict": "superior",
        "sentence": "After 4 pairs, sequentially: superior",
    }
    write_json(folder / "verdicts.json", result)
    html, _ = report(folder)
    assert '<strong class="badge">superior</strong>' in html and "After 4 pairs, sequentially: superior" in html
    assert "2 comparisons, of which 1 claimed before the run." in html


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("experiment.yaml", None, "is not the folder of an experiment"),
        ("experiment.yaml", "arms: [", "experiment.yaml is damaged"),
        ("experiment.yaml", "seed: 0\n", "question is missing"),
        ("experiment.json", None, "There is no experiment.json"),
        ("experiment.json", "{", "experiment.json is damaged"),
        ("verdicts.json", "[{}]", "verdicts.json is damaged: 0.metric"),
        ("detection.json", '{"arm": 1}', "detection.json is damaged"),
        ("interventions.json", "[]", "interventions.json is damaged"),
        ("episodes/plain/seed-0/manifest.json", "{", "manifest.json"),
        ("episodes/plain/seed-0/steps.jsonl", "{}\n", "line 1"),
        ("plots", "a file", "Cannot make the folder"),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused_in_one_paragraph(tmp_path, name, content, words):
    folder = make_experiment(tmp_path / "e")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(RunError, match=re.escape(words)) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_verdicts_without_a_value_for_every_seed_are_damaged(tmp_path):
    folder = make_experiment(tmp_path / "e")
    result = json.loads((folder / "verdicts.json").read_text())
    result[0]["differences"].pop()
    write_json(folder / "verdicts.json", result)
    with pytest.raises(RunError, match="every seed needs one value per arm and one difference"):
        write_report(folder)


def test_the_question_is_the_title(full):
    _, html, _ = full
    assert f"<title>{QUESTION}</title>" in html and f"<h1>{QUESTION}</h1>" in html


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("episode: {loss: {name: 'mine:Loss'}}", "trimtab run experiment.yaml --out again --allow-code"),
        ("factors: {model.allow_hub: [true]}", "trimtab run experiment.yaml --out again --allow-code"),
        ("needs_permission: true", "trimtab run experiment.yaml --out again"),
    ],
)
def test_the_command_that_repeats_an_experiment_allows_what_the_spec_names(tmp_path, added, expected):
    folder = make_experiment(tmp_path / "e")
    with (folder / "experiment.yaml").open("a") as file:
        file.write(added + "\n")
    again = next(block.text for block in origin(read_records(folder)).blocks if isinstance(block, Code))
    assert again == expected
