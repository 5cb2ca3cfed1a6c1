"""Comparing the records of a run with the hashes that the run wrote, to find changes made afterwards."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from trimtab.boundary import printable
from trimtab.errors import RunError
from trimtab.records.atomic import write_json
from trimtab.records.checkpoints import states
from trimtab.records.hashing import Seal, seal_of
from trimtab.records.manifest import Summary, read_object, with_checksum, without_checksum
from trimtab.records.problems import problems_of

SEALS = "seals.json"
"""The hashes of the parts of a memory run that have ended."""

_SEALS = TypeAdapter(dict[str, Seal])


def altered(folder: str | Path, summary: Summary | None) -> list[str]:
    """The files that were changed after the run in `folder` wrote them, one phrase for each; [] where every hash fits.

    The `summary` of a run that has ended has the hash of every file of records. Of a run that has not ended, the rows up to its
    newest checkpoint are compared (of a memory run, up to the newest one of each stage), because later rows have no hash yet.
    Reads these files whole.
    """
    folder = Path(folder)
    if summary is not None:
        return differing(folder, summary.records)
    ended = read_seals(folder)
    changed = differing(folder, ended)
    for place in (folder, *sorted({path.parent for path in folder.glob("stages/**/checkpoints")})):
        newest = next(states(place / "checkpoints"), None)
        if newest is not None:
            rows = {(place.relative_to(folder) / name).as_posix(): seal for name, seal in newest.records.items()}
            changed += differing(folder, {name: rows[name] for name in rows if name not in ended}, whole=False)
    return changed


def read_seals(folder: Path) -> dict[str, Seal]:
    """The hashes of the parts of a memory run that have ended, by their path within `folder`; {} where there are none yet.

    Raises `RunError` where the file is damaged.
    """
    path = folder / SEALS
    if not path.exists():
        return {}
    content = without_checksum(
        read_object(path, "list of hashes", "the run has not started"), f"The list of hashes {path}"
    )
    try:
        return _SEALS.validate_python(content)
    except ValidationError as error:
        raise RunError(
            f"The list of hashes {path} is damaged: {problems_of(error)}. Restore it from a copy."
        ) from error


def write_seals(folder: Path, seals: Mapping[str, Seal]) -> None:
    """Write what `read_seals` reads. Raises `WorkError` when the disk refuses."""
    write_json(folder / SEALS, with_checksum({name: seal.model_dump() for name, seal in seals.items()}))


def differing(folder: Path, seals: Mapping[str, Seal], *, whole: bool = True) -> list[str]:
    """The files below `folder` whose content is not what `seals` says, one phrase each.

    With `whole` a file must end where its seal does; without, only its beginning is compared.
    """
    changed = []
    for name, then in seals.items():
        path, shown = folder / name, printable(name)
        if not _is_below(name):
            changed.append(f"{shown} is not a file of the run")
            continue
        try:
            now = seal_of(path, None if whole else then.bytes)
        except FileNotFoundError:
            if then.bytes or whole:
                changed.append(f"{shown} is missing ({then.bytes:,} bytes were written)")
            continue
        except OSError as error:
            changed.append(f"{shown} cannot be read ({error.strerror})")
            continue
        if now != then:
            length = f"{now.bytes:,} bytes, {then.bytes:,} were written" if now.bytes != then.bytes else "other content"
            changed.append(f"{shown} is not what the run wrote ({length})")
    return changed


def _is_below(name: str) -> bool:
    path = Path(name)
    return bool(name) and "\0" not in name and not path.is_absolute() and ".." not in path.parts


def altered_warning(folder: str | Path, phrases: list[str]) -> str:
    """A warning made of the phrases of `altered`."""
    shown = "; ".join(phrases[:4]) + (f"; and {len(phrases) - 4} more" if len(phrases) > 4 else "")
    return (
        f"The records in {printable(folder)} were changed after the run wrote them: {shown}. They no longer hold what the "
        "run measured. Restore them from a copy."
    )
