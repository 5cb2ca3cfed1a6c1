"""Checks of files with planted faults, and copies under hashes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.tasks.shared import shared_file, write_rows
from trimtab.data import CharacterTokenizer
from trimtab.errors import DataError
from trimtab.posttraining.checks.check import CheckOptions, check_file
from trimtab.posttraining.checks.overlaps import contaminated, equal_texts, near_duplicates
from trimtab.posttraining.checks.report import judgements_of, lines_of, page_of
from trimtab.posttraining.checks.snapshot import keep
from trimtab.reports.page import html

STORY = "the quick brown fox jumps over the lazy dog while the sun sets behind the old mill near the river bank today"


def pair(prompt: str, chosen: str = "a longer answer", rejected: str = "short") -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def test_planted_faults_are_found(tmp_path: Path) -> None:
    rows = [
        *(pair(f"question number {index}") for index in range(20)),
        pair("question number 3"),
        pair("question number 4", "short", "a longer answer"),
        pair("same", "equal", "equal"),
        pair("bad \ufffd", "fine", "poor"),
        pair("control \x07", "fine", "poor"),
        pair("don\u00e2\u20ac\u2122t", "fine", "poor"),
        pair(STORY),
        pair(STORY + " again"),
        pair("long", "x" * 300, "y"),
    ]
    path = write_rows(tmp_path / "pairs.jsonl", rows)
    held_out = write_rows(tmp_path / "held.jsonl", [pair("Question number 5!"), pair("unseen")])
    exam = write_rows(tmp_path / "exam.jsonl", [{"question": "It is said: " + STORY}])
    options = CheckOptions(held_out, (exam,), CharacterTokenizer(), context=200)
    found = check_file(path, options)
    assert (found["kind"], found["rows"], found["usable"]) == ("pairs", 29, 28)
    assert found["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert found["unusable"][0]["reason"] == "its chosen and rejected answers are identical"
    assert found["unusable"][0]["first"].endswith("line 23")
    assert found["duplicates"]["prompts"] == 2
    assert found["duplicates"]["rows"] == 1
    assert found["duplicates"]["near"] == 1
    assert found["duplicates"]["near_rows"][0]["second"].endswith("line 28")
    assert found["labels"]["contradictions"] == 1
    assert found["labels"]["length_is_asymmetric"]
    assert sorted(one["reason"][:10] for one in found["encoding"]) == ["UTF-8 was ", "it has con", "it has the"]
    assert found["validation"]["shared_prompts"] == 1
    assert found["validation"]["shared_rows"][0].endswith("held.jsonl, line 1")
    assert found["contamination"][exam]["rows"] == 2
    assert found["tokens"]["would_be_dropped"] == [
        {"reason": "it has more tokens than data.context (200)", "rows": 1, "first": f"{path}, line 29"}
    ]
    assert found["tokens"]["rows_with_unknown_characters"] == 6
    words = [word for word, _ in judgements_of(found)]
    assert words.count("check") == 13
    page = html(page_of(found))
    assert "the chosen answer is longer in" in page
    assert "Nearly equal rows" in page


def test_a_file_without_faults_has_only_good_findings(tmp_path: Path) -> None:
    rows = [pair(f"{index} plus {index}", *(("aa", "b") if index % 2 else ("b", "aa"))) for index in range(40)]
    found = check_file(write_rows(tmp_path / "pairs.jsonl", rows), CheckOptions(tokenizer=CharacterTokenizer()))
    assert {word for word, _ in judgements_of(found)} == {"ok"}
    assert lines_of(found)[0].startswith(f"{found['file']}: 40 usable pairs of 40 rows")


def test_chats_are_checked_too_and_other_files_are_refused(tmp_path: Path) -> None:
    rows = [{"instruction": f"say {index}", "output": str(index)} for index in range(5)]
    found = check_file(write_rows(tmp_path / "chats.jsonl", rows), CheckOptions())
    assert (found["kind"], set(found["characters"])) == ("chats", {"prompt", "answer"})
    with pytest.raises(DataError, match="Name a file of chats or of preference pairs"):
        check_file(write_rows(tmp_path / "other.jsonl", [{"text": "x"}]), CheckOptions())
    with pytest.raises(DataError, match="has no usable row"):
        check_file(write_rows(tmp_path / "empty.jsonl", [pair("x", "y", "y")]), CheckOptions())


def test_near_duplicates_are_found_by_their_similarity() -> None:
    words = STORY.split()
    texts = [STORY, " ".join(words[:-1]), " ".join([*words[:10], "x", *words[11:]]), "nothing alike at all here", STORY]
    assert [(first, second) for first, second, _ in near_duplicates(texts)] == [(0, 1), (1, 4)]
    assert near_duplicates(texts)[0][2] == pytest.approx(19 / 20)
    assert equal_texts(["A b.", "a  B", "c"]) == 1


def test_contamination_needs_eight_words_or_a_whole_short_text() -> None:
    words = STORY.split()
    texts = [" ".join(["x", *words[4:12]]), " ".join(words[4:11]), "What now?", "what now then"]
    assert contaminated(texts, [STORY, "What now"]) == [0, 2]


def test_copies_have_the_hash_of_their_content_and_changed_ones_are_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [pair("a")])
    (kept,) = keep([path], tmp_path / "kept")
    copy = tmp_path / "kept" / kept["copy"]
    assert copy.read_bytes() == Path(path).read_bytes()
    assert kept["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    other = write_rows(tmp_path / "rows.jsonl", [pair("b")])
    keep([other], tmp_path / "kept")
    keep([other], tmp_path / "kept")
    assert len(json.loads((tmp_path / "kept" / "snapshot.json").read_text())) == 2
    assert copy.exists()
    (tmp_path / "kept" / keep([other], tmp_path / "kept")[0]["copy"]).write_text("changed")
    with pytest.raises(DataError, match="does not have the content that its name says"):
        keep([other], tmp_path / "kept")


def test_the_real_pairs_have_the_published_share_of_longer_chosen_answers() -> None:
    found = check_file(str(shared_file("preference_pairs_sharegpt.json")), CheckOptions())
    assert found["usable"] == 300
    assert round(found["labels"]["chosen_longer"], 2) == 0.44
