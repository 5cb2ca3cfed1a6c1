"""`trimtab chaos` on a real run."""

import json
import signal
from pathlib import Path

import pytest

from tests.training.small_runs import DECODER, command, config, started
from trimtab.training import RunContext, train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("chaos") / "run"
    train(config("episode.optimizer.lr=0.02", base=DECODER), out, RunContext())
    return out


SHORT = ("--steps", "6", "--discard", "2", "--copies", "2")


def test_it_measures_tells_and_writes(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "chaos"
    done = command("chaos", str(run), "--at", "12", *SHORT, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "Largest Lyapunov exponent after step 12" in done.stdout and "perturbed copies: 56 steps" in done.stderr
    assert {path.name for path in out.iterdir()} == {"chaos.json", "divergence.svg", "divergence.png"}
    told = json.loads((out / "chaos.json").read_text())
    assert (told["at"], told["steps"], told["epsilon"], len(told["copies"])) == (12, 6, 1e-5, 2)

    again = command("chaos", str(run), "--at", "12", *SHORT, "--out", str(tmp_path / "json"), "--json")
    assert json.loads(again.stdout)["exponent"] == told["exponent"]

    refused = command("chaos", str(run), "--at", "12", *SHORT, "--out", str(out))
    assert refused.returncode == 2 and "Choose another --out" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--at", "30"), ["0 steps left"]),
        (("--at", "12", "--epsilon", "0"), ["--epsilon"]),
        (("--at", "12", "--epsilon", "-1e-5"), ["--epsilon"]),
        (("--at", "0"), ["--at"]),
    ],
)
def test_bad_input_is_one_paragraph(run: Path, tmp_path: Path, arguments: tuple[str, ...], words: list[str]) -> None:
    done = command("chaos", str(run), *arguments, "--steps", "2", "--discard", "0", "--out", str(tmp_path / "out"))
    assert done.returncode == 2 and done.stdout == "" and "\n" not in done.stderr.strip()
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "out").exists()


def test_no_such_run(tmp_path: Path) -> None:
    done = command("chaos", str(tmp_path / "none"), "--at", "1", "--out", str(tmp_path / "out"))
    assert done.returncode == 2 and str(tmp_path / "none") in done.stderr


def test_ctrl_c_writes_nothing(run: Path, tmp_path: Path) -> None:
    many = ["--at", "1", "--steps", "20", "--discard", "2", "--copies", "60"]
    process = started("chaos", str(run), *many, "--out", str(tmp_path / "out"))
    while "\nperturbed copies " not in process.printed():
        assert process.poll(0.05) is None, process.printed()
    process.send_signal(signal.SIGINT)
    done = process.finish(60)
    assert done.returncode == 130
    assert "Nothing was written" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
