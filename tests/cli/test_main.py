"""How the program ends when it is interrupted or has too little memory."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.training.small_runs import ROOT, command, environment
from trimtab.cli.commands import app
from trimtab.errors import ConfigError


def program(script: str, *arguments: str) -> list[str]:
    """Run the command line after `script`, which can change what it does."""
    return [sys.executable, "-c", f"{script}\nimport sys; sys.argv = ['trimtab', *sys.argv[1:]]\n"
            "from trimtab.cli.main import main; main()", *arguments]  # fmt: skip


@pytest.mark.parametrize("raised", ["", "raise SystemError('bad call flags')"])
def test_an_interrupt_while_a_library_is_imported_is_one_line(tmp_path: Path, raised: str) -> None:
    body = "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    "
    (tmp_path / "torch.py").write_text(body + (raised or "raise") + "\n")
    done = subprocess.run(
        program(f"import sys; sys.path.insert(0, {str(tmp_path)!r})", "losses", "check"),
        env=environment(), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    script = "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nimport atexit\n"
    script += "from trimtab.cli.main import _Interrupt\n_Interrupt()\nos.kill(os.getpid(), signal.SIGINT)"
    done = subprocess.run(program(script, "--version"), env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_too_little_memory_is_one_line() -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({350 << 20}, {resource.RLIM_INFINITY}))"
    done = subprocess.run(
        program(limit, "losses", "check"), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("trimtab: There is not enough memory: ")
    assert "Traceback" not in done.stderr


def test_a_long_error_is_shortened() -> None:
    result = command("components", "x" * 20_000)
    assert result.returncode == 2 and len(result.stderr) < 2100 and "characters more" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "y" * 300], ["show", "y" * 300], ["show", "~nobody-of-this-name/x"], ["resume", ""], ["train", "--out", "y" * 300],
        ["train", "a\udcff", "--out", "b"], ["diff", "a\0b", "c"], ["evidence", "~nobody-of-this-name/x"],
        ["models", "ask", "a\udcff", "hi"], ["sample", ".", "--temperature", "nan"], ["baseline", "--minutes", "inf"],
        ["tokenizer", "train", "y" * 300], ["report", "y" * 300], ["memory", "show", "y" * 300, "x"],
    ],
)  # fmt: skip
def test_an_argument_that_names_nothing_is_refused_in_words(arguments: list[str]) -> None:
    error = CliRunner().invoke(app, arguments).exception
    assert isinstance(error, ConfigError) or (isinstance(error, SystemExit) and error.code == 2), error
