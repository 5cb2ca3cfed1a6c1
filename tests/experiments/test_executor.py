"""Worker processes."""

import subprocess

import psutil
import pytest

from trimtab.experiments.executor import Worker


@pytest.mark.parametrize("users", [None, "ACTIVE"])
def test_a_workers_idle_threads_sleep_unless_the_user_says_otherwise(
    users: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if users is None:
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", users)
    worker = Worker(subprocess.DEVNULL)
    try:
        assert psutil.Process(worker.process.pid).environ()["OMP_WAIT_POLICY"] == (users or "PASSIVE")
    finally:
        worker.close()
