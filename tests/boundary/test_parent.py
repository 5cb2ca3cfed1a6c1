"""A process that ends with the one that started it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from trimtab.boundary import identity


def test_an_identity_is_of_one_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mine, other = identity(os.getpid()), identity(child.pid)
        assert mine is not None and mine == identity(os.getpid()) and other is not None and mine != other
        child.kill()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert identity(child.pid) is None  # ended, and its number is not free yet
    assert identity(child.pid) != other


CHILD = """
import os, sys, time
from trimtab.boundary import exit_with_parent
if sys.argv[3] == "late":
    time.sleep(1.0)
exit_with_parent(int(sys.argv[1]), sys.argv[2] or None)
os.write(1, b"goes on")
time.sleep(600)
"""

PARENT = """
import os, subprocess, sys, time
from trimtab.boundary import identity
me = "" if sys.argv[2] == "unknown" else identity(os.getpid())
child = subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid()), me, sys.argv[1]], stdout=subprocess.PIPE)
if sys.argv[1] == "early":
    child.stdout.read(7)
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("parent", ["known", "unknown"])
def test_a_child_ends_when_its_parent_is_killed_before_or_after_it_begins_to_watch(when: str, parent: str) -> None:
    command = [sys.executable, "-c", PARENT.format(child=CHILD), when, parent]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, until = int(done.stdout), time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "the child goes on without its parent"
        time.sleep(0.05)


def test_a_process_of_the_same_number_but_of_another_start_is_not_the_parent() -> None:
    command = [sys.executable, "-c", CHILD, str(os.getpid()), "1", "early"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and done.stdout == ""
