from pathlib import Path

import pytest

from trimtab.cli.reference import main, page
from trimtab.config import REGISTRIES, EpisodeConfig, MonitorConfig
from trimtab.experiments.searching.config import SearchConfig
from trimtab.memory.config import MemoryConfig, SolveConfig
from trimtab.metacognition.budgets.config import BudgetsConfig
from trimtab.metacognition.recipe.config import LayerConfig, ThinkingConfig
from trimtab.training.config import RunConfig


@pytest.fixture(scope="module")
def text() -> str:
    return page()


def test_every_key_stands_on_it_once(text: str) -> None:
    keys = {
        "": [
            *RunConfig.model_fields,
            *(f"episode.{key}" for key in EpisodeConfig.model_fields),
            *(f"monitor.{key}" for key in MonitorConfig.model_fields),
            *("data.tokenizer", "episode.sample.top_p", "episode.early_stopping.patience", "hooks[].enabled"),
        ],
        "memory": [*MemoryConfig.model_fields, *(f"solve.{key}" for key in SolveConfig.model_fields)],
        "search": [*SearchConfig.model_fields, "space.KEY.when", "confirm.seeds"],
        "thinking": [*ThinkingConfig.model_fields, *(f"layer.{key}" for key in LayerConfig.model_fields)],
        "budget": [*BudgetsConfig.model_fields],
    }
    # A component's own parameters, further down, may have the name of a key.
    first, *others = text.partition("\n# Components\n")[0].split("\n# Every key of a ")
    parts = {"": first} | {part.split("\n")[0].removesuffix(" run"): part for part in others}
    assert set(parts) == set(keys)
    for kind, own in keys.items():
        for key in own:
            assert sum(line.startswith(f"| `{key}` |") for line in parts[kind].splitlines()) == 1, (kind, key)


def test_every_component_stands_on_it_with_every_parameter(text: str) -> None:
    for kind, registry in REGISTRIES.items():
        section = text.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        assert section, kind
        for entry in registry:
            own = section.partition(f"### {entry.name}\n")[2].partition("\n### ")[0]
            assert f"(`{entry.target}`)" in own
            for parameter in registry.parameters(entry.name):
                assert f"| `{parameter.name}` | " in own


def test_rows_read_well(text: str) -> None:
    assert "| `threads` | whole number ≥ 1 or auto | `auto` |" in text
    assert "| `episode.optimizer` | component | `{name: adamw}` |" in text
    assert (
        "| `episode.clip` | number or null > 0 | `1.0` |" in text
        or "| `episode.clip` | number > 0 or null | `1.0` |" in text
    )
    assert "| `hooks` | list of component | `[]` |" in text
    for word in ("Ge(", "FieldInfo", "typing.", "NoneType", "<class"):
        assert word not in text


def test_changeable_keys_are_marked(text: str) -> None:
    marked = {
        line.split("`")[1].removeprefix("episode.") for line in text.splitlines() if line.endswith("*Changeable.* |")
    }
    assert marked == EpisodeConfig.changeable()


def test_every_table_is_whole(text: str) -> None:
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") == 5, line


def test_write_and_check(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.md"
    assert main(["--check", str(path)]) == 1
    assert "run `make docs`" in capsys.readouterr().err
    assert main([str(path)]) == 0
    assert path.read_text(encoding="utf-8") == text
    assert main(["--check", str(path)]) == 0
    path.write_text(text + "by hand\n", encoding="utf-8")
    assert main(["--check", str(path)]) == 1


@pytest.mark.parametrize("arguments", [[], ["--check"], ["a.md", "b.md"]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err
