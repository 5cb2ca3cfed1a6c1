"""The environment of a run: machine, versions and code, on which its numbers may depend."""

import functools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from trimtab.records.hashing import package_source_hash
from trimtab.records.values import flatten, same
from trimtab.version import __version__

NUMERIC_KEYS = frozenset(
    {
        "torch",
        "machine",
        "cpu",
        "cpu_capability",
        "cpu_features",
        "threads",
        "precision",
        "device",
        "gpu",
        "mkldnn",
        "mkl",
        "matmul_precision",
        "variables",
    }
)
"""The keys of `environment` that can change the bits of a run. Not among them: Python and numpy, which compute no weights,
`thread_variables`, whose effect is `threads`, and `source_hash`, which is compared by itself because it names a change
of code and not of machine."""

_FEATURES = re.compile(r"sse4_[12]|avx\w*|fma|f16c|amx_\w+|asimd\w*|sve\w*|bf16|i8mm")
_THREAD_VARIABLES = re.compile(r"(OMP|KMP|GOMP)_\w+|OPENBLAS_NUM_THREADS|MKL_(NUM_THREADS|DYNAMIC)")
_NUMERIC_VARIABLES = re.compile(
    r"(MKL|ONEDNN|DNNL|ATEN|CUBLAS|CUDNN|NVIDIA_TF32|TORCH_ALLOW_TF32|PYTORCH_MPS)_\w+|OPENBLAS_CORETYPE"
)


def environment(threads: int, precision: str, device: str) -> dict[str, Any]:
    """The value of `environment` in a manifest, JSON-ready; `NUMERIC_KEYS` are the keys that can change bits.

    `threads`, `precision` and `device` ("cpu", "cuda", "cuda:1", "mps") are those in force, `auto` resolved. Imports torch.
    """
    import numpy as np
    import torch

    variables = sorted(os.environ.items())
    flags = (_cpu_field("flags") or _cpu_field("Features") or "").split()
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "trimtab": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "cpu": _cpu_field("model name") or _mac_cpu() or platform.processor() or "unknown",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_features": sorted(flag for flag in flags if _FEATURES.fullmatch(flag)),
        "cores": os.cpu_count(),
        "threads": threads,
        "precision": precision,
        "device": device,
        "gpu": _gpu(device) if device.startswith("cuda") else None,
        "mkldnn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),  # type: ignore[no-untyped-call]
        "mkl": bool(torch.backends.mkl.is_available()),  # type: ignore[no-untyped-call]
        "matmul_precision": torch.get_float32_matmul_precision(),
        "variables": {
            name: value
            for name, value in variables
            if _NUMERIC_VARIABLES.fullmatch(name) and not _THREAD_VARIABLES.fullmatch(name)
        },
        "thread_variables": {name: value for name, value in variables if _THREAD_VARIABLES.fullmatch(name)},
        "source_hash": package_source_hash(),
    }


def environment_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The keys in which two environments differ, dotted, with both values (None where one has none), in the order of `a`."""
    first, second = dict(flatten(a)), dict(flatten(b))
    keys = dict.fromkeys([*first, *second])
    pairs = [(key, first.get(key), second.get(key)) for key in keys if not same(first.get(key), second.get(key))]
    return [(key, x, y) for key, x, y in pairs if x not in (None, {}) or y not in (None, {})]


def numeric_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Those of `environment_differences` that can change the bits of a run."""
    return [difference for difference in environment_differences(a, b) if difference[0].split(".")[0] in NUMERIC_KEYS]


def git_state(folder: str | Path) -> tuple[str | None, bool | None]:
    """The commit of the checkout that `folder` belongs to, and whether tracked files differ from it.

    (None, None) where there is none: no git program, no repository, no commit, or a folder that its repository does not
    track (a package installed into a virtual environment inside somebody's checkout).
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or not _git(folder, "ls-files", "--", "."):
        return None, None
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if status is None else status != ""


@functools.cache
def code_state() -> tuple[str | None, bool | None]:
    """`git_state` of the checkout that Trimtab's code came from, when this process first asked: it runs what it has imported."""
    return git_state(Path(__file__).parent)


def rss_mb() -> float:
    """The resident memory of this process now, in MiB."""
    return float(psutil.Process().memory_info().rss / 2**20)


def peak_rss_mb() -> float:
    """The highest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage's figure outlives exec: it would report a large parent's
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _git(folder: str | Path, *arguments: str) -> str | None:
    # a hook's GIT_DIR would answer for another repository
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            env={**clean, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def _cpu_field(name: str) -> str | None:
    """The first processor's `name` in /proc/cpuinfo; None elsewhere than on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return None
    for line in cpuinfo.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _mac_cpu() -> str | None:
    if sys.platform != "darwin":
        return None
    done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _gpu(device: str) -> dict[str, Any]:
    import torch

    version = Path("/proc/driver/nvidia/version")
    driver = re.search(r"(\d+\.\d+(\.\d+)?)", version.read_text()) if version.exists() else None
    return {
        "name": torch.cuda.get_device_name(device),
        "capability": list(torch.cuda.get_device_capability(device)),
        "driver": driver[1] if driver else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }
