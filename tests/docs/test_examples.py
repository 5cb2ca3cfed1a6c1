"""The examples in the documentation run, and what the pages name exists."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small_runs import DECODER, ROOT, config
from trimtab.config import allowing_code, resolve_root
from trimtab.config.wording import Source
from trimtab.memory.config import MemoryConfig
from trimtab.memory.run import run_memory
from trimtab.records import RunDirectory, read_rows
from trimtab.training import replay, train
from trimtab.training.runs.sampling import sample_run

PAGE = (ROOT / "docs" / "adding-components.md").read_text(encoding="utf-8")
EXAMPLES = {
    "Smoothed": "episode.loss={name: 'NAME', share: 0.2}",
    "staircase": "episode.schedule={name: 'NAME', drops: 2}",
    "Brake": "episode.regime_controller={name: 'NAME'}",
    "LargestActivation": "hooks=[{name: 'NAME', every: 5}]",
    "Gap": "monitor.instruments=[{name: 'NAME', every: 6}]",
    "Centralise": "hooks=[{name: 'NAME'}]",
    "Lion": "hooks=[{name: 'NAME', beta: 0.8}]",
    "Recurrent": "model={name: 'NAME', width: 16}",
    "sums": "data={name: 'NAME', context: 32, largest: 30}",
    "Reversed": "data={name: task, task: {name: 'NAME'}, size: 200, validation: 20, context: 32}",
    "rmsprop": "episode.optimizer={name: 'NAME', lr: 0.01}",
    "Bytes": "data.tokenizer={name: 'NAME'}",
    "Vanish": "faults=[{name: 'NAME', start: 5, length: 3}]",
}


def block(name: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    return next(code for code in blocks if re.search(rf"^(class|def) {name}\b", code, re.MULTILINE))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"documented_{name.lower()}"
    (tmp_path / f"{module}.py").write_text(block(name))
    monkeypatch.syspath_prepend(str(tmp_path))
    result = train(config(EXAMPLES[name].replace("NAME", f"{module}:{name}"), base=DECODER), tmp_path / "run")
    sys.modules.pop(module)
    assert result["status"] == "completed"
    assert result["val_loss"] < result["untrained_loss"]
    if name == "Vanish":
        norms = [row["grad_norm"] for row in RunDirectory(tmp_path / "run").steps()]
        assert [step for step, norm in enumerate(norms, 1) if norm < 1e-3] == [5, 6, 7]
    if name == "Gap":
        assert len([row for row in RunDirectory(tmp_path / "run").steps() if "instruments" in row]) == 4
    if name == "LargestActivation":
        assert [row["step"] for row in RunDirectory(tmp_path / "run").steps() if "observers" in row] == [5, 10, 15, 20]


def test_the_examples_for_memory_runs_are_stored(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    (tmp_path / "documented_memory.py").write_text(block("Squares") + "\n\n" + block("Opposite"))
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = {
        "threads": 1,
        "model": {"name": "pretrained", "path": str(model_folder)},
        "pairs": {"name": "documented_memory:Squares", "limit": 6},
        "modes": {"name": "documented_memory:Opposite"},
        "count": 3,
        "vectors": 12,
        "solve": {"steps": 60, "restarts": 1, "margin": 0.0, "lr": 0.5, "precision": "fp32", "positions": 60},
        "stages": ["baselines", "joint"],
    }
    result = run_memory(resolve_root(MemoryConfig, asked, Source("memory.yaml")), tmp_path / "run")
    sys.modules.pop("documented_memory")
    assert result["metrics"]["joint"]["solved"] > 0
    rows = read_rows(tmp_path / "run" / "pairs.jsonl")
    assert [(row["question"], row["answer"]) for row in rows] == [(f"{n}*{n}=", str(n * n)) for n in range(3)]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name: str) -> None:
    assert len(block(name).splitlines()) <= {"Lion": 40, "Bytes": 22}.get(name, 20)


def test_the_tokenizer_of_the_docs_round_trips() -> None:
    made: dict[str, Any] = {}
    exec(block("Bytes"), made)
    assert made["Bytes"]().decode(made["Bytes"]().encode("né ☃\n")) == "né ☃\n"


@pytest.mark.parametrize(("name", "promises"), [("invariants", 8), ("security", 29)])
def test_every_promise_names_a_test_that_exists(name: str, promises: int) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(re.findall(r"^\| .*`tests/.*\|$", page, re.MULTILINE)) == promises
    for file, function in named:
        assert (ROOT / file).is_file(), file
        assert not function or f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), function


def test_a_model_with_a_scalar_head_learns_what_to_expect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "documented_foresight.py").write_text(block("Foresight"))
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [
        "model={name: 'documented_foresight:Foresight', width: 16}",
        "episode.loss={name: 'documented_foresight:ForesightLoss'}",
    ]
    out = tmp_path / "run"
    result = train(config(*names, "episode.optimizer.lr=0.02", "episode.steps=60", base=DECODER), out)
    errors = [row["aux"]["squared_error"] for row in RunDirectory(out).steps()]
    assert result["val_loss"] < result["untrained_loss"] and sum(errors[-10:]) < sum(errors[:10]) / 2
    with allowing_code(True):
        assert len(sample_run(out, prompt="a", options={"tokens": 5}, seed=0)["text"]) > 1
        assert replay(out).identical
    sys.modules.pop("documented_foresight")


def test_relative_links_in_the_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_experiment_of_the_docs_can_be_run() -> None:
    import yaml

    from trimtab.experiments import experiment_from, planned

    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert block is not None
    experiment = experiment_from(yaml.safe_load(block[1]), Source("docs/experiments.md"))
    assert "12 pairs" in planned(experiment)


def test_the_searches_of_the_docs_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    use, own = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(use.strip().splitlines()) <= 10
    exec(use, {})
    assert "'norm': 'rms'" in capsys.readouterr().out
    names: dict[str, Any] = {}
    exec(own, names)
    exec(use.replace("ParticleSwarm(", "Halving("), names)
    assert "'norm': 'rms'" in capsys.readouterr().out
