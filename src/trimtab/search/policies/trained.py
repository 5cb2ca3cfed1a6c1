"""The parameters of policies, in JSON files: those that ship, and those of `trimtab search train`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trimtab.boundary import StrictJsonError, strict_json, user_path
from trimtab.config.schema import FILE_PATH
from trimtab.records.atomic import write_json
from trimtab.records.problems import problems_of

File = Annotated[
    str | None,
    Field(
        description="a file of parameters, written by `trimtab search train`; null: the parameters that ship",
        json_schema_extra=FILE_PATH,
    ),
]


class Trained(BaseModel):
    """The parameters of a policy. `training` says on what they were trained, with how many simulated searches."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Annotated[int, Field(ge=1, le=1)] = 1
    policy: str
    parameters: dict[str, Any]
    training: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file; the same parameters give the same bytes."""
        write_json(path, self.model_dump(mode="json"))


def trained(policy: str, file: str | None) -> Trained:
    """The parameters of a policy from a file (None: those that ship). Raises `ValueError` where it holds none."""
    path = Path(__file__).with_name(f"{policy}.json") if file is None else user_path(file, "file")
    try:
        made = Trained.model_validate(strict_json(path.read_bytes()))
    except OSError as error:
        raise ValueError(f"file: {path} cannot be read: {error.strerror}") from error
    except (ValidationError, StrictJsonError) as error:
        words = problems_of(error) if isinstance(error, ValidationError) else str(error)
        raise ValueError(f"file: {path} holds no parameters of a policy: {words}") from error
    if made.policy != policy:
        raise ValueError(f"file: {path} holds parameters of the policy '{made.policy}', not of '{policy}'")
    return made


def number(parameters: dict[str, Any], key: str) -> float:
    """A number among parameters. Raises `ValueError` where there is none."""
    value = parameters.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9:
        raise ValueError(f"file: its parameters have no finite number '{key}'")
    return float(value)
