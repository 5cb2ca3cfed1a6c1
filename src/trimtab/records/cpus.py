"""How many CPUs this process may use: its affinity, and the quota of its control group (containers)."""

import math
import os
from pathlib import Path

import psutil


def usable_cpus(root: Path = Path("/")) -> int:
    """The CPUs that this process may use at once: those of its affinity, at most its CPU quota rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def physical_cores(root: Path = Path("/")) -> int:
    """The physical cores that this process may use, no more than its quota has whole ones."""
    quota = cpu_quota(root)
    whole = math.inf if quota is None else max(1, math.floor(quota))
    usable = usable_cpus(root)
    return int(min(usable, psutil.cpu_count(logical=False) or usable, whole))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The smallest CPU quota, in CPUs, of this process's control group and those above it; None where there is none.

    Reads `cpu.max` of version 2 and `cpu.cfs_quota_us` of version 1, under `root`.
    """
    mounted = root / "sys/fs/cgroup"
    quotas = []
    for controllers, path in _groups(root / "proc/self/cgroup"):
        if not controllers:  # version 2
            quotas += [_of_version_2(folder) for folder in _upwards(mounted, path)]
        elif "cpu" in controllers.split(","):
            for mount in dict.fromkeys((controllers, "cpu")):
                quotas += [_of_version_1(folder) for folder in _upwards(mounted / mount, path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _groups(file: Path) -> list[tuple[str, str]]:
    """The controllers and the path of each control group in a `/proc/PID/cgroup`."""
    lines = [line.split(":", 2) for line in _text(file).splitlines()]
    return [(parts[1], parts[2]) for parts in lines if len(parts) == 3]


def _upwards(mount: Path, path: str) -> list[Path]:
    """The folder of a control group and those above it, as far as the mount.

    In a container the path is often the host's, of which only the mount itself is there.
    """
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return [mount.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _of_version_2(folder: Path) -> float | None:
    return _ratio(*_text(folder / "cpu.max").split()[:2])


def _of_version_1(folder: Path) -> float | None:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str = "", period: str = "") -> float | None:
    """Quota over period; None for `max`, -1 and anything that is not a number."""
    try:
        cpus = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cpus if cpus > 0 else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
