"""The conditions under which a run is recorded, and how a finished run is compared with those of now."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_runs import DECODER, config
from trimtab.config import RunError
from trimtab.data import text_bundle
from trimtab.training import RunContext
from trimtab.training.runs import conditions, lifecycle
from trimtab.training.runs.assembly import assemble
from trimtab.training.runs.conditions import conditions_now, conditions_of
from trimtab.training.runs.lifecycle import train_or_resume

TEXT = "the quick brown fox jumps over the lazy dog\n" * 400
ROWS = "".join(f'{{"id": "{n}", "prompt": "{n}+1=", "answer": "{n + 1}"}}\n' for n in range(40))
JSONL = "data={{name: task, context: 32, task: {{name: jsonl, path: '{folder}/file'}}, validation: 2}}"
NOISY = "data={name: task, context: 32, task: {name: arithmetic}, size: 64, validation: 16, noise: {flip: 0.1}}"


def foxes(*, tokenizer: Any, context: int = 32) -> Any:
    """A data component of a user's own, which offers no fingerprint without its data."""
    return text_bundle("foxes", TEXT, tokenizer, context=context)


@pytest.mark.parametrize(
    ("content", "data"),
    [
        ("", "data.stride=32"),
        (TEXT, "data.path={folder}/file"),
        (ROWS, JSONL),
        ("", NOISY.replace("{", "{{").replace("}", "}}")),
        ("", "data={{name: 'tests.training.runs.test_conditions:foxes'}}"),
    ],
    ids=["embedded text", "text file", "rows of a file", "noisy problems", "a component of the user's own"],
)
def test_conditions_are_the_same_with_and_without_building_the_run(tmp_path: Path, content: str, data: str) -> None:
    (tmp_path / "file").write_text(content)
    settings = config(data.format(folder=tmp_path), base=DECODER)
    assert conditions_now(settings) == conditions_of(assemble(settings))


@pytest.mark.parametrize(("content", "data"), [(TEXT, "data.path={folder}/file"), (ROWS, JSONL)], ids=["text", "rows"])
def test_a_finished_run_is_compared_without_building_it_and_changed_data_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, data: str
) -> None:
    file = tmp_path / "file"
    file.write_text(content)
    time = file.stat().st_mtime_ns
    settings = config("episode.steps=2", "episode.task_eval.problems=0", data.format(folder=tmp_path), base=DECODER)
    assert train_or_resume(settings, tmp_path / "run", RunContext()) == {"status": "completed", "reused": False}

    def build(*_: Any) -> None:
        raise AssertionError("the run was built")

    monkeypatch.setattr(lifecycle, "assemble", build)
    monkeypatch.setattr(conditions, "build_data", build)
    monkeypatch.setattr(conditions, "build_model", build)
    assert train_or_resume(settings, tmp_path / "run", RunContext()) == {"status": "completed", "reused": True}
    file.write_text(content[:-2] + "?" + content[-1] if content is TEXT else content.replace("+1=", "+1:"))
    os.utime(file, ns=(time, time))
    with pytest.raises(RunError, match="recorded under other conditions: the corpus: .* had fingerprint"):
        train_or_resume(settings, tmp_path / "run", RunContext())
