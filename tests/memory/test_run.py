"""Memory runs from end to end on a small random model: records, gates, kills, refusals."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.training.small_runs import ROOT, command, environment, started
from trimtab.config import ConfigError, DataError, RunError
from trimtab.config.load import resolve_root
from trimtab.config.wording import Source
from trimtab.memory.config import MemoryConfig
from trimtab.memory.recall import recall
from trimtab.memory.run import run_memory
from trimtab.memory.store import load_memory, save_memory
from trimtab.records import read_rows
from trimtab.records.atomic import write_json
from trimtab.records.manifest import CHECKSUM, with_checksum
from trimtab.reports.memory import write_report
from trimtab.runtime.context import RunContext
from trimtab.runtime.events import RunEvent, Step


class Listener:
    """Keeps the events of a run and asks for a stop after so many steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.left, self.events = stop_after, list[RunEvent]()
        self.context = RunContext(self, self.stop)

    def __call__(self, event: RunEvent) -> None:
        self.events.append(event)
        if isinstance(event, Step) and self.left is not None:
            self.left -= 1

    def stop(self) -> str | None:
        return "requested" if self.left is not None and self.left <= 0 else None


def stopping_after(steps: int) -> RunContext:
    return Listener(steps).context


def config(plain: dict[str, Any], **changes: Any) -> MemoryConfig:
    return resolve_root(MemoryConfig, {**plain, **changes}, Source("memory.yaml"))


