"""Blocks of records, and the streams of problems that they give."""

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.metacognition.data.traces.published import glaive, write_jsonl, write_parquet
from trimtab.errors import DataError
from trimtab.metacognition.data.traces import Traces
from trimtab.metacognition.data.traces.blocks import Blocks, Stream
from trimtab.metacognition.data.traces.hub_files import builder_shards, url_shard
from trimtab.metacognition.data.traces.shards import Shard, local_shard

BAD = (3, 4, 11, 25)
ROWS = [glaive(number, response="no thought" if number in BAD else None) for number in range(30)]


def task(path: str, **options: Any) -> Traces:
    return Traces(path=path, streaming=True, **{"buffer": 8, **options})


@pytest.fixture(params=["a.jsonl", "a.parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The rows in two files of a folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    write = write_jsonl if request.param.endswith("jsonl") else write_parquet
    write(folder / request.param, ROWS[:13])
    write(folder / f"b{request.param}", ROWS[13:])
    return str(folder)


def prompts(stream: Stream, places: Any, seed: int = 0) -> list[str]:
    return [stream.problem(seed, place).prompt for place in places]


def test_a_place_gives_the_same_problem_whatever_was_read_before(path: str) -> None:
    whole = prompts(task(path).stream([]), range(100))
    for first in (0, 7, 8, 29, 30, 61, 99):
        stream = task(path).stream([])
        assert prompts(stream, range(first, 100)) == whole[first:]
        assert prompts(stream, reversed(range(100))) == whole[::-1]
    assert prompts(task(path).stream([]), range(100), seed=1) != whole


def test_a_pass_shows_every_usable_record_in_the_blocks_of_the_files_and_each_pass_in_another_order(path: str) -> None:
    stream = task(path).stream([])
    usable = {f"What is {number}?\n" for number in range(30) if number not in BAD}
    passes = [prompts(stream, range(30 * number, 30 * number + 30)) for number in range(3)]
    for shown in passes:
        assert set(shown) == usable and max(Counter(shown).values()) == 2
        assert set(shown[:8]) == {f"What is {number}?\n" for number in range(8) if number not in BAD}
    assert passes[0] != passes[1] != passes[2]


def test_the_questions_that_validate_are_never_streamed(path: str) -> None:
    traces = task(path)
    validation = traces.split("validation", 3, 0)
    assert len({one.question for one in validation}) == 3
    assert not set(prompts(traces.stream(validation), range(200))) & {one.prompt for one in validation}
    whole = Traces(path=path).split("validation", None, 0)
    assert {one.question for one in validation} <= {one.question for one in whole}
    with pytest.raises(DataError, match="`data.validation` is 29, but only"):
        traces.split("validation", 29, 0)
    with pytest.raises(DataError, match="must be set with `data.task.streaming`"):
        traces.split("validation", None, 0)


def test_a_seek_reads_one_block_and_parses_no_row_before_it(path: str) -> None:
    seen: list[str] = []
    blocks = task(path).stream([]).blocks

    def problem(row: Any) -> Any:
        seen.append(row.where)
        return task(path).problem(row.values)

    Stream(Blocks(blocks.shards, 8, problem, excluded=frozenset())).problem(0, 25)
    assert len(seen) == 6  # the last block has the records 24 to 29


def test_row_groups_before_a_place_are_not_read(tmp_path: Path) -> None:
    shard = local_shard(Path(write_parquet(tmp_path / "a.parquet", ROWS, row_group_size=10)))
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[4:40] = b"x" * 36  # the first row group
    damaged = Shard("a.parquet", lambda: BytesIO(bytes(content)))
    assert (damaged.count, len(list(damaged.rows(10)))) == (30, 20)
    assert [row.values for row in damaged.rows(12)] == [row.values for row in shard.rows(12)] == ROWS[12:]
    with pytest.raises(DataError, match=r"a\.parquet cannot be read"):
        next(damaged.rows(0))


def test_shards_are_looked_up_only_as_far_as_they_are_needed(tmp_path: Path) -> None:
    first = local_shard(Path(write_jsonl(tmp_path / "a.jsonl", ROWS)))
    absent = Shard(str(tmp_path / "absent.jsonl"), (tmp_path / "absent.jsonl").open)  # type: ignore[arg-type]
    traces = task(str(tmp_path / "a.jsonl"))
    stream = Stream(Blocks([first, absent], 8, traces._problem_of, excluded=frozenset()))
    assert len(prompts(stream, range(24))) == 24
    with pytest.raises(DataError, match="absent"):
        stream.problem(0, 30)


def test_a_block_without_usable_records_uses_those_of_the_next(tmp_path: Path) -> None:
    rows = [glaive(number, response="none" if 2 <= number < 4 else None) for number in range(6)]
    stream = task(write_jsonl(tmp_path / "a.jsonl", rows), buffer=2).stream([])
    assert set(prompts(stream, (2, 3))) == {"What is 4?\n", "What is 5?\n"}
    assert (stream.left_out(0), stream.left_out(3)) == (0.0, 1.0)
    empty = task(write_jsonl(tmp_path / "b.jsonl", rows[2:4]), buffer=1).stream([])
    with pytest.raises(DataError, match="none of the streamed records is a usable trace"):
        empty.problem(0, 0)


def test_a_bad_row_is_an_error_or_is_counted_while_streaming(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [*ROWS[:3], {"question": "?"}])
    with pytest.raises(DataError, match="line 4: it has 'question'"):
        task(path).stream([]).problem(0, 0)
    block = task(path, on_bad_row="skip").stream([]).blocks.block(0)
    assert (len(block.problems), block.left_out) == (3, Counter(bad_row=1))


def test_files_at_urls_and_those_that_a_builder_finds_are_read_as_local_ones(tmp_path: Path) -> None:
    import datasets
    import fsspec

    memory = fsspec.filesystem("memory")
    local = Path(write_parquet(tmp_path / "train.parquet", ROWS))
    memory.pipe("/traces/a.parquet", local.read_bytes())
    write_jsonl(tmp_path / "train.jsonl", ROWS)
    memory.pipe("/traces/a.jsonl", (tmp_path / "train.jsonl").read_bytes())
    for name in ("a.parquet", "a.jsonl"):
        shard = url_shard(f"memory://traces/{name}")
        assert [row.values for row in shard.rows(5)] == ROWS[5:] and shard.count == 30
        assert shard.sha256() == f"memory://traces/{name}"
    (tmp_path / "train.jsonl").unlink()
    builder = datasets.load_dataset_builder(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    (found,) = builder_shards(builder, "train", "mine")
    assert [row.values for row in found.rows()] == ROWS
    with pytest.raises(DataError, match="The data set mine has no split 'test'; it has train"):
        builder_shards(builder, "test", "mine")


def test_a_hub_id_needs_permission_and_a_folder_that_looks_like_one_makes_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def refuse(*given: object) -> None:
        opened.append(given)
        raise OSError("sockets are blocked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "glaiveai" / "reasoning-v1-20m"
    folder.mkdir(parents=True)
    write_parquet(folder / "a.parquet", ROWS)
    for streaming in (True, False):
        traces = Traces(path="glaiveai/reasoning-v1-20m", streaming=streaming)
        assert len(traces.split("validation", 2, 0)) == 2 and traces.identity
    assert prompts(task("glaiveai/reasoning-v1-20m").stream([]), range(40))
    assert not opened
    with pytest.raises(Exception, match="set `allow_hub: true`"):
        Traces(dataset="glaiveai/reasoning-v1-20m", streaming=True)
    with pytest.raises(Exception, match="set either `path`"):
        Traces()
