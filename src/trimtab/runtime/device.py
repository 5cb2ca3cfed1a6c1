"""Where the numbers are made: device, precision and threads, resolved once at the start."""

import ctypes
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, cast

import torch

from trimtab.errors import ConfigError
from trimtab.records.cpus import physical_cores, usable_cpus

Precision = Literal["bf16", "fp32"]


@dataclass(frozen=True)
class Hardware:
    """The device, the number of CPU threads and the precision of a run."""

    device: str
    threads: int
    precision: Precision


def resolve_hardware(device: str, threads: int | str, precision: str) -> Hardware:
    """Replace `auto` by what this machine has, so that the records hold what was used.

    Raises `ConfigError` for a device that is not there.
    """
    device = resolve_device(device)
    if precision == "auto":
        precision = "bf16" if has_native_bf16(device) else "fp32"
    return Hardware(device, threads if isinstance(threads, int) else physical_cores(), cast(Precision, precision))


def resolve_device(device: str) -> str:
    """`auto` as cuda if there is one, else cpu. Raises `ConfigError` for a device that is not there."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return "cuda" if available["cuda"] else "cpu"
    if not available[device]:
        raise ConfigError(
            f"device: {device} was requested, and this machine (or this build of torch {torch.__version__}) has none. "
            "Set device to cpu or auto."
        )
    return device


def check_threads(threads: int | str) -> None:
    """Raise `ConfigError` for more threads than this process has CPUs.

    For a number that the user sets now; the number that a recorded run used on another machine is not checked.
    """
    usable = usable_cpus()
    if isinstance(threads, int) and threads > usable:
        raise ConfigError(
            f"threads: {threads} threads were requested, and this process may use {usable} CPU{'s' if usable > 1 else ''} (CPU "
            f"affinity and container quota). More threads than CPUs wait for each other. Set at most {usable}, or auto."
        )


def has_native_bf16(device: str) -> bool:
    """Whether the hardware multiplies bf16 natively (AVX512-BF16 or AMX on a CPU, Ampere or later on CUDA)."""
    if device == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def set_numerics(device: str, threads: int) -> None:
    """Fix what results depend on bit for bit: the number of CPU threads, and on CUDA deterministic kernels.

    An operation that has no deterministic CUDA kernel still runs, with torch's warning that names it.
    """
    torch.set_num_threads(threads)
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
GLIBC_MOST = (64 << 20, 32 << 20)
"""The trim and mmap thresholds at which glibc's own dynamic adjustment settles for large programs (mallopt(3))."""


def keep_freed_memory(trim: int = 1 << 30, mmap: int = 32 << 20) -> bool:
    """Let the C library keep freed memory for the next step instead of returning it to the system.

    A training step frees and takes the same few hundred megabytes again; under glibc's thresholds each step then pays
    some 100,000 page faults. The arguments are `mallopt`'s trim and mmap thresholds in bytes. Changes no result and not
    the peak. Returns False where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_M_TRIM_THRESHOLD, trim) and library.mallopt(_M_MMAP_THRESHOLD, mmap))


def apply_precision(model: torch.nn.Module, precision: str) -> None:
    """Tell a model that manages its own compute precision (`compute_dtype`) which one to use."""
    if hasattr(model, "compute_dtype"):
        setattr(model, "compute_dtype", torch.bfloat16 if precision == "bf16" else None)  # noqa: B010


def autocast(model: torch.nn.Module, device: str, precision: str) -> torch.autocast | nullcontext[None]:
    """bf16 autocast for a model that does not manage its own compute precision; nothing otherwise."""
    if precision == "bf16" and not hasattr(model, "compute_dtype"):
        return torch.autocast(device, dtype=torch.bfloat16)
    return nullcontext()