@pytest.fixture(scope="module")
def whole(plain: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, run_memory(config(plain), out)


def test_a_run_records_solved_pairs_and_their_memories(whole: tuple[Path, dict[str, Any]]) -> None:
    out, result = whole
    assert result["status"] == "completed" and [gate["gate"] for gate in result["gates"]] == [
        "single_question",
        "single_answer",
        "joint",
    ]
    rows = read_rows(out / "stages/joint/candidates.jsonl")
    good = {row["pair"] for row in rows if row["status"] == "solved"}
    assert good and good == {path.name for path in (out / "memories").iterdir()}
    assert len(read_rows(out / "pairs.jsonl")) == len(read_rows(out / "baselines.jsonl")) == 5
    for pair in good:
        memory = load_memory(out / "memories" / pair)
        (row,) = [row for row in rows if row["pair"] == pair and row["status"] == "solved"]
        assert memory.card.margin == row["margin"] >= 0.2 and memory.card.loss == row["loss"]
    decodes = read_rows(out / "generation.jsonl")
    assert {row["pair"] for row in decodes} == good and all(
        row["tokens_exact"] and row["verdict"] == "pass" for row in decodes
    )
    assert result["metrics"]["joint"]["solved"] == len(good) == result["metrics"]["pass_fp32"]["solved"]


def test_ablations_and_analysis_are_recorded(whole: tuple[Path, dict[str, Any]]) -> None:
    out, result = whole
    cells = json.loads((out / "ablations.json").read_text())
    assert [(cell["ablation"], cell["value"], cell["pairs"]) for cell in cells["cells"]] == [
        ("vectors", 2, 3),
        ("vectors", 12, 3),
        ("learning_rate", 0.1, 3),
        ("model", "small", 3),
        ("model", "small, untrained", 3),
    ]
    own, other = cells["cells"][3:]
    assert own["solved"] > 0 and other["mean_loss_ratio"] != own["mean_loss_ratio"]
    good = result["metrics"]["joint"]["solved"]
    rows = read_rows(out / "robustness.jsonl")
    assert len({row["pair"] for row in rows}) == good
    assert all(row["passed"] for row in rows if row["disturbance"] == "fp32")
    assert result["metrics"]["robustness"]["fp32"] == 1.0 and "noise_0.05" in result["metrics"]["robustness"]
    bits = json.loads((out / "leaks.json").read_text())["bits"]
    assert bits["question"]["question"]["mean"] < bits["question"]["answer"]["mean"]
    assert json.loads((out / "geometry.json").read_text())["between"]["order"]
    assert json.loads((out / "landscape.json").read_text())["lines"]


def test_the_report_of_a_run_is_written(whole: tuple[Path, dict[str, Any]]) -> None:
    page = write_report(whole[0])[0].read_text()
    assert "Convergence" in page and "single question" in page.lower().replace("_", " ")


def test_a_second_call_changes_nothing(whole: tuple[Path, dict[str, Any]], plain: dict[str, Any]) -> None:
    out, result = whole
    before = {path: path.read_bytes() for path in sorted(out.rglob("*.json*"))}
    again = run_memory(config(plain), out)
    assert again == result
    assert before == {path: path.read_bytes() for path in before}


def test_an_interrupted_run_resumes_to_the_same_memories(
    whole: tuple[Path, dict[str, Any]], plain: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert run_memory(config(plain), out, stopping_after(12))["status"] == "interrupted"
    assert run_memory(config(plain), out, stopping_after(8))["status"] == "interrupted"
    assert run_memory(config(plain), out)["status"] == "completed"
    assert_same_memories(whole[0], out)


def assert_same_memories(one: Path, other: Path) -> None:
    names = sorted(path.name for path in (one / "memories").iterdir())
    assert names == sorted(path.name for path in (other / "memories").iterdir())
    for name in names:
        for file in ("memory.safetensors", "memory.json"):
            assert (one / "memories" / name / file).read_bytes() == (other / "memories" / name / file).read_bytes()
    drop = ("seconds",)
    for stage in ("single_question", "single_answer", "joint"):
        rows = [read_rows(place / "stages" / stage / "candidates.jsonl") for place in (one, other)]
        first, second = [[{k: v for k, v in row.items() if k not in drop} for row in stage_rows] for stage_rows in rows]
        assert first == second


def test_paraphrases_are_part_of_the_objective_only(plain: dict[str, Any], tmp_path: Path) -> None:
    source = Path(plain["pairs"]["path"])
    rows = [{**json.loads(line), "id": f"p{index}"} for index, line in enumerate(source.read_text().splitlines())]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "paraphrases.jsonl").write_text(json.dumps({"pair": "p1", "questions": ["z"], "answers": ["y"]}) + "\n")
    settings = config(
        plain,
        pairs={"name": "jsonl", "path": str(tmp_path / "pairs.jsonl")},
        paraphrases={"path": str(tmp_path / "paraphrases.jsonl"), "weight": 0.1},
        stages=["baselines", "joint", "paraphrases", "ablations"],
        ablations={},
        count=6,
    )
    assert run_memory(settings, tmp_path / "run")["status"] == "completed"
    rows = read_rows(tmp_path / "run/stages/joint_paraphrases/candidates.jsonl")
    assert {row["pair"] for row in rows} == {"p1"}
    cells = json.loads((tmp_path / "run/ablations.json").read_text())["cells"]
    assert [(cell["ablation"], cell["value"], cell["pairs"]) for cell in cells] == [
        ("paraphrases", False, 1),
        ("paraphrases", True, 1),
    ]
    wrong = settings.model_copy(update={"seed": 3, "pairs": config(plain).pairs})
    with pytest.raises(DataError, match="no paraphrase that can be used"):
        run_memory(wrong, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_paraphrase_that_does_not_fit_is_left_out_and_named(plain: dict[str, Any], tmp_path: Path) -> None:
    names = [json.loads(line)["question"] for line in Path(plain["pairs"]["path"]).read_text().splitlines()]
    (tmp_path / "pairs.jsonl").write_text(
        "".join(f'{{"id": "{q}", "question": "{q}", "answer": "x{q}"}}\n' for q in names)
    )
    paraphrases = [{"pair": names[0], "questions": ["z" * 80, "y"]}, {"pair": "nobody", "answers": ["w"]}]
    (tmp_path / "paraphrases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in paraphrases))
    settings = config(
        plain,
        pairs={"name": "jsonl", "path": str(tmp_path / "pairs.jsonl")},
        paraphrases={"path": str(tmp_path / "paraphrases.jsonl")},
        stages=["baselines", "joint", "paraphrases"],
        count=6,
    )
    run_memory(settings, tmp_path / "run")
    reasons = [row["reason"] for row in read_rows(tmp_path / "run/events.jsonl") if row["kind"] == "pair_skipped"]
    assert len(reasons) == 2 and ".." not in reasons[0]
    assert "the context has only" in reasons[0] and "'nobody'" in reasons[1]


@pytest.mark.slow
def test_a_killed_run_loses_no_memory(
    whole: tuple[Path, dict[str, Any]], plain: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "memory.yaml").write_text(yaml.safe_dump(plain))
    out = tmp_path / "run"
    arguments = ["memory", "run", str(tmp_path / "memory.yaml"), "--out", str(out)]
    stored: set[str] = set()
    for kills in range(4):
        process = started(*arguments)
        steps = out / "stages/joint/steps.jsonl"
        deadline = time.monotonic() + 240
        before = steps.read_bytes().count(b"\n") if steps.exists() else 0
        while process.poll() is None and time.monotonic() < deadline:
            if steps.exists() and steps.read_bytes().count(b"\n") >= before + 5 + 3 * kills:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.finish(60)
        now = {path.name for path in (out / "memories").glob("[!.]*")} if (out / "memories").exists() else set()
        assert stored <= now
        stored = now
    assert command(*arguments).returncode == 0
    assert_same_memories(whole[0], out)


def test_a_closed_gate_stops_the_run_with_advice(plain: dict[str, Any], tmp_path: Path) -> None:
    closed = config(plain, gates={"single": 1.0, "joint": 1.0}, solve={**plain["solve"], "steps": 1, "margin": 30.0})
    result = run_memory(closed, tmp_path / "a")
    assert result["status"] == "stopped" and not (tmp_path / "a/stages/joint").exists()
    assert "solve.lr" in result["gates"][0]["message"]
    assert run_memory(closed, tmp_path / "b", RunContext(gates=False))["status"] == "completed"


def test_another_config_in_the_same_folder_is_refused(
    whole: tuple[Path, dict[str, Any]], plain: dict[str, Any]
) -> None:
    with pytest.raises(RunError, match="under other conditions: the config"):
        run_memory(config(plain, seed=1), whole[0])


def test_a_memory_is_decoded_in_another_process_and_refused_by_another_model(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(whole[0], out)
    pair = sorted(path.name for path in (out / "memories").iterdir())[0]
    done = command("memory", "ask", str(out), pair, "--mode", "answer")
    assert done.returncode == 0, done.stderr
    card = json.loads((out / "memories" / pair / "memory.json").read_text())
    assert done.stdout == card["answer"] + "\n"
    other = {**card, "model_fingerprint": "0" * 64}
    other.pop(CHECKSUM)
    write_json(out / "memories" / pair / "memory.json", with_checksum(other))
    with pytest.raises(RunError, match="another model"):
        recall(out, pair, ("answer",))
    (out / "memories" / pair / "memory.json").write_text(json.dumps(card))
    memory = load_memory(out / "memories" / pair)
    first, second = memory.modes
    narrow = replace(memory, vectors=memory.vectors[:, 1:], modes=(first[:, 1:], second[:, 1:]))
    save_memory(out / "memories", narrow)
    with pytest.raises(RunError, match="is damaged: its vectors have 47 entries each, and its model reads 48"):
        recall(out, pair, ("answer",))
    with pytest.raises(RunError, match="no memory of a pair 'nobody'"):
        recall(out, "nobody", ("answer",))
    with pytest.raises(RunError, match="no memory of a pair"):
        recall(out, "../memories/" + pair, ("answer",))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"vectors": 0}, ConfigError, ("vectors", "greater than or equal to 1")),
        ({"vectors": 70}, DataError, ("can be used", "longest_question")),
        ({"ablations": {"vectors": [2, 90], "pairs": 2}}, ConfigError, ("ablations.vectors: 90", "context of")),
        (
            {"ablations": {"models": [{"name": "pretrained", "path": "nothing-here"}]}},
            ConfigError,
            ("ablations.models.0.path", "nothing-here"),
        ),
        (
            {"stages": ["baselines", "joint", "paraphrases"], "paraphrases": {"path": "nothing-here"}},
            DataError,
            ("paraphrases.path", "nothing-here"),
        ),
        ({"stages": ["generation"]}, ConfigError, ("joint",)),
        ({"stages": ["baselines", "joint", "paraphrases"]}, ConfigError, ("paraphrases.path",)),
        ({"stages": ["joint"]}, ConfigError, ("baselines",)),
        ({"pairs": {"name": "jsonl", "path": "no.jsonl"}}, DataError, ("no.jsonl",)),
        ({"model": {"name": "pretrained", "path": "nothing-here"}}, DataError, ("nothing-here",)),
        ({"modes": {"name": "words", "question": "A", "answer": "A"}}, ConfigError, ("different words",)),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_in_one_paragraph(plain: dict[str, Any], tmp_path: Path, changes, error, words) -> None:
    with pytest.raises(error) as caught:
        run_memory(config(plain, **changes), tmp_path / "run")
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_experiments_module_runs_a_memory_config(plain: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "memory.yaml"
    file.write_text(yaml.safe_dump({**plain, "count": 2, "stages": ["baselines", "joint"]}))
    command = [sys.executable, "-m", "experiments.run", "--experiment", "memory", "--config", str(file)]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and (tmp_path / "out/memories").is_dir() and "report.html" in done.stdout
