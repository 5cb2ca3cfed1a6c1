"""Functions that `run_limited` runs in the tests: this file imports nothing of Trimtab."""

import os
import signal
import sys


def double(value):
    return {"twice": value * 2}


def forever():
    while True:
        pass


def fill_memory():
    return len(bytearray(1 << 40))


def grow():
    text = "x"
    while True:
        text += text


def long_text(length):
    return "é" * length


def recurse():
    return recurse()


def fail():
    raise ValueError("a \x1b[2Jbad\n" + "x" * 10_000)


def missing_key():
    return {}["heads"]


def leave(code):
    sys.exit(code)


def crash():
    os.abort()


def chatter():
    os.write(2, b"panic " * 10_000)
    raise RuntimeError("after much talk")


def write_file(path):
    with open(path, "wb") as file:
        file.write(bytes(1 << 20))


def imported(name):
    return __import__(name).__name__


def interrupted():
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def import_path():
    return sys.path
