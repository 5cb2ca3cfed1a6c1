"""A group of commands of which one is the default."""

from typing import Any

from typer.core import TyperGroup


class DefaultCommand(TyperGroup):
    """A group whose command `run` may be left out: `trimtab search CONFIG` is `trimtab search run CONFIG`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` first, unless a command or `--help` is there."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return list(super().parse_args(ctx, args))
