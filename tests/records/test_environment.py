import json
import mmap
import os
import shutil
import subprocess
import sys

import pytest
import torch

from trimtab.records import (
    NUMERIC_KEYS,
    environment,
    environment_differences,
    numeric_differences,
    package_source_hash,
    peak_rss_mb,
    rss_mb,
)
from trimtab.records.environment import git_state


def test_environment_says_what_numbers_depend_on(monkeypatch):
    prefixes = ("OMP_", "MKL_", "ONEDNN_", "DNNL_", "ATEN_", "OPENBLAS_", "CUBLAS_", "CUDNN_", "NVIDIA_", "TORCH_")
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("MKL_NUM_THREADS", "2")
    result = environment(2, "bf16", "cpu")
    assert result["torch"] == torch.__version__ and result["python"].split(".")[0] == "3"
    assert (result["threads"], result["precision"], result["device"], result["gpu"]) == (2, "bf16", "cpu", None)
    assert result["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert result["cpu_features"] == sorted(result["cpu_features"])
    assert result["variables"] == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert result["thread_variables"] == {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"} | result["thread_variables"]
    assert result["source_hash"] == package_source_hash()
    assert set(result) >= NUMERIC_KEYS
    assert json.loads(json.dumps(result)) == result


def test_an_environment_equals_itself_read_back():
    result = environment(2, "fp32", "cpu")
    assert environment_differences(result, json.loads(json.dumps(environment(2, "fp32", "cpu")))) == []


def test_differences_name_keys_and_both_values():
    a = {"torch": "2.13.0", "threads": 2, "python": "3.11.7", "variables": {}, "gpu": None}
    b = {"torch": "2.13.0", "threads": 4, "python": "3.12.1", "variables": {"MKL_CBWR": "AVX2"}, "gpu": None}
    expected = [("threads", 2, 4), ("python", "3.11.7", "3.12.1"), ("variables.MKL_CBWR", None, "AVX2")]
    assert environment_differences(a, b) == expected
    assert numeric_differences(a, b) == [expected[0], expected[2]]


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git program")
def test_git_state_of_a_checkout(tmp_path, monkeypatch):
    assert git_state(tmp_path) == (None, None)
    git(tmp_path, "init")
    assert git_state(tmp_path) == (None, None)  # no commit yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "one")
    commit, dirty = git_state(tmp_path)
    assert commit is not None and len(commit) == 40 and dirty is False
    (tmp_path / "untracked").write_text("1")
    assert git_state(tmp_path) == (commit, False)
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == (commit, True)
    installed = tmp_path / ".venv" / "lib"
    installed.mkdir(parents=True)
    assert git_state(installed) == (None, None)  # inside the checkout, but not of it
    assert git_state(tmp_path / "none") == (None, None)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    (tmp_path.parent / "elsewhere").mkdir()
    assert git_state(tmp_path.parent / "elsewhere") == (None, None)


def test_git_state_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(".") == (None, None)


def test_memory_is_measured_in_mib():
    before = rss_mb()
    block = mmap.mmap(-1, 64 << 20)  # from the system itself: the C library may still hold freed memory
    for page in range(0, len(block), mmap.PAGESIZE):
        block[page] = 1
    assert 40 < rss_mb() - before < 200
    assert peak_rss_mb() >= rss_mb() * 0.9
    del block
    assert peak_rss_mb() >= before + 40


def test_a_child_does_not_report_its_parents_peak():
    block = b"x" * (200 << 20)
    done = subprocess.run(
        [sys.executable, "-c", "from trimtab.records import peak_rss_mb; print(peak_rss_mb())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(block) and float(done.stdout) < 150


def test_the_floor_starts_without_torch():
    program = "import sys, trimtab.records, trimtab.reports.curves; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "tensorboard"} & {*done.stdout.split()}
