"""The launch screen: every key is found, validation has the words of the command line, nothing stays changed after a start."""

import asyncio
import json
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.hud.test_screens import settled, shown
from trimtab.config import ConfigError, config_hash
from trimtab.errors import TrimtabError
from trimtab.hud.app import HudApp
from trimtab.hud.draft import FORK, Draft, History, plain_number
from trimtab.hud.filters import ranked
from trimtab.hud.launching import Launching, text_of
from trimtab.hud.look import Look
from trimtab.hud.validator import Validator, cached_catalogue, keep_catalogue
from trimtab.hud.worker import catalogue, checked
from trimtab.training.config import RunConfig, load_config


@pytest.fixture(scope="module")
def everything() -> dict[str, Any]:
    """The catalogue, as the child process gives it."""
    return json.loads(json.dumps(catalogue()))  # type: ignore[no-any-return]


@pytest.fixture
def state(everything: dict[str, Any], tmp_path: Path) -> Launching:
    launching = Launching(tmp_path)
    launching.catalogue = everything
    answer(launching)
    return launching


def answer(launching: Launching) -> Mapping[str, Any]:
    """Give the draft the child's answer."""
    draft = launching.draft
    reply = checked({"kind": draft.kind, "base": draft.base, "overrides": draft.overrides})
    assert launching.answered(draft, reply)
    launching.list_keys()
    return reply


def queries(text: str) -> Iterator[str]:
    """Short things that one types to find a key: its last letters, the initials of its parts, pieces of both."""
    parts = text.replace("_", ".").replace(" ", ".").split(".")
    initials = "".join(part[0] for part in parts if part)
    last = parts[-1]
    for length in range(1, 6):
        yield last[:length]
        yield (initials[:-1] + last)[:length]
        yield (initials[-2:-1] + last)[:length]
        for start in range(len(text) - length + 1):
            yield text[start : start + length]
    for first in parts:
        for one in range(1, 5):
            yield first[:one] + last[: 5 - one]
            yield first[:one] + " " + last[: 4 - one]
    for second in parts[:-1]:
        yield parts[0][:1] + second[:2] + last[:2]
        yield parts[0][:1] + second[:1] + last[:3]


@pytest.mark.slow
def test_every_key_of_every_kind_is_found_with_five_letters(everything: dict[str, Any], tmp_path: Path) -> None:
    for kind in ("training", "thinking", "search", "memory", "experiment", "budgets"):
        launching = Launching(tmp_path)
        launching.catalogue = everything
        launching.draft = Draft(kind)
        launching.list_keys()
        texts = [text_of(one) for one in launching.lines]
        lost = [
            text
            for index, text in enumerate(texts)
            if not any(ranked(query, texts)[:1] == [index] for query in dict.fromkeys(queries(text)) if query.strip())
        ]
        # Two lines may have the same letters (a key that is also a component's): the second is then one line below.
        near = [
            text
            for text in lost
            if not any(texts.index(text) in ranked(q, texts)[:3] for q in queries(text) if q.strip())
        ]
        assert near == []
        assert len(lost) <= len(texts) * 0.1, (kind, lost)


