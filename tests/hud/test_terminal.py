"""The program in a real terminal: what it leaves behind when it ends, and what it draws there."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MOUSE_ON = re.compile(rb"\x1b\[\?(1000|1002|1003|1006|1015)h")


class Terminal:
    """A terminal with the program in it, in a session of its own."""

    def __init__(
        self, arguments: list[str], size: tuple[int, int] = (120, 36), environment: dict[str, str] | None = None
    ) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        # COLUMNS and LINES, which parallel test runs export, would override the size of the terminal.
        own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        values = {**own, "TERM": "xterm-256color", **(environment or {})}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "trimtab.cli.main", "hud", *arguments],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True, env=values,
        )  # fmt: skip

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float = 0.2) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and select.select([self.master], [], [], left)[0]:
            self.output += os.read(self.master, 65536)

    def wait_for(self, text: bytes, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < until, self.output[-2000:]
            assert self.process.poll() is None, self.output[-2000:]
            self.read()

    def wait_until_keys_arrive(self) -> None:
        """A key among the terminal's answers to the program's first questions may be lost, so ask for help until it comes."""
        until = time.monotonic() + 60
        while b"Keys on the screen" not in self.output:
            assert time.monotonic() < until, self.output[-2000:]
            os.write(self.master, b"?")
            self.read(1.0)
        self.read(1.0)
        os.write(self.master, b"\x1b")
        self.read(1.0)

    def wait_for_end(self) -> int:
        until = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < until
            self.read()
        self.read()
        return self.process.wait()

    def is_restored(self) -> bool:
        """Whether the settings are those from before, and every mode that was switched on was switched off after it."""
        if termios.tcgetattr(self.slave) != self.before:
            return False
        for mode in (b"1000", b"1002", b"1003", b"1006", b"1015", b"1049", b"2004"):
            on, off = (self.output.rfind(b"\x1b[?" + mode + end) for end in (b"h", b"l"))
            if on > off:
                return False
        return self.output.rfind(b"\x1b[?25h") > self.output.rfind(b"\x1b[?25l")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, b"q"])
def test_the_terminal_is_as_before_whatever_ends_the_program(demo_runs: Path, end: signal.Signals | bytes) -> None:
    terminal = Terminal([str(demo_runs)])
    try:
        terminal.wait_for(b"routes")
        assert MOUSE_ON.search(terminal.output)
        assert not terminal.is_restored()
        if isinstance(end, bytes):
            terminal.wait_until_keys_arrive()
            os.write(terminal.master, end)
        else:
            terminal.process.send_signal(end)
        code = terminal.wait_for_end()
        assert code == (0 if isinstance(end, bytes) else 128 + end)
        assert terminal.is_restored()
    finally:
        terminal.close()


def test_keys_and_resizes_in_a_real_terminal(demo_runs: Path) -> None:
    terminal = Terminal([str(demo_runs)])
    try:
        terminal.wait_for(b"routes")
        terminal.wait_until_keys_arrive()
        os.write(terminal.master, b"\r")
        terminal.wait_for(b"SHARES OF THE BLOCKS")
        terminal.resize(50, 10)
        os.killpg(terminal.process.pid, signal.SIGWINCH)
        terminal.wait_for(b"routes, thinking, completed")
        os.write(terminal.master, b"q")
        assert terminal.wait_for_end() == 0
    finally:
        terminal.close()


def test_the_demo_plays_and_removes_its_folder(tmp_path: Path) -> None:
    terminal = Terminal(["--demo", "--speed", "30"], environment={"TMPDIR": str(tmp_path)})
    try:
        terminal.wait_for(b"RUNNING")
        terminal.wait_for(b"COMPLETED")
        os.write(terminal.master, b"q")
        assert terminal.wait_for_end() == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        terminal.close()


def test_without_colours_states_are_told_apart_by_characters(demo_runs: Path) -> None:
    terminal = Terminal([str(demo_runs), "--glyphs", "ascii"], environment={"NO_COLOR": "1", "TERM": "xterm"})
    try:
        terminal.wait_for(b"routes")
        terminal.read(1.0)
        text = re.sub(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]", b"", terminal.output)
        assert b"+ routes" in text
        terminal.wait_until_keys_arrive()
        os.write(terminal.master, b"q")
        assert terminal.wait_for_end() == 0
    finally:
        terminal.close()
