"""The program in tmux, driven by keys as a person presses them."""

import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


class Tmux:
    """A tmux server of its own with one pane."""

    def __init__(self, command: str) -> None:
        self.name = f"trimtab-{uuid.uuid4().hex[:8]}"
        self.run("-f", "/dev/null", "new-session", "-d", "-s", "a", "-x", "120", "-y", "36", command)

    def run(self, *arguments: str) -> str:
        return subprocess.run(["tmux", "-L", self.name, *arguments], check=True, capture_output=True, text=True).stdout

    def screen(self) -> str:
        return self.run("capture-pane", "-p", "-t", "a")

    def press(self, *keys: str) -> None:
        self.run("send-keys", "-t", "a", *keys)

    def wait_for(self, words: str) -> str:
        until = time.monotonic() + 90
        while words not in (text := self.screen()):
            assert time.monotonic() < until, text
            time.sleep(0.1)
        return text


@pytest.fixture
def tmux(demo_runs: Path) -> Iterator[Tmux]:
    program = shlex.join([sys.executable, "-P", "-m", "trimtab.cli.main", "hud", str(demo_runs)])
    pane = Tmux(f"unset COLUMNS LINES; {program}; echo ended with $?; sleep 600")
    pane.wait_for("RUNS")
    for _ in range(60):  # a key among the terminal's answers to the program's first questions may be lost
        pane.press("?")
        time.sleep(1)
        if "Keys on the screen" in pane.screen():
            break
    pane.press("Escape")
    pane.wait_for("RUNS")
    time.sleep(1)
    yield pane
    pane.run("kill-server")


def test_screens_filters_and_resizes_in_tmux(tmux: Tmux) -> None:
    tmux.press("/")
    tmux.press("-l", "status:running")
    tmux.wait_for("No runs in")
    tmux.press("Escape")
    tmux.wait_for("routes")
    tmux.press("Enter")
    tmux.wait_for("SHARES OF THE BLOCKS")
    tmux.run("resize-window", "-t", "a", "-x", "80", "-y", "24")
    text = tmux.wait_for("PLAN")
    assert max(map(len, text.splitlines())) <= 80
    tmux.press("?")
    tmux.wait_for("Keys on the screen RUN")
    tmux.press("q")
    tmux.wait_for("AGREEMENT")
    tmux.press("q")
    text = tmux.wait_for("ended with 0")
    assert "LOSS" not in text


def test_a_value_typed_in_tmux_arrives_whole_and_is_judged(tmux: Tmux) -> None:
    tmux.press("3")
    tmux.wait_for("0 changed  ✓ valid")
    tmux.press("/")
    tmux.press("-l", "steps")
    tmux.wait_for("\n steps")
    tmux.press("Enter")
    tmux.press("Enter")
    tmux.wait_for("\n 1000")
    tmux.press("C-u")
    tmux.press("-l", "10_000_000_000x")
    tmux.wait_for("it should be a whole number")
    tmux.press("BSpace")
    tmux.press("Enter")
    tmux.wait_for("--set episode.steps=10000000000")