VALUES = [
    "1", "0", "-1", "1.5", "1e-3", "true", "null", "auto", "text", "[]", "[1, 2]", "{}", "{name: adamw}", "{name: nothing}", "'4'", "nan",
    ".inf", "99999999999999999999", "[", "", "muon", "&a", "!!str x", "{a: 1}", "017", "1_000", "\x1b[31m", "ü",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_a_value_is_judged_as_the_command_line_does_in_the_same_words(state: Launching, seed: int) -> None:
    """500 values in five parts: the reply has the error that `load_config` raises, or the hash of what it returns."""
    rng = random.Random(seed)
    keys = [one["key"] for one in state.lines]
    for _ in range(100):
        draft = Draft().with_change(rng.choice(keys), rng.choice(VALUES))
        if rng.random() < 0.3:
            draft = draft.with_change(rng.choice([*keys, "episode.stepz", "nothing"]), rng.choice(VALUES))
        reply = checked({"kind": "training", "base": None, "overrides": draft.overrides})
        try:
            config = load_config(None, draft.overrides)
        except TrimtabError as error:
            assert reply["error"] == str(error).replace("\x1b", "\\x1b")
        else:
            assert reply["config"] == config.model_dump(mode="json")


def test_large_numbers_may_be_written_with_underscores() -> None:
    assert plain_number("10_000_000_000") == "10000000000"
    assert plain_number("1_0.5e3") == "10.5e3"
    assert plain_number("my_text") == "my_text"
    assert load_config(None, Draft().with_change("episode.steps", "10_000_000_000").overrides).episode.steps == 10**10


def test_the_hash_is_that_of_a_run_of_the_command(state: Launching) -> None:
    from trimtab.training.runs.assembly import on_this_machine

    state.change(state.draft.with_change("episode.optimizer.lr", "0.01"))
    reply = answer(state)
    config = load_config(None, ["episode.optimizer.lr=0.01"])
    assert reply["hash"] == config_hash(on_this_machine(config).model_dump(mode="json"))  # type: ignore[arg-type]
    assert state.draft.command() == ["train", "--set", "episode.optimizer.lr=0.01", "--out", state.draft.out]


def test_another_component_drops_the_changes_of_the_old_ones_parameters(state: Launching) -> None:
    draft = Draft().with_change("episode.optimizer.weight_decay", "0.5").with_change("episode.optimizer.name", "muon")
    assert draft.overrides == ["episode.optimizer.name=muon"]
    state.change(draft.with_change("episode.optimizer.adamw_lr", "0.1"))
    assert "error" not in answer(state)
    assert any(one["key"] == "episode.optimizer.adamw_lr" for one in state.lines)


def test_after_a_start_no_key_is_changed_and_undo_finds_nothing(state: Launching) -> None:
    state.change(state.draft.with_change("seed", "7"))
    History(state.runs).path.parent.mkdir()
    History(state.runs).add(state.draft, "hash")
    state.started()
    assert state.draft.changes == {}
    assert not state.undo()
    assert state.recall() is not None
    assert state.draft.changes == {"seed": "7"}


def test_a_base_of_each_kind_is_recognised_and_valid(everything: dict[str, Any], tmp_path: Path) -> None:
    configs = Path(__file__).parents[2] / "configs"
    for name, kind in (
        ("thinking", "thinking"),
        ("search", "search"),
        ("memory_arithmetic", "memory"),
        ("demo", "experiment"),
        ("modern", "training"),
    ):
        launching = Launching(tmp_path)
        launching.catalogue = everything
        launching.set_base(str(configs / f"{name}.yaml"))
        assert launching.draft.kind == kind
        assert "error" not in answer(launching), name
        assert launching.found


def test_a_fork_is_judged_against_its_run(tmp_path: Path) -> None:
    from tests.training.small_runs import DECODER, config
    from trimtab.records import Manifest
    from trimtab.training import train

    run = tmp_path / "run"
    train(config("episode.steps=1", base=DECODER), run)
    reply = checked({"kind": FORK, "base": str(run), "overrides": ["episode.steps=500"]})
    assert reply["config"]["episode"]["steps"] == 500
    assert reply["hash"] != Manifest.read(run / "manifest.json").config_hash
    assert "episode.stepz" in checked({"kind": FORK, "base": str(run), "overrides": ["episode.stepz=1"]})["error"]
    assert Draft(FORK, str(run), 30, {"seed": "1"}, "out").command() == [
        "fork", str(run), "--at", "30", "--set", "seed=1", "--out", "out",
    ]  # fmt: skip


def test_the_catalogue_is_cached(everything: dict[str, Any]) -> None:
    keep_catalogue(everything)
    assert cached_catalogue() == everything


@pytest.mark.slow
def test_typing_a_value_shows_its_error_and_starting_resets_the_draft(
    tmp_path: Path, everything: dict[str, Any]
) -> None:
    keep_catalogue(everything)
    app = HudApp(tmp_path, Look(), poll=False)

    async def wait_for(pilot: Any, words: str) -> None:
        for _ in range(600):
            await settled(app, pilot)
            if words in shown(app):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(shown(app))

    async def run() -> None:
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("3")
            await wait_for(pilot, "valid")
            await pilot.press("slash", *"steps", "enter", "enter", "ctrl+u", *"many")
            await wait_for(pilot, "it should be a whole number")
            await pilot.press("ctrl+u", *"3_0", "enter")
            await wait_for(pilot, "valid")
            assert "--set episode.steps=30" in shown(app)
            for filtered, value in (("laye", "1"), ("mwidt", "16"), ("mhead", "2"), ("dcont", "16"), ("stride", "16")):
                await pilot.press("escape", "slash", *filtered, "enter", "enter", "ctrl+u", *value, "enter")
                await pilot.pause()
            await wait_for(pilot, "valid")
            await pilot.press("s")
            await wait_for(pilot, "Started")
            assert app.launch.state.draft.changes == {}
            await pilot.press("1")
            await wait_for(pilot, "30/30")

    asyncio.run(run())
    made = RunConfig.model_validate_json(
        json.dumps(json.loads((tmp_path / "training-1/manifest.json").read_text())["config"])
    )
    assert (made.episode.steps, made.model.spec["layers"], made.data.spec["context"]) == (30, 1, 16)


@pytest.mark.slow
def test_the_child_process_answers_and_only_the_latest_waiting_draft_is_checked() -> None:
    validator = Validator()
    answers: list[tuple[int, Mapping[str, Any]]] = []
    for number in range(20):
        overrides = [f"seed={number}"]
        validator.check("training", None, overrides, lambda reply, number=number: answers.append((number, reply)))
    until = time.monotonic() + 120
    while (not answers or answers[-1][0] != 19) and time.monotonic() < until:
        time.sleep(0.05)
    validator.close()
    assert [number for number, _ in answers] == [0, 19]
    assert answers[-1][1]["config"]["seed"] == 19


def test_an_unknown_kind_is_an_error_in_words() -> None:
    assert "no kind of run" in checked({"kind": "nothing", "base": None, "overrides": []})["error"]
    assert issubclass(ConfigError, TrimtabError)
