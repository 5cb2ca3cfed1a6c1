"""Batches from several domains and from streams, and the limit on the length of examples."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.metacognition.data.traces.published import glaive, openthoughts, write_jsonl
from tests.metacognition.models import CLOSE, TOKENIZER
from trimtab.config import DataMix
from trimtab.data import IGNORE, DrawState
from trimtab.errors import ConfigError, DataError
from trimtab.metacognition.data.build import thinking_data
from trimtab.metacognition.data.domains import Domain, DomainTask
from trimtab.metacognition.data.routes import Routes
from trimtab.metacognition.data.traces import Traces
from trimtab.random import Streams


def long(number: int) -> dict[str, Any]:
    """A row whose thought is longer the higher its number."""
    return glaive(number, response=f"<think>{'step ' * number}</think>It is {number}.")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return write_jsonl(tmp_path / "a.jsonl", [long(number) for number in range(1, 61)])


def data(task: Any, **options: Any) -> Any:
    return thinking_data(tokenizer=TOKENIZER, task=task, **{"context": 400, "validation": 4, **options})


def state(seed: int = 1) -> DrawState:
    return DrawState(torch.nn.Linear(1, 1), Streams(seed), "training", 1, 0, 0)


def streamed(path: str, **options: Any) -> Traces:
    return Traces(path=path, streaming=True, buffer=16, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mix": (Domain(task=DomainTask(name="routes"), weight=0.5),), "size": 20},
        {"max_len": 60, "too_long": "cut"},
        {"max_len": 60, "too_long": "leave_out", "context": 200},
    ],
)
def test_a_batch_depends_on_its_position_and_the_runs_seed_alone(path: str, options: dict[str, Any]) -> None:
    one, other = (data(streamed(path), **options).train_source for _ in range(2))
    other.take(700, 3)
    for first in (0, 250, 511, 40):
        mine, theirs = one.take(first, 6, None, state()), other.take(first, 6, None, state())
        assert torch.equal(mine.input_ids, theirs.input_ids) and mine.metadata == theirs.metadata
        single = [other.take(first + place, 1, None, state()).metadata for place in range(6)]
        assert [part["prompt"][0] for part in single] == mine.metadata["prompt"]
        assert [part["cap"][0] for part in single] == mine.metadata["cap"]
    assert one.take(0, 20, None, state()).metadata != one.take(0, 20, None, state(2)).metadata


def test_domains_have_their_shares_in_samples_report_and_metadata(path: str) -> None:
    bundle = data(
        streamed(path), mix=(Domain(task=DomainTask(name="routes"), weight=3),), size=40, validation=8, context=400
    )
    assert bundle.report.to_dict()["domains"] == {"traces": 0.25, "routes": 0.75}
    assert bundle.report.to_dict()["streamed"] == ["traces"]
    assert "domains: 25.0% traces, 75.0% routes" in bundle.report.lines()
    drawn = bundle.train_source.take(0, 1000).metadata
    assert Counter(drawn["domain"]) == {"traces": 250, "routes": 750}
    # A round has 750 samples of 30 routes, so each comes 25 times.
    assert set(Counter(p for p, d in zip(drawn["prompt"], drawn["domain"], strict=True) if d == "routes").values()) == {
        25
    }
    validation = bundle.validation.problems
    assert Counter(one.domain for one in validation) == {"traces": 2, "routes": 6}
    assert not {one.prompt for one in validation} & set(drawn["prompt"])
    assert all(bundle.task.score(one, one.answer)["exact_match"] == 1 for one in validation)


def test_a_question_that_validates_in_one_domain_is_not_trained_on_in_another(path: str, tmp_path: Path) -> None:
    other = write_jsonl(tmp_path / "v.jsonl", [openthoughts(1)])
    more = Domain(task=DomainTask(name="traces", path=path, validation_path=other))
    bundle = data(Traces(path=path), mix=(more,), validation=None)
    questions = {one.question for one in bundle.validation.problems}
    again = sum(one.domain == "traces 1" for one in bundle.validation.problems)
    assert again > 3 and bundle.report.left_out == {"in_validation": again}
    assert not {one.question for one in bundle.train.problems} & questions


def test_an_example_beyond_the_limit_has_its_thought_cut_without_a_label_on_the_closing_tag(path: str) -> None:
    source = data(Traces(path=path), max_len=60, too_long="cut", validation=None).train_source
    batch = source.take(0, 200)
    assert batch.input_ids.shape[1] == 61
    cut = [row for row, ended in enumerate(batch.metadata["ended"]) if not ended]
    assert cut
    for row in cut:
        (place,) = (batch.input_ids[row] == CLOSE).nonzero()
        assert batch.labels[row, int(place)] == IGNORE
        assert batch.labels[row, int(place) + 1] != IGNORE
    figures = batch.metadata["figures"]
    assert figures["max_len"] == 60 and figures["longest"] > 60 and figures["too_long"] > 0


def test_examples_beyond_the_limit_are_left_out_and_others_take_their_place(path: str) -> None:
    source = data(Traces(path=path), max_len=100, too_long="leave_out", validation=None).train_source
    batch = source.take(0, 100)
    assert batch.input_ids.shape[1] <= 101 and batch.metadata["figures"]["too_long"] > 0


def test_where_no_example_fits_thoughts_are_cut_and_without_room_for_that_it_is_an_error(path: str) -> None:
    source = data(Traces(path=path), max_len=33, too_long="leave_out", validation=None).train_source
    assert source.take(0, 20).input_ids.shape[1] <= 34
    source = data(Traces(path=path), max_len=20, too_long="leave_out", validation=None).train_source
    with pytest.raises(DataError, match=r"fits in 20 tokens"):
        source.take(0, 100)


def test_a_raised_limit_is_reported_once_at_its_position(path: str) -> None:
    source = data(Traces(path=path), max_len=60, too_long="cut", validation=None).train_source
    batches = [source.take(first, 8).metadata for first in range(0, 320, 8)]
    found = [(number, one) for number, batch in enumerate(batches) for one in batch["occurrences"]]
    ((number, one),) = found
    assert number == 256 // 8 and (one["kind"], one["before"]) == ("max_len", 60)
    assert one["after"] in range(60 + 64, 401, 64)
    assert [batch["figures"]["max_len"] for batch in batches] == [60] * 32 + [one["after"]] * 8


def test_problems_beyond_the_context_are_counted_in_the_report(path: str) -> None:
    with pytest.raises(DataError, match="Set a larger context"):
        data(Traces(path=path), context=100, validation=None)
    cut = data(Traces(path=path), context=100, validation=None, too_long="cut")
    out = data(Traces(path=path), context=100, validation=None, too_long="leave_out")
    number = cut.report.left_out["cut_to_context"]
    assert number > 20 and out.report.left_out == {"longer_than_context": number}
    assert len(cut.train) + len(cut.validation) == 60 and len(out.train) + len(out.validation) == 60 - number
    assert max(len(cut.validation[index]["input_ids"]) for index in range(len(cut.validation))) <= 101
    assert cut.fingerprint != out.fingerprint


def test_keys_that_do_not_go_together_are_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="`cut` or `leave_out`"):
        data(Traces(path=path), max_len=50)
    with pytest.raises(ConfigError, match="data.size is 10, but a streamed task"):
        data(streamed(path), size=10)
    with pytest.raises(ConfigError, match="data.outcomes and data.rollouts"):
        data(streamed(path), outcomes=path)
    with pytest.raises(ConfigError, match="Set episode.data_mix to null"):
        data(streamed(path)).train_source.take(0, 2, DataMix())


def test_the_new_keys_change_the_fingerprint_only_where_they_are_used(path: str) -> None:
    def of(**options: Any) -> str:
        fingerprint: str = thinking_data(
            tokenizer=TOKENIZER, task=Routes(), size=20, validation=5, context=112, **options
        ).fingerprint
        return fingerprint

    assert of() == "5120f627f070adc116efda3e0ffedd2a43a8054300a5f5036506e7889e73ab78"
    mixes = [of(mix=(Domain(task=DomainTask(name="routes", hops=[1]), weight=weight),)) for weight in (1, 2)]
    others = [of(too_long="cut"), of(too_long="cut", max_len=64), of(too_long="leave_out")]
    assert len({of(), *mixes, *others}) == 6
