"""Invariants 7 and 8: no network, nothing unpickled; and one training loop."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.training.small_runs import ROOT, environment

SOURCE = ROOT / "src" / "trimtab"
FORBIDDEN = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}


def test_no_socket_is_opened(tmp_path: Path) -> None:
    script = f"""
import socket
def refuse(*arguments, **options):
    raise AssertionError("a socket was opened")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
from tests.training.small_runs import DECODER, config
from trimtab import fork, replay, resume, train
from trimtab.training.runs.sampling import sample_run
train(config("episode.sample.tokens=5", base=DECODER), {str(tmp_path / "run")!r})
resume({str(tmp_path / "run")!r})
fork({str(tmp_path / "run")!r}, 10, {str(tmp_path / "child")!r})
assert replay({str(tmp_path / "run")!r}).identical
sample_run({str(tmp_path / "run")!r}, prompt=None, options={{"tokens": 5}}, seed=0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_that_unpickles_is_called() -> None:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names} | {
                    (getattr(node, "module", None) or "").split(".")[0]
                }
                assert not names & FORBIDDEN, path
            if isinstance(node, ast.Call):
                text = ast.unparse(node.func)
                assert text not in {"torch.load", "torch.save", "yaml.load", "eval", "exec"}, f"{path}:{node.lineno}"
                if text.endswith("load") and any(k.arg == "allow_pickle" for k in node.keywords):
                    raise AssertionError(f"{path}:{node.lineno}")


def test_backward_passes_are_only_in_the_known_places() -> None:
    """A backward pass stands with the trainer, in the straightforward loops that it and the memory engine are measured against, and
    where a loss is fitted to a known distribution without any model. The engine's own goes through `autograd.backward`."""
    places, given = set(), set()
    for path in SOURCE.rglob("*.py"):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(SOURCE).as_posix()
        if ".backward()" in text:
            places.add(name)
        if "autograd.backward(" in text:
            given.add(name)
    assert places == {
        "training/loop/passes.py",
        "bench/peer.py",
        "bench/reference.py",
        "bench/reference_memory.py",
        "losses/propriety.py",
    }
    assert given == {"memory/engine/network.py"}
