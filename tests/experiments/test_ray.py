"""The executor on Ray: real clusters of processes, real kills (slow tier). The results have the bytes of a run in this process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.experiments.searching.searches import SMALL as SEARCH
from tests.experiments.searching.searches import searched, written
from tests.experiments.specs import SMALL as EXPERIMENT
from tests.experiments.specs import spec
from tests.fork_server import Command
from tests.training.small_runs import environment, started
from trimtab.experiments import RunOptions, run_experiment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20})
nodes = []
print(cluster.address, flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] == "add":
        variables = dict(word.split("=") for word in words[1:])
        nodes.append(cluster.add_node(num_cpus=1, object_store_memory=80 << 20, env_vars=variables))
    else:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
    print("done", flush=True)
cluster.shutdown()
"""
"""A cluster of one node; `add` and `remove` change the number of its other nodes."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "disabled",
}
LONGER = {**SEARCH["run"], "episode": {**SEARCH["run"]["episode"], "steps": 200, "evaluate_every": 50}}


class Nodes:
    """A cluster in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**environment(), **QUIET, "RAY_TMPDIR": "/tmp"},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def do(self, words: str) -> None:
        """Add or remove a node."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self) -> None:
        """End the cluster, and whatever of it is left."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(60)
            assert self.process.stdout is not None
            self.process.stdout.close()
        finally:
            for child in children:
                if child.is_running():
                    child.kill()


@pytest.fixture
def cluster() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.end()


def begin(*arguments: str, executor: str = "ray", out: Path) -> Command:
    return started(*arguments, "--out", str(out), "--executor", executor, "--workers", "2", merged=True)


def waiting_for(process: Command, files: Path, size: int) -> Path:
    """The folder of a run that is at work and has so many bytes of steps."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, process.printed()
        for steps in files.rglob("steps.jsonl"):
            if steps.stat().st_size > size and not (steps.parent / "summary.json").exists():
                return steps.parent
        time.sleep(0.01)
    raise AssertionError(f"no run is at work:\n{process.printed()}")


def worker_processes() -> list[psutil.Process]:
    """The worker processes of Trimtab on this machine that Ray started."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any("ray_worker:run_or_probe" in word for word in process.info["cmdline"] or ()):
            found.append(process)
    return found


def test_kills_of_a_worker_a_node_and_the_driver_change_nothing(tmp_path: Path, cluster: Nodes) -> None:
    changes: dict[str, Any] = {"run": LONGER, "trials": 6, "parallel": 2}
    searched(tmp_path / "whole", **changes)
    cluster.do("add")
    file, executor = written(tmp_path / "s.yaml", **changes), f"ray:{cluster.address}"
    process = begin("search", str(file), executor=executor, out=tmp_path / "s")
    run = waiting_for(process, tmp_path / "s", 5_000)
    os.kill(int((run / ".lock").read_text().split()[0]), signal.SIGKILL)
    until = time.monotonic() + 60
    while "lost" not in process.printed():
        assert time.monotonic() < until, process.printed()
        time.sleep(0.05)
    waiting_for(process, tmp_path / "s", 5_000)
    cluster.do("remove")
    waiting_for(process, tmp_path / "s", 5_000)
    process.send_signal(signal.SIGKILL)
    process.finish(60)
    until = time.monotonic() + 60
    while worker_processes():
        assert time.monotonic() < until, "a worker goes on without its driver"
        time.sleep(0.1)
    done = begin("search", str(file), executor=executor, out=tmp_path / "s").finish(300)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "s/events.jsonl").read_bytes() == (tmp_path / "whole/events.jsonl").read_bytes()


def test_a_node_that_computes_other_bits_is_refused_by_name(tmp_path: Path, cluster: Nodes) -> None:
    """The node's processor is told to do without its vector instructions."""
    cluster.do("add ATEN_CPU_CAPABILITY=default")
    file = written(tmp_path / "s.yaml", parallel=2)
    done = begin("search", str(file), executor=f"ray:{cluster.address}", out=tmp_path / "s").finish(120)
    assert done.returncode == 2, done.stdout
    words = " ".join(done.stdout.split())
    assert f"The Ray node '{socket.gethostname()}' would compute other results than this machine" in words
    assert "cpu_capability" in words and "the results of the same products" in words


def test_a_local_instance_listens_on_loopback_only_and_leaves_nothing(tmp_path: Path) -> None:
    """An ordinary experiment: the executor is the same. Home is a folder of the test's own."""
    changes = {"episode": {**EXPERIMENT["episode"], "steps": 200}}
    file = tmp_path / "e.yaml"
    file.write_text(json.dumps({**EXPERIMENT, **changes}))
    run_experiment(spec(**changes), tmp_path / "whole", RunOptions())
    home = tmp_path / "home"
    home.mkdir()
    before = set(Path("/tmp").glob("tt-ray-*"))
    process = Command(
        "run", str(file), "--out", str(tmp_path / "e"), "--executor", "ray", "--workers", "2", "--pilot",
        cwd=Path.cwd(), env={**environment(), "HOME": str(home)}, merged=True,
    )  # fmt: skip
    waiting_for(process, tmp_path / "e", 5_000)
    family = psutil.Process(process.pid).children(recursive=True)
    listening = [
        connection.laddr.ip
        for one in family
        for connection in one.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening and all(ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1") for ip in listening)
    done = process.finish(300)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "e/verdicts.json").read_bytes() == (tmp_path / "whole/verdicts.json").read_bytes()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive
    assert set(Path("/tmp").glob("tt-ray-*")) == before
    assert not (home / ".ray").exists()


def test_an_address_that_does_not_answer_is_refused_in_seconds(tmp_path: Path) -> None:
    file = written(tmp_path / "s.yaml")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nothing answers
        address = f"127.0.0.1:{held.getsockname()[1]}"
        done = begin("search", str(file), executor=f"ray:{address}", out=tmp_path / "s").finish(30)
    assert done.returncode == 2 and f"--executor ray:{address}: nothing answers there" in " ".join(done.stdout.split())
    for executor, words in (
        ("ray:nowhere", "the address of a cluster is HOST:PORT, or auto"),
        ("processes:x:1", "'processes' runs on this machine and takes no address"),
    ):
        done = begin("search", str(file), executor=executor, out=tmp_path / "s").finish(60)
        assert done.returncode == 2 and words in " ".join(done.stdout.split())
