"""What is said when a signal ended a command that the same command continues."""

import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.training import RunContext


def command_line() -> str:
    """The command as it was given."""
    return shlex.join(["trimtab", *sys.argv[1:]])


def exit_code(context: "RunContext") -> int:
    """The exit code of a command that a signal ended."""
    return int(getattr(context.stop, "exit_code", 130))
