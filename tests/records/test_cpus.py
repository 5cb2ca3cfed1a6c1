"""How many CPUs a process may use."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.records.cpus import cpu_quota, physical_cores, usable_cpus

V2 = "0::/outer/inner\n"
V1 = "12:memory:/a\n4:cpu,cpuacct:/docker/xyz\n0::/\n"


def machine(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, content in {"proc/self/cgroup": groups, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        (V2, {"sys/fs/cgroup/outer/inner/cpu.max": "150000 100000\n"}, 1.5),
        (V2, {"sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n", "sys/fs/cgroup/outer/cpu.max": "50000 100000\n"}, 0.5),
        (V2, {"sys/fs/cgroup/outer/inner/cpu.max": "400000 100000", "sys/fs/cgroup/outer/cpu.max": "200000 100000"}, 2.0),
        (V2, {"sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3.0),  # in a container, under the path of the host
        ("0::/../sibling\n", {"sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1.0),
        (V2, {"sys/fs/cgroup/outer/inner/cpu.max": "max 100000\n"}, None),
        (V2, {}, None),
        (V1, {f"sys/fs/cgroup/cpu,cpuacct/docker/xyz/cpu.cfs_{key}_us": text for key, text in (("quota", "250000\n"), ("period", "100000\n"))}, 2.5),
        (V1, {f"sys/fs/cgroup/cpu/cpu.cfs_{key}_us": text for key, text in (("quota", "50000\n"), ("period", "100000\n"))}, 0.5),
        (V1, {f"sys/fs/cgroup/cpu/cpu.cfs_{key}_us": text for key, text in (("quota", "-1\n"), ("period", "100000\n"))}, None),
        (V2, {"sys/fs/cgroup/outer/inner/cpu.max": "nonsense\n"}, None),
        (V2, {"sys/fs/cgroup/outer/inner/cpu.max": "0 0\n"}, None),
        ("nonsense", {}, None),
    ],
)  # fmt: skip
def test_the_smallest_quota_of_a_group_and_those_above_it(
    tmp_path: Path, groups: str, files: dict[str, str], quota: float | None
) -> None:
    assert cpu_quota(machine(tmp_path, groups, files)) == quota


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None
    assert usable_cpus(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("quota", "usable", "cores"), [(0.2, 1, 1), (1.0, 1, 1), (1.5, 2, 1), (1000.0, None, None)])
def test_automatic_threads_are_whole_cpus_of_the_quota(
    tmp_path: Path, quota: float, usable: int | None, cores: int | None
) -> None:
    root = machine(tmp_path, V2, {"sys/fs/cgroup/cpu.max": f"{int(quota * 100_000)} 100000\n"})
    nothing = tmp_path / "nothing"
    allowed = usable_cpus(nothing)
    assert usable_cpus(root) == (allowed if usable is None else min(usable, allowed))
    assert physical_cores(root) == (physical_cores(nothing) if cores is None else cores)


def test_a_real_group_with_a_quota() -> None:
    """Makes a control group, enters it in a process of its own and leaves it; skipped where that is not allowed."""
    root = Path("/sys/fs/cgroup")
    v2 = (root / "cgroup.controllers").exists()
    group = (root if v2 else root / "cpu") / f"trimtab-test-{os.getpid()}"
    try:
        group.mkdir()
        if v2:
            (group / "cpu.max").write_text("50000 100000")
        else:
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text("50000")
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    script = (
        "import os, sys\nopen(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "from trimtab.records.cpus import cpu_quota, physical_cores\nprint(cpu_quota(), physical_cores())"
    )
    try:
        done = subprocess.run([sys.executable, "-c", script, str(group)], capture_output=True, text=True, check=False)
        assert done.stdout == "0.5 1\n", done.stderr
    finally:
        group.rmdir()
