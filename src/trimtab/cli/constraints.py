"""Print a constraints file: the installed version of every dependency, or the lowest one that pyproject.toml allows."""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

_PLATFORM = re.compile(r"^(nvidia-|triton$|cuda-)")
"""Parts of a CUDA build. Not pinned, because they depend on the machine."""


def closure(root: str = "trimtab", extras: frozenset[str] = frozenset({"dev"})) -> dict[str, str]:
    """Name and version of every distribution that `root` with `extras` needs here, itself left out.

    Raises `PackageNotFoundError` when `root` itself is not installed.
    """
    versions: dict[str, str] = {}
    pending = [(root, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        name, wanted = pending.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            installed: Distribution = distribution(name)
        except PackageNotFoundError:
            if name == root:
                raise
            continue  # needed on another platform only
        if canonical(name) != canonical(root):
            versions[canonical(name)] = installed.version.partition("+")[0]
        for text in installed.requires or ():
            requirement = Requirement(text)
            environments = [{"extra": extra} for extra in (*wanted, "")]
            if requirement.marker is None or any(requirement.marker.evaluate(env) for env in environments):
                pending.append((requirement.name, frozenset(requirement.extras)))
    return {name: version for name, version in sorted(versions.items()) if not _PLATFORM.match(name)}


def lowest(root: str = "trimtab", leaving_out: str = "dev") -> dict[str, str]:
    """The lower bound of every dependency of `root`, including its extras except `leaving_out`."""
    requirements = [Requirement(text) for text in distribution(root).requires or ()]
    return {
        canonical(requirement.name): bound.version
        for requirement in requirements
        for bound in requirement.specifier
        if bound.operator == ">=" and f'extra == "{leaving_out}"' not in str(requirement.marker)
    }


def canonical(name: str) -> str:
    """A distribution's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print the file; with `--lowest`, the lower bounds."""
    if "--lowest" in sys.argv:
        print("\n".join(f"{name}=={version}" for name, version in lowest().items()))
        return
    print("# The whole closure of '.[dev]', pinned. Written by `make lock`; do not edit by hand.")
    print("# A CUDA build of torch brings libraries of its own (nvidia-*, triton): they are not pinned here.")
    for name, version in closure().items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
