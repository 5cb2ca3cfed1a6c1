"""Records that were changed after the run wrote them are noticed."""

from pathlib import Path

import pytest

from tests.records.runs import make_run, step, summary
from trimtab.errors import RunError
from trimtab.records import RunDirectory, Summary
from trimtab.records.atomic import write_json
from trimtab.records.checkpoints import FORMAT, checkpoint_path
from trimtab.records.hashing import Seal, seal_of
from trimtab.records.integrity import altered, differing, read_seals, write_seals
from trimtab.records.manifest import with_checksum

FILES = ("steps.jsonl", "events.jsonl", "evaluations.jsonl")
EVENT = {"step": 1, "kind": "skip", "reason": "a spike"}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    rows = [step(number) for number in (1, 2, 3)]
    return make_run(tmp_path / "run", rows, [{"step": 3, "val_loss": 1.5}], [EVENT, {**EVENT, "step": 2}])


def end(run: RunDirectory) -> Summary:
    ended = summary(records={name: seal_of(run.path / name) for name in ("manifest.json", *FILES)})
    ended.write(run.summary_path)
    return Summary.read(run.summary_path)


def put_checkpoint(run: RunDirectory) -> None:
    place = checkpoint_path(run.checkpoints_path, 3)
    place.mkdir(parents=True)
    records = {name: seal_of(run.path / name).model_dump() for name in FILES}
    content = {"format": FORMAT, "step": 3, "weights_sha256": "0", "files": {}, "records": records, "values": {}}
    write_json(place / "state.json", with_checksum(content))


def drop_line(path: Path, number: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[number]
    path.write_bytes(b"".join(lines))


def test_an_untouched_run_is_as_it_was_written(run: RunDirectory) -> None:
    assert altered(run.path, end(run)) == []


@pytest.mark.parametrize("name", FILES)
def test_a_deleted_row_of_a_finished_run_is_noticed(run: RunDirectory, name: str) -> None:
    ended = end(run)
    drop_line(run.path / name, 0)
    (result,) = altered(run.path, ended)
    assert result.startswith(f"{name} is not what the run wrote (") and "bytes" in result


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
def test_altered_appended_missing_and_replaced_records_are_noticed(run: RunDirectory, name: str) -> None:
    ended, path = end(run), run.path / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2", 1))
    assert altered(run.path, ended) == [f"{name} is not what the run wrote (other content)"]
    path.write_bytes(content + b"{}\n")
    assert "bytes" in altered(run.path, ended)[0]
    path.unlink()
    assert "is missing" in altered(run.path, ended)[0]
    path.mkdir()
    assert "cannot be read (it is a folder" in altered(run.path, ended)[0]


def test_without_a_summary_the_rows_up_to_the_newest_checkpoint_are_compared(run: RunDirectory) -> None:
    put_checkpoint(run)
    with run.steps_path.open("ab") as file:
        file.write(b'{"step": 4}\n')
    assert altered(run.path, None) == []
    drop_line(run.steps_path, 1)
    assert altered(run.path, None)[0].startswith("steps.jsonl is not what the run wrote")


def test_the_ended_parts_and_the_stages_of_a_memory_run_are_compared(run: RunDirectory) -> None:
    stage = make_run(run.path / "stages" / "joint", [step(1), step(2)], [{"step": 1}], [EVENT])
    put_checkpoint(stage)
    (run.path / "robustness.jsonl").write_bytes(b'{"pair": "a"}\n{"pair": "b"}\n')
    write_seals(run.path, {"robustness.jsonl": seal_of(run.path / "robustness.jsonl")})
    assert altered(run.path, None) == []
    drop_line(run.path / "robustness.jsonl", 1)
    drop_line(stage.steps_path, 0)
    robust, steps = altered(run.path, None)
    assert robust.startswith("robustness.jsonl is not what the run wrote") and steps.startswith(
        "stages/joint/steps.jsonl is"
    )


def test_hashes_name_files_below_their_folder_only(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").write_text("x")
    seal = Seal(bytes=1, sha256="0" * 64)
    for name in ("../mine", str(tmp_path / "mine"), "", "a\0b", "a/../../mine"):
        (result,) = differing(tmp_path / "run", {name: seal})
        assert result.endswith("is not a file of the run")


@pytest.mark.parametrize("content", ["[]", "{}", '{"a": 1}', "{"])
def test_a_damaged_list_of_hashes_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "seals.json").write_text(content)
    with pytest.raises(RunError, match="list of hashes"):
        read_seals(tmp_path)
