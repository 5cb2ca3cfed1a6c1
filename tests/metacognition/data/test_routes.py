"""The task routes: its thoughts lead to its answers, and its prompts say nothing about their length."""

import re

import pytest

from trimtab.config import ConfigError
from trimtab.metacognition.data.problem import ThoughtProblem
from trimtab.metacognition.data.routes import HOPS, TO_SINK, Routes
from trimtab.training.config import resolve_config


def problems(count: int = 400, **options: object) -> list[ThoughtProblem]:
    found = Routes(**options).split("train", count, 0)  # type: ignore[arg-type]
    return [one for one in found if isinstance(one, ThoughtProblem)]


def test_the_edges_lead_from_the_start_to_the_answer() -> None:
    for one in problems():
        edges, start, wish = re.fullmatch(r"((?:[a-z]{2}[ .])*)([a-z])([0-9A-F.])\?", one.prompt).groups()  # type: ignore[union-attr]
        following = {edge[0]: edge[1] for edge in re.findall(r"[a-z]{2}", edges)}
        last = {edge[1] for edge in re.findall(r"[a-z]{2}\.", edges)}
        node, hops = start, 0
        while (node in following) if wish == "." else hops < HOPS.index(wish):
            node, hops = following[node], hops + 1
        assert (node, hops) == (one.answer, one.level) and one.answer == one.truth
        assert (one.plan == TO_SINK) == (wish == ".")
        assert wish != "." or hops == 0 or node in last


def test_a_thought_repeats_the_edges_with_what_is_left() -> None:
    for one in problems():
        hops = re.findall(r"...", one.thought)
        assert len(hops) == one.level and len(one.thought) == 3 * one.level
        assert not hops or hops[-1][1] == one.answer
        if one.plan == TO_SINK:
            assert all(hop in one.prompt for hop in hops)
        else:
            assert [hop[2] for hop in hops] == list(HOPS[: one.level][::-1])
            assert all(hop[:2] in one.prompt for hop in hops)


def test_prompts_are_equally_long_whatever_the_hops() -> None:
    assert len({len(one.prompt) for one in problems()}) == 1


def test_the_answer_is_scored() -> None:
    task, (one, *_) = Routes(), problems(1)
    assert task.score(one, f" {one.answer}\n") == {"exact_match": 1.0}
    assert task.score(one, "") == task.score(one, one.answer + "x") == {"exact_match": 0.0}


def test_more_hops_than_the_nodes_allow_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"hops: 12 hops need 16 nodes .* but there are 15"):
        resolve_config(
            {"data": {"name": "thinking", "task": {"name": "routes", "nodes": 15}, "tokenizer": {"name": "tagged"}}}
        )


@pytest.mark.parametrize("stride", [2, 3, 20])
def test_a_stride_shows_several_hops_in_one_step(stride: int) -> None:
    for plain, one in zip(problems(), problems(stride=stride), strict=True):
        assert (plain.prompt, plain.answer) == (one.prompt, one.answer)
        nodes = "".join(hop[0] for hop in re.findall(r"...", plain.thought)) + plain.answer
        steps = re.findall(r"...", one.thought)
        assert len(steps) == -(-one.level // stride)
        assert "".join(step[0] for step in steps) == nodes[: one.level : stride]
        assert not steps or (steps[-1][1] == one.answer and steps[-1][2] in "0.")
    twice = problems(stride=stride, repeats=2)[-1]
    assert twice.thought == "".join(2 * step for step in steps)
    assert Routes(stride=stride).identity["stride"] == stride and "stride" not in Routes().identity
