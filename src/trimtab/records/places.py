"""Where an experiment keeps the run of an arm, a seed and a cell of its factors: names of folders below its own."""

import json
from collections.abc import Mapping
from typing import Any

from trimtab.boundary import folder_name


def place(kind: str, arm: str | None, seed: int, cell: Mapping[str, Any]) -> str:
    """The folder of a run, relative to its experiment's, with `/` between the parts.

    `kind` is the folder of its kind (`episodes`, `interventions`, `noise`); None as `arm` leaves that part out.
    """
    arms = [] if arm is None else [folder_name(arm)]
    return "/".join([kind, *arms, f"seed-{seed}", *(cell_folder(key, value) for key, value in cell.items())])


def cell_folder(key: str, value: object) -> str:
    """The folder of a factor's value, such as `lr-0.01`; different values of a factor have different ones.

    A text that would give the folder of a value that is not text (a number, a list, `True`, `None`) is quoted, so `"1"` and `1`
    have two folders.
    """
    if isinstance(value, str):
        text = json.dumps(value) if _reads_as_another(value) else value
    else:
        text = json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)
    return folder_name(f"{key.rsplit('.', 1)[-1]}-{text}")


def _reads_as_another(text: str) -> bool:
    if text in ("True", "False", "None") or text.startswith(("[", "{", '"')):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
