"""Which dotted paths a folder of records may name."""

from pathlib import Path

import pytest

from trimtab.config import allowing_code
from trimtab.config.permission import (
    dotted_paths,
    hub_ids,
    permission,
    refuse_code,
    refuse_fetching,
    refuse_recorded_code,
)
from trimtab.config.yaml_file import load_yaml
from trimtab.errors import ConfigError, RunError
from trimtab.training.config import load_config


def test_every_place_of_a_config_that_names_code_is_found() -> None:
    assert dotted_paths(
        {
            "model": {"name": "a:Model", "note": "x:y"},
            "episode": {"loss": {"name": "sum", "terms": [{"name": "b:Loss"}]}},
            "hooks": [{"name": "clip"}, {"name": "c:Hook"}],
            "arms": {"one": {"episode.loss.name": "d:Loss"}, "two": {"episode.loss": {"name": "e:Loss"}}},
            "factors": {"episode.schedule.name": ["constant", "f:Schedule"]},
            "path": "g:Not",
        }
    ) == {
        "a:Model": "model.name",
        "b:Loss": "episode.loss.terms[0].name",
        "c:Hook": "hooks[1].name",
        "d:Loss": "arms.one.episode.loss.name",
        "e:Loss": "arms.two.episode.loss.name",
        "f:Schedule": "factors.episode.schedule.name[1]",
    }


def test_deep_and_repeated_content_is_walked_in_a_moment() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    wide: list[object] = [{"name": "a:B"}]
    for _ in range(60):
        wide = [wide, wide]
    assert dotted_paths([deep, wide]).keys() == {"a:B"}
    while deep:  # the interpreter frees nested lists by recursion
        deep = deep[0]  # type: ignore[assignment]


def test_nothing_is_allowed_by_default_and_a_block_adds_to_what_is() -> None:
    config = {"model": {"name": "a:Model"}, "hooks": [{"name": "b:Hook"}]}
    with pytest.raises(RunError, match=r"m\.json names code to execute: 'b:Hook' \(hooks\[0\].name\), .*--allow-code"):
        refuse_code(config, "m.json")
    with allowing_code(names=["a:Model"]):
        with pytest.raises(RunError, match="'b:Hook'"):
            refuse_code(config, "m.json")
        with allowing_code(names=["b:Hook"]):
            refuse_code(config, "m.json")
        with allowing_code(True):
            refuse_code({"name": "c:Other"}, "m.json")
            with allowing_code():
                refuse_code({"name": "c:Other"}, "m.json")
    assert permission().names == frozenset() and not permission().every


def test_the_message_stays_short_and_printable() -> None:
    with pytest.raises(RunError) as caught:
        refuse_code([{"name": f"{'x' * 500}\x1b[2J{index}:Y"} for index in range(50)], "m.json")
    assert "and 45 more" in str(caught.value) and len(str(caught.value)) < 1500 and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("record", ["manifest.json", "experiment.json", None])
def test_a_config_file_is_the_users_own_unless_it_lies_among_records(tmp_path: Path, record: str | None) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("hooks: [{name: 'tests.config.parts:Hook', layers: a}]\n")
    if record is None:
        assert load_config(path).hooks[0].name == "tests.config.parts:Hook"
        return
    (tmp_path / record).write_text("{}")
    with pytest.raises(RunError, match="names code"):
        load_config(path)
    with allowing_code(True):
        assert load_config(path).hooks[0].name == "tests.config.parts:Hook"


def received(folder: Path, record: str) -> tuple[Path, str]:
    """The folder of a run that somebody sent, with its record, and a config that names code."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / record).write_text("{}")
    return folder, "hooks: [{name: 'tests.config.absent:Hook'}]\n"


@pytest.mark.parametrize("record", ["manifest.json", "experiment.json", "summary.json", "steps.jsonl", "verdicts.json"])
def test_a_config_file_anywhere_below_records_belongs_to_them(tmp_path: Path, record: str) -> None:
    folder, code = received(tmp_path / "run", record)
    path = folder / "checkpoints" / "c.yaml"
    path.write_text(code)
    with pytest.raises(RunError, match=f"c.yaml belongs to the records of .*{record} and names code to execute"):
        load_config(path)


def test_a_link_does_not_make_a_recorded_config_trusted(tmp_path: Path) -> None:
    folder, code = received(tmp_path / "received", "manifest.json")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.yaml").write_text(code)
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    (folder / "config.yaml").symlink_to("sub/c.yaml")
    (tmp_path / "mine.yaml").symlink_to(folder / "config.yaml")
    for path in (folder / "config.yaml", folder / "sub" / "c.yaml", tmp_path / "mine.yaml"):
        with pytest.raises(RunError, match="names code"):
            load_config(path)
    with pytest.raises(ConfigError, match="absent"):
        load_config(tmp_path / "elsewhere" / "c.yaml")


def test_a_config_file_above_or_beside_the_folders_of_runs_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = received(tmp_path / "runs" / "first", "manifest.json")
    (tmp_path / "run.yaml").write_text("hooks: [{name: 'tests.config.parts:Hook', layers: a}]\n")
    monkeypatch.chdir(folder)
    for path in (tmp_path / "run.yaml", Path("../../run.yaml")):
        assert load_config(path).hooks[0].name == "tests.config.parts:Hook"


@pytest.mark.parametrize(
    "content",
    [
        "model: {name: pretrained, path: owner/name, allow_hub: true}",
        "arms: {a: {model.allow_hub: true}}",
        "factors: {model.allow_hub: [false, true]}",
    ],
)
def test_a_config_file_of_records_lets_nothing_be_fetched_unless_it_is_allowed(tmp_path: Path, content: str) -> None:
    folder, _ = received(tmp_path / "run", "experiment.json")
    path = folder / "experiment.yaml"
    path.write_text(content)
    data, _ = load_yaml(path)
    with pytest.raises(RunError, match=r"to be fetched from the Hugging Face hub \(.*allow_hub.*--allow-code"):
        refuse_recorded_code(data, path)
    with allowing_code(True):
        refuse_recorded_code(data, path)


HUBBED = {
    "model": {"name": "pretrained", "path": "hub:owner/model", "allow_hub": True},
    "data": {"task": {"name": "hub", "dataset": "owner/set", "path": None, "allow_hub": True}},
    "a": {"path": "/models/own", "allow_hub": True},
    "b": {"path": "hub:owner/other", "allow_hub": False},
}


def test_hub_ids_are_those_that_a_config_lets_be_fetched() -> None:
    assert hub_ids(HUBBED) == {"owner/set": "data.task.dataset", "hub:owner/model": "model.path"}
    assert hub_ids({"model": {"path": "owner/model", "allow_hub": True}}) == {"hub:owner/model": "model.path"}


def test_records_let_nothing_be_fetched_unless_it_is_here_or_allowed() -> None:
    with pytest.raises(
        RunError, match=r"m\.json names models or data to fetch .*'owner/set'.*'hub:owner/model' .*--allow-code"
    ):
        refuse_fetching(HUBBED, "m.json", lambda path: False)
    with pytest.raises(RunError, match=r"hub: 'owner/set' \(data\.task\.dataset\)\. Records"):
        refuse_fetching(HUBBED, "m.json", lambda path: True)
    with allowing_code(names=["owner/set", "hub:owner/model"]):
        refuse_fetching(HUBBED, "m.json", lambda path: False)
    with allowing_code(True):
        refuse_fetching(HUBBED, "m.json", lambda path: False)
